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
  "supabase/database.types.ts is what the migrations make",
  async ({ server, name }) => {
    const generated = await generateTypes(server.url(name));

    assertEquals(generated, await Deno.readTextFile(TYPES));
  },
  { whole: true },
);

databaseTest("a new column is a new type", async ({ server, name, sql }) => {
  await sql`alter table public.profiles add column favourite_colour text`;

  const generated = await generateTypes(server.url(name));

  assertStringIncludes(generated, `"favourite_colour": string | null`);
});

databaseTest(
  "the Supabase CLI's arguments do not contain the password",
  async ({ server, name }) => {
    await using platform = await aPlatform(server);
    const seen: string[] = [];
    let ended = false;
    const commands = (async () => {
      await generateTypes(server.url(name));
      await dumpSchema(server.url(platform.name), server.url(name));
    })().finally(() => ended = true);

    while (!ended) {
      const { stdout } = await new Deno.Command("ps", { args: ["-Aww", "-o", "args="] }).output();
      seen.push(...new TextDecoder().decode(stdout).split("\n"));
    }
    await commands;

    for (const flag of ["--remote=", "--from=", "--to="]) {
      assert(seen.some((line) => line.includes(`${flag}postgresql://postgres@127.0.0.1`)), flag);
    }
    assertEquals(seen.filter((line) => line.includes(server.password)), []);
  },
);

databaseTest(
  "supabase/schema.sql is what the migrations make",
  async ({ server, name }) => {
    await using platform = await aPlatform(server);

    const dumped = await dumpSchema(server.url(platform.name), server.url(name));

    assertEquals(dumped, await Deno.readTextFile(SCHEMA));
  },
  { whole: true },
);

databaseTest("a changed function body shows in the schema", async ({ server, name, sql }) => {
  await using platform = await aPlatform(server);
  await sql.unsafe(
    `create or replace function clerk.user_id() returns text language sql stable
     set search_path = pg_catalog, pg_temp as $$ select 'user_mallory' $$`,
  );

  const dumped = await dumpSchema(server.url(platform.name), server.url(name));

  assertStringIncludes(dumped, "select 'user_mallory'");
});

Deno.test("types --check names each file that is not current, changes nothing and exits 1", async () => {
  await using stale = await staleFolder();

  const { code, stderr } = await types("--check", "--dir", stale.path);

  assertEquals(code, 1);
  assertMatch(stderr, /^database\.types\.ts is not what the migrations make: run deno task types/m);
  assertMatch(stderr, /^schema\.sql is not what the migrations make: run deno task types/m);
  assertMatch(stderr, /^shipped\.json is not what the migrations make: run deno task types/m);
  assertEquals(await Deno.readTextFile(`${stale.path}/schema.sql`), STALE);
});

Deno.test("types writes the files that are not current", async () => {
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
