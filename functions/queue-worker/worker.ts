import type { Log } from "../_shared/log.ts";
import { type Change, type Handler, HandlerError, type Settlement, type Topic } from "./change.ts";
import type { Queue } from "./queue.ts";

/** Which handlers run for which topic, one after the other. */
export type HandlerTable = Readonly<Record<Topic, readonly Handler[]>>;

export interface WorkerSettings {
  /** How many changes are run at once. */
  readonly concurrency: number;
  /** How long a change is ours, seconds. All its handlers together have 5 s less. */
  readonly visibilitySeconds: number;
  /** After so many reads a change that still fails is a dead letter. */
  readonly maxReads: number;
  /** For how long new changes are taken, ms: well below the platform's limit. */
  readonly takeForMs: number;
  /** How many changes are taken in all: the platform limits CPU time, too. */
  readonly takeAtMost: number;
}

/** Below the platform's limits: 150 s of waiting and 2 s of CPU a request. */
export const SETTINGS: WorkerSettings = {
  concurrency: 10,
  visibilitySeconds: 60,
  maxReads: 12,
  takeForMs: 50_000,
  takeAtMost: 300,
};

export interface WorkerDeps {
  readonly queue: Queue;
  readonly handlers: HandlerTable;
  readonly log: Log;
  readonly settings: WorkerSettings;
}

const NEVER_SETTLED: Handler = {
  name: "none",
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
 * queue is empty or the time is up, after finishing what it holds.
 *
 * @throws {QueueError} when the database cannot be reached; what is held comes back by itself
 */
export async function drain({ queue, handlers, log, settings }: WorkerDeps): Promise<Summary> {
  const stopTaking = performance.now() + settings.takeForMs;
  const settler = new Settler(queue);
  const running = new Set<Promise<void>>();
  const counts = { done: 0, retry: 0, dead: 0 };
  let taken = 0;

  const start = (change: Change): void => {
    const work = runOne(change, handlers, settings).then(({ settlement, entry }) => {
      counts[settlement.verdict]++;
      if (handlers[change.topic].length > 0) log(entry);
      settler.add(settlement);
    }).finally(() => running.delete(work));
    running.add(work);
  };

  try {
    while (
      performance.now() < stopTaking && taken < settings.takeAtMost && !settler.hasFailed
    ) {
      const free = Math.min(settings.concurrency - running.size, settings.takeAtMost - taken);
      const changes = free > 0 ? await queue.read(free, settings.visibilitySeconds) : [];
      taken += changes.length;
      changes.forEach(start);

      if (changes.length < free && running.size === 0) break;
      if (changes.length === 0) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
    await settler.finish();
  }
  return { done: counts.done, retried: counts.retry, dead: counts.dead };
}

async function runOne(
  change: Change,
  handlers: HandlerTable,
  settings: WorkerSettings,
): Promise<{ settlement: Settlement; entry: Record<string, unknown> }> {
  const started = performance.now();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), (settings.visibilitySeconds - 5) * 1000);
  let failure: { handler: string; errorClass: string } | undefined;

  // Read too often and never settled: whoever ran it died of it.
  const toRun = change.reads > settings.maxReads ? [NEVER_SETTLED] : handlers[change.topic];
  for (const handler of toRun) {
    try {
      await runUntil(limit.signal, handler, change);
    } catch (error) {
      const errorClass = error instanceof HandlerError ? error.errorClass : "handler_crashed";
      failure ??= { handler: handler.name, errorClass };
    }
  }
  clearTimeout(timer);

  const settlement = verdictOn(change, failure?.errorClass, settings);
  return {
    settlement,
    entry: {
      topic: change.topic,
      id: change.id,
      change: change.message_id,
      verdict: settlement.verdict,
      ...(failure === undefined
        ? {}
        : { handler: failure.handler, error_class: failure.errorClass }),
      reads: change.reads,
      ms: Math.round(performance.now() - started),
    },
  };
}

/** Fails when the signal aborts, also when the handler does not listen to it. */
async function runUntil(signal: AbortSignal, handler: Handler, change: Change): Promise<void> {
  if (signal.aborted) throw new HandlerError("timeout");

  const late = Promise.withResolvers<never>();
  const giveUp = (): void => late.reject(new HandlerError("timeout"));
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await Promise.race([handler.run(change, signal), late.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function verdictOn(
  { message_id, reads }: Change,
  errorClass: string | undefined,
  { maxReads }: WorkerSettings,
): Settlement {
  if (errorClass === undefined) return { message_id, verdict: "done" };
  if (reads >= maxReads) return { message_id, verdict: "dead", error_class: errorClass };
  return { message_id, verdict: "retry", delay_seconds: backoffSeconds(reads) };
}

/** 5 s doubled with every read, an hour at most, between half and all of it by chance. */
export function backoffSeconds(reads: number, chance: number = Math.random()): number {
  const longest = Math.min(5 * 2 ** (reads - 1), 3600);
  return Math.max(1, Math.round(longest * (0.5 + chance / 2)));
}

/** Settles what has finished while other changes still run: one request for all that waits. */
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
    // The flush before took it along.
    if (batch.length === 0) return;
    try {
      await this.#queue.settle(batch);
    } catch (error) {
      // Unsettled changes become visible again, and are run once more.
      this.#failure ??= { error };
    }
  }
}
