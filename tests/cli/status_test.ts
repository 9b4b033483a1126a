import { assert, assertEquals, assertMatch } from "@std/assert";
import { plain } from "../../cli/colour.ts";
import { formatStatus } from "../../cli/status.ts";
import { connect } from "../../functions/_shared/clerk_sync/supabase.ts";
import { createClerkApi } from "../../functions/clerk-worker/reconcile/clerk_api.ts";
import { readStatus } from "../../functions/clerk-worker/status.ts";
import { anInstance, clerkError, serveClerkApi } from "../clerk_api/clerk_api.ts";
import { stackTest, startWorker, type TestStack } from "../test_stack.ts";

async function status(
  { services }: TestStack,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/status.ts", ...args],
    env: {
      NO_COLOR: "1",
      SUPABASE_URL: services.apiUrl,
      SUPABASE_SECRET_KEY: services.keys.secret,
      ...env,
    },
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

stackTest("the command prints what is wrong with its cure, and exits with 3", async (stack) => {
  const { code, out, err } = await status(stack);

  assertEquals([code, err], [3, ""]);
  assertMatch(out, /^✗ No event has arrived yet\.\n {2}Check the endpoint/);
  assertMatch(out, /\n✗ Nothing reconciles/);
  assertMatch(out, /\nlast event {4}never, applied never\n/);
});

stackTest(
  "when all is well, the command says so in its first line, and exits with 0",
  async (stack) => {
    const { sql } = stack.database;
    await stack.database.ingest("msg_1", {
      type: "user.created",
      timestamp: Date.now(),
      data: { id: "user_ada", created_at: Date.now(), updated_at: Date.now() },
    });
    await sql`
    insert into clerk_sync.runs (kind, leased_until, finished_at) values ('backfill', now(), now())
  `;

    const text = await status(stack);
    const json = await status(stack, ["--json"]);
    const metrics = await status(stack, ["--openmetrics"]);

    assertEquals([text.code, json.code, metrics.code], [0, 0, 0]);
    assertMatch(text.out, /^✓ All is well: the last event arrived \d+ seconds? ago\.\n/);
    assertMatch(text.out, /\nlast hour {5}1 applied\n/);
    assertEquals(JSON.parse(json.out).is_healthy, true);
    assertMatch(metrics.out, /\nclerk_sync_healthy 1\n[^]*\n# EOF\n$/);
  },
);

stackTest("on a terminal, long lines are folded at its width between words", async (stack) => {
  const found = await readStatus(connect(stack.services.apiUrl, stack.services.keys.secret));
  const breach = {
    code: "silent",
    sentence: "It is silent. ".repeat(9),
    cure: "Look. ".repeat(20),
  };
  const sick = { ...found, is_healthy: false, breaches: [breach] };
  const painted = (text: string): string => `<${text}>`;

  const whole = formatStatus(sick, Infinity, plain);
  const folded = formatStatus(sick, 80, plain);
  const coloured = formatStatus(sick, 80, painted);

  assert(whole.split("\n").some((line) => line.length > 80), "control: lines are longer");
  assertEquals(folded.split("\n").filter((line) => line.length > 80), []);
  assertEquals(folded.replaceAll(/\n +/g, " "), whole.replaceAll(/\n +/g, " "));
  assertMatch(folded, /\nsizes {9}inbox .*\n {14}\S/);
  assertMatch(coloured, /^<✗ It is silent\. .*>\n< {2}\S.*>\n {2}Look\. /);
});

stackTest("with a key of Clerk's, the rows are compared with Clerk's own counts", async (stack) => {
  const instance = anInstance({ users: 3, organizations: 1, memberships: 2 });
  await using clerk = serveClerkApi(instance);
  const env = { CLERK_SECRET_KEY: clerk.secretKey, CLERK_API_URL: clerk.url };

  const compared = await status(stack, [], env);
  assertMatch(compared.out, /✗ Rows of kind user: 0 here, 3 at Clerk\./);
  assertMatch(
    compared.out,
    /\nhere \/ Clerk {2}user 0 \/ 3, membership 0 \/ 2, organization 0 \/ 1\n/,
  );

  clerk.onRequest = () => clerkError(401, "clerk_key_invalid");
  const refused = await status(stack, [], env);
  assertEquals(refused.code, 3);
  assertMatch(refused.err, /^The rows are not compared with Clerk's counts\. .*CLERK_SECRET_KEY/);
  assertEquals(refused.out.includes("here / Clerk"), false);
});

stackTest("GET /status of the worker tells the same", async (stack) => {
  await using worker = await startWorker(stack, {});
  const ask = (authorization: string): Promise<Response> =>
    fetch(`${worker.workerUrl}/status`, { headers: { authorization } });

  const stranger = await ask("Bearer another");
  const told = await ask(`Bearer ${worker.keys.workerSecret}`);

  await stranger.body?.cancel();
  assertEquals([stranger.status, told.status], [401, 503]);
  const { verdict, breaches } = await told.json();
  const asked = await readStatus(connect(stack.services.apiUrl, stack.services.keys.secret));
  assertEquals({ verdict, breaches }, { verdict: asked.verdict, breaches: asked.breaches });
});

stackTest("the schema has the version of the code, and is installed", async (stack) => {
  const { version, code_version, installation } = await readStatus(
    connect(stack.services.apiUrl, stack.services.keys.secret),
  );

  assertEquals({ version, installation }, { version: code_version, installation: "installed" });
});

stackTest("the command tells a schema of another version, half upgraded", async (stack) => {
  await stack.database.sql.unsafe(
    `comment on schema clerk_sync is '{"version": "0.9.0", "status": "upgrading"}'`,
  );

  const { out } = await status(stack);

  assertMatch(
    out,
    /\nversion {7}schema 0\.9\.0, this command \d+\.\d+\.\d+: run `upgrade` .*\. Not every migration was applied \(upgrading\): run `supabase db push`\n$/,
  );
});

stackTest(
  "an instance of Clerk's without organizations is compared by its users",
  async (stack) => {
    await using clerk = serveClerkApi(anInstance({ users: 2 }));
    clerk.onRequest = ({ pathname }) =>
      pathname.startsWith("/v1/organization")
        ? clerkError(403, "organization_not_enabled_in_instance")
        : undefined;
    const api = createClerkApi({ secretKey: clerk.secretKey, apiUrl: clerk.url });

    const { rows } = await readStatus(
      connect(stack.services.apiUrl, stack.services.keys.secret),
      api,
    );

    assertEquals(rows, { user: { here: 0, clerk: 2 } });
  },
);

for (
  const [what, env, sentence] of [
    [
      "another key",
      { SUPABASE_SECRET_KEY: "sb_secret_other" },
      /does not accept SUPABASE_SECRET_KEY/,
    ],
    ["no server", { SUPABASE_URL: "http://127.0.0.1:9" }, /Cannot reach the database/],
    ["a malformed URL", { SUPABASE_URL: "example" }, /SUPABASE_URL is not a URL/],
  ] as const
) {
  stackTest(`${what} is a sentence, and exit code 1`, async (stack) => {
    const { code, out, err } = await status(stack, [], env);

    assertEquals([code, out, err.trim().split("\n").length], [1, "", 1]);
    assertMatch(err, sentence);
  });
}
