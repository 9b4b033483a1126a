import { assertEquals, assertGreater } from "@std/assert";
import { fileURLToPath } from "node:url";
import { EVENTS } from "../../hosted/clerk_endpoint.ts";
import { EMAIL_CODE, everyEvent, SMS_CODE, WAITING_ADDRESS } from "../fixtures/every_event.ts";
import { stackTest, type TestStack } from "../test_stack.ts";

// The table of docs/events.md, compared with Clerk's list and with what the webhook does.

const DEPLOY_PAGE = new URL("../../docs/deploy.md", import.meta.url);
const EVENT = new URL("../../functions/clerk-webhook/event.ts", import.meta.url);
const PAGE = fileURLToPath(new URL("../../docs/events.md", import.meta.url));

/** Clerk's event types, all 45, as of November 2026. */
const OFFICIAL = [
  "email.created",
  "organization.created",
  "organization.deleted",
  "organization.updated",
  "organizationDomain.created",
  "organizationDomain.deleted",
  "organizationDomain.updated",
  "organizationInvitation.accepted",
  "organizationInvitation.created",
  "organizationInvitation.revoked",
  "organizationMembership.created",
  "organizationMembership.deleted",
  "organizationMembership.updated",
  "paymentAttempt.created",
  "paymentAttempt.updated",
  "permission.created",
  "permission.deleted",
  "permission.updated",
  "role.created",
  "role.deleted",
  "role.updated",
  "session.created",
  "session.ended",
  "session.pending",
  "session.removed",
  "session.revoked",
  "sms.created",
  "subscription.active",
  "subscription.created",
  "subscription.pastDue",
  "subscription.updated",
  "subscriptionItem.abandoned",
  "subscriptionItem.active",
  "subscriptionItem.canceled",
  "subscriptionItem.ended",
  "subscriptionItem.freeTrialEnding",
  "subscriptionItem.incomplete",
  "subscriptionItem.pastDue",
  "subscriptionItem.upcoming",
  "subscriptionItem.updated",
  "user.created",
  "user.deleted",
  "user.updated",
  "waitlistEntry.created",
  "waitlistEntry.updated",
];

/** What the page says about one event type. */
interface Statement {
  readonly type: string;
  readonly outcome: string;
  /** The table that the effect names, if it names one. */
  readonly table: string | null;
}

const WORD = /`([^`]+)`/g;

function wordsIn(cell: string): string[] {
  return [...cell.matchAll(WORD)].map(([, word = ""]) => word);
}

/** The rows of the table that begins with `| event type`. */
async function readTable(): Promise<Statement[]> {
  const lines = (await Deno.readTextFile(PAGE)).split("\n");
  const head = lines.findIndex((line) => /^\| event type +\|/.test(line));
  const rows = lines.slice(head + 2);
  const end = rows.findIndex((line) => !line.startsWith("|"));

  return rows.slice(0, end).flatMap((row) => {
    const [types = "", outcome = "", effect = ""] = row.split("|").slice(1);
    const [table] = wordsIn(effect);
    return wordsIn(types).map((type) => ({
      type,
      outcome: wordsIn(outcome).join(),
      table: table ?? null,
    }));
  });
}

/** How many rows of a table are about this object. */
async function rowsAbout({ database }: TestStack, table: string, id: string): Promise<number> {
  const schema = table.includes(".") ? "" : "public.";
  const [row] = await database.sql.unsafe<{ count: number }[]>(
    `select count(*)::int as count from ${schema}${table} where id = $1`,
    [id],
  );
  return row?.count ?? -1;
}

function idOf(event: { readonly data?: unknown }): string {
  const { data } = event;
  return typeof data === "object" && data !== null && "id" in data ? String(data.id) : "";
}

Deno.test("the list has each event type that the webhook knows, but for a withdrawn one", async () => {
  const source = await Deno.readTextFile(EVENT);
  const [schemas = ""] = /^const SCHEMAS[^]*?^\];/m.exec(source) ?? [];

  const known = [...schemas.matchAll(/"(\w+\.\w+)"/g)].map(([, type = ""]) => type);

  assertGreater(known.length, 30);
  // Withdrawn by Clerk.
  assertEquals(known.filter((type) => !OFFICIAL.includes(type)), ["subscriptionItem.created"]);
});

Deno.test("the page lists each of Clerk's event types exactly once", async () => {
  const table = await readTable();

  assertEquals(table.map(({ type }) => type).sort(), OFFICIAL);
});

Deno.test("the page gives every event type one of two outcomes, applied or ignored", async () => {
  const table = await readTable();

  assertEquals([...new Set(table.map(({ outcome }) => outcome))].sort(), ["applied", "ignored"]);
});

Deno.test("deploy and its page tell people to send every kind of event that writes a table", async () => {
  const [, steps = ""] = (await Deno.readTextFile(DEPLOY_PAGE)).split("\n- Events: all of ");
  const kinds = (await readTable())
    .filter(({ outcome, table }) => outcome === "applied" && table !== "clerk_sync.objects")
    .map(({ type }) => type.replace(/\..*/, ""));

  assertEquals([...EVENTS].sort(), [...new Set(kinds)].sort());
  assertEquals(wordsIn(steps.split(";")[0] ?? ""), EVENTS);
});

Deno.test("there is an example event for each of Clerk's event types", () => {
  assertEquals(everyEvent().map(({ type }) => type).sort(), OFFICIAL);
});

stackTest(
  "each event type has the outcome and the effect that the page states",
  async (stack) => {
    const stated = new Map((await readTable()).map((statement) => [statement.type, statement]));
    const outcomes: [string, string][] = [];
    const missing: string[] = [];

    for (const { type, event } of everyEvent()) {
      const { status, outcome } = await stack.send(event);
      outcomes.push([type, `${outcome} ${status}`]);

      const table = stated.get(type)?.table ?? null;
      if (table !== null && await rowsAbout(stack, table, idOf(event)) !== 1) missing.push(type);
    }

    assertEquals(
      outcomes,
      everyEvent().map(({ type }) => [type, `${stated.get(type)?.outcome} 200`]),
    );
    assertEquals(missing, []);
    assertGreater([...stated.values()].filter(({ table }) => table !== null).length, 20);
  },
);

stackTest(
  "an event of an ignored type is stored in the inbox and changes nothing else",
  async (stack) => {
    const table = await readTable();
    const ignored = table.filter(({ outcome }) => outcome === "ignored").map(({ type }) => type);
    const events = everyEvent().filter(({ type }) => ignored.includes(type));

    for (const { event } of events) await stack.send(event);

    const [rows] = await stack.database.sql`
    select
      (select count(*)::int from clerk_sync.inbox) as inbox,
      (select count(*)::int from clerk_sync.objects where version > 0 or data is not null) as objects,
      (select count(*)::int from public.profiles) as profiles,
      (select count(*)::int from pgmq.q_clerk_changes) as announced
  `;
    assertEquals({ ...rows }, { inbox: 9, objects: 0, profiles: 0, announced: 0 });
  },
);

stackTest("one-time codes and waitlist addresses are stored nowhere", async (stack) => {
  const secret = /^(email|sms|waitlistEntry)\./;
  const events = everyEvent().filter(({ type }) =>
    secret.test(type) || type.startsWith("session.")
  );

  for (const { event } of events) await stack.send(event);

  assertEquals(
    await Promise.all([EMAIL_CODE, SMS_CODE, WAITING_ADDRESS].map(stack.database.rowsWith)),
    [0, 0, 0],
  );
  // Control: payloads that arrive in the same way and may be kept are there.
  const kept = await stack.database.sql<{ type: string }[]>`
    select type from clerk_sync.inbox where payload is not null order by type collate "C"
  `;
  assertEquals(kept.map(({ type }) => type), [
    "session.created",
    "session.ended",
    "session.pending",
    "session.removed",
    "session.revoked",
  ]);
});
