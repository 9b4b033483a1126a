import { assertEquals } from "@std/assert";
import { EXCEPTIONS } from "../clerk/rows.ts";
import { databaseTest } from "../test_database.ts";

Deno.test("docs/proof.md lists the columns that are not compared, and why", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/proof.md", import.meta.url));

  const [, table = ""] = /\n\| excepted column[^\n]*\n\|[-| ]*\n((?:\|[^\n]*\n)*)/.exec(page) ?? [];

  assertEquals(
    table.trimEnd().split("\n").map((line) =>
      line.split("|").slice(1, -1).map((cell) => cell.trim())
    ),
    EXCEPTIONS.map(({ column, tables, what, why }) => [
      `\`${column}\``,
      tables.map((table) => `\`${table}\``).join(", "),
      what,
      why,
    ]),
  );
});

databaseTest("every column that is not compared exists", async ({ sql }) => {
  const columns = await sql<{ name: string }[]>`
    select table_name || '.' || column_name as name
    from information_schema.columns
    where table_schema = 'public'
  `;
  const existing = new Set(columns.map(({ name }) => name));

  const excepted = EXCEPTIONS.flatMap(({ column, tables }) =>
    tables.map((table) => `${table}.${column}`)
  );

  assertEquals(excepted.filter((name) => !existing.has(name)), []);
});
