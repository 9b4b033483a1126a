import { startTestServer, TEST_SERVER_VARIABLE } from "./test_server.ts";

// Runs all tests against one ephemeral Postgres, each test in a database of its own, and closes with
// the counts. Arguments are passed on to `deno test`: paths, --filter.

const report = await Deno.makeTempFile({ prefix: "clerk-sync-tests-", suffix: ".xml" });
const paths = Deno.args.some((argument) => /^(\.\/)?tests\//.test(argument)) ? [] : ["tests/"];

await using server = await startTestServer();
const tests = new Deno.Command(Deno.execPath(), {
  args: ["test", "--allow-all", "--parallel", `--junit-path=${report}`, ...Deno.args, ...paths],
  env: { [TEST_SERVER_VARIABLE]: String(server.port), DENO_JOBS: "2" },
}).spawn();
const { success } = await tests.status;

const { passed, failed } = countsIn(await Deno.readTextFile(report));
await Deno.remove(report);
console.log(`\n${passed} passed, ${failed} failed`);
Deno.exitCode = success && passed > 0 ? 0 : 1;

/** The sums of a JUnit report. */
function countsIn(xml: string): { passed: number; failed: number } {
  const [summary = ""] = /<testsuites [^>]*>/.exec(xml) ?? [];
  const sum = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(summary)?.[1] ?? 0);
  const failed = sum("failures") + sum("errors");

  return { passed: sum("tests") - failed, failed };
}
