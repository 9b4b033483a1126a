import { z } from "zod";
import { call } from "../../functions/clerk-worker/drain/queue.ts";
import { createSnapshots } from "../../functions/clerk-worker/reconcile/snapshots.ts";
import type { Tally } from "../../functions/clerk-worker/reconcile/state.ts";
import { VERSION } from "../../functions/clerk-worker/version.ts";
import { readQueueStatus, redrive } from "../../operations/queue.ts";
import { runOver } from "../../operations/run_over.ts";
import type {
  Activity,
  AtClerk,
  Project,
  Queue,
  ReconcileEnd,
  ReconcileProgress,
  Redriven,
  Refusals,
  Runs,
  RunTally,
  Status,
} from "../api.ts";
import { given, Refused, type Routes, Time, understood, whole } from "./answer.ts";
import { commandLine, type Deps } from "./deps.ts";
import { lines } from "./lines.ts";

const Text = z.string().nullable();

const Changes = z.array(z.object({
  id: z.string(),
  state: z.enum(["waiting", "in_flight", "retrying", "dead"]),
  topic: Text,
  object_id: Text,
  // Anybody can put anything on a queue.
  changed: z.array(z.string()).nullable().catch(null),
  caused_by: Text,
  via: Text,
  enqueued_at: Time,
  next_at: Time.nullable(),
  reads: z.number(),
  handler: Text,
  error_class: Text,
}));

const Counts = z.object({
  total: z.number().nullable(),
  listed: z.number(),
  missing: z.number(),
  outdated: z.number(),
  unchanged: z.number(),
  stale: z.number(),
  gone: z.number(),
  unreadable: z.number(),
  refused: z.number(),
  surplus: z.number(),
  limit: z.number(),
  kept: z.number(),
  deleted: z.number(),
});

const RunList = z.object({
  runs: z.array(z.object({
    id: z.number(),
    kind: z.enum(["backfill", "reconcile", "poll"]),
    by: z.enum(["schedule", "command"]),
    started_at: Time,
    finished_at: Time.nullable(),
    leased_until: Time,
    state: z.enum(["running", "stopped", "finished", "abandoned"]),
    dry_run: z.boolean(),
    // Another version may have saved it in another shape.
    tallies: z.record(z.string(), Counts).catch({}),
    problems: z.number(),
    halted: Text,
  })),
  surplus: z.number(),
});

const Minutes = z.object({
  from: Time,
  is_whole: z.boolean(),
  minutes: z.array(z.object({
    at: Time,
    applied: z.number(),
    stale: z.number(),
    ignored: z.number(),
    failed: z.number(),
    unreadable: z.number(),
    discarded: z.number(),
  })),
  latency: z.array(z.object({ at: Time, median_ms: z.number(), p95_ms: z.number() })),
});

/** How often a run tells where it is, ms. */
const NEWS_EVERY = 250;

/** The project, its status, the queue and the runs. */
export function operateRoutes(deps: Deps): Routes {
  const { supabase, project, status } = deps;
  return {
    "GET /api/project": () => describe(deps),
    "GET /api/status": (): Promise<Status> => status.read(),
    "GET /api/clerk": async (): Promise<AtClerk> => ({
      newest_user_change: await status.newestAtClerk(),
    }),
    "GET /api/activity": ({ query }): Promise<Activity> => {
      const { minutes } = understood(z.object({ minutes: whole(1440).default(60) }), given(query));
      return call(supabase, "clerk_sync_activity", { minutes }, Minutes);
    },
    "GET /api/refusals": (): Promise<Refusals> => {
      if (project.refusals === undefined || project.local === undefined) {
        throw new Refused(
          501,
          "Only the console of `dev` sees what the webhook refuses. Elsewhere, read the function's log.",
        );
      }
      return Promise.resolve(refusalsOf(deps));
    },
    "GET /api/queue": async (): Promise<Queue> => {
      const [counts, changes] = await Promise.all([
        readQueueStatus(supabase),
        call(supabase, "list_clerk_changes", {}, Changes),
      ]);
      const { waiting, in_flight, retrying, dead, oldest_seconds } = counts;
      return {
        counts: { waiting, in_flight, retrying, dead, oldest_seconds },
        changes,
        depth: status.depths,
        command: commandLine(project, "work --redrive"),
      };
    },
    "POST /api/redrive": async (): Promise<Redriven> => ({ redriven: await redrive(supabase) }),
    "GET /api/runs": async (): Promise<Runs> => {
      const [list, { rows }] = await Promise.all([
        call(supabase, "list_clerk_runs", {}, RunList),
        status.read(),
      ]);
      const runs = list.runs.map((run) => ({ ...run, tallies: used(run.tallies) }));
      return { ...list, runs, rows, command: commandLine(project, "reconcile") };
    },
    "POST /api/reconcile": reconcileRoute(deps),
  };
}

async function describe({ project, status }: Deps): Promise<Project> {
  const { url, clerk, local, refusals, command, envFlag, cliVersion } = project;
  const { version, installation } = await status.read();
  return {
    mode: local === undefined ? "hosted" : "local",
    url,
    host: new URL(url).host,
    can_try: local !== undefined,
    can_view_as: local !== undefined,
    has_refusals: refusals !== undefined,
    has_clerk: clerk !== undefined,
    versions: { schema: version, code: local === undefined ? null : VERSION, cli: cliVersion },
    installation,
    command,
    env_flag: envFlag,
    publishable_key: local?.publishableKey ?? null,
  };
}

/** What the webhook refused; nothing when this server does not see it. */
export function refusalsOf({ project }: Deps, most?: number): Refusals {
  const { refusals, local, command } = project;
  const words = (text: string): string => text.replaceAll("deno task", command);
  return refusals?.list(words, local?.webhookUrl ?? "", most) ??
    { refusals: [], counts: {}, since: new Date().toISOString() };
}

/** Of the kinds that were listed. */
function used(tallies: Readonly<Record<string, Tally>>): Record<string, RunTally> {
  return Object.fromEntries(
    Object.entries(tallies).filter(([, { listed, surplus }]) => listed > 0 || surplus > 0),
  );
}

function reconcileRoute(deps: Deps): Routes[string] {
  const { project, supabase } = deps;
  let isRunning = false;
  return ({ body }) => {
    const { dry_run } = understood(z.object({ dry_run: z.boolean() }), body);
    const { clerk } = project;
    if (clerk === undefined) {
      throw new Refused(
        501,
        "Cannot read Clerk's API without CLERK_SECRET_KEY: set it where you started this, and start it again",
      );
    }
    if (isRunning) throw new Refused(409, "A reconcile is running already: wait until it is done");
    const command = commandLine(project, `reconcile${dry_run ? " --dry-run" : ""}`);

    isRunning = true;
    return Promise.resolve(lines(async (write, stop) => {
      const news = new Map<string, ReconcileProgress>();
      let last: Pick<ReconcileProgress, "kind" | "done" | "total" | "repaired"> = {
        kind: "user",
        done: 0,
        total: null,
        repaired: 0,
      };
      const running = runOver("reconcile", {
        clerk,
        snapshots: createSnapshots(supabase),
        options: { dry_run, quiet: false },
        restart: false,
        command,
        stop,
        onWait: (why) => news.set(last.kind, { ...last, waits: why }),
        report: (each) => {
          if (each.type !== "progress") return;
          const { listed, total, missing, outdated } = each.tally;
          last = { kind: each.kind, done: listed, total, repaired: missing + outdated };
          news.set(each.kind, { ...last, waits: null });
        },
      }).finally(() => isRunning = false);
      // Told at intervals, so that what nobody reads does not pile up.
      let isOver = false;
      const over = running.catch(() => {}).finally(() => isOver = true);
      while (!isOver) {
        await Promise.race([over, new Promise((resolve) => setTimeout(resolve, NEWS_EVERY))]);
        for (const [kind, each] of news) {
          news.delete(kind);
          await write(each);
        }
      }

      const { state, exit } = await running;
      await write(
        {
          done: true,
          exit,
          summary: summaryOf(exit, dry_run, state.halted),
          tallies: used(state.tallies),
          command,
        } satisfies ReconcileEnd,
      );
    }, deps));
  };
}

function summaryOf(exit: 0 | 1 | 3, isDry: boolean, halted: string | null): string {
  if (exit === 1) return "Stopped. The next reconcile goes on where it was.";
  if (halted !== null) return `${halted}.`;
  if (exit === 3) {
    return isDry
      ? "The tables differ from Clerk. Nothing was written."
      : "The tables still differ from Clerk.";
  }
  return isDry ? "The tables are the same as Clerk." : "The tables are now the same as Clerk.";
}
