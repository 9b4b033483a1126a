import { assert } from "@std/assert";
import type { Attempt } from "../../local/clerk/send_all.ts";
import { withTestDatabase } from "../test_database.ts";
import { aBacklog } from "../clerk/crowd.ts";
import { type FaultStack, startFaultStack } from "./fault_stack.ts";
import { faultTest } from "./fault_case.ts";
import type { Affliction, TcpProxy } from "./tcp_proxy.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// A small proxy cuts the two lines behind the function in every way a network does. After some cuts the
// event is committed, but the sender does not know: redelivered, it must be a duplicate.

interface Cut {
  readonly line: "function to API" | "API to Postgres";
  readonly affliction: Affliction;
  /** Whether the cut falls between the commit and its answer. */
  readonly commits: boolean;
}

const [TO_API, TO_POSTGRES] = ["function to API", "API to Postgres"] as const;
/** The text by which each line reports the commit. */
const COMMITTED = { [TO_API]: "HTTP/1.1 200", [TO_POSTGRES]: "COMMIT" };

const QUICK: Cut[] = [TO_API, TO_POSTGRES].flatMap((line) => [
  { line, affliction: { kind: "refuses" }, commits: false },
  { line, affliction: { kind: "loses", answer: COMMITTED[line] }, commits: true },
]);

const SILENT: Cut[] = [TO_API, TO_POSTGRES].flatMap((line) => [
  { line, affliction: { kind: "swallows" }, commits: false },
  { line, affliction: { kind: "stalls", answer: COMMITTED[line] }, commits: true },
]);

for (const cut of QUICK) {
  faultTest(
    `a connection from ${cut.line} that ${cut.affliction.kind} data loses nothing`,
    () => survive(cut),
  );
}

// Each waits for the function's timeouts of 12 s, so they run together.
faultTest(
  "connections that fall silent lose nothing, and the sender gets its answer in time",
  async () => {
    await Promise.all(SILENT.map((cut) => survive(cut, { isSilent: true })));
  },
);

/** Whether an attempt waited for the function's timeouts and was answered; Svix hangs up after 15 s. */
function isInTime({ status, milliseconds }: Attempt): boolean {
  return status >= 500 && milliseconds > 11_000 && milliseconds < 14_000;
}

function survive(
  { line, affliction, commits }: Cut,
  { isSilent = false }: { isSilent?: boolean } = {},
): Promise<void> {
  return withTestDatabase(async (database) => {
    await using stack = await startFaultStack(database.server, database.name);
    const proxy = proxyOn(stack, line);
    const messages = aBacklog(150, 3);

    const attempts = await underLoad(stack, messages, async (load) => {
      await load.acknowledged(40);
      proxy.afflict(affliction);
      await load.refused(12);
      // Not the first ones, if the machine has other work.
      if (isSilent) await load.sees("answered in time", isInTime);
      proxy.heal();
      if (line === TO_POSTGRES) await stack.replaceApi();
    });

    const verdict = await verdictOn(
      database.server.superuserUrl(database.name),
      messages,
      attempts,
    );
    assertNothingLost(`${line} ${affliction.kind}`, verdict, [
      "500 failed",
      "503 unavailable",
      // One that comes so late that Svix has hung up: the machine has other work.
      ...(isSilent ? ["0 no_answer"] : []),
    ]);
    assert(proxy.hits > 0);
    if (commits) assert(verdict.committedUnanswered > 0);
  });
}

function proxyOn(stack: FaultStack, line: Cut["line"]): TcpProxy {
  return line === TO_API ? stack.betweenFunctionAndApi : stack.betweenApiAndPostgres;
}
