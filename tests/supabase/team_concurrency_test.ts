import { assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkPermission,
  aClerkRole,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { seeded, shuffled } from "../random.ts";
import { databaseTest, ingestWithin, type TestDatabase } from "../test_database.ts";
import { until } from "../until.ts";

// Storms of events over real connections: nothing is lost, nothing comes back, and nothing deadlocks.

const BASE = 1_760_000_000_000;

function range(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, number) => `${prefix}${number}`);
}

function event(type: string, data: JsonObject, at: number): JsonObject {
  return anEvent(type, { ...data, created_at: at, updated_at: at }, { timestamp: at });
}

function user(id: string, at = BASE, fields: JsonObject = {}): JsonObject {
  return event("user.updated", aClerkUser({ id, ...fields }), at);
}

function organization(id: string, at = BASE, fields: JsonObject = {}): JsonObject {
  return event("organization.updated", aClerkOrganization({ id, ...fields }), at);
}

function userDeleted(id: string): JsonObject {
  return anEvent("user.deleted", aDeletedClerkUser(id), { timestamp: BASE });
}

function organizationDeleted(id: string): JsonObject {
  return anEvent("organization.deleted", aDeletedClerkOrganization(id), { timestamp: BASE });
}

interface Stay {
  readonly user: string;
  readonly organization: string;
  readonly id?: string;
  readonly at?: number;
}

function membership(
  verb: "created" | "updated" | "deleted",
  { user, organization, id = membershipId(user, organization), at = BASE }: Stay,
  fields: JsonObject = {},
): JsonObject {
  const data = aClerkMembership({ user, organization }, { id, ...fields });
  return event(`organizationMembership.${verb}`, data, at);
}

function membershipId(user: string, organization: string): string {
  return `orgmem_${user.replace("_", "")}x${organization.replace("_", "")}`;
}

/** SQLSTATEs that the webhook retries: serialization failure and deadlock. */
const WORTH_REPEATING: readonly unknown[] = ["40001", "40P01"];

/** Delivers all events at once, in any order, with up to three attempts each, like the webhook. */
async function storm(
  database: TestDatabase,
  events: readonly JsonObject[],
): Promise<Record<string, number>> {
  const deliver = async (event: JsonObject, number: number): Promise<string> => {
    for (let attempt = 1;; attempt++) {
      try {
        return (await database.ingest(`msg_${number}_${crypto.randomUUID()}`, event)).outcome;
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : null;
        if (!WORTH_REPEATING.includes(code) || attempt === 3) throw error;
      }
    }
  };
  const outcomes = await Promise.all(shuffled(seeded(), events).map(deliver));

  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** All memberships as `user in organization`, sorted. */
async function membersOf({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ user_id: string; organization_id: string }[]>`
    select user_id, organization_id from public.organization_memberships
  `;
  return rows.map((row) => `${row.user_id} in ${row.organization_id}`).sort();
}

databaseTest(
  "30 joins of an organization amid its own updates are all kept",
  async (database) => {
    const people = range(30, "user_");
    const joins = people.map((user) => membership("created", { user, organization: "org_1" }));
    const updates = range(10, "").map((name, version) =>
      organization("org_1", BASE + version, { name })
    );

    const { applied = 0, stale = 0, ...others } = await storm(database, [...joins, ...updates]);

    assertEquals([applied + stale, others], [40, {}]);
    assertEquals(await membersOf(database), people.map((user) => `${user} in org_1`).sort());
    const [row] = await database.sql`select name from public.organizations`;
    assertEquals(row?.name, "9");
  },
);

databaseTest("40 versions of one membership at once end in the newest", async (database) => {
  const versions = range(40, "role").map((role, version) =>
    membership("updated", { user: "user_ada", organization: "org_1", at: BASE + version }, { role })
  );

  await storm(database, versions);

  const rows = await database.sql`select role from public.organization_memberships`;
  assertEquals(rows.map(({ role }) => role), ["org:role39"]);
});

databaseTest(
  "permissions that are deleted and renamed while roles change leave every role",
  async (database) => {
    const ids = range(8, "perm_");
    const roles = range(6, "role_");
    const permission = (id: string, key: string): JsonObject => aClerkPermission(key, { id });
    const nested = ids.map((id) => permission(id, `org:old:${id}`));
    const events = [
      ...roles.flatMap((id) =>
        [0, 1, 2].map((version) =>
          event("role.updated", aClerkRole(`org:${id}`, nested, { id }), BASE + version)
        )
      ),
      ...ids.map((id) => event("permission.updated", permission(id, `org:new:${id}`), BASE + 10)),
      ...ids.slice(0, 4).map((id) => anEvent("permission.deleted", { id }, { timestamp: BASE })),
      ...roles.slice(0, 1).map((id) => anEvent("role.deleted", { id }, { timestamp: BASE })),
    ];

    const { applied = 0, stale = 0, ...others } = await storm(database, events);

    assertEquals([applied + stale, others], [events.length, {}]);
    const rows = await database.sql<{ key: string; names: string }[]>`
      select key, array_to_string(permission_keys, ' ') as names
      from public.organization_roles order by key
    `;
    assertEquals(
      rows.map((row) => ({ ...row })),
      roles.map((id, number) => ({
        key: `org:${id}`,
        names: number === 0 ? "" : ids.slice(4).map((id) => `org:new:${id}`).join(" "),
      })),
    );
  },
);

databaseTest(
  "a permission that is deleted while a role that has it is in flight leaves the role",
  async (database) => {
    const permission = aClerkPermission("org:posts:read", { id: "perm_read" });
    const role = aClerkRole("org:editor", [permission], { id: "role_editor" });

    const { deletion } = await database.connect(1).begin(async (sql) => {
      await ingestWithin(sql, "msg_1", event("role.created", role, BASE));
      const deletion = database.ingest("msg_2", anEvent("permission.deleted", { id: "perm_read" }));
      await until("the deletion waits for the role", async () => {
        const [row] = await database.admin<{ count: number }[]>`
          select count(*)::int as count from pg_stat_activity
          where datname = ${database.name} and wait_event_type = 'Lock'
        `;
        return row?.count === 1;
      });
      return { deletion };
    });

    assertEquals((await deletion).outcome, "applied");
    const rows = await database
      .sql`select permission_ids, permission_keys from public.organization_roles`;
    assertEquals(rows.map((row) => ({ ...row })), [{ permission_ids: [], permission_keys: [] }]);
  },
);

databaseTest("names that change while users join reach the team page", async (database) => {
  const people = range(12, "user_");
  const events = people.flatMap((id) => [
    user(id, BASE, { first_name: "Old", last_name: null }),
    user(id, BASE + 1, { first_name: "Newer", last_name: null }),
    user(id, BASE + 2, { first_name: "Newest", last_name: null }),
    membership("created", { user: id, organization: "org_1" }),
    membership("created", { user: id, organization: "org_2" }),
  ]);

  await storm(database, events);

  const rows = await database.sql<{ member_name: string | null }[]>`
    select member_name from public.organization_memberships
  `;
  assertEquals(rows.map(({ member_name }) => member_name), Array(24).fill("Newest"));
});

databaseTest("a user who is deleted while joining is a member of nothing", async (database) => {
  const gone = range(12, "user_gone");
  const kept = range(6, "user_kept");
  const organizations = range(4, "org_");
  const joins = [...gone, ...kept].flatMap((user) =>
    organizations.map((organization) => membership("created", { user, organization }))
  );
  await storm(database, gone.map((id) => user(id)));

  const { applied = 0, stale = 0, ...others } = await storm(database, [
    ...joins,
    ...gone.map(userDeleted),
    ...gone.map((id) => user(id, BASE + 1)),
  ]);

  assertEquals([applied + stale, others], [joins.length + 24, {}]);
  assertEquals(
    await membersOf(database),
    kept.flatMap((user) => organizations.map((organization) => `${user} in ${organization}`))
      .sort(),
  );
  const [row] = await database.sql`
    select
      count(*)::int as rows,
      count(first_name)::int as names,
      (select count(payload)::int from clerk_sync.inbox where subjects && ${gone}) as payloads
    from public.profiles
    where deleted_at is not null
  `;
  assertEquals({ ...row }, { rows: 12, names: 0, payloads: 0 });
});

databaseTest(
  "organizations and members that are deleted while users join leave nothing behind",
  async (database) => {
    const people = range(12, "user_");
    const organizations = range(8, "org_");
    const stays = people.flatMap((user) =>
      organizations.map((organization) => ({ user, organization }))
    );
    const deletedUsers = people.slice(0, 5);
    const deletedOrganizations = organizations.slice(0, 4);
    const early = stays.filter((_, number) => number % 2 === 0);
    const late = stays.filter((_, number) => number % 2 === 1);
    await storm(database, [
      ...people.map((id) => user(id)),
      ...organizations.map((id) => organization(id)),
      ...early.map((stay) => membership("created", stay)),
    ]);

    const { applied = 0, stale = 0, ...others } = await storm(database, [
      ...late.map((stay) => membership("created", stay)),
      ...early.map((stay) => membership("updated", { ...stay, at: BASE + 1 })),
      ...people.map((id) => user(id, BASE + 1, { first_name: "Renamed" })),
      ...deletedUsers.map(userDeleted),
      ...deletedOrganizations.map(organizationDeleted),
    ]);

    assertEquals([applied + stale, others], [stays.length + 12 + 5 + 4, {}]);
    assertEquals(
      await membersOf(database),
      stays
        .filter(({ user }) => !deletedUsers.includes(user))
        .filter(({ organization }) => !deletedOrganizations.includes(organization))
        .map(({ user, organization }) => `${user} in ${organization}`)
        .sort(),
    );
    const [row] = await database.sql`
      select
        (select count(*)::int from public.profiles where deleted_at is not null) as users,
        (select count(*)::int from public.organizations where deleted_at is not null)
          as organizations,
        (select count(*)::int from public.organization_memberships
          where member_name not like 'Renamed %') as misnamed
    `;
    assertEquals({ ...row }, { users: 5, organizations: 4, misnamed: 0 });
  },
);

databaseTest(
  "an organization that is deleted while it invites and pays leaves no invitation and no item",
  async (database) => {
    const invite = (organization: string, number: number, status: string): JsonObject =>
      event(
        "organizationInvitation.created",
        aClerkInvitation(organization, {
          id: `orginv_${organization.slice(4)}x${number}`,
          email_address: `${organization.slice(4)}.${number}@example.com`,
          status,
        }),
        BASE + number,
      );
    const world = (organization: string): JsonObject[] => [
      ...range(10, "").flatMap((_, number) => [
        invite(organization, number, "pending"),
        invite(organization, number, number % 2 === 0 ? "revoked" : "pending"),
      ]),
      ...range(5, "").map((_, number) =>
        event(
          "subscriptionItem.active",
          aClerkSubscriptionItem({ organization }, {
            id: `csub_item_${organization.slice(4)}x${number}`,
          }),
          BASE,
        )
      ),
    ];

    await storm(database, [
      ...world("org_gone"),
      ...world("org_kept"),
      organizationDeleted("org_gone"),
    ]);

    const [row] = await database.sql`
      select
        (select array_agg(distinct organization_id) from public.organization_invitations)
          as invitations,
        (select array_agg(distinct organization_id) from public.subscription_items) as items
    `;
    assertEquals({ ...row }, { invitations: ["org_kept"], items: ["org_kept"] });
    assertEquals(await database.rowsWith("gone.3@example.com"), 0);
    // Control: this invitation stays pending, in the table and in both messages.
    assertEquals(await database.rowsWith("kept.3@example.com"), 3);
  },
);

for (
  const [what, lock] of [
    ["its delivery", "select from clerk_sync.objects where id = 'orginv_due' for no key update"],
    [
      "an erasure",
      "select from clerk_sync.inbox where object_id = 'orginv_due' for no key update",
    ],
  ] as const
) {
  databaseTest(
    `an invitation that is due while ${what} holds it expires afterwards, and the worker reads on`,
    async (database) => {
      const { sql, admin } = database;
      await database.ingest(
        "msg_1",
        event(
          "organizationInvitation.created",
          aClerkInvitation("org_1", { id: "orginv_due", email_address: "due@example.com" }),
          BASE,
        ),
      );
      await sql`update public.organization_invitations set expires_at = now()`;
      await sql`set statement_timeout = '20s'`;
      const statusAfterRead = async (): Promise<unknown> => {
        await sql`select public.read_clerk_changes(1, 60)`;
        const [row] = await sql`select status from public.organization_invitations`;
        return row?.status;
      };

      const meanwhile = await admin.begin(async (holder) => {
        await holder.unsafe(lock);
        return await statusAfterRead();
      });
      const afterwards = await statusAfterRead();

      assertEquals([meanwhile, afterwards], ["pending", "expired"]);
      assertEquals(await database.rowsWith("due@example.com"), 0);
    },
  );
}

databaseTest(
  "a user who comes back while the old membership's deletion is late stays a member",
  async (database) => {
    const people = range(20, "user_");
    const old = people.map((user) => ({
      user,
      organization: "org_1",
      id: `orgmem_old${user.slice(5)}`,
    }));
    const again = people.map((user) => ({
      user,
      organization: "org_1",
      id: `orgmem_again${user.slice(5)}`,
      at: BASE + 1000,
    }));
    await storm(database, old.map((stay) => membership("created", stay)));

    const { applied = 0, stale = 0, ...others } = await storm(database, [
      ...again.map((stay) => membership("created", stay, { role: "org:admin" })),
      ...old.map((stay) => membership("deleted", stay)),
      ...old.map((stay) => membership("updated", { ...stay, at: BASE + 500 })),
    ]);

    assertEquals([applied + stale, others], [60, {}]);
    const rows = await database.sql<{ id: string; role: string }[]>`
      select id, role from public.organization_memberships
    `;
    assertEquals(
      rows.map(({ id, role }) => `${id} ${role}`).sort(),
      again.map(({ id }) => `${id} org:admin`).sort(),
    );
    assertEquals(await membersOf(database), people.map((user) => `${user} in org_1`).sort());
  },
);

const ADA = { user: "user_ada", organization: "org_1" };
const BOB = { user: "user_bob", organization: "org_1" };
const OLDER = { ...ADA, id: "orgmem_1", at: BASE };
const NEWER = { ...ADA, id: "orgmem_2", at: BASE + 1 };

/** What is there before, the two events that overlap, and the memberships that do not count then. */
const OVERLAPS: [string, JsonObject[], [JsonObject, JsonObject], string[]][] = [
  [
    "two memberships of one person",
    [],
    [membership("created", OLDER), membership("created", NEWER)],
    ["orgmem_1"],
  ],
  [
    "an older membership and the deletion of the newer one",
    [membership("created", NEWER)],
    [membership("created", OLDER), membership("deleted", NEWER)],
    [],
  ],
  [
    "an older membership and a deletion that names another user",
    [membership("created", NEWER)],
    [membership("created", OLDER), membership("deleted", { ...NEWER, ...BOB })],
    [],
  ],
  [
    "an older membership and an update that gives the newer one to another user",
    [membership("created", NEWER)],
    [membership("created", OLDER), membership("updated", { ...NEWER, ...BOB, at: BASE + 2 })],
    [],
  ],
  [
    "an older membership and an update that moves the newer one to another organization",
    [membership("created", NEWER)],
    [
      membership("created", OLDER),
      membership("updated", { ...NEWER, organization: "org_2", at: BASE + 2 }),
    ],
    [],
  ],
];

for (const [what, before, events, superseded] of OVERLAPS) {
  const [one, other] = events;
  for (
    const [order, first, second] of [
      ["", one, other],
      [", the other way round", other, one],
    ] as const
  ) {
    databaseTest(`${what} at once leave the newest visible${order}`, async (database) => {
      await storm(database, [
        ...[user("user_ada"), user("user_bob"), organization("org_1"), organization("org_2")],
        ...before,
      ]);

      const { overlapping } = await database.connect(1).begin(async (sql) => {
        await ingestWithin(sql, "msg_first", first);
        let isDone = false;
        const overlapping = database.ingest("msg_second", second)
          .finally(() => isDone = true);
        await until("the second waits for the first, or is done", async () => {
          const [row] = await database.admin<{ count: number }[]>`
            select count(*)::int as count from pg_stat_activity
            where datname = ${database.name} and wait_event_type = 'Lock'
          `;
          return isDone || row?.count === 1;
        });
        return { overlapping };
      });

      assertEquals((await overlapping).outcome, "applied");
      const rows = await database
        .sql`select id from public.organization_memberships where superseded order by id`;
      assertEquals(rows.map(({ id }) => id), superseded);
    });
  }
}
