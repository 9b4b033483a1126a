import { assertEquals } from "@std/assert";
import type { Message } from "../../local/clerk/deliver.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { expectedRows, rowsIn } from "./model.ts";
import { type Attempt, isAcknowledged } from "./senders.ts";

/** What became of a load. */
export interface Verdict {
  readonly sent: number;
  /** Deliveries that were answered with 2xx. */
  readonly acknowledged: number;
  /** Those of them that the inbox holds. */
  readonly kept: number;
  /** Those of them that it does not. */
  readonly lost: number;
  /** Attempts by status and word, such as `503 unavailable`; the acknowledged ones aside. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Deliveries that were committed although the first attempts were not answered with 2xx. */
  readonly committedUnanswered: number;
  /** Whether the rows are those of the model. */
  readonly equalsModel: boolean;
  /** Downstream messages that say of one event what another has said already. */
  readonly announcedTwice: number;
}

/** Counts what the senders saw against what the database holds. */
export async function verdictOn(
  databaseUrl: string,
  messages: readonly Message[],
  attempts: readonly Attempt[],
): Promise<Verdict> {
  const acknowledged = attempts.filter(isAcknowledged);
  const refusals: Record<string, number> = {};
  for (const { status, outcome } of attempts.filter((attempt) => !isAcknowledged(attempt))) {
    const word = `${status} ${outcome}`;
    refusals[word] = (refusals[word] ?? 0) + 1;
  }

  return await withConnection(databaseUrl, async (sql) => {
    const rows = await sql<{ message_id: string }[]>`
      select message_id from clerk_sync.inbox where outcome in ('applied', 'stale', 'ignored')
    `;
    const inbox = new Set(rows.map(({ message_id }) => message_id));
    const kept = acknowledged.filter(({ messageId }) => inbox.has(messageId)).length;
    const [queue] = await sql<{ twice: number }[]>`
      select count(*)::int as twice
      from (
        select from pgmq.q_clerk_changes
        group by message - 'changed'
        having count(*) > 1
      ) as said
    `;

    return {
      sent: messages.length,
      acknowledged: acknowledged.length,
      kept,
      lost: acknowledged.length - kept,
      refusals,
      committedUnanswered: acknowledged.filter(({ outcome }) => outcome === "duplicate").length,
      equalsModel: isSame(await rowsIn(sql), expectedRows(messages)),
      announcedTwice: queue?.twice ?? 0,
    };
  });
}

/**
 * Prints a verdict on one line, and requires that nothing was lost: everything was acknowledged in the
 * end, everything acknowledged is in the database, and nothing else.
 *
 * @param allowed the refusals that are honest in this fault
 */
export function assertNothingLost(
  fault: string,
  verdict: Verdict,
  allowed: readonly string[],
): void {
  const { sent, acknowledged, kept, lost, refusals, committedUnanswered } = verdict;
  const refused = Object.entries(refusals).map(([word, count]) => `${word} ×${count}`).join(", ");
  console.log(
    `${fault}: sent ${sent}, acknowledged ${acknowledged}, kept ${kept}, lost ${lost}` +
      `; refused attempts: ${refused || "none"}; committed unanswered ${committedUnanswered}`,
  );

  assertEquals(
    {
      lost,
      acknowledged,
      dishonest: Object.keys(refusals).filter((word) => !allowed.includes(word)),
      equalsModel: verdict.equalsModel,
      announcedTwice: verdict.announcedTwice,
    },
    { lost: 0, acknowledged: sent, dishonest: [], equalsModel: true, announcedTwice: 0 },
  );
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(inOneOrder(one)) === JSON.stringify(inOneOrder(other));
}

/** Keys sorted, since jsonb has an order of its own. */
function inOneOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOneOrder);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1)
      .map(([key, each]) => [key, inOneOrder(each)]),
  );
}
