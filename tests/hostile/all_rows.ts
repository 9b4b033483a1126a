import type postgres from "postgres";

/**
 * A digest of every table of every schema, the platform's included, by name.
 *
 * @param admin a connection from which no policy hides rows
 */
export async function digestAllRows(admin: postgres.Sql): Promise<Record<string, string>> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')
    order by name
  `;
  const found: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await admin.unsafe<{ digest: string | null }[]>(
      `select md5(string_agg(row::text, ',' order by row::text)) as digest from ${name} as row`,
    );
    found[name] = String(row?.digest ?? null);
  }
  return found;
}
