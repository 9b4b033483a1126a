import { isDeepStrictEqual } from "node:util";
import type { Message } from "../../local/clerk/deliver.ts";
import { type Attempt, isAcknowledged } from "../../local/clerk/send_all.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { expectedRows, type Rows } from "./model.ts";
import { ROWS } from "./rows.ts";

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
    const [found] = await sql.unsafe<{ rows: Rows }[]>(`select ${ROWS} as rows`);
    const expected = expectedRows(
      messages.map(({ id, body }) => ({ id, event: JSON.parse(body) })),
      new Set(),
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
