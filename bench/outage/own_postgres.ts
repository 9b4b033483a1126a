import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { makeEphemeralFolder, runtimeDirOf, stackHome } from "../../local/postgres/home.ts";
import { applyOurs } from "../../tests/clerk/our_migrations.ts";
import {
  type PostgresAddress,
  postgresAddress,
  type PostgresServer,
  startPostgres,
} from "../../local/postgres/postgres.ts";
import { quietPort } from "./quiet_port.ts";

/** A Postgres server that can be killed and started again on the same port with the same data. */
export interface OwnPostgres extends PostgresAddress, AsyncDisposable {
  /** A database with all migrations. */
  readonly database: string;
  /** Kills every process of the server with SIGKILL; anything not yet written is lost. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  isRunning(): boolean;
  /** Starts it unless it is running. After a kill it recovers from the log. */
  start(changed?: { program: string | undefined }): Promise<void>;
}

export interface OwnPostgresOptions {
  readonly settings?: Record<string, string>;
  /** Program to start instead of `postgres`; see {@linkcode startPostgres}. */
  readonly program?: string;
}

const DATABASE = "faults";

/**
 * Starts a server whose data survives SIGKILL. The kernel keeps what a process has written, so `fsync` is
 * off unless set; `full_page_writes` is on, because SIGKILL can tear a page that is being written.
 */
export async function startOwnPostgres(options: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  const home = await stackHome();
  const folder = await makeEphemeralFolder(home);
  // Held by this process, so that the folder is not cleaned up while the server is down.
  const lock = await Deno.open(`${folder}/postgres.lock`, { create: true, write: true });
  await lock.lock(true);
  const port = quietPort();
  const password = crypto.randomUUID();
  let program = options.program;
  let server: PostgresServer | undefined;

  const start: OwnPostgres["start"] = async (changed) => {
    if (server !== undefined) return;
    if (changed !== undefined) program = changed.program;
    const started = await startPostgres({
      runtimeDir: runtimeDirOf(home),
      dataDir: `${folder}/cluster`,
      port,
      password,
      settings: { fsync: "off", full_page_writes: "on", ...options.settings },
      ...(program === undefined ? {} : { program }),
    });
    server = started;
    started.ended.then(() => {
      if (server === started) server = undefined;
    });
  };
  const own: OwnPostgres = {
    ...postgresAddress(port, password),
    database: DATABASE,
    start,
    stop: async () => {
      await server?.stop();
      server = undefined;
    },
    isRunning: () => server !== undefined,
    kill: async () => {
      const killed = server;
      if (killed === undefined) return;
      const children = await withConnection(
        own.superuserUrl(DATABASE),
        (sql) =>
          sql<{ pid: number }[]>`
          select pid from pg_stat_activity where pid <> pg_backend_pid()
        `,
      );
      // The postmaster first; otherwise it would restart the others.
      const ended = killed.kill();
      for (const { pid } of children) sigkill(pid);
      await ended;
      server = undefined;
    },
    [Symbol.asyncDispose]: async () => {
      await server?.stop();
      lock.close();
      await Deno.remove(folder, { recursive: true });
    },
  };

  try {
    await start();
    await createDatabase(own, DATABASE);
    await applyOurs(own.url(DATABASE));
  } catch (error) {
    await own[Symbol.asyncDispose]();
    throw error;
  }
  return own;
}

function sigkill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended together with its postmaster.
  }
}
