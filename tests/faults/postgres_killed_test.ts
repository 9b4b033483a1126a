import { aBacklog } from "../clerk/crowd.ts";
import { startFaultStack } from "./fault_stack.ts";
import { startOwnPostgres } from "../../bench/outage/own_postgres.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// I2: acknowledged means durable, also when every process of the server is killed under load. What a
// process has written survives it in the kernel, so this shows that a commit was written before it was
// acknowledged. Only a power failure could show that `fsync` was called.

Deno.test("when Postgres is killed three times under load, nothing that was acknowledged is lost", async () => {
  await using postgres = await startOwnPostgres();
  await using stack = await startFaultStack(postgres, postgres.database);
  const messages = aBacklog(300, 1);

  const attempts = await underLoad(stack, messages, async (load) => {
    for (const acknowledged of [60, 120, 180]) {
      await load.acknowledged(acknowledged);
      await postgres.kill();
      await load.refused(1);
      await postgres.start();
    }
  });

  const verdict = await verdictOn(
    postgres.superuserUrl(postgres.database),
    messages,
    attempts,
  );
  assertNothingLost("Postgres killed", verdict, ["500 failed", "503 unavailable"]);
});
