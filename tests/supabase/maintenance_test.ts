import { assert, assertEquals } from "@std/assert";
import { databaseTest, type TestDatabase } from "../test_database.ts";

// What retention does beyond one transaction: the cron job, locks, plans.

const MIGRATION = new URL(
  "../../supabase/migrations/20261101000027_schedule_clerk_worker.sql",
  import.meta.url,
);

/** The command of the nightly job, which start_schedule() gives to pg_cron. */
async function nightlyJob(): Promise<string> {
  const [, command] = (await Deno.readTextFile(MIGRATION)).split("$job$");
  assert(command !== undefined);
  return command;
}

/** Messages past their time: as many to delete as to prune. */
async function fillInbox({ sql }: TestDatabase, each: number): Promise<void> {
  await sql`
    insert into clerk_sync.inbox (message_id, outcome, received_at, payload)
    select 'msg_' || n, 'applied', now() - case when n % 2 = 0 then interval '50 days' else '500 days' end, '{}'
    from generate_series(1, ${2 * each}::int) as n
  `;
}

async function inboxOf({ sql }: TestDatabase): Promise<unknown> {
  const [row] = await sql`
    select count(*)::int as messages, count(payload)::int as payloads from clerk_sync.inbox
  `;
  return { ...row };
}

databaseTest(
  "the nightly job prunes everything, and commits after each batch",
  async (database) => {
    const { sql } = database;
    await fillInbox(database, 5000);
    await sql.unsafe(`
    create table public.batches (transaction xid8, rows bigint);
    create function public.note_batch() returns trigger language plpgsql as $$
    begin
      insert into public.batches select pg_current_xact_id(), count(*) from gone;
      return null;
    end $$;
    create trigger note_batch after delete on clerk_sync.inbox
      referencing old table as gone execute function public.note_batch();
  `).simple();

    await sql.unsafe(await nightlyJob()).simple();

    assertEquals(await inboxOf(database), { messages: 5000, payloads: 0 });
    const batches = await sql`
    select count(distinct transaction)::int as transactions, max(rows)::int as most, sum(rows)::int as rows
    from public.batches
  `;
    assertEquals(batches.map((one) => ({ ...one })), [{ transactions: 3, most: 2000, rows: 5000 }]);
  },
);

databaseTest("a message that is being delivered is left to the next night", async (database) => {
  await fillInbox(database, 10);
  const job = await nightlyJob();

  await database.admin.begin(async (delivery) => {
    await delivery`
      select from clerk_sync.inbox where message_id in ('msg_1', 'msg_2') for no key update
    `;
    await database.sql.unsafe(job).simple();
    assertEquals(await inboxOf(database), { messages: 11, payloads: 2 });
  });
  await database.sql.unsafe(job).simple();

  assertEquals(await inboxOf(database), { messages: 10, payloads: 0 });
});

databaseTest("a tombstone that is in use is left to the next night", async (database) => {
  const { sql } = database;
  await sql.unsafe(`
    insert into public.profiles (id, deleted_at)
    select 'user_' || n, now() - interval '9 days' from generate_series(1, 3) as n;
    update clerk_sync.settings set purge_after = '1 day';
  `).simple();
  const purge = async (): Promise<unknown> => {
    const [row] = await sql`
      select public.maintain_clerk_sync(next => '{"part": "profiles"}') - 'next' as report
    `;
    return row?.report;
  };

  await database.admin.begin(async (other) => {
    await other`select from public.profiles where id = 'user_2' for key share`;
    assertEquals(await purge(), {
      part: "profiles",
      count: 2,
      ids: ["user_1", "user_3"],
      refused: [],
    });
  });

  assertEquals(await purge(), { part: "profiles", count: 1, ids: ["user_2"], refused: [] });
});

databaseTest(
  "two that purge at once delete each tombstone once, and neither waits",
  async (database) => {
    await database.sql.unsafe(`
    insert into public.profiles (id, deleted_at)
    select 'user_' || n, now() - interval '9 days' from generate_series(1, 400) as n;
    update clerk_sync.settings set purge_after = '1 day';
    grant service_role to authenticator;
  `).simple();
    const pool = database.connect(2);
    const purge = (): Promise<{ ids?: string[]; refused?: unknown[] }> =>
      pool.begin(async (session) => {
        await session`set local role service_role`;
        const [row] = await session`
        select public.maintain_clerk_sync(next => '{"part": "profiles"}') as report
      `;
        return row?.report;
      });

    const reports = await Promise.all([purge(), purge()]);

    const ids: string[] = reports.flatMap(({ ids = [] }) => ids);
    assertEquals([ids.length, new Set(ids).size], [400, 400]);
    assertEquals(reports.flatMap(({ refused = [] }) => refused), []);
  },
);

databaseTest("every batch finds its rows by an index", async ({ sql }) => {
  await sql.unsafe(`
    insert into clerk_sync.inbox (message_id, outcome, received_at, payload)
    select 'msg_' || n, 'applied', now() - interval '1 hour' * n / 8, case when n < 8000 then '{}'::jsonb end
    from generate_series(1, 20000) as n;
    insert into pgmq.a_clerk_changes (msg_id, enqueued_at, archived_at, vt, message)
    select n, now(), now() - interval '1 minute' * n, now(), '{}' from generate_series(1, 50000) as n;
    insert into public.profiles (id, deleted_at)
    select 'user_' || n, case when n % 1000 = 0 then now() - interval '9 days' end from generate_series(1, 20000) as n;
    update clerk_sync.settings set purge_after = '1 day';
    analyze clerk_sync.inbox, pgmq.a_clerk_changes, public.profiles;
  `).simple();

  for (const part of ["messages", "payloads", "changes", "profiles"]) {
    // What was counted before must not count.
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql.begin(async (transaction) => {
      await transaction`
        select public.maintain_clerk_sync(next => ${sql.json({ part })}, batch => 10)
      `;
      return await transaction`
        select sum(seq_scan)::int as scans, sum(idx_tup_fetch)::int between 1 and 100 as reads_few
        from pg_stat_xact_user_tables
        where relname in ('inbox', 'a_clerk_changes', 'profiles')
      `;
    });
    assertEquals([part, { ...row }], [part, { scans: 0, reads_few: true }]);
  }
});
