import { assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../cli/clerk_events.ts";
import type { Json } from "../../functions/_shared/json.ts";
import { random } from "../random.ts";
import { type Answer, databaseTest, type TestDatabase } from "../test_database.ts";

// I4: any order, duplication and concurrency, with holes or without, ends in the same rows.

const BASE = 1_760_000_000_000;
const WORLDS = Number(Deno.env.get("WORLDS") ?? 20);

interface Delivery {
  readonly messageId: string;
  readonly event: Json;
}

type Pick = (below: number) => number;

/**
 * The events that Clerk sends about a few people and teams: equal times, missing fields, leaving and
 * coming back, deletions.
 */
function aWorld(pick: Pick): Delivery[] {
  const deliveries: Delivery[] = [];
  let clock = BASE;

  const send = (type: string, data: JsonObject): void => {
    // Two events can have the same time, and the envelope trails by a little, or is missing.
    clock += pick(2);
    const isDeletion = type === "user.deleted" || type === "organization.deleted";
    const timed = isDeletion || pick(6) === 0 ? data : { ...data, updated_at: clock };
    if (!isDeletion && timed === data) delete data.updated_at;
    const envelope = pick(6) === 0 ? { timestamp: null } : { timestamp: clock + pick(3) };
    deliveries.push({
      messageId: `msg_${String(deliveries.length).padStart(3, "0")}`,
      event: anEvent(type, timed, envelope),
    });
  };

  const users = Array.from({ length: 1 + pick(3) }, (_, number) => `user_${number}`);
  const organizations = Array.from({ length: 1 + pick(2) }, (_, number) => `org_${number}`);
  const fixed = { created_at: BASE, updated_at: BASE };

  for (const id of users) {
    for (let step = 0; step <= pick(3); step++) {
      send(
        step === 0 ? "user.created" : "user.updated",
        aClerkUser({
          ...fixed,
          id,
          first_name: `Name${deliveries.length}`,
          last_active_at: BASE,
          last_sign_in_at: BASE,
          primary_email_address_id: "idn_1",
          email_addresses: [{ id: "idn_1", email_address: `${deliveries.length}@example.com` }],
        }),
      );
    }
  }
  for (const id of organizations) {
    for (let step = 0; step <= pick(3); step++) {
      send(
        step === 0 ? "organization.created" : "organization.updated",
        aClerkOrganization({ ...fixed, id, name: `Team ${deliveries.length}` }),
      );
    }
    for (let invitation = 0; invitation < pick(3); invitation++) {
      const data = { ...fixed, id: `orginv_${id.slice(4)}${invitation}`, expires_at: BASE };
      send("organizationInvitation.created", aClerkInvitation(id, { ...data, status: "pending" }));
      if (pick(2) === 0) {
        send(
          "organizationInvitation.revoked",
          aClerkInvitation(id, { ...data, status: "revoked" }),
        );
      }
    }
  }
  for (const user of users) {
    for (const organization of organizations) {
      for (let stay = 0; stay < pick(3); stay++) {
        const id = `orgmem_${user.slice(5)}x${organization.slice(4)}x${stay}`;
        const member = (role: string): JsonObject =>
          aClerkMembership({ user, organization }, { ...fixed, id, role, created_at: BASE + stay });
        send("organizationMembership.created", member("org:member"));
        if (pick(2) === 0) {
          const { public_user_data: _, ...anonymous } = member("org:admin");
          send("organizationMembership.updated", pick(3) === 0 ? anonymous : member("org:admin"));
        }
        if (pick(2) === 0) send("organizationMembership.deleted", member("org:member"));
      }
    }
    if (pick(2) === 0) {
      const payer = pick(2) === 0 ? { user } : { organization: organizations[0] ?? "org_0" };
      const item = {
        ...fixed,
        id: `csub_item_${user.slice(5)}`,
        period_start: BASE,
        period_end: BASE,
      };
      const plan = { plan_id: "cplan_1", plan: { id: "cplan_1", slug: "pro", name: "Pro" } };
      send("subscriptionItem.active", aClerkSubscriptionItem(payer, { ...item, ...plan }));
      send(
        "subscriptionItem.canceled",
        aClerkSubscriptionItem(payer, { ...item, ...plan, status: "canceled" }),
      );
    }
  }
  for (const id of users) {
    if (pick(4) === 0) send("user.deleted", aDeletedClerkUser(id));
  }
  for (const id of organizations) {
    if (pick(4) === 0) send("organization.deleted", aDeletedClerkOrganization(id));
  }
  return deliveries;
}

/** What frontends can see of the rows, bookkeeping aside. */
async function rowsOf({ sql }: TestDatabase): Promise<unknown> {
  const [row] = await sql`
    select jsonb_build_object(
      'profiles', (
        select jsonb_agg(
          to_jsonb(t) - 'synced_at' - 'deleted_at' || jsonb_build_object('gone', deleted_at is not null)
          order by id)
        from public.profiles as t),
      'organizations', (
        select jsonb_agg(
          to_jsonb(t) - 'synced_at' - 'deleted_at' || jsonb_build_object('gone', deleted_at is not null)
          order by id)
        from public.organizations as t),
      'memberships', (
        select jsonb_agg(to_jsonb(t) - 'synced_at' order by id)
        from public.organization_memberships as t),
      'invitations', (
        select jsonb_agg(to_jsonb(t) - 'synced_at' order by id)
        from public.organization_invitations as t),
      'items', (
        select jsonb_agg(to_jsonb(t) - 'synced_at' order by id)
        from public.subscription_items as t)
    ) as rows
  `;
  return row?.rows;
}

/** The last word that was announced of each object, and what is true of it. */
async function announcementsThatLie({ sql }: TestDatabase): Promise<unknown[]> {
  return [
    ...await sql`
    with last as (
      select distinct on (message ->> 'id')
        message ->> 'id' as id, message ->> 'topic' as topic
      from pgmq.q_clerk_changes
      order by message ->> 'id', msg_id desc
    ),
    truth as (
      select id, deleted_at is null as lives from public.profiles
      union all
      select id, deleted_at is null from public.organizations
      union all
      select id, true from public.organization_memberships
    )
    select id, topic, lives
    from last
    full join truth using (id)
    where coalesce(lives, false) is distinct from (topic not like '%.deleted')
      or topic is null
  `,
  ];
}

async function forget({ sql }: TestDatabase): Promise<void> {
  await sql`
    truncate
      public.profiles, public.organizations, public.organization_memberships,
      public.organization_invitations, public.subscription_items, clerk_sync.objects,
      clerk_sync.inbox, pgmq.q_clerk_changes
  `;
}

/** Delivers as the webhook does: what collided is tried again. */
async function deliver(database: TestDatabase, { messageId, event }: Delivery): Promise<Answer> {
  for (;;) {
    try {
      return await database.ingest(messageId, event);
    } catch (error) {
      if (!["40001", "40P01"].includes((error as { code?: string }).code ?? "")) throw error;
      collisions++;
    }
  }
}

let collisions = 0;

/** As Svix does: what was not answered with 2xx comes again later. */
async function redeliver(database: TestDatabase, deliveries: Delivery[]): Promise<void> {
  for (const delivery of deliveries) await deliver(database, delivery);
}

databaseTest(`${WORLDS} worlds of events end in the same rows in any order`, async (database) => {
  const seed = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 1e9));
  const pick = random(seed);

  for (let world = 0; world < WORLDS; world++) {
    const where = `SEED=${seed}, world ${world}`;
    const holes = world % 2 === 0 ? 0 : 0.3;
    const events = aWorld(pick).filter(() => pick(1000) / 1000 >= holes);
    const disorder = [...events, ...events.filter(() => pick(3) === 0)]
      .map((delivery) => ({ delivery, at: pick(1e9) }))
      .sort((one, other) => one.at - other.at)
      .map(({ delivery }) => delivery);

    await forget(database);
    for (const event of events) await deliver(database, event);
    await redeliver(database, events);
    const inOrder = await rowsOf(database);
    assertEquals(await announcementsThatLie(database), [], `${where}, in order`);

    await forget(database);
    await Promise.all(disorder.map((event) => deliver(database, event)));
    await redeliver(database, events);

    assertEquals(await rowsOf(database), inOrder, where);
    assertEquals(await announcementsThatLie(database), [], where);
  }
  assertEquals(collisions < WORLDS, true, `${collisions} collisions`);
});
