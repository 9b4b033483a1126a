import { assertEquals } from "@std/assert";
import { withTestDatabase } from "../test_database.ts";
import { aBacklog } from "../clerk/crowd.ts";
import { startFaultStack } from "./fault_stack.ts";
import { faultTest } from "./fault_case.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// Something locks the inbox: a migration, a vacuum full, a forgotten transaction. The webhook's role waits
// for 5 s; here it gives up sooner, to keep the test short. Events are kept as failed (500) once the inbox
// is free again, and not at all before.

const TIMEOUTS = [
  { setting: "statement_timeout", sqlState: "57014" },
  { setting: "lock_timeout", sqlState: "55P03" },
];

for (const { setting, sqlState } of TIMEOUTS) {
  faultTest(
    `deliveries that hit the ${setting} are answered with 503 or 500, redelivered, and none is lost`,
    () =>
      withTestDatabase(async (database) => {
        const { admin, name } = database;
        await admin`alter role clerk_ingest in database ${admin(name)} set ${
          admin(setting)
        } = '300ms'`;
        await using stack = await startFaultStack(database.server, name);
        const messages = aBacklog(200, 4);

        const attempts = await underLoad(stack, messages, async (load) => {
          await load.acknowledged(60);
          await admin.begin(async (transaction) => {
            await transaction`lock table clerk_sync.inbox in access exclusive mode`;
            await load.refused(30);
          });
        });

        const verdict = await verdictOn(database.server.superuserUrl(name), messages, attempts);
        assertNothingLost(`${setting} hit`, verdict, ["500 failed", "503 unavailable"]);
        assertEquals(stack.unavailableCodes(), [sqlState]);
      }),
  );
}
