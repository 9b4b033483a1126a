import { aBacklog } from "../clerk/crowd.ts";
import { startFaultStack } from "./fault_stack.ts";
import { startOwnPostgres } from "../../bench/outage/own_postgres.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// I2: acknowledged means durable, also when every process of the server is killed in the middle. What
// a process has handed to the kernel survives its death, so this shows that a commit was written before
// it was acknowledged; that `fsync` was asked for, only a power failure could show.

Deno.test("Postgres killed three times in mid-load loses nothing that was acknowledged", async () => {
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
  assertNothingLost("Postgres killed", verdict, ["503 unavailable"]);
});
