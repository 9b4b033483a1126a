import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { stackTest, type TestStack } from "../test_stack.ts";

// The command maintain, as a process.

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A line of what is done so far, which there is if it takes more than 10 s. */
const PROGRESS = /^\w+ \d+(?: {2}\d+\/s)?\n/gm;

function start(
  env: Record<string, string>,
  ...args: string[]
): { readonly child: Deno.ChildProcess; readonly ended: Promise<Result> } {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/maintain.ts", "--env", "/dev/null", ...args],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  const ended = child.output().then(({ code, stdout, stderr }) => ({
    code,
    out: decoder.decode(stdout),
    err: decoder.decode(stderr).replaceAll(PROGRESS, ""),
  }));
  return { child, ended };
}

function environmentOf({ services }: TestStack): Record<string, string> {
  return { SUPABASE_URL: services.apiUrl, SUPABASE_SECRET_KEY: services.keys.secret };
}

function maintain(stack: TestStack, ...args: string[]): Promise<Result> {
  return start(environmentOf(stack), ...args).ended;
}

/** Messages past their time: as many to delete as to prune. */
async function fillInbox({ database }: TestStack, each: number): Promise<void> {
  await database.sql`
    insert into clerk_sync.inbox (message_id, outcome, received_at, payload)
    select 'msg_' || n, 'applied', now() - case when n % 2 = 0 then interval '50 days' else '500 days' end, '{}'
    from generate_series(1, ${2 * each}::int) as n
  `;
}

async function inboxOf({ database }: TestStack): Promise<unknown> {
  const [row] = await database.sql`
    select count(*)::int as messages, count(payload)::int as payloads from clerk_sync.inbox
  `;
  return { ...row };
}

const NONE = {
  messages: 0,
  payloads: 0,
  changes: 0,
  runs: 0,
  cron_records: 0,
  profiles: 0,
  organizations: 0,
};

function summaryOf({ out }: Result): Record<string, unknown> {
  return JSON.parse(out.trimEnd().split("\n").at(-1) ?? "").summary;
}

stackTest("a dry run writes nothing, and a real run does what it said", async (stack) => {
  const { sql } = stack.database;
  await fillInbox(stack, 3000);
  await sql.unsafe(`
    insert into public.profiles (id, deleted_at)
    select 'user_' || name, now() - interval '40 days' from unnest('{ada,bob}'::text[]) as name;
    update clerk_sync.settings set purge_after = '30 days';
    create table public.notes (user_id text references public.profiles on delete cascade);
    create table public.orders (user_id text references public.profiles on delete restrict);
    insert into public.notes values ('user_ada');
    insert into public.orders values ('user_bob');
  `).simple();
  const held = async (): Promise<unknown> => [
    await inboxOf(stack),
    ...(await sql`select id from public.profiles`).map(({ id }) => id),
    (await sql`select from public.notes`).length,
  ];

  const dry = await maintain(stack, "--dry-run", "--json");
  const afterDry = await held();
  const real = await maintain(stack, "--json");
  const afterReal = await held();

  assertEquals(dry.out, real.out.replace('"dry_run":false', '"dry_run":true'));
  assertEquals([dry.code, real.code], [3, 3]);
  assertEquals(afterDry, [{ messages: 6000, payloads: 6000 }, "user_ada", "user_bob", 1]);
  assertEquals(afterReal, [{ messages: 3000, payloads: 0 }, "user_bob", 0]);
  assertEquals(real.out.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    { purged: { part: "profiles", id: "user_ada" } },
    { refused: { part: "profiles", id: "user_bob", sqlstate: "23503" } },
    {
      summary: {
        dry_run: false,
        is_finished: true,
        counts: { ...NONE, messages: 3000, payloads: 3000, profiles: 1 },
        refused: 1,
      },
    },
  ]);
});

stackTest("maintain shows what it did in words, with exit code 0", async (stack) => {
  await fillInbox(stack, 1);

  const dry = await maintain(stack, "--dry-run");
  const real = await maintain(stack);
  const again = await maintain(stack);

  assertMatch(
    dry.out,
    /^messages +1\npayloads +1\nchanges +0\n.*\n\nDry run: nothing was written\n$/s,
  );
  assertMatch(real.out, /^messages +1\npayloads +1\nchanges +0\n/);
  assertMatch(again.out, /^messages +0\npayloads +0\nchanges +0\n/);
  assertEquals([dry, real, again].map(({ code, err }) => [code, err]), Array(3).fill([0, ""]));
});

stackTest("two at once share the work, and neither fails", async (stack) => {
  await fillInbox(stack, 20_000);

  const both = await Promise.all([maintain(stack, "--json"), maintain(stack, "--json")]);

  assertEquals(both.map(({ code, err }) => [code, err]), Array(2).fill([0, ""]));
  const counts = both.map((one) => summaryOf(one).counts as typeof NONE);
  assertEquals(counts.reduce((sum, { messages }) => sum + messages, 0), 20_000);
  assertEquals(counts.reduce((sum, { payloads }) => sum + payloads, 0), 20_000);
  assertEquals(await inboxOf(stack), { messages: 20_000, payloads: 0 });
});

/** Sends a signal to maintain while its third batch is on the way. */
async function signalled(stack: TestStack, signal: Deno.Signal): Promise<Result> {
  let requests = 0;
  let interrupt = (): void => {};
  await using api = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      if (++requests === 3) {
        interrupt();
        // An answer could arrive before the process notices the signal.
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
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
  const started = start({
    ...environmentOf(stack),
    SUPABASE_URL: `http://127.0.0.1:${api.addr.port}`,
  }, "--json");
  interrupt = () => started.child.kill(signal);
  return await started.ended;
}

for (const [signal, code] of [["SIGTERM", 1], ["SIGKILL", 137]] as const) {
  stackTest(`after a ${signal} in between, the next run goes on`, async (stack) => {
    await fillInbox(stack, 15_000);

    const stopped = await signalled(stack, signal);
    const [between] = await stack.database.sql`
      select count(*)::int as messages from clerk_sync.inbox
    `;
    const next = await maintain(stack);

    assertEquals(stopped.code, code);
    assertGreater(between?.messages, 15_000);
    assert(between?.messages < 30_000);
    assertEquals(next.code, 0);
    assertEquals(await inboxOf(stack), { messages: 15_000, payloads: 0 });
    if (signal === "SIGKILL") return;
    assertEquals(summaryOf(stopped).is_finished, false);
    assertMatch(stopped.err, /^Stopped\. Go on with `.*task maintain --env \/dev\/null`\n$/);
  });
}

stackTest("maintain says in a sentence why it cannot begin, with exit code 1", async (stack) => {
  const environment = environmentOf(stack);

  const away = await start({ ...environment, SUPABASE_URL: "http://127.0.0.1:1" }).ended;
  const worker = await start({
    ...environment,
    SUPABASE_SECRET_KEY: stack.services.keys.clerkWorker,
  }).ended;
  const noUrl = await start({ ...environment, SUPABASE_URL: "ftp://example.com" }).ended;
  await stack.database.sql`drop function public.maintain_clerk_sync`;
  await stack.services.api.reload();
  const old = await maintain(stack);

  assertEquals([away, worker, noUrl, old].map(({ code }) => code), [1, 1, 1, 1]);
  assertMatch(away.err, /^Cannot reach the database \(no_answer\): check SUPABASE_URL [^\n]*\n$/);
  assertMatch(worker.err, /^Cannot start as SUPABASE_URL does not accept [^\n]*\(42501\)[^\n]*\n$/);
  assertMatch(noUrl.err, /^Cannot start as SUPABASE_URL is not a URL [^\n]*\n$/);
  assertMatch(old.err, /^Cannot start as the database lacks [^\n]*: apply the migrations\n$/);
});

Deno.test("maintain refuses an unknown flag in one sentence, with exit code 2", async () => {
  const { code, out, err } = await start({}, "--frobnicate").ended;

  assertEquals([code, out], [2, ""]);
  assertMatch(err, /^Unknown option '--frobnicate'[^\n]*\n$/);
});
