import postgres from "postgres";
import type { Json } from "../functions/_shared/clerk_sync/json.ts";
import { createDatabase, dropDatabase } from "../local/postgres/databases.ts";
import type { PostgresAddress } from "../local/postgres/postgres.ts";
import { type PostgresVersion, TEMPLATE, testServer, WHOLE_TEMPLATE } from "./test_server.ts";

/** A database of a test's own: Supabase's roles and schemas, and our migrations. */
export interface TestDatabase {
  readonly server: PostgresAddress;
  readonly name: string;
  /** As `postgres`, who owns everything of ours; one connection. */
  readonly sql: postgres.Sql;
  /** As the bootstrap superuser; one connection. */
  readonly admin: postgres.Sql;
  /** Connections like PostgREST's, as role `authenticator`; closed with the test. */
  connect(connections: number): postgres.Sql;
  /** Ingests one event as the webhook does, each in a transaction of its own. */
  ingest(messageId: string, event: Json): Promise<Answer>;
  /** How many rows contain a text, in all tables of all schemas, queue and archive included. */
  rowsWith(text: string): Promise<number>;
}

/** The answer of an entry point. */
export interface Answer {
  readonly outcome: string;
  readonly sqlstate?: string;
  readonly issues?: readonly unknown[];
}

/** Ingests one event as role `clerk_ingest`, in the caller's transaction. */
export async function ingestWithin(
  transaction: postgres.TransactionSql,
  messageId: string,
  event: Json,
): Promise<Answer> {
  await transaction`set local role clerk_ingest`;
  const [row] = await transaction<{ answer: Answer }[]>`
    select public.ingest_clerk_event(${messageId}, ${JSON.stringify(event)}::text::jsonb) as answer
  `;
  if (row === undefined) throw new Error("The database gave no answer");
  return row.answer;
}

export interface TestDatabaseOptions {
  /** Applies all migrations, also those that are not ours. */
  readonly whole?: boolean;
  /** The database to copy; one with our migrations by default. */
  readonly template?: string;
  /** The version of Postgres; 17 by default. */
  readonly version?: PostgresVersion;
}

/** Runs something with a database of its own, which is dropped afterwards. */
export async function withTestDatabase(
  use: (database: TestDatabase) => Promise<void>,
  { whole = false, version = 17, template = whole ? WHOLE_TEMPLATE : TEMPLATE }:
    TestDatabaseOptions = {},
): Promise<void> {
  const server = await testServer(version);
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const pools: postgres.Sql[] = [];
  const open = (url: string, max: number): postgres.Sql => {
    const pool = postgres(url, { max, onnotice: () => {}, types: { bigint: postgres.BigInt } });
    pools.push(pool);
    return pool;
  };

  await createDatabase(server, name, { template });
  try {
    const webhook = open(server.roleUrl("authenticator", name), 24);
    const admin = open(server.superuserUrl(name), 1);
    await use({
      server,
      name,
      sql: open(server.url(name), 1),
      admin,
      connect: (connections) => open(server.roleUrl("authenticator", name), connections),
      ingest: (messageId, event) =>
        webhook.begin((transaction) => ingestWithin(transaction, messageId, event)),
      rowsWith: (text) => countRowsWith(admin, text),
    });
  } finally {
    await Promise.all(pools.map((pool) => pool.end({ timeout: 5 })));
    await dropDatabase(server, name);
  }
}

async function countRowsWith(admin: postgres.Sql, text: string): Promise<number> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')
  `;
  let rows = 0;
  for (const { name } of tables) {
    const [found] = await admin.unsafe<{ count: number }[]>(
      `select count(*)::int as count from ${name} as row where strpos(to_jsonb(row)::text, $1) > 0`,
      [text],
    );
    rows += found?.count ?? 0;
  }
  return rows;
}

/** A test with a database of its own. */
export function databaseTest(
  name: string,
  test: (database: TestDatabase) => Promise<void>,
  options: TestDatabaseOptions = {},
): void {
  Deno.test({
    name,
    fn: () => withTestDatabase(test, options),
    // The server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}
