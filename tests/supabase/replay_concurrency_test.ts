import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../local/clerk/events.ts";
import { type Answer, databaseTest, type TestDatabase } from "../test_database.ts";
import { until } from "../until.ts";

// Replays at the same time as each other, as deliveries, and as deletions.

/** Replays a message as the API does, in a transaction of its own. */
function replay(pool: postgres.Sql, messageId: string): Promise<Answer> {
  return pool.begin(async (transaction) => {
    await transaction`set local role service_role`;
    const [row] = await transaction<{ answer: Answer }[]>`
      select public.replay_clerk_message(${messageId}) as answer
    `;
    if (row === undefined) throw new Error("The database gave no answer");
    return row.answer;
  });
}

/** Delivers events while the application refuses all people. */
async function refuse(
  { sql, ingest }: TestDatabase,
  messages: ReadonlyMap<string, ReturnType<typeof anEvent>>,
): Promise<void> {
  await sql`alter table public.profiles add constraint nobody check (first_name is null) not valid`;
  for (const [id, event] of messages) {
    assertEquals((await ingest(id, event)).outcome, "failed");
  }
  await sql`alter table public.profiles drop constraint nobody`;
}

function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of answers) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

databaseTest(
  "a message that is replayed and delivered many times at once is applied once",
  async (database) => {
    const event = anEvent("user.created", aClerkUser({ id: "user_ada" }));
    await refuse(database, new Map([["msg_1", event]]));
    const pool = database.connect(10);

    const answering = await database.sql.begin(async (holding) => {
      await holding`select from clerk_sync.objects where id = 'user_ada' for update`;
      const asked = Promise.all(Array.from(
        { length: 20 },
        (_, number) => number % 2 === 0 ? replay(pool, "msg_1") : database.ingest("msg_1", event),
      ));
      await until("all wait for the user", async () => {
        const [row] = await database.admin<{ count: number }[]>`
          select count(*)::int as count from pg_stat_activity
          where datname = ${database.name} and wait_event_type = 'Lock'
        `;
        return row?.count === 20;
      });
      return { asked };
    });
    const answers = await answering.asked;

    assertEquals(tally(answers), { applied: 1, duplicate: 19 });
    const [row] = await database.sql`
      select outcome, deliveries, (select count(*)::int from pgmq.q_clerk_changes) as announced
      from clerk_sync.inbox
    `;
    assertEquals({ ...row }, { outcome: "applied", deliveries: 11, announced: 1 });
  },
);

databaseTest("a deletion wins against replays, and nothing deadlocks", async (database) => {
  const people = Array.from({ length: 20 }, (_, number) => `user_2needle${1000 + number}`);
  await refuse(
    database,
    new Map(people.flatMap((id, number) =>
      ["user.created", "user.updated"].map((type, version) => {
        // Each mentions the next person, too.
        const public_metadata = { friend: people[(number + 1) % people.length] ?? "" };
        const user = aClerkUser({ id, public_metadata, username: `needle${id}` });
        return [`msg_${id}_${version}`, anEvent(type, user)] as const;
      })
    )),
  );
  const pool = database.connect(12);

  const answers = await Promise.all(people.flatMap((id) => [
    replay(pool, `msg_${id}_0`),
    database.ingest(`msg_${id}_2`, anEvent("user.deleted", aDeletedClerkUser(id))),
    replay(pool, `msg_${id}_1`),
  ]));

  assertEquals(tally(answers).failed ?? 0, 0);
  const [row] = await database.sql`
    select
      (select count(*)::int from public.profiles where deleted_at is null) as living,
      (select count(*)::int from public.profiles) as people,
      (select count(*)::int from clerk_sync.inbox where outcome in ('failed', 'unreadable')) as waiting
  `;
  assertEquals({ ...row }, { living: 0, people: people.length, waiting: 0 });
  assertEquals(await database.rowsWith("needleuser_"), 0);
});
