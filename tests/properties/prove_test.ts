import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { anEvent } from "../../local/clerk/events.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import { converge, Violation } from "./convergence.ts";
import { marksOf, type Message, type Plan } from "../clerk/plan.ts";
import { proveConvergence, TRIES } from "./prove_convergence.ts";
import { Stage } from "./stage.ts";

// The proof can fail.

/** The definition of a function, for restoring it. */
async function definitionOf({ sql }: TestDatabase, name: string): Promise<string> {
  const [row] = await sql<{ definition: string }[]>`
    select pg_get_functiondef(${name}::regproc) as definition
  `;
  return row?.definition ?? "";
}

databaseTest(
  "a broken rule is found, shrunk, and found again in the saved counter-example",
  (database) =>
    Stage.with(database, async (stage) => {
      const intact = await definitionOf(database, "clerk_sync.is_deleted");
      await database.sql`
      create or replace function clerk_sync.is_deleted(id text) returns boolean
      language sql stable set search_path = '' return false
    `;

      // Small worlds, as each one that is tried takes its time. Shrinking ends at the smallest, never early.
      const { counterExample } = await proveConvergence(stage, {
        seed: 7,
        worlds: 200,
        maxHappenings: 8,
        patience: Infinity,
      });

      assert(counterExample !== undefined);
      const saved: Plan = JSON.parse(JSON.stringify(counterExample.plan));
      assertLessOrEqual(saved.messages.length, 3);
      await assertRejects(() => converge(stage, saved, TRIES.again), Violation);
      await database.sql.unsafe(intact);
      await converge(stage, saved, TRIES.again);
    }),
);

databaseTest("a table in public that no run compares is an error", async (database) => {
  await database.sql`create table public.forgotten (id text primary key)`;

  await assertRejects(
    () => Stage.with(database, () => Promise.resolve()),
    Error,
    "nothing compares public.forgotten",
  );
});

databaseTest(
  "anything left of a person is found in every table",
  (database) =>
    Stage.with(database, async (stage) => {
      const [mark = ""] = marksOf("user_1");
      const message: Message = {
        id: "msg_1",
        event: anEvent("paymentAttempt.created", {
          id: "payment_1",
          payer: { user_id: "user_1", first_name: mark },
          created_at: 1_760_000_000_000,
        }),
      };
      await stage.deliver(
        { messages: [message], pages: [] },
        [{ message: message.id, fate: "kept" }],
        1,
      );
      await database.sql`insert into public.profiles (id, username) values ('user_1', ${mark})`;
      await database.sql`select pgmq.send('clerk_changes_dead', ${database.sql.json({ mark })})`;

      const places = await stage.search(marksOf("user_1"));

      assertEquals(places, [
        `clerk_sync.inbox holds ${mark}`,
        `clerk_sync.objects holds ${mark}`,
        `pgmq.q_clerk_changes_dead holds ${mark}`,
        `public.profiles holds ${mark}`,
      ]);
    }),
);
