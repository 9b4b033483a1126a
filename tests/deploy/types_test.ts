import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { dumpSchema } from "../../tools/dump_schema.ts";
import { generateTypes } from "../../tools/generate_types.ts";
import { createDatabase, dropDatabase } from "../../local/postgres/databases.ts";
import { databaseTest } from "../test_database.ts";

const ROOT = new URL("../../", import.meta.url);
const TYPES = new URL("supabase/database.types.ts", ROOT);
const SCHEMA = new URL("supabase/schema.sql", ROOT);
const SHIPPED = new URL("supabase/shipped.json", ROOT);

databaseTest(
  "a new column is a new type, a changed function body shows, and no argument contains the password",
  async ({ server, name, sql }) => {
    await using platform = await aPlatform(server);
    await sql`alter table public.profiles add column favourite_colour text`;
    await sql.unsafe(
      `create or replace function clerk.user_id() returns text language sql stable
       set search_path = pg_catalog, pg_temp as $$ select 'user_mallory' $$`,
    );
    const everyArgument: string[] = [];
    let ended = false;
    const commands = (async () => ({
      types: await generateTypes(server.url(name)),
      schema: await dumpSchema(server.url(platform.name), server.url(name)),
    }))().finally(() => ended = true);

    while (!ended) {
      const { stdout } = await new Deno.Command("ps", { args: ["-Aww", "-o", "args="] }).output();
      everyArgument.push(...new TextDecoder().decode(stdout).split("\n"));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { types, schema } = await commands;

    assertStringIncludes(types, `"favourite_colour": string | null`);
    assertStringIncludes(schema, "select 'user_mallory'");
    for (const flag of ["--remote=", "--from=", "--to="]) {
      const address = `${flag}postgresql://postgres@127.0.0.1`;
      assert(everyArgument.some((line) => line.includes(address)), flag);
    }
    assertEquals(everyArgument.filter((line) => line.includes(server.password)), []);
  },
);

Deno.test("types --check names each file that is not current, changes nothing and exits 1", async () => {
  await using stale = await staleFolder();

  const { code, stderr } = await types("--check", "--dir", stale.path);

  assertEquals(code, 1);
  assertMatch(stderr, /^database\.types\.ts is not what the migrations make: run deno task types/m);
  assertMatch(stderr, /^schema\.sql is not what the migrations make: run deno task types/m);
  assertMatch(stderr, /^shipped\.json is not what the migrations make: run deno task types/m);
  assertEquals(await Deno.readTextFile(`${stale.path}/schema.sql`), STALE);
});

Deno.test("types writes the files that are not current; those of this checkout are what the migrations make", async () => {
  await using stale = await staleFolder();

  const { code, stdout } = await types("--dir", stale.path);

  assertEquals(code, 0);
  assertMatch(stdout, /database\.types\.ts is written\nschema\.sql is written/);
  assertEquals(
    await Deno.readTextFile(`${stale.path}/database.types.ts`),
    await Deno.readTextFile(TYPES),
  );
  assertEquals(
    await Deno.readTextFile(`${stale.path}/schema.sql`),
    await Deno.readTextFile(SCHEMA),
  );
  assertEquals(
    await Deno.readTextFile(`${stale.path}/shipped.json`),
    await Deno.readTextFile(SHIPPED),
  );
});

const STALE = "-- Nothing.\n";

async function staleFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "clerk-sync-types-" });
  await Deno.writeTextFile(`${path}/schema.sql`, STALE);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** A database without migrations. */
async function aPlatform(
  server: Parameters<typeof createDatabase>[0],
): Promise<{ name: string } & AsyncDisposable> {
  const name = `platform_${crypto.randomUUID().slice(0, 8)}`;
  await createDatabase(server, name);
  return { name, [Symbol.asyncDispose]: () => dropDatabase(server, name) };
}

async function types(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "tools/types.ts", ...args],
    cwd: fileURLToPath(ROOT),
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
