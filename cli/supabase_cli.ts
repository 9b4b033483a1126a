import importMap from "../import_map.json" with { type: "json" };
import { StartError } from "../local/start_error.ts";
import { npmFile } from "./npm_file.ts";

/** The platforms that npm carries the Supabase CLI for, by Deno's names. */
const PLATFORMS: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-x86_64": "darwin-x64",
  "darwin-aarch64": "darwin-arm64",
  "windows-x86_64": "windows-x64",
  "windows-aarch64": "windows-arm64",
};

/** What a program needs of our environment on any platform; nothing else is passed on. */
const PASSED_ON = ["PATH", "TMPDIR", "TEMP", "SystemRoot"];

/** No telemetry, no question to GitHub whether there is a newer version, no keyring. */
const QUIET = {
  DO_NOT_TRACK: "1",
  SUPABASE_TELEMETRY_DISABLED: "1",
  SUPABASE_NO_UPDATE_NOTIFIER: "1",
  SUPABASE_NO_KEYRING: "1",
  NO_COLOR: "1",
};

/** How long one command may take, ms. */
const PATIENCE = 120_000;

/** The version of the Supabase CLI that import_map.json pins. */
export const SUPABASE_CLI_VERSION = importMap.imports.supabase.replace(/^.*@/, "");

/**
 * The path of the Supabase CLI's own program, the pinned version, downloaded when it is missing.
 *
 * The platform's package alone, not npm's `supabase`: its wrapper passes no signals on, and Deno
 * would want the packages of all platforms.
 *
 * @throws {StartError} when npm does not carry it for this platform, or cannot be reached.
 */
export async function supabaseCli(): Promise<string> {
  const here = `${Deno.build.os}-${Deno.build.arch}`;
  const platform = PLATFORMS[here];
  if (platform === undefined) {
    throw new StartError(
      `Cannot run the Supabase CLI on ${here} as npm carries it for ` +
        `${Object.keys(PLATFORMS).join(", ")} only: use one of these`,
    );
  }

  return await npmFile(
    `@supabase/cli-${platform}@${SUPABASE_CLI_VERSION}`,
    Deno.build.os === "windows" ? "bin/supabase.exe" : "bin/supabase",
  );
}

/** The flag that points a command at a database of this machine, which has no TLS. */
export function remote(databaseUrl: string): string {
  // Without sslmode the CLI says so on standard output, and in the middle of generated types.
  return `--remote=${databaseUrl}?sslmode=disable`;
}

/** What a command of the Supabase CLI answered. */
export interface SupabaseAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one command of the Supabase CLI without a terminal, a home or an environment of ours, so
 * that it does the same for everybody. The folder's `supabase/.temp` is written.
 *
 * @param options.cwd the folder that contains `supabase/`
 * @param options.env what it finds in its environment besides
 */
export async function runSupabase(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<SupabaseAnswer> {
  const program = await supabaseCli();
  const home = await Deno.makeTempDir({ prefix: "clerk-sync-supabase-" });
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);

  try {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args, "--agent", "no"],
      cwd: options.cwd,
      clearEnv: true,
      env: { ...passedOn(), HOME: home, USERPROFILE: home, ...QUIET, ...options.env },
      stdin: "null",
      signal: patience.signal,
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
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
