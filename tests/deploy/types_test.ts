import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { dumpSchema } from "../../tools/dump_schema.ts";
import { generateTypes } from "../../tools/generate_types.ts";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { postgresAddress } from "../../local/postgres/postgres.ts";
import { startTestServer, TEMPLATE } from "../test_server.ts";

const ROOT = new URL("../../", import.meta.url);
const TYPES = new URL("supabase/database.types.ts", ROOT);
const SCHEMA = new URL("supabase/schema.sql", ROOT);
const SHIPPED = new URL("supabase/shipped.json", ROOT);

Deno.test("a new column is a new type, a changed function body shows, and no argument contains the password", async () => {
  // Of its own, because tests that run meanwhile may give the password of the shared server to a command.
  await using server = await startTestServer();
  await createDatabase(server, "platform");
  await createDatabase(server, "changed", { template: TEMPLATE });
  await withConnection(server.url("changed"), (sql) =>
    sql.unsafe(`
      alter table public.profiles add column favourite_colour text;
      create or replace function clerk.user_id() returns text language sql stable
        set search_path = pg_catalog, pg_temp as $$ select 'user_mallory' $$;
    `).simple());
  const everyArgument: string[] = [];
  // A command that waits for the database is there to be seen.
  await using gate = gateTo(server.port, async () => {
    const { stdout } = await new Deno.Command("ps", { args: ["-Aww", "-o", "args="] }).output();
    everyArgument.push(...new TextDecoder().decode(stdout).split("\n"));
  });
  const { url } = postgresAddress(gate.port, server.password);

  const types = await generateTypes(url("changed"));
  const schema = await dumpSchema(url("platform"), url("changed"));

  assertStringIncludes(types, `"favourite_colour": string | null`);
  assertStringIncludes(schema, "select 'user_mallory'");
  for (const flag of ["--remote=", "--from=", "--to="]) {
    const address = `${flag}postgresql://postgres@127.0.0.1:${gate.port}`;
    assert(everyArgument.some((line) => line.includes(address)), flag);
  }
  assertEquals(everyArgument.filter((line) => line.includes(server.password)), []);
});

/** Leads to another port of this machine, and does something before it lets a connection through. */
function gateTo(
  port: number,
  before: () => Promise<void>,
): { readonly port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended: Promise<void>[] = [];
  const letThrough = async (from: Deno.Conn): Promise<void> => {
    await before();
    const to = await Deno.connect({ hostname: "127.0.0.1", port });
    // Either side may end by a reset.
    const ignored = (): void => {};
    await Promise.all([
      from.readable.pipeTo(to.writable).catch(ignored),
      to.readable.pipeTo(from.writable).catch(ignored),
    ]);
  };
  const closed = (async () => {
    for await (const connection of listener) ended.push(letThrough(connection));
  })();
  return {
    port: listener.addr.port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await closed;
      await Promise.all(ended);
    },
  };
}

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
