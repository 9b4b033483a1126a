import postgres from "postgres";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { Benchmark, Context, Measure, Ratio, Result } from "./benchmark.ts";
import { drive, type Pace, UserEvents } from "./user_events.ts";

const SIZES = [1_000, 100_000, 1_000_000];
const QUICK_SIZES = [1_000, 10_000, 30_000];
const CONNECTIONS = 8;
const INGEST = "select public.ingest_clerk_event($1, $2::jsonb) ->> 'outcome' as outcome";

export const growth: Benchmark = {
  name: "growth",
  title: "Growth",
  question: "Does a delivery take longer when there are a million users?",
  method: [
    "One database per size, all on one server: that number of profiles, as many rows in the register,",
    "and three inbox rows per profile (with a payload of 500 bytes, to save disk space). In each run",
    "the sizes take turns with the same number of events, nine updates for each new user, over 8",
    "connections with `fsync = on`.",
  ].join("\n"),
  runs: 5,
  run,
  explain,
};

async function run(context: Context): Promise<Result> {
  const sizes = context.quick ? QUICK_SIZES : SIZES;
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on", max_wal_size: "8GB", shared_buffers: "2GB" },
  });
  const databases = new Map<number, { sql: postgres.Sql; events: UserEvents }>();
  const paces: { size: number; pace: Pace }[] = [];

  try {
    for (const size of sizes) {
      const name = `users_${size}`;
      await createDatabase(server, name);
      await migrate(server.url(name));
      const sql = postgres(server.superuserUrl(name), { max: CONNECTIONS, onnotice: () => {} });
      databases.set(size, { sql, events: new UserEvents(await fill(sql, size, context)) });
    }

    const count = context.quick ? 300 : 1_000;
    for (let round = -1; round < context.runs; round++) {
      context.progress(round < 0 ? "warming up" : `run ${round + 1} of ${context.runs}`);
      for (const size of round % 2 === 0 ? sizes : [...sizes].reverse()) {
        const database = databases.get(size);
        if (database === undefined) continue;
        const batch = database.events.make(count, 0.9);
        const pace = await drive(database.sql, INGEST, batch, CONNECTIONS);
        if (round >= 0) paces.push({ size, pace });
      }
    }
    return resultOf(sizes, paces);
  } finally {
    for (const { sql } of databases.values()) await sql.end();
  }
}

/** Makes this many users and their messages; returns the ids of up to 20,000 of them. */
async function fill(
  sql: postgres.Sql,
  users: number,
  { progress }: Context,
): Promise<string[]> {
  const [connection] = [await sql.reserve()];
  try {
    await connection`set session_replication_role = replica`;
    // Indexes are made at the end: filling them row by row would take minutes.
    const indexes = await connection<{ name: string; definition: string }[]>`
      select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
      from pg_index
      where indrelid = 'clerk_sync.inbox'::regclass and not indisprimary
    `;
    for (const { name } of indexes) await connection.unsafe(`drop index ${name}`);

    await connection`
      create temporary table people as
      select 'user_' || substr(md5(number::text) || md5('x' || number), 1, 27) as id, number
      from generate_series(1, ${users}::int) as number
      order by 1
    `;
    progress(`${users} users: profiles and register`);
    await connection`
      insert into clerk_sync.objects (id, version, observed_at, message_id)
      select id, 1760000000000, 1760000000000, 'msg_' || md5(id)
      from people
    `;
    await connection`
      insert into public.profiles (id, first_name, last_name, image_url, has_image, email,
        email_verified, created_at, updated_at)
      select id, 'Ada', 'Marlowe ' || number, 'https://img.example.com/' || id, true,
        'ada.' || number || '@example.com', true, to_timestamp(1760000000), to_timestamp(1760000000)
      from people
    `;
    progress(`${users} users: inbox`);
    await connection`
      insert into clerk_sync.inbox (message_id, type, object_id, subjects, instance_id, occurred_at,
        outcome, payload)
      select 'msg_' || substr(md5(number || 'm' || message) || md5(message || 'm' || number), 1, 27),
        'user.updated', id, array[id], 'ins_1', to_timestamp(1760000000), 'applied',
        jsonb_build_object('type', 'user.updated', 'data', jsonb_build_object('id', id,
          'filling', repeat(md5(id), 12)))
      from people, generate_series(1, 3) as message
      order by 1
    `;
    progress(`${users} users: indexes`);
    for (const { definition } of indexes) await connection.unsafe(definition);
    await connection`vacuum analyze`;
    await connection`checkpoint`;
    const ids = await connection<{ id: string }[]>`
      select id from people order by md5(id) limit 20000
    `;
    await connection`set session_replication_role = origin`;
    return ids.map(({ id }) => id);
  } finally {
    connection.release();
  }
}

function resultOf(
  sizes: readonly number[],
  paces: readonly { size: number; pace: Pace }[],
): Result {
  const nameOf = (size: number): string => `${size.toLocaleString("en")} users`;
  const of = (size: number, value: (pace: Pace) => number): number[] =>
    paces.filter((each) => each.size === size).map(({ pace }) => value(pace));
  const quantile = (share: number) => ({ milliseconds }: Pace): number =>
    milliseconds[Math.floor(milliseconds.length * share)] ?? NaN;
  const [smallest = 0, ...larger] = sizes;

  const ratios = larger.flatMap((size): Ratio[] => [
    {
      case: nameOf(size),
      of: "time per event",
      to: nameOf(smallest),
      samples: of(smallest, ({ perSecond }) => perSecond)
        .map((rate, at) => rate / (of(size, ({ perSecond }) => perSecond)[at] ?? NaN)),
      better: "lower",
      ...(size === sizes.at(-1) ? { aim: 1.2 } : {}),
    },
  ]);
  const measures = sizes.flatMap((size): Measure[] => [
    {
      case: nameOf(size),
      side: "ingest",
      unit: "events/s",
      samples: of(size, ({ perSecond }) => perSecond),
    },
    { case: nameOf(size), side: "ingest", unit: "ms p50", samples: of(size, quantile(0.5)) },
    { case: nameOf(size), side: "ingest", unit: "ms p95", samples: of(size, quantile(0.95)) },
  ]);
  return { ratios, measures };
}

function explain(): readonly string[] {
  return [
    "Every statement of a delivery finds its rows through a b-tree index, so the work grows only with " +
    "the height of the trees. In a real project, the share of the data that is not in memory grows, " +
    "too; [docs/scaling.md](scaling.md) has the arithmetic.",
  ];
}
