import { isDeepStrictEqual } from "node:util";
import type { Message } from "../../local/clerk/deliver.ts";
import { type Attempt, isAcknowledged } from "../../local/clerk/send_all.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { expectedRows, type Rows } from "./model.ts";
import { ROWS } from "./rows.ts";

/** The result of a load. */
export interface Verdict {
  readonly sent: number;
  /** Deliveries that were answered with 2xx. */
  readonly acknowledged: number;
  /** Acknowledged deliveries that the inbox holds. */
  readonly kept: number;
  /** Acknowledged deliveries that it does not hold. */
  readonly lost: number;
  /** Attempts without a 2xx, counted by status and outcome, such as `503 unavailable`. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Deliveries that an attempt committed without being answered with 2xx. */
  readonly committedUnanswered: number;
  /** Whether the rows equal the model's. */
  readonly equalsModel: boolean;
  /** Downstream messages that repeat another one about the same event. */
  readonly announcedTwice: number;
}

/** Compares what the senders were told with what the database holds. */
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
    const [found] = await sql.unsafe<{ rows: Rows }[]>(`select ${ROWS} as rows`);
    const expected = expectedRows(
      messages.map(({ id, body }) => ({ id, event: JSON.parse(body) })),
      [],
    );

    return {
      sent: messages.length,
      acknowledged: acknowledged.length,
      kept,
      lost: acknowledged.length - kept,
      refusals,
      committedUnanswered: acknowledged.filter(({ outcome }) => outcome === "duplicate").length,
      equalsModel: isDeepStrictEqual(found?.rows, expected),
      announcedTwice: queue?.twice ?? 0,
    };
  });
}
