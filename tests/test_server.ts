import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { PostgresServer } from "../local/postgres/postgres.ts";

/** The part of a Postgres server that tests need to reach databases of their own. */
export type TestServer = Pick<PostgresServer, "port" | "superuserUrl" | "url" | "roleUrl">;

/** Names the running server to tests in other processes: its port. */
export const TEST_SERVER_VARIABLE = "CLERK_SYNC_TEST_PORT";

/** A database with all migrations, which every test's database is a copy of. */
export const TEMPLATE = "clerk_sync_template";

/** Starts an ephemeral server that holds the {@link TEMPLATE}. */
export async function startTestServer(
  settings: Record<string, string> = {},
): Promise<PostgresServer> {
  const server = await startEphemeralPostgres({ settings });
  await createDatabase(server, TEMPLATE);
  await migrate(server.url(TEMPLATE));
  return server;
}

let own: Promise<TestServer> | undefined;

/** The server that `deno task test` started; without one, one of this process, which ends with it. */
export function testServer(): Promise<TestServer> {
  const port = Number(Deno.env.get(TEST_SERVER_VARIABLE));
  own ??= port > 0 ? Promise.resolve(at(port)) : startTestServer();
  return own;
}

function at(port: number): TestServer {
  const roleUrl = (role: string, database: string): string =>
    `postgresql://${role}:postgres@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  return {
    port,
    roleUrl,
    superuserUrl: (database) => roleUrl("supabase_admin", database),
    url: (database) => roleUrl("postgres", database),
  };
}
