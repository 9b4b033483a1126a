import { fileURLToPath } from "node:url";
import { HANDLER_VARIABLES } from "../../functions/clerk-worker/handlers/mod.ts";
import { spawnBound } from "../process.ts";
import { settlesWithin } from "../settles_within.ts";
import { StartError } from "../start_error.ts";

const ROOT = new URL("../../", import.meta.url);

/** How long a function may take to start. The first start downloads packages. */
const PATIENCE_MS = 60_000;

/** What Deno writes while it fetches packages, some of them only when they are used. */
const DENO_PROGRESS = /^(Download|Initialize|Check) \S+$/;

/** What Deno itself needs. The function has no permission to read any of it. */
const DENO_ENVIRONMENT = [
  "HOME",
  "PATH",
  "DENO_DIR",
  "XDG_CACHE_HOME",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
  "NPM_CONFIG_REGISTRY",
  "npm_config_registry",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "LOCALAPPDATA",
  "USERPROFILE",
  "SystemRoot",
];

/** What our functions read. Without permission, reading an unset variable would throw. */
const FUNCTION_ENVIRONMENT = [
  "SUPABASE_URL",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_SERVICE_ROLE_KEY",
  "CLERK_WEBHOOK_SIGNING_SECRET",
  "CLERK_WORKER_SECRET",
  "CLERK_SECRET_KEY",
  "CLERK_API_URL",
  ...HANDLER_VARIABLES,
];

export interface EdgeFunctionOptions {
  /** The folder below `functions/`. */
  name: string;
  /** The Deno that runs it; the current one by default. */
  deno?: string | undefined;
  /** Its whole environment. */
  env: Record<string, string>;
  /** Each `host:port` that it may connect to; all others are refused. */
  reaches: readonly string[];
  /** Receives every line that it writes. */
  onLog?: ((line: string) => void) | undefined;
  /** Another file to serve in its place, for tests. */
  entrypoint?: URL;
}

/** An Edge Function in its own process, with the fewest permissions it needs. */
export interface EdgeFunction extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when it has ended, after {@linkcode stop} or by itself. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts `functions/<name>/index.ts` in its own Deno process.
 *
 * @throws {StartError} when it does not start to listen, with its last error message.
 */
export async function startEdgeFunction(options: EdgeFunctionOptions): Promise<EdgeFunction> {
  const { name, env, reaches, onLog, deno = Deno.execPath() } = options;
  const entrypoint = options.entrypoint ?? new URL(`functions/${name}/index.ts`, ROOT);

  let listening: (url: string) => void = () => {};
  let isListening = false;
  const url = new Promise<string>((resolve) => listening = resolve);
  const child = spawnBound(deno, {
    args: [
      "serve",
      "--no-prompt",
      ...dependencyArgs(deno),
      `--allow-env=${[...new Set([...FUNCTION_ENVIRONMENT, ...Object.keys(env)])].join(",")}`,
      `--allow-net=${reaches.join(",")}`,
      "--host=127.0.0.1",
      "--port=0",
      fileURLToPath(entrypoint),
    ],
    cwd: fileURLToPath(ROOT),
    env: { ...denoEnvironment(), ...env, NO_COLOR: "1" },
    onOrphaned: "KILL",
    onLine: (line) => {
      const found = isListening ? null : /Listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line);
      if (found?.[1] !== undefined) {
        isListening = true;
        listening(found[1]);
      } else if (!DENO_PROGRESS.test(line)) {
        onLog?.(line);
      }
    },
  });

  const started = await Promise.race([
    url,
    child.ended.then(() => undefined),
    settlesWithin(child.ended, PATIENCE_MS).then(() => undefined),
  ]);
  if (started === undefined) {
    child.signal("SIGKILL");
    await child.ended;
    throw new StartError(
      `Cannot start the function ${name} as it reports: ${bootSentence(child.lastLines())}`,
    );
  }

  const end = async (signal: Deno.Signal): Promise<void> => {
    child.signal(signal);
    if (await settlesWithin(child.ended, 5_000)) return;
    child.signal("SIGKILL");
    await child.ended;
  };
  return {
    url: started,
    pid: child.pid,
    ended: child.ended.then(() => {}),
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    [Symbol.asyncDispose]: () => end("SIGTERM"),
  };
}

/**
 * The current Deno uses the lock file, so that cached packages suffice without a network. Another Deno
 * gets only what the Edge runtime gets: the import map.
 */
function dependencyArgs(deno: string): string[] {
  const file = (name: string): string => fileURLToPath(new URL(name, ROOT));
  return deno === Deno.execPath() ? [`--config=${file("deno.json")}`, "--frozen"] : [
    "--no-config",
    `--import-map=${file("import_map.json")}`,
    "--no-lock",
    "--node-modules-dir=none",
  ];
}

function denoEnvironment(): Record<string, string> {
  // Older versions trust only Mozilla's authorities by default, and fail behind a company's proxy.
  const kept: Record<string, string> = { DENO_TLS_CA_STORE: "mozilla,system" };
  for (const name of DENO_ENVIRONMENT) {
    const value = Deno.env.get(name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** The message of the error that ended a function, without Deno's prefixes. */
function bootSentence(lines: string[]): string {
  const line = lines.findLast((each) => /^error: /.test(each)) ??
    lines.findLast((each) => each.trim() !== "");
  return line === undefined
    ? "nothing"
    : line.replace(/^error: (Uncaught )?(\(in promise\) )?(\w*Error: )?/, "");
}
