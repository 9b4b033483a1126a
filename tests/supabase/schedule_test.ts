import { assertEquals } from "@std/assert";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { databaseTest } from "../test_database.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import { startWithExtensions } from "./stand_in_extensions.ts";

// The local Postgres has no pg_cron, pg_net or Vault, so stand-ins for their functions take the calls.

const NET_AND_VAULT = `
  create schema vault;
  create schema net;
  create table vault.decrypted_secrets (name text, decrypted_secret text);
  create table net.calls (id bigint generated always as identity, url text, body jsonb, headers jsonb);
  create function net.http_post(
    url text, body jsonb, headers jsonb, timeout_milliseconds integer
  ) returns bigint language sql as $$
    insert into net.calls (url, body, headers) values (url, body, headers) returning id
  $$;
`;

databaseTest(
  "the schedule calls the worker with Vault's secret when a change is waiting",
  async (database) => {
    const { sql } = database;
    await sql.unsafe(NET_AND_VAULT).simple();
    const call = async (): Promise<unknown> => {
      const [row] = await sql`select clerk_sync.call_clerk_worker()::int as request`;
      return row?.request;
    };
    const event = {
      type: "user.created",
      timestamp: 1,
      data: { id: "user_ada", updated_at: 1e12 },
    };

    const nothingWaits = await call();
    await database.ingest("msg_1", event);
    const noSecrets = await call();
    await sql`
      insert into vault.decrypted_secrets values
        ('clerk_worker_url', 'https://example.com/functions/v1/clerk-worker'),
        ('another', 'else')
    `;
    const noSecret = await call();
    await sql`insert into vault.decrypted_secrets values ('clerk_worker_secret', 'hush')`;
    const called = await call();
    await sql`select public.read_clerk_changes(1, 60)`;
    const inFlight = await call();

    assertEquals([nothingWaits, noSecrets, noSecret, called, inFlight], [
      null,
      null,
      null,
      1,
      null,
    ]);
    const [request] = await sql`select url, body, headers from net.calls`;
    assertEquals({ ...request }, {
      url: "https://example.com/functions/v1/clerk-worker",
      body: {},
      headers: { "content-type": "application/json", authorization: "Bearer hush" },
    });
  },
);

databaseTest(
  "the schedule calls /reconcile every minute while a run is unfinished, else every ten minutes",
  async ({ sql }) => {
    await sql.unsafe(NET_AND_VAULT).simple();
    await sql`
      insert into vault.decrypted_secrets values
        ('clerk_worker_url', 'https://example.com/functions/v1/clerk-worker/'),
        ('clerk_worker_secret', 'hush')
    `;
    const call = async (): Promise<[boolean, boolean]> => {
      const [row] = await sql`
        select
          extract(minute from now())::int % 10 = 0 as is_tenth,
          clerk_sync.call_clerk_reconcile() is not null as is_called
      `;
      return [row?.is_tenth, row?.is_called];
    };

    const [isTenth, isCalled] = await call();
    assertEquals(isCalled, isTenth);

    await sql`
      insert into clerk_sync.runs (kind, options, leased_until)
      values ('poll', '{"scheduled": true}', now())
    `;
    assertEquals((await call())[1], true);
    assertEquals((await sql`select distinct url from net.calls`).map(({ url }) => url), [
      "https://example.com/functions/v1/clerk-worker/reconcile",
    ]);

    await sql`update clerk_sync.runs set leased_until = now() + interval '1 minute'`;
    assertEquals((await call())[1], false);
    await sql`
      update clerk_sync.runs
      set kind = 'backfill', options = '{}', leased_until = now()
    `;
    const [isTenthNow, isCalledNow] = await call();
    assertEquals(isCalledNow, isTenthNow, "a command goes on with its own run");
  },
);

databaseTest("without Vault the schedule makes no call and does not fail", async (database) => {
  await database.sql`select pgmq.send('clerk_changes', '{}')`;

  const [row] = await database.sql`select clerk_sync.call_clerk_worker() as request`;

  assertEquals(row?.request, null);
});

const JOBS = ["clerk-worker", "clerk-reconcile", "clerk-maintain"];

Deno.test("start_schedule() installs pg_cron and pg_net and schedules the jobs, and the migrations do not", async () => {
  await using server = await startWithExtensions();
  await createDatabase(server, "available");

  await applyOurs(server.url("available"));

  await withConnection(server.url("available"), async (sql) => {
    const extensions = async (): Promise<unknown[]> =>
      (await sql`
          select extname, extnamespace::regnamespace::text as schema
          from pg_extension where extname in ('pg_cron', 'pg_net') order by extname
        `).map((one) => ({ ...one }));
    const names = async (action: string): Promise<unknown> =>
      (await sql.unsafe(`select clerk_sync.${action}_schedule() as names`))[0]?.names;
    assertEquals(await extensions(), []);
    assertEquals(await names("stop"), []);

    assertEquals(await names("start"), JOBS);
    assertEquals(await names("start"), JOBS);

    assertEquals(await extensions(), [
      { extname: "pg_cron", schema: "pg_catalog" },
      { extname: "pg_net", schema: "extensions" },
    ]);
    const jobs = await sql`select jobname, schedule, command from cron.job order by jobid`;
    assertEquals(jobs.slice(0, 2).map((job) => ({ ...job })), [
      {
        jobname: "clerk-worker",
        schedule: "10 seconds",
        command: "select clerk_sync.call_clerk_worker()",
      },
      {
        jobname: "clerk-reconcile",
        schedule: "* * * * *",
        command: "select clerk_sync.call_clerk_reconcile()",
      },
    ]);

    await sql`select cron.schedule('theirs', '* * * * *', 'select 1')`;
    assertEquals([jobs[2]?.jobname, jobs[2]?.schedule], ["clerk-maintain", "17 2 * * *"]);
    assertEquals(await names("stop"), JOBS);
    assertEquals((await sql`select jobname from cron.job`).map(({ jobname }) => jobname), [
      "theirs",
    ]);
  });
});
