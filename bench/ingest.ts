import postgres from "postgres";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import {
  type Benchmark,
  type Context,
  type Measure,
  type Ratio,
  type Result,
  type Table,
} from "./benchmark.ts";
import { backendsOf, cpuOf } from "./cpu_time.ts";
import { median } from "./statistics.ts";
import { drive, UserEvents } from "./user_events.ts";

const CONNECTIONS = [1, 8, 32];
const CONNECTIONS_OF_AIMS = 8;

/** The ingest and its rivals, by their names in the report. */
const SIDES = ["ingest", "bare upsert", "four writes in one round trip"] as const;
type Side = typeof SIDES[number];

const AIMS: Readonly<Partial<Record<Side, number>>> = {
  "bare upsert": 0.32,
  "four writes in one round trip": 0.7,
};

/** Events that a side processes before it is the next one's turn. */
const CHUNK = 200;

export const ingest: Benchmark = {
  name: "ingest",
  title: "Ingest in Postgres",
  question: "How much do the rules cost compared with only writing the rows?",
  method: [
    "`ingest_clerk_event` with a whole user event of 3 kB, compared with writes that follow no rules.",
    "**Bare upsert** writes the same profile row, given as JSON, into a copy of the table without",
    "triggers, as PostgREST would. **Four writes in one round trip** writes a register row, the profile,",
    "a queue message and the inbox row with the payload into copies of the tables with all their",
    "constraints and indexes, in a single statement that reads the event's JSON once. 20,000 users exist",
    `beforehand; half of the events are about new ones. The sides take turns every ${CHUNK} events. Each event`,
    "is one prepared statement and one transaction, Postgres writes to the disk before it answers",
    "(`fsync = on`), and client and server share the machine. CPU is that of the connections' processes",
    "in the server, as the kernel counts it.",
  ].join("\n"),
  runs: 5,
  run,
  explain,
};

/** What a side did in one run over so many connections. */
interface Turn {
  readonly run: number;
  readonly connections: number;
  readonly side: Side;
  events: number;
  seconds: number;
  /** Of the connections' processes in the server; NaN if the system does not report it. */
  cpuSeconds: number;
}

async function run(context: Context): Promise<Result> {
  const { runs, quick } = context;
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on", max_wal_size: "4GB", shared_buffers: "1GB" },
  });
  await createDatabase(server, "ingest");
  await migrate(server.url("ingest"));
  const owner = postgres(server.superuserUrl("ingest"), { max: 1, onnotice: () => {} });
  const pools = CONNECTIONS.map((connections) => ({
    connections,
    sql: postgres(server.superuserUrl("ingest"), { max: connections, onnotice: () => {} }),
  }));

  try {
    const statements = await prepare(owner);
    const events = new UserEvents();
    context.progress("making the users that exist beforehand");
    for (const { sql, connections } of pools) {
      const count = connections === CONNECTIONS_OF_AIMS && !quick ? 18_000 : 1_000;
      const first = events.make(count, 0);
      for (const side of SIDES) await drive(sql, statements[side], first, connections);
    }
    await owner`vacuum analyze`;
    const backends = await backendsOf(owner);

    const turns: Turn[] = [];
    for (let run = 0; run < runs; run++) {
      context.progress(`run ${run + 1} of ${runs}`);
      for (const { sql, connections } of pools) {
        const sums = SIDES.map((side): Turn => ({
          run,
          connections,
          side,
          events: 0,
          seconds: 0,
          cpuSeconds: 0,
        }));
        for (let chunk = 0; chunk < (quick ? 2 : 12); chunk++) {
          const batch = events.make(CHUNK, 0.5);
          for (const sum of chunk % 2 === 0 ? sums : sums.toReversed()) {
            const cpuBefore = cpuOf(backends);
            const { perSecond } = await drive(sql, statements[sum.side], batch, connections);
            sum.cpuSeconds += cpuOf(backends) - cpuBefore;
            sum.seconds += CHUNK / perSecond;
            sum.events += CHUNK;
          }
        }
        turns.push(...sums);
      }
    }
    context.progress("where the time goes");
    const breakdown = await breakdownOf(server.superuserUrl("ingest"), statements.ingest, events);
    return { ...resultOf(turns), tables: [breakdown] };
  } finally {
    for (const { sql } of [...pools, { sql: owner }]) await sql.end();
  }
}

/** Makes the copies of the tables, and the statement of each side. */
async function prepare(sql: postgres.Sql): Promise<Record<Side, string>> {
  const columns = await sql<{ name: string; type: string }[]>`
    select attname as name, format_type(atttypid, atttypmod) as type
    from pg_attribute
    where attrelid = 'public.profiles'::regclass and attnum > 0 and attgenerated = ''
      and attname <> 'deleted_at'
  `;
  const names = columns.map(({ name }) => name).join(", ");
  const upsert = (table: string): string => `
    insert into ${table} (${names})
    select ${names} from jsonb_to_recordset($3::jsonb)
      as given (${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})
    on conflict (id) do update set
      ${columns.map(({ name }) => `${name} = excluded.${name}`).join(", ")}
  `;

  await sql.unsafe(`
    create schema bench;
    create table bench.bare (like public.profiles including all);
    create table bench.profiles (like public.profiles including all);
    create table bench.objects (like clerk_sync.objects including all);
    create table bench.inbox (like clerk_sync.inbox including all);
    create table bench.queue (like pgmq.q_clerk_changes including all);
  `).simple();
  return {
    "ingest": "select public.ingest_clerk_event($1, to_jsonb($2)) ->> 'outcome' as outcome",
    "bare upsert": upsert("bench.bare"),
    "four writes in one round trip": `
      with event as (
        select $2::jsonb as given
      ), register as (
        insert into bench.objects (id, version, observed_at, message_id)
        select $4, (given -> 'timestamp')::bigint, (given -> 'timestamp')::bigint, $1
        from event
        on conflict (id) do update set
          version = excluded.version,
          observed_at = excluded.observed_at,
          message_id = excluded.message_id
      ), profile as (${upsert("bench.profiles")}), message as (
        insert into bench.queue (vt, message)
        values (clock_timestamp(), jsonb_build_object('topic', 'profile.updated', 'id', $4,
          'changed', array['first_name'], 'caused_by', $1, 'via', 'webhook'))
      )
      insert into bench.inbox (message_id, type, object_id, subjects, instance_id, occurred_at,
        outcome, payload)
      select $1, 'user.updated', $4, array[$4], 'ins_1', now(), 'applied', given
      from event
    `,
  };
}

/** The time of each function of a delivery, without the functions it calls, as Postgres counts it. */
async function breakdownOf(
  url: string,
  statement: string,
  events: UserEvents,
): Promise<Table> {
  const count = 1000;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql`select pg_stat_reset()`;
    await sql`set track_functions = 'all'`;
    await drive(sql, statement, events.make(count, 0.5), 1);
    await sql`select pg_stat_force_next_flush()`;
    const rows = await sql<{ name: string; calls: number; microseconds: number }[]>`
      select
        schemaname || '.' || funcname as name,
        calls::float8 / ${count} as calls,
        self_time * 1000 / ${count} as microseconds
      from pg_stat_user_functions
      order by self_time desc
    `;
    const sum = rows.reduce((total, { microseconds }) => total + microseconds, 0);
    const shown = rows.filter(({ microseconds }) => microseconds >= sum / 100);
    return {
      title:
        "A delivery by function, each without the functions that it calls, over one connection",
      head: ["function", "calls", "µs", "share"],
      rows: [
        ...shown.map(({ name, calls, microseconds }) => [
          `\`${name}\``,
          calls.toFixed(1),
          Math.round(microseconds),
          `${Math.round(microseconds * 100 / sum)} %`,
        ]),
        ["all", "", Math.round(sum), ""],
      ],
    };
  } finally {
    await sql.end();
  }
}

const placeOf = (connections: number): string =>
  connections === 1 ? "1 connection" : `${connections} connections`;

/** The figures of a turn: the higher, the better. */
const FIGURES = {
  "events/s": ({ events, seconds }: Turn): number => events / seconds,
  "events per second of CPU": ({ events, cpuSeconds }: Turn): number => events / cpuSeconds,
};
type Unit = keyof typeof FIGURES;

function resultOf(turns: readonly Turn[]): Result {
  const units = (Object.keys(FIGURES) as Unit[])
    .filter((unit) => turns.every((turn) => Number.isFinite(FIGURES[unit](turn))));
  const samplesOf = (connections: number, side: Side, unit: Unit): number[] =>
    turns.filter((turn) => turn.connections === connections && turn.side === side)
      .map(FIGURES[unit]);

  const ratios = SIDES.filter((side) => side !== "ingest").flatMap((rival) =>
    CONNECTIONS.flatMap((connections) =>
      units.map((unit): Ratio => {
        const rivals = samplesOf(connections, rival, unit);
        const aim = AIMS[rival];
        return {
          case: placeOf(connections),
          of: `ingest, ${unit}`,
          to: rival,
          better: "higher",
          samples: samplesOf(connections, "ingest", unit)
            .map((figure, run) => figure / (rivals[run] ?? NaN)),
          ...(connections === CONNECTIONS_OF_AIMS && aim !== undefined ? { aim } : {}),
        };
      })
    )
  );
  const measures = CONNECTIONS.flatMap((connections) =>
    units.flatMap((unit) =>
      SIDES.map((side): Measure => ({
        case: placeOf(connections),
        side,
        unit,
        samples: samplesOf(connections, side, unit),
      }))
    )
  );
  return { ratios, measures };
}

function explain({ measures }: Result): readonly string[] {
  const rate = (side: Side): number =>
    median(
      measures.find((measure) =>
        measure.case === placeOf(CONNECTIONS_OF_AIMS) && measure.side === side &&
        measure.unit === "events/s"
      )?.samples ?? [NaN],
    );
  const reached = (rate("four writes in one round trip") / rate("bare upsert")).toFixed(2);

  return [
    `Without any rule, the four writes reach ${reached} of the bare upsert over 8 connections: an ` +
    "ingest that keeps the event, the register and the queue cannot do better. Rates depend on the " +
    "disk: the longer a commit waits for it, the less the statements matter. CPU does not.",
    "Beyond its rows, a delivery pays for PL/pgSQL. Postgres keeps the plans, but prepares every " +
    "expression and every statement once per transaction, and each delivery is a transaction " +
    "([decision 6](decisions/0006-plpgsql-on-the-delivery-path.md)). The table shows where.",
  ];
}
