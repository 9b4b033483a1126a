import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import postgres from "postgres";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../local/postgres/ephemeral.ts";
import { makeEphemeralFolder, stackHome } from "../../local/postgres/home.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import {
  type PostgresAddress,
  type PostgresServer,
  startPostgres,
} from "../../local/postgres/postgres.ts";
import { preparePostgresRuntime } from "../../local/postgres/runtime.ts";
import { StartError } from "../../local/start_error.ts";
import { locatePostgres15 } from "../postgres_15.ts";
import { databaseTest } from "../test_database.ts";
import { POSTGRES_VERSIONS, type PostgresVersion } from "../test_server.ts";

const CHECK = new URL(
  "../../supabase/migrations/20261101000000_check_database.sql",
  import.meta.url,
);

function start(version: PostgresVersion): Promise<PostgresServer> {
  return startEphemeralPostgres(version === 15 ? { locateServer: locatePostgres15 } : {});
}

// Servers of this file's own: roles belong to a whole server, and other files make databases on the common
// one at the same time.
const servers = new Map<PostgresVersion, Promise<PostgresServer>>();

function ownServer(version: PostgresVersion = 17): Promise<PostgresServer> {
  const server = servers.get(version) ?? start(version);
  servers.set(version, server);
  return server;
}

Deno.test.afterAll(async () => {
  for (const server of servers.values()) await (await server).stop();
});

/** The sentences with which our migrations are refused in this database; none if they are applied. */
async function problemsOf(databaseUrl: string): Promise<string[]> {
  try {
    await applyOurs(databaseUrl);
    return [];
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const [head = "", ...sentences] = error.message.split("\n- ");
    assertMatch(
      head,
      /20261101000000_check_database\.sql as Postgres answers 55000: Cannot install clerk-sync, and nothing was changed:$/,
    );
    return sentences.map((sentence) => sentence.replace(/ \(PL\/pgSQL function inline.*$/s, ""));
  }
}

/** Uses an empty database of a server, and drops it. */
async function withEmptyDatabase(
  server: PostgresAddress,
  use: (database: { url: string; sql: postgres.Sql; admin: postgres.Sql }) => Promise<void>,
): Promise<void> {
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await createDatabase(server, name);
  try {
    await withConnection(
      server.url(name),
      (sql) =>
        withConnection(
          server.superuserUrl(name),
          (admin) => use({ url: server.url(name), sql, admin }),
        ),
    );
  } finally {
    await dropDatabase(server, name);
  }
}

/** How many objects of ours there are: in schemas of ours, in public and in pgmq, and applied migrations. */
async function oursIn(sql: postgres.Sql): Promise<number> {
  const [row] = await sql`
    select (
      (select count(*) from pg_namespace where nspname in ('clerk', 'clerk_sync', 'pgmq'))
      + (select count(*) from pg_extension where extname = 'pgmq')
      + (select count(*) from pg_class where relnamespace = 'public'::regnamespace)
      + (select count(*) from pg_proc where pronamespace = 'public'::regnamespace)
      + (select count(*) from supabase_migrations.schema_migrations)
    )::int as count
  `;
  return row?.count;
}

databaseTest(
  "each name that the migrations use is reported when it is taken, all at once",
  async ({ sql: ours }) => {
    const relations = await ours<{ name: string; kind: string }[]>`
      select relname as name, relkind as kind
      from pg_class where relnamespace = 'public'::regnamespace order by relname
    `;
    const functions = await ours<{ name: string }[]>`
      select distinct proname as name
      from pg_proc where pronamespace = 'public'::regnamespace order by proname
    `;
    const queues = await ours<{ name: string }[]>`select queue_name as name from pgmq.meta`;
    const schemas = await ours<{ name: string }[]>`
      select nspname as name from pg_namespace
      where nspname not in ('public', 'pgmq', 'extensions', 'auth', 'clerk_sync', 'supabase_migrations')
        and nspname !~ '^(pg_|information_schema$)'
    `;
    const types = await ours`
      select typname from pg_type
      where typnamespace = 'public'::regnamespace and typrelid = 0 and typelem = 0
    `;
    assertEquals(types.length, 0, "A type of ours must be checked, too");

    await withEmptyDatabase(await ownServer(), async ({ url, sql }) => {
      await sql.unsafe(`
        create extension pgmq;
        ${queues.map(({ name }) => `select pgmq.create('${name}');`).join("\n")}
        ${schemas.map(({ name }) => `create schema ${name};`).join("\n")}
        create table public.holder (a int);
        ${
        relations.map(({ name, kind }) =>
          kind === "i" ? `create index ${name} on public.holder (a);` : ({
            organizations: `create view public.organizations as select 1 as id;`,
            organization_roles: `create type public.organization_roles as enum ('admin');`,
          }[name] ?? `create table public.${name} (id int);`)
        ).join("\n")
      }
        ${
        functions.map(({ name }) =>
          `create function public.${name}(a int) returns int language sql as 'select 1';`
        ).join("\n")
      }
      `).simple();

      const problems = await problemsOf(url);

      const reported = problems.map((problem) =>
        /^The (?:\w+ )+(?:public\.)?(\w+) exists, /.exec(problem)?.[1] ?? problem
      );
      assertEquals(
        reported.sort(),
        [...relations, ...functions, ...queues, ...schemas].map(({ name }) => name).sort(),
      );
      assertMatch(problems.join("\n"), /^The view public\.organizations exists/m);
      assertMatch(problems.join("\n"), /^The type public\.organization_roles exists/m);
      assertEquals((await sql`select to_regnamespace('clerk_sync')`)[0]?.to_regnamespace, null);
    });
  },
);

databaseTest("the check names nothing that the migrations do not make", async ({ sql }) => {
  const text = await Deno.readTextFile(CHECK);
  const names = [...text.matchAll(/^ {4}'(public\.\w+)'/gm)].map(([, name = ""]) => name);

  const missing = await sql`
    select name from unnest(${names}::text[]) as name
    where to_regclass(name) is null
      and not exists (
        select from pg_proc where pronamespace = 'public'::regnamespace and 'public.' || proname = name
      )
  `;

  assertEquals(missing.map(({ name }) => name), []);
});

Deno.test({
  name: "after a refusal nothing is left, and the migrations apply once the reasons are gone",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await withEmptyDatabase(await ownServer(), async ({ url, sql }) => {
      await sql`create table public.profiles (id text primary key)`;
      await sql`create schema clerk`;
      assertEquals(await problemsOf(url), [
        "The table public.profiles exists, and clerk-sync creates something of that name: rename yours, or install clerk-sync with a prefix (init --prefix clerk_).",
        "The schema clerk exists, perhaps for Supabase's Clerk wrapper, and clerk-sync creates one of that name: rename yours (alter schema clerk rename to clerk_api).",
      ]);

      // The table's index keeps its name, and our functions name the one of our table.
      await sql`alter table public.profiles rename to people`;
      await sql`drop schema clerk`;
      assertEquals(await problemsOf(url), [
        "The index public.profiles_pkey exists, and clerk-sync creates something of that name: rename yours, or install clerk-sync with a prefix (init --prefix clerk_).",
      ]);

      await sql`drop table public.people`;
      assertEquals(await oursIn(sql), 0);
      assertEquals(await problemsOf(url), []);
      assertEquals((await sql`select * from public.profiles`).length, 0);
    });
  },
});

databaseTest("an installed clerk-sync is reported, and none of its names", async ({ sql }) => {
  const check = await Deno.readTextFile(CHECK);

  const error = await assertRejects(
    () => sql.unsafe(check).simple(),
    postgres.PostgresError,
  );

  assertMatch(
    error.message,
    /changed:\n- The schema clerk_sync exists, so clerk-sync \d+\.\d+\.\d+ is installed already: upgrade it, or uninstall it first\.$/,
  );
});

Deno.test({
  name: "a queue of our name is reported, with the way to drop it",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await withEmptyDatabase(await ownServer(), async ({ url, sql }) => {
      await sql`create extension pgmq`;
      await sql`select pgmq.create('clerk_changes')`;
      await sql`select pgmq.create_unlogged('clerk_changes_dead')`;
      assertEquals(await problemsOf(url), [
        "The queue clerk_changes exists, and clerk-sync creates one of that name: drop it (select pgmq.drop_queue('clerk_changes')).",
        "The queue clerk_changes_dead exists (unlogged: a crash empties it), and clerk-sync creates one of that name: drop it (select pgmq.drop_queue('clerk_changes_dead')).",
      ]);

      await sql`select pgmq.drop_queue('clerk_changes_dead')`;
      await sql`drop extension pgmq`;
      const [problem = "", ...others] = await problemsOf(url);
      assertEquals(others, []);
      assertMatch(
        problem,
        /drop it \(drop table pgmq\.a_clerk_changes, pgmq\.q_clerk_changes\)\.$/,
      );

      await sql`drop table pgmq.a_clerk_changes, pgmq.q_clerk_changes`;
      await sql`create extension pgmq`;
      await sql`select pgmq.create('orders')`;
      assertEquals(await problemsOf(url), []);
    });
  },
});

Deno.test({
  name: "a version of Postgres that is too old is reported",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await withEmptyDatabase(await ownServer(), async ({ sql }) => {
      const check = await Deno.readTextFile(CHECK);
      await sql.unsafe(check).simple();

      const error = await assertRejects(
        () => sql.unsafe(check.replace("version < 150000", "version < 990000")).simple(),
        postgres.PostgresError,
      );

      assertMatch(
        error.message,
        /^Cannot .*\n- The database is Postgres 17\.\d+, which .* upgrade it to Postgres 15 or newer\.$/,
      );
    });
  },
});

Deno.test("a server without pgmq is reported", async () => {
  const folder = await makeEphemeralFolder(await stackHome());
  try {
    const runtimeDir = `${folder}/runtime`;
    const { root } = await preparePostgresRuntime(runtimeDir);
    await Deno.remove(`${root}/share/postgresql/extension/pgmq.control`);
    await using server = await startPostgres({
      runtimeDir,
      dataDir: `${folder}/postgres`,
      port: 0,
      settings: { fsync: "off" },
    });
    await withEmptyDatabase(server, async ({ url }) => {
      assertEquals(await problemsOf(url), [
        "The extension pgmq is not available, and clerk-sync queues changes in it: upgrade the project to a version of Postgres that has it.",
      ]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What Supabase does after a superuser created pgmq: everything in it becomes the property of postgres. */
const GIVE_PGMQ_TO_POSTGRES = `
  do $$
  declare
    extension constant oid := (select oid from pg_extension where extname = 'pgmq');
    statement text;
  begin
    update pg_extension set extowner = 'postgres'::regrole where oid = extension;
    alter schema pgmq owner to postgres;
    for statement in
      select format('alter %s %s owner to postgres', type, identity)
      from pg_depend
      cross join lateral pg_identify_object(classid, objid, objsubid)
      where refobjid = extension
        and deptype = 'e'
        and type in ('table', 'function', 'composite type')
    loop
      execute statement;
    end loop;
  end
  $$;
`;

for (const version of POSTGRES_VERSIONS) {
  Deno.test({
    name:
      `a role like Supabase's postgres, no superuser, applies every migration on Postgres ${version}, whoever created pgmq`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const server = await ownServer(version);
      await withEmptyDatabase(server, async ({ url, sql, admin }) => {
        const [role] = await sql`
          select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
          from pg_roles where rolname = current_user
        `;
        assertEquals(Object.values(role ?? {}), [false, true, true, true, true]);

        await admin`create extension pgmq`;
        const [refusal = "", ...others] = await problemsOf(url);
        assertEquals(others, []);
        assertMatch(
          refusal,
          /^The role postgres cannot use the extension pgmq, .* \(permission denied for schema pgmq\): install/,
        );

        await admin.unsafe(GIVE_PGMQ_TO_POSTGRES).simple();
        assertEquals(await problemsOf(url), []);
      });
      await withEmptyDatabase(server, async ({ url }) => {
        assertEquals(await problemsOf(url), []);
      });
    },
  });

  Deno.test(`roles that somebody else made are reported on Postgres ${version}, and those of an earlier installation are not`, async () => {
    await using server = await start(version);
    await withEmptyDatabase(server, async ({ url, sql, admin }) => {
      await sql`create role clerk_ingest login createdb`;
      await sql`create role clerk_worker`;
      await sql`create role readers`;
      await sql`grant readers to clerk_worker`;
      await sql`grant clerk_worker to anon`;
      await sql`create table public.orders ()`;
      await sql`grant select on public.orders to clerk_worker`;
      assertEquals(
        (await problemsOf(url)).map((problem) => problem.replace(/, so somebody.*$/, "")),
        [
          "The role clerk_ingest exists and can log in",
          "The role clerk_ingest exists and has special attributes",
          "The role clerk_worker exists and is a member of readers",
          "The role clerk_worker exists and is granted to anon",
          "The role clerk_worker exists and owns or may use table orders",
        ],
      );

      await sql`drop role clerk_ingest`;
      await sql`drop owned by clerk_worker`.catch(() => admin`drop owned by clerk_worker`);
      await sql`drop role clerk_worker`;
      await admin`create role clerk_worker`;
      assertEquals(
        await problemsOf(url),
        version === 15 ? [] : [
          "The role clerk_worker exists, and postgres may not alter it: let its owner grant it (grant clerk_worker to postgres with admin option).",
        ],
      );
      await admin`grant clerk_worker to postgres with admin option`;
      if (version !== 15) assertEquals(await problemsOf(url), []);
    });

    // The same roles, in a database that was made anew.
    await withEmptyDatabase(server, async ({ url }) => {
      assertEquals(await problemsOf(url), []);
    });

    await withEmptyDatabase(server, async ({ url, admin }) => {
      await admin.unsafe(`create role helper login password '${server.password}'`);
      const check = await Deno.readTextFile(CHECK);
      const error = await withConnection(
        url.replace("//postgres:", "//helper:"),
        (helper) => assertRejects(() => helper.unsafe(check).simple(), postgres.PostgresError),
      );
      const problems = error.message.split("\n- ").slice(1).map((problem) =>
        problem.split(", ")[0]
      );
      assertEquals(problems.filter((problem) => !problem?.endsWith("exists")), [
        "The role helper may not create roles",
        "The role helper may not create schemas",
        "The role helper cannot use the extension pgmq",
      ]);
    });
  });
}
