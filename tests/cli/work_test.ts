import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { aClerkUser, anEvent } from "../../cli/clerk_events.ts";
import { writeEnvFile } from "../../local/env_file.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";

const WORK = fileURLToPath(new URL("../../cli/work.ts", import.meta.url));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function work(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", WORK, ...args],
    env: { ...env, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Runs something while an env file tells where the stack is. */
async function withEnvFile<Result>(
  { services }: TestStack,
  use: (file: string) => Promise<Result>,
): Promise<Result> {
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
    return await use(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function workOn(
  stack: TestStack,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Run> {
  return withEnvFile(stack, (file) => work([...args, "--env-file", file], env));
}

async function signUp(stack: TestStack, people: number): Promise<void> {
  for (let number = 0; number < people; number++) {
    await stack.send(anEvent("user.created", aClerkUser()));
  }
}

stackTest(
  "--status shows what waits, --once drains it, --redrive revives the dead",
  async (stack) => {
    await signUp(stack, 3);

    const before = await workOn(stack, ["--status"]);
    const once = await workOn(stack, ["--once"]);
    const after = await workOn(stack, ["--status"]);
    await stack.database
      .sql`select pgmq.send('clerk_changes_dead', '{"topic": "profile.updated"}')`;
    const redrive = await workOn(stack, ["--redrive"]);

    assertMatch(before.out, /waiting +3 +in flight +0 .* dead 0\n$/);
    assertMatch(once.out, /\n3 done, 0 to be tried again, 0 dead\n$/);
    assertMatch(after.out, /waiting +0 +in flight +0 +oldest +– +dead 0\n$/);
    assertEquals([redrive.code, redrive.out], [0, "1 dead letters are back on the queue\n"]);
  },
);

stackTest("--status --watch shows the depth go up and back to zero", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const watch = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", WORK, "--status", "--watch", "--env-file", file],
      env: { NO_COLOR: "1" },
      stdout: "piped",
    }).spawn();
    const depths: number[] = [];
    const reading = (async () => {
      for await (const text of watch.stdout.pipeThrough(new TextDecoderStream())) {
        for (const [, depth] of text.matchAll(/waiting +(\d+)/g)) depths.push(Number(depth));
      }
    })();

    await until("an empty queue is shown", () => depths.at(-1) === 0);
    await signUp(stack, 5);
    await until("the depth has gone up", () => depths.at(-1) === 5);
    await work(["--once", "--env-file", file]);
    await until("it is back to zero", () => depths.at(-1) === 0);

    watch.kill();
    await watch.status;
    await reading;
  });
});

const MISUSES: [string, readonly string[], RegExp][] = [
  ["an unknown flag", ["--frobnicate"], /--frobnicate/],
  ["two things at once", ["--once", "--redrive"], /choose one of them/],
  ["a watch of nothing", ["--watch"], /without --status/],
];

for (const [what, args, sentence] of MISUSES) {
  Deno.test(`work refuses ${what} in one sentence`, async () => {
    const run = await work(args);

    assertEquals([run.code, run.out], [2, ""]);
    assertMatch(run.err, sentence);
    assertEquals(run.err.trim().split("\n").length, 1);
  });
}

stackTest("work says in one sentence that a handler is half configured", async (stack) => {
  const run = await workOn(stack, ["--once"], { FORWARD_URLS: "https://example.com" });

  assertEquals(run.code, 1);
  assertMatch(run.err, /^Cannot start as FORWARD_SIGNING_SECRET is not set: [^\n]*\n$/);
});
