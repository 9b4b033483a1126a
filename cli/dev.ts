import { parseArgs } from "node:util";
import { HANDLER_VARIABLES } from "../functions/clerk-worker/handlers/mod.ts";
import { settlesWithin } from "../local/settles_within.ts";
import { ENV_FILE, type Environment, removeEnvFile, writeEnvFile } from "../local/env_file.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { reasonOf, StartError } from "../local/start_error.ts";
import { formatDelivery } from "./delivery_line.ts";
import { HeldLines } from "./held_lines.ts";
import { complain, UsageError, withoutDashes } from "./usage.ts";

const HELP = `The whole stack on this machine, without Docker: Postgres, API, webhook.

  deno task dev

  --port N         of the API and the webhook (54321); 0 chooses a free one
  --db-port N      of Postgres (54322); 0 chooses a free one
  --data-dir DIR   where the database is kept
  --ephemeral      an empty database that is gone when it ends
  --env-file FILE  where to write how to reach it (.local/env)
`;

interface Options {
  readonly port: number;
  readonly dbPort: number;
  readonly dataDir: string | undefined;
  readonly ephemeral: boolean;
  readonly envFile: string | URL;
}

/** How long a start under way may still take after a signal, ms. */
const LAST_CHANCE = 10_000;

if (import.meta.main) await complain(() => dev(Deno.args));

/** Runs the stack until a signal comes; the exit code is 0 then, and 1 when it broke down. */
async function dev(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (options === "help") {
    say(HELP);
    return 0;
  }

  const signal = firstSignal();
  // What functions say at their start comes after the introduction, or not at all.
  const functionLines = new HeldLines(say);
  const starting = start(options, functionLines);
  const [interrupted, stack] = await Promise.race([
    signal.then(() => [true, undefined] as const),
    starting.then((started) => [false, started] as const),
  ]);
  if (interrupted) {
    await settlesWithin(starting.then((started) => started.stop()), LAST_CHANCE);
    return 0;
  }

  const environment = environmentOf(stack);
  try {
    await writeEnvFile(options.envFile, environment, stack.keys.tokenKey);
    introduce(environment, options);
    functionLines.release();

    const broken = await Promise.race([
      signal.then(() => undefined),
      stack.postgres.ended.then(() => stack.postgres.lastLines().at(-1) ?? "nothing"),
    ]);
    if (broken !== undefined) {
      throw new StartError(`Cannot go on as Postgres ended by itself; its last words: ${broken}`);
    }
    say("\nStopping");
    return 0;
  } finally {
    await removeEnvFile(options.envFile, environment);
    await stack.stop();
  }
}

function parse(args: readonly string[]): Options | "help" {
  let values;
  try {
    values = parseArgs({
      args: withoutDashes(args),
      options: {
        port: { type: "string", default: "54321" },
        "db-port": { type: "string", default: "54322" },
        "data-dir": { type: "string" },
        "env-file": { type: "string" },
        ephemeral: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(". ")[0]}. See --help`);
  }
  if (values.help) return "help";
  if (values.ephemeral && values["data-dir"] !== undefined) {
    throw new UsageError("Cannot keep an --ephemeral database in --data-dir: choose one of them");
  }
  return {
    port: portOf("port", values.port),
    dbPort: portOf("db-port", values["db-port"]),
    dataDir: absolute(values["data-dir"]),
    ephemeral: values.ephemeral,
    envFile: values["env-file"] ?? ENV_FILE,
  };
}

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new UsageError(`Cannot use --${flag} ${text} as ports are whole numbers up to 65535`);
}

function absolute(path: string | undefined): string | undefined {
  if (path === undefined || path.startsWith("/") || /^[A-Za-z]:/.test(path)) return path;
  return `${Deno.cwd()}/${path}`;
}

/** Resolves at the first signal to stop; later ones change nothing. */
function firstSignal(): Promise<void> {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  return new Promise((resolve) => {
    for (const signal of signals) Deno.addSignalListener(signal, () => resolve());
  });
}

async function start(options: Options, functionLines: HeldLines): Promise<Stack> {
  try {
    return await startStack({
      port: options.port,
      dbPort: options.dbPort,
      ephemeral: options.ephemeral,
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
      worker: workerEnvironment(),
      onProgress: (text) => say(`  ${text}`),
      onFunctionLog: (line) => {
        const text = formatDelivery(line, new Date());
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
  for (const name of HANDLER_VARIABLES) {
    const value = Deno.env.get(name);
    if (value !== undefined && value !== "") found[name] = value;
  }
  return found;
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

function introduce(environment: Environment, options: Options): void {
  const isDefault = options.envFile === ENV_FILE;
  const file = isDefault ? ".local/env" : String(options.envFile);
  // Whoever came by npx has no deno to call, and Node would take --env-file for its own.
  const isNpx = Deno.env.get("npm_command") === "exec";
  const deno = isNpx ? `npx -y deno@${Deno.version.deno}` : "deno";
  const flag = isDefault ? "" : `${isNpx ? " --" : ""} --env-file ${file}`;
  say(`
  API              ${environment.SUPABASE_URL}
  Webhook          ${environment.CLERK_WEBHOOK_URL}
  Database         ${environment.DATABASE_URL}
  Publishable key  ${environment.SUPABASE_PUBLISHABLE_KEY}
  Secret key       ${environment.SUPABASE_SECRET_KEY}
  Signing secret   ${environment.CLERK_WEBHOOK_SIGNING_SECRET}

Ready; all of this is in ${file} too. Ctrl-C ends it. Next, in a second terminal:

  ${deno} task send user.created${flag}
`);
}

/** Whoever read our output may be gone; that is no reason to stop. */
function say(text: string): void {
  try {
    console.log(text);
  } catch {
    // Nobody reads it.
  }
}
