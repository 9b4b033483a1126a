import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { tableOf } from "../../cli/run_over_clerk.ts";
import { State } from "../../functions/clerk-worker/reconcile/state.ts";
import { clerkError } from "../clerk_api/clerk_api.ts";
import {
  disturb,
  DISTURBANCES,
  heldAndExpected,
  type RunTest,
  runTest,
} from "../functions/clerk-worker/reconcile/a_run.ts";
import { random } from "../random.ts";
import { onTerminal } from "./terminal.ts";

// The commands backfill and reconcile, as processes.

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(
  command: "backfill" | "reconcile",
  env: Record<string, string>,
  ...args: string[]
): { readonly child: Deno.ChildProcess; readonly ended: Promise<Result> } {
  return spawn(Deno.execPath(), argsOf(command, args), env);
}

function argsOf(command: string, args: readonly string[]): string[] {
  return ["run", "-A", `cli/${command}.ts`, "--env", "/dev/null", ...args];
}

function spawn(
  program: string,
  args: string[],
  env: Record<string, string>,
): ReturnType<typeof start> {
  const child = new Deno.Command(program, {
    args,
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  const ended = child.output().then(({ code, stdout, stderr }) => ({
    code,
    out: decoder.decode(stdout),
    err: decoder.decode(stderr),
  }));
  return { child, ended };
}

function environmentOf({ clerk, services }: RunTest): Record<string, string> {
  return {
    CLERK_SECRET_KEY: clerk.secretKey,
    CLERK_API_URL: clerk.url,
    SUPABASE_URL: services.apiUrl,
    SUPABASE_SECRET_KEY: services.keys.secret,
  };
}

/** Ends a process when it asks the API for a page, which it does not get, and waits for its end. */
async function killAt(
  { clerk }: RunTest,
  path: string,
  signal: Deno.Signal,
  { child, ended }: ReturnType<typeof start>,
): Promise<Result> {
  const { onRequest } = clerk;
  let isDone = false;
  clerk.onRequest = async (url) => {
    if (!isDone && `${url.pathname}${url.search}`.includes(path)) {
      isDone = true;
      child.kill(signal);
      // An answer could arrive before the process notices the signal.
      await ended;
    }
    return onRequest(url);
  };
  const result = await ended;
  assert(isDone);
  clerk.onRequest = onRequest;
  return result;
}

runTest(
  "backfill in bad weather, killed half-way and started again, ends complete and equal",
  { users: 20_000, organizations: 2_000, memberships: 40_000, invitations: 50 },
  async (test) => {
    const { database, clerk, instance } = test;
    const env = environmentOf(test);
    disturb(test, random(5));

    const killed = await killAt(
      test,
      "memberships?order_by=%2Bcreated_at&limit=500&offset=9500",
      "SIGKILL",
      start("backfill", env),
    );
    const tooSoon = await start("backfill", env).ended;
    await database.admin`update clerk_sync.runs set leased_until = now()`;
    clerk.asked.length = 0;
    const second = await start("backfill", env).ended;

    assertEquals([killed.code, tooSoon.code], [137, 1]);
    assertMatch(
      tooSoon.err,
      /^Cannot start as a backfill is running: wait until it is done, or if its process was killed, try again in \d+ s\n$/,
    );
    assertEquals(second.code, 0, second.err);
    assert(!clerk.asked.some((path) => path.startsWith("/v1/users?")));
    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals(Object.keys(clerk.disturbances).toSorted(), DISTURBANCES);
  },
);

runTest(
  "Ctrl-C stops backfill after the page at hand, says how to go on, and frees the run",
  { users: 1_600 },
  async (test) => {
    const env = environmentOf(test);

    const stopped = await killAt(test, "starting_after", "SIGINT", start("backfill", env));
    const second = await start("backfill", env).ended;

    assertEquals([stopped.code, stopped.out.includes("Done.")], [1, false]);
    assertMatch(second.out, /\n\nDone\. Next:\n {2}\S.* doctor --env \/dev\/null\n$/);
    assertMatch(
      stopped.err,
      /^Stopped\. Go on with `\S*(?:npx -y )?deno\S* task backfill --env \/dev\/null`\n$/m,
    );
    assertEquals(second.code, 0, second.err);
    assertMatch(second.out, /^missing +1600 /m);
  },
);

runTest(
  "a terminal shows a bar with the rate and the time left, and what is waited for",
  { users: 1_600 },
  async (test) => {
    let isLimited = false;
    test.clerk.onRequest = async ({ pathname }) => {
      if (pathname !== "/v1/users") return;
      // Slow enough that every page is shown.
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (isLimited) return;
      isLimited = true;
      return new Response("{}", { status: 429, headers: { "retry-after": "1" } });
    };

    const shown = await spawn(
      ...onTerminal(Deno.execPath(), argsOf("backfill", [])),
      environmentOf(test),
    ).ended;

    const lines = shown.out.replaceAll("\r\x1b[2K", "\n").split(/\r?\n/);
    const bar = lines.find((line) => line.includes("user 1000/1600")) ?? "";
    assertMatch(bar, /^█{15}░{9} {2}user 1000\/1600 {2}\d+\/s {2}\d+ s left$/);
    assert(lines.includes("waiting 1 s, as it limits the rate of requests"), shown.out);
    // The table begins on a line of its own.
    assert(lines.some((line) => /^ +user +organization /.test(line)), shown.out);
    assertEquals(shown.code, 0);
  },
);

Deno.test("the table of seven-digit counts fits into 80 columns", () => {
  const counts = ["listed", "missing", "outdated", "unchanged", "stale", "gone", "unreadable"];
  const most = Object.fromEntries(
    [...counts, "refused", "surplus", "kept", "deleted"].map((count) => [count, 9_999_999]),
  );
  const kinds = ["user", "organization", "permission", "role", "membership", "invitation"];
  const { tallies } = State.parse({
    tallies: Object.fromEntries(kinds.map((kind) => [kind, most])),
  });

  const lines = tableOf(tallies);

  assertEquals(lines.map((line) => line.split(/ +/)[0]), ["", ...Object.keys(most)]);
  assertEquals(
    lines[7],
    `unreadable  9999999       9999999     9999999  9999999     9999999     9999999`,
  );
  assert(lines.every((line) => line.length <= 80), lines[0]);
});

runTest(
  "backfill shows a table, and lists the ids with --dry-run only",
  { users: 3, organizations: 1, memberships: 2 },
  async (test) => {
    const env = environmentOf(test);

    const dry = await start("backfill", env, "--dry-run").ended;
    const real = await start("backfill", env, "--quiet").ended;

    assertEquals([dry.code, real.code, dry.err, real.err], [0, 0, "", ""]);
    assertMatch(dry.out, /^missing +user +user_\w{27}$/m);
    assertMatch(dry.out, /\nDry run: nothing was written\n$/);
    assertMatch(
      real.out,
      /^ +user +organization +permission +role +membership +invitation\nlisted +3 +1 .*\nmissing +3 +1 .*\noutdated +0 .*\nunchanged +0 .*\n\nDone\. Next:\n {2}\S.* doctor --env \S+\n$/,
    );
  },
);

runTest(
  "reconcile --dry-run reports the drift with ids and exit code 3, and --json as JSON",
  { users: 30 },
  async (test) => {
    const env = environmentOf(test);
    await test.run("backfill");
    const lost = test.instance.user.pop()?.id ?? "";
    const [ada] = test.instance.user;
    Object.assign(ada ?? {}, { first_name: "Changed", updated_at: Date.now() });

    const dry = await start("reconcile", env, "--dry-run", "--json").ended;
    const real = await start("reconcile", env).ended;
    const after = await start("reconcile", env, "--dry-run").ended;

    const lines = dry.out.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.slice(0, -1), [
      { drift: "outdated", kind: "user", id: ada?.id },
      { drift: "surplus", kind: "user", id: lost },
    ]);
    const { summary } = lines.at(-1);
    assertEquals([summary.dry_run, summary.is_finished, summary.tallies.user.surplus], [
      true,
      true,
      1,
    ]);
    assertEquals([dry.code, real.code, after.code], [3, 0, 0], real.err);
    assertMatch(real.out, new RegExp(`^surplus +user +${lost}$`, "m"));
    assertMatch(real.out, /\nunchanged +28 .*\nsurplus +1 .*\ndeleted +1 .*\n$/);
  },
);

runTest("reconcile that may not delete says why, with exit code 3", { users: 30 }, async (test) => {
  const env = environmentOf(test);
  await test.run("backfill");
  test.instance.user.splice(0, 2);

  const refused = await start("reconcile", env).ended;
  const allowed = await start("reconcile", env, "--max-deletes", "2").ended;

  assertEquals([refused.code, allowed.code], [3, 0]);
  assertMatch(refused.out, /\nNothing is deleted as 2 of 30 .* allow it with --max-deletes 2\n$/);
});

runTest(
  "a reconcile that was stopped does not go on with a --max-deletes that is not given again",
  { users: 30 },
  async (test) => {
    const env = environmentOf(test);
    await test.run("backfill");
    const [lost] = test.instance.user.splice(0, 2);
    const first = start("reconcile", env, "--max-deletes", "2");
    await killAt(test, `/v1/users/${lost?.id}`, "SIGINT", first);

    const without = await start("reconcile", env).ended;
    const [between] = await test.database.sql`
      select count(*)::int as deleted from public.profiles where deleted_at is not null
    `;
    const again = await start("reconcile", env, "--max-deletes", "2").ended;

    assertEquals([without.code, between?.deleted, again.code], [1, 0, 0]);
    assertMatch(without.err, /^Cannot go on with run \d+ as it began with other options .*\n$/);
    assertMatch(again.out, /^deleted +2 /m);
  },
);

runTest(
  "every mistake in the settings is said in one sentence, with exit code 1",
  { users: 1 },
  async (test) => {
    const env = environmentOf(test);
    const { CLERK_SECRET_KEY: _, ...withoutKey } = env;
    const unreachable = "http://127.0.0.1:1";
    await using empty = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => Response.json({ code: "PGRST202", message: "No such function" }, { status: 404 }),
    );

    for (
      const [settings, sentence] of [
        [
          withoutKey,
          /^Cannot start as CLERK_SECRET_KEY is not set: copy it .* in the Clerk dashboard into the environment, or into the file of --env\n$/,
        ],
        [
          { ...env, CLERK_SECRET_KEY: "pk_test_a" },
          /^Cannot read Clerk's API as CLERK_SECRET_KEY is a publishable key: copy the secret one .*\n$/,
        ],
        [
          { ...env, CLERK_SECRET_KEY: "sk_live_wrong" },
          /^Cannot read .* does not accept CLERK_SECRET_KEY: .*\n$/,
        ],
        [
          { ...env, CLERK_API_URL: "clerk.com" },
          /^Cannot start as CLERK_API_URL is not a URL .*\n$/,
        ],
        [
          { ...env, SUPABASE_URL: unreachable },
          /^Cannot reach the database \(no_answer\): check SUPABASE_URL .*\n$/,
        ],
        [
          { ...env, SUPABASE_SECRET_KEY: "sb_secret_wrong" },
          /^Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY .*\n$/,
        ],
        [
          { ...env, SUPABASE_URL: `http://127.0.0.1:${empty.addr.port}` },
          /^Cannot start as the database lacks .*: apply the migrations\n$/,
        ],
      ] as const
    ) {
      const { code, out, err } = await start("backfill", settings).ended;

      assertEquals([code, out], [1, ""], err);
      assertMatch(err, sentence);
    }
  },
);

runTest("an unfinished dry run is not taken for a real one", { users: 1_200 }, async (test) => {
  const env = environmentOf(test);
  const dry = start("backfill", env, "--dry-run", "--restart");
  const stopped = await killAt(test, "starting_after", "SIGINT", dry);

  const real = await start("backfill", env).ended;
  const restarted = await start("backfill", env, "--restart").ended;

  assertEquals([real.code, restarted.code], [1, 0]);
  assertMatch(
    stopped.err,
    /^Stopped\. Go on with `.* task backfill --env \/dev\/null --dry-run`\n$/m,
  );
  assertMatch(
    real.err,
    /^Cannot go on with run \d+ as it began with other options .*--restart`\n$/,
  );
});

runTest("a key of another instance is refused", { users: 1 }, async (test) => {
  await test.run("backfill");
  test.instance.id = "ins_other";

  const { code, err } = await start("reconcile", environmentOf(test)).ended;

  assertEquals(code, 1);
  assertMatch(
    err,
    /^Cannot start as CLERK_SECRET_KEY belongs to Clerk instance ins_other, and the database to ins_\w+: /,
  );
});

runTest("a list that Clerk refuses ends the command in one sentence, and it can go on", {
  users: 1,
}, async (test) => {
  test.clerk.onRequest = ({ pathname }) =>
    pathname === "/v1/organization_roles" ? clerkError(403, "forbidden") : undefined;

  const { code, err } = await start("backfill", environmentOf(test)).ended;

  assertEquals(code, 1);
  assertMatch(
    err,
    /^Cannot list objects of kind role as Clerk answers 403 forbidden\. Go on with `.*`\n$/,
  );
});

for (
  const [command, args, sentence] of [
    [
      "backfill",
      ["--max-deletes", "3"],
      "Cannot use --max-deletes with backfill: it deletes nothing",
    ],
    [
      "reconcile",
      ["--max-deletes", "0"],
      "Cannot use --max-deletes 0: it must be a whole number of at least 1",
    ],
    [
      "reconcile",
      ["--max-deletes", "-5"],
      "Option '--max-deletes' argument is ambiguous. See --help",
    ],
    ["reconcile", ["--nope"], "Unknown option '--nope'. See --help"],
  ] as const
) {
  Deno.test(`${command} ${args.join(" ")} is refused in one sentence, with exit code 2`, async () => {
    assertEquals(await start(command, {}, ...args).ended, {
      code: 2,
      out: "",
      err: `${sentence}\n`,
    });
  });
}
