import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { runSupabase } from "../../cli/supabase_cli.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { testServer } from "../test_server.ts";
import type { ProjectCopy } from "./projects.ts";

/** The database of a project. */
export interface Database extends AsyncDisposable {
  readonly server: PostgresAddress;
  readonly name: string;
  readonly url: string;
}

/** A database as in a new Supabase project, with users of Supabase Auth. */
export async function aDatabase(): Promise<Database> {
  const server = await testServer();
  const name = `project_${crypto.randomUUID().slice(0, 8)}`;
  await createDatabase(server, name);
  await withConnection(server.superuserUrl(name), (sql) =>
    sql.unsafe(`
      create table auth.users (id uuid primary key, raw_user_meta_data jsonb);
      grant all on auth.users to postgres;
    `).simple());
  return {
    server,
    name,
    url: server.url(name),
    [Symbol.asyncDispose]: () => dropDatabase(server, name),
  };
}

/** Applies the migrations of a project as the Supabase CLI does, in a fraction of its time. */
export async function apply({ dir }: ProjectCopy, databaseUrl: string): Promise<void> {
  const migrations = `${dir}/supabase/migrations`;
  const hasAny = await Deno.stat(migrations).then(() => true, () => false);
  if (hasAny) await migrate(databaseUrl, () => {}, migrations);
}

/** Applies the migrations of a project by the Supabase CLI, and returns what it wrote. */
export async function push({ dir }: ProjectCopy, databaseUrl: string): Promise<string> {
  const { code, stdout, stderr } = await runSupabase(["db", "push", "--yes"], {
    cwd: dir,
    remote: databaseUrl,
  });
  assertEquals(code, 0, stderr);
  return `${stdout}${stderr}`;
}

/** All tables, columns, rights, policies, triggers, functions, indexes and rows outside of our schemas. */
export async function everythingIn(databaseUrl: string): Promise<string[]> {
  return await withConnection(databaseUrl, async (sql) => {
    const lines = await sql<{ line: string }[]>`
      select concat_ws(' ', 'relation', oid, relname, relkind, relacl, relrowsecurity, relowner) as line
      from pg_class where relnamespace = 'public'::regnamespace
      union all
      select concat_ws(' ', 'column', attrelid, attname, atttypid, attnotnull, attacl)
      from pg_attribute join pg_class on pg_class.oid = attrelid where relnamespace = 'public'::regnamespace
      union all
      select concat_ws(' ', 'constraint', oid, conrelid, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = 'public'::regnamespace
      union all
      select concat_ws(' ', 'policy', oid, polrelid, polcmd, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
      from pg_policy
      union all
      select pg_get_triggerdef(oid) from pg_trigger
      union all
      select concat_ws(' ', proacl, pg_get_functiondef(oid)) from pg_proc where pronamespace = 'public'::regnamespace
      union all
      select pg_get_indexdef(indexrelid) from pg_index
      join pg_class on pg_class.oid = indexrelid where relnamespace = 'public'::regnamespace
      order by line
    `;
    return [...lines.map(({ line }) => line), ...await rowsOf(sql)];
  });
}

async function rowsOf(sql: postgres.Sql): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_tables where schemaname in ('public', 'auth') order by name
  `;
  const rows: string[] = [];
  for (const { name } of tables) {
    const found = await sql.unsafe<{ text: string }[]>(
      `select ctid || ' ' || xmin || ' ' || to_jsonb(t)::text as text from ${name} as t order by ctid`,
    );
    rows.push(...found.map(({ text }) => `row ${name} ${text}`));
  }
  return rows;
}
