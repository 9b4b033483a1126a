import { assertEquals } from "@std/assert";
import postgres from "postgres";
import { databaseTest, type TestDatabase } from "../../../test_database.ts";
import { until } from "../../../until.ts";

// Several workers on the real queue at once, each on a connection of its own with the worker's role.

async function makeChanges({ sql }: TestDatabase, count: number): Promise<void> {
  await sql`
    select public.ingest_clerk_event(
      'msg_' || n,
      jsonb_build_object(
        'type', 'user.created',
        'timestamp', 1760000000000,
        'data', jsonb_build_object('id', 'user_' || n, 'updated_at', 1760000000000)))
    from generate_series(1, ${count}) as n
  `;
}

interface Read {
  readonly message_id: number;
  readonly reads: number;
  readonly version: unknown;
  readonly row: { readonly id: string } | null;
}

/** One call, in a transaction of its own. */
function read(workers: postgres.Sql, batch: number, seconds: number): Promise<Read[]> {
  return workers.begin(async (transaction) => {
    await transaction`set local role clerk_worker`;
    const rows = await transaction<{ change: Read }[]>`
      select change from public.read_clerk_changes(${batch}, ${seconds}) as change
    `;
    return rows.map(({ change }) => change);
  }) as Promise<Read[]>;
}

async function settle(
  transaction: postgres.TransactionSql,
  settlements: readonly Record<string, string | number>[],
): Promise<unknown> {
  await transaction`set local role clerk_worker`;
  const [row] = await transaction<{ counts: unknown }[]>`
    select public.settle_clerk_changes(${JSON.stringify(settlements)}::text::jsonb) as counts
  `;
  return row?.counts;
}

/** What the database answered in place of counts. */
function refusalOf(error: unknown): string {
  return error instanceof postgres.PostgresError ? error.code : String(error);
}

function counts(some: Record<string, number>): Record<string, number> {
  return { done: 0, retry: 0, dead: 0, gone: 0, ...some };
}

async function untilOneWaits({ admin, name }: TestDatabase): Promise<void> {
  await until("one worker waits for the other", async () => {
    const [row] = await admin<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = ${name} and wait_event_type = 'Lock'
    `;
    return row?.count === 1;
  });
}

databaseTest(
  "no change is given to two workers within its visibility timeout, and every one is after it",
  async (database) => {
    await makeChanges(database, 200);
    const workers = database.connect(6);

    const hands = await Promise.all(Array.from({ length: 60 }, () => read(workers, 5, 60)));
    const taken = hands.flat().map(({ message_id }) => message_id);
    const early = await read(workers, 500, 60);
    await database.sql`update pgmq.q_clerk_changes set vt = vt - interval '61 seconds'`;
    const late = await Promise.all(Array.from({ length: 60 }, () => read(workers, 5, 60)));

    assertEquals([taken.length, new Set(taken).size, early.length], [200, 200, 0]);
    assertEquals(new Set(late.flat().map(({ message_id }) => message_id)), new Set(taken));
    assertEquals(new Set(late.flat().map(({ reads }) => reads)), new Set([2]));
    assertEquals(late.flat().length, 200);
  },
);

databaseTest(
  "a change that is committed while a worker reads comes with its row",
  async (database) => {
    const { admin, sql } = database;
    await admin.unsafe(`
      do $$ begin
        execute format(
          'alter function %s rename to read_at_once',
          (select oid::regprocedure from pg_proc where proname = 'read' and pronamespace = 'pgmq'::regnamespace));
      end $$;
      create function pgmq.read(queue_name text, vt integer, qty integer)
      returns setof pgmq.message_record language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(1);
        return query select * from pgmq.read_at_once(queue_name, vt, qty);
      end $$;
      select pg_advisory_lock(1);
    `).simple();

    const reading = read(database.connect(1), 10, 60);
    await untilOneWaits(database);
    await makeChanges(database, 1);
    await admin`select pg_advisory_unlock(1)`;
    const changes = await reading;

    const [{ version } = { version: "none" }] = await sql<{ version: unknown }[]>`
      select to_jsonb(version) as version from clerk_sync.objects where id = 'user_1'
    `;
    assertEquals(changes.map(({ row, version }) => [row?.id, version]), [["user_1", version]]);
  },
);

databaseTest(
  "of two workers that dead-letter one change, one does, and the other finds it gone",
  async (database) => {
    await makeChanges(database, 1);
    const workers = database.connect(2);
    const dead = [{ message_id: 1, verdict: "dead", error_class: "http_500" }];

    let second: Promise<unknown> = Promise.resolve();
    const first = await workers.begin(async (transaction) => {
      const settled = await settle(transaction, dead);
      second = workers.begin((other) => settle(other, dead)).catch(refusalOf);
      await untilOneWaits(database);
      return settled;
    });

    assertEquals([first, await second], [counts({ dead: 1 }), counts({ gone: 1 })]);
    const [row] = await database.sql`select count(*)::int from pgmq.q_clerk_changes_dead`;
    assertEquals(row?.count, 1);
  },
);

databaseTest(
  "two workers that settle the same changes in opposite order do not deadlock",
  async (database) => {
    await makeChanges(database, 2);
    const workers = database.connect(2);
    const retry = (message_id: number): Record<string, string | number> => ({
      message_id,
      verdict: "retry",
      delay_seconds: 1,
    });

    let second: Promise<unknown> = Promise.resolve();
    const first = await workers.begin(async (transaction) => {
      await settle(transaction, [retry(1)]);
      second = workers.begin((other) => settle(other, [retry(2), retry(1)])).catch(refusalOf);
      await untilOneWaits(database);
      return await settle(transaction, [retry(2)]);
    });

    assertEquals([first, await second], [counts({ retry: 1 }), counts({ retry: 2 })]);
  },
);

databaseTest("dead letters that two operators revive at once come back once", async (database) => {
  const { sql } = database;
  await sql`
    select pgmq.send('clerk_changes_dead', jsonb_build_object('id', 'user_' || n))
    from generate_series(1, 3) as n
  `;
  const operators = database.connect(2);
  const redrive = async (transaction: postgres.TransactionSql): Promise<unknown> => {
    const [row] = await transaction`select public.redrive_clerk_changes() as count`;
    return row?.count;
  };

  const both = await operators.begin(async (transaction) => {
    await transaction`set local role clerk_worker`;
    const first = await redrive(transaction);
    const second = await operators.begin(async (other) => {
      await other`set local role clerk_worker`;
      await other`set local lock_timeout = '5s'`;
      return await redrive(other);
    });
    return [first, second];
  });

  assertEquals(both, [3, 0]);
  const [row] = await sql`
    select
      (select count(*)::int from pgmq.q_clerk_changes) as alive,
      (select count(*)::int from pgmq.q_clerk_changes_dead) as dead
  `;
  assertEquals({ ...row }, { alive: 3, dead: 0 });
});
