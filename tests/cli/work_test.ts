import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { startReceiver } from "../functions/clerk-worker/handlers/receiver.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";
import { withEnvFile } from "./with_env_file.ts";

const WORK = fileURLToPath(new URL("../../cli/work.ts", import.meta.url));

/** How long a command may take to start, or to notice something, ms. */
const PATIENCE = 60_000;

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

function workOn(
  stack: TestStack,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Run> {
  return withEnvFile(stack, (file) => work([...args, "--env", file], env));
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
    assertMatch(once.out, /\n3 done, 0 to retry, 0 dead\n$/);
    assertMatch(after.out, /waiting +0 +in flight +0 +retrying +0 +oldest +– +dead 0\n$/);
    assertEquals([redrive.code, redrive.out], [0, "1 dead letter is back on the queue\n"]);
  },
);

stackTest("--status shows changes that wait for another try, and why", async (stack) => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret, () => new Response("no", { status: 503 }));
  await signUp(stack, 2);

  const once = await workOn(stack, ["--once"], {
    FORWARD_URLS: receiver.url.href,
    FORWARD_SIGNING_SECRET: secret,
  });
  // So that they still wait, however long the next command takes to start.
  await stack.database.sql`update pgmq.q_clerk_changes set vt = vt + interval '1 hour'`;
  const status = await workOn(stack, ["--status"]);

  assertMatch(once.out, /^forward is on\nwelcome_email is off: [^\n]+\n/);
  assertMatch(
    once.out,
    / retry +profile.created +user_\w+ +forward: http_503 +attempt 1 +\d+ ms\n/,
  );
  assertMatch(
    status.out,
    /waiting +0 +in flight +0 +retrying +2 .* dead 0\n {2}forward: http_503 × 2\n$/,
  );
});

stackTest("--status says why dead letters are dead, to whoever may list them", async (stack) => {
  await stack.database.sql`
    select pgmq.send('clerk_changes_dead', jsonb_build_object('topic', 'profile.updated', 'error_class', class))
    from unnest(array['no_answer', 'http_500', 'no_answer']) as class
  `;

  const status = await workOn(stack, ["--status"]);
  const ofWorker = await work(["--status", "--env", "/dev/null"], {
    SUPABASE_URL: stack.services.apiUrl,
    SUPABASE_SECRET_KEY: stack.services.keys.clerkWorker,
  });

  assertMatch(status.out, / dead 3\n {2}dead: no_answer × 2\n {2}dead: http_500 × 1\n$/);
  assertMatch(ofWorker.out + ofWorker.err, / dead 3\n$/);
});

stackTest("--redrive puts 100,000 dead letters back, in batches", async (stack) => {
  await stack.database.sql`
    insert into pgmq.q_clerk_changes_dead (vt, message)
    select now(), jsonb_build_object('topic', 'profile.updated', 'id', 'user_' || n, 'changed', '[]'::jsonb)
    from generate_series(1, 100000) as n
  `;

  const redrive = await workOn(stack, ["--redrive"]);

  const [left] = await stack.database.sql`
    select
      (select count(*)::int from pgmq.q_clerk_changes) as waiting,
      (select count(*)::int from pgmq.q_clerk_changes_dead) as dead
  `;
  assertEquals([redrive.code, redrive.out], [0, "100000 dead letters are back on the queue\n"]);
  assertEquals({ ...left }, { waiting: 100_000, dead: 0 });
});

stackTest("--status --watch shows the depth go up and back to zero", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const watch = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", WORK, "--status", "--watch", "--env", file],
      env: { NO_COLOR: "1" },
      stdout: "piped",
    }).spawn();
    const depths: number[] = [];
    const reading = (async () => {
      for await (const text of watch.stdout.pipeThrough(new TextDecoderStream())) {
        for (const [, depth] of text.matchAll(/waiting +(\d+)/g)) depths.push(Number(depth));
      }
    })();

    await until("an empty queue is shown", () => depths.at(-1) === 0, PATIENCE);
    await signUp(stack, 5);
    await until("the depth has gone up", () => depths.at(-1) === 5, PATIENCE);
    await work(["--once", "--env", file]);
    await until("it is back to zero", () => depths.at(-1) === 0, PATIENCE);

    watch.kill();
    await watch.status;
    await reading;
  });
});

stackTest("--status --watch survives a restart of the stack", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const services = { url: stack.services.apiUrl, key: stack.services.keys.secret };
    const answer = (): Response => Response.json({}, { status: 503 });
    const api = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
    const running = await Deno.readTextFile(file);
    // The first stack is about to end; the second has another port and other keys.
    await Deno.writeTextFile(
      file,
      running.replaceAll(services.url, `http://${api.addr.hostname}:${api.addr.port}`),
    );
    const { child, text, ended } = startWork(file, {}, ["--status", "--watch"]);

    await until("it notices", () => text().includes("Cannot reach the queue"), PATIENCE);
    await api.shutdown();
    await Deno.remove(file);
    await until(
      "it notices again",
      () => (text().match(/Cannot reach/g) ?? []).length >= 3,
      PATIENCE,
    );
    await Deno.writeTextFile(file, running);
    await until("it shows the second stack", () => /waiting +0/.test(text()), PATIENCE);

    child.kill("SIGTERM");
    await ended;
    assertMatch(text(), /Cannot reach the queue as the database answers \w+; trying again\n/);
  });
});

/** `work` without an end, and the lines that it has written. */
function startWork(
  file: string,
  env: Record<string, string>,
  args: readonly string[] = [],
): { readonly child: Deno.ChildProcess; text(): string; readonly ended: Promise<number> } {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", WORK, ...args, "--env", file],
    env: { ...env, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) text += part;
  });
  const ended = Promise.all([child.status, ...reading]).then(([{ code }]) => code);
  return { child, text: () => text, ended };
}

stackTest("work that is told to stop finishes what it holds, and takes no more", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const secret = aSigningSecret();
    const answer = Promise.withResolvers<Response>();
    await using receiver = startReceiver(secret, () => answer.promise);
    const { child, text, ended } = startWork(file, {
      FORWARD_URLS: receiver.url.href,
      FORWARD_SIGNING_SECRET: secret,
    });

    await signUp(stack, 1);
    await until("it holds a change", () => receiver.received.length === 1, PATIENCE);
    child.kill("SIGTERM");
    // It says nothing when it hears of it.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await signUp(stack, 1);
    answer.resolve(new Response());
    const code = await ended;

    const [row] = await stack.database.sql`
      select
        (select count(*)::int from pgmq.a_clerk_changes) as archived,
        (select count(*)::int from pgmq.q_clerk_changes) as waiting
    `;
    assertEquals([code, { ...row }], [0, { archived: 1, waiting: 1 }]);
    assertMatch(text(), /Stopped; no change is in flight\n$/);
  });
});

function terminate(pid: number): void {
  try {
    Deno.kill(pid, "SIGTERM");
  } catch (error) {
    // It has ended since.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

stackTest("a second signal ends work at once", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const secret = aSigningSecret();
    const answer = Promise.withResolvers<Response>();
    await using receiver = startReceiver(secret, () => answer.promise);
    const { child, ended } = startWork(file, {
      FORWARD_URLS: receiver.url.href,
      FORWARD_SIGNING_SECRET: secret,
    });
    let code: number | undefined;
    ended.then((its) => code = its);
    await signUp(stack, 1);
    await until("it holds a change", () => receiver.received.length === 1, PATIENCE);

    try {
      // A second signal that comes too soon may coincide with the first.
      await until("it ended", () => {
        if (code === undefined) terminate(child.pid);
        return code !== undefined;
      }, PATIENCE);

      assertEquals(code, 143);
    } finally {
      answer.resolve(new Response());
      await ended;
    }
  });
});

stackTest(
  "work goes on after an outage of the database, and says so in a sentence",
  async (stack) => {
    let isAway = false;
    await using api = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        if (isAway) return new Response("away", { status: 503 });
        const { pathname, search } = new URL(request.url);
        return await fetch(`${stack.services.apiUrl}${pathname}${search}`, {
          method: request.method,
          headers: {
            apikey: request.headers.get("apikey") ?? "",
            "content-type": "application/json",
          },
          body: await request.text(),
        });
      },
    );
    await withEnvFile(stack, async (file) => {
      const { child, text, ended } = startWork(file, {
        SUPABASE_URL: `http://127.0.0.1:${api.addr.port}`,
      });
      await until("it has begun", () => text().includes("welcome_email is off"), PATIENCE);
      await signUp(stack, 1);
      const isDone = async (): Promise<boolean> =>
        (await stack.database.sql`
      select from pgmq.q_clerk_changes`).length === 0;
      await until("it works", isDone, PATIENCE);

      isAway = true;
      await until("it notices", () => text().includes("Cannot reach the queue"), PATIENCE);
      isAway = false;
      await signUp(stack, 1);
      await until("it works again", isDone, PATIENCE);
      child.kill("SIGTERM");

      assertEquals(await ended, 0);
      assertMatch(text(), /\nCannot reach the queue as the database answers \w+; trying again\n/);
    });
  },
);

stackTest(
  "work needs nothing but a project's URL and a key, which may be the worker's own",
  async (stack) => {
    await signUp(stack, 2);

    const run = await work(["--once", "--env", "/dev/null"], {
      SUPABASE_URL: stack.services.apiUrl,
      SUPABASE_SECRET_KEY: stack.services.keys.clerkWorker,
    });

    assertEquals([run.code, run.err], [0, ""]);
    assertMatch(run.out, /\n2 done, 0 to retry, 0 dead\n$/);
  },
);

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
