import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { withEnvFile } from "./with_env_file.ts";

// The command as people call it: a process of its own, told by an env file where the stack is.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function send(args: readonly string[]): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}cli/send.ts`, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Calls the command for a stack. */
function sendTo(stack: TestStack, ...args: readonly string[]): Promise<Run> {
  return withEnvFile(stack, (file) => send([...args, "--env", file]));
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

stackTest("with --url and --secret, send needs no local stack and shows no row", async (stack) => {
  const { webhookUrl, signingSecret } = stack.services;
  const elsewhere = ["user.created", "--url", webhookUrl, "--env", "/nowhere"];

  const right = await send([...elsewhere, "--secret", signingSecret]);
  const wrong = await send([...elsewhere, "--secret", aSigningSecret()]);

  assertMatch(right.out, /^applied +200 [^\n]*\n$/);
  assertMatch(wrong.out, /^bad_signature +401/);
  assertEquals([right.code, wrong.code], [0, 1]);
});

stackTest("a generated membership keeps its id, so that it can be deleted", async (stack) => {
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
  ["no type", [], /without an event type/],
  [
    "a type that it cannot generate",
    ["planet.discovered"],
    /Cannot generate an event of type planet\.discovered/,
  ],
  ["an event that Clerk does not have", ["user.create"], /user\.created, user\.updated/],
  ["two types", ["user.created", "user.updated"], /give one event type/],
  ["an unknown flag", ["user.created", "--frobnicate"], /--frobnicate/],
  ["a malformed user id", ["user.created", "--user", "ada"], /Clerk's ids are/],
  ["a malformed organization id", ["user.created", "--org", "acme"], /Clerk's ids are/],
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
  const run = await send(["user.created", "--env", "/nowhere/env"]);

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

stackTest("--env-file means --env, in both spellings, and -- is skipped", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const runs = await Promise.all([
      send(["user.created", "--env-file", file]),
      send(["user.created", `--env-file=${file}`]),
      send(["user.created", "--", "--env-file", file]),
    ]);

    assertEquals(runs.map(({ code, err }) => [code, err]), [[0, ""], [0, ""], [0, ""]]);
  });
});

stackTest("behind npx, --env needs no --", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const { code, stdout } = await new Deno.Command("npx", {
      args: ["-y", `deno@${Deno.version.deno}`, "task", "send", "user.created", "--env", file],
      cwd: ROOT,
    }).output();

    assertMatch(new TextDecoder().decode(stdout), /^applied +200 /m);
    assertEquals(code, 0);
  });
});
