import {
  type ClerkApiOptions,
  createClerkApi,
  readInstanceId,
} from "../functions/clerk-worker/reconcile/clerk_api.ts";
import {
  carryOn,
  foreign,
  type News,
  RunError,
  type RunKind as AnyRunKind,
} from "../functions/clerk-worker/reconcile/engine.ts";
import type { Options, Run, Snapshots } from "../functions/clerk-worker/reconcile/snapshots.ts";
import type { State } from "../functions/clerk-worker/reconcile/state.ts";

/** Polls are the schedule's. */
export type RunKind = Exclude<AnyRunKind, "poll">;

export interface Operation {
  readonly clerk: Pick<ClerkApiOptions, "secretKey" | "apiUrl">;
  readonly snapshots: Snapshots;
  readonly options: Options;
  /** Abandons an unfinished run. */
  readonly restart: boolean;
  /** The command that does the same, for sentences. */
  readonly command: string;
  /** Ends the run after the page that is being written; it can go on later. */
  readonly stop: AbortSignal;
  /** Is told why nothing happens at the moment. */
  readonly onWait: (why: string, milliseconds: number) => void;
  readonly onBegin?: (run: Run) => void;
  readonly report: (news: News) => void;
}

export interface Ended {
  readonly run: Run;
  readonly state: State;
  /** The exit code of a command: 0 done, 1 stopped, 3 the tables differ from Clerk. */
  readonly exit: 0 | 1 | 3;
}

/**
 * Begins a backfill or a reconcile, or goes on with an unfinished one, until it is finished or stopped.
 *
 * @throws {ClerkApiError} when Clerk cannot be read
 * @throws {QueueError} when the database cannot be reached
 * @throws {RunError} when the run cannot go on for another reason
 */
export async function runOver(kind: RunKind, operation: Operation): Promise<Ended> {
  const { clerk, snapshots, stop, onWait, onBegin, report } = operation;
  const api = createClerkApi({ ...clerk, stop, onWait });
  const instanceId = await readInstanceId(api);
  const run = await begin(kind, snapshots, instanceId, operation);
  onBegin?.(run);
  const { state, isFinished } = await carryOn(kind, run, instanceId, {
    api,
    snapshots,
    stop,
    report,
  });
  const exit = !isFinished ? 1 : isDrift(kind, operation.options, state) ? 3 : 0;
  return { run, state, exit };
}

async function begin(
  kind: RunKind,
  snapshots: Snapshots,
  instanceId: string,
  { options, restart, command }: Operation,
): Promise<Run> {
  const begun = await snapshots.begin(kind, options, instanceId, restart);
  if ("foreign" in begun) throw foreign(instanceId, begun.foreign);
  if ("busy" in begun) {
    const { kind: other, leased_until } = begun.busy;
    const seconds = Math.max(1, Math.ceil((leased_until - Date.now()) / 1000));
    throw new RunError(
      `Cannot start as a ${other} is running: wait until it is done, or if its process was killed, try again in ${seconds} s`,
    );
  }

  const { run } = begun;
  const isSame = (["dry_run", "quiet", "max_deletes"] as const)
    .every((name) => (run.options[name] ?? false) === (options[name] ?? false));
  if (isSame) return run;
  await snapshots.save(run, run.state, { isOver: true });
  throw new RunError(
    `Cannot go on with run ${run.id} as it began with other options (--dry-run, --quiet, --max-deletes): use the same ones, or begin anew with \`${command} --restart\``,
  );
}

/** Whether the tables still differ from Clerk after a run. */
function isDrift(kind: RunKind, { dry_run }: Options, state: State): boolean {
  return Object.values(state.tallies).some((tally) => {
    const { missing, outdated, unreadable, refused, surplus, kept, deleted } = tally;
    if (unreadable + refused > 0) return true;
    if (kind === "backfill") return false;
    return surplus > kept + deleted || (dry_run && missing + outdated > 0);
  });
}
