import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import postgres from "postgres";
import { readGrants, recipeTest } from "../default_privileges.ts";
import { databaseTest } from "../test_database.ts";

// Runs all recipes of a page and compares what they grant with a list.

/** The SQL blocks of a page, in their order. */
async function readSql(page: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(`../../docs/${page}`, import.meta.url));
  return [...text.matchAll(/^```sql\n([^]*?)^```$/gm)].map(([, sql]) => sql).join("\n");
}

/** The grants of each page's recipes, beside those of the owner. */
const GRANTED: Record<string, readonly string[]> = {
  "policies.md": [
    "notes: authenticated delete, insert, select, update",
    "orders: authenticated select",
    "projects: authenticated insert, select, update",
    "api_keys: authenticated select",
    "invoices: authenticated select",
    "posts: authenticated select",
    "reports: authenticated select",
  ],
  "downstream.md": [
    "profiles.bio: authenticated update",
    "profiles.bio: service_role update",
    "handled_changes: service_role insert, select",
  ],
};

for (const [page, granted] of Object.entries(GRANTED)) {
  recipeTest(
    `the recipes of docs/${page} grant what is listed and nothing else`,
    async ({ sql }) => {
      const before = new Set(await readGrants(sql));

      await sql.unsafe(await readSql(page)).simple();

      const added = (await readGrants(sql)).filter((grant) => !before.has(grant));
      assertEquals(added, [...granted].sort());
    },
  );

  databaseTest(`every policy of docs/${page} is for signed-in users only`, async ({ sql }) => {
    const before = await sql`select policyname from pg_catalog.pg_policies`;

    await sql.unsafe(await readSql(page)).simple();

    const added = await sql<{ roles: string }[]>`
      select roles::text from pg_catalog.pg_policies
      where policyname <> all (${before.map(({ policyname }) => policyname)})
    `;
    assertGreater(added.length, 0);
    assertEquals([...new Set(added.map(({ roles }) => roles))], ["{authenticated}"]);
  });

  recipeTest(`no role of the API can empty a table of docs/${page}`, async ({ sql }) => {
    const recipes = await readSql(page);
    await sql.unsafe(recipes).simple();
    const tables = [...recipes.matchAll(/create table (\S+)/g)].map(([, table]) => table);
    const truncate = (role: string, table: string | undefined): Promise<unknown> =>
      sql.begin(async (transaction) => {
        await transaction.unsafe(`set local role ${role}; truncate ${table}`).simple();
      });

    for (const role of ["anon", "authenticated", "service_role"]) {
      for (const table of tables) {
        const error = await assertRejects(() => truncate(role, table), postgres.PostgresError);
        assertEquals([role, table, error.code], [role, table, "42501"]);
      }
    }

    assertGreater(tables.length, 0);
    await sql.unsafe(`grant truncate on table ${tables[0]} to anon`);
    await truncate("anon", tables[0]); // Control: what is granted works.
  });
}
