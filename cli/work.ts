import { setTimeout } from "node:timers/promises";
import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import type { LogEntry } from "../functions/_shared/clerk_sync/log.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";
import { configure } from "../functions/clerk-worker/configure.ts";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { drain, type Summary } from "../functions/clerk-worker/drain/worker.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import {
  type DeathCauses,
  depthOf,
  type QueueStatus,
  readDeathCauses,
  readQueueStatus,
  redrive,
} from "../operations/queue.ts";
import { troubleIn } from "../operations/sentence.ts";
import { formatDelivery } from "./delivery_line.ts";
import { terminalWidth } from "./fold.ts";
import { formatStatus, FULL_BAR } from "./queue_status.ts";
import { databaseSentence, projectOf } from "./project.ts";
import { firstSignal, flags, runCommand, UsageError } from "./usage.ts";

const HELP = `Runs the queue worker on this machine, for stacks where pg_cron does not call it.

  deno task work              drains the queue clerk_changes, over and over; Ctrl-C lets it finish
                              the changes it holds, a second Ctrl-C does not
  deno task work --once       drains it once
  deno task work --status     shows how many changes wait, are in flight, wait for another try
                              (and which handler failed, and why), and are dead (and why)
  deno task work --redrive    puts dead letters back on the queue

  --watch       with --status: refreshes twice a second, until Ctrl-C, also across restarts
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  SUPABASE_URL and SUPABASE_SECRET_KEY in the environment win over that file. Set both to work on
  any other project.

  Handlers read the environment, as in the deployed function: FORWARD_URLS and
  FORWARD_SIGNING_SECRET; RESEND_API_KEY or SMTP_URL, WELCOME_FROM, WELCOME_APP and WELCOME_PER_HOUR.
`;

/** What `--watch` puts before each status. */
const TIME = "hh:mm:ss ";

interface Options {
  readonly once: boolean;
  readonly status: boolean;
  readonly watch: boolean;
  readonly redrive: boolean;
  readonly envFile: string | undefined;
}

/** How long to wait when the queue is empty, ms. */
const PAUSE = 1000;
/** How long to wait when the database cannot be reached, ms. */
const PAUSE_IN_OUTAGE = 3000;
const WATCH_INTERVAL = 500;

if (import.meta.main) await runCommand(work, HELP);

async function work(args: readonly string[]): Promise<number> {
  const options = parse(args);
  try {
    const project = await projectIn(options);
    if (options.redrive) await redriveAll(project);
    else if (options.watch) await watchStatus(project, options);
    else if (options.status) console.log(formatStatus(await readStatus(project), terminalWidth()));
    else await drainHere(project, options.once);
    return 0;
  } catch (error) {
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    if (error instanceof QueueError) {
      if (troubleIn(error.message) !== undefined) {
        throw new StartError(databaseSentence(error.message, true));
      }
      throw new StartError(
        `Cannot reach the queue as the database answers ${error.message}: is the stack running, and are the migrations applied?`,
      );
    }
    throw error;
  }
}

async function projectIn({ envFile }: Options): Promise<Project> {
  return projectOf(await readVariables(envFile));
}

function parse(args: readonly string[]): Options {
  const { env, ...values } = flags(args, {
    once: { type: "boolean", default: false },
    status: { type: "boolean", default: false },
    watch: { type: "boolean", default: false },
    redrive: { type: "boolean", default: false },
    env: { type: "string" },
  }).values;
  if ([values.once, values.status, values.redrive].filter(Boolean).length > 1) {
    throw new UsageError("Cannot combine --once, --status and --redrive: choose one of them");
  }
  if (values.watch && !values.status) {
    throw new UsageError("Cannot use --watch without --status: add --status");
  }
  return { ...values, envFile: env };
}

interface Project {
  readonly url: string;
  readonly key: string;
}

async function drainHere({ url, key }: Project, once: boolean): Promise<void> {
  const given: Readonly<Record<string, string>> = {
    SUPABASE_URL: url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_worker: key }),
  };
  const print = (entry: LogEntry): void => {
    console.log(formatDelivery(JSON.stringify(entry), new Date()));
  };
  const { worker: configured } = configure((name) => given[name] ?? Deno.env.get(name), print);
  // The Edge platform's limits do not apply here.
  const settings = { ...configured.settings, takeForMs: Infinity, takeAtMost: Infinity };
  const stopping = new AbortController();
  firstSignal("ends").then(() => stopping.abort());
  const stop = stopping.signal;
  const worker = { ...configured, settings, stop };

  const first = await drain(worker);
  if (once) return console.log(summaryOf(first));
  let last: Summary | undefined = first;
  while (!stop.aborted) {
    if (last === undefined) await pause(PAUSE_IN_OUTAGE, stop);
    else if (last.done + last.retried + last.dead === 0) await pause(PAUSE, stop);
    if (stop.aborted) break;
    last = await drain(worker).catch(outage);
  }
  console.log("Stopped; no change is in flight");
}

/** Says that the queue cannot be reached now. Throws any other error. */
function outage(error: unknown): undefined {
  if (!(error instanceof QueueError)) throw error;
  console.error(`Cannot reach the queue as the database answers ${error.message}; trying again`);
}

function summaryOf({ done, retried, dead }: Summary): string {
  return `${done} done, ${retried} to retry, ${dead} dead`;
}

async function redriveAll({ url, key }: Project): Promise<void> {
  let batches = 0;
  const total = await redrive(connect(url, key), (soFar) => {
    if (++batches > 1) console.error(`${soFar} so far`);
  });
  console.log(`${total} ${total === 1 ? "dead letter is" : "dead letters are"} back on the queue`);
}

async function readStatus(
  { url, key }: Project,
): Promise<QueueStatus & { readonly deaths?: DeathCauses }> {
  const supabase = connect(url, key);
  const status = await readQueueStatus(supabase);
  return status.dead === 0 ? status : { ...status, deaths: await readDeathCauses(supabase) };
}

/** Moves the cursor up by some lines, and erases them. */
function linesUp(lines: number): Uint8Array {
  return new TextEncoder().encode(`\x1b[${lines}A\x1b[0J`);
}

async function watchStatus(project: Project, options: Options): Promise<void> {
  const isTerminal = Deno.stdout.isTerminal();
  let most = FULL_BAR;
  let before: string | undefined;

  for (;;) {
    const status = await readStatus(project).catch(outage);
    if (status === undefined) {
      await pause(PAUSE_IN_OUTAGE);
      // A stack that was started anew may have another port, or other keys.
      project = await projectIn(options).catch(() => project);
      before = undefined;
      continue;
    }
    most = Math.max(most, depthOf(status));

    // While nothing changes, a terminal shows the same lines with the current time.
    const text = formatStatus(status, terminalWidth() - TIME.length, most);
    if (isTerminal && text === before) Deno.stdout.writeSync(linesUp(text.split("\n").length));
    console.log(`${new Date().toTimeString().slice(0, TIME.length - 1)} ${text}`);
    before = text;
    await pause(WATCH_INTERVAL);
  }
}

/** Resolves early when the signal is aborted. */
async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => {});
}
