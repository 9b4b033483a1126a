import { assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { DEFAULT_PRIVILEGES, readGrants } from "../default_privileges.ts";
import { applyOurs } from "../clerk/our_migrations.ts";
import { testServer } from "../test_server.ts";
import { runPgtap } from "./run_pgtap.ts";
import { complaintsAbout } from "./tap.ts";

const GRANTS = new URL("../../supabase/tests/grants.sql", import.meta.url);

interface Outcome {
  /** What the default privileges grant on a new table. */
  readonly onNewTable: readonly string[];
  readonly grants: readonly string[];
  readonly complaints: readonly string[];
}

/** Migrates an empty database that has other default privileges. */
async function migrateUnder(statements: string): Promise<Outcome> {
  const server = await testServer();
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await createDatabase(server, name);
  try {
    await withConnection(server.url(name), (sql) => sql.unsafe(statements).simple());
    await applyOurs(server.url(name));
    return await withConnection(server.url(name), async (sql) => {
      const grants = await readGrants(sql);
      const complaints = complaintsAbout(await runPgtap(sql, await Deno.readTextFile(GRANTS)));
      await sql`create table public.fresh ()`;
      const onNewTable = (await readGrants(sql)).filter((grant) => grant.startsWith("fresh: "));
      return { onNewTable, grants, complaints };
    });
  } finally {
    await dropDatabase(server, name);
  }
}

Deno.test({
  name: "the migrations grant the same under the default privileges of old and new projects",
  // The server may be started within the test, and outlives it.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const today = await migrateUnder(DEFAULT_PRIVILEGES.today);
    const old = await migrateUnder(DEFAULT_PRIVILEGES.old);
    const none = await migrateUnder(DEFAULT_PRIVILEGES.none);

    assertEquals(old.grants, today.grants);
    assertEquals(none.grants, today.grants);
    assertEquals([today.complaints, old.complaints], [[], []]);
    assertGreater(today.grants.length, 0);
    assertNotEquals(old.onNewTable, today.onNewTable, "control: the default privileges differ");
    assertEquals(none.onNewTable, [], "control: there are none");
  },
});
