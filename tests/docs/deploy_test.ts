import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { databaseTest } from "../test_database.ts";

// Runs the SQL of docs/deploy.md on a backup of the queue.

const PAGE = new URL("../../docs/deploy.md", import.meta.url);

const [, RECIPE = ""] = (await Deno.readTextFile(PAGE)).split("**Back up the queue");
const [LIST = "", CONTINUE = ""] = [...RECIPE.matchAll(/^```sql\n([^]*?)^```$/gm)]
  .map(([, sql = ""]) => sql);

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
  const tables = ["q_clerk_changes", "a_clerk_changes"];
  const send = (id: string): Promise<unknown> =>
    database.ingest(`msg_${id}`, anEvent("user.created", aClerkUser({ id })));
  const ids = async (table: string): Promise<unknown[]> => [
    ...await sql`select msg_id::int, message ->> 'id' from pgmq.${sql(table)} order by 1`.values(),
  ];
  for (const id of ["user_ada", "user_bob", "user_eve"]) await send(id);
  // The newest message is in the archive only.
  await sql`select pgmq.archive('clerk_changes', 3)`;

  for (const table of tables) {
    const chunks: Uint8Array[] = [];
    const backup = await sql`copy pgmq.${sql(table)} to stdout`.readable();
    for await (const chunk of backup) chunks.push(chunk);
    await sql`truncate pgmq.${sql(table)} restart identity`;
    const restored = await sql`copy pgmq.${sql(table)} from stdin`.writable();
    await pipeline([Buffer.concat(chunks)], restored);
  }
  await sql.unsafe(CONTINUE).simple();
  await send("user_zoe");

  assertEquals(await ids("q_clerk_changes"), [[1, "user_ada"], [2, "user_bob"], [4, "user_zoe"]]);
  assertEquals(await ids("a_clerk_changes"), [[3, "user_eve"]]);
});
