import { type BoundProcess, spawnBound } from "../process.ts";
import { deleteCluster, makeCluster, protectCluster } from "./cluster.ts";
import { type ServerUser, serverUser } from "./server_user.ts";
import { makeFolder } from "../folder.ts";
import { preparePostgresRuntime } from "./runtime.ts";
import { settlesWithin } from "../settles_within.ts";
import { reasonOf, StartError } from "../start_error.ts";

export interface PostgresOptions {
  /** Where the program files are; see {@linkcode preparePostgresRuntime}. */
  runtimeDir: string;
  /** The folder of the cluster (PGDATA), made when it is missing or empty. */
  dataDir: string;
  /** Whether to delete the cluster first, and make a new one. */
  reset?: boolean;
  /** The port on 127.0.0.1; 0 picks a free one. */
  port: number;
  /** The password of the platform's roles, of letters, digits and `-`, `_`; a random one by default. */
  password?: string;
  /** More server settings. `synchronous_commit` stays on: acknowledged means durable. */
  settings?: Record<string, string>;
  /** The npm package of another version of Postgres; see {@linkcode preparePostgresRuntime}. */
  locateServer?: Parameters<typeof preparePostgresRuntime>[1];
  /** A program to start instead of `postgres`, with the same arguments; it must `exec` postgres. */
  program?: string;
}

/** How long to wait for a server to end by itself after its parent has died, then after each signal. */
const PATIENCE_MS = { itself: 2_000, fast: 10_000, immediate: 3_000, copiedLock: 1_000 };

/** The URLs of a Postgres server on this machine. */
export interface PostgresAddress {
  readonly port: number;
  /** The password of `supabase_admin`, `postgres` and `authenticator`. */
  readonly password: string;
  /** As the bootstrap superuser `supabase_admin`. */
  superuserUrl(database: string): string;
  /** As `postgres`, which owns the databases and, as on Supabase, is not a superuser. */
  url(database: string): string;
  /** As another role that has this password. */
  roleUrl(role: string, database: string): string;
}

/** A running Postgres server that ends when this process does. */
export interface PostgresServer extends PostgresAddress, AsyncDisposable {
  readonly pid: number;
  /** Resolves when the server has ended, after {@linkcode stop} or by itself. */
  readonly ended: Promise<void>;
  /** The last lines of the server's log, at most 40. */
  lastLines(): string[];
  /** Fast shutdown: rolls transactions back and flushes everything. */
  stop(): Promise<void>;
  /** SIGKILL, as in a power failure. The next start recovers from the log. */
  kill(): Promise<void>;
}

/**
 * Starts Postgres on 127.0.0.1. Makes the cluster first if there is none.
 *
 * @throws {StartError} when the port is taken, or the folder is in use or cannot be used.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { synchronous_commit, ...settings } = options.settings ?? {};
  if (synchronous_commit !== undefined && synchronous_commit !== "on") {
    throw new TypeError(
      `Cannot set synchronous_commit to ${synchronous_commit} as acknowledged means durable`,
    );
  }

  const password = options.password ?? crypto.randomUUID();
  const user = await serverUser();
  const runtime = await preparePostgresRuntime(options.runtimeDir, options.locateServer);
  const lock = await lockCluster(options.dataDir);
  try {
    await endOrphan(options.dataDir);
    if (options.reset === true) await deleteCluster(options.dataDir);
    await makeCluster(runtime, options.dataDir, user);
    await protectCluster(runtime, options.dataDir, user, password);
    const { server, port } = await launch(
      options.program ?? runtime.postgres,
      options,
      settings,
      user,
    );
    server.ended.then(() => lock.close());
    return createServer(server, postgresAddress(port, password), {
      pgCtl: runtime.pgCtl,
      dataDir: options.dataDir,
    });
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** The address of a server of this project, which another process may have started. */
export function postgresAddress(port: number, password: string): PostgresAddress {
  const roleUrl = (role: string, database: string): string =>
    `postgresql://${role}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  return {
    port,
    password,
    superuserUrl: (database) => roleUrl("supabase_admin", database),
    url: (database) => roleUrl("postgres", database),
    roleUrl,
  };
}

function createServer(
  server: BoundProcess,
  address: PostgresAddress,
  cluster: { pgCtl: string; dataDir: string },
): PostgresServer {
  const stop = async (): Promise<void> => {
    if (Deno.build.os === "windows") {
      await new Deno.Command(cluster.pgCtl, {
        args: ["stop", "-D", cluster.dataDir, "-m", "fast", "-w"],
      }).output();
    }
    server.signal("SIGINT");
    if (await settlesWithin(server.ended, PATIENCE_MS.fast)) return;
    server.signal("SIGQUIT");
    if (await settlesWithin(server.ended, PATIENCE_MS.immediate)) return;
    server.signal("SIGKILL");
    await server.ended;
  };
  return {
    ...address,
    pid: server.pid,
    ended: server.ended.then(() => {}),
    lastLines: server.lastLines,
    stop,
    kill: async () => {
      server.signal("SIGKILL");
      await server.ended;
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Allows one server per cluster. The lock ends with the process that holds it, however that ends. */
async function lockCluster(dataDir: string): Promise<Deno.FsFile> {
  const path = `${dataDir}.lock`;
  let file: Deno.FsFile;
  try {
    await makeFolder(dataDir);
    file = await Deno.open(path, { create: true, write: true, mode: 0o600 });
  } catch (error) {
    throw new StartError(
      `Cannot write to ${dataDir} as ${reasonOf(error)}: choose another folder with --data-dir`,
    );
  }
  // Until its program is loaded, a process that is being started holds copies of all open files,
  // including the lock that was just released. The pauses are counted, and not the time: on a busy machine
  // all of it may pass between two tries.
  for (let paused = 0; paused < PATIENCE_MS.copiedLock; paused += 20) {
    if (await file.tryLock(true)) return file;
    await pause(20);
  }
  file.close();
  throw new StartError(
    `Cannot use ${dataDir} as another stack is using it: stop that one, or choose another folder with --data-dir`,
  );
}

/**
 * Waits for a server whose parent was killed, which stops by itself. Its pid file may remain, and the
 * pid in it may belong to another process by now.
 */
async function endOrphan(dataDir: string): Promise<void> {
  const started = Date.now();
  for (let asked = false;;) {
    const pid = Number((await readPidFile(dataDir))[0]);
    if (!Number.isInteger(pid) || pid <= 0) return;
    if (!await isServerOf(pid, dataDir)) {
      await Deno.remove(`${dataDir}/postmaster.pid`).catch(() => {});
      return;
    }
    const waited = Date.now() - started;
    if (waited > PATIENCE_MS.itself && !asked) {
      Deno.kill(pid, "SIGINT");
      asked = true;
    }
    if (waited > PATIENCE_MS.itself + PATIENCE_MS.fast) {
      throw new StartError(
        `Cannot use ${dataDir} as a Postgres server is still using it: end process ${pid} first`,
      );
    }
    await pause(50);
  }
}

async function isServerOf(pid: number, dataDir: string): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  const ps = await new Deno.Command("ps", {
    args: ["-o", "args=", "-p", String(pid)],
  }).output()
    .catch(() => undefined);
  if (ps === undefined) {
    const args = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    return args.split("\0").includes(dataDir);
  }
  return new TextDecoder().decode(ps.stdout).includes(dataDir);
}

/** The lines of `postmaster.pid`: pid, folder, start time, port, …, state. */
async function readPidFile(dataDir: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${dataDir}/postmaster.pid`).catch(() => "");
  return text.split("\n").map((line) => line.trim());
}

async function launch(
  postgres: string,
  options: PostgresOptions,
  settings: Record<string, string>,
  user: ServerUser,
): Promise<{ server: BoundProcess; port: number }> {
  // Another process may take the port before the server does. After a crash, shared memory of the
  // last server may be in use for a moment.
  for (let attempt = 1;; attempt++) {
    const port = options.port === 0 ? freePort() : options.port;
    if (options.port !== 0) refuseTakenPort(port, "--db-port");
    const all: Record<string, string> = {
      listen_addresses: "127.0.0.1",
      port: String(port),
      unix_socket_directories: "",
      max_connections: "200",
      timezone: "UTC",
      log_timezone: "UTC",
      ...settings,
      synchronous_commit: "on",
    };
    const server = spawnBound(postgres, {
      args: [
        "-D",
        options.dataDir,
        ...Object.entries(all).flatMap((
          [name, value],
        ) => ["-c", `${name}=${value}`]),
      ],
      cwd: "/",
      onOrphaned: "INT",
      ...(user === undefined ? {} : { user }),
    });
    if (await becomesReady(server, options.dataDir)) return { server, port };
    if (attempt === 3) {
      throw new StartError(
        `Cannot start Postgres on port ${port} as it reports: ${lastReason(server.lastLines())}`,
      );
    }
  }
}

/** Postgres writes its state to the eighth line of its pid file, where pg_ctl reads it, too. */
async function becomesReady(server: BoundProcess, dataDir: string): Promise<boolean> {
  const deadline = Date.now() + 60_000;
  let ended = false;
  server.ended.then(() => ended = true);
  while (!ended && Date.now() < deadline) {
    const lines = await readPidFile(dataDir);
    if (Number(lines[0]) === server.pid && lines[7] === "ready") return true;
    await pause(10);
  }
  server.signal("SIGQUIT");
  await server.ended;
  return false;
}

function lastReason(lines: string[]): string {
  const line = lines.findLast((text) => /\b(FATAL|PANIC):/.test(text)) ??
    lines.at(-1) ?? "nothing";
  return line.replace(/^.*?\b(FATAL|PANIC):\s*/, "");
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/**
 * @param flag the flag that sets the port, for the message.
 * @throws {StartError} when another program already listens on that port of 127.0.0.1.
 */
export function refuseTakenPort(port: number, flag: string): void {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new StartError(
        `Cannot listen on port ${port} as another program already does: stop it, or choose another port with ${flag}`,
      );
    }
    throw new StartError(
      `Cannot listen on port ${port} as ${reasonOf(error)}: choose another port with ${flag}`,
    );
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
