import postgres from "postgres";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { Aim, Benchmark, Context, Measure, Ratio, Result, Table } from "./benchmark.ts";
import { median } from "./statistics.ts";
import { drive, type UserEvent, UserEvents } from "./user_events.ts";

const CONNECTIONS = [1, 8, 32];

/** The ingest and its rivals, by their names in the report. */
const SIDES = ["ingest", "bare upsert", "four statements", "four writes in one"] as const;
type Side = typeof SIDES[number];

export const ingest: Benchmark = {
  name: "ingest",
  title: "Ingest in Postgres",
  question: "How much do the rules cost compared with only writing the rows?",
  method: [
    "`ingest_clerk_event` with a whole user event of 3 kB, compared with writes that follow no rules.",
    "**Bare upsert** writes the same profile row, given as JSON, into a copy of the table without",
    "triggers, as PostgREST would. **Four statements** write a register row, the profile, a queue",
    "message and the inbox row with the payload into copies of the tables with all their constraints",
    "and indexes, sent together in one transaction. **Four writes in one** does the same in a single",
    "statement. 20,000 users exist beforehand; half of the events are about new ones. Postgres writes",
    "to the disk before it answers (`fsync = on`), statements are prepared, and client and server share",
    "the machine. *Inside the server* runs the same from a procedure that commits after each event, so",
    "that no client is measured.",
  ].join("\n"),
  runs: 5,
  run,
  explain,
};

async function run(context: Context): Promise<Result> {
  const { runs, quick } = context;
  const count = quick ? 400 : 2400;
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on", max_wal_size: "4GB", shared_buffers: "1GB" },
  });
  await createDatabase(server, "ingest");
  await migrate(server.url("ingest"));
  const sql = postgres(server.superuserUrl("ingest"), { max: 32, onnotice: () => {} });

  try {
    const statements = await prepare(sql);
    const events = new UserEvents();
    context.progress("making the users that exist beforehand");
    const first = events.make(quick ? 2_000 : 20_000, 0);
    for (const side of SIDES) await drive(sql, statements[side], first, 8);
    await sql`vacuum analyze`;

    const rates: { where: string; side: Side; perSecond: number }[] = [];
    for (let round = 0; round < runs; round++) {
      context.progress(`run ${round + 1} of ${runs}`);
      for (const connections of CONNECTIONS) {
        const batch = events.make(count, 0.5);
        const where = connections === 1 ? "1 connection" : `${connections} connections`;
        for (const side of alternated(round)) {
          const { perSecond } = await drive(sql, statements[side], batch, connections);
          rates.push({ where, side, perSecond });
        }
      }
      const batch = events.make(count, 0.5);
      await sql`truncate bench.events`;
      await storeEvents(sql, batch);
      for (const side of alternated(round)) {
        const perSecond = await inside(sql, side, batch.length, 8);
        rates.push({ where: "8 inside the server", side, perSecond });
      }
    }
    context.progress("where the time goes");
    const breakdown = await breakdownOf(server.superuserUrl("ingest"), statements.ingest, events);
    return { ...resultOf(rates), tables: [breakdown] };
  } finally {
    await sql.end();
  }
}

function alternated(round: number): Side[] {
  return round % 2 === 0 ? [...SIDES] : [...SIDES].reverse();
}

/** Makes the copies of the tables and the statements of each side. */
async function prepare(sql: postgres.Sql): Promise<Record<Side, string[]>> {
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
  const writes = [
    `
      insert into bench.objects (id, version, observed_at, message_id)
      select $4, (given -> 'timestamp')::bigint, (given -> 'timestamp')::bigint, $1
      from (select $2::jsonb as given) as event
      on conflict (id) do update set
        version = excluded.version,
        observed_at = excluded.observed_at,
        message_id = excluded.message_id
    `,
    upsert("bench.profiles"),
    `
      insert into bench.queue (vt, message)
      values (clock_timestamp(), jsonb_build_object('topic', 'profile.updated', 'id', $4,
        'changed', array['first_name'], 'caused_by', $1, 'via', 'webhook'))
    `,
    `
      insert into bench.inbox (message_id, type, object_id, subjects, instance_id, occurred_at,
        outcome, payload)
      values ($1, 'user.updated', $4, array[$4], 'ins_1', now(), 'applied', $2::jsonb)
    `,
  ];
  const [register, profile, message, inbox] = writes;
  const statements: Record<Side, string[]> = {
    "ingest": ["select public.ingest_clerk_event($1, $2::jsonb) ->> 'outcome' as outcome"],
    "bare upsert": [upsert("bench.bare")],
    "four statements": writes,
    "four writes in one": [
      `with register as (${register}), profile as (${profile}), message as (${message}) ${inbox}`
        .replaceAll("bench.", "bench_in_one."),
    ],
  };

  await sql.unsafe(`
    create schema bench;
    create schema bench_in_one;
    create table bench.bare (like public.profiles including all);
    ${["bench", "bench_in_one"].map(tablesIn).join("\n")}
    create table bench.events (number int primary key, message_id text, event text, profile text,
      user_id text);
    alter table bench.events alter event set storage external;
    ${SIDES.map((side) => procedureOf(side, statements[side])).join("\n")}
  `).simple();
  return statements;
}

function tablesIn(schema: string): string {
  return `
    create table ${schema}.profiles (like public.profiles including all);
    create table ${schema}.objects (like clerk_sync.objects including all);
    create table ${schema}.inbox (like clerk_sync.inbox including all);
    create table ${schema}.queue (like pgmq.q_clerk_changes including all);
  `;
}

/** A procedure that runs a side's statement for a range of bench.events, and commits after each. */
function procedureOf(side: Side, statements: readonly string[]): string {
  const text = ["message_id", "event", "profile", "user_id"].reduce(
    (body, column, at) => body.replaceAll(`$${at + 1}`, `wanted.${column}`),
    statements.map((statement) => statement.replace(/^\s*select/, "perform")).join(";\n"),
  );

  return `
    create procedure bench.${procedureName(side)}(first int, last int)
    language plpgsql
    as $procedure$
    declare
      wanted record;
    begin
      for position in first .. last loop
        select * into wanted from bench.events where number = position;
        ${text};
        commit;
      end loop;
    end
    $procedure$;
  `;
}

function procedureName(side: Side): string {
  return side.replaceAll(" ", "_");
}

async function storeEvents(sql: postgres.Sql, events: readonly UserEvent[]): Promise<void> {
  const rows = events.map(({ messageId, event, row, userId }, number) => ({
    number,
    message_id: messageId,
    event,
    profile: row,
    user_id: userId,
  }));
  for (let at = 0; at < rows.length; at += 1000) {
    await sql`insert into bench.events ${sql(rows.slice(at, at + 1000))}`;
  }
}

/** Processes bench.events in several sessions at once; returns the events per second. */
async function inside(
  sql: postgres.Sql,
  side: Side,
  count: number,
  sessions: number,
): Promise<number> {
  const share = Math.ceil(count / sessions);
  const started = performance.now();
  await Promise.all(Array.from({ length: sessions }, (_, session) => {
    const last = Math.min(count, (session + 1) * share) - 1;
    return sql.unsafe(`call bench.${procedureName(side)}(${session * share}, ${last})`);
  }));
  return count / ((performance.now() - started) / 1000);
}

/** The time of each function of a delivery, without the functions it calls, as Postgres counts it. */
async function breakdownOf(
  url: string,
  statement: readonly string[],
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

function resultOf(
  rates: readonly { where: string; side: Side; perSecond: number }[],
): Result {
  const places = [...new Set(rates.map(({ where }) => where))];
  const samplesOf = (where: string, side: Side): number[] =>
    rates.filter((rate) => rate.where === where && rate.side === side)
      .map(({ perSecond }) => perSecond);

  const rivalled = SIDES.filter((side) => side !== "ingest");
  const aims: Partial<Record<Side, Aim>> = {
    "bare upsert": { atLeast: 0.35 },
    "four statements": { atLeast: 0.75 },
  };
  const ratios = rivalled.flatMap((rival) =>
    places.map((where): Ratio => {
      const rivals = samplesOf(where, rival);
      const aim = aims[rival];
      return {
        case: where,
        of: "ingest, events/s",
        to: rival,
        samples: samplesOf(where, "ingest").map((rate, at) => rate / (rivals[at] ?? NaN)),
        ...(where === "8 connections" && aim !== undefined ? { aim } : {}),
      };
    })
  );
  const measures = places.flatMap((where) =>
    SIDES.map((side): Measure => ({
      case: where,
      side,
      unit: "events/s",
      samples: samplesOf(where, side),
    }))
  );
  return { ratios, measures };
}

function explain({ measures }: Result): readonly string[] {
  const rate = (side: Side): number =>
    median(
      measures.find((measure) => measure.case === "8 connections" && measure.side === side)
        ?.samples ?? [NaN],
    );
  const reached = (rate("four statements") / rate("bare upsert")).toFixed(2);

  return [
    `Even the four statements, which follow no rules, reach only ${reached} of the bare upsert. If that ` +
    "is below the aim, no ingest that writes the event, the register and the queue can meet it. The " +
    "figure depends on the disk: the longer a commit waits for it, the less the statements matter.",
    "Beyond its rows, a delivery mostly pays for the interpreter. It evaluates about a hundred PL/pgSQL " +
    "expressions: the mapping of 23 columns, the checks of ids and times, the user ids in the payload, " +
    "the locks, the claim, the comparison that skips unchanged rows, and the changed columns for the " +
    "announcement. Postgres keeps their plans, but prepares each expression once per transaction, and " +
    "each delivery is a transaction. It also reads the tables' check constraints in every statement, " +
    "which the four statements pay for, too. As the table shows, no single piece dominates.",
    "The first version took 4.6 ms: SQL functions, which are planned again in each transaction, a " +
    "regular expression with bounded repeats over the payload, and `pgmq.send`, which plans its insert " +
    "every time ([decision 6](decisions/0006-plpgsql-on-the-delivery-path.md)). Only code in C, which " +
    "hosted Postgres does not accept, or fewer rules would go much further.",
  ];
}
