import { assert, assertEquals, assertMatch } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { signedHeadersFor } from "../../../local/clerk/deliver.ts";
import type { Json, JsonObject } from "../../../functions/_shared/clerk_sync/json.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";
import type { TestDatabase } from "../../test_database.ts";
import { post, stackTest } from "../../test_stack.ts";
import { lastLog } from "./last_log.ts";

// Every outcome of the contract, over HTTP, with real signatures, the function in its own process,
// PostgREST's rules, and the role clerk_ingest.

const ADA = "user_ada";
const BASE = 1_760_000_000_000;

function created(fields: { [key: string]: Json } = {}, at = BASE): Json {
  return anEvent("user.created", aClerkUser({ id: ADA, updated_at: at, ...fields }), {
    timestamp: at,
  });
}

/** How many rows there are, in our tables, the queue and its archive. */
async function rowsOfOurs({ sql }: TestDatabase): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select (
      (select count(*) from public.profiles)
      + (select count(*) from clerk_sync.objects)
      + (select count(*) from clerk_sync.inbox)
      + (select count(*) from pgmq.q_clerk_changes)
      + (select count(*) from pgmq.a_clerk_changes)
    )::int as rows
  `;
  return row?.rows ?? -1;
}

/** What the inbox stores of an event: all but the client's address and user agent. */
function kept(event: Json): Json {
  const { event_attributes: _, ...rest } = event as JsonObject;
  return rest;
}

async function inboxRow({ sql }: TestDatabase, id: string): Promise<Record<string, unknown>> {
  const [row] = await sql`
    select outcome, deliveries, error, payload from clerk_sync.inbox where message_id = ${id}
  `;
  return { ...row };
}

stackTest("applied: the person reads their profile, and nobody else does", async (stack) => {
  const receipt = await stack.send(created({ first_name: "Ada", last_name: "Marlowe" }));

  assertEquals([receipt.status, receipt.outcome], [200, "applied"]);
  const own = await (await stack.browserOf(ADA)).from("profiles").select("id, full_name");
  const strangers = await (await stack.browserOf("user_eve")).from("profiles").select("id");
  const anonymous = await (await stack.browserOf()).from("profiles").select("id");
  assertEquals(own.data, [{ id: ADA, full_name: "Ada Marlowe" }]);
  assertEquals(strangers.data, []);
  assertEquals(anonymous.error?.code, "42501");
});

stackTest("applied: an update that comes before the creation makes the row", async (stack) => {
  const update = anEvent("user.updated", aClerkUser({ id: ADA, first_name: "Ada" }));

  const receipt = await stack.send(update);

  assertEquals(receipt.outcome, "applied");
  const { data } = await (await stack.browserOf(ADA)).from("profiles").select("first_name");
  assertEquals(data, [{ first_name: "Ada" }]);
});

stackTest("stale: an older version changes nothing", async (stack) => {
  await stack.send(created({ first_name: "New" }, BASE + 1));

  const receipt = await stack.send(created({ first_name: "Old" }, BASE));

  assertEquals([receipt.status, receipt.outcome], [200, "stale"]);
  const { data } = await (await stack.browserOf(ADA)).from("profiles").select("first_name");
  assertEquals(data, [{ first_name: "New" }]);
});

stackTest("stale: a late update does not bring a deleted user back", async (stack) => {
  await stack.send(created());
  const deletion = await stack.send(anEvent("user.deleted", aDeletedClerkUser(ADA)));

  const late = await stack.send(created({}, BASE + 1000));

  assertEquals([deletion.outcome, late.outcome], ["applied", "stale"]);
  const { data } = await (await stack.browserOf(ADA)).from("profiles").select();
  assertEquals(data, []);
  const [row] = await stack.database.sql`select email, deleted_at from public.profiles`;
  assertEquals(row?.email, null);
  assert(row?.deleted_at instanceof Date);
});

stackTest("duplicate: the same message again is counted, and announced once", async (stack) => {
  await stack.send(created(), { id: "msg_1" });

  const receipt = await stack.send(created(), { id: "msg_1" });

  assertEquals([receipt.status, receipt.outcome], [200, "duplicate"]);
  assertEquals((await inboxRow(stack.database, "msg_1")).deliveries, 2);
  const [queue] = await stack.database.sql`select count(*)::int from pgmq.q_clerk_changes`;
  assertEquals(queue?.count, 1);
});

stackTest("ignored: a session is kept, with its payload", async (stack) => {
  const event = anEvent("session.created", { id: "sess_9", user_id: "user_ada", tasks: [1, null] });

  const receipt = await stack.send(event, { id: "msg_1" });

  assertEquals([receipt.status, receipt.outcome], [200, "ignored"]);
  assertEquals((await inboxRow(stack.database, "msg_1")).payload, kept(event));
});

stackTest("ignored: an unknown type is kept, without its payload", async (stack) => {
  const event = anEvent("planet.discovered", { id: "planet_9", moons: [1, "two", null] });

  const receipt = await stack.send(event, { id: "msg_1" });

  assertEquals([receipt.status, receipt.outcome], [200, "ignored"]);
  assertEquals((await inboxRow(stack.database, "msg_1")).payload, null);
});

stackTest("ignored: another instance's event is kept without payload", async (stack) => {
  await stack.database.sql`update clerk_sync.settings set instance_id = 'ins_ours'`;

  const theirs = await stack.send(created(), { id: "msg_1" });
  const ours = await stack.send({ ...created() as object, instance_id: "ins_ours" });

  assertEquals([theirs.status, theirs.outcome, ours.outcome], [200, "ignored", "applied"]);
  assertEquals((await inboxRow(stack.database, "msg_1")).payload, null);
});

stackTest("unauthentic requests are 401 and leave no row in any table", async (stack) => {
  const body = JSON.stringify(created());
  const url = stack.services.webhookUrl;
  const secret = stack.services.signingSecret;
  const signed = signedHeadersFor({ id: "msg_1", body }, secret);
  const { "svix-signature": signature = "", ...unsigned } = signed;
  const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

  const attempts: [string, Promise<{ status: number; outcome: string }>][] = [
    ["missing_headers", post(url, body, {})],
    ["missing_headers", post(url, body, unsigned)],
    ["missing_headers", post(url, body, { ...signed, "svix-id": "" })],
    ["missing_headers", post(url, body, { ...signed, "svix-id": "m".repeat(300) })],
    ["bad_signature", stack.send(created(), { secret: aSigningSecret() })],
    ["bad_signature", stack.send(created(), { at: minutesAgo(6) })],
    ["bad_signature", stack.send(created(), { at: minutesAgo(-6) })],
    ["bad_signature", post(url, `${body} `, signed)],
    ["bad_signature", post(url, body, { ...signed, "svix-id": "msg_2" })],
    ["bad_signature", post(url, body, { ...unsigned, "svix-signature": `v2${signature}` })],
    ["bad_signature", post(url, new Uint8Array([0xff, 0xfe]), signed)],
    ["bad_signature", post(url, "", signed)],
  ];

  for (const [outcome, attempt] of attempts) {
    const { status, ...receipt } = await attempt;
    assertEquals([status, receipt.outcome], [401, outcome]);
  }
  assertEquals(await rowsOfOurs(stack.database), 0);
  assertEquals((await post(url, body, signed)).outcome, "applied");
});

stackTest("the webhook- headers of Standard Webhooks work like svix-", async (stack) => {
  const body = JSON.stringify(created());
  const svix = signedHeadersFor({ id: "msg_1", body }, stack.services.signingSecret);
  const headers = Object.fromEntries(
    Object.entries(svix).map(([name, value]) => [name.replace("svix-", "webhook-"), value]),
  );

  const receipt = await post(stack.services.webhookUrl, body, headers);

  assertEquals(receipt.outcome, "applied");
});

stackTest("method_not_allowed: 405, and the answer says which method is", async (stack) => {
  const response = await fetch(stack.services.webhookUrl);

  assertEquals(response.status, 405);
  assertEquals(response.headers.get("allow"), "POST");
  assertEquals(await response.json(), { outcome: "method_not_allowed" });
});

stackTest("too_large: more than 1 MiB is 413 and leaves no row", async (stack) => {
  const receipt = await stack.send("x".repeat(1024 * 1024 + 1));

  assertEquals([receipt.status, receipt.outcome], [413, "too_large"]);
  assertEquals(await rowsOfOurs(stack.database), 0);
});

stackTest(
  "incomplete: a body that stops coming is 400 after 10 s, and leaves no row",
  async (stack) => {
    const { hostname, port } = new URL(stack.services.edgeFunction()?.url ?? "");
    const body = JSON.stringify(created());
    const headers = signedHeadersFor({ id: "msg_1", body }, stack.services.signingSecret);
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");

    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(new TextEncoder().encode(
      `POST / HTTP/1.1\r\nhost: x\r\n${head}content-length: ${body.length}\r\n\r\n${
        body.slice(0, 50)
      }`,
    ));
    const buffer = new Uint8Array(4096);
    const started = performance.now();
    const read = await connection.read(buffer) ?? 0;

    const seconds = (performance.now() - started) / 1000;
    const answer = new TextDecoder().decode(buffer.subarray(0, read));
    assertMatch(answer, /^HTTP\/1\.1 400 [^]*\{"outcome":"incomplete"\}/);
    // Svix gives up after 15 s.
    assert(seconds > 9 && seconds < 15, `${seconds} s`);
    assertEquals(await rowsOfOurs(stack.database), 0);
  },
);

const UNREADABLE: [string, string, string][] = [
  ["a body that is not JSON", "{oops", "not_json"],
  ["an empty body", "", "not_json"],
  ["a body that is not an event", '{"hello":"world"}', "invalid_type"],
  [
    "50,000 nested arrays",
    `{"type":"x","data":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
    "too_deep",
  ],
  ["a user without an id", JSON.stringify(anEvent("user.created", {})), "invalid_type"],
  [
    "a user without any time",
    JSON.stringify({ type: "user.updated", data: { id: ADA } }),
    "invalid_type",
  ],
  ["a ban that is a text", JSON.stringify(created({ banned: "yes" })), "invalid_type"],
];

for (const [what, body, code] of UNREADABLE) {
  stackTest(`unreadable: ${what} is 422, and kept with the reason`, async (stack) => {
    const receipt = await stack.send(body, { id: "msg_1" });

    assertEquals([receipt.status, receipt.outcome], [422, "unreadable"]);
    const row = await inboxRow(stack.database, "msg_1");
    assertEquals(row.outcome, "unreadable");
    assertMatch(JSON.stringify(row.error), new RegExp(`"code":"${code}"`));
    assert(row.payload !== null);
    const [profiles] = await stack.database.sql`select count(*)::int from public.profiles`;
    assertEquals(profiles?.count, 0);
  });
}

stackTest(
  "applied: an odd locale does not hold up a ban, and is logged by its path",
  async (stack) => {
    const odd = { locale: ["de"], email_addresses: [{ id: "idn_1", email_address: 7 }] };

    const receipt = await stack.send(created({ banned: true, ...odd }), { id: "msg_1" });

    assertEquals([receipt.status, receipt.outcome], [200, "applied"]);
    const [row] = await stack.database.sql`select banned, locale, email from public.profiles`;
    assertEquals({ ...row }, { banned: true, locale: null, email: null });
    assertEquals((await lastLog(stack, 1)).dropped, [
      "data.locale",
      "data.email_addresses.0.email_address",
    ]);
    const { payload } = await inboxRow(stack.database, "msg_1");
    assertEquals(Object.hasOwn((payload as { data: object }).data, "locale"), false);
  },
);

stackTest(
  "unreadable: the next delivery of the same message is tried again",
  async (stack) => {
    await stack.send("{oops", { id: "msg_1" });

    const receipt = await stack.send(created(), { id: "msg_1" });

    assertEquals(receipt.outcome, "applied");
    const row = await inboxRow(stack.database, "msg_1");
    assertEquals([row.outcome, row.deliveries, row.error], ["applied", 2, null]);
  },
);

stackTest("texts that jsonb refuses are stored with U+FFFD in their place", async (stack) => {
  const body = JSON.stringify(
    created({ first_name: "A\0d\ud800a", public_metadata: { "k\0": "\udfff" } }),
  );

  const receipt = await stack.send(body);

  assertEquals(receipt.outcome, "applied");
  const { data } = await (await stack.browserOf(ADA)).from("profiles")
    .select("first_name, public_metadata");
  assertEquals(data, [{
    first_name: "A\u{FFFD}d\u{FFFD}a",
    public_metadata: { "k\u{FFFD}": "\u{FFFD}" },
  }]);
});

stackTest(
  "texts that look like JSON, and big and small numbers, arrive as they were",
  async (stack) => {
    const metadata = {
      text: '"5"',
      list: "[1]",
      nothing: "null",
      tiny: 1e-7,
      big: 1e21,
      deep: [[{}]],
    };

    await stack.send(created({ public_metadata: metadata, first_name: '{"a":1}' }));

    const { data } = await (await stack.browserOf(ADA)).from("profiles")
      .select("first_name, public_metadata");
    assertEquals(data, [{ first_name: '{"a":1}', public_metadata: metadata }]);
  },
);

const OBSTACLES: [string, string, string][] = [
  [
    "a trigger that raises",
    `create function public.refuse() returns trigger language plpgsql as
       $$ begin raise exception 'no %', new.email; end $$;
     create trigger _200_refuse before insert on public.profiles
       for each row execute function public.refuse()`,
    "P0001",
  ],
  [
    "a deferred trigger that raises",
    `create function public.refuse() returns trigger language plpgsql as
       $$ begin raise exception 'no %', new.email; end $$;
     create constraint trigger _200_refuse after insert on public.profiles
       deferrable initially deferred for each row execute function public.refuse()`,
    "P0001",
  ],
  [
    "a constraint",
    `alter table public.profiles add constraint _no_ada check (first_name <> 'Ada')`,
    "23514",
  ],
];

for (const [what, obstacle, sqlstate] of OBSTACLES) {
  stackTest(
    `failed: ${what} is 500 until the cause is gone, then the event applies`,
    async (stack) => {
      const event = created({ first_name: "Ada" });
      const { sql } = stack.database;
      await sql.unsafe(obstacle);

      const failed = await stack.send(event, { id: "msg_1" });

      assertEquals([failed.status, failed.text], [
        500,
        '{"outcome":"failed","message_id":"msg_1"}',
      ]);
      const row = await inboxRow(stack.database, "msg_1");
      assertMatch(JSON.stringify(row.error), new RegExp(`"sqlstate":"${sqlstate}"`));
      assertEquals(row.payload, kept(event));
      const [left] = await sql`
      select
        (select count(*)::int from public.profiles) as profiles,
        (select count(*)::int from pgmq.q_clerk_changes) as announced,
        (select version::int from clerk_sync.objects) as version
    `;
      assertEquals({ ...left }, { profiles: 0, announced: 0, version: 0 });

      await sql.unsafe(`
      drop trigger if exists _200_refuse on public.profiles;
      alter table public.profiles drop constraint if exists _no_ada;
    `);
      const applied = await stack.send(event, { id: "msg_1" });

      assertEquals([applied.status, applied.outcome], [200, "applied"]);
      assertEquals((await inboxRow(stack.database, "msg_1")).error, null);
    },
  );
}

stackTest(
  "unavailable: a database without our functions is 503, with PostgREST's code in the log",
  async (stack) => {
    await stack.database.sql`drop function public.ingest_clerk_event`;
    await stack.services.api.reload();

    const receipt = await stack.send(created());

    assertEquals([receipt.status, receipt.outcome], [503, "unavailable"]);
    assertEquals((await lastLog(stack, 1)).code, "PGRST202");
  },
);

stackTest("unavailable: a role without permission is 503, and nothing is stored", async (stack) => {
  const { sql } = stack.database;
  await sql`revoke execute on function public.ingest_clerk_event from clerk_ingest`;

  const receipt = await stack.send(created());

  assertEquals([receipt.status, receipt.outcome], [503, "unavailable"]);
  assertEquals((await lastLog(stack, 1)).code, "42501");
  assertEquals(await rowsOfOurs(stack.database), 0);
});

stackTest(
  "no log line and no answer holds an address, a name or private metadata",
  async (stack) => {
    const needle = "needle-in-a-haystack";
    const user = aClerkUser({
      id: ADA,
      first_name: needle,
      email_addresses: [{ id: "idn_1", email_address: `${needle}@example.com` }],
      primary_email_address_id: "idn_1",
      private_metadata: { secret: needle },
    });
    await stack.database.sql`alter table public.profiles add constraint c check (username is null)`;

    const receipts = [
      await stack.send(anEvent("user.created", user)),
      await stack.send(
        anEvent("user.updated", { ...user, username: needle, updated_at: Date.now() + 5 }),
      ),
      await stack.send(anEvent("user.updated", { ...user, banned: needle })),
      await stack.send(`{"type":"user.created","data":"${needle}`),
      await stack.send(anEvent("user.created", user), { secret: aSigningSecret() }),
    ];

    assertEquals(receipts.map(({ outcome }) => outcome), [
      "applied",
      "failed",
      "unreadable",
      "unreadable",
      "bad_signature",
    ]);
    await lastLog(stack, 5);
    assertEquals(`${receipts.map(({ text }) => text)}${stack.log}`.includes(needle), false);
  },
);

stackTest("private metadata is in no table that a client role can read", async (stack) => {
  await stack.send(created({ private_metadata: { secret: "needle-in-a-haystack" } }));

  const [row] = await stack.database
    .sql`select to_jsonb(profiles)::text as text from public.profiles`;

  assertEquals(String(row?.text).includes("needle"), false);
  assertEquals(await stack.database.rowsWith("needle-in-a-haystack"), 1);
});
