import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import {
  type PostgresAddress,
  postgresAddress,
  type PostgresServer,
} from "../local/postgres/postgres.ts";

/** Tells tests in other processes the port and the password of the running server. */
export const TEST_SERVER_VARIABLE = "CLERK_SYNC_TEST_SERVER";

/** A database with all migrations. Every test's database is a copy of it. */
export const TEMPLATE = "clerk_sync_template";

/** Starts an ephemeral server that holds the {@link TEMPLATE}. */
export async function startTestServer(): Promise<PostgresServer> {
  const server = await startEphemeralPostgres();
  await createDatabase(server, TEMPLATE);
  await migrate(server.url(TEMPLATE));
  return server;
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
