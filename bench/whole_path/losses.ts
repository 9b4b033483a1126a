import {
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  anId,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { type Message, signedHeadersFor } from "../../local/clerk/deliver.ts";
import { random } from "../../tests/random.ts";
import type { Contender } from "./contender.ts";
import { aMessage, attempt, SENDERS } from "./load.ts";

/** What should be known of a person in the end. */
interface Person {
  readonly id: string;
  readonly deleted: boolean;
  readonly firstName: string;
  readonly email: string;
}

/** People, what happened to them, and in which order it is delivered. */
export interface World {
  readonly people: readonly Person[];
  /** Each message once, in the order of events. */
  readonly messages: readonly Message[];
  /** Each message once to three times, in the order of delivery. */
  readonly deliveries: readonly Message[];
}

/** What a handler lost, in people unless said otherwise. */
export interface Losses {
  /** Deleted at Clerk, still or again here. */
  readonly resurrected: number;
  /** At Clerk, not here. */
  readonly missing: number;
  /** Here as they once were. */
  readonly stale: number;
  /** As they are, but with an address that is not the primary one. */
  readonly wrongEmail: number;
  /** Messages that no attempt brought in: {@linkcode ATTEMPTS} were refused. */
  readonly givenUp: number;
  /** Rows written when every message, long done, came once more. */
  readonly writesByReplay: number;
}

/** Svix tries so often. */
const ATTEMPTS = 8;

/** A world of so many people; the same seed makes the same one, but for ids and times. */
export function aWorld(size: number, seed: number): World {
  const pick = random(seed);
  const people: Person[] = [];
  const messages: Message[] = [];
  const start = Date.now() - 3600_000;

  for (let number = 0; number < size; number++) {
    const id = anId("user");
    const changes = 1 + pick(3);
    const deleted = pick(10) < 3;
    const primaryComesFirst = pick(5) > 0;
    let at = start + number * 1000;
    const say = (type: string, data: JsonObject): void => {
      messages.push(aMessage(anEvent(type, data, { timestamp: at + 20 })));
      at += 60_000;
    };

    // Each change brings a new name and a new address.
    const stateAfter = (change: number): Person => ({
      id,
      deleted,
      firstName: `Person ${number}.${change}`,
      email: `person.${number}.${change}@example.com`,
    });
    const seen = ({ firstName, email }: Person): JsonObject =>
      aClerkUser({
        id,
        first_name: firstName,
        ...addresses(email, primaryComesFirst),
        created_at: start,
        updated_at: at,
      });
    say("user.created", seen(stateAfter(0)));
    for (let change = 1; change <= changes; change++) {
      say("user.updated", seen(stateAfter(change)));
    }
    if (deleted) say("user.deleted", aDeletedClerkUser(id));
    people.push(stateAfter(changes));
  }

  const deliveries = messages
    .flatMap((message) => Array.from({ length: [1, 1, 1, 2, 3][pick(5)] ?? 1 }, () => message))
    .map((message) => ({ message, at: pick(2 ** 30) }))
    .sort((one, other) => one.at - other.at)
    .map(({ message }) => message);
  return { people, messages, deliveries };
}

/** Delivers a world, with crashes of the function on the way, and tells what is missing or wrong. */
export async function lossesOf(
  contender: Contender,
  { people, messages, deliveries }: World,
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
 * Sends every message until it is answered 2xx, or was refused too often.
 *
 * @returns how many messages were never taken
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
        // The others have deliveries under way, which break off.
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

/** The primary address and a former one; which of them stands first is Clerk's affair. */
function addresses(email: string, primaryComesFirst: boolean): JsonObject {
  const primary = { id: anId("idn"), email_address: email, verification: { status: "verified" } };
  const former = { id: anId("idn"), email_address: "former@example.org", verification: null };
  return {
    primary_email_address_id: primary.id,
    email_addresses: primaryComesFirst ? [primary, former] : [former, primary],
  };
}
