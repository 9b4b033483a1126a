import { statfs } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createDatabase } from "../local/postgres/databases.ts";
import { makeFolder } from "../local/folder.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import { applyOurs } from "../local/postgres/our_migrations.ts";
import {
  type PostgresAddress,
  postgresAddress,
  type PostgresServer,
} from "../local/postgres/postgres.ts";
import { locatePostgres15 } from "./postgres_15.ts";

/** Tells tests in other processes the port and the password of the running server. */
export const TEST_SERVER_VARIABLE = "CLERK_SYNC_TEST_SERVER";

/** A database with our migrations. Every test's database is a copy of it, unless it asks for the whole. */
export const TEMPLATE = "clerk_sync_template";

/** A database with all migrations: ours, and those that somebody added to their clone. */
export const WHOLE_TEMPLATE = "clerk_sync_whole_template";

const MIGRATIONS = fileURLToPath(new URL("../supabase/migrations", import.meta.url));

/**
 * Starts an ephemeral server that holds the {@link TEMPLATE} and the {@link WHOLE_TEMPLATE}.
 *
 * @throws {StartError} when a migration fails.
 */
export async function startTestServer(
  migrations = MIGRATIONS,
  options: Parameters<typeof startEphemeralPostgres>[0] = {},
): Promise<PostgresServer> {
  const server = await startEphemeralPostgres({ folder: await folderInMemory(), ...options });
  try {
    await createDatabase(server, TEMPLATE);
    await applyOurs(server.url(TEMPLATE), migrations);
    await createDatabase(server, WHOLE_TEMPLATE, { template: TEMPLATE });
    await migrate(server.url(WHOLE_TEMPLATE), () => {}, migrations);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** How much memory has to be free, bytes: tests with a million rows need a tenth of it. */
const ROOM = 8 * 2 ** 30;

/** A folder in memory if there is room, because a database is several hundred files, and each test has one. */
async function folderInMemory(): Promise<string | undefined> {
  const memory = "/dev/shm";
  const { bavail, bsize } = await statfs(memory).catch(() => ({ bavail: 0, bsize: 0 }));
  if (Math.min(bavail * bsize, Deno.systemMemoryInfo().available) < ROOM) return undefined;
  const folder = `${memory}/clerk-sync-tests-${Deno.uid()}`;
  await makeFolder(folder);
  return (await Deno.lstat(folder)).uid === Deno.uid() ? folder : undefined;
}

/** The value of {@linkcode TEST_SERVER_VARIABLE} for a server. */
export function testServerValue({ port, password }: PostgresAddress): string {
  return `${port} ${password}`;
}

/** The versions of Postgres that the migrations support. */
export const POSTGRES_VERSIONS = [15, 17] as const;

export type PostgresVersion = typeof POSTGRES_VERSIONS[number];

let own: Promise<PostgresAddress> | undefined;
let own15: Promise<PostgresServer> | undefined;

/**
 * The server that `deno task test` started, or else a server that ends with this process. Postgres 15 is
 * started for one file, which calls {@linkcode stopPostgres15} in the end.
 */
export function testServer(version: PostgresVersion = 17): Promise<PostgresAddress> {
  if (version === 15) {
    own15 ??= startTestServer(MIGRATIONS, { locateServer: locatePostgres15 });
    return own15;
  }
  const [port, password = ""] = (Deno.env.get(TEST_SERVER_VARIABLE) ?? "").split(" ");
  own ??= port ? Promise.resolve(postgresAddress(Number(port), password)) : startTestServer();
  return own;
}

/** Stops the server of Postgres 15, if there is one. */
export async function stopPostgres15(): Promise<void> {
  await (await own15)?.stop();
}
