import type postgres from "postgres";
import { databaseTest, type TestDatabase } from "./test_database.ts";

/**
 * What a project may grant on each new object of public, as statements that turn the local stack's
 * default privileges, today's, into it. Projects that were made before 30 October 2026 have the old ones.
 */
export const DEFAULT_PRIVILEGES = {
  today: "",
  old: `
    alter default privileges for role postgres in schema public
      grant all on tables to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public
      grant all on sequences to anon, authenticated, service_role;
  `,
  none: `
    alter default privileges for role postgres in schema public
      revoke all on tables from anon, authenticated, service_role;
    alter default privileges for role postgres in schema public
      revoke all on sequences from anon, authenticated, service_role;
    alter default privileges for role postgres in schema public
      revoke all on functions from anon, authenticated, service_role;
  `,
};

/** A test of recipes, run in a database of its own under each kind of default privileges. */
export function recipeTest(name: string, test: (database: TestDatabase) => Promise<void>): void {
  for (const [kind, statements] of Object.entries(DEFAULT_PRIVILEGES)) {
    databaseTest(`${name} (default privileges: ${kind})`, async (database) => {
      await database.sql.unsafe(statements).simple();
      await test(database);
    });
  }
}

/**
 * Every grant on schemas, relations, columns, functions and types that are not the system's, as
 * `<object>: <grantee> <privileges>`. The owner's own are left out.
 */
export async function readGrants(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select
      object || ': ' || coalesce(nullif(grantee, 0)::regrole::text, 'public') || ' '
        || string_agg(
          lower(privilege_type) || case when is_grantable then '*' else '' end, ', '
          order by privilege_type
        ) as line
    from (
      select oid, nspname::text, nspowner, coalesce(nspacl, acldefault('n', nspowner))
      from pg_namespace
      union all
      select
        relnamespace, pg_class.oid::regclass::text, relowner,
        coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
      from pg_class
      where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select relnamespace, attrelid::regclass || '.' || attname, relowner, attacl
      from pg_attribute
      join pg_class on pg_class.oid = attrelid
      where attacl is not null
      union all
      select
        pronamespace, pg_proc.oid::regprocedure::text, proowner,
        coalesce(proacl, acldefault('f', proowner))
      from pg_proc
      union all
      select
        typnamespace, 'type ' || pg_type.oid::regtype, typowner,
        coalesce(typacl, acldefault('T', typowner))
      from pg_type
      where typtype in ('d', 'e', 'r')
    ) as objects (schema, object, owner, acl)
    cross join aclexplode(acl)
    where grantee <> owner
      and schema::regnamespace::text !~ '^(pg_|information_schema$)'
    group by object, grantee
    order by line
  `;
  return rows.map(({ line }) => line);
}
