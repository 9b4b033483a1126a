import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { generateTypes } from "../../cli/generate_types.ts";
import { databaseTest } from "../test_database.ts";

const ROOT = new URL("../../", import.meta.url);
const TYPES = new URL("supabase/database.types.ts", ROOT);

databaseTest("supabase/database.types.ts is what the migrations make", async ({ server, name }) => {
  const generated = await generateTypes(server.url(name));

  assertEquals(generated, await Deno.readTextFile(TYPES));
});

databaseTest("a new column is a new type", async ({ server, name, sql }) => {
  await sql`alter table public.profiles add column favourite_colour text`;

  const generated = await generateTypes(server.url(name));

  assertStringIncludes(generated, `"favourite_colour": string | null`);
});

Deno.test("types --check says when a file is not current, changes nothing and exits 1", async () => {
  await using stale = await staleTypes();

  const { code, stderr } = await types("--check", "--file", stale.path);

  assertEquals(code, 1);
  assertMatch(stderr, /is not what the migrations make: run deno task types, and commit it/);
  assertEquals(await Deno.readTextFile(stale.path), "export type Database = never;\n");
});

Deno.test("types writes a file that is not current anew", async () => {
  await using stale = await staleTypes();

  const { code, stdout } = await types("--file", stale.path);

  assertEquals(code, 0);
  assertMatch(stdout, /is written anew/);
  assertEquals(await Deno.readTextFile(stale.path), await Deno.readTextFile(TYPES));
});

async function staleTypes(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempFile({ prefix: "clerk-sync-types-", suffix: ".ts" });
  await Deno.writeTextFile(path, "export type Database = never;\n");
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

async function types(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "cli/types.ts", ...args],
    cwd: fileURLToPath(ROOT),
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
