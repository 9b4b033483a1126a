import { reasonOf, StartError } from "./start_error.ts";

/** How a process is started; nothing of our own environment is passed on. */
export interface BoundProcessOptions {
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Run as this user instead of our own. */
  user?: { uid: number; gid: number };
  /** The signal it gets when this process vanishes without having stopped it. */
  onOrphaned: "INT" | "KILL";
  /** Every line of its standard output and standard error. */
  onLine?: (line: string) => void;
}

/** A child process that never outlives this one. */
export interface BoundProcess {
  readonly pid: number;
  /** Resolves when it has ended, never rejects. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** The last lines that it wrote, at most 40. */
  lastLines(): string[];
  signal(signal: Deno.Signal): void;
}

/**
 * `sh` becomes the program by `exec`, so that its pid is the program's. A background
 * subshell waits for the end of standard input, which comes when we close it or when
 * we die, also by SIGKILL.
 */
const WATCHED = `
exec 3<&0
( trap '' INT TERM HUP; cat <&3; kill -s "$0" $$ ) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
`;

/**
 * Starts a program in a session of its own, so that Ctrl-C in the terminal reaches only
 * us and we can stop our children in order.
 *
 * @throws {StartError} when the program cannot be started at all.
 */
export function spawnBound(program: string, options: BoundProcessOptions): BoundProcess {
  const windows = Deno.build.os === "windows";
  const command = new Deno.Command(windows ? program : "/bin/sh", {
    args: windows ? options.args : ["-c", WATCHED, options.onOrphaned, program, ...options.args],
    clearEnv: true,
    env: options.env ?? {},
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: !windows,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user ?? {}),
  });

  let child: Deno.ChildProcess;
  try {
    child = command.spawn();
  } catch (error) {
    throw new StartError(
      `Cannot start ${program} as ${reasonOf(error)}`,
    );
  }

  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > 40) lines.shift();
    options.onLine?.(line);
  };
  const drained = Promise.all([
    readLines(child.stdout, keep),
    readLines(child.stderr, keep),
  ]);
  const ended = child.status.then(async (status) => {
    await child.stdin.close().catch(() => {});
    await drained;
    return status;
  });

  return {
    pid: child.pid,
    ended,
    lastLines: () => [...lines],
    signal: (signal) => {
      try {
        child.kill(signal);
      } catch {
        // It has ended already, which is what every signal of ours asks for.
      }
    },
  };
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  try {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) onLine(part.replace(/\r$/, ""));
    }
  } catch {
    // The pipe broke because the process was killed; what was read is kept.
  }
  if (rest !== "") onLine(rest);
}
