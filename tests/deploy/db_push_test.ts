import { assertEquals, assertNotEquals, assertNotMatch } from "@std/assert";
import { aClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import { runSupabase } from "../../cli/supabase_cli.ts";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../local/postgres/ephemeral.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { copyCheckout } from "./checkout_copy.ts";

const MIGRATIONS = new URL("../../supabase/migrations/", import.meta.url);
const PLATFORM_ROLES = new URL("../../local/postgres/platform_roles.sql", import.meta.url);

Deno.test("db push applies every migration to a new project, as postgres, who is no superuser", async () => {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "project");

  const applied = await push(server.url("project"));

  assertEquals(applied, await migrationFiles());
  assertEquals(await ownersOfOurs(server.superuserUrl("project")), [
    { owner: "postgres", is_superuser: false },
  ]);
  assertEquals(await namesReadByTheirOwner(server.roleUrl("authenticator", "project")), ["Ada"]);
});

Deno.test("db push applies every migration to a plain Postgres with Supabase's roles, as a superuser", async () => {
  await using server = await startEphemeralPostgres();
  await createPlainDatabase(server);

  const applied = await push(server.roleUrl("owner", "plain"));

  assertEquals(applied, await migrationFiles());
  assertEquals(await ownersOfOurs(server.superuserUrl("plain")), [
    { owner: "owner", is_superuser: true },
  ]);
  assertEquals(await namesReadByTheirOwner(server.roleUrl("authenticator", "plain")), ["Ada"]);
});

Deno.test("db push and the local stack record the same history, letter for letter", async () => {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "pushed");
  await createDatabase(server, "migrated");

  await push(server.url("pushed"));
  await migrate(server.url("migrated"));

  assertEquals(await history(server.url("migrated")), await history(server.url("pushed")));
  assertNotEquals(await history(server.url("pushed")), []);
});

Deno.test("after the local stack's migrations, migration list shows none pending and db push applies none", async () => {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "migrated");
  await migrate(server.url("migrated"));

  const listed = await list(server.url("migrated"));
  const applied = await push(server.url("migrated"));

  const versions = (await migrationFiles()).map((file) => file.replace(/_.*/, ""));
  assertEquals(listed, versions.map((version) => ({ local: version, remote: version })));
  assertEquals(applied, []);
});

/** Runs `db push` and returns the files that it says it applied. */
async function push(databaseUrl: string): Promise<string[]> {
  const { stdout, stderr } = await supabase(databaseUrl, ["db", "push", "--yes"]);
  return [...`${stdout}${stderr}`.matchAll(/^Applying migration (.+\.sql)\.\.\.$/gm)]
    .map(([, file = ""]) => file);
}

/** Runs `migration list` and returns the versions of the files and of the database. */
async function list(databaseUrl: string): Promise<{ local: string; remote: string }[]> {
  const { stdout } = await supabase(databaseUrl, [
    "migration",
    "list",
    "--output-format",
    "json",
  ]);
  const answer: { migrations: { local: string; remote: string }[] } = JSON.parse(stdout);
  return answer.migrations.map(({ local, remote }) => ({ local, remote }));
}

async function supabase(
  databaseUrl: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  await using checkout = await copyCheckout();

  const { code, stdout, stderr } = await runSupabase(args, {
    cwd: checkout.folder,
    remote: databaseUrl,
  });

  assertEquals(code, 0, stderr);
  assertNotMatch(stderr, /\bwarn/i);
  return { stdout, stderr };
}

async function migrationFiles(): Promise<string[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(MIGRATIONS)) files.push(name);
  return files.sort();
}

/** A database with no more of Supabase than its roles and `auth.jwt()`, and a superuser `owner`. */
async function createPlainDatabase(server: PostgresAddress): Promise<void> {
  const roles = await Deno.readTextFile(PLATFORM_ROLES);
  await withConnection(server.superuserUrl("template1"), async (sql) => {
    await sql.unsafe(roles).simple();
    await sql.unsafe(`create role owner login superuser password '${server.password}'`);
    await sql`create database plain owner owner`;
  });
  await withConnection(server.superuserUrl("plain"), (sql) =>
    sql.unsafe(`
      create schema auth;
      grant usage on schema auth to anon, authenticated, service_role;
      create function auth.jwt() returns jsonb language sql stable as $$
        select nullif(current_setting('request.jwt.claims', true), '')::jsonb
      $$;
    `).simple());
}

/** Who owns the tables, views and sequences in our schemas. */
async function ownersOfOurs(
  databaseUrl: string,
): Promise<{ owner: string; is_superuser: boolean }[]> {
  return await withConnection(databaseUrl, async (sql) => [
    ...await sql<{ owner: string; is_superuser: boolean }[]>`
      select distinct rolname as owner, rolsuper as is_superuser
      from pg_catalog.pg_class
      join pg_catalog.pg_roles on pg_roles.oid = relowner
      join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
      where nspname in ('public', 'clerk', 'clerk_sync')
    `,
  ]);
}

/** A new user arrives as through the webhook, and reads all profiles as through the API. */
async function namesReadByTheirOwner(authenticatorUrl: string): Promise<(string | null)[]> {
  const user = aClerkUser({ first_name: "Ada" });
  const event = JSON.stringify(anEvent("user.created", user));
  const claims = JSON.stringify({ role: "authenticated", sub: user.id });

  return await withConnection(authenticatorUrl, async (sql) => {
    await sql.begin(async (webhook) => {
      await webhook`set local role clerk_ingest`;
      await webhook`select public.ingest_clerk_event(${anId("msg")}, ${event}::text::jsonb)`;
    });
    const rows = await sql.begin(async (browser) => {
      await browser`set local role authenticated`;
      await browser`select set_config('request.jwt.claims', ${claims}, true)`;
      return await browser<{ first_name: string | null }[]>`select first_name from public.profiles`;
    });
    return rows.map(({ first_name }) => first_name);
  });
}

async function history(databaseUrl: string): Promise<unknown[]> {
  return await withConnection(databaseUrl, async (sql) => [
    ...await sql`
      select version, name, to_jsonb(statements)::text as statements
      from supabase_migrations.schema_migrations
      order by version
    `,
  ]);
}
