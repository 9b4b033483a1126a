import { assertEquals } from "@std/assert";
import { withTestDatabase } from "../test_database.ts";
import { aBacklog } from "../clerk/crowd.ts";
import { faultTest } from "./fault_case.ts";
import { startFaultStack } from "./fault_stack.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// What the function holds in memory dies with it, so it must not have acknowledged any of that.

faultTest(
  "when the function is killed twice under load, nothing that was acknowledged is lost",
  () =>
    withTestDatabase(async (database) => {
      await using stack = await startFaultStack(database.server, database.name);
      const messages = aBacklog(300, 2);

      const attempts = await underLoad(stack, messages, async (load) => {
        for (const acknowledged of [60, 150]) {
          await load.acknowledged(acknowledged);
          await stack.replaceFunction();
        }
      });

      const verdict = await verdictOn(
        database.server.superuserUrl(database.name),
        messages,
        attempts,
      );
      // Nobody answers while it is gone.
      assertNothingLost("function killed", verdict, ["503 unavailable", "0 no_answer"]);
      assertEquals(Object.keys(verdict.refusals).includes("0 no_answer"), true);
    }),
);
