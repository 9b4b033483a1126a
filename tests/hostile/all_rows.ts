import type postgres from "postgres";

/**
 * How many rows every table of every schema holds, by its name, the platform's tables too.
 *
 * @param admin somebody whom no policy hides rows from
 */
export async function countAllRows(admin: postgres.Sql): Promise<Record<string, number>> {
  return await ofEachTable(admin, (name) => `select count(*)::text as value from ${name}`, Number);
}

/** The content of every table of every schema, digested, by its name. */
export async function digestAllRows(admin: postgres.Sql): Promise<Record<string, string>> {
  return await ofEachTable(
    admin,
    (name) =>
      `select md5(string_agg(row::text, ',' order by row::text)) as value from ${name} as row`,
    String,
  );
}

async function ofEachTable<Value>(
  admin: postgres.Sql,
  question: (table: string) => string,
  read: (value: string | null) => Value,
): Promise<Record<string, Value>> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')
    order by name
  `;
  const found: Record<string, Value> = {};
  for (const { name } of tables) {
    const [row] = await admin.unsafe<{ value: string | null }[]>(question(name));
    found[name] = read(row?.value ?? null);
  }
  return found;
}
