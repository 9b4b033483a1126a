import { assertEquals } from "@std/assert";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";

// Runs the SQL of docs/scaling.md and checks what it prunes and what it keeps.

const PAGE = new URL("../../docs/scaling.md", import.meta.url);

async function prune({ sql }: TestDatabase): Promise<void> {
  const [, statements = ""] = /```sql\n([^]*?)```/.exec(await Deno.readTextFile(PAGE)) ?? [];
  await sql.unsafe(statements).simple();
}

/** Creates a user whose only event arrived, and was announced and archived, some days ago. */
async function arrive(database: TestDatabase, name: string, days: number): Promise<void> {
  const event = anEvent("user.created", aClerkUser({ id: `user_${name}` }));
  await database.ingest(`msg_${name}`, event);
  await database.sql`
    update clerk_sync.inbox set last_delivered_at = now() - make_interval(days => ${days})
    where message_id = ${`msg_${name}`}
  `;
  await database.sql`
    select pgmq.archive('clerk_changes', msg_id) from pgmq.q_clerk_changes
    where message ->> 'id' = ${`user_${name}`}
  `;
  await database.sql`
    update pgmq.a_clerk_changes set archived_at = now() - make_interval(days => ${days})
    where message ->> 'id' = ${`user_${name}`}
  `;
}

databaseTest(
  "pruning removes payloads after 30 days, rows after 90 days and finished changes after 30 days",
  async (database) => {
    await arrive(database, "new", 29);
    await arrive(database, "old", 31);
    await arrive(database, "ancient", 91);

    await prune(database);

    const rows = await database.sql`
    select message_id, payload is null as pruned from clerk_sync.inbox order by message_id
  `;
    assertEquals([...rows], [
      { message_id: "msg_new", pruned: false },
      { message_id: "msg_old", pruned: true },
    ]);
    const changes = await database.sql`select message ->> 'id' as id from pgmq.a_clerk_changes`;
    assertEquals([...changes], [{ id: "user_new" }]);
  },
);

databaseTest("pruning keeps failed events and the register", async (database) => {
  await arrive(database, "ada", 91);
  await database.sql`alter table profiles add constraint nobody check (id <> 'user_bo') not valid`;
  await arrive(database, "bo", 91);

  await prune(database);

  const failed = await database.sql`
    select message_id, outcome, payload is null as pruned from clerk_sync.inbox
  `;
  assertEquals([...failed], [{ message_id: "msg_bo", outcome: "failed", pruned: false }]);
  const late = anEvent("user.updated", aClerkUser({ id: "user_ada", updated_at: 1 }));
  assertEquals((await database.ingest("msg_late", late)).outcome, "stale");
});
