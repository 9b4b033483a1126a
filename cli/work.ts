import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { z } from "zod";
import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import type { LogEntry } from "../functions/_shared/clerk_sync/log.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";
import { configureWorker } from "../functions/clerk-worker/configure.ts";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { drain, type Summary } from "../functions/clerk-worker/drain/worker.ts";
import { readEnvironment } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { formatDelivery } from "./delivery_line.ts";
import { bar } from "./progress.ts";
import { complain, UsageError, withoutDashes } from "./usage.ts";

const HELP = `Runs the queue worker here, where neither pg_cron nor a deployed function does.

  deno task work              drains the queue clerk_changes, again and again, until Ctrl-C, which
                              lets it finish what it holds; a second one does not
  deno task work --once       drains it once
  deno task work --status     shows what waits, is in flight, and is dead
  deno task work --redrive    puts dead letters back on the queue

  --watch            with --status: shows it every half second, until Ctrl-C
  --env-file FILE    where \`deno task dev\` wrote how to reach the stack (.local/env)

  SUPABASE_URL and SUPABASE_SECRET_KEY of the environment win over that file: with both set, it
  works for any project.

  Handlers are configured by the environment, as for the deployed function: FORWARD_URLS and
  FORWARD_SIGNING_SECRET; RESEND_API_KEY or SMTP_URL, WELCOME_FROM and WELCOME_APP.
`;

const Status = z.object({
  waiting: z.number(),
  in_flight: z.number(),
  oldest_seconds: z.number().nullable(),
  dead: z.number(),
});

const ONE_LINE_UP = new TextEncoder().encode("\x1b[1A\x1b[2K");

interface Options {
  readonly once: boolean;
  readonly status: boolean;
  readonly watch: boolean;
  readonly redrive: boolean;
  readonly envFile: string | undefined;
}

/** How long an empty queue is left alone, ms. */
const PAUSE = 1000;
/** How long a database that cannot be reached any more is left alone, ms. */
const PAUSE_OF_OUTAGE = 3000;
const WATCH_EVERY = 500;
/** The depth that fills the bar, until there has been a greater one. */
const FULL_BAR = 100;

if (import.meta.main) await complain(() => work(Deno.args));

async function work(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (options === "help") {
    console.log(HELP);
    return 0;
  }

  const { envFile } = options;
  const environment = await readEnvironment({
    names: ["SUPABASE_URL", "SUPABASE_SECRET_KEY"],
    ...(envFile === undefined ? {} : { envFile }),
  });
  const project = { url: environment.SUPABASE_URL, key: environment.SUPABASE_SECRET_KEY };
  try {
    if (options.redrive) await redrive(project);
    else if (options.status) await showStatus(project, options.watch);
    else await drainHere(project, options.once);
    return 0;
  } catch (error) {
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    if (error instanceof QueueError) {
      throw new StartError(
        `Cannot reach the queue as the database answers ${error.message}: are the migrations applied?`,
      );
    }
    throw error;
  }
}

function parse(args: readonly string[]): Options | "help" {
  let values;
  try {
    values = parseArgs({
      args: withoutDashes(args),
      options: {
        once: { type: "boolean", default: false },
        status: { type: "boolean", default: false },
        watch: { type: "boolean", default: false },
        redrive: { type: "boolean", default: false },
        "env-file": { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(". ")[0]}. See --help`);
  }
  if (values.help) return "help";
  if ([values.once, values.status, values.redrive].filter(Boolean).length > 1) {
    throw new UsageError("Cannot do --once, --status and --redrive together: choose one of them");
  }
  if (values.watch && !values.status) {
    throw new UsageError("Cannot --watch without --status");
  }
  return { ...values, envFile: values["env-file"] };
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
  const configured = configureWorker((name) => given[name] ?? Deno.env.get(name), print);
  // The platform's limits are not ours.
  const settings = { ...configured.settings, takeForMs: Infinity, takeAtMost: Infinity };
  const stop = firstSignal();
  const worker = { ...configured, settings, stop };

  const first = await drain(worker);
  if (once) return console.log(summaryOf(first));
  let last: Summary | undefined = first;
  while (!stop.aborted) {
    if (last === undefined) await pause(PAUSE_OF_OUTAGE, stop);
    else if (last.done + last.retried + last.dead === 0) await pause(PAUSE, stop);
    if (stop.aborted) break;
    last = await drain(worker).catch((error) => {
      if (!(error instanceof QueueError)) throw error;
      console.error(`Cannot reach the queue as the database answers ${error.message}; going on`);
      return undefined;
    });
  }
  console.log("Stopped; nothing is held");
}

function summaryOf({ done, retried, dead }: Summary): string {
  return `${done} done, ${retried} to be tried again, ${dead} dead`;
}

/** Aborts at the first signal to stop; the second one ends the process. */
function firstSignal(): AbortSignal {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const onSignal = (): void => {
    controller.abort();
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  };
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  return controller.signal;
}

async function redrive({ url, key }: Project): Promise<void> {
  const { data, error } = await connect(url, key).rpc("redrive_clerk_changes");
  if (error !== null) throw new QueueError(error.code || "no answer");
  console.log(`${data} dead letters are back on the queue`);
}

/** So that a line with its figures fits on a terminal of 80 columns; 24 at most. */
function barWidth(): number {
  const FIGURES = 70;
  const { columns } = Deno.stdout.isTerminal() ? Deno.consoleSize() : { columns: Infinity };
  return Math.max(4, Math.min(24, columns - FIGURES));
}

async function showStatus({ url, key }: Project, watch: boolean): Promise<void> {
  const supabase = connect(url, key);
  const isTerminal = Deno.stdout.isTerminal();
  let most = FULL_BAR;
  let before: string | undefined;

  for (;;) {
    const { data, error } = await supabase.rpc("clerk_changes_status");
    if (error !== null) throw new QueueError(error.code || "no answer");
    const status = Status.parse(data);
    const depth = status.waiting + status.in_flight;
    most = Math.max(most, depth);

    const oldest = status.oldest_seconds === null ? "–" : `${status.oldest_seconds} s`;
    const line =
      `${bar(depth / most, barWidth())} waiting ${String(status.waiting).padStart(6)}   ` +
      `in flight ${String(status.in_flight).padStart(4)}   oldest ${oldest.padStart(6)}   ` +
      `dead ${status.dead}`;
    if (!watch) return console.log(line);

    // While nothing changes, only the clock does: on a terminal, in its place.
    if (isTerminal && line === before) Deno.stdout.writeSync(ONE_LINE_UP);
    console.log(`${new Date().toTimeString().slice(0, 8)} ${line}`);
    before = line;
    await pause(WATCH_EVERY);
  }
}

/** Ends early, and without complaint, when it is told to stop. */
async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => {});
}
