import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { pageOf } from "../../cli/explanation.ts";
import { plain } from "../../cli/colour.ts";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { withEnvFile } from "./with_env_file.ts";

// The command as people call it: a process of its own, told by an env file where the stack is.

const EXPLAIN = fileURLToPath(new URL("../../cli/explain.ts", import.meta.url));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function explain(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", EXPLAIN, ...args],
    env,
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

function explainOn(stack: TestStack, ...args: readonly string[]): Promise<Run> {
  return withEnvFile(stack, (file) => explain([...args, "--env", file]));
}

const MINUTE = 60_000;

/** A user event that Clerk made so many minutes ago. */
function aUserEvent(minutesAgo: number, overrides: Parameters<typeof aClerkUser>[0]): ReturnType<
  typeof anEvent
> {
  const at = Date.now() - minutesAgo * MINUTE;
  const type = minutesAgo >= 30 ? "user.created" : "user.updated";
  const addresses = [{
    id: "idn_1",
    email_address: "ada@example.com",
    verification: { status: "verified" },
  }];
  return {
    ...anEvent(
      type,
      aClerkUser({
        id: "user_ada",
        email_addresses: addresses,
        primary_email_address_id: "idn_1",
        updated_at: at,
        ...overrides,
      }),
    ),
    timestamp: at,
  };
}

stackTest("explain tells each event's outcome and why, in Clerk's order", async (stack) => {
  await stack.send(aUserEvent(30, { first_name: "Ada" }), { id: "msg_1" });
  await stack.send(aUserEvent(10, { first_name: "Grace" }), { id: "msg_3" });
  await stack.send(aUserEvent(20, { first_name: "Late" }), { id: "msg_2" });
  await stack.send(aUserEvent(20, { first_name: "Late" }), { id: "msg_2" });
  await stack.database.sql`
    alter table public.profiles add constraint no_bo check (first_name <> 'Bo')
  `;
  await stack.send(aUserEvent(5, { first_name: "Bo" }), { id: "msg_4" });
  await stack.send(aUserEvent(-2 * 24 * 60, {}), { id: "msg_5" });
  await stack.send({ ...aUserEvent(3, {}), type: "user.praised" }, { id: "msg_6" });

  const run = await explainOn(stack, "user_ada");

  assertEquals([run.code, run.err], [0, ""]);
  assertMatch(run.out, /^user user_ada\nmsg_3 made the row what it is\.\n/);
  assertMatch(run.out, /\n {2}first_name +Grace\n/);
  assertMatch(
    run.out,
    /\napplied +[\d-]{10} [\d:]{8} {2}user\.created {2}msg_1\n {2}msg_3 replaced it later\.\n/,
  );
  assertMatch(
    run.out,
    /\nstale [^\n]+msg_2\n {2}Older than msg_3, which came first\.\n {2}Delivered 2 times\.\n\n/,
  );
  assertMatch(
    run.out,
    /\napplied [^\n]+msg_3\n {2}It is the newest\.\n[^]*\n {4}first_name: Ada → Grace\n/,
  );
  assertMatch(
    run.out,
    /\n {2}announced {2}profile\.updated \([^)]*first_name[^)]*\): waits for a worker\n/,
  );
  assertMatch(
    run.out,
    /\nfailed [^\n]+msg_4\n {2}A trigger or a constraint refused it: SQLSTATE 23514: [^\n]+"no_bo"\. It can be tried again\.\n/,
  );
  assertMatch(
    run.out,
    /\nunreadable [^\n]+msg_5\n {2}It does not have a shape that this version knows: timestamp: too_far_ahead\. /,
  );
  const places = [1, 2, 3, 4, 5].map((n) => run.out.indexOf(`  msg_${n}\n`));
  assertEquals(places, places.toSorted((one, other) => one - other));
});

stackTest("--json prints what the page shows, and every digit of a number", async (stack) => {
  await stack.send(
    JSON.stringify(aUserEvent(30, {})).replace('"plan":"free"', '"number":9007199254740993'),
    { id: "msg_1" },
  );

  const json = await explainOn(stack, "user_ada", "--json");
  const page = await explainOn(stack, "user_ada");

  const { asked, objects: [object] } = JSON.parse(json.out);
  assertEquals([json.code, json.err, asked], [0, "", "user_ada"]);
  assertEquals([object.kind, object.made_by, object.events[0].outcome], [
    "user",
    "msg_1",
    "applied",
  ]);
  assertStringIncludes(json.out, "9007199254740993");
  assertStringIncludes(page.out, '{"number":9007199254740993}');
});

stackTest("explain never shows a value of private_metadata", async (stack) => {
  await stack.send(aUserEvent(30, { private_metadata: { salary: 4711 } }));

  const json = await explainOn(stack, "user_ada", "--json");
  const page = await explainOn(stack, "user_ada");

  assertEquals(/4711|salary/.test(json.out + page.out), false);
  assertMatch(page.out, /\n {4}private_metadata: changed \(its value is not shown\)\n/);
});

stackTest("an address finds everybody who has it, however it is written", async (stack) => {
  await stack.send(aUserEvent(30, {}));
  await stack.send(aUserEvent(30, { id: "user_bo" }));

  const run = await explainOn(stack, " ADA@example.com ");

  assertEquals(run.code, 0);
  assertMatch(run.out, /^user user_ada\n[^]*\n\n\nuser user_bo\n/);
});

stackTest("explain says in one sentence that nothing is known, with exit code 1", async (stack) => {
  const sentences: Record<string, RegExp> = {
    "user_nobody": /^Nothing is known of "user_nobody": /,
    "nobody@example.com": /^Nobody here has the address "nobody@example\.com": /,
    "role_1": /^Cannot explain "role_1": it is no address, and no id /,
    "'; drop table x; --": /^Cannot explain "'; drop table x; --": /,
    "\x1b[2Juser_x": /^Cannot explain "\\u001b\[2Juser_x": /,
    ["x".repeat(20_000)]: /^Cannot explain "x{100}…": /,
    [`${"x".repeat(20_000)}@example.com`]: /^Nobody here has the address "x{100}…": /,
  };
  await withEnvFile(stack, async (file) => {
    for (const [asked, sentence] of Object.entries(sentences)) {
      const run = await explain([asked, "--env", file]);

      assertEquals([run.code, run.out], [1, ""]);
      assertMatch(run.err, sentence);
      assertEquals(run.err.trim().split("\n").length, 1);
    }
    const json = await explain(["user_nobody", "--json", "--env", file]);
    assertEquals([json.code, JSON.parse(json.out)], [1, { asked: "user_nobody", objects: [] }]);
  });
});

stackTest("after an erasure, explain counts what is left, table by table", async (stack) => {
  await stack.send(aUserEvent(30, { first_name: "Ada" }), { id: "msg_1" });
  await stack.send(anEvent("user.deleted", aDeletedClerkUser("user_ada")), { id: "msg_2" });

  const run = await explainOn(stack, "user_ada");
  const byAddress = await explainOn(stack, "ada@example.com");

  assertMatch(
    run.out,
    /^user user_ada\nDeleted at [\d-]{10} [\d:]{8} UTC by msg_2\. The row is a tombstone: /,
  );
  assertMatch(
    run.out,
    /msg_1\n {2}msg_2 deleted the user later\.\n {2}What it changed is not known\. Its payload was erased with user_ada\.\n/,
  );
  assertMatch(run.out, /\nWhat is left of it\n {5}1 {2}public\.profiles +the id, the time, /);
  assertMatch(
    run.out,
    /\n {5}2 {2}clerk_sync\.inbox +ids, times and outcomes; no payloads\n/,
  );
  assertMatch(run.out, /\n {5}0 {2}public\.organization_memberships\n/);
  assertEquals(/Ada|ada@example/.test(run.out), false);
  assertEquals(byAddress.code, 1);
});

stackTest("a membership that went with its organization says so", async (stack) => {
  await stack.send(anEvent("organization.created", aClerkOrganization({ id: "org_lantern" })));
  await stack.send(aUserEvent(30, {}));
  const membership = aClerkMembership(
    { user: "user_ada", organization: "org_lantern" },
    { id: "orgmem_1" },
  );
  await stack.send(anEvent("organizationMembership.created", membership), { id: "msg_m" });
  await stack.send(
    anEvent("organization.deleted", aDeletedClerkOrganization("org_lantern")),
    { id: "msg_d" },
  );

  const run = await explainOn(stack, "orgmem_1");

  assertMatch(
    run.out,
    /^membership orgmem_1\nThere is no row: it was deleted with org_lantern\.\n/,
  );
  assertMatch(
    run.out,
    /\nAnnounced by other means\n {2}[^\n]+ {2}by msg_d\n {2}announced {2}membership\.deleted: waits for a worker\n/,
  );
});

stackTest("explain works on a project given by the environment alone", async (stack) => {
  await stack.send(aUserEvent(30, {}));
  const project = { SUPABASE_URL: stack.services.apiUrl };

  const run = await explain(["user_ada", "--env", "/dev/null"], {
    ...project,
    SUPABASE_SECRET_KEY: stack.services.keys.secret,
  });
  const refused = await explain(["user_ada", "--env", "/dev/null"], {
    ...project,
    SUPABASE_SECRET_KEY: stack.services.keys.clerkWorker,
  });

  assertEquals(run.code, 0);
  assertEquals([refused.code, refused.out], [1, ""]);
  assertMatch(
    refused.err,
    /^Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY \(42501\): [^\n]+\n$/,
  );
});

Deno.test("explain says in one sentence that it cannot reach the project", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("<html>"),
  );
  const env = { SUPABASE_SECRET_KEY: "x" };

  const away = await explain(["user_a", "--env", "/dev/null"], {
    ...env,
    SUPABASE_URL: "http://127.0.0.1:1",
  });
  const strange = await explain(["user_a", "--env", "/dev/null"], {
    ...env,
    SUPABASE_URL: `http://127.0.0.1:${server.addr.port}`,
  });
  const unset = await explain(["user_a", "--env", "/dev/null"], { SUPABASE_SECRET_KEY: "" });

  assertEquals([away.code, strange.code, unset.code], [1, 1, 1]);
  assertMatch(away.err, /^Cannot reach the database \(no_answer\): [^\n]+\n$/);
  assertMatch(strange.err, /^Cannot reach the database \(strange_answer\): [^\n]+\n$/);
  assertMatch(
    unset.err,
    /^Cannot start as neither SUPABASE_URL nor SUPABASE_SECRET_KEY is set: [^\n]+\n$/,
  );
});

const MISUSES: [string, readonly string[], RegExp][] = [
  ["nothing to explain", [], /^Cannot explain nothing: give one id or one address/],
  ["a blank", [" "], /^Cannot explain nothing: /],
  ["two things", ["user_a", "user_b"], /^Cannot explain 2 things at once: /],
  ["an unknown flag", ["user_a", "--frobnicate"], /--frobnicate/],
];

for (const [what, args, sentence] of MISUSES) {
  Deno.test(`explain refuses ${what} in one sentence`, async () => {
    const run = await explain(args);

    assertEquals([run.code, run.out], [2, ""]);
    assertMatch(run.err, sentence);
    assertEquals(run.err.trim().split("\n").length, 1);
  });
}

const OBJECT: Parameters<typeof pageOf>[0][number] = {
  id: "user_ada",
  kind: "user",
  verdict: "msg_1 made the row what it is.",
  row: { id: "user_ada", first_name: "Ada", public_metadata: {} },
  differs: [],
  events: [],
  more_events: 0,
  announced: [],
  left: null,
};

Deno.test("pageOf() keeps to the width of the terminal", () => {
  const row = { id: "user_ada", note: "one two three ".repeat(20), image_url: "x".repeat(200) };

  const page = pageOf([{ ...OBJECT, row }], 80, plain);

  assert(page.split("\n").every((line) => line.length <= 80));
  assertMatch(page, /\n {13}one two/);
});

Deno.test("pageOf() spells out what could move the cursor or turn the text around", () => {
  const row = { id: "user_ada", first_name: "\x1b[2J\u202eAda\n" };

  const page = pageOf([{ ...OBJECT, row }], 80, plain);

  assertStringIncludes(page, "\\u001b[2J\\u202eAda\\u000a");
  assertEquals(page.includes("\x1b"), false);
});

Deno.test("pageOf() names an edit by hand, and older events that are not shown", () => {
  const differs = [{ column: "first_name", before: "Ada", after: "Grace" }];

  const page = pageOf([{ ...OBJECT, differs, more_events: 1000 }], 80, plain);

  assertStringIncludes(page, "\nChanged since by something else than the sync: first_name.\n");
  assertStringIncludes(page, "\n  1000 or more older ones are not shown");
});

Deno.test("pageOf() tells what became of an announcement", () => {
  const at = "2026-11-27T11:56:42+00:00";
  const change = {
    topic: "profile.updated",
    changed: ["email"],
    caused_by: null,
    via: "snapshot",
    enqueued_at: at,
    at,
    reads: 2,
    handler: null,
    error_class: null,
  };
  const failure = { handler: "forward", error_class: "http_503" };
  const announced = [
    { ...change, state: "waiting" as const },
    { ...change, state: "in_flight" as const },
    { ...change, ...failure, state: "retrying" as const },
    { ...change, state: "done" as const },
    { ...change, state: "dead" as const, error_class: "http_410", at: null },
  ];

  const page = pageOf([{ ...OBJECT, announced }], 120, (text, status) => `<${status} ${text}>`);

  const told = [...page.matchAll(/announced> ? *profile\.updated \(email\): (.*)|: (.*)/g)];
  assert(told.length >= 5);
  assertStringIncludes(page, "2026-11-27 11:56:42  by snapshot");
  assertStringIncludes(page, "waits for a worker, after 2 attempts");
  assertStringIncludes(page, "a worker has it, attempt 2");
  assertStringIncludes(
    page,
    "<400 announced>  profile.updated (email): forward failed with http_503, attempt 2; next try 2026-11-27 11:56:42",
  );
  assertStringIncludes(page, "<200 announced>  profile.updated (email): done 2026-11-27 11:56:42");
  assertStringIncludes(page, "<500 announced>  profile.updated (email): dead with http_410");
});
