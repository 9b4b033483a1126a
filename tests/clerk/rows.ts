import type postgres from "postgres";

// The rows of the database in the form of the model.

/** The rows of one table by id, bookkeeping aside. */
function rowsOf(table: string, columns: string, from = table): string {
  return `'${table}', (
    select coalesce(jsonb_object_agg(id, ${columns}), '{}') from ${from} as row
  )`;
}

const GONE = `to_jsonb(row) - 'synced_at' - 'deleted_at'
  || jsonb_build_object('gone', deleted_at is not null)`;
const LIVING = `to_jsonb(row) - 'synced_at'`;

/** An expression of SQL: the rows of every table that Clerk decides, as the model has them. */
export const ROWS = `
jsonb_build_object(
  ${rowsOf("profiles", GONE, "public.profiles")},
  ${rowsOf("organizations", GONE, "public.organizations")},
  ${rowsOf("memberships", LIVING, "public.organization_memberships")},
  ${rowsOf("invitations", LIVING, "public.organization_invitations")},
  ${rowsOf("items", LIVING, "public.subscription_items")},
  ${rowsOf("roles", GONE, "public.organization_roles")},
  ${rowsOf("register", "data", "(select * from clerk_sync.objects where data is not null)")}
)
`;

/**
 * Fails when a migration has added a table to public that {@linkcode ROWS} does not compare.
 *
 * @throws {Error}
 */
export async function assertAllCompared(admin: postgres.Sql): Promise<void> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname = 'public'
  `;
  const forgotten = tables.map(({ name }) => name).filter((name) => !ROWS.includes(` ${name} as `));
  if (forgotten.length > 0) {
    throw new Error(
      `Cannot prove that everything converges: nothing compares ${forgotten.join(", ")}`,
    );
  }
}
