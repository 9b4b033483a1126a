import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { isPrefix, withPrefix } from "../../adopt/prefix.ts";
import { TABLES } from "../../local/postgres/is_ours.ts";
import { migrationText, readSource } from "../../adopt/source.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { withTestDatabase } from "../test_database.ts";
import { testServer } from "../test_server.ts";
import { prefixedPgtap } from "./prefixed.ts";
import { runPgtap } from "./run_pgtap.ts";
import { complaintsAbout } from "./tap.ts";

const PREFIX = "clerk_";
const FOLDER = new URL("../../supabase/tests/", import.meta.url);

/** An application that had all these names first, with rows of its own. */
const FOREIGN = `
  create table public.profiles (id uuid primary key default gen_random_uuid(), email text, deleted_at timestamptz);
  insert into public.profiles (email) values ('theirs@example.com');
  create table public."Profiles" (id integer primary key, "order" text);
  create table public."order" (id integer, deleted_at timestamptz);
  create table public."user" (id integer);
  create table public."clerk_Profiles" (id integer);
  create table public.organizations (id bigint primary key, name text);
  insert into public.organizations values (1, 'Theirs');
  create table public.organization_memberships (id bigint primary key, user_id uuid);
  create table public.organization_invitations (id bigint primary key);
  create view public.organization_roles as select 1 as id;
  create type public.subscription_items as (id integer);
  create index profiles_blocked on public."order" (id);
  create index organizations_tombstones on public."order" (deleted_at);
  create function public.ensure_profile() returns integer language sql as 'select 1';
`;

/** These are inventories of everything in schema public, so there must be nothing else. */
const INVENTORIES = ["catalog_rules.sql", "grants.sql"];

/** A database with our migrations as \`init --prefix\` writes them, below what an application made. */
async function withPrefixed(
  foreign: string,
  use: (server: PostgresAddress, name: string) => Promise<void>,
): Promise<void> {
  const server = await testServer();
  const name = `prefixed_${crypto.randomUUID().slice(0, 8)}`;
  const source = await readSource(PREFIX);
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-prefixed-" });
  await createDatabase(server, name);
  try {
    await withConnection(server.url(name), (sql) => sql.unsafe(foreign).simple());
    const file = `${folder}/20261201000000_clerk_sync.sql`;
    await Deno.writeTextFile(file, migrationText(source, source.slices));
    await migrate(server.url(name), () => {}, folder);
    await use(server, name);
  } finally {
    await dropDatabase(server, name);
    await Deno.remove(folder, { recursive: true });
  }
}

function prefixTest(name: string, fn: (context: Deno.TestContext) => Promise<void>): void {
  // The server may be started within the first test, and outlives it.
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** Runs pgTAP files, each in a copy of a database. */
async function runFiles(
  context: Deno.TestContext,
  files: readonly string[],
  server: PostgresAddress,
  template: string,
): Promise<void> {
  for (const file of files) {
    await context.step(file, async () => {
      const name = `${template}_copy`;
      await createDatabase(server, name, { template });
      const sql = postgres(server.url(name), { max: 1, onnotice: () => {} });
      try {
        const text = await Deno.readTextFile(new URL(file, FOLDER));
        const tap = await runPgtap(sql, prefixedPgtap(text, PREFIX));
        assertEquals(complaintsAbout(tap), [], tap.join("\n"));
      } finally {
        await sql.end({ timeout: 5 });
        await dropDatabase(server, name);
      }
    });
  }
}

async function pgtapFiles(): Promise<string[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) if (name.endsWith(".sql")) files.push(name);
  return files.sort();
}

prefixTest(
  "with a prefix, all pgTAP files pass beside tables that have our names",
  async (context) => {
    const files = (await pgtapFiles()).filter((file) => !INVENTORIES.includes(file));

    await withPrefixed(FOREIGN, async (server, name) => {
      await runFiles(context, files, server, name);

      const theirs = await withConnection(server.url(name), async (sql) => [
        ...await sql`select email from public.profiles`,
        ...await sql`select id, name from public.organizations`,
      ]);
      assertEquals<unknown>(theirs, [{ email: "theirs@example.com" }, { id: "1", name: "Theirs" }]);
    });
  },
);

/** What is in schema public by name: `table profiles`, `index profiles_pkey`, `function ensure_profile`. */
async function namesInPublic(url: string): Promise<string[]> {
  return await withConnection(url, async (sql) => {
    const rows = await sql<{ name: string }[]>`
      select case relkind when 'r' then 'table ' when 'i' then 'index ' else 'other ' end || relname as name
      from pg_class
      where relnamespace = 'public'::regnamespace
      union all
      select 'function ' || proname
      from pg_proc
      where pronamespace = 'public'::regnamespace
      order by name
    `;
    return rows.map(({ name }) => name);
  });
}

/** Of a copy, because no database can be made of one that somebody is connected to. */
async function namesWithoutPrefix(): Promise<string[]> {
  let names: string[] = [];
  await withTestDatabase(async ({ server, name }) => {
    names = await namesInPublic(server.url(name));
  });
  return names;
}

/** The texts of everything that belongs to us: bodies, expressions and comments. */
async function definitions(url: string): Promise<string[]> {
  return await withConnection(url, async (sql) => {
    const rows = await sql<{ text: string }[]>`
      select pg_get_functiondef(pg_proc.oid) as text
      from pg_proc
      where pronamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)
      union all
      select pg_get_expr(polqual, polrelid) from pg_policy
      union all
      select description
      from pg_description
      where classoid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
        and (
          objoid in (select oid from pg_proc where prosrc is not null and pronamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace))
          or objoid in (select oid from pg_class where relnamespace in ('public'::regnamespace, 'clerk_sync'::regnamespace))
          or objoid in (select oid from pg_policy)
          or objoid in (select oid from pg_trigger)
        )
    `;
    return rows.map(({ text }) => text);
  });
}

prefixTest(
  "a prefix renames all that is ours in public by a name that others may use",
  async (context) => {
    const plain = await namesWithoutPrefix();

    await withPrefixed("", async (server, name) => {
      await context.step("every table and index, and ensure_profile", async () => {
        assertEquals(
          await namesInPublic(server.url(name)),
          plain.map((each) =>
            /^(table|index) |^function ensure_profile$/.test(each)
              ? each.replace(" ", ` ${PREFIX}`)
              : each
          ).sort(),
        );
        assert(plain.includes("function ingest_clerk_event"), "control");
      });

      await context.step("in every function, policy and comment", async () => {
        const texts = await definitions(server.url(name));

        const old = new RegExp(`\\bpublic\\.(${TABLES.join("|")}|ensure_profile)\\b`);
        assertEquals(texts.filter((text) => old.test(text)), []);
        assert(texts.some((text) => text.includes(`public.${PREFIX}profiles`)), "control");
      });

      await runFiles(context, INVENTORIES, server, name);
    });
  },
);

prefixTest("every table in public is on the list of those that a prefix renames", async () => {
  const names = await namesWithoutPrefix();

  const tables = names.filter((name) => name.startsWith("table "));

  assertEquals(tables, TABLES.map((name) => `table ${name}`).sort());
});

prefixTest("Postgres cuts no name that begins with the longest prefix", async () => {
  const longest = "a".repeat(20);

  const names = (await namesWithoutPrefix())
    .filter((name) => /^(table|index) /.test(name))
    .map((name) => `${longest}${name.replace(/^\w+ /, "")}`);

  assertEquals(names.filter((name) => name.length > 63), []);
  assertEquals([isPrefix(longest), isPrefix(`${longest}a`)], [true, false]);
});

Deno.test("withPrefix() + renames tables wherever SQL names them, and nothing else", () => {
  const before = [
    "select profiles.id, organizations.name from public.profiles, public.organizations;",
    "create unique index profiles_blocked on public.profiles (id);",
    "insert into public.profiles values (1) on conflict on constraint profiles_pkey do nothing;",
    "select to_regclass('public.subscription_items'), public.ensure_profile();",
    "select app.profiles, my_profiles.id, 'profiles', profiles_select_own, upsert_profiles();",
    "comment on table public.profiles is 'The profiles of organizations. See public.profiles.';",
  ].join("\n");

  assertEquals(withPrefix(before, "x_").split("\n"), [
    "select x_profiles.id, x_organizations.name from public.x_profiles, public.x_organizations;",
    "create unique index x_profiles_blocked on public.x_profiles (id);",
    "insert into public.x_profiles values (1) on conflict on constraint x_profiles_pkey do nothing;",
    "select to_regclass('public.x_subscription_items'), public.x_ensure_profile();",
    "select app.profiles, my_profiles.id, 'profiles', profiles_select_own, upsert_profiles();",
    "comment on table public.x_profiles is 'The profiles of organizations. See public.x_profiles.';",
  ]);
  assertEquals(withPrefix(before, ""), before);
});
