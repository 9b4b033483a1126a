import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { call } from "../drain/queue.ts";
import type { Kind } from "./kinds.ts";

const Ids = z.array(z.string());

/** What the database did with objects of Clerk's. */
export const Ingested = z.object({
  /** Inserted. */
  missing: Ids,
  /** Updated. */
  outdated: Ids,
  unchanged: z.number(),
  /** Something newer is known. */
  stale: z.number(),
  /** Deleted here, or their user or organization is. */
  gone: z.number(),
  /** Without a version, or memberships without a user. */
  unreadable: z.array(z.string().nullable()),
});
export type Ingested = z.infer<typeof Ingested>;

/** A run that this process holds. */
export const Run = z.object({
  id: z.number(),
  fence: z.number(),
  /** As it was saved; empty for a new run. */
  state: z.unknown(),
  options: z.record(z.string(), z.unknown()),
  /** The instance that the database accepts events of; null while it accepts any. */
  instance_id: z.string().nullable(),
  /** When the last finished poll began, ms since the epoch. */
  polled_at: z.number().nullable(),
});
export type Run = z.infer<typeof Run>;

const Begun = z.union([
  z.object({ run: Run }),
  z.object({ busy: z.object({ kind: z.string(), leased_until: z.number() }) }),
  z.object({ foreign: z.string() }),
]);
export type Begun = z.infer<typeof Begun>;

/** Something that is here, and that Clerk did not list. */
export const Surplus = z.object({
  id: z.string(),
  organization_id: z.string().nullish(),
  user_id: z.string().nullish(),
});
export type Surplus = z.infer<typeof Surplus>;

const SurplusPage = z.object({
  /** Rows of the kind that are here. */
  living: z.number(),
  surplus: z.number(),
  objects: z.array(Surplus),
});

/** The database, as a run sees it. All calls throw a QueueError when it refuses or does not answer. */
export interface Snapshots {
  /** The kind of run that the schedule should carry on now; null when none is due. */
  due(): Promise<"poll" | "reconcile" | null>;
  /** Begins a run, goes on with an unfinished one, or says why not. */
  begin(kind: string, options: Options, instanceId: string, restart: boolean): Promise<Begun>;
  /** False when another process holds the run now. */
  save(
    run: Run,
    state: unknown,
    how?: { isFinished?: boolean; isOver?: boolean },
  ): Promise<boolean>;
  /** Takes objects of one kind, all or none. */
  ingest(
    kind: Kind,
    observedAt: number,
    texts: readonly string[],
    options: Options,
  ): Promise<Ingested>;
  /** False when another process holds the run now. */
  noteSeen(run: Run, ids: readonly string[]): Promise<boolean>;
  listSurplus(run: Run, kind: Kind, afterId: string): Promise<z.infer<typeof SurplusPage>>;
  /**
   * Remembers what a scheduled run found gone. The ids that it may delete, because an earlier run found
   * them gone, too; null when another process holds the run now.
   */
  noteSurplus(run: Run, kind: Kind, ids: readonly string[]): Promise<readonly string[] | null>;
  /** How many were deleted; null when another process holds the run now. */
  deleteSurplus(run: Run, kind: Kind, ids: readonly string[]): Promise<number | null>;
}

/** How a run treats the database. */
export interface Options {
  /** Says what would change, and changes nothing. */
  readonly dry_run: boolean;
  /** Announces nothing on the queue. */
  readonly quiet: boolean;
  /** Begun by the schedule: deletes only what an earlier run found gone, too, and where a setting says so. */
  readonly scheduled?: boolean;
  /** How many objects of a kind may be deleted; 5 % by default, and at least one. */
  readonly max_deletes?: number;
}

/** For how long a run is ours after each save, s. */
export const LEASE = 45;

/** Time limit for the database, ms. A page may wait for locks, and for the application's triggers. */
const TIMEOUT = 60_000;

/** How many surplus objects are listed, confirmed and deleted at a time. */
const SURPLUS_PAGE = 20;

/** The database behind PostgREST. */
export function createSnapshots(supabase: SupabaseClient): Snapshots {
  const ask = <Shape extends z.ZodType>(
    name: string,
    args: Readonly<Record<string, unknown>>,
    shape: Shape,
  ): Promise<z.infer<Shape>> => call(supabase, name, args, shape, TIMEOUT);

  return {
    due: () => ask("due_clerk_run", {}, z.enum(["poll", "reconcile"]).nullable()),
    begin: (kind, options, instance_id, restart) =>
      ask(
        "begin_clerk_run",
        { kind, options, instance_id, restart, lease_seconds: LEASE },
        Begun,
      ),
    save: ({ id: run_id, fence }, state, { isFinished = false, isOver = false } = {}) =>
      ask("save_clerk_run", {
        run_id,
        fence,
        state,
        is_finished: isFinished,
        lease_seconds: isOver ? 0 : LEASE,
      }, z.boolean()),
    ingest: (kind, observed_at, texts, { dry_run, quiet }) =>
      // A JSON string with the text, so that no parser on the way rounds a number.
      ask("ingest_clerk_snapshot", {
        kind,
        observed_at,
        objects: `[${texts.join(",")}]`,
        dry_run,
        quiet,
      }, Ingested),
    noteSeen: ({ id: run_id, fence }, ids) =>
      ask("note_clerk_seen", { run_id, fence, ids }, z.boolean()),
    listSurplus: ({ id: run_id }, kind, after_id) =>
      ask("list_clerk_surplus", { run_id, kind, after_id, max_rows: SURPLUS_PAGE }, SurplusPage),
    noteSurplus: async ({ id: run_id, fence }, kind, ids) => {
      const args = { run_id, fence, kind, ids };
      return (await ask("note_clerk_surplus", args, z.object({ ripe: Ids.nullable() }))).ripe;
    },
    deleteSurplus: async ({ id: run_id, fence }, kind, ids) => {
      const args = { run_id, fence, kind, ids };
      return (await ask(
        "delete_clerk_surplus",
        args,
        z.object({ deleted: z.number().nullable() }),
      )).deleted;
    },
  };
}
