import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { writeEnvFile } from "../../local/env_file.ts";
import { aSigningSecret } from "../secrets.ts";
import { stackTest, type TestStack } from "../test_stack.ts";

// The command as people call it: a process of its own, told by an env file where the stack is.

const SEND = fileURLToPath(new URL("../../cli/send.ts", import.meta.url));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function send(args: readonly string[]): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", SEND, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Calls the command for a stack. */
async function sendTo({ services }: TestStack, ...args: readonly string[]): Promise<Run> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/env`;
  try {
    await writeEnvFile(file, {
      SUPABASE_URL: services.apiUrl,
      SUPABASE_PUBLISHABLE_KEY: services.keys.publishable,
      SUPABASE_SECRET_KEY: services.keys.secret,
      CLERK_WEBHOOK_URL: services.webhookUrl,
      CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
      DATABASE_URL: services.databaseUrl,
    }, services.keys.tokenKey);
    return await send([...args, "--env-file", file]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

stackTest("send prints the outcome and the row, as the person reads it", async (stack) => {
  const run = await sendTo(
    stack,
    "user.created",
    "--user",
    "user_ada",
    "--set",
    "first_name=Grace",
  );

  assertEquals([run.code, run.err], [0, ""]);
  assertMatch(run.out, /^applied +200 +\d+ ms +msg_\w{27}\n/);
  assertMatch(run.out, /\n {2}id +user_ada\n/);
  assertMatch(run.out, /\n {2}first_name +Grace\n/);
});

stackTest("--set reaches into objects, and takes JSON where it can", async (stack) => {
  const run = await sendTo(
    stack,
    ...["user.created", "--user", "user_ada", "--set", "public_metadata.plan.seats=5"],
    ...["--set", "username=null", "--set", "last_name=O=B"],
  );

  assertMatch(run.out, /public_metadata +\{"plan":\{"seats":5\}\}/);
  assertMatch(run.out, /\n {2}last_name +O=B\n/);
  assertMatch(run.out, /\n {2}username +–\n/);
});

stackTest("a deleted person reads nothing, and send says so", async (stack) => {
  await sendTo(stack, "user.created", "--user", "user_ada");

  const run = await sendTo(stack, "user.deleted", "--user", "user_ada");

  assertMatch(run.out, /user_ada reads no profile: there is none, or it was deleted\./);
});

stackTest(
  "--count, --repeat and --shuffle deliver each message so often, and sum up",
  async (stack) => {
    const run = await sendTo(
      stack,
      ...["user.created", "--count", "20", "--repeat", "3", "--shuffle", "--concurrency", "6"],
    );

    assertEquals(run.code, 0);
    assertMatch(run.out, /^duplicate +40 .*\napplied +20 .*\n60 deliveries: p50 \d+ ms/);
    const [row] = await stack.database.sql`
    select count(*)::int as messages, sum(deliveries)::int as deliveries from clerk_sync.inbox
  `;
    assertEquals({ ...row }, { messages: 20, deliveries: 60 });
  },
);

stackTest("many versions of one person end in the newest, shuffled or not", async (stack) => {
  await sendTo(stack, "user.updated", "--user", "user_ada", "--count", "12", "--shuffle");

  const [row] = await stack.database.sql`
    select updated_at = (
      select max(to_timestamp((payload #>> '{data,updated_at}')::bigint / 1000.0))
      from clerk_sync.inbox
    ) as newest
    from public.profiles
  `;
  assertEquals(row?.newest, true);
});

stackTest("--file sends a body byte for byte, and --set changes it", async (stack) => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const event = anEvent("user.created", aClerkUser({ id: "user_ada", first_name: "Ada" }));
  await Deno.writeTextFile(file, JSON.stringify(event, null, 3));

  const plain = await sendTo(stack, "--file", file, "--set", "first_name=Grace");
  await Deno.writeTextFile(file, "{oops");
  const broken = await sendTo(stack, "--file", file);
  await Deno.remove(file);

  assertMatch(plain.out, /^applied [^]*\n {2}first_name +Grace\n/);
  assertMatch(broken.out, /^unreadable +422/);
  assertEquals(broken.code, 1);
  const [row] = await stack.database.sql`
    select payload from clerk_sync.inbox where outcome = 'unreadable'
  `;
  assertEquals(row?.payload, { raw: "{oops" });
});

stackTest("--url and --secret need no stack of ours, and no row is shown", async (stack) => {
  const { webhookUrl, signingSecret } = stack.services;
  const elsewhere = ["user.created", "--url", webhookUrl, "--env-file", "/nowhere"];

  const right = await send([...elsewhere, "--secret", signingSecret]);
  const wrong = await send([...elsewhere, "--secret", aSigningSecret()]);

  assertMatch(right.out, /^applied +200 [^\n]*\n$/);
  assertMatch(wrong.out, /^bad_signature +401/);
  assertEquals([right.code, wrong.code], [0, 1]);
});

stackTest("a membership can be made up, updated and deleted under the same id", async (stack) => {
  const member = ["--user", "user_ada", "--org", "org_one"];
  await sendTo(stack, "organization.created", "--org", "org_one");

  const joined = await sendTo(
    stack,
    "organizationMembership.created",
    ...member,
    "--role",
    "admin",
  );
  const left = await sendTo(stack, "organizationMembership.deleted", ...member);

  assertMatch(joined.out, /Lantern Works +org:admin/);
  assert(!left.out.includes("Lantern Works"));
  const [row] = await stack.database.sql`
    select count(*)::int as rows from public.organization_memberships
  `;
  assertEquals(row?.rows, 0);
});

const MISUSES: [string, readonly string[], RegExp][] = [
  ["no type", [], /no event type is given/],
  ["a type that cannot be made up", ["planet.discovered"], /Cannot make up/],
  ["two types", ["user.created", "user.updated"], /besides/],
  ["an unknown flag", ["user.created", "--frobnicate"], /--frobnicate/],
  ["a user id that is none", ["user.created", "--user", "ada"], /no Clerk id/],
  ["an organization id that is none", ["user.created", "--org", "acme"], /no Clerk id/],
  ["a count that is no number", ["user.created", "--count", "many"], /--count many/],
  ["a repeat of nothing", ["user.created", "--repeat", "0"], /--repeat 0/],
  ["a file that is not there", ["--file", "/nowhere/body.json"], /Cannot read --file/],
  ["an assignment without a path", ["user.created", "--set", "=x"], /path=value/],
];

for (const [what, args, sentence] of MISUSES) {
  Deno.test(`send refuses ${what} in one sentence`, async () => {
    const run = await send([...args, "--url", "http://127.0.0.1:9/", "--secret", aSigningSecret()]);

    assertEquals([run.code, run.out], [2, ""]);
    assertMatch(run.err, sentence);
    assertEquals(run.err.trim().split("\n").length, 1);
  });
}

Deno.test("send says in one sentence when there is no stack", async () => {
  const run = await send(["user.created", "--env-file", "/nowhere/env"]);

  assertEquals([run.code, run.out], [1, ""]);
  assertMatch(run.err, /^Cannot find a running stack as \/nowhere\/env does not exist: [^\n]*\n$/);
});

Deno.test("send says that nobody answers, and fails", async () => {
  const run = await send([
    ...["user.created", "--url", "http://127.0.0.1:9/", "--secret", aSigningSecret()],
  ]);

  assertEquals(run.code, 1);
  assertMatch(run.out, /^no_answer +0 /);
});

stackTest("the -- that npx needs may stand before or after the type", async (stack) => {
  const before = await sendTo(stack, "--", "user.created");
  const after = await sendTo(stack, "user.created", "--");

  assertEquals([before.code, after.code], [0, 0], before.err + after.err);
});
