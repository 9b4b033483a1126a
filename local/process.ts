import { reasonOf, StartError } from "./start_error.ts";

/** How to start a process. It inherits nothing of our environment. */
export interface BoundProcessOptions {
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** The user that it runs as; the current one by default. */
  user?: { uid: number; gid: number };
  /** The signal it receives when this process dies without having stopped it. */
  onOrphaned: "INT" | "KILL";
  /** Receives every line of its standard output and standard error. */
  onLine?: (line: string) => void;
}

/** A child process that never outlives this one. */
export interface BoundProcess {
  readonly pid: number;
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** The last lines of its output, at most 40. */
  lastLines(): string[];
  signal(signal: Deno.Signal): void;
}

/**
 * `sh` replaces itself with the program by `exec`, so that both have the same pid. A background
 * subshell reads standard input, which ends when we close it or die, even by SIGKILL, and then
 * signals the program.
 */
const WATCHED = `
exec 3<&0
( trap '' INT TERM HUP; cat <&3; kill -s "$0" $$ ) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
`;

/**
 * Starts a program in a new session, so that Ctrl-C in the terminal reaches only this process, which
 * can then stop its children in order.
 *
 * @throws {StartError} when the program cannot be started.
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
        // It has already ended, as every signal of ours asks it to.
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
    // The pipe broke because the process was killed. Keep what was read.
  }
  if (rest !== "") onLine(rest);
}
