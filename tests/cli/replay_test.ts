import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { isAgreed, lineOf } from "../../cli/replay.ts";
import {
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";
import { withEnvFile } from "./with_env_file.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ADA = "user_2adaAdaAdaAdaAdaAdaAdaAdaAd";

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(
  args: readonly string[],
  env: Record<string, string> = {},
): { readonly child: Deno.ChildProcess; readonly ended: Promise<Run> } {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/replay.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
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

function replay(stack: TestStack, ...args: string[]): Promise<Run> {
  return withEnvFile(stack, (file) => start([...args, "--env", file]).ended);
}

/** Has a trigger of the application run this for each row that is written. */
async function obstruct({ database }: TestStack, statement: string): Promise<void> {
  await database.sql.unsafe(`
    create or replace function public.obstruct() returns trigger language plpgsql security definer
      as $$ begin ${statement}; return new; end $$;
    create or replace trigger _200_obstruct before insert or update on public.profiles
      for each row execute function public.obstruct();
  `);
}

async function clear({ database }: TestStack): Promise<void> {
  await database.sql`drop trigger _200_obstruct on public.profiles`;
}

const REFUSE = "if new.deleted_at is null then raise exception 'No more people: %', new.id; end if";

/** Delivers new people whom the application refuses. */
async function refuse(stack: TestStack, ids: readonly string[]): Promise<void> {
  await obstruct(stack, REFUSE);
  for (const id of ids) {
    const receipt = await stack.send(anEvent("user.created", aClerkUser({ id })), {
      id: `msg_${id}`,
    });
    assertEquals([receipt.status, receipt.outcome], [500, "failed"]);
  }
}

/** Stores a message as a version would that could not read it. */
async function reject({ database }: TestStack, id: string, event: JsonObject): Promise<void> {
  const [row] = await database.sql<{ outcome: string }[]>`
    select public.record_clerk_rejection(
      ${id}, ${String(event.type)}, '[{"path": "data.locale", "code": "invalid_type"}]',
      to_jsonb(${JSON.stringify(event)}::text)
    ) ->> 'outcome' as outcome
  `;
  assertEquals(row?.outcome, "unreadable");
}

/** The outcomes of the inbox, by message. */
async function outcomes({ database }: TestStack): Promise<Record<string, string>> {
  const rows = await database.sql<{ id: string; outcome: string }[]>`
    select message_id as id, outcome from clerk_sync.inbox order by received_at, message_id
  `;
  return Object.fromEntries(rows.map(({ id, outcome }) => [id, outcome]));
}

/** How many rows every table has that a replay could write to. */
async function everything({ database }: TestStack): Promise<unknown> {
  const [row] = await database.sql`
    select
      (select jsonb_agg(to_jsonb(profiles) order by id) from public.profiles) as profiles,
      (select jsonb_agg(to_jsonb(inbox) order by message_id) from clerk_sync.inbox) as inbox,
      (select jsonb_agg(to_jsonb(objects) order by id) from clerk_sync.objects) as objects,
      (select count(*)::int from pgmq.q_clerk_changes) as announced
  `;
  return { ...row };
}

stackTest("replay says why a message still fails, and applies it once it can", async (stack) => {
  await refuse(stack, [ADA]);

  const failing = await replay(stack);
  await clear(stack);
  const fixed = await replay(stack);
  const again = await replay(stack);

  assertEquals([failing.code, failing.out, failing.err], [
    3,
    `still failing   msg_${ADA}  user.created  ${ADA}  P0001: No more people: ${ADA}\n` +
    "0 fixed, 1 still failing\n",
    "",
  ]);
  assertEquals([fixed.code, fixed.out], [
    0,
    `fixed           msg_${ADA}  user.created  ${ADA}  applied\n1 fixed, 0 still failing\n`,
  ]);
  assertEquals([again.code, again.out], [0, "0 fixed, 0 still failing\n"]);
  const [row] = await stack.database.sql`
    select first_name, deliveries, last_delivered_at = received_at as is_first_delivery
    from public.profiles join clerk_sync.inbox on object_id = id
  `;
  assertEquals({ ...row }, { first_name: "Ada", deliveries: 1, is_first_delivery: true });
});

stackTest("--dry-run says what would be fixed, and writes nothing", async (stack) => {
  const [ben, cyd] = ["user_Ben", "user_Cyd"];
  await refuse(stack, [ADA, ben, cyd]);
  await obstruct(stack, `if new.id = '${ben}' then raise exception 'No Ben'; end if`);
  await reject(stack, "msg_odd", anEvent("user.created", aClerkUser({ id: "user_Odd" })));
  const before = await everything(stack);

  const dry = await replay(stack, "--dry-run");

  assertEquals(dry.code, 3);
  assertMatch(dry.out, /^fixed {11}msg_user_2ada/);
  assertMatch(
    dry.out,
    /\nstill failing {3}msg_user_Ben {2}user.created {2}user_Ben {2}P0001: No Ben\n/,
  );
  assertMatch(dry.out, /\n3 fixed, 1 still failing\nDry run: nothing was written\n$/);
  assertEquals(await everything(stack), before);
  assertEquals((await replay(stack)).code, 3);
  assertEquals(Object.values(await outcomes(stack)), ["applied", "failed", "applied", "applied"]);
});

stackTest(
  "what was unreadable is read by today's schemas, and what they cannot read says where",
  async (stack) => {
    // A word that the mapping would take, were it not for the schema.
    const odd = anEvent("user.created", aClerkUser({ id: ADA, locale: 5 }));
    const renamed = anEvent(
      "user.renamed",
      aClerkUser({ id: "user_Ben", username: "ben", deprovisioned: false }),
    );
    await reject(stack, "msg_1", odd);
    await reject(
      stack,
      "msg_2",
      anEvent("user.created", aClerkUser({ id: "user_Cyd", banned: "no" })),
    );
    await obstruct(stack, REFUSE);
    assertEquals((await stack.send(renamed, { id: "msg_3" })).outcome, "failed");
    assertEquals((await stack.send('{"broken', { id: "msg_4" })).outcome, "unreadable");
    await clear(stack);

    const { code, out } = await replay(stack);

    assertEquals(code, 3);
    assertEquals(out.split("\n"), [
      `fixed           msg_1  user.created  ${ADA}  applied`,
      "still failing   msg_2  user.created  user_Cyd  data.banned: invalid_type",
      "fixed           msg_3  user.renamed  user_Ben  applied",
      "still failing   msg_4  -  -  body: not_json",
      "2 fixed, 2 still failing",
      "",
    ]);
    const people = await stack.database.sql`
      select id, locale, username from public.profiles order by id
    `;
    assertEquals(people.map((row) => ({ ...row })), [
      { id: ADA, locale: null, username: null },
      { id: "user_Ben", locale: "en-GB", username: "ben" },
    ]);
  },
);

stackTest("a body that was kept as text is read from it", async (stack) => {
  const { sql } = stack.database;
  const body = JSON.stringify(anEvent("user.created", aClerkUser({ id: ADA })));
  await sql`
    select public.record_clerk_rejection(
      'msg_1', null, '[{"path": "", "code": "too_deep"}]', jsonb_build_object('raw', ${body}::text))
  `;

  const { code, out } = await replay(stack);

  assertEquals([code, out], [
    0,
    "fixed           msg_1  -  -  applied\n1 fixed, 0 still failing\n",
  ]);
  assertEquals((await sql`select id from public.profiles`)[0]?.id, ADA);
});

stackTest("replay takes the messages that it is given, and no others", async (stack) => {
  const { sql } = stack.database;
  const ids = ["user_A", "user_B", "user_C", "user_D", "user_E"];
  await refuse(stack, ids);
  await clear(stack);
  await reject(stack, "msg_odd", anEvent("user.updated", aClerkUser({ id: "user_O" })));
  for (const [index, id] of ids.entries()) {
    await sql`
      update clerk_sync.inbox
      set received_at = now() - make_interval(hours => ${10 - index})
      where message_id = ${`msg_${id}`}
    `;
  }
  const fixedBy = async (...args: string[]): Promise<string[]> => {
    const { code, out } = await replay(stack, ...args);
    assertEquals(code, 0, out);
    return [...out.matchAll(/^fixed +(\S+)/gm)].map(([, id]) => id ?? "");
  };

  assertEquals(await fixedBy("--since", "550m", "--until", "510m"), ["msg_user_B"]);
  assertEquals(await fixedBy("--object", "user_C"), ["msg_user_C"]);
  assertEquals(await fixedBy("msg_user_E", "msg_user_A"), ["msg_user_E", "msg_user_A"]);
  assertEquals(await fixedBy("--type", "user.updated", "--outcome", "failed"), []);
  assertEquals(await fixedBy("--until", "2020-01-01"), []);
  assertEquals(await fixedBy("--until", "999999d"), []);
  assertEquals(await fixedBy("--since", "2020-01-01T00:00", "--type", "user.updated"), ["msg_odd"]);
  assertEquals(await fixedBy("--outcome", "unreadable"), []);
  assertEquals(await fixedBy(), ["msg_user_D"]);

  const done = await replay(stack, "msg_user_A");
  const unknown = await replay(stack, "msg_nowhere");
  assertEquals([done.code, done.out], [
    0,
    "settled already msg_user_A  user.created  user_A  applied\n" +
    "0 fixed, 0 still failing, 1 settled already\n",
  ]);
  assertEquals([unknown.code, unknown.err], [
    1,
    "Cannot replay msg_nowhere as the inbox has no such message: check the id, or resend it from Clerk's dashboard\n",
  ]);
});

stackTest("replay goes through all pages, also past messages that still fail", async (stack) => {
  await obstruct(stack, REFUSE);
  await stack.database.sql`
    select public.ingest_clerk_event('msg_' || n, jsonb_build_object(
      'type', 'user.created', 'timestamp', 1763000000000,
      'data', jsonb_build_object('id', 'user_' || n, 'updated_at', 1763000000000)))
    from generate_series(1, 250) as n
  `;
  await obstruct(stack, "if new.id like '%7' then raise exception 'No sevens'; end if");

  const { code, out } = await replay(stack, "--json");

  const lines = out.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(code, 3);
  assertEquals(new Set(lines.slice(0, -1).map(({ message_id }) => message_id)).size, 250);
  assertEquals(lines.at(-1), {
    summary: {
      dry_run: false,
      is_finished: true,
      fixed: 225,
      still_failing: 25,
      settled: 0,
      discarded: 0,
    },
  });
});

stackTest(
  "--discard gives messages up, erases what was sent, and lets Clerk deliver them again",
  async (stack) => {
    await refuse(stack, [ADA, "user_Ben"]);
    const ben = anEvent("user.created", aClerkUser({ id: "user_Ben" }));

    const dry = await replay(stack, "--discard", `msg_${ADA}`, "--dry-run");
    const before = await outcomes(stack);
    const address = `ada.old.${ADA.slice(-6)}@`.toLowerCase();
    const rowsBefore = await stack.database.rowsWith(address);
    const one = await replay(stack, "--discard", `msg_${ADA}`);
    const rest = await replay(stack, "--discard", "--outcome", "failed", "--yes", "--json");
    const none = await replay(stack);
    const again = await stack.send(ben, { id: "msg_user_Ben" });
    await clear(stack);
    const atLast = await stack.send(ben, { id: "msg_user_Ben" });

    assertEquals([dry.code, one.code, rest.code, none.code], [0, 0, 0, 0]);
    assertMatch(dry.out, /\n1 discarded\nDry run: nothing was written\n$/);
    assertEquals(Object.values(before), ["failed", "failed"]);
    assertEquals(
      one.out,
      `discarded       msg_${ADA}  user.created  ${ADA}  failed\n1 discarded\n`,
    );
    assertEquals(JSON.parse(rest.out.split("\n")[0] ?? ""), {
      message_id: "msg_user_Ben",
      type: "user.created",
      object_id: "user_Ben",
      was: "failed",
      result: "discarded",
      outcome: "discarded",
    });
    assertEquals(none.out, "0 fixed, 0 still failing\n");
    assertEquals([again.status, again.outcome, atLast.outcome], [200, "duplicate", "applied"]);
    assertEquals(await outcomes(stack), { [`msg_${ADA}`]: "discarded", msg_user_Ben: "applied" });
    assertEquals([rowsBefore, await stack.database.rowsWith(address)], [1, 0]);
  },
);

Deno.test("--discard asks on a terminal first, unless it is a dry run or --yes is given", () => {
  const questions: string[] = [];
  const terminal = {
    isTerminal: true,
    ask: (question?: string) => {
      questions.push(question ?? "");
      return false;
    },
  };
  const options = { discard: true, dryRun: false, yes: false };

  const answers = [
    isAgreed(options, 2, terminal),
    isAgreed(options, 1, terminal),
    isAgreed({ ...options, yes: true }, 2, terminal),
    isAgreed({ ...options, dryRun: true }, 2, terminal),
    isAgreed({ ...options, discard: false }, 2, terminal),
    isAgreed(options, 2, { ...terminal, isTerminal: false }),
    isAgreed(options, 0, terminal),
  ];

  assertEquals(answers, [false, false, true, true, true, true, true]);
  assertEquals(questions, [
    "Give up 2 messages and erase what was sent?",
    "Give up 1 message and erase what was sent?",
  ]);
});

stackTest("a replay does not bring an erased person back", async (stack) => {
  const odd = anEvent("user.updated", aClerkUser({ id: ADA, first_name: "Wonderland" }));
  await reject(stack, "msg_1", odd);
  assertEquals(
    (await stack.send(anEvent("user.deleted", aDeletedClerkUser(ADA)))).outcome,
    "applied",
  );

  const { code, out } = await replay(stack);

  assertEquals([code, out.split("\n").at(-2)], [0, "1 fixed, 0 still failing"]);
  assertMatch(out, /^fixed +msg_1 .* stale\n/);
  const [row] = await stack.database.sql`select deleted_at, first_name from public.profiles`;
  assert(row?.deleted_at);
  assertEquals(row.first_name, null);
  assertEquals(await stack.database.rowsWith("Wonderland"), 0);
});

stackTest("a message without a payload can be discarded, or sent again by Clerk", async (stack) => {
  await refuse(stack, [ADA]);
  await clear(stack);
  await stack.database.sql`update clerk_sync.inbox set payload = null`;

  const { code, out } = await replay(stack);

  assertEquals(code, 3);
  assertMatch(
    out,
    /its payload is not stored: resend it from Clerk's dashboard, or --discard it\n/,
  );
});

stackTest("a conflict is tried again, and reported when it does not end", async (stack) => {
  const { sql } = stack.database;
  await refuse(stack, [ADA, "user_Ben"]);
  // A sequence is not rolled back.
  await sql`create sequence public.tries`;
  await obstruct(
    stack,
    `if new.id = 'user_Ben' or nextval('public.tries') < 3 then
       raise exception 'Try again' using errcode = '40001';
     end if`,
  );

  const { code, out } = await replay(stack);

  assertEquals([code, out], [
    3,
    `fixed           msg_${ADA}  user.created  ${ADA}  applied\n` +
    "still failing   msg_user_Ben  user.created  user_Ben  40001\n" +
    "1 fixed, 1 still failing\n",
  ]);
  assertEquals((await outcomes(stack)).msg_user_Ben, "failed");
});

Deno.test("on a terminal of 80 columns, a line breaks between ids and words only", () => {
  const message = {
    message_id: `msg_${"2".repeat(27)}`,
    type: "organizationMembership.created",
    object_id: `orgmem_${"3".repeat(27)}`,
  };
  const reason = '23514: new row for relation "profiles" violates check constraint "mine"';

  const lines = lineOf("still_failing", message, reason, 80).split("\n");

  assertEquals(lines.filter((line) => line.length > 80), []);
  const words = lines.join(" ").split(/ +/);
  for (const id of Object.values(message)) assert(words.includes(id), lines.join("\n"));
  assertEquals(lineOf("fixed", message, reason, Infinity).split("\n").length, 1);
});

stackTest("replay fails where the database accepts no writes, and says so", async (stack) => {
  await refuse(stack, [ADA]);
  await clear(stack);
  const { sql } = stack.database;
  await sql`
    do $$ begin
      execute format('alter database %I set default_transaction_read_only = on', current_database());
      perform pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = 'authenticator';
    end $$
  `.simple();
  // With connections that are new.
  await stack.services.api.reload();

  const { code, out, err } = await replay(stack);

  assertEquals([code, out], [1, ""]);
  assertMatch(
    err,
    /^Cannot go on as the database accepts no writes, .* \(25006\): enlarge the disk/,
  );
});

stackTest("two replays at once fix every message once", async (stack) => {
  const people = Array.from({ length: 60 }, (_, number) => `user_${number}`);
  await refuse(stack, people);
  await clear(stack);

  const runs = await Promise.all([replay(stack, "--json"), replay(stack, "--json")]);

  const summaries = runs.map(({ out }) => JSON.parse(out.trim().split("\n").at(-1) ?? "").summary);
  assertEquals(runs.map(({ code }) => code), [0, 0]);
  assertEquals(summaries[0].fixed + summaries[1].fixed, people.length);
  const [row] = await stack.database.sql`
    select
      (select count(*)::int from pgmq.q_clerk_changes) as announced,
      (select max(deliveries) from clerk_sync.inbox) as deliveries
  `;
  assertEquals({ ...row }, { announced: people.length, deliveries: 1 });
});

stackTest("Ctrl-C stops after the messages at hand, and the next run goes on", async (stack) => {
  const people = Array.from({ length: 40 }, (_, number) => `user_${number}`);
  await refuse(stack, people);
  // Four at a time take a second, so that the signal comes long before the last.
  await obstruct(stack, "perform pg_sleep(1)");
  const applied = async (): Promise<number> =>
    Object.values(await outcomes(stack)).filter((outcome) => outcome === "applied").length;

  await withEnvFile(stack, async (file) => {
    const { child, ended } = start(["--env", file]);
    await until("some are fixed", async () => await applied() > 0, 60_000);
    child.kill("SIGINT");
    const stopped = await ended;
    const before = await applied();
    await clear(stack);
    const second = await start(["--env", file]).ended;

    assertEquals(stopped.code, 1);
    assert(before < people.length);
    assertMatch(stopped.out, new RegExp(`\\n${before} fixed, 0 still failing\\n$`));
    assertMatch(
      stopped.err,
      /^Stopped\. Go on with `\S*(?:npx -y )?deno\S* task replay --env \S+`\n$/m,
    );
    assertEquals([second.code, await applied()], [0, people.length]);
    assertMatch(second.out, new RegExp(`\\n${people.length - before} fixed, 0 still failing\\n$`));
  });
});

stackTest(
  "replay works on a project that the environment names, and prints JSON",
  async (stack) => {
    await refuse(stack, [ADA]);
    const env = {
      SUPABASE_URL: stack.services.apiUrl,
      SUPABASE_SECRET_KEY: stack.services.keys.secret,
    };

    const { code, out, err } = await start(["--json", "--env", "/dev/null"], env).ended;

    const lines = out.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([code, err], [3, ""]);
    assertEquals(lines[0], {
      message_id: `msg_${ADA}`,
      type: "user.created",
      object_id: ADA,
      was: "failed",
      result: "still_failing",
      outcome: "failed",
      sqlstate: "P0001",
      message: `No more people: ${ADA}`,
    });
    assertEquals(lines[1].summary.still_failing, 1);
  },
);

stackTest("replay says in one sentence what is wrong with the settings", async (stack) => {
  const url = stack.services.apiUrl;
  const key = stack.services.keys.secret;
  await using old = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ code: "PGRST202", message: "No such function" }, { status: 404 }),
  );
  const cases: [Record<string, string>, RegExp][] = [
    [{ SUPABASE_URL: url }, /^Cannot start as SUPABASE_SECRET_KEY is not set: .*\n$/],
    [{ SUPABASE_URL: "x", SUPABASE_SECRET_KEY: key }, /^Cannot start as SUPABASE_URL is .*\n$/],
    [
      { SUPABASE_URL: url, SUPABASE_SECRET_KEY: stack.services.keys.publishable },
      /^Cannot start as SUPABASE_SECRET_KEY is a publishable key: copy a secret key .*\n$/,
    ],
    [
      { SUPABASE_URL: url, SUPABASE_SECRET_KEY: "sb_secret_other" },
      /^Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY .*\n$/,
    ],
    [
      { SUPABASE_URL: "http://127.0.0.1:1", SUPABASE_SECRET_KEY: key },
      /^Cannot reach the database \(no_answer\): check SUPABASE_URL and the network\n$/,
    ],
    [
      { SUPABASE_URL: `http://127.0.0.1:${old.addr.port}`, SUPABASE_SECRET_KEY: key },
      /^Cannot start as the database lacks the functions for it: apply the migrations\n$/,
    ],
  ];

  for (const [env, sentence] of cases) {
    const { code, out, err } = await start(["--env", "/dev/null"], env).ended;

    assertEquals([code, out], [1, ""]);
    assertMatch(err, sentence);
  }
});

Deno.test("replay refuses what it cannot use, in a sentence, with exit code 2", async () => {
  for (
    const [args, error] of [
      [["--nope"], "Unknown option '--nope'. See --help"],
      [["--outcome", "stale"], "Cannot use --outcome stale: it must be failed or unreadable"],
      [
        ["--object", "ada"],
        "Cannot use --object ada: Clerk's ids look like user_2x… or org_2x…",
      ],
      ...["3", "2 days", "yesterday", "2026-13-01", "3y"].map((time) =>
        [
          ["--since", time],
          `Cannot use --since ${time}: it must be a time as in 2026-11-01T08:00Z, 90m, 2h or 3d`,
        ] as const
      ),
      [
        ["msg_1", "--type", "user.created"],
        "Cannot combine msg_1 with --type: give ids, or flags",
      ],
      [
        ["msg_1", ""],
        'Cannot replay "": give the id of a message, as in `replay msg_2x…`, or no id to replay all',
      ],
      [
        ["--discard"],
        "Cannot discard every message: give an id, or choose with --outcome, --type, --since, --until or --object",
      ],
      [["msg_1", "--yes"], "Cannot use --yes without --discard"],
    ] as const
  ) {
    const { code, out, err } = await start(args).ended;

    assertEquals({ code, out, err }, { code: 2, out: "", err: `${error}\n` });
  }
});
