import { assertEquals } from "@std/assert";
import {
  aClerkMembership,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import { until } from "../until.ts";

// A deletion writes rows that other events write, too, and must not deadlock with them. Each test holds
// one side in a trigger until the other side waits for a lock.

const BASE = 1_760_000_000_000;

function payment(user: string, at: number): Json {
  const data: JsonObject = {
    id: "pa_1",
    payer: { user_id: user, email: "ada@example.com" },
    created_at: at,
    updated_at: at,
  };
  return anEvent("paymentAttempt.updated", data, { timestamp: at });
}

/** Waits until exactly this many backends of the database wait for a lock. */
async function untilWaiting(database: TestDatabase, backends: number): Promise<void> {
  await until(`${backends} backends wait for a lock`, async () => {
    const [row] = await database.admin<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = ${database.name} and wait_event_type = 'Lock'
    `;
    return row?.count === backends;
  });
}

databaseTest("a deletion and a payment of the same user do not deadlock", async (database) => {
  const { sql, ingest } = database;
  await ingest("msg_1", anEvent("user.created", aClerkUser({ id: "user_ada", updated_at: BASE })));
  await ingest("msg_2", payment("user_ada", BASE));
  await sql.unsafe(`
    create function public.dawdle() returns trigger language plpgsql
      as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
    create trigger dawdle before update on clerk_sync.objects
      for each row when (new.deleted_at is not null) execute function public.dawdle();
  `);
  await database.admin`select pg_advisory_lock(1)`;

  const deletion = ingest("msg_3", anEvent("user.deleted", aDeletedClerkUser("user_ada")));
  await untilWaiting(database, 1);
  const update = ingest("msg_4", payment("user_ada", BASE + 1));
  await untilWaiting(database, 2);
  await database.admin`select pg_advisory_unlock(1)`;

  assertEquals(await Promise.all([deletion, update]), [
    { outcome: "applied" },
    { outcome: "applied" },
  ]);
  assertEquals(await database.rowsWith("ada@example.com"), 0);
});

databaseTest(
  "a changed name and the deletion of an organization do not deadlock",
  async (database) => {
    const { sql, ingest } = database;
    const ada = (at: number, first_name: string): Json =>
      anEvent("user.updated", aClerkUser({ id: "user_ada", first_name, updated_at: at }));
    const joined = (id: string, created_at: number): Json =>
      anEvent(
        "organizationMembership.created",
        aClerkMembership({ user: "user_ada", organization: "org_1" }, { id, created_at }),
      );
    await ingest("msg_1", ada(BASE, "Ada"));
    // She left and came back; the deletion of the first membership is late.
    await ingest("msg_2", joined("orgmem_2", BASE + 1));
    await ingest("msg_3", joined("orgmem_1", BASE));
    await sql.unsafe(`
      create function public.dawdle() returns trigger language plpgsql
        as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
      create trigger dawdle before update on public.organization_memberships
        for each row when (old.id = 'orgmem_2') execute function public.dawdle();
    `);
    await database.admin`select pg_advisory_lock(1)`;

    const update = ingest("msg_4", ada(BASE + 1, "Augusta"));
    await untilWaiting(database, 1);
    const deletion = ingest(
      "msg_5",
      anEvent("organization.deleted", aDeletedClerkOrganization("org_1")),
    );
    await untilWaiting(database, 2);
    await database.admin`select pg_advisory_unlock(1)`;

    assertEquals(await Promise.all([update, deletion]), [
      { outcome: "applied" },
      { outcome: "applied" },
    ]);
  },
);

const MEANWHILE: [string, JsonObject][] = [
  [
    "a changed name",
    anEvent("user.updated", aClerkUser({ id: "user_ada", updated_at: BASE + 2 })),
  ],
  ["the deletion of the user", anEvent("user.deleted", aDeletedClerkUser("user_ada"))],
  [
    "the deletion of the organization",
    anEvent("organization.deleted", aDeletedClerkOrganization("org_1")),
  ],
];

for (const [what, event] of MEANWHILE) {
  databaseTest(
    `a membership that supersedes another one and ${what} do not deadlock`,
    async (database) => {
      const { sql, ingest } = database;
      const joined = (id: string, created_at: number, updated_at = BASE): Json =>
        anEvent(
          "organizationMembership.updated",
          aClerkMembership(
            { user: "user_ada", organization: "org_1" },
            { id, created_at, updated_at },
          ),
        );
      await ingest("msg_1", joined("orgmem_1", BASE + 1));
      await ingest("msg_2", joined("orgmem_2", BASE));
      await sql.unsafe(`
        create function public.dawdle() returns trigger language plpgsql
          as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
        create trigger _400_dawdle after update on public.organization_memberships
          for each row when (old.created_at < new.created_at) execute function public.dawdle();
      `);
      await database.admin`select pg_advisory_lock(1)`;

      const membership = ingest("msg_3", joined("orgmem_2", BASE + 2, BASE + 1));
      await untilWaiting(database, 1);
      const meanwhile = ingest("msg_4", event);
      await untilWaiting(database, 2);
      await database.admin`select pg_advisory_unlock(1)`;

      assertEquals(await Promise.all([membership, meanwhile]), [
        { outcome: "applied" },
        { outcome: "applied" },
      ]);
    },
  );
}

databaseTest("deletions of two users who share a payment do not deadlock", async (database) => {
  const { sql, ingest } = database;
  const shared = { id: "pa_1", payer: { user_id: "user_ada" }, seats: ["user_bob"] };
  await ingest("msg_1", anEvent("paymentAttempt.created", { ...shared, updated_at: BASE }));
  await sql.unsafe(`
    create function public.dawdle() returns trigger language plpgsql
      as $$ begin perform pg_advisory_xact_lock_shared(1); return new; end $$;
    create trigger dawdle before update on clerk_sync.objects
      for each row when (new.deleted_at is not null) execute function public.dawdle();
  `);
  await database.admin`select pg_advisory_lock(1)`;

  const one = ingest("msg_2", anEvent("user.deleted", aDeletedClerkUser("user_ada")));
  const other = ingest("msg_3", anEvent("user.deleted", aDeletedClerkUser("user_bob")));
  await untilWaiting(database, 2);
  await database.admin`select pg_advisory_unlock(1)`;

  assertEquals(await Promise.all([one, other]), [{ outcome: "applied" }, { outcome: "applied" }]);
});
