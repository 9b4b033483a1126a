import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { aClerkMembership, aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { compose } from "../../operations/compose.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { withEnvFile } from "./with_env_file.ts";
import { UsageError } from "../../cli/usage.ts";

// The command as people call it: a process of its own, told by an env file where the stack is.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function send(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}cli/send.ts`, ...args],
    env: { ...env, NO_COLOR: "1" },
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

Deno.test("--set reaches into arrays by number, and keeps them arrays", async () => {
  const composed = async (set: string): Promise<Record<string, unknown>> => {
    const { messages: [message] } = await compose({
      type: "user.created",
      user: "user_ada",
      org: undefined,
      role: undefined,
      set: [set],
      file: undefined,
      count: 1,
    }, undefined);
    return JSON.parse(message?.body ?? "").data;
  };

  const changed = await composed("email_addresses.0.email_address=x@example.com");
  const added = await composed("email_addresses.2.id=idn_new");

  const addresses = changed.email_addresses as Record<string, unknown>[];
  assertEquals([addresses[0]?.email_address, addresses.length], ["x@example.com", 2]);
  assertEquals(typeof addresses[0]?.id, "string");
  assertEquals((added.email_addresses as unknown[])[2], { id: "idn_new" });
  for (const name of ["first", "3", "-1"]) {
    await assertRejects(
      () => composed(`email_addresses.${name}.id=x`),
      UsageError,
      `as ${name} is no element of the array there: it has 2, and the first is 0`,
    );
  }
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
  const elsewhere = ["user.created", "--url", webhookUrl, "--env", "/dev/null"];

  const right = await send([...elsewhere, "--secret", signingSecret]);
  const wrong = await send([...elsewhere, "--secret", aSigningSecret()]);

  assertMatch(right.out, /^applied +200 [^\n]*\n$/);
  assertMatch(wrong.out, /^bad_signature +401/);
  assertMatch(wrong.out, /\nbad_signature: the webhook has another secret\.\n {2}Compare yours /);
  assertEquals([right.code, wrong.code], [0, 1]);
});

stackTest(
  "with --url, the secret may stand in the environment or in any env file",
  async (stack) => {
    const { webhookUrl, signingSecret } = stack.services;
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, `CLERK_WEBHOOK_SIGNING_SECRET=${signingSecret}\n`);
    const elsewhere = ["user.created", "--url", webhookUrl];

    const inFile = await send([...elsewhere, "--env", file]);
    const inEnvironment = await send([...elsewhere, "--env", "/dev/null"], {
      CLERK_WEBHOOK_SIGNING_SECRET: signingSecret,
    });
    await Deno.remove(file);

    assertEquals([inFile.code, inEnvironment.code], [0, 0]);
  },
);

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

stackTest("an update of a user changes what is given, and nothing else", async (stack) => {
  const row = async (): Promise<unknown> => {
    const [found] = await stack.database.sql`
      select first_name, email, created_at, last_sign_in_at, public_metadata::text as metadata
      from public.profiles
    `;
    return { ...found };
  };
  const number = "public_metadata.legacy_id=9007199254740993";
  await sendTo(
    stack,
    ...["user.created", "--user", "user_ada", "--set", "first_name=Zoë", "--set", number],
  );
  const created = await row();

  await sendTo(stack, "user.updated", "--user", "user_ada", "--set", "last_name=Smith");
  const updated = await sendTo(stack, "user.updated", "--user", "user_ada");

  assertMatch(updated.out, /^applied [^]*\n {2}full_name +Zoë Smith\n/);
  assertEquals(await row(), created);
  assertMatch(JSON.stringify(created), /9007199254740993/);
});

stackTest("an update of an organization starts from what is stored, too", async (stack) => {
  await sendTo(stack, "organization.created", "--org", "org_one", "--set", "name=Acme");

  const run = await sendTo(stack, "organization.updated", "--org", "org_one", "--set", "slug=acme");

  const [row] = await stack.database.sql`select name, slug from public.organizations`;
  assertEquals([run.code, { ...row }], [0, { name: "Acme", slug: "acme" }]);
});

stackTest("an update of a membership keeps the role, whatever its id", async (stack) => {
  const member = ["--user", "user_ada", "--org", "org_one"];
  await stack.send(anEvent(
    "organizationMembership.created",
    aClerkMembership({ user: "user_ada", organization: "org_one" }, { role: "org:owner" }),
  ));

  await sendTo(
    stack,
    ...["organizationMembership.updated", ...member, "--set", "public_metadata.desk=4"],
  );

  const rows = await stack.database.sql`
    select role, public_metadata as metadata from public.organization_memberships
  `;
  assertEquals([...rows.map((row) => ({ ...row }))], [{
    role: "org:owner",
    metadata: { desk: 4 },
  }]);
});

stackTest("whoever left an organization can come back", async (stack) => {
  const member = ["--user", "user_ada", "--org", "org_one"];
  await sendTo(stack, "organizationMembership.created", ...member);
  await sendTo(stack, "organizationMembership.deleted", ...member);

  const back = await sendTo(stack, "organizationMembership.created", ...member);

  assertMatch(back.out, /^applied /);
  const rows = await stack.database.sql`select from public.organization_memberships`;
  assertEquals(rows.length, 1);
});

stackTest("an invitation that is accepted is the pending one", async (stack) => {
  await sendTo(stack, "organizationInvitation.created", "--org", "org_one", "--role", "admin");

  await sendTo(stack, "organizationInvitation.accepted", "--org", "org_one");

  const rows = await stack.database.sql`select status, role from public.organization_invitations`;
  assertEquals(rows.map((row) => ({ ...row })), [{ status: "accepted", role: "org:admin" }]);
});

stackTest("a subscription item that ends is the payer's newest one", async (stack) => {
  const payer = ["--user", "user_ada"];
  await sendTo(stack, "subscriptionItem.active", ...payer, "--set", "plan.slug=gold");

  await sendTo(stack, "subscriptionItem.pastDue", ...payer);

  const rows = await stack.database.sql`select status, plan_slug from public.subscription_items`;
  assertEquals(rows.map((row) => ({ ...row })), [{ status: "past_due", plan_slug: "gold" }]);
});

stackTest("send explains a wrong secret, and names the place where it is", async (stack) => {
  await withEnvFile(stack, async (file) => {
    const args = ["user.created", "--env", file];

    const flag = await send([...args, "--secret", aSigningSecret()]);
    const environment = await send(args, { CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret() });

    assertMatch(
      flag.out,
      /\nbad_signature: [^\n]*\n {2}Leave --secret out to sign with the local one\.\n/,
    );
    assertMatch(
      environment.out,
      /\nbad_signature: [^\n]*\n {2}Unset CLERK_WEBHOOK_SIGNING_SECRET in the environment/,
    );
    assertEquals([flag.code, environment.code], [1, 1]);
  });
});

stackTest(
  "send explains a failure with SQLSTATE and message, and suggests nothing",
  async (stack) => {
    await stack.database.sql.unsafe(`
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      raise 'no more people' using errcode = 'P0420';
    end $$;
    create trigger refuse before insert on public.profiles
      for each row execute function public.refuse();
  `).simple();

    const run = await sendTo(stack, "user.created");

    assertMatch(
      run.out,
      /^failed +500 [^\n]*\n\nfailed: the database raised SQLSTATE P0420 \(no more people\)\.\n {2}Fix the trigger [^\n]*\n$/,
    );
  },
);

stackTest("send explains an unreadable event with path and code", async (stack) => {
  const run = await sendTo(stack, "user.created", "--set", "id=null");

  assertMatch(
    run.out,
    /^unreadable +422 [^\n]*\n\nunreadable: [^\n]* shape: data\.id: invalid_type\.\n {2}Correct it [^\n]*\n$/,
  );
});

stackTest(
  "send explains what is ignored: another instance, or a type without a table",
  async (stack) => {
    const file = await Deno.makeTempFile({ suffix: ".json" });
    await Deno.writeTextFile(file, JSON.stringify(anEvent("sms.created", { id: "sms_1" })));

    const type = await sendTo(stack, "--file", file);
    await stack.database.sql`update clerk_sync.settings set instance_id = 'ins_mine'`;
    await Deno.writeTextFile(file, JSON.stringify(anEvent("user.created", aClerkUser())));
    const instance = await sendTo(stack, "--file", file);
    const own = await sendTo(stack, "user.created");
    await Deno.remove(file);

    assertMatch(type.out, /^ignored [^\n]*\n\nignored: events of this type change no table\./);
    assertMatch(
      instance.out,
      /\nignored: the event is of Clerk instance ins_0+local, and the database accepts ins_mine only\.\n {2}Accept any: `update clerk_sync\.settings set instance_id = null;`\.\n/,
    );
    assert(!instance.out.includes("Next:"));
    assertMatch(own.out, /^applied +200 /, "what send makes is of the instance that is accepted");
  },
);

stackTest("send explains what is stale, and takes duplicates for granted", async (stack) => {
  await sendTo(stack, "user.created", "--user", "user_ada");
  const old = await sendTo(stack, "user.updated", "--user", "user_ada", "--set", "updated_at=1");
  await sendTo(stack, "user.deleted", "--user", "user_ada");

  const gone = await sendTo(stack, "user.updated", "--user", "user_ada");
  const again = await sendTo(stack, "user.created", "--repeat", "2");

  assertMatch(old.out, /\nstale: something newer about the same object is stored/);
  assertMatch(gone.out, /\nstale: user_ada was deleted, which is final\./);
  assertMatch(again.out, /^duplicate [^\n]*$/m);
  assert(!again.out.includes("duplicate:"));
  assert(!gone.out.includes("Next:"));
});

for (
  const [status, sentence] of [
    [401, /\nhttp_401: the gateway refuses [^\n]*\n {2}Deploy it with .* verify_jwt = false/],
    [404, /\nhttp_404: there is no function at http:/],
    [503, /\nhttp_503: the function does not run\./],
    [418, /\nhttp_418: something other than the webhook answered\./],
  ] as const
) {
  Deno.test(`send explains a ${status} that is not the webhook's`, async () => {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => Response.json({}, { status }),
    );
    const url = `http://127.0.0.1:${server.addr.port}/`;

    const run = await send(["user.created", "--url", url, "--secret", aSigningSecret()]);

    assertMatch(run.out, sentence);
    assertEquals(run.code, 1);
  });
}

stackTest("the hint after an event goes on with it", async (stack) => {
  const hintAfter = async (...args: readonly string[]): Promise<string | undefined> =>
    /Next:\n {2}.* task (.*) --env /.exec((await sendTo(stack, ...args)).out)?.[1];
  const member = "--user user_ada --org org_one";

  const hints = [
    await hintAfter("user.created", "--user", "user_ada"),
    await hintAfter("user.updated", "--user", "user_ada"),
    await hintAfter("organization.created", "--org", "org_one"),
    await hintAfter("organizationMembership.created", ...member.split(" ")),
    await hintAfter("user.deleted", "--user", "user_ada"),
    await hintAfter("user.created", "--count", "2"),
  ];

  assertEquals(hints, [
    "send user.updated --user user_ada --set first_name=Grace",
    "send user.deleted --user user_ada",
    `send organizationMembership.created ${member} --role admin`,
    `send organizationMembership.deleted ${member}`,
    "explain user_ada",
    undefined,
  ]);
});

stackTest("the hint after an organization names no user when there is none", async (stack) => {
  const run = await sendTo(stack, "organization.created", "--org", "org_one");

  assertMatch(
    run.out,
    /task send organizationMembership\.created --org org_one --role admin --env/,
  );
});

stackTest(
  "send shows the row of an organization, although nobody is a member yet",
  async (stack) => {
    const created = await sendTo(
      stack,
      ...["organization.created", "--org", "org_one", "--set", "slug=lantern"],
    );
    const elsewhere = await sendTo(stack, "subscriptionItem.active", "--org", "org_one");

    assertMatch(created.out, /\n {2}id +org_one\n {2}slug +lantern\n/);
    assert(!elsewhere.out.includes("lantern"));
  },
);

stackTest("send says when an update is of something that was never stored", async (stack) => {
  const sentence = /\nNo event of user_ada was stored, so send made up its data\.\n/;

  const made = await sendTo(stack, "user.updated", "--user", "user_ada");
  const known = await sendTo(stack, "user.updated", "--user", "user_ada");
  const first = await sendTo(stack, "user.created", "--user", "user_bo");

  assertMatch(made.out, sentence);
  for (const { out } of [known, first]) assert(!out.includes("made up"), out);
});

stackTest("send says in words of its own that it cannot show a row", async (stack) => {
  // As the table of somebody else that is called profiles, beside ours with a prefix.
  await stack.database.sql`revoke select on public.profiles from authenticated`;

  const run = await sendTo(stack, "user.created", "--user", "user_ada");

  assertMatch(run.out, /\nThe row cannot be shown: nothing can be read from a table profiles \(/);
  assertMatch(run.out, /If your tables have a prefix, send does not know it\./);
  assert(!run.out.includes("permission denied"));
  assertEquals(run.code, 0);
});

Deno.test("on a terminal each class of status has its colour, unless NO_COLOR is set", async () => {
  const painted = async (isTerminal: boolean, noColor: string): Promise<string> => {
    const code = `
      import { paintFor } from "${ROOT}cli/colour.ts";
      const paint = paintFor({ isTerminal: () => ${isTerminal} });
      Deno.stdout.writeSync(new TextEncoder().encode([200, 422, 500, 0].map((each) => paint("x", each)).join(" ")));
    `;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", code],
      env: { NO_COLOR: noColor },
    }).output();
    return new TextDecoder().decode(stdout);
  };

  assertEquals(
    await painted(true, ""),
    "\x1b[32mx\x1b[0m \x1b[33mx\x1b[0m \x1b[31mx\x1b[0m \x1b[31mx\x1b[0m",
  );
  assertEquals([await painted(true, "1"), await painted(false, "")], ["x x x x", "x x x x"]);
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
  assertMatch(run.err, /^Cannot read \/nowhere\/env as it does not exist: [^\n]*\n$/);
});

Deno.test("send says that nobody answers, and fails", async () => {
  const run = await send([
    ...["user.created", "--url", "http://127.0.0.1:9/", "--secret", aSigningSecret()],
  ]);

  assertEquals(run.code, 1);
  assertMatch(
    run.out,
    /^no_answer +0 [^\n]*\n\nno_answer: nobody answers at http:[^\n]*\n {2}Check --url\.\n$/,
  );
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
