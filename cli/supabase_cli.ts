import { StartError } from "../local/start_error.ts";
import { npmFile } from "./npm_file.ts";

/** The platforms for which npm has the Supabase CLI, by Deno's names. */
const PLATFORMS: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-x86_64": "darwin-x64",
  "darwin-aarch64": "darwin-arm64",
  "windows-x86_64": "windows-x64",
  "windows-aarch64": "windows-arm64",
};

/** The variables of our environment that a program needs. No others are passed on. */
const PASSED_ON = [
  ...["PATH", "TMPDIR", "TEMP", "SystemRoot"],
  ...["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"],
];

/** Disables telemetry, the check for a newer version and the keyring. */
const QUIET = {
  DO_NOT_TRACK: "1",
  SUPABASE_TELEMETRY_DISABLED: "1",
  SUPABASE_NO_UPDATE_NOTIFIER: "1",
  SUPABASE_NO_KEYRING: "1",
  NO_COLOR: "1",
};

/** How long one command may take unless it is told otherwise, ms. */
const PATIENCE = 120_000;

/** The version of the Supabase CLI that everything here uses. */
export const SUPABASE_CLI_VERSION = "3.1.0";

/**
 * The path of the Supabase CLI's program in the pinned version, downloaded when it is missing.
 *
 * It comes from the platform's package: the wrapper in `supabase` does not pass signals on, and Deno
 * would download the packages of all platforms.
 *
 * @throws {StartError} when npm does not have it for this platform, or cannot be reached.
 */
export async function supabaseCli(): Promise<string> {
  const here = `${Deno.build.os}-${Deno.build.arch}`;
  const platform = PLATFORMS[here];
  if (platform === undefined) {
    throw new StartError(
      `Cannot run the Supabase CLI on ${here} as npm has it for ` +
        `${Object.keys(PLATFORMS).join(", ")} only: use one of these`,
    );
  }

  return await npmFile(
    `@supabase/cli-${platform}@${SUPABASE_CLI_VERSION}`,
    Deno.build.os === "windows" ? "bin/supabase.exe" : "bin/supabase",
  );
}

/**
 * How a command reaches a database on this machine, which has no TLS: by a URL without password and a
 * variable with it, because everybody can read a program's arguments.
 */
export function withoutPassword(
  databaseUrl: string,
): { url: string; env: { PGPASSWORD: string } } {
  const url = new URL(databaseUrl);
  const env = { PGPASSWORD: url.password };
  url.password = "";
  // Without sslmode, the CLI prints a warning into the generated types.
  url.searchParams.set("sslmode", "disable");
  return { url: url.href, env };
}

/** The result of a command of the Supabase CLI. */
export interface SupabaseAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one command of the Supabase CLI without a terminal and without our home and environment, so that
 * it does the same on every machine. It writes to `supabase/.temp` in its folder.
 *
 * @param options.cwd the folder that contains `supabase/`
 * @param options.remote the URL of the database on this machine that `--remote` is to name
 * @param options.env more variables of its environment
 * @param options.patience how long it may take, ms; then it is ended, and its errors say so
 */
export async function runSupabase(
  args: readonly string[],
  options: {
    readonly cwd: string;
    readonly remote?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly patience?: number;
  },
): Promise<SupabaseAnswer> {
  const program = await supabaseCli();
  const remote = options.remote === undefined ? undefined : withoutPassword(options.remote);
  const home = await Deno.makeTempDir({ prefix: "clerk-sync-supabase-" });
  const limit = options.patience ?? PATIENCE;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), limit);

  try {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args, ...(remote === undefined ? [] : [`--remote=${remote.url}`]), "--agent", "no"],
      cwd: options.cwd,
      clearEnv: true,
      env: {
        ...passedOn(),
        HOME: home,
        USERPROFILE: home,
        ...QUIET,
        ...remote?.env,
        ...options.env,
      },
      stdin: "null",
      signal: patience.signal,
    }).output();
    const text = new TextDecoder();
    const ended = patience.signal.aborted ? `\nIt was ended after ${limit / 1000} s.` : "";
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) + ended };
  } finally {
    clearTimeout(timer);
    await Deno.remove(home, { recursive: true });
  }
}

function passedOn(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = Deno.env.get(name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
