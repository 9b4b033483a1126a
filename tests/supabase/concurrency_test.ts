import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  anId,
} from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { databaseTest, ingestWithin, type TestDatabase } from "../test_database.ts";
import { seeded, shuffled } from "../random.ts";
import { until } from "../until.ts";

// Concurrent deliveries, over real connections and in real transactions.

const BASE = 1_760_000_000_000;

function created(id: string, email: string, at = BASE): Json {
  return anEvent(
    "user.created",
    aClerkUser({
      id,
      primary_email_address_id: "idn_1",
      email_addresses: [{
        id: "idn_1",
        email_address: email,
        verification: { status: "verified" },
      }],
      updated_at: at,
    }),
    { timestamp: at },
  );
}

function deleted(id: string): Json {
  return anEvent("user.deleted", aDeletedClerkUser(id), { timestamp: BASE });
}

/** A session event: no table of its own, but the whole user in its payload. */
function signedIn(id: string, email: string): Json {
  return anEvent("session.created", {
    id: anId("sess"),
    user_id: id,
    user: aClerkUser({ id, email_addresses: [{ id: "idn_1", email_address: email }] }),
  });
}

function tally(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** Waits until exactly this many backends of the database wait for a lock. */
async function untilWaiting(database: TestDatabase, backends: number): Promise<void> {
  await until(`${backends} deliveries wait for a lock`, async () => {
    const [row] = await database.admin<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = ${database.name} and wait_event_type = 'Lock'
    `;
    return row?.count === backends;
  });
}

/** Makes a delivery whose transaction stays open until `commit()`. */
async function hold(
  pool: postgres.Sql,
  messageId: string,
  event: Json,
): Promise<{ outcome: string; commit: () => Promise<void> }> {
  const done = Promise.withResolvers<void>();
  const held = Promise.withResolvers<string>();
  const transaction = pool.begin(async (sql) => {
    held.resolve((await ingestWithin(sql, messageId, event)).outcome);
    await done.promise;
  });
  transaction.catch(held.reject);

  return {
    outcome: await held.promise,
    commit: async () => {
      done.resolve();
      await transaction;
    },
  };
}

databaseTest("the same message 20 times at once is applied once", async (database) => {
  const event = created("user_2ada00000000000000000000000", "ada@example.com");

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => database.ingest("msg_1", event)),
  );

  assertEquals(tally(answers.map(({ outcome }) => outcome)), { applied: 1, duplicate: 19 });
  const [row] = await database.sql`
    select
      (select deliveries from clerk_sync.inbox) as deliveries,
      (select count(*)::int from pgmq.q_clerk_changes) as announced
  `;
  assertEquals({ ...row }, { deliveries: 20, announced: 1 });
});

databaseTest("40 versions of one user at once end in the newest", async (database) => {
  const versions = Array.from({ length: 40 }, (_, number) => number);

  await Promise.all(
    shuffled(seeded(), versions).map((version) =>
      database.ingest(
        `msg_${version}`,
        created("user_2ada00000000000000000000000", `ada.${version}@example.com`, BASE + version),
      )
    ),
  );

  const [row] = await database.sql`select email from public.profiles`;
  assertEquals(row?.email, "ada.39@example.com");
});

databaseTest("a deletion wins against updates that arrive with it", async (database) => {
  const people = Array.from(
    { length: 15 },
    (_, number) => `user_${String(number).padStart(27, "0")}`,
  );
  const deliveries = people.flatMap((id): [string, Json][] => [
    [`msg_${id}_1`, created(id, `${id}@example.com`)],
    [`msg_${id}_2`, created(id, `${id}@example.com`, BASE + 1)],
    [`msg_${id}_3`, signedIn(id, `${id}@example.com`)],
    [`msg_${id}_4`, deleted(id)],
  ]);

  await Promise.all(
    shuffled(seeded(), deliveries).map(([message, event]) => database.ingest(message, event)),
  );

  const [row] = await database.sql`
    select count(*)::int as rows, count(deleted_at)::int as tombstones, count(email)::int as emails
    from public.profiles
  `;
  assertEquals({ ...row }, { rows: 15, tombstones: 15, emails: 0 });
  assertEquals(await database.rowsWith("@example.com"), 0);
});

const IN_FLIGHT: [string, Json][] = [
  ["an update", created("user_2ada00000000000000000000000", "ada@example.com", BASE + 1)],
  ["a session event", signedIn("user_2ada00000000000000000000000", "ada@example.com")],
  [
    "an event about another user that mentions this one",
    anEvent(
      "user.updated",
      aClerkUser({
        id: "user_2bob00000000000000000000000",
        public_metadata: {
          invited_by: "user_2ada00000000000000000000000",
          contact: "ada@example.com",
        },
      }),
    ),
  ],
];

for (const [what, event] of IN_FLIGHT) {
  databaseTest(`erasure waits for ${what} in flight, and erases it`, async (database) => {
    const pool = database.connect(2);
    await database.ingest("msg_1", created("user_2ada00000000000000000000000", "ada@example.com"));

    const flight = await hold(pool, "msg_2", event);
    const erasure = database.ingest("msg_3", deleted("user_2ada00000000000000000000000"));
    await untilWaiting(database, 1);
    await flight.commit();

    assertEquals((await erasure).outcome, "applied");
    const inPublic = what.startsWith("an event about another user") ? 1 : 0;
    assertEquals(await database.rowsWith("ada@example.com"), inPublic);
  });

  databaseTest(`${what} that waits for an erasure in flight leaves nothing`, async (database) => {
    const pool = database.connect(2);
    await database.ingest("msg_1", created("user_2ada00000000000000000000000", "ada@example.com"));

    const erasure = await hold(pool, "msg_2", deleted("user_2ada00000000000000000000000"));
    const late = database.ingest("msg_3", event);
    await untilWaiting(database, 1);
    await erasure.commit();
    await late;

    const [row] = await database.sql`
      select payload from clerk_sync.inbox where message_id = 'msg_3'
    `;
    assertEquals(row?.payload, null);
    const inPublic = what.startsWith("an event about another user") ? 1 : 0;
    assertEquals(await database.rowsWith("ada@example.com"), inPublic);
  });
}

databaseTest("erasure waits for a body that cannot be read, and erases it", async (database) => {
  await database.ingest("msg_1", created("user_2ada00000000000000000000000", "ada@example.com"));
  const done = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const flight = database.connect(1).begin(async (transaction) => {
    const body = JSON.stringify({
      raw: '{"id": "user_2ada00000000000000000000000", "email": "ada@example.com"',
    });
    await transaction`set local role clerk_ingest`;
    await transaction`
      select public.record_clerk_rejection('msg_2', null, '[]', ${body}::text::jsonb)
    `;
    held.resolve();
    await done.promise;
  });
  await held.promise;

  const erasure = database.ingest("msg_3", deleted("user_2ada00000000000000000000000"));
  // Until the erasure waits for the other transaction, or is done without waiting.
  await Promise.race([erasure, untilWaiting(database, 1)]);
  done.resolve();
  await flight;

  assertEquals((await erasure).outcome, "applied");
  assertEquals(await database.rowsWith("ada@example.com"), 0);
});

for (const [whom, isKnown] of [["a new user", false], ["a known user", true]] as const) {
  databaseTest(
    `erasure also erases an apply of ${whom} that fails at the same time`,
    async (database) => {
      const pool = database.connect(2);
      if (isKnown) {
        await database.ingest(
          "msg_0",
          created("user_2ada00000000000000000000000", "ada@example.com", BASE - 1),
        );
      }
      await database.sql.unsafe(`
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      if new.email is not null then raise exception 'no room for %', new.email; end if;
      return new;
    end $$;
    create trigger _200_refuse before insert or update on public.profiles
      for each row execute function public.refuse();
  `);

      const failing = await hold(
        pool,
        "msg_1",
        created("user_2ada00000000000000000000000", "ada@example.com"),
      );
      const erasure = database.ingest("msg_2", deleted("user_2ada00000000000000000000000"));
      await untilWaiting(database, 1);
      await failing.commit();

      assertEquals(failing.outcome, "failed");
      assertEquals((await erasure).outcome, "applied");
      assertEquals(await database.rowsWith("ada@example.com"), 0);
      const [row] = await database
        .sql`select outcome, error, payload from clerk_sync.inbox where message_id = 'msg_1'`;
      assertEquals({ ...row }, { outcome: "stale", error: null, payload: null });
    },
  );
}

databaseTest(
  "events that mention the same users in any order do not deadlock",
  async (database) => {
    const people = Array.from(
      { length: 6 },
      (_, number) => `user_${String(number).padStart(27, "0")}`,
    );
    const pick = seeded();
    const mentions = Array.from({ length: 120 }, (_, number): [string, Json] => {
      const [owner = "", ...others] = shuffled(pick, people);
      const user = aClerkUser({
        id: owner,
        updated_at: BASE + number,
        public_metadata: { others },
      });
      return [`msg_${number}`, anEvent("user.updated", user)];
    });

    const answers = await Promise.all(
      mentions.map(([message, event]) => database.ingest(message, event)),
    );

    const { applied = 0, stale = 0 } = tally(answers.map(({ outcome }) => outcome));
    assertEquals(applied + stale, 120);
  },
);

databaseTest("deletions of users with messages in common do not deadlock", async (database) => {
  const people = Array.from(
    { length: 8 },
    (_, number) => `user_${String(number).padStart(27, "0")}`,
  );
  const pick = seeded();
  for (let number = 0; number < 40; number++) {
    const event = anEvent("session.created", {
      id: `sess_${number}`,
      members: shuffled(pick, people),
    });
    await database.ingest(`msg_${number}`, event);
  }

  const answers = await Promise.all(people.map((id) => database.ingest(`gone_${id}`, deleted(id))));

  assertEquals(tally(answers.map(({ outcome }) => outcome)), { applied: 8 });
  const [row] = await database.sql`
    select count(payload)::int as payloads from clerk_sync.inbox
  `;
  assertEquals(row?.payloads, 0);
});

/** The SQLSTATE of an error. */
function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}

function joined(fields: Record<string, string | number | undefined> = {}): Json {
  const member = { user: "user_2ada00000000000000000000000", organization: "org_1" };
  return anEvent("organizationMembership.updated", {
    ...aClerkMembership(member, { id: "orgmem_1", role: "org:member", updated_at: BASE }),
    ...fields,
  });
}

databaseTest(
  "a membership's update without a user waits for the event that names the user",
  async (database) => {
    const update = joined({ role: "org:admin", updated_at: BASE + 1, public_user_data: undefined });
    const telling = await hold(database.connect(1), "msg_1", joined());

    const first = database.ingest("msg_2", update).then(({ outcome }) => outcome, codeOf);
    await untilWaiting(database, 1);
    await telling.commit();

    // The webhook retries this SQLSTATE.
    assertEquals(await first, "40001");
    assertEquals((await database.ingest("msg_2", update)).outcome, "applied");
    const [row] = await database.sql`select role from public.organization_memberships`;
    assertEquals(row?.role, "org:admin");
  },
);

databaseTest("a join does not hold up an update of the organization", async (database) => {
  const named = (name: string, at: number): Json =>
    anEvent("organization.updated", aClerkOrganization({ id: "org_1", name, updated_at: at }));
  await database.ingest("msg_1", named("Lantern", BASE));
  const joining = await hold(database.connect(1), "msg_2", joined());

  const update = database.connect(1).begin(async (transaction) => {
    await transaction`set local lock_timeout = '2s'`;
    return await ingestWithin(transaction, "msg_3", named("Kelp", BASE + 1));
  }).then(({ outcome }) => outcome, codeOf);

  assertEquals(await update.finally(joining.commit), "applied");
});
