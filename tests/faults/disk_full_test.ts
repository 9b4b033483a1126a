import connectTo from "postgres";
import { withConnection } from "../../local/postgres/databases.ts";
import { makeEphemeralFolder, runtimeDirOf, stackHome } from "../../local/postgres/home.ts";
import { preparePostgresRuntime } from "../../local/postgres/runtime.ts";
import { until } from "../until.ts";
import { aBacklog } from "../clerk/crowd.ts";
import { startFaultStack } from "./fault_stack.ts";
import { faultTest } from "./fault_case.ts";
import { startOwnPostgres } from "../../bench/outage/own_postgres.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// The disk is full in the middle of a load. A limit on the file size of the server's processes (`ulimit -f`,
// RLIMIT_FSIZE) simulates this without any privilege: Postgres cannot write to a table, or to its log, which
// makes it stop (PANIC).

const MIB = 1024 * 1024;
const LARGEST_TABLE = 24 * MIB;
/** Smaller than a segment of the log, larger than any table of the test. */
const LARGEST_LOG = 8 * MIB;
const HONEST = ["503 unavailable", "500 failed"];

const TABLES = [
  {
    table: "clerk_sync.inbox",
    columns: "message_id, outcome, payload",
    row: "'ballast_' || n, 'ignored', jsonb_build_object('ballast', ballast)",
    isBallast: "message_id like 'ballast_%'",
    room: 200,
  },
  {
    table: "public.profiles",
    columns: "id, image_url",
    row: "'user_ballast' || n, ballast",
    isBallast: "id like 'user_ballast%'",
    room: 40,
  },
];

for (const { table, columns, row, isBallast, room } of TABLES) {
  faultTest(`when ${table} cannot grow, nothing that was acknowledged is lost`, async () => {
    await using limit = await fileSizeLimit(LARGEST_TABLE);
    await using postgres = await startOwnPostgres({ program: limit.program });
    const messages = aBacklog(150, 6);
    const superuserUrl = postgres.superuserUrl(postgres.database);
    await withConnection(superuserUrl, async (sql) => {
      await sql`set session_replication_role = replica`;
      const insert = (from: number, rows: number): Promise<unknown> =>
        sql.unsafe(`
          insert into ${table} (${columns})
          select ${row}
          from generate_series(${from}, ${from + rows - 1}) as n,
            lateral (select string_agg(md5(n::text || i), '') as ballast from generate_series(1, 8) as i)
        `);
      let rows = 0;
      for (const step of [1000, 10]) {
        while (await insert(rows, step).then(() => true, () => false)) rows += step;
        // Frees the space of the refused rows.
        await sql.unsafe(`vacuum ${table}`);
      }
      // Room for the beginning of the load.
      await sql.unsafe(`
        delete from ${table}
        where ctid in (select ctid from ${table} where ${isBallast} limit ${room})
      `);
      await sql.unsafe(`vacuum ${table}`);
    });
    await using stack = await startFaultStack(postgres, postgres.database);

    const attempts = await underLoad(stack, messages, async (load) => {
      await load.acknowledged(20);
      await load.refused(20);
      // The disk is larger when Postgres starts again.
      await postgres.stop();
      await postgres.start({ program: undefined });
      await stack.replaceApi();
    });

    await withConnection(superuserUrl, (sql) =>
      sql.unsafe(`
        set session_replication_role = replica;
        delete from ${table} where ${isBallast};
      `).simple());
    const verdict = await verdictOn(superuserUrl, messages, attempts);
    assertNothingLost(`disk full (${table} at its file-size limit)`, verdict, HONEST);
  });
}

faultTest(
  "when the log cannot grow, Postgres stops, and nothing that was acknowledged is lost",
  async () => {
    await using limit = await fileSizeLimit(LARGEST_LOG);
    // Otherwise Postgres may restart by itself, as often as there is room for the log of a recovery.
    await using postgres = await startOwnPostgres({ settings: { restart_after_crash: "off" } });
    const messages = aBacklog(250, 7);
    const superuserUrl = postgres.superuserUrl(postgres.database);
    // Room for the beginning of the load.
    const ballast = LARGEST_LOG - MIB / 4;
    const isUp = (): Promise<boolean> => succeeds(superuserUrl, "select 1");
    await withConnection(superuserUrl, async (sql) => {
      await sql`select pg_switch_wal()`;
      await sql`select pg_logical_emit_message(false, 'ballast', repeat('x', ${ballast}))`;
    });
    await postgres.stop();
    await postgres.start({ program: limit.program });
    await using stack = await startFaultStack(postgres, postgres.database);

    const attempts = await underLoad(stack, messages, async (load) => {
      await load.acknowledged(20);
      await until("Postgres has stopped", () => !postgres.isRunning(), 30_000);
      await load.refused(20);
      // The disk is larger when Postgres starts again.
      await postgres.start({ program: undefined });
      await until("Postgres is back", isUp, 30_000);
      await stack.replaceApi();
    });

    const verdict = await verdictOn(superuserUrl, messages, attempts);
    assertNothingLost("disk full (log at its file-size limit)", verdict, HONEST);
  },
);

/** Whether a statement succeeds on a server that may be down. */
async function succeeds(url: string, statement: string): Promise<boolean> {
  // Without fetch_types, or postgres.js leaves a rejected promise behind.
  const sql = connectTo(url, { max: 1, fetch_types: false, connect_timeout: 5 });
  try {
    await sql.unsafe(statement);
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A `postgres` whose processes cannot write a file beyond the limit. */
async function fileSizeLimit(bytes: number): Promise<{ program: string } & AsyncDisposable> {
  const home = await stackHome();
  const { postgres } = await preparePostgresRuntime(runtimeDirOf(home));
  const folder = await makeEphemeralFolder(home);
  const program = `${folder}/postgres.sh`;
  await Deno.writeTextFile(
    program,
    `#!/bin/sh\nulimit -S -f ${bytes / 512}\nexec '${postgres}' "$@"\n`,
  );
  await Deno.chmod(program, 0o755);
  return {
    program,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
