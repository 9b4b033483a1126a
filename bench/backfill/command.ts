import { fileURLToPath } from "node:url";
import { spawnBound } from "../../local/process.ts";

const ROOT = new URL("../../", import.meta.url);

/** `deno task backfill` as a process. */
export interface Backfill extends AsyncDisposable {
  readonly pid: number;
  /** @throws {Error} when it fails */
  readonly ended: Promise<{
    /** The most memory that it held, MB (VmHWM); NaN if the system has no `/proc`. */
    readonly peak: number;
  }>;
}

/** How often the peak is read, ms. It never falls, so only the last moments can be missed. */
const EVERY = 20;

/**
 * Starts what `deno task backfill` starts, without the task runner in between.
 *
 * @param env CLERK_API_URL, CLERK_SECRET_KEY, SUPABASE_URL and SUPABASE_SECRET_KEY
 */
export async function startBackfill(env: Readonly<Record<string, string>>): Promise<Backfill> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const [, ...args] = tasks.backfill.command.split(" ");
  const child = spawnBound(Deno.execPath(), {
    args,
    cwd: fileURLToPath(ROOT),
    env: { ...Deno.env.toObject(), ...env, NO_COLOR: "1" },
    onOrphaned: "KILL",
  });
  let peak = NaN;
  const timer = setInterval(() => peak = peakOf(child.pid) ?? peak, EVERY);

  const ended = child.ended.then(({ code }) => {
    clearInterval(timer);
    if (code === 0) return { peak };
    throw new Error(
      `Cannot measure as backfill ends with ${code}: ${child.lastLines().join("\n")}`,
    );
  });
  ended.catch(() => {});
  return {
    pid: child.pid,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.signal("SIGKILL");
      await child.ended;
    },
  };
}

/** VmHWM in MB; undefined once the process has ended. */
function peakOf(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(
      Deno.readTextFileSync(`/proc/${pid}/status`),
    ) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024 / 1e6;
  } catch {
    return undefined;
  }
}
