import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import { call, QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { RateProgress } from "./progress.ts";
import { connectProject, databaseSentence } from "./project.ts";
import { firstSignal, flags, runCommand, taskCommand } from "./usage.ts";

const HELP =
  `Prunes data that is past its retention, in small batches. pg_cron, where it exists, does the same every
night.

  deno task maintain              prunes; after an interruption, run it again
  deno task maintain --dry-run    counts and lists what would go, and writes nothing

  --json        prints JSON, one object per line, the summary last
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  messages        messages of the inbox that are done, after row_retention (100 days)
  payloads        the payloads of such messages, after payload_retention (30 days)
  changes         archived changes of the queue, after archive_retention (30 days)
  runs            finished runs over Clerk's API, after 30 days, except the newest of each kind
  cron_records    pg_cron's records of the sync's jobs, after 7 days
  profiles        tombstones of deleted users, after purge_after (null: never)
  organizations   tombstones of deleted organizations, likewise

  These settings are columns of clerk_sync.settings. Failed and unreadable messages, dead letters and the
  ids of deleted objects are never pruned. A dry run tries each deletion of a tombstone, with the
  triggers of your application, and undoes it.

  SUPABASE_URL and SUPABASE_SECRET_KEY in the environment win over the file.

  Ctrl-C stops it after the batch at hand. Exit codes: 0 done, 1 failed or stopped, 2 wrong usage, 3 a
  foreign key or a trigger of your application refused the deletion of a tombstone.
`;

const Next = z.looseObject({ part: z.string() });

const Report = z.object({
  part: z.string(),
  count: z.number(),
  /** Of tombstones. */
  ids: z.array(z.string()).default([]),
  refused: z.array(z.object({ id: z.string(), sqlstate: z.string() })).default([]),
  /** Where the next batch begins; absent after the last one. */
  next: Next.optional(),
});

if (import.meta.main) await runCommand(maintain, HELP);

async function maintain(args: readonly string[]): Promise<number> {
  const { env, json, "dry-run": dryRun } = flags(args, {
    "dry-run": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    env: { type: "string" },
  }).values;
  const supabase = await connect(env);
  let isStopped = false;
  firstSignal("ends").then(() => isStopped = true);

  const progress = new RateProgress();
  const print = (line: unknown, text: string): void => {
    progress.clear();
    console.log(json ? JSON.stringify(line) : text);
  };
  const counts: Record<string, number> = {};
  let refusals = 0;
  let next: z.infer<typeof Next> | undefined;

  do {
    const report = await call(
      supabase,
      "maintain_clerk_sync",
      { dry_run: dryRun, next: next ?? null },
      Report,
    ).catch((error) => explain(error, next === undefined));
    const { part, ids, refused } = report;
    counts[part] = (counts[part] ?? 0) + report.count;
    refusals += refused.length;
    for (const id of ids) print({ purged: { part, id } }, `purged   ${id}`);
    for (const { id, sqlstate } of refused) {
      print({ refused: { part, id, sqlstate } }, `refused  ${id}: ${sqlstate}`);
    }
    next = report.next;
    progress.update(part, counts[part], null);
  } while (next !== undefined && !isStopped);

  const isFinished = next === undefined;
  print(
    { summary: { dry_run: dryRun, is_finished: isFinished, counts, refused: refusals } },
    [
      ...Object.entries(counts).map(([part, count]) =>
        part.padEnd(14) + String(count).padStart(10)
      ),
      ...(dryRun ? ["", "Dry run: nothing was written"] : []),
    ].join("\n"),
  );
  if (!isFinished) console.error(`Stopped. Go on with \`${taskCommand("maintain", env)}\``);
  return !isFinished ? 1 : refusals > 0 ? 3 : 0;
}

async function connect(envFile: string | undefined): Promise<SupabaseClient> {
  try {
    return connectProject(await readVariables(envFile));
  } catch (error) {
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    throw error;
  }
}

/** A sentence for a call that failed. */
function explain(error: unknown, isStart: boolean): never {
  if (!(error instanceof QueueError)) throw error;
  const code = error.message;
  throw new StartError(
    /^(?:57014|timeout)$/.test(code)
      ? `Cannot prune as a batch took too long (${code}): add an index to each foreign key that references profiles or organizations, and run it again`
      : databaseSentence(code, isStart),
  );
}
