import type { Log } from "../../_shared/clerk_sync/log.ts";
import { type ClerkApiOptions, createClerkApi, readInstanceId } from "./clerk_api.ts";
import { carryOn, foreign, type RunKind } from "./engine.ts";
import type { Snapshots } from "./snapshots.ts";
import type { State } from "./state.ts";

export interface SliceDeps {
  readonly clerk: Pick<ClerkApiOptions, "secretKey" | "apiUrl">;
  readonly snapshots: Snapshots;
  readonly log: Log;
  readonly settings: SliceSettings;
}

export interface SliceSettings {
  /** For how long pages are read, ms; well below the platform's limit. */
  readonly readForMs: number;
  /** How many pages are read; the platform limits CPU time, too. */
  readonly pages: number;
}

/** Below the platform's limits: 150 s and 2 s of CPU per request. */
export const SLICE: SliceSettings = { readForMs: 50_000, pages: 12 };

/** How long Clerk's API may fail before the slice gives up, ms. The next call goes on. */
const PATIENCE = 20_000;

/** What a slice did of one run. */
export interface Carried {
  readonly run: number;
  readonly kind: RunKind;
  readonly is_finished: boolean;
  /** Why nothing is deleted: a sentence. */
  readonly halted: string | null;
  /** Counts over the whole run and all kinds. */
  readonly missing: number;
  readonly outdated: number;
  readonly skipped: number;
  readonly surplus: number;
  readonly deleted: number;
}

/**
 * Carries on the runs that are due, for a while: each call of the schedule does a slice.
 *
 * @returns the runs, in order; none when nothing is due
 * @throws {ClerkApiError} when Clerk cannot be read
 * @throws {QueueError} when the database cannot be reached
 * @throws {RunError} when a run cannot go on for another reason
 */
export async function reconcile(
  { clerk, snapshots, log, settings }: SliceDeps,
): Promise<readonly Carried[]> {
  const stopping = new AbortController();
  const stop = stopping.signal;
  const timer = setTimeout(() => stopping.abort(), settings.readForMs);
  const api = createClerkApi({ ...clerk, stop, patience: PATIENCE });
  const carried: Carried[] = [];
  let pages = 0;
  let instanceId: string | undefined;

  try {
    while (!stop.aborted) {
      const kind = await snapshots.due();
      if (kind === null) break;
      instanceId ??= await readInstanceId(api);
      const options = { dry_run: false, quiet: false, scheduled: true };
      const begun = await snapshots.begin(kind, options, instanceId, false);
      if ("busy" in begun) break;
      if ("foreign" in begun) throw foreign(instanceId, begun.foreign);

      const { run } = begun;
      const { state, isFinished } = await carryOn(kind, run, instanceId, {
        api,
        snapshots,
        stop,
        pages: { size: 500, inFlight: 1 },
        report: ({ type }) => {
          if (type === "progress" && ++pages >= settings.pages) stopping.abort();
        },
      });
      const done = { run: run.id, kind, is_finished: isFinished, ...countsIn(state) };
      log({ outcome: "reconciled", ...done });
      carried.push(done);
    }
  } finally {
    clearTimeout(timer);
  }
  return carried;
}

function countsIn({ tallies, halted }: State): Omit<Carried, "run" | "kind" | "is_finished"> {
  const sum = (count: (tally: State["tallies"]["user"]) => number): number =>
    Object.values(tallies).reduce((total, tally) => total + count(tally), 0);
  return {
    halted,
    missing: sum(({ missing }) => missing),
    outdated: sum(({ outdated }) => outdated),
    skipped: sum(({ unreadable, refused }) => unreadable + refused),
    surplus: sum(({ surplus, kept }) => surplus - kept),
    deleted: sum(({ deleted }) => deleted),
  };
}
