import { assertEquals } from "@std/assert";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { databaseTest, ingestWithin } from "../test_database.ts";

databaseTest("the cause of a change ends with its transaction", async ({ connect, sql }) => {
  // PostgREST gives the same connection to the webhook and then to a backend.
  const pool = connect(1);
  const created = anEvent("user.created", aClerkUser({ id: "user_ada", banned: false }));

  await sql`grant update (banned) on public.profiles to service_role`;
  await pool.begin((transaction) => ingestWithin(transaction, "msg_1", created));
  await pool.begin(async (transaction) => {
    await transaction`set local role service_role`;
    await transaction`update public.profiles set banned = true where id = 'user_ada'`;
  });

  const causes = await sql`
    select message ->> 'caused_by' as caused_by, message ->> 'via' as via
    from pgmq.q_clerk_changes
    order by msg_id
  `;
  assertEquals(causes[0], { caused_by: "msg_1", via: "webhook" });
  assertEquals(causes[1], { caused_by: null, via: null });
  assertEquals(causes.length, 2);
});
