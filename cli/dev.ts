import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import type { ConsoleProject } from "../console/server/deps.ts";
import { RefusalRing } from "../console/server/refusals.ts";
import { startConsole } from "../console/server/start_console.ts";
import denoJson from "../deno.json" with { type: "json" };
import { HANDLER_VARIABLES } from "../functions/clerk-worker/handlers/mod.ts";
import { clerkFrom } from "../functions/clerk-worker/reconcile/clerk_api.ts";
import { settlesWithin } from "../local/settles_within.ts";
import {
  displayEnvFile,
  ENV_FILE,
  type Environment,
  removeEnvFile,
  reserveEnvFile,
  writeEnvFile,
} from "../local/env_file.ts";
import { stackHome } from "../local/postgres/home.ts";
import { refuseTakenPort } from "../local/postgres/postgres.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { reasonOf, StartError } from "../local/start_error.ts";
import { paintFor } from "./colour.ts";
import { formatDelivery } from "./delivery_line.ts";
import { HeldLines } from "./held_lines.ts";
import { starterGone } from "./starter_gone.ts";
import {
  asTyped,
  firstSignal,
  flags,
  portFrom,
  runCommand,
  taskCommand,
  UsageError,
} from "./usage.ts";

const HELP =
  `Runs the whole stack on this machine, without Docker: Postgres, API, webhook, worker, console.

  deno task dev

  --port N         port of the API and the functions (54321); 0 picks a free one
  --db-port N      port of Postgres (54322); 0 picks a free one
  --console-port N port of the console (54323, or a free one if that is taken); 0 picks a free one
  --data-dir DIR   where to keep the database (a folder that belongs to this one, which dev prints)
  --reset          delete the data that is kept there, and start with an empty database
  --ephemeral      start with an empty database, and delete it at the end
  --env FILE       where to write the URLs and keys (.local/env); --env-file is an alias

  A second stack of this folder: dev --port 0 --db-port 0 --ephemeral. The first one keeps .local/env,
  and the second writes to .local/env-PORT: pass --env .local/env-PORT to send, token and work.

  The webhook also accepts the signing secrets in CLERK_WEBHOOK_SIGNING_SECRET, for real events. With
  CLERK_SECRET_KEY, the worker also reads Clerk's API: what changed every 10 minutes, all of it each night.

  Ctrl-C stops it. It also stops when the process that started it is gone.
`;

interface Options {
  readonly port: number;
  readonly dbPort: number;
  /** The default one, or a free one if that is taken, when undefined. */
  readonly consolePort: number | undefined;
  readonly dataDir: string | undefined;
  readonly reset: boolean;
  readonly ephemeral: boolean;
  readonly envFile: string | undefined;
}

/** How long a stack that is still starting may take to stop after a signal, ms. */
const LAST_CHANCE = 10_000;

/** Of a narrow terminal. */
const COLUMNS = 80;

const PAINT = paintFor(Deno.stdout);

if (import.meta.main) await runCommand(dev, HELP);

/** Runs the stack until it is told to stop (exit code 0) or breaks down (1). */
async function dev(args: readonly string[]): Promise<number> {
  const options = parse(args);
  await using reserved = await reserveEnvFile(options.envFile ?? ENV_FILE);
  if (reserved === undefined && options.envFile !== undefined) {
    throw new StartError(
      `Cannot write ${options.envFile} as it belongs to another running stack: choose another file with --env`,
    );
  }
  if (reserved === undefined) await refuseSecond(options);
  const stop = Promise.race([firstSignal("ignored"), starterGone()]);
  const { consolePort } = options;
  if (consolePort !== undefined && consolePort !== 0) {
    refuseTakenPort(consolePort, "--console-port");
  }
  // What the functions log while they start is shown below the introduction.
  const functionLines = new HeldLines(say);
  const refusals = new RefusalRing();
  const starting = start(options, functionLines, refusals);
  const [interrupted, stack] = await Promise.race([
    stop.then(() => [true, undefined] as const),
    starting.then((started) => [false, started] as const),
  ]);
  if (interrupted) {
    await settlesWithin(starting.then((started) => started.stop()), LAST_CHANCE);
    return 0;
  }

  // .local/env belongs to another stack, but no other one has this port.
  const envFile = reserved === undefined
    ? `${fileURLToPath(ENV_FILE)}-${new URL(stack.apiUrl).port}`
    : options.envFile ?? ENV_FILE;
  let environment: Environment | undefined;
  try {
    await using page = startConsole({
      ...consoleProject(stack, envFile),
      refusals,
      port: consolePort,
      cache: stackHome,
      onError: (error) => say(`The console failed: ${(error as Error).stack}`),
    });
    environment = { ...environmentOf(stack), CONSOLE_URL: page.url };
    await writeEnvFile(envFile, environment, stack.keys.tokenKey);
    introduce(environment, { envFile, isFirst: reserved !== undefined, dataDir: stack.dataDir });
    functionLines.release();

    const broken = await Promise.race([
      stop.then(() => undefined),
      stack.postgres.ended.then(() => stack.postgres.lastLines().at(-1) ?? "nothing"),
    ]);
    if (broken !== undefined) {
      throw new StartError(
        `Cannot continue as Postgres ended by itself; its last line was: ${broken}`,
      );
    }
    say("\nStopping");
    return 0;
  } finally {
    if (environment !== undefined) await removeEnvFile(envFile, environment);
    await stack.stop();
  }
}

/** Refuses what would listen where the running stack of this folder does, and says how to start another. */
async function refuseSecond({ port, dbPort }: Options): Promise<void> {
  // While that one starts, there is no file yet.
  const text = await Deno.readTextFile(ENV_FILE).catch(() => "");
  const { SUPABASE_URL, DATABASE_URL, CONSOLE_URL } = parseEnv(text);
  const taken = [SUPABASE_URL, DATABASE_URL].map((url) => Number(URL.parse(url ?? "")?.port));
  if (taken[0] !== port && taken[1] !== dbPort) return;
  throw new StartError(
    `\`dev\` already runs for this folder, and its console is ${CONSOLE_URL}: for a second stack with a database of its own, add --port 0 --db-port 0 --ephemeral`,
  );
}

function parse(args: readonly string[]): Options {
  const { values } = flags(args, {
    port: { type: "string", default: "54321" },
    "db-port": { type: "string", default: "54322" },
    "console-port": { type: "string" },
    "data-dir": { type: "string" },
    env: { type: "string" },
    reset: { type: "boolean", default: false },
    ephemeral: { type: "boolean", default: false },
  });
  if (values.ephemeral && values.reset) {
    throw new UsageError("Cannot combine --ephemeral and --reset: both start empty, choose one");
  }
  if (values.ephemeral && values["data-dir"] !== undefined) {
    throw new UsageError("Cannot combine --ephemeral and --data-dir: choose one of them");
  }
  return {
    port: portFrom("port", values.port),
    dbPort: portFrom("db-port", values["db-port"]),
    consolePort: values["console-port"] === undefined
      ? undefined
      : portFrom("console-port", values["console-port"]),
    dataDir: values["data-dir"] === undefined ? undefined : resolve(values["data-dir"]),
    reset: values.reset,
    ephemeral: values.ephemeral,
    envFile: values.env,
  };
}

async function start(
  options: Options,
  functionLines: HeldLines,
  refusals: RefusalRing,
): Promise<Stack> {
  try {
    return await startStack({
      port: options.port,
      dbPort: options.dbPort,
      reset: options.reset,
      ephemeral: options.ephemeral,
      dataDir: options.dataDir,
      signingSecrets: Deno.env.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "",
      worker: workerEnvironment(),
      onProgress: (text) => say(`  ${text}`),
      onFunctionLog: (line) => {
        refusals.note(line);
        const text = formatDelivery(line, new Date(), PAINT);
        if (text !== "") functionLines.say(text);
      },
      onNotice: (text) => say(text),
      onError: (error) => say(`The API failed: ${(error as Error).message}`),
    });
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`Cannot start the stack as ${reasonOf(error)}`);
  }
}

function workerEnvironment(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["CLERK_SECRET_KEY", "CLERK_API_URL", ...HANDLER_VARIABLES]) {
    const value = Deno.env.get(name);
    if (value !== undefined && value !== "") found[name] = value;
  }
  return found;
}

function consoleProject(stack: Stack, envFile: string | URL): ConsoleProject {
  return {
    url: stack.apiUrl,
    key: stack.keys.secret,
    clerk: clerkFrom((name) => Deno.env.get(name)),
    local: {
      databaseUrl: stack.databaseUrl,
      webhookUrl: stack.webhookUrl,
      signingSecret: stack.signingSecret,
      publishableKey: stack.keys.publishable,
      issueToken: stack.issueToken,
    },
    command: asTyped("deno task"),
    envFlag: envFile === ENV_FILE ? "" : ` --env ${displayEnvFile(envFile)}`,
    cliVersion: denoJson.version,
  };
}

function environmentOf(stack: Stack): Environment {
  return {
    SUPABASE_URL: stack.apiUrl,
    SUPABASE_PUBLISHABLE_KEY: stack.keys.publishable,
    SUPABASE_SECRET_KEY: stack.keys.secret,
    CLERK_WEBHOOK_URL: stack.webhookUrl,
    CLERK_WEBHOOK_SIGNING_SECRET: stack.signingSecret,
    DATABASE_URL: stack.databaseUrl,
  };
}

function introduce(
  environment: Environment,
  { envFile, isFirst, dataDir }: {
    envFile: string | URL;
    isFirst: boolean;
    dataDir: string | undefined;
  },
): void {
  const file = displayEnvFile(envFile);
  const values = [
    ["Console", environment.CONSOLE_URL],
    ["API", environment.SUPABASE_URL],
    ["Webhook", environment.CLERK_WEBHOOK_URL],
    ["Database", environment.DATABASE_URL],
    ["Data", dataDir ?? "deleted at the end"],
    ["Publishable key", environment.SUPABASE_PUBLISHABLE_KEY],
    ["Secret key", environment.SUPABASE_SECRET_KEY],
    ["Signing secret", environment.CLERK_WEBHOOK_SIGNING_SECRET],
  ] as const;
  say(`
${values.map(([name, value]) => pair(name, value ?? "")).join("\n")}

Ready. These values are also in ${file}${
    isFirst ? "" : ", because another stack uses\n.local/env"
  }. Ctrl-C stops everything.
Next, in a second terminal:

  ${taskCommand("send user.created", envFile === ENV_FILE ? undefined : file)}
`);
}

/** A name and its value, which has a line of its own if both together would break. */
function pair(name: string, value: string): string {
  const line = `  ${name.padEnd(15)}  ${value}`;
  if (line.length <= COLUMNS) return line;
  return `  ${name}\n${" ".repeat(Math.max(0, Math.min(4, COLUMNS - value.length)))}${value}`;
}

/** Prints a line. If nobody reads our output any more, the stack runs on. */
function say(text: string): void {
  try {
    console.log(text);
  } catch {
    // The pipe is closed.
  }
}
