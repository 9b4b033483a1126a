import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { databaseTest } from "../test_database.ts";

// Runs the SQL of docs/deploy.md on a backup of the queue.

const PAGE = new URL("../../docs/deploy.md", import.meta.url);

const BLOCKS = [...(await Deno.readTextFile(PAGE)).matchAll(/^```sql\n([^]*?)^```$/gm)]
  .map(([, sql = ""]) => sql);

/** The block that names this. */
function blockWith(name: string): string {
  const found = BLOCKS.filter((sql) => sql.includes(name));
  assertEquals(found.length, 1, name);
  return found.join();
}

const LIST = blockWith("pg_depend");
const CONTINUE = blockWith("setval");

databaseTest(
  "the query lists the queue's tables that belong to the extension, which pg_dump leaves out",
  async ({ admin }) => {
    const tables = ["pgmq.q_clerk_changes", "pgmq.a_clerk_changes"];
    const listed = async (): Promise<unknown[]> =>
      (await admin.unsafe(LIST)).map(({ objid }) => objid).filter((name) => tables.includes(name))
        .sort();
    const belong = async (change: "add" | "drop"): Promise<void> => {
      const before = await listed();
      for (const table of tables) {
        if (before.includes(table) === (change === "add")) continue;
        await admin.unsafe(`alter extension pgmq ${change} table ${table}`);
      }
    };

    await belong("add");
    assertEquals(await listed(), tables.toSorted());

    await belong("drop");
    assertEquals(await listed(), []);
  },
);

databaseTest("a queue whose rows were copied back goes on counting", async (database) => {
  const { sql } = database;
  const send = (id: string): Promise<unknown> =>
    database.ingest(`msg_${id}`, anEvent("user.created", aClerkUser({ id })));
  const ids = async (): Promise<unknown[]> =>
    (await sql`select msg_id::int, message ->> 'id' as id from pgmq.q_clerk_changes order by 1`)
      .map(({ msg_id, id }) => [msg_id, id]);
  await send("user_ada");
  await send("user_bob");

  const chunks: Uint8Array[] = [];
  const backup = await sql`copy pgmq.q_clerk_changes to stdout`.readable();
  for await (const chunk of backup) chunks.push(chunk);
  await sql`truncate pgmq.q_clerk_changes restart identity`;
  await pipeline(
    [Buffer.concat(chunks)],
    await sql`copy pgmq.q_clerk_changes from stdin`.writable(),
  );
  await sql.unsafe(CONTINUE).simple();
  await send("user_eve");

  assertEquals(await ids(), [[1, "user_ada"], [2, "user_bob"], [3, "user_eve"]]);
});
