import { assertEquals } from "@std/assert";
import { heldAndExpected, runTest } from "./a_run.ts";

runTest(
  "a backfill brings every object of the instance, whatever the number of pages",
  { users: 1_203, organizations: 40, memberships: 1_700, invitations: 30 },
  async ({ database, instance, run }) => {
    const { isFinished, state, news } = await run("backfill");

    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals([isFinished, state.problems, news.length], [true, [], 2_977]);
  },
);
