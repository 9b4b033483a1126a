import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { storableText } from "../../functions/_shared/clerk_sync/json.ts";
import { everyEvent } from "../fixtures/every_event.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import {
  aHugeText,
  aMessageId,
  aValidEvent,
  mutated,
  pathsIn,
  TEXTS,
  withIdsOfItsOwn,
  withValueAt,
} from "./hostile_json.ts";
import { oneOf, type Pick, roundsOr, seeded } from "../random.ts";

// The entry points of the database, called directly as clerk_ingest: they answer everything, also without
// the function's checks before them.

interface Call {
  readonly messageId: string;
  readonly sql: string;
  /** The arguments after the message id. */
  readonly values: readonly (string | readonly string[] | null)[];
}

/** The event as the webhook passes it: a JSON string with its text. */
function ingesting(messageId: string, event: string): Call {
  const sql = "select public.ingest_clerk_event($1, to_jsonb($2::text)) as answer";
  return { messageId, sql, values: [event] };
}

/** The same with any of its values left out, and as another type. */
function ingestingParts(messageId: string, event: string, pick: Pick): Call {
  const sql = "select public.ingest_clerk_event($1, to_jsonb($2::text), $3::text[], $4) as answer";
  const paths = pathsInText(event);
  const dropped = Array.from({ length: pick(4) }, () => oneOf(pick, ["", ...paths]));
  const asType = oneOf(pick, [null, "user.updated", "a.b", oneOf(pick, TEXTS)]);
  return { messageId, sql, values: [event, dropped.map(sendable), asType && sendable(asType)] };
}

function pathsInText(event: string): string[] {
  try {
    return pathsIn(JSON.parse(event));
  } catch {
    // No JSON, or too deep.
    return [];
  }
}

function keeping(messageId: string, event: string, pick: Pick): Call {
  const sql = "select public.keep_clerk_event($1, to_jsonb($2::text), $3, as_type => $4) as answer";
  const asType = oneOf(pick, [null, "user.updated", "a.b", oneOf(pick, TEXTS)]);
  const sqlstate = oneOf(pick, ["57014", "40P01", "", "x"]);
  return { messageId, sql, values: [event, sqlstate, asType && sendable(asType)] };
}

function rejecting(messageId: string, pick: Pick, payload: string): Call {
  const sql =
    "select public.record_clerk_rejection($1, $2, $3::text::jsonb, to_jsonb($4::text)) as answer";
  const type = oneOf(pick, [null, "user.created", sendable(oneOf(pick, TEXTS))]);
  const issues = oneOf(pick, ["null", "[]", '[{"path":"data","code":"invalid_type"}]', '"x"']);
  return { messageId, sql, values: [type, issues, payload] };
}

/** NULs never reach the database, as in the webhook. */
function sendable(text: string): string {
  return storableText(text);
}

/** What may be answered. Only `keep_clerk_event` says `failed`, as no trigger here raises. */
const OUTCOMES = ["applied", "stale", "duplicate", "ignored", "unreadable", "failed"];

/** Deadlock, resources, cancellation, unavailable lock: try again. */
const TRY_AGAIN = /^(40|53|57)|^55P03$/;

interface Tally {
  /** What must not happen, with the call that caused it. */
  readonly findings: string[];
  readonly outcomes: Map<string, number>;
  /** The outcomes of every message that was answered. */
  readonly answered: Map<string, string[]>;
}

/** Makes every call, eight at a time, each in a transaction as the webhook's role. */
async function callAll(database: TestDatabase, calls: readonly Call[]): Promise<Tally> {
  const tally: Tally = { findings: [], outcomes: new Map(), answered: new Map() };
  const pool = database.connect(8);
  const waiting = [...calls];

  const work = async (): Promise<void> => {
    for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) {
      const outcome = await answerTo(pool, call);
      const isWrong = outcome.startsWith("failed") && !call.sql.includes("keep_clerk_event");
      if (isWrong || !OUTCOMES.includes(outcome) && !TRY_AGAIN.test(outcome)) {
        tally.findings.push(`${outcome} ← ${call.sql} ${call.values.join(" ").slice(0, 2_000)}`);
      }
      tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
      if (OUTCOMES.includes(outcome)) {
        const earlier = tally.answered.get(call.messageId) ?? [];
        tally.answered.set(call.messageId, [...earlier, outcome]);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));

  console.log(Object.fromEntries(tally.outcomes));
  return tally;
}

/** The outcome, or the SQLSTATE of the error. */
async function answerTo(pool: postgres.Sql, call: Call): Promise<string> {
  const { messageId, sql, values } = call;
  try {
    return await pool.begin(async (transaction) => {
      await transaction`set local role clerk_ingest`;
      const [row] = await transaction.unsafe<{ answer: { outcome: string; sqlstate?: string } }[]>(
        sql,
        [messageId, ...values],
      );
      const { outcome, sqlstate } = row?.answer ?? { outcome: "no answer" };
      return sqlstate === undefined || sql.includes("keep_clerk_event")
        ? outcome
        : `${outcome} ${sqlstate}`;
    });
  } catch (error) {
    if (error instanceof postgres.PostgresError) return error.code;
    return String(error);
  }
}

/** Answered messages that the inbox does not hold with one of their answered outcomes. */
async function notKept({ sql }: TestDatabase, { answered }: Tally): Promise<string[]> {
  const rows = await sql<{ message_id: string; outcome: string }[]>`
    select message_id, outcome from clerk_sync.inbox
  `;
  const kept = new Map(rows.map(({ message_id, outcome }) => [message_id, outcome]));
  return [...answered]
    .filter(([id, outcomes]) => {
      const outcome = kept.get(id) ?? "";
      // A failed event about a user becomes stale when the user is deleted.
      return !outcomes.includes(outcome) && !(outcome === "stale" && outcomes.includes("failed"));
    })
    .map(([id, outcomes]) => `${id}: told ${outcomes}, kept ${kept.get(id)}`);
}

databaseTest("every event, however wrong, has an outcome and is kept", async (database) => {
  const pick = seeded();
  const rounds = roundsOr(1_500);
  const calls = Array.from({ length: rounds }, (_, number) => {
    const text = sendable(mutated(aValidEvent(pick, number), pick));
    const id = aMessageId(pick);
    switch (pick(8)) {
      case 0:
        return rejecting(id, pick, text);
      case 1:
        return keeping(id, text, pick);
      case 2:
        return ingestingParts(id, text, pick);
      default:
        return ingesting(id, text);
    }
  });

  const tally = await callAll(database, calls);

  assertEquals(tally.findings, []);
  assertEquals(await notKept(database, tally), []);
  // The control: many of the wrong events are still applied.
  for (const outcome of OUTCOMES) assert((tally.outcomes.get(outcome) ?? 0) > 0, outcome);
});

databaseTest("a huge text fits wherever it stands in an event", async (database) => {
  const pick = seeded();
  const seen = new Set<string>();
  const calls: Call[] = [];
  for (const { type, event } of everyEvent()) {
    for (const path of pathsIn(event)) {
      const place = `${type.split(".")[0]} ${path}`;
      if (seen.has(place)) continue;
      seen.add(place);
      const wrong = withValueAt(withIdsOfItsOwn(event, pick), path, aHugeText(pick));
      const messageId = `msg_${calls.length}`;
      calls.push(ingesting(messageId, JSON.stringify(wrong)));
    }
  }

  const tally = await callAll(database, calls);

  assertEquals(tally.findings, []);
  assertEquals(await notKept(database, tally), []);
  assert(calls.length > 300, `${calls.length} places`);
});
