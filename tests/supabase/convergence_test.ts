import { assertEquals } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../cli/clerk_events.ts";
import type { Json } from "../../functions/_shared/json.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import { random } from "../random.ts";

// I4 for users: any order, duplication and concurrency, with holes or without, ends in the same rows.

const BASE = 1_760_000_000_000;
const WORLDS = 25;

interface Delivery {
  readonly messageId: string;
  readonly event: Json;
}

/** The events that Clerk sends about a few people: equal times, missing fields, deletions. */
function aWorld(pick: (below: number) => number): Delivery[] {
  const deliveries: Delivery[] = [];

  for (let person = 0; person <= pick(4); person++) {
    const id = `user_${person}`;
    for (let step = 0; step <= pick(6); step++) {
      const at = BASE + pick(4);
      const user = aClerkUser({
        id,
        first_name: `Name${deliveries.length}`,
        created_at: BASE,
        updated_at: at,
        last_active_at: BASE,
        last_sign_in_at: BASE,
        primary_email_address_id: "idn_1",
        email_addresses: [{ id: "idn_1", email_address: `${deliveries.length}@example.com` }],
      });
      if (pick(5) === 0) delete user.updated_at;
      const envelope = pick(5) === 0 ? { timestamp: null } : { timestamp: at + pick(3) };
      deliveries.push({
        messageId: `msg_${deliveries.length}`,
        event: anEvent(step === 0 ? "user.created" : "user.updated", user, envelope),
      });
    }
    if (pick(3) === 0) {
      deliveries.push({
        messageId: `msg_${deliveries.length}`,
        event: anEvent("user.deleted", aDeletedClerkUser(id), { timestamp: BASE }),
      });
    }
  }
  return deliveries;
}

async function rowsOf({ sql }: TestDatabase): Promise<unknown[]> {
  return [
    ...await sql`
    select to_jsonb(profiles) - 'synced_at' - 'deleted_at' as row, deleted_at is not null as deleted
    from public.profiles
    order by id
  `,
  ];
}

async function forget({ sql }: TestDatabase): Promise<void> {
  await sql`truncate public.profiles, clerk_sync.objects, clerk_sync.inbox, pgmq.q_clerk_changes`;
}

databaseTest(`${WORLDS} worlds of events end in the same rows in any order`, async (database) => {
  const seed = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 1e9));
  const pick = random(seed);

  for (let world = 0; world < WORLDS; world++) {
    const holes = world % 2 === 0 ? 0 : 0.3;
    const events = aWorld(pick).filter(() => pick(1000) / 1000 >= holes);
    const disorder = [...events, ...events.filter(() => pick(3) === 0)]
      .map((delivery) => ({ delivery, at: pick(1e9) }))
      .sort((one, other) => one.at - other.at)
      .map(({ delivery }) => delivery);

    await forget(database);
    for (const { messageId, event } of events) await database.ingest(messageId, event);
    const inOrder = await rowsOf(database);

    await forget(database);
    await Promise.all(
      disorder.map(({ messageId, event }) => database.ingest(messageId, event)),
    );

    assertEquals(await rowsOf(database), inOrder, `SEED=${seed}, world ${world}`);
    const announced = await database.sql`
      select distinct on (message ->> 'id')
        message ->> 'id' as id, message ->> 'topic' = 'profile.deleted' as deleted
      from pgmq.q_clerk_changes
      order by message ->> 'id', msg_id desc
    `;
    const rows = await database.sql`
      select id, deleted_at is not null as deleted from public.profiles order by id
    `;
    assertEquals([...announced], [...rows], `SEED=${seed}, world ${world}: last messages`);
  }
});
