import { assertEquals } from "@std/assert";
import { createDatabase, withConnection } from "../../local/databases.ts";
import { startEphemeralPostgres } from "../../local/ephemeral_postgres.ts";
import { migrate } from "../../local/migrate.ts";
import { databaseTest } from "../test_database.ts";

// pg_cron, pg_net and Vault are not to be had here: stand-ins of their functions take the calls.

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
  "the schedule calls the worker when something waits, with Vault's secret",
  async (database) => {
    const { sql } = database;
    await sql.unsafe(NET_AND_VAULT).simple();
    const call = async (): Promise<unknown> => {
      const [row] = await sql`select clerk_sync.call_queue_worker()::int as request`;
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
        ('clerk_worker_url', 'https://example.com/functions/v1/queue-worker'),
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
      url: "https://example.com/functions/v1/queue-worker",
      body: {},
      headers: { "content-type": "application/json", authorization: "Bearer hush" },
    });
  },
);

Deno.test("where pg_cron exists, the migrations schedule the worker every 10 seconds", async () => {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "scheduled");
  await withConnection(server.url("scheduled"), async (sql) => {
    await sql.unsafe(`
      create schema cron;
      create table cron.job (name text, schedule text, command text);
      create function cron.schedule(name text, schedule text, command text) returns bigint
        language sql as $$ insert into cron.job values (name, schedule, command) returning 1 $$;
    `).simple();
  });

  await migrate(server.url("scheduled"));

  await withConnection(server.url("scheduled"), async (sql) => {
    const jobs = await sql`select name, schedule, command from cron.job`;
    assertEquals(jobs.map((job) => ({ ...job })), [{
      name: "clerk-queue-worker",
      schedule: "10 seconds",
      command: "select clerk_sync.call_queue_worker()",
    }]);
  });
});
