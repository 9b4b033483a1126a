import { assertEquals } from "@std/assert";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { makeEphemeralFolder, stackHome } from "../../local/postgres/home.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { preparePostgresRuntime } from "../../local/postgres/runtime.ts";
import { locatePostgres15 } from "../postgres_15.ts";
import { until } from "../until.ts";

// Runs the schedule once with a real pg_cron, Debian's for Postgres 15 (package postgresql-15-cron). npm
// does not carry it, so `deno task test:cron` is no part of `deno task test`; CI installs the package and
// runs both.

const LIBRARY = "/usr/lib/postgresql/15/lib/pg_cron.so";
const EXTENSIONS = "/usr/share/postgresql/15/extension";

const PG_NET_AND_VAULT = `
  create schema vault;
  create table vault.decrypted_secrets (name text, decrypted_secret text);
  insert into vault.decrypted_secrets values
    ('clerk_worker_url', 'https://example.com/functions/v1/clerk-worker'),
    ('clerk_worker_secret', 'hush');
  create schema net;
  create table net.calls (url text);
  create function net.http_post(
    url text, body jsonb, headers jsonb, timeout_milliseconds integer
  ) returns bigint language sql as 'insert into net.calls (url) values (url) returning 1';
`;

const GRANTS = `
  grant usage on schema cron to postgres;
  grant all on all tables in schema cron to postgres;
  grant all on all sequences in schema cron to postgres;
  grant all on all functions in schema cron to postgres;
`;

Deno.test("pg_cron runs the schedule until it is stopped", async () => {
  const folder = await makeEphemeralFolder(await stackHome());
  try {
    const runtimeDir = `${folder}/runtime`;
    const { root } = await preparePostgresRuntime(runtimeDir, locatePostgres15);
    await Deno.copyFile(LIBRARY, `${root}/lib/postgresql/pg_cron.so`);
    const ours = `${root}/share/postgresql/extension`;
    for await (const { name } of Deno.readDir(EXTENSIONS)) {
      if (name.startsWith("pg_cron")) {
        await Deno.copyFile(`${EXTENSIONS}/${name}`, `${ours}/${name}`);
      }
    }
    // On Supabase, postgres may create it, and use what it makes.
    await Deno.writeTextFile(`${ours}/pg_cron.control`, "\ntrusted = true\n", { append: true });
    await Deno.writeTextFile(`${ours}/pg_cron--1.4--1.4-1.sql`, GRANTS, { append: true });
    await Deno.writeTextFile(`${ours}/pg_net.control`, "default_version = '1.0'\ntrusted = true\n");
    await Deno.writeTextFile(`${ours}/pg_net--1.0.sql`, "");
    await using server = await startPostgres({
      runtimeDir,
      locateServer: locatePostgres15,
      dataDir: `${folder}/postgres`,
      port: 0,
      settings: {
        fsync: "off",
        shared_preload_libraries: "pg_cron",
        "cron.database_name": "scheduled",
        "cron.use_background_workers": "on",
      },
    });
    await createDatabase(server, "scheduled");
    await applyOurs(server.url("scheduled"));
    await withConnection(server.url("scheduled"), async (sql) => {
      await sql.unsafe(PG_NET_AND_VAULT).simple();
      await sql`select pgmq.send('clerk_changes', '{}')`;
      await sql`insert into clerk_sync.runs (kind, options, leased_until)
        values ('poll', '{"scheduled": true}', now())`;

      await sql`select clerk_sync.start_schedule()`;
      // Debian's pg_cron cannot count seconds: both run at the next full minute.
      await until(
        "pg_cron has called the worker twice",
        async () => (await sql`select from net.calls`).length >= 2,
        90_000,
      );

      const calls = await sql`select distinct url from net.calls order by url`;
      assertEquals(calls.map(({ url }) => url), [
        "https://example.com/functions/v1/clerk-worker",
        "https://example.com/functions/v1/clerk-worker/reconcile",
      ]);

      await sql`select clerk_sync.stop_schedule()`;
      assertEquals((await sql`select from cron.job`).length, 0);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
