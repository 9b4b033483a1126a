import postgres from "postgres";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { Benchmark, Context, Result, Table } from "./benchmark.ts";
import { drive, UserEvents } from "./user_events.ts";

const TABLES = [
  "clerk_sync.inbox",
  "clerk_sync.objects",
  "public.profiles",
  "pgmq.q_clerk_changes",
];
const INGEST = "select public.ingest_clerk_event($1, $2::jsonb) ->> 'outcome' as outcome";

export const storage: Benchmark = {
  name: "storage",
  title: "Storage",
  question: "How many bytes does a delivery leave behind?",
  method: [
    "10,000 new users, then one update of each, every event about 2.8 kB of JSON. After each half, the",
    "tables are vacuumed and measured with their indexes and TOAST. WAL is the log that Postgres writes",
    "from a checkpoint on, including full pages. These are counts, not times.",
  ].join("\n"),
  runs: 1,
  run,
  explain: () => [
    "The inbox grows by one row per delivery, with the payload compressed and stored inline. A profile " +
    "and its register row are inserted once and then updated in place. The queue's row moves to the " +
    "archive when the worker is done with it.",
  ],
};

async function run(context: Context): Promise<Result> {
  const users = context.quick ? 1_000 : 10_000;
  await using server = await startEphemeralPostgres({
    settings: { full_page_writes: "on", max_wal_size: "8GB", checkpoint_timeout: "1h" },
  });
  await createDatabase(server, "storage");
  await migrate(server.url("storage"));
  const sql = postgres(server.superuserUrl("storage"), { max: 8, onnotice: () => {} });

  try {
    const events = new UserEvents();
    const rows: (string | number)[][] = [];
    let before = await sizes(sql);
    for (const [name, updates] of [["new user", 0], ["update", 1]] as const) {
      context.progress(`${users} events: ${name}`);
      const batch = events.make(users, updates);
      await sql`checkpoint`;
      const logged = await walPosition(sql);
      await drive(sql, INGEST, batch, 8);
      const wal = await walPosition(sql) - logged;
      await sql`vacuum analyze`;
      const after = await sizes(sql);

      const body = batch.reduce((sum, { event }) => sum + event.length, 0);
      const perEvent = (bytes: number): number => Math.round(bytes / users);
      rows.push([name, "the event's JSON", perEvent(body)]);
      for (const table of TABLES) {
        rows.push([name, table, perEvent((after.get(table) ?? 0) - (before.get(table) ?? 0))]);
      }
      rows.push([name, "WAL", perEvent(wal)]);
      before = after;
    }
    const table: Table = { title: "Bytes per delivery", head: ["event", "where", "bytes"], rows };
    return { ratios: [], measures: [], tables: [table] };
  } finally {
    await sql.end();
  }
}

async function sizes(sql: postgres.Sql): Promise<Map<string, number>> {
  const rows = await sql<{ name: string; bytes: number }[]>`
    select name, pg_total_relation_size(name::regclass)::float8 as bytes
    from unnest(${TABLES}::text[]) as name
  `;
  return new Map(rows.map(({ name, bytes }) => [name, bytes]));
}

async function walPosition(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ position: number }[]>`
    select (pg_current_wal_insert_lsn() - '0/0')::float8 as position
  `;
  return row?.position ?? NaN;
}
