import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { until } from "../until.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A `dev` in a process of its own, as a newcomer starts it. */
export interface DevProcess extends AsyncDisposable {
  readonly pid: number;
  /** The values of its env file, once it is ready. */
  environment(): Promise<Map<string, string>>;
  /** Resolves with its exit code. */
  readonly ended: Promise<number>;
  /** All that it wrote so far. */
  output(): string;
  signal(signal: Deno.Signal): void;
  /** As Ctrl-C in a terminal: to the whole process group. */
  interruptGroup(): Promise<void>;
  /** The pids of it and of all its descendants that are alive. */
  family(): Promise<number[]>;
}

/** What runs `dev`: the first two as in a terminal, the last without a task between. */
const LAUNCHERS = {
  deno: [Deno.execPath(), "task", "dev"],
  npx: ["npx", "-y", `deno@${Deno.version.deno}`, "task", "dev"],
  direct: [Deno.execPath(), "run", "-A", "cli/dev.ts"],
};

/** Starts `dev` in a checkout; the ports are free ones unless `args` say otherwise. */
export function startDev(
  options: {
    envFile: string;
    /** Whether it writes there unasked, without --env. */
    isDefaultFile?: boolean;
    args?: string[];
    root?: string;
    launcher?: keyof typeof LAUNCHERS | readonly string[];
    /** Started with the launcher's command as its arguments, in its place. */
    wrapper?: readonly string[];
    env?: Record<string, string>;
  },
): DevProcess {
  const { envFile, args = [], root = ROOT, launcher = "deno", wrapper = [], env = {} } = options;
  const words = typeof launcher === "string" ? LAUNCHERS[launcher] : launcher;
  const [program = "", ...rest] = [...wrapper, ...words];
  const child = new Deno.Command(program, {
    args: [
      ...rest,
      ...(args.includes("--port") ? [] : ["--port", "0"]),
      ...(args.includes("--db-port") ? [] : ["--db-port", "0"]),
      ...(options.isDefaultFile === true ? [] : ["--env", envFile]),
      ...args,
    ],
    cwd: root,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();

  let output = "";
  const drained = [child.stdout, child.stderr].map((stream) =>
    stream.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({
        write: (text) => {
          output += text;
        },
      }),
    )
  );
  let isOver = false;
  const ended = child.status.then(async ({ code }) => {
    await Promise.all(drained);
    isOver = true;
    return code;
  });
  return {
    pid: child.pid,
    ended,
    output: () => output,
    environment: async () => {
      await until("dev was ready", () => isOver || output.includes("Ready."), 120_000);
      if (isOver) throw new Error(`Cannot use dev as it ended: ${output}`);
      return await readEnvFile(envFile);
    },
    signal: (signal) => child.kill(signal),
    interruptGroup: async () => {
      await new Deno.Command("kill", { args: ["-s", "INT", "--", `-${child.pid}`] }).output();
    },
    family: () => familyOf(child.pid),
    [Symbol.asyncDispose]: async () => {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended.
      }
      await ended;
    },
  };
}

/** Reads a file as other tools do. */
async function readEnvFile(path: string): Promise<Map<string, string>> {
  const variables = parseEnv(await Deno.readTextFile(path));
  return new Map(Object.entries(variables).map(([name, value]) => [name, value ?? ""]));
}

/** The pids of a process and of all its descendants. */
export async function familyOf(ancestor: number): Promise<number[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-Ao", "pid=,ppid="] }).output();
  const rows = new TextDecoder().decode(stdout).trim().split("\n")
    .map((row) => row.trim().split(/\s+/).map(Number));
  const family = new Set([ancestor]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const [pid, parent] of rows) {
      if (pid !== undefined && parent !== undefined && family.has(parent)) family.add(pid);
    }
  }
  return [...family];
}

/** The one process among them whose command line matches. */
export async function pidOf(pids: number[], commandLine: RegExp): Promise<number> {
  for (const pid of pids) {
    const { stdout } = await new Deno.Command("ps", { args: ["-o", "args=", "-p", `${pid}`] })
      .output();
    if (commandLine.test(new TextDecoder().decode(stdout))) return pid;
  }
  throw new Error(`Cannot find a process ${commandLine}`);
}

/** Waits until none of the processes is left. */
export async function allGone(pids: number[]): Promise<void> {
  await until("all processes were gone", async () => {
    const { stdout } = await new Deno.Command("ps", {
      args: ["-o", "stat=", "-p", pids.join(",")],
    }).output();
    // A zombie is dead, although its parent has not noticed yet.
    return new TextDecoder().decode(stdout).trim().split("\n")
      .every((state) => state === "" || state.startsWith("Z"));
  }, 60_000);
}
