import { ConfigurationError, type Read } from "../functions/_shared/clerk_sync/configuration.ts";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { clerkFrom, createClerkApi } from "../functions/clerk-worker/reconcile/clerk_api.ts";
import { openMetrics, readStatus, type Status } from "../functions/clerk-worker/status.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { type Paint, paintFor } from "./colour.ts";
import { age, counts, duration } from "./figures.ts";
import { fold, terminalWidth } from "./fold.ts";
import { connectProject, databaseSentence, isLoopback, projectOf } from "./project.ts";
import { flags, runCommand, taskCommand } from "./usage.ts";

const HELP =
  `Says whether the sync is healthy: what is wrong, and what to do; then ages, counts and sizes.

  deno task status
  deno task status --json           prints JSON
  deno task status --openmetrics    prints metrics for Prometheus

  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  SUPABASE_URL and SUPABASE_SECRET_KEY in the environment win over that file. With CLERK_SECRET_KEY, the
  rows are compared with Clerk's own counts. The thresholds are columns of clerk_sync.settings.

  Exit codes: 0 all is well, 1 failed, 2 wrong usage, 3 something is wrong.
`;

/** How long Clerk's API may fail, ms. The status is of use without it. */
const PATIENCE = 5_000;

if (import.meta.main) await runCommand(status, HELP);

async function status(args: readonly string[]): Promise<number> {
  const { env, json, openmetrics } = flags(args, {
    json: { type: "boolean", default: false },
    openmetrics: { type: "boolean", default: false },
    env: { type: "string" },
  }).values;
  const variables = await readVariables(env);
  const found = await read(variables);
  if (json) console.log(JSON.stringify(found));
  else if (openmetrics) console.log(openMetrics(found).trimEnd());
  else {
    console.log(formatStatus(found, terminalWidth(), paintFor(Deno.stdout)));
    if (
      found.is_healthy && found.events.last_seconds === null && isLoopback(projectOf(variables).url)
    ) {
      console.log(`\nSend an event:\n  ${taskCommand("send user.created", env)}`);
    }
  }
  return found.is_healthy ? 0 : 3;
}

async function read(variables: Read): Promise<Status> {
  try {
    const clerk = clerkFrom(variables);
    const api = clerk && createClerkApi({ ...clerk, patience: PATIENCE });
    return await readStatus(connectProject(variables), api, (why) => {
      console.error(`The rows are not compared with Clerk's counts. ${why}`);
    });
  } catch (error) {
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    if (error instanceof QueueError) throw new StartError(databaseSentence(error.message, true));
    throw error;
  }
}

/** The verdict, each breach with its cure, and the figures, in lines of at most this width. */
export function formatStatus(
  { is_healthy, verdict, breaches, ...figures }: Status,
  width: number,
  paint: Paint,
): string {
  const { events, queue, runs, rows, bytes } = figures;
  const judged = (text: string, status: number): string[] =>
    fold(text, 2, width).map((line) => paint(line, status));
  const wrong = breaches.flatMap((
    { sentence, cure },
  ) => [...judged(`✗ ${sentence}`, 500), ...fold(`  ${cure}`, 2, width)]);
  const row = (name: string, text: string): string =>
    fold(`${name.padEnd(14)}${text}`, 14, width).join("\n");
  return [
    ...(is_healthy ? judged(`✓ ${verdict}`, 200) : wrong),
    "",
    row("last event", `${age(events.last_seconds)}, applied ${age(events.last_applied_seconds)}`),
    row("last hour", counts(events.hour)),
    row("last day", counts(events.day) + (events.is_day_whole ? "" : " (of the newest 20,000)")),
    row(
      "waiting",
      counts(events.waiting) +
        (events.oldest_waiting_seconds === null
          ? ""
          : `, the oldest ${duration(events.oldest_waiting_seconds)} old`),
    ),
    row(
      "queue",
      `${queue.waiting} waiting, ${queue.in_flight} in flight, ${queue.retrying} retrying, ` +
        `${queue.dead} dead` +
        (queue.oldest_seconds === null ? "" : `, the oldest ${duration(queue.oldest_seconds)} old`),
    ),
    row("backfill", age(runs.backfill_seconds)),
    row("reconcile", age(runs.reconcile_seconds)),
    row("poll", age(runs.poll_seconds)),
    ...(rows === null ? [] : [
      row(
        "here / Clerk",
        Object.entries(rows).map(([kind, { here, clerk }]) => `${kind} ${here} / ${clerk}`)
          .join(", "),
      ),
    ]),
    row(
      "sizes",
      Object.entries(bytes).map(([name, size]) => `${name} ${megabytes(size)}`).join(", "),
    ),
    row("version", versions(figures)),
  ].join("\n");
}

/** Schema and code are deployed one after the other; for long they should not differ. */
function versions(
  { version, code_version, installation }: Pick<
    Status,
    "version" | "code_version" | "installation"
  >,
): string {
  const both = version === code_version
    ? version
    : `schema ${version}, this command ${code_version}: run \`upgrade\` and deploy what it writes`;
  return installation === "installed"
    ? both
    : `${both}. Not every migration was applied (${installation}): run \`supabase db push\``;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
