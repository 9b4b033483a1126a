import type { Log } from "../../_shared/clerk_sync/log.ts";
import type { Change, MessageRead, Settlement } from "./change.ts";
import { type Handler, HandlerError } from "./handler.ts";
import type { Batch, Queue } from "./queue.ts";

export interface WorkerSettings {
  /** How many changes run at once. */
  readonly concurrency: number;
  /**
   * For how many seconds a change is hidden from other workers, counted from the request for it. 5 s
   * before the end its handlers are told to stop; 2 s before the end they are abandoned.
   */
  readonly visibilitySeconds: number;
  /** The number of reads after which a failing change is dead-lettered. */
  readonly maxReads: number;
  /** For how long new changes are taken, ms; well below the platform's limit. */
  readonly takeForMs: number;
  /** How many changes are taken in total; the platform limits CPU time, too. */
  readonly takeAtMost: number;
  /** How long to wait before reading an empty queue again while changes are running, ms. */
  readonly lookAgainMs: number;
}

/** Below the platform's limits: 150 s and 2 s of CPU per request. */
export const SETTINGS: WorkerSettings = {
  concurrency: 10,
  visibilitySeconds: 60,
  maxReads: 12,
  takeForMs: 50_000,
  takeAtMost: 300,
  lookAgainMs: 500,
};

export interface WorkerDeps {
  readonly queue: Queue;
  /** They run one after the other. */
  readonly handlers: readonly Handler[];
  readonly log: Log;
  readonly settings: WorkerSettings;
  /** Aborts when no more changes should be taken. */
  readonly stop?: AbortSignal;
}

const NOTHING: Batch = { changes: [], malformed: [] };

const NEVER_SETTLED: Handler = {
  name: "none",
  topics: "all",
  run: () => Promise.reject(new HandlerError("never_settled")),
};

/** What one call did. */
export interface Summary {
  readonly done: number;
  readonly retried: number;
  readonly dead: number;
}

/**
 * Drains the queue: takes changes, runs the handlers of their topics, settles them. Returns when the
 * queue is empty or the time is up, after finishing the changes it has taken.
 *
 * @throws {QueueError} when the database cannot be reached; unsettled changes become visible again
 */
export async function drain(
  { queue, handlers, log, settings, stop }: WorkerDeps,
): Promise<Summary> {
  const stopTaking = performance.now() + settings.takeForMs;
  const settler = new Settler(queue);
  const running = new Set<Promise<void>>();
  const counts = { done: 0, retry: 0, dead: 0 };
  let taken = 0;

  const start = (change: Change, asked: number): void => {
    const own = handlers.filter(({ topics }) => topics === "all" || topics.includes(change.topic));
    const work = runOne(change, asked, own, settings).then(({ settlement, entry }) => {
      counts[settlement.verdict]++;
      if (own.length > 0) log(entry);
      settler.add(settlement);
    }).finally(() => running.delete(work));
    running.add(work);
  };

  const deadLetter = ({ message_id, reads }: MessageRead): void => {
    counts.dead++;
    log({ change: message_id, verdict: "dead", error_class: "unreadable", reads });
    settler.add({ message_id, reads, verdict: "dead", error_class: "unreadable" });
  };

  try {
    while (
      performance.now() < stopTaking && taken < settings.takeAtMost && !settler.hasFailed &&
      stop?.aborted !== true
    ) {
      const free = Math.min(settings.concurrency - running.size, settings.takeAtMost - taken);
      const asked = performance.now();
      const { changes, malformed } = free > 0
        ? await queue.read(free, settings.visibilitySeconds)
        : NOTHING;
      taken += changes.length + malformed.length;
      for (const change of changes) start(change, asked);
      for (const message of malformed) deadLetter(message);

      if (changes.length + malformed.length > 0) continue;
      if (running.size === 0) break;
      // New changes do not wait for slow ones.
      await firstOf(running, settings.lookAgainMs);
    }
  } finally {
    await Promise.all(running);
    await settler.finish();
  }
  return { done: counts.done, retried: counts.retry, dead: counts.dead };
}

/** Resolves with the first of them, or when the time is up. */
async function firstOf(running: ReadonlySet<Promise<void>>, milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([...running, promise]);
  clearTimeout(timer);
}

async function runOne(
  change: Change,
  asked: number,
  handlers: readonly Handler[],
  settings: WorkerSettings,
): Promise<{ settlement: Settlement; entry: Record<string, unknown> }> {
  const started = performance.now();
  // Counted from the request: the database may have hidden the change long before its answer came.
  const ends = settings.visibilitySeconds * 1000 - (started - asked);
  const stop = after(ends - 5000);
  const leave = after(ends - 2000);
  let failure: Failure | undefined;

  // Read too often and never settled: the workers that ran it died of it.
  const toRun = change.reads > settings.maxReads ? [NEVER_SETTLED] : handlers;
  for (const handler of toRun) {
    try {
      if (stop.signal.aborted) throw new HandlerError("timeout");
      await runUntil(leave.signal, () => handler.run(change, stop.signal));
    } catch (error) {
      const errorClass = error instanceof HandlerError ? error.errorClass : "handler_crashed";
      failure ??= { handler: handler.name, error_class: errorClass };
    }
  }
  stop.cancel();
  leave.cancel();

  const settlement = verdictOn(change, failure, settings);
  return {
    settlement,
    entry: {
      topic: change.topic,
      id: change.id,
      change: change.message_id,
      verdict: settlement.verdict,
      ...failure,
      reads: change.reads,
      ms: Math.round(performance.now() - started),
    },
  };
}

function after(milliseconds: number): { readonly signal: AbortSignal; cancel(): void } {
  const controller = new AbortController();
  if (milliseconds <= 0) controller.abort();
  const timer = setTimeout(() => controller.abort(), Math.max(milliseconds, 0));
  return { signal: controller.signal, cancel: () => clearTimeout(timer) };
}

/** Rejects when the signal aborts, even if the work never ends. */
async function runUntil(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const giveUp = (): void => late.reject(new HandlerError("timeout"));
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await Promise.race([work(), late.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** The first handler of a change that failed, and why. */
interface Failure {
  readonly handler: string;
  readonly error_class: string;
}

function verdictOn(
  { message_id, reads }: MessageRead,
  failure: Failure | undefined,
  { maxReads }: WorkerSettings,
): Settlement {
  if (failure === undefined) return { message_id, reads, verdict: "done" };
  const { error_class } = failure;
  if (reads >= maxReads) return { message_id, reads, verdict: "dead", error_class };
  return { message_id, reads, verdict: "retry", delay_seconds: backoffSeconds(reads), ...failure };
}

/** Doubles from 5 s with every read, up to an hour; a random half of it is jitter. */
export function backoffSeconds(reads: number, chance: number = Math.random()): number {
  const longest = Math.min(5 * 2 ** (reads - 1), 3600);
  return Math.max(1, Math.round(longest * (0.5 + chance / 2)));
}

/** Settles finished changes while others still run: one request at a time, for all that wait. */
class Settler {
  readonly #queue: Queue;
  #waiting: Settlement[] = [];
  #flushed: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  add(settlement: Settlement): void {
    this.#waiting.push(settlement);
    this.#flushed = this.#flushed.then(() => this.#flush());
  }

  /** Resolves when everything is settled. */
  async finish(): Promise<void> {
    await this.#flushed;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    // The previous flush took it along.
    if (batch.length === 0) return;
    try {
      await this.#queue.settle(batch);
    } catch (error) {
      // Unsettled changes become visible again, and run once more.
      this.#failure ??= { error };
    }
  }
}
