import { check } from "../../_shared/clerk_sync/clerk.ts";
import { isJsonObject, type Json } from "../../_shared/clerk_sync/json.ts";
import { QueueError } from "../drain/queue.ts";
import { type ClerkApi, sleep } from "./clerk_api.ts";
import { DELETED_KINDS, type Kind, KINDS } from "./kinds.ts";
import {
  FIRST,
  idsIn,
  type ListedPage,
  listPages,
  PAGE_OPTIONS,
  type PageOptions,
  readNewestUsers,
  repeated,
} from "./pages.ts";
import { LEASE, type Options, type Run, type Snapshots, type Surplus } from "./snapshots.ts";
import { MOST_PROBLEMS, type Problem, State, type Tally } from "./state.ts";
import { stillAtClerk } from "./still_at_clerk.ts";

/** A run cannot go on. The message is a sentence for an operator. */
export class RunError extends Error {
  override name = "RunError";
}

/** What a run tells while it goes on. */
export type News =
  | { readonly type: "progress"; readonly kind: Kind; readonly tally: Tally }
  | {
    readonly type: "drift";
    readonly drift: "missing" | "outdated" | "surplus";
    readonly kind: Kind;
    readonly id: string;
  }
  | ({ readonly type: "problem" } & Problem);

export interface Deps {
  readonly api: ClerkApi;
  readonly snapshots: Snapshots;
  /** Ends the run after the page that is being written; it can go on later. */
  readonly stop: AbortSignal;
  readonly report: (news: News) => void;
  readonly pages?: PageOptions;
  /** How long to wait before the second try of the database, ms; before each further one twice as long. */
  readonly pause?: number;
}

/** What a run does, in order. */
type Step =
  | { readonly does: "list"; readonly kind: Kind }
  | { readonly does: "poll" }
  | { readonly does: "guard" }
  | { readonly does: "delete"; readonly kind: Kind };

const LIST: readonly Step[] = (Object.keys(KINDS) as Kind[]).map((kind) => ({
  does: "list",
  kind,
}));
const DELETE: readonly Step[] = DELETED_KINDS.map((kind) => ({ does: "delete", kind }));
const STEPS: Readonly<Record<RunKind, readonly Step[]>> = {
  backfill: LIST,
  reconcile: [...LIST, { does: "guard" }, ...DELETE],
  poll: [{ does: "poll" }],
};

export type RunKind = "backfill" | "reconcile" | "poll";

/** When more objects than this are refused, and more than are taken, it is not about the objects. */
const MANY_REFUSED = 100;

/** How many objects are handed to the database at once. */
const LARGEST_PIECE = 500;

/** The share of a kind that a run may delete. */
const SHARE_DELETED = 0.05;
/** The share of Clerk's own count that must have been listed before anything is deleted. */
const SHARE_LISTED = 0.95;

/** Cancelled, out of time, or in conflict with another transaction: it may work the next time. */
const WORTH_REPEATING: ReadonlySet<string> = new Set(["57014", "40P01", "40001", "55P03"]);
const SQLSTATE = /^[0-9A-Z]{5}$/;
/** Connection lost, no resources, shutting down: not about the objects. */
const UNAVAILABLE = /^(?:08|53|57P)/;

/** Clerk's clock and the database's may differ, ms. */
const POLL_MARGIN = 60_000;

const TRIES = { conflict: 3, outage: 5 };

function isOutage(code: string): boolean {
  return !SQLSTATE.test(code) || UNAVAILABLE.test(code);
}

/**
 * Carries a run on until it is finished or stopped. Its state is saved after every page.
 *
 * @returns the state, and whether the run is finished
 * @throws {ClerkApiError} when Clerk cannot be read
 * @throws {QueueError} when the database cannot be reached
 * @throws {RunError} when the run cannot go on for another reason
 */
export async function carryOn(
  kind: RunKind,
  run: Run,
  instanceId: string,
  deps: Deps,
): Promise<{ readonly state: State; readonly isFinished: boolean }> {
  const engine = new Engine(run, instanceId, deps);
  const heartbeat = setInterval(() => engine.saveAgain(), LEASE * 1000 / 3);
  try {
    const isFinished = await engine.work(STEPS[kind]);
    return { state: engine.state, isFinished };
  } finally {
    clearInterval(heartbeat);
    await engine.giveBack();
  }
}

class Engine {
  readonly state: State;
  readonly #run: Run;
  readonly #instanceId: string;
  readonly #deps: Deps;
  readonly #options: Options;
  /** As saved last; in between, counts and cursor may not belong together. */
  #saved: State;
  #saving: Promise<unknown> = Promise.resolve();
  #isOver = false;
  /** How many objects the database takes at once without running out of time. */
  #most = LARGEST_PIECE;

  constructor(run: Run, instanceId: string, deps: Deps) {
    // Another version may have saved it in another shape: the run begins anew, or it would never end.
    this.state = State.safeParse(run.state).data ?? State.parse({});
    this.#run = run;
    this.#instanceId = instanceId;
    this.#deps = deps;
    const { dry_run, quiet, scheduled, max_deletes } = run.options;
    this.#options = {
      dry_run: dry_run === true,
      quiet: quiet === true,
      scheduled: scheduled === true,
      ...(typeof max_deletes === "number" ? { max_deletes } : {}),
    };
    this.#saved = structuredClone(this.state);
  }

  async work(steps: readonly Step[]): Promise<boolean> {
    try {
      for (let step = steps[this.state.step]; step !== undefined; step = steps[this.state.step]) {
        await this.#take(step);
        this.state.step++;
        this.state.cursor = FIRST;
        this.state.after = "";
        await this.#save();
      }
      await this.#save({ isFinished: true });
      this.#isOver = true;
      return true;
    } catch (error) {
      if (this.#deps.stop.aborted) return false;
      throw error;
    }
  }

  #take(step: Step): Promise<void> {
    switch (step.does) {
      case "list":
        return this.#list(step.kind);
      case "poll":
        return this.#poll();
      case "guard":
        return this.#guard();
      case "delete":
        return this.#delete(step.kind);
      default:
        return step satisfies never;
    }
  }

  async #list(kind: Kind): Promise<void> {
    const { api, pages = PAGE_OPTIONS } = this.#deps;
    const tally = this.#tally(kind);
    if (kind === "user" && tally.total === null) tally.total = await countUsers(api);

    for await (const page of listPages(api, kind, this.state.cursor, pages)) {
      if (this.state.cursor.offset === 0 && kind !== "user") tally.listed = 0;
      const { objects } = page;
      tally.listed += objects.length;
      tally.total = page.total ?? tally.total;
      if (objects.length > 0) {
        this.state.witnesses[kind] = objects.slice(-3).flatMap(({ value }) => refOf(value));
      }

      await this.#see(idsIn(objects));
      await this.#write(kind, page);
      this.#deps.report({ type: "progress", kind, tally });
      if (page.next === null) return;
      this.state.cursor = page.next;
      await this.#save();
      this.#deps.stop.throwIfAborted();
    }
  }

  /** Reads the users that Clerk changed last, until all are known and older than the last poll. */
  async #poll(): Promise<void> {
    const { api, stop, report } = this.#deps;
    const kind = "user";
    const tally = this.#tally(kind);
    const since = (this.#run.polled_at ?? Infinity) - POLL_MARGIN;

    let last: string | undefined;
    for (;;) {
      const page = await readNewestUsers(api, this.state.cursor.offset);
      const before = last;
      last = idsIn(page.objects).at(-1);
      if (page.next !== null && last !== undefined && last === before) {
        throw repeated(kind, "offset");
      }
      const known = tally.missing + tally.outdated;
      tally.listed += page.objects.length;
      await this.#write(kind, page);
      report({ type: "progress", kind, tally });

      const isAllKnown = tally.missing + tally.outdated === known;
      if (page.next === null || (isAllKnown && page.oldest < since)) return;
      this.state.cursor = page.next;
      await this.#save();
      stop.throwIfAborted();
    }
  }

  async #see(ids: readonly string[]): Promise<void> {
    const isHeld = await this.#try(() => this.#deps.snapshots.noteSeen(this.#run, ids));
    if (!isHeld) throw lost();
  }

  /** Hands a page to the database, without the objects that cannot be read. */
  async #write(
    kind: Kind,
    { objects, observedAt }: Pick<ListedPage, "objects" | "observedAt">,
  ): Promise<void> {
    const readable: Readable[] = [];
    for (const { text, value } of objects) {
      const id = isJsonObject(value) && typeof value.id === "string" ? value.id : null;
      const [issue] = value === undefined
        ? [{ path: "", code: "too_deep" }]
        : check(KINDS[kind].schema, value).issues;
      if (issue === undefined && id !== null) readable.push({ id, text });
      else this.#skip("unreadable", { kind, id, ...(issue ?? { code: "invalid_type" }) });
    }

    for (let from = 0; from < readable.length;) {
      const piece = readable.slice(from, from + this.#most);
      await this.#ingest(kind, observedAt, piece);
      from += piece.length;
    }
  }

  /** If the database refuses objects, halves them down to those that it refuses. */
  async #ingest(kind: Kind, observedAt: number, objects: readonly Readable[]): Promise<void> {
    const { snapshots, report } = this.#deps;
    const tally = this.#tally(kind);
    const send = (texts: readonly string[]): ReturnType<Snapshots["ingest"]> =>
      snapshots.ingest(kind, observedAt, texts, this.#options);

    await this.#halve(objects, async (some) => {
      const done = await this.#try(() => send(some.map(({ text }) => text)));
      tally.unchanged += done.unchanged;
      tally.stale += done.stale;
      tally.gone += done.gone;
      for (const drift of ["missing", "outdated"] as const) {
        tally[drift] += done[drift].length;
        for (const id of done[drift]) report({ type: "drift", drift, kind, id });
      }
      for (const id of done.unreadable) this.#skip("unreadable", { kind, id, code: "unreadable" });
    }, async ({ id }, code) => {
      if (code === "22023" && await isRefused(() => send([]), code)) {
        throw new RunError(
          "Cannot go on as the Date of Clerk's answers is more than a minute ahead of the database's clock: check the clocks of whatever is in between",
        );
      }
      this.#skip("refused", { kind, id, code });
    });
  }

  /**
   * Does something with objects, or else with each half of them, down to the ones that are refused. Goes on
   * with smaller pieces once time has run out.
   */
  async #halve<Item>(
    items: readonly Item[],
    act: (some: readonly Item[]) => Promise<void>,
    onRefused: (item: Item, code: string) => Promise<void>,
  ): Promise<void> {
    const half = Math.ceil(items.length / 2);
    if (items.length <= this.#most) {
      try {
        return await act(items);
      } catch (error) {
        const [item] = items;
        if (!(error instanceof QueueError) || item === undefined) throw error;
        const code = error.message;
        // If one object alone takes too long, larger pieces without it need not.
        if (code === "57014") this.#most = items.length === 1 ? LARGEST_PIECE : half;
        if (items.length === 1) {
          // The database may be away. Otherwise it is this object that ends the connection.
          if (isOutage(code)) {
            await this.#try(() => this.#deps.snapshots.save(this.#run, this.#saved));
          }
          return await onRefused(item, code);
        }
      }
    }
    await this.#halve(items.slice(0, half), act, onRefused);
    await this.#halve(items.slice(half), act, onRefused);
  }

  /** Whether what is surplus may be deleted. If not, says why. */
  async #guard(): Promise<void> {
    const reasons: (string | null)[] = [];
    if (this.#run.instance_id !== this.#instanceId) {
      reasons.push(
        "Nothing is deleted as clerk_sync.settings.instance_id is not set: run a backfill first",
      );
    }
    for (const kind of DELETED_KINDS) {
      const tally = this.#tally(kind);
      const { living, surplus } = await this.#try(() =>
        this.#deps.snapshots.listSurplus(this.#run, kind, "")
      );
      tally.surplus = surplus;
      tally.limit = this.#options.max_deletes ?? Math.max(1, Math.floor(living * SHARE_DELETED));
      reasons.push(whyNot(kind, tally, living));
    }

    const isAny = DELETED_KINDS.some((kind) => this.#tally(kind).surplus > 0);
    if (isAny) this.state.halted = reasons.find((reason) => reason !== null) ?? null;
  }

  /** Deletes what Clerk no longer has. */
  async #delete(kind: Kind): Promise<void> {
    const { api, snapshots, report, stop } = this.#deps;
    const { dry_run } = this.#options;
    const tally = this.#tally(kind);

    for (;;) {
      if (this.state.halted !== null && !dry_run) return;
      const { objects } = await this.#try(() =>
        snapshots.listSurplus(this.#run, kind, this.state.after)
      );
      const last = objects.at(-1);
      if (last === undefined) return;

      let gone: readonly Surplus[] = objects;
      if (this.state.halted === null) {
        const there = await stillAtClerk(api, kind, objects, this.state.witnesses[kind] ?? []);
        if (there === undefined) {
          this.state.halted =
            `No further objects are deleted as Clerk does not find any ${kind} at the moment, not even those that it has just listed: try again later`;
          continue;
        }
        gone = objects.filter(({ id }) => !there.has(id));
        tally.kept += objects.length - gone.length;
        if (!dry_run) await this.#erase(kind, await this.#ripe(kind, gone));
      }
      for (const { id } of gone) report({ type: "drift", drift: "surplus", kind, id });

      this.state.after = last.id;
      report({ type: "progress", kind, tally });
      await this.#save();
      stop.throwIfAborted();
    }
  }

  /** The ids of what may be deleted now. */
  async #ripe(kind: Kind, gone: readonly Surplus[]): Promise<readonly string[]> {
    const ids = gone.map(({ id }) => id);
    if (this.#options.scheduled !== true) return ids;
    const ripe = await this.#try(() => this.#deps.snapshots.noteSurplus(this.#run, kind, ids));
    if (ripe === null) throw lost();
    return ripe;
  }

  async #erase(kind: Kind, gone: readonly string[]): Promise<void> {
    const tally = this.#tally(kind);
    const ids = gone.slice(0, Math.max(0, tally.limit - tally.deleted));
    if (ids.length === 0) return;
    await this.#halve(ids, async (some) => {
      const deleted = await this.#try(() =>
        this.#deps.snapshots.deleteSurplus(this.#run, kind, some)
      );
      if (deleted === null) throw lost();
      tally.deleted += deleted;
    }, (id, code) => {
      this.#skip("refused", { kind, id, code });
      return Promise.resolve();
    });
  }

  #tally(kind: Kind): Tally {
    return this.state.tallies[kind];
  }

  #skip(how: "unreadable" | "refused", problem: Problem & { kind: Kind }): void {
    this.#tally(problem.kind)[how]++;
    if (this.state.problems.length < MOST_PROBLEMS) this.state.problems.push(problem);
    this.#deps.report({ type: "problem", ...problem });

    const { refused, missing, outdated, unchanged } = this.#tally(problem.kind);
    if (refused > MANY_REFUSED && refused > missing + outdated + unchanged) {
      throw new RunError(
        `Cannot go on as the database refuses most objects of kind ${problem.kind}, the last one with SQLSTATE ${problem.code}: look for the trigger or constraint that raises it`,
      );
    }
  }

  /** Repeats what failed for a reason that may pass. */
  async #try<Result>(act: () => Promise<Result>): Promise<Result> {
    const { pause = 500, stop } = this.#deps;
    for (let attempt = 1;; attempt++) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof QueueError)) throw error;
        const isAway = isOutage(error.message);
        if (!isAway && !WORTH_REPEATING.has(error.message)) throw error;
        if (attempt === (isAway ? TRIES.outage : TRIES.conflict)) throw error;
        await sleep(pause * 2 ** (attempt - 1), stop);
      }
    }
  }

  async #save(how: { isFinished?: boolean } = {}): Promise<void> {
    this.#saved = structuredClone(this.state);
    await this.#saving;
    const isHeld = await this.#try(() => this.#deps.snapshots.save(this.#run, this.#saved, how));
    if (isHeld) return;
    this.#isOver = true;
    throw lost();
  }

  /** Renews the lease during a long wait. */
  saveAgain(): void {
    this.#saving = this.#saving
      .then(() => this.#isOver || this.#deps.snapshots.save(this.#run, this.#saved))
      .catch(() => {});
  }

  /** Lets another process go on at once. If that fails, the lease ends by itself. */
  async giveBack(): Promise<void> {
    await this.#saving;
    if (this.#isOver) return;
    await this.#deps.snapshots.save(this.#run, this.#saved, { isOver: true }).catch(() => {});
  }
}

interface Readable {
  readonly id: string;
  readonly text: string;
}

/** The key belongs to another Clerk instance than the database. */
export function foreign(instanceId: string, own: string): RunError {
  return new RunError(
    `Cannot start as CLERK_SECRET_KEY belongs to Clerk instance ${instanceId}, and the database to ${own}: use the key of that instance`,
  );
}

function lost(): RunError {
  return new RunError("Cannot go on as another process has taken this run over");
}

async function isRefused(act: () => Promise<unknown>, code: string): Promise<boolean> {
  try {
    await act();
    return false;
  } catch (error) {
    return error instanceof QueueError && error.message === code;
  }
}

/** Why the surplus of a kind must not be deleted, if it must not. */
function whyNot(
  kind: Kind,
  { listed, total, surplus, limit }: Tally,
  living: number,
): string | null {
  if (listed === 0 && living > 0) {
    return `Nothing is deleted as Clerk lists no ${kind}s, and ${living} are here`;
  }
  if (total !== null && listed < total * SHARE_LISTED) {
    return `Nothing is deleted as Clerk listed ${listed} ${kind}s, and counts ${total}`;
  }
  if (surplus > limit) {
    return `Nothing is deleted as ${surplus} of ${living} ${kind}s are not at Clerk, and the limit is ${limit}: allow it with --max-deletes ${surplus}`;
  }
  return null;
}

async function countUsers(api: ClerkApi): Promise<number | null> {
  const answer = await api.get("/users/count", (body): Json => JSON.parse(body));
  const count = "body" in answer && isJsonObject(answer.body) ? answer.body.total_count : null;
  return typeof count === "number" ? count : null;
}

/** How an object can be found again. */
function refOf(value: Json | undefined): Surplus[] {
  if (!isJsonObject(value) || typeof value.id !== "string") return [];
  const organization = isJsonObject(value.organization) ? value.organization.id : undefined;
  const user = isJsonObject(value.public_user_data) ? value.public_user_data.user_id : undefined;
  return [{
    id: value.id,
    ...(typeof organization === "string" ? { organization_id: organization } : {}),
    ...(typeof user === "string" ? { user_id: user } : {}),
  }];
}
