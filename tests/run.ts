import { fileURLToPath } from "node:url";
import { readJunit } from "./junit.ts";
import { startTestServer, TEST_SERVER_VARIABLE, testServerValue } from "./test_server.ts";

// Runs all tests against one ephemeral Postgres, each test in a database of its own, and closes with
// the counts of the tests that ran; the steps of a test are not counted. Arguments are passed on to
// `deno test`: paths, --filter. Types are not checked here: `deno check` does that.

const paths = Deno.args.filter((argument, at) =>
  !argument.startsWith("-") && Deno.args[at - 1] !== "--filter"
);
const report = await Deno.makeTempFile({ prefix: "clerk-sync-tests-", suffix: ".xml" });

// The first bundle on a machine installs esbuild, and two that do so at once break each other.
await new Deno.Command(Deno.execPath(), {
  args: ["bundle", "--quiet", fileURLToPath(new URL("./until.ts", import.meta.url))],
  stdin: "null",
  stdout: "null",
}).output();

await using server = Deno.env.has(TEST_SERVER_VARIABLE) ? undefined : await startTestServer();
const tests = new Deno.Command(Deno.execPath(), {
  args: [
    "test",
    "--allow-all",
    "--no-check",
    "--parallel",
    `--junit-path=${report}`,
    ...Deno.args,
    ...(paths.length === 0 ? ["tests/"] : []),
  ],
  env: {
    ...(server === undefined ? {} : { [TEST_SERVER_VARIABLE]: testServerValue(server) }),
    // One more than a small machine has cores, because tests wait a lot.
    DENO_JOBS: "3",
    // Messages name commands as they are typed. Behind npx, that would be npx.
    npm_command: "",
  },
}).spawn();
const { success } = await tests.status;

const { passed, failed, unfinished, ignored } = readJunit(await Deno.readTextFile(report));
await Deno.remove(report);
const failures = failed.length + unfinished.length;
const ran = passed.length + failures;
if (ran === 0) {
  console.error(`\nNo test ran: no active test matches ${Deno.args.join(" ") || "tests/"}`);
} else if (!success && failures === 0) console.error("\nThe run failed, although no test did");

console.log(
  `\n${passed.length} passed, ${failures} failed` +
    (ignored.length === 0 ? "" : `, ${ignored.length} skipped`),
);
Deno.exitCode = success && ran > 0 ? 0 : 1;
