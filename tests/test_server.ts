import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import {
  type PostgresAddress,
  postgresAddress,
  type PostgresServer,
} from "../local/postgres/postgres.ts";
import { applyOurs, MIGRATIONS } from "./clerk/our_migrations.ts";

/** Tells tests in other processes the port and the password of the running server. */
export const TEST_SERVER_VARIABLE = "CLERK_SYNC_TEST_SERVER";

/** A database with our migrations. Every test's database is a copy of it, unless it asks for the whole. */
export const TEMPLATE = "clerk_sync_template";

/** A database with all migrations: ours, and those that somebody added to their clone. */
export const WHOLE_TEMPLATE = "clerk_sync_whole_template";

/**
 * Starts an ephemeral server that holds the {@link TEMPLATE} and the {@link WHOLE_TEMPLATE}.
 *
 * @throws {StartError} when a migration fails.
 */
export async function startTestServer(migrations = MIGRATIONS): Promise<PostgresServer> {
  const server = await startEphemeralPostgres();
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

/** The value of {@linkcode TEST_SERVER_VARIABLE} for a server. */
export function testServerValue({ port, password }: PostgresAddress): string {
  return `${port} ${password}`;
}

let own: Promise<PostgresAddress> | undefined;

/** The server that `deno task test` started, or else a server that ends with this process. */
export function testServer(): Promise<PostgresAddress> {
  const [port, password = ""] = (Deno.env.get(TEST_SERVER_VARIABLE) ?? "").split(" ");
  own ??= port ? Promise.resolve(postgresAddress(Number(port), password)) : startTestServer();
  return own;
}
