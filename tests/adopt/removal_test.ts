import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { dependantsScript, inventoryOf, removalScript } from "../../adopt/removal_script.ts";
import { readSource } from "../../adopt/source.ts";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../local/postgres/ephemeral.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";

const SOURCE = await readSource("");
const KEEPING = await removalScript(SOURCE, { dropTables: false });
const DROPPING = await removalScript(SOURCE, { dropTables: true });

/** Applies SQL as `supabase db push` does: one transaction, as `postgres`. */
async function apply({ sql }: Pick<TestDatabase, "sql">, script: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction.unsafe(script).simple();
  });
}

/** What there is of ours in the catalog, and in the queue's list. */
async function oursIn({ sql }: Pick<TestDatabase, "sql">): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select 'schema ' || nspname as name
    from pg_catalog.pg_namespace
    where nspname in ('clerk', 'clerk_sync')

    union all
    select 'table ' || pg_class.oid::regclass
    from pg_catalog.pg_class
    where relkind in ('r', 'S', 'v', 'c')
      and (
        relnamespace::regnamespace::text in ('public', 'clerk', 'clerk_sync')
        or relnamespace::regnamespace::text = 'pgmq' and relname ~ 'clerk'
      )

    union all
    select 'function ' || pg_proc.oid::regprocedure
    from pg_catalog.pg_proc
    where pronamespace::regnamespace::text in ('public', 'clerk', 'clerk_sync')

    union all
    select 'policy ' || polname from pg_catalog.pg_policy

    union all
    select 'trigger ' || tgname from pg_catalog.pg_trigger where not tgisinternal

    union all
    select 'published ' || tablename from pg_catalog.pg_publication_tables

    union all
    select 'granted ' || acl
    from pg_catalog.pg_namespace, unnest(nspacl) as acl
    where acl::text ~ 'clerk'

    union all
    select 'queue ' || queue_name from pgmq.meta where queue_name ~ 'clerk'

    order by name
  `;
  return rows.map(({ name }) => name);
}

const KEPT = [
  "table organization_invitations",
  "table organization_memberships",
  "table organization_roles",
  "table organizations",
  "table profiles",
  "table subscription_items",
];

databaseTest("our tables stay with their rows, closed, and nothing else", async (database) => {
  const { sql, connect } = database;
  await database.ingest("msg_1", anEvent("user.created", aClerkUser({ id: "user_ada" })));

  await apply(database, KEEPING);

  assertEquals(await oursIn(database), KEPT);
  assertEquals([...await sql`select id from public.profiles`], [{ id: "user_ada" }]);
  const seen = await connect(1).begin(async (browser) => {
    await browser`set local role authenticated`;
    await browser`select set_config('request.jwt.claims', '{"sub": "user_ada"}', true)`;
    return await browser`select id from public.profiles`;
  });
  assertEquals([...seen], []);
});

databaseTest("with --drop-tables nothing stays", async (database) => {
  await apply(database, DROPPING);

  assertEquals(await oursIn(database), []);
});

databaseTest("removed twice is removed once", async (database) => {
  await apply(database, DROPPING);

  await apply(database, DROPPING);

  assertEquals(await oursIn(database), []);
});

databaseTest("the inventory is what the migrations make, letter for letter", async ({ sql }) => {
  const { functions, tables, columns, types, policies } = inventoryOf(SOURCE.slices);

  const [made] = await sql`
    with ours as (
      select oid, relnamespace::regnamespace || '.' || relname as name, relkind, relnamespace
      from pg_catalog.pg_class
      where relkind in ('r', 'c') and relnamespace::regnamespace::text in ('public', 'clerk', 'clerk_sync')
    )
    select
      array(
        select oid::int8 from pg_catalog.pg_proc
        where pronamespace::regnamespace::text in ('public', 'clerk', 'clerk_sync')
        order by oid
      ) = array(
        select to_regprocedure(name)::oid::int8 from jsonb_array_elements_text(${
    JSON.stringify(functions)
  }::text::jsonb) as name order by 1
      ) as functions,
      to_jsonb(array(select name from ours where relkind = 'r' order by name collate "C")) as tables,
      to_jsonb(array(
        select substr(name, 8) || '.' || attname
        from ours
        join pg_catalog.pg_attribute on attrelid = oid
        where relkind = 'r' and attnum > 0 and relnamespace = 'public'::regnamespace
        order by (substr(name, 8) || '.' || attname) collate "C"
      )) as columns,
      to_jsonb(array(select name from ours where relkind = 'c' order by name collate "C")) as types,
      to_jsonb(array(
        select polname || ' on ' || (select name from ours where oid = polrelid)
        from pg_catalog.pg_policy
        order by polname collate "C"
      )) as policies
  `;
  assertEquals(made, {
    functions: true,
    tables: tables.toSorted(),
    columns: columns.toSorted(),
    types: types.toSorted(),
    policies: policies.toSorted(),
  });
});

/** Everything in which SQL of an application can use the sync, and what it is called in the sentence. */
const USES: readonly (readonly [sql: string, dependant: string])[] = [
  [
    `create table public.notes (id int, owner text);
     create policy "only mine" on public.notes as restrictive using (owner = (select clerk.user_id()))`,
    'policy "only mine" on public.notes',
  ],
  [
    "create table public.notes (id int, owner text default clerk.user_id())",
    "default value for public.notes.owner",
  ],
  [
    "create view public.me as select clerk.user_id() as id",
    "view public.me",
  ],
  [
    "create materialized view public.sizes as select count(*) from pgmq.q_clerk_changes",
    "materialized view public.sizes",
  ],
  [
    `create table public.notes (id int);
     create trigger tell after insert on public.notes
     for each row execute function clerk_sync.tg__announce('note')`,
    "trigger tell on public.notes",
  ],
  [
    `create function public.mine() returns text language sql return clerk.user_id()`,
    "function public.mine()",
  ],
  [
    `create function public.mine() returns text language plpgsql as
     $$begin return "clerk"."user_id"(); end$$`,
    "function public.mine()",
  ],
  [
    `create function public.next() returns setof pgmq.message_record language plpgsql as
     $$begin return query select * from pgmq.read('clerk_changes', 30, 1); end$$`,
    "function public.next()",
  ],
  [
    `create policy moderators on public.profiles using (clerk.has_org_role('admin'))`,
    "policy moderators on public.profiles",
  ],
  ["create function clerk.mine() returns int language sql return 1", "function clerk.mine()"],
  ["create table clerk_sync.mine (id int)", "table clerk_sync.mine"],
];

/** Why a script does not apply after some SQL of the application. Leaves the database as it was. */
async function refusalOf(
  { sql }: TestDatabase,
  use: string,
  script: string,
): Promise<postgres.PostgresError> {
  let error: unknown;
  await sql.begin(async (transaction) => {
    await transaction.unsafe(use).simple();
    error = await transaction.savepoint((part) => part.unsafe(script).simple()).catch((e) => e);
    throw error;
  }).catch(() => {});
  if (error instanceof postgres.PostgresError) return error;
  throw new Error(`Nothing stopped the removal: ${use}`);
}

databaseTest("what uses the sync stops its removal, and nothing is removed", async (database) => {
  for (const [use, dependant] of USES) {
    const { code, message } = await refusalOf(database, use, KEEPING);

    assertEquals(
      [code, message],
      [
        "2BP01",
        `Cannot remove clerk-sync as your application uses it: change or drop ${dependant} first; nothing was removed`,
      ],
    );
  }

  await database.sql.unsafe(USES[0]?.[0] ?? "").simple();
  const before = await oursIn(database);
  await assertRejects(() => apply(database, KEEPING), postgres.PostgresError);
  assertEquals(await oursIn(database), before);
});

/** What hinders only the removal of our tables. */
const USES_OF_TABLES: typeof USES = [
  [
    "create table public.notes (owner text constraint notes_owner references public.profiles)",
    "table constraint notes_owner on public.notes",
  ],
  ["create view public.people as select id from public.profiles", "view public.people"],
  [
    `create function public.count_people() returns bigint language plpgsql as
     $$begin return (select count(*) from profiles); end$$`,
    "function public.count_people()",
  ],
  [
    "create function public.name_of(profile public.profiles) returns text language sql return 'x'",
    "function public.name_of(public.profiles)",
  ],
  ["alter table public.profiles add column nickname text", "column public.profiles.nickname"],
];

databaseTest("what uses our tables stops --drop-tables alone", async (database) => {
  for (const [use, dependant] of USES_OF_TABLES) {
    const { message } = await refusalOf(database, use, DROPPING);

    assertStringIncludes(message, `change or drop ${dependant} first`);
  }

  for (const [use] of USES_OF_TABLES) await database.sql.unsafe(use).simple();
  await apply(database, KEEPING);

  const left = await oursIn(database);
  for (const name of [...KEPT, "table people", "function count_people()", "table notes"]) {
    assertEquals(left.includes(name), true, name);
  }
  const [row] = await database
    .sql`select nickname from public.profiles right join (select) on true`;
  assertEquals(row, { nickname: null });
});

databaseTest("what only looks like a use does not stop it", async (database) => {
  await database.sql.unsafe(`
    create schema crm;
    create table crm.profiles (id int, clerk text);
    create view crm.clerks as select clerk from crm.profiles;
    create function crm.clerk_of() returns text language plpgsql as
    $$begin return (select clerk.clerk from crm.profiles as clerk); end$$;
  `).simple();

  await apply(database, DROPPING);

  assertEquals(await oursIn(database), []);
});

databaseTest("the check alone lists each use, and changes nothing", async (database) => {
  await database.sql.unsafe(USES[2]?.[0] ?? "").simple();
  await database.sql.unsafe(USES[10]?.[0] ?? "").simple();
  const before = await oursIn(database);
  const check = await dependantsScript(SOURCE, { dropTables: false });

  const error = await assertRejects(() => apply(database, check), postgres.PostgresError);

  assertEquals(JSON.parse(error.detail ?? ""), ["table clerk_sync.mine", "view public.me"]);
  await database.sql.unsafe("drop view public.me; drop table clerk_sync.mine").simple();
  await apply(database, check);
  assertEquals(before.includes("schema clerk_sync"), true);
});

databaseTest("jobs and secrets of ours go, and those of the application stay", async (database) => {
  await database.sql.unsafe(`
    create schema cron;
    create table cron.job (jobid bigserial, jobname text, command text, database text default current_database());
    create function cron.unschedule(id bigint) returns boolean language sql as
    'delete from cron.job where jobid = id returning true';
    create schema vault;
    create table vault.secrets (name text);
    insert into cron.job (jobname, command) values
      ('clerk-worker', 'select clerk_sync.call_clerk_worker()'), ('clerk-maintain', 'do $$ perform public.maintain_clerk_sync() $$'),
      ('clerk-report', 'select report.send()'), ('theirs', 'select public.replay_clerk_message(''x'')');
    insert into vault.secrets values ('clerk_worker_url'), ('clerk_worker_secret'), ('theirs');
  `).simple();

  const error = await assertRejects(() => apply(database, KEEPING), postgres.PostgresError);
  assertStringIncludes(error.message, "change or drop cron job theirs first");
  await database.sql`delete from cron.job where jobname = 'theirs'`;
  await apply(database, KEEPING);

  assertEquals([...await database.sql`select jobname from cron.job`], [{
    jobname: "clerk-report",
  }]);
  assertEquals([...await database.sql`select name from vault.secrets`], [{ name: "theirs" }]);
});

databaseTest("a table that Realtime publishes is no longer published", async (database) => {
  await database
    .admin`create publication supabase_realtime for table public.profiles, public.organizations`;
  await database.admin`alter publication supabase_realtime owner to postgres`;

  await apply(database, KEEPING);

  assertEquals(await oursIn(database), KEPT);
});

databaseTest(
  "with a prefix, the prefixed tables go or stay, and others of those names stay",
  async (database) => {
    const source = await readSource("clerk_");
    await apply(database, DROPPING);
    await database.sql`create table public.profiles (id text)`;
    for (const { sql } of source.slices) await database.sql.unsafe(sql).simple();

    await apply(database, await removalScript(source, { dropTables: true }));

    assertEquals(await oursIn(database), ["table profiles"]);
  },
);

Deno.test("the roles go with the last database that has the sync", async () => {
  await using server = await startEphemeralPostgres();
  const install = async (name: string): Promise<string> => {
    await createDatabase(server, name);
    await applyOurs(server.url(name));
    return server.url(name);
  };
  const remove = async (url: string): Promise<string[]> =>
    await withConnection(url, async (sql) => {
      await sql`set lock_timeout = '10s'`;
      await sql.unsafe(DROPPING).simple();
      const roles = await sql<{ rolname: string }[]>`
        select rolname from pg_catalog.pg_roles where rolname ~ '^clerk_' order by rolname
      `;
      return roles.map(({ rolname }) => rolname);
    });
  const [first, last] = [await install("one"), await install("other")];

  // The other database uses them in a transaction that has not ended, and the removal does not wait for it.
  const stay = await withConnection(last, (sql) =>
    sql.begin(async (transaction) => {
      await transaction`create schema busy`;
      await transaction`grant usage on schema busy to clerk_ingest, clerk_worker`;
      const roles = await remove(first);
      await transaction`drop schema busy`;
      return roles;
    }));
  assertEquals(stay, ["clerk_ingest", "clerk_worker"]);
  assertEquals(await remove(last), []);
});
