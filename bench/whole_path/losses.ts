import { type Message, signedHeadersFor } from "../../local/clerk/deliver.ts";
import type { Crowd, Person } from "../../tests/clerk/crowd.ts";
import type { Contender } from "./contender.ts";
import { attempt, SENDERS } from "./load.ts";

/** What a handler lost, in users unless noted. */
export interface Losses {
  /** Deleted at Clerk, but still or again here. */
  readonly resurrected: number;
  /** At Clerk, but not here. */
  readonly missing: number;
  /** Here in an older state. */
  readonly stale: number;
  /** In the current state, but with an address that is not the primary one. */
  readonly wrongEmail: number;
  /** Messages that were refused {@linkcode ATTEMPTS} times. */
  readonly givenUp: number;
  /** Rows written when every message was delivered once more at the end. */
  readonly writesByReplay: number;
}

/** Number of Svix's attempts. */
const ATTEMPTS = 8;

/** Delivers the messages, lets the function crash on the way, and counts what is missing or wrong. */
export async function lossesOf(
  contender: Contender,
  { people, messages, deliveries }: Crowd,
  { crashes, senders = SENDERS }: { crashes: number; senders?: number },
): Promise<Losses> {
  const { sql, approach } = contender;
  await sql.unsafe(`
    create sequence if not exists public.written_rows;
    create or replace function public.count_written_row() returns trigger
      language plpgsql security definer set search_path = ''
      as $$ begin perform nextval('public.written_rows'); return null; end $$;
    create or replace trigger _999_count after insert or update or delete on ${approach.table}
      for each row execute function public.count_written_row();
  `).simple();

  const everyCrash = Math.ceil(deliveries.length / (crashes + 1));
  const givenUp = await deliver(contender, deliveries, senders, everyCrash);
  const living = approach.table === "public.profiles" ? sql`and deleted_at is null` : sql``;
  const rows = await sql<{ id: string; first_name: string | null; email: string | null }[]>`
    select id, first_name, email
    from ${sql(approach.table)}
    where id = any (${people.map(({ id }) => id)}) ${living}
  `;
  const before = await writtenRows(contender);
  await deliver(contender, messages, senders, Infinity);
  const writesByReplay = await writtenRows(contender) - before;

  const here = new Map(rows.map((row) => [row.id, row]));
  const count = (is: (person: Person) => boolean): number => people.filter(is).length;
  const isAsNow = ({ id, firstName }: Person): boolean => here.get(id)?.first_name === firstName;
  return {
    resurrected: count(({ id, deleted }) => deleted && here.has(id)),
    missing: count(({ id, deleted }) => !deleted && !here.has(id)),
    stale: count((person) => !person.deleted && here.has(person.id) && !isAsNow(person)),
    wrongEmail: count((person) =>
      !person.deleted && isAsNow(person) && here.get(person.id)?.email !== person.email
    ),
    givenUp,
    writesByReplay,
  };
}

/**
 * Sends every message until it is answered with 2xx or was refused too often.
 *
 * @returns how many messages were never accepted
 */
async function deliver(
  contender: Contender,
  deliveries: readonly Message[],
  senders: number,
  everyCrash: number,
): Promise<number> {
  const waiting = deliveries.map((message) => ({ message, refusals: 0 }));
  const refused = new Set<string>();
  const taken = new Set<string>();
  let sent = 0;
  let crashing: Promise<void> | undefined;

  await Promise.all(Array.from({ length: senders }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (++sent % everyCrash === 0) {
        // The deliveries that the other senders have in flight break off.
        crashing = contender.crash();
      }
      await crashing;
      const { message } = next;
      const headers = signedHeadersFor(message, contender.signingSecret);
      const status = await attempt(contender.url(), headers, message.body);
      if (status >= 200 && status < 300) {
        taken.add(message.id);
        continue;
      }
      const refusals = next.refusals + (status === 0 ? 0 : 1);
      if (refusals === ATTEMPTS) refused.add(message.id);
      else waiting.push({ message, refusals });
    }
  }));
  return refused.difference(taken).size;
}

async function writtenRows({ sql }: Contender): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select case when is_called then last_value::int else 0 end as count from public.written_rows
  `;
  return row?.count ?? 0;
}
