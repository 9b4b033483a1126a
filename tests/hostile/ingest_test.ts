import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import type { Json } from "../../functions/clerk-webhook/json.ts";
import { everyEvent } from "../fixtures/every_event.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import {
  aHostileValue,
  aHugeText,
  aMessageId,
  aValidEvent,
  hostileText,
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
  /** The arguments after the message id: a text, then JSON texts. */
  readonly type: string | null;
  readonly json: readonly string[];
}

function ingesting(messageId: string, event: string): Call {
  const sql = "select public.ingest_clerk_event($1, $3::text::jsonb) as answer, $2::text";
  return { messageId, sql, type: null, json: [event] };
}

function rejecting(messageId: string, pick: Pick, payload: string): Call {
  const sql =
    "select public.record_clerk_rejection($1, $2, $3::text::jsonb, $4::text::jsonb) as answer";
  const type = oneOf(pick, [null, "user.created", oneOf(pick, TEXTS).replaceAll("\0", "")]);
  const issues = oneOf<Json>(pick, [null, [], [{ path: "data", code: "invalid_type" }], "x"]);
  const hostile = pick(3) === 0 ? aHostileValue(pick) : issues;
  return { messageId, sql, type, json: [hostileText(hostile), payload] };
}

/** What `ingest_clerk_event` may answer; it never says `failed`, as no trigger here raises. */
const OUTCOMES = ["applied", "stale", "duplicate", "ignored", "unreadable"];

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
      if (!OUTCOMES.includes(outcome) && !await isExcused(database, call, outcome)) {
        tally.findings.push(`${outcome} ← ${call.sql} ${call.json.join(" ").slice(0, 2_000)}`);
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
  const { messageId, sql, type, json } = call;
  try {
    return await pool.begin(async (transaction) => {
      await transaction`set local role clerk_ingest`;
      const [row] = await transaction.unsafe<{ answer: { outcome: string; sqlstate?: string } }[]>(
        sql,
        [messageId, type, ...json],
      );
      const { outcome, sqlstate } = row?.answer ?? { outcome: "no answer" };
      return sqlstate === undefined ? outcome : `${outcome} ${sqlstate}`;
    });
  } catch (error) {
    if (error instanceof postgres.PostgresError) return error.code;
    return String(error);
  }
}

/** Whether it is a documented SQLSTATE, or the text is not jsonb. */
async function isExcused({ admin }: TestDatabase, call: Call, code: string): Promise<boolean> {
  if (TRY_AGAIN.test(code)) return true;
  for (const text of call.json) {
    const isJsonb = await admin`select pg_input_is_valid(${text}, 'jsonb') as valid`
      // A NUL cannot be sent, and thousands of levels exhaust the parser's stack.
      .then(([row]) => row?.valid === true, () => false);
    if (!isJsonb) return true;
  }
  return false;
}

/** Answered messages that the inbox does not hold with one of their answered outcomes. */
async function notKept({ sql }: TestDatabase, { answered }: Tally): Promise<string[]> {
  const rows = await sql<{ message_id: string; outcome: string }[]>`
    select message_id, outcome from clerk_sync.inbox
  `;
  const kept = new Map(rows.map(({ message_id, outcome }) => [message_id, outcome]));
  return [...answered]
    .filter(([id, outcomes]) => !outcomes.includes(kept.get(id) ?? ""))
    .map(([id, outcomes]) => `${id}: told ${outcomes}, kept ${kept.get(id)}`);
}

databaseTest("every event, however wrong, has an outcome and is kept", async (database) => {
  const pick = seeded();
  const rounds = roundsOr(1_500);
  const calls = Array.from({ length: rounds }, (_, number) => {
    const text = mutated(aValidEvent(pick, number), pick);
    return pick(5) === 0
      ? rejecting(aMessageId(pick), pick, text)
      : ingesting(aMessageId(pick), text);
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
      calls.push(ingesting(`msg_${calls.length}`, JSON.stringify(wrong)));
    }
  }

  const tally = await callAll(database, calls);

  assertEquals(tally.findings, []);
  assertEquals(await notKept(database, tally), []);
  assert(calls.length > 300, `${calls.length} places`);
});
