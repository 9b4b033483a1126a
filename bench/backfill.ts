import postgres from "postgres";
import { anEvent, type JsonObject } from "../local/clerk/events.ts";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { PostgresServer } from "../local/postgres/postgres.ts";
import { type ClerkUsers, PAGE, serveClerkUsers } from "./backfill/clerk_users.ts";
import { type PacedBackfill, startPacedBackfill } from "./backfill/paced_backfill.ts";
import type { Benchmark, Context, Measure, Ratio, Result } from "./benchmark.ts";
import { backendsOf, cpuOf } from "./cpu_time.ts";
import { median } from "./statistics.ts";
import { type Contender, OURS, start } from "./whole_path/contender.ts";
import { aMessage, send, SENDERS } from "./whole_path/load.ts";

/** What the users find: themselves nowhere, or as they are. */
const CASES = ["empty database", "nothing changed"] as const;
type Case = typeof CASES[number];

const BACKFILL = "backfill";
const DELIVERED = "one delivery each";
const IN_SERVER = "pages in Postgres";
const BY_PAGE = "plain upsert by page";
const AT_ONCE = "plain upsert at once";
/** The faster one of these two. */
const PLAIN = "plain upsert";
const SIDES = [BACKFILL, DELIVERED, IN_SERVER, BY_PAGE, AT_ONCE] as const;
type Side = typeof SIDES[number];

const AIMS = { delivered: 10, plain: 0.2 };
const MOST_MEGABYTES = 200;

interface Size {
  /** Pages that each side writes in its turn; single deliveries take too long for all of their users. */
  readonly pages: number;
  readonly deliveries: number;
  /** Turns in a run. */
  readonly turns: number;
  /** Pages of the smaller instance, for the comparison of memory. */
  readonly fewPages: number;
}
const FULL: Size = { pages: 20, deliveries: 1_000, turns: 2, fewPages: 20 };
const QUICK: Size = { pages: 2, deliveries: 100, turns: 1, fewPages: 2 };

export const backfill: Benchmark = {
  name: "backfill",
  title: "Backfill",
  question:
    "How fast do existing users get their rows, compared with deliveries of the webhook and with a " +
    "plain upsert, and how much memory does it take?",
  method: `100,000 users of 2.6 kB, ${PAGE} a page, into an empty database, and into a full one
where nothing changed. **Backfill** is the whole path: the command as a process, which reads the pages
from a stand-in of Clerk's API (another process, which only sends files), checks every user, and calls
Postgres through the [lean API](../bench/whole_path/lean_api.ts). **One delivery each** takes the other
way that users have into the tables: ${SENDERS} senders deliver signed events to the webhook's function, which
calls the same API; twice, for the case that nothing changed. **Pages in Postgres** is the part of
\`ingest_clerk_snapshot\` alone, called with the same pages over one connection, without API and
command. Its rival is a **plain upsert** of columns that are ready as JSON,
\`insert into … select … from jsonb_to_recordset(…) on conflict do update\`, into a copy of the table
without triggers; ${PAGE} rows at a time or all of a turn at once, whichever is faster.

The sides take turns: each writes the next 10,000 users (deliveries: 1,000 of them) while all others
wait; the backfill is stopped between two pages. Two turns are a run. Client and server share the
machine, and Postgres waits for the disk at each commit (\`fsync = on\`). CPU is that of everything that a side
keeps busy: Postgres, the command or the function, the API, and the stand-in of Clerk's or the
senders; for the statements in Postgres it is that of their connection's process.

Memory is the peak of the command's process as the kernel counts it (VmHWM), for 10,000 and for 100,000
users, at full speed.`,
  runs: 5,
  run,
  explain,
};

/** What a side did in one turn or in one run. */
interface Effort {
  readonly side: Side;
  readonly case: Case;
  readonly users: number;
  readonly seconds: number;
  /** NaN if the system does not report it. */
  readonly cpuSeconds: number;
}

/** A side's turn: writes the users from this page on, in one case or in both. */
type Turn = (page: number) => Promise<readonly Effort[]>;

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const size = quick ? QUICK : FULL;
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on", max_wal_size: "4GB", shared_buffers: "1GB" },
  });
  for (const name of ["empty", "full", "alone"]) {
    await createDatabase(server, name);
    await migrate(server.url(name));
  }
  progress("making the users");
  await using few = await serveClerkUsers(size.fewPages);
  await using many = await serveClerkUsers(runs * size.turns * size.pages);

  progress("memory");
  const peaks: Peak[] = [];
  // The second one fills the full database.
  for (const users of [few, many]) {
    await using backfill = await startPacedBackfill(users, server, "full");
    peaks.push({ users: users.count, megabytes: (await backfill.finish()).peak });
  }

  progress("warming up");
  await using empty = await startPacedBackfill(many, server, "empty");
  await using full = await startPacedBackfill(many, server, "full");
  await using contender = await start(OURS, server);
  await deliver(contender, JSON.parse(await few.page(0)));
  await using alone = await startStatements(server, "alone");
  const turns = [
    turnOfBackfill("empty database", empty, size),
    turnOfBackfill("nothing changed", full, size),
    turnOfDeliveries(contender, many, size),
    ...alone.turns(many, size),
  ];

  const efforts: Effort[][] = [];
  for (let number = 0; number < runs; number++) {
    progress(`run ${number + 1} of ${runs}`);
    const ofRun: Effort[] = [];
    for (let turn = 0; turn < size.turns; turn++) {
      const page = (number * size.turns + turn) * size.pages;
      for (const act of turn % 2 === 0 ? turns : turns.toReversed()) ofRun.push(...await act(page));
    }
    efforts.push(ofRun);
  }
  await Promise.all([empty.finish(), full.finish()]);
  return resultOf(efforts, peaks);
}

function turnOfBackfill(which: Case, backfill: PacedBackfill, { pages }: Size): Turn {
  return async () => [
    { side: BACKFILL, case: which, users: pages * PAGE, ...await backfill.write(pages) },
  ];
}

function turnOfDeliveries(contender: Contender, users: ClerkUsers, { deliveries }: Size): Turn {
  return async (page) => {
    const numbers = Array.from({ length: Math.ceil(deliveries / PAGE) }, (_, at) => page + at);
    const texts = await Promise.all(numbers.map(users.page));
    const some = texts.flatMap((text) => JSON.parse(text)).slice(0, deliveries);
    const efforts: Effort[] = [];
    for (const each of CASES) {
      efforts.push({ side: DELIVERED, case: each, ...await deliver(contender, some) });
    }
    return efforts;
  };
}

/** Delivers each user in an event of its own. */
async function deliver(
  contender: Contender,
  users: readonly JsonObject[],
): Promise<Pick<Effort, "users" | "seconds" | "cpuSeconds">> {
  const messages = users.map((user) => aMessage(anEvent("user.updated", user)));
  const { seconds, cpu } = await send(contender, messages, "lean");
  return { users: users.length, seconds, cpuSeconds: cpu.postgres + cpu.function + cpu.rest };
}

/** Sides that are statements, each over the same connection. */
interface Statements extends AsyncDisposable {
  turns(users: ClerkUsers, size: Size): readonly Turn[];
}

async function startStatements(server: PostgresServer, database: string): Promise<Statements> {
  const sql = postgres(server.superuserUrl(database), { max: 1, onnotice: () => {} });
  const monitor = postgres(server.superuserUrl(database), { max: 1, onnotice: () => {} });
  const upsertInto = await preparePlainTables(sql);
  const backends = await backendsOf(monitor);

  const turn = (
    side: Side,
    statement: string,
    parametersOf: (pages: readonly number[]) => string[] | Promise<string[]>,
    { pages }: Size,
  ): Turn =>
  async (page) => {
    const parameters = await parametersOf(Array.from({ length: pages }, (_, at) => page + at));
    const efforts: Effort[] = [];
    for (const each of CASES) {
      const cpuBefore = cpuOf(backends);
      const started = performance.now();
      for (const parameter of parameters) {
        await sql.unsafe(statement, [parameter], { prepare: true });
      }
      const seconds = (performance.now() - started) / 1000;
      const cpuSeconds = cpuOf(backends) - cpuBefore;
      efforts.push({ side, case: each, users: pages * PAGE, seconds, cpuSeconds });
    }
    return efforts;
  };
  return {
    turns: (users, size) => [
      turn(
        IN_SERVER,
        `select public.ingest_clerk_snapshot('user', ${Date.now()}, to_jsonb($1::text))`,
        (pages) => Promise.all(pages.map(users.page)),
        size,
      ),
      turn(BY_PAGE, upsertInto("by_page"), (pages) => pages.map(users.columns), size),
      turn(AT_ONCE, upsertInto("at_once"), (pages) => [
        `[${pages.map((page) => users.columns(page).slice(1, -1)).join(",")}]`,
      ], size),
    ],
    [Symbol.asyncDispose]: async () => {
      await Promise.all([sql.end({ timeout: 5 }), monitor.end({ timeout: 5 })]);
    },
  };
}

/** Makes the copies of the table, and returns the statement that writes to one of them. */
async function preparePlainTables(sql: postgres.Sql): Promise<(table: string) => string> {
  const columns = await sql<{ name: string; type: string }[]>`
    select attname as name, format_type(atttypid, atttypmod) as type
    from pg_attribute
    where attrelid = 'public.profiles'::regclass and attnum > 0 and attgenerated = ''
      and attname <> 'deleted_at'
  `;
  const names = columns.map(({ name }) => name).join(", ");
  await sql.unsafe(`
    create schema plain;
    create table plain.by_page (like public.profiles including all);
    create table plain.at_once (like public.profiles including all);
  `).simple();
  return (table) => `
    insert into plain.${table} (${names})
    select ${names} from jsonb_to_recordset($1::text::jsonb)
      as given (${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})
    on conflict (id) do update set
      ${columns.map(({ name }) => `${name} = excluded.${name}`).join(", ")}
  `;
}

/** The most memory of a backfill. */
interface Peak {
  readonly users: number;
  readonly megabytes: number;
}

/** The figures of a side: the higher, the better. */
const FIGURES = {
  "users/s": ({ users, seconds }: Pick<Effort, "users" | "seconds">): number => users / seconds,
  "users per second of CPU": (
    { users, cpuSeconds }: Pick<Effort, "users" | "cpuSeconds">,
  ): number => users / cpuSeconds,
};
type Unit = keyof typeof FIGURES;
const UNITS = Object.keys(FIGURES) as Unit[];

function resultOf(runs: readonly (readonly Effort[])[], peaks: readonly Peak[]): Result {
  const samplesOf = (which: Case, side: Side, unit: Unit): number[] =>
    runs.map((efforts) => {
      const own = efforts.filter((effort) => effort.case === which && effort.side === side);
      const sum = (of: "users" | "seconds" | "cpuSeconds"): number =>
        own.reduce((total, effort) => total + effort[of], 0);
      return FIGURES[unit]({
        users: sum("users"),
        seconds: sum("seconds"),
        cpuSeconds: sum("cpuSeconds"),
      });
    });
  const plainOf = (which: Case, unit: Unit): number[] => {
    const atOnce = samplesOf(which, AT_ONCE, unit);
    return samplesOf(which, BY_PAGE, unit).map((rate, run) => Math.max(rate, atOnce[run] ?? NaN));
  };
  const ratio = (
    which: Case,
    unit: Unit,
    side: Side,
    to: string,
    rivals: readonly number[],
    aim?: number,
  ): Ratio => ({
    case: which,
    of: `${side}, ${unit}`,
    to,
    better: "higher",
    samples: samplesOf(which, side, unit).map((rate, run) => rate / (rivals[run] ?? NaN)),
    ...(aim === undefined ? {} : { aim }),
  });

  const ratios = CASES.flatMap((which) => [
    ...UNITS.map((unit) =>
      ratio(which, unit, BACKFILL, DELIVERED, samplesOf(which, DELIVERED, unit), AIMS.delivered)
    ),
    ...UNITS.map((unit) => ratio(which, unit, IN_SERVER, PLAIN, plainOf(which, unit), AIMS.plain)),
    ratio(which, "users/s", BACKFILL, PLAIN, plainOf(which, "users/s")),
  ]);
  const measures = CASES.flatMap((which) =>
    UNITS.flatMap((unit) =>
      SIDES.map((side): Measure => ({
        case: which,
        side,
        unit,
        samples: samplesOf(which, side, unit),
      }))
    )
  );
  const [few, many] = peaks.map(({ megabytes }) => megabytes);
  const memory = (to: string, over: number | undefined, aim: number): Ratio => ({
    case: `${peaks[1]?.users.toLocaleString("en")} users`,
    of: "peak memory of the command",
    to,
    better: "lower",
    samples: [(many ?? NaN) / (over ?? NaN)],
    aim,
  });
  return {
    ratios: [
      ...ratios,
      memory(`${MOST_MEGABYTES} MB`, MOST_MEGABYTES, 1),
      memory(`${peaks[0]?.users.toLocaleString("en")} users`, few, 1.1),
    ].filter(({ samples }) => samples.every(Number.isFinite)),
    measures: [
      ...measures,
      ...peaks.map(({ users, megabytes }): Measure => ({
        case: `${users.toLocaleString("en")} users`,
        side: BACKFILL,
        unit: "MB at most",
        samples: [megabytes],
      })),
    ].filter(({ samples }) => samples.every(Number.isFinite)),
  };
}

function explain({ measures }: Result): readonly string[] {
  const perPage = (side: Side, unit: Unit): number =>
    Math.round(
      PAGE * 1000 / median(
        measures.find((measure) =>
          measure.case === "empty database" && measure.side === side && measure.unit === unit
        )?.samples ?? [NaN],
      ),
    );
  const cpu = perPage(BACKFILL, "users per second of CPU");
  const inServer = perPage(IN_SERVER, "users per second of CPU");

  return [
    `The ratios to single deliveries are about the whole path, those to the plain upsert about Postgres ` +
    `alone: the command reads, checks and sends each user, which a statement with ready columns does not. ` +
    `The whole path is compared with it, too, without an aim.`,
    `A page of ${PAGE} new users takes ${perPage(BACKFILL, "users/s")} ms and ${cpu} ms of CPU: ` +
    `${inServer} ms in \`ingest_clerk_snapshot\`, and ${
      cpu - inServer
    } ms in the command, in the API, ` +
    "in the stand-in of Clerk's and for the run's own state. The command reads the next page while " +
    "Postgres writes one.",
    "Within Postgres, no part dominates. The page is parsed as JSON, each user is locked in the register " +
    "in id order, read by the same mapping as an event, written, announced on the queue, and its version " +
    "recorded; the plain upsert does one of these. Where nothing changed, our side compares and writes " +
    "nothing, and the plain upsert writes every row again.",
    "The command runs with V8's `--optimize-for-size`, which doubles its CPU time. Without it, the peak " +
    `of memory exceeds ${MOST_MEGABYTES} MB, because V8 collects garbage late.`,
  ];
}
