import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import {
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { seeded, shuffled } from "../random.ts";
import { ingestWithin, type TestDatabase } from "../test_database.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";

// ensure_profile(), as a browser calls it right after sign-up, while the webhook is still on its way.

const ADA = "user_ada";

function signUp(id = ADA, at = Date.now()): JsonObject {
  return anEvent(
    "user.created",
    aClerkUser({ id, first_name: "Ada", last_name: "Marlowe", updated_at: at }),
    { timestamp: at },
  );
}

function deletion(id = ADA): JsonObject {
  return anEvent("user.deleted", aDeletedClerkUser(id));
}

interface Ensured {
  readonly ids: readonly string[];
  readonly names: readonly (string | null)[];
  readonly code: string | undefined;
}

/** What a user's browser gets. */
async function ensure(stack: TestStack, sub?: string): Promise<Ensured> {
  const { data, error } = await (await stack.browserOf(sub)).rpc("ensure_profile");
  return {
    ids: (data ?? []).map(({ id }) => id),
    names: (data ?? []).map(({ full_name }) => full_name),
    code: error?.code,
  };
}

async function rowsOf({ sql }: TestDatabase): Promise<unknown[]> {
  return [
    ...await sql`
      select id, full_name as name, deleted_at is not null as gone from public.profiles order by id
    `,
  ];
}

/** The topics on the queue, in order. */
async function topicsOf({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ topic: string }[]>`
    select message ->> 'topic' as topic from pgmq.q_clerk_changes order by msg_id
  `;
  return rows.map(({ topic }) => topic);
}

/** Waits until exactly this many backends of the database wait for a lock. */
async function untilWaiting({ admin, name }: TestDatabase, backends: number): Promise<void> {
  await until(`${backends} transactions wait for a lock`, async () => {
    const [row] = await admin<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = ${name} and wait_event_type = 'Lock'
    `;
    return row?.count === backends;
  });
}

/** Acts in a transaction that stays open until the returned function commits it. */
async function hold(
  { database }: TestStack,
  act: (transaction: postgres.TransactionSql) => Promise<unknown>,
): Promise<() => Promise<void>> {
  const done = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const transaction = database.connect(1).begin(async (sql) => {
    await act(sql);
    held.resolve();
    await done.promise;
  });
  transaction.catch(held.reject);
  await held.promise;

  return async () => {
    done.resolve();
    await transaction;
  };
}

/** Calls it as the API does for a signed-in user. */
async function ensureWithin(
  sql: postgres.TransactionSql,
  sub: string,
  claims: JsonObject = {},
): Promise<void> {
  await sql`
    select
      set_config('role', 'authenticated', true),
      set_config(
        'request.jwt.claims', ${JSON.stringify({ sub, role: "authenticated", ...claims })}, true)
  `;
  await sql`select from public.ensure_profile()`;
}

stackTest("the caller's row is made and returned, and a second call finds it", async (stack) => {
  const first = await ensure(stack, ADA);
  const second = await ensure(stack, ADA);

  assertEquals(first, { ids: [ADA], names: [null], code: undefined });
  assertEquals(second, first);
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: false }]);
  const { data } = await (await stack.browserOf(ADA)).from("profiles").select("id");
  assertEquals(data, [{ id: ADA }]);
  assertEquals(await topicsOf(stack.database), ["profile.created"]);
});

stackTest("the first event fills the row, however old it is", async (stack) => {
  await ensure(stack, ADA);

  const receipt = await stack.send(signUp(ADA, 1_600_000_000_000));

  assertEquals(receipt.outcome, "applied");
  assertEquals((await ensure(stack, ADA)).names, ["Ada Marlowe"]);
  assertEquals(await topicsOf(stack.database), ["profile.created", "profile.updated"]);
});

stackTest("an existing row is returned as it is", async (stack) => {
  await stack.send(signUp());

  const ensured = await ensure(stack, ADA);

  assertEquals(ensured, { ids: [ADA], names: ["Ada Marlowe"], code: undefined });
  assertEquals(await topicsOf(stack.database), ["profile.created"]);
});

stackTest("twenty calls and the webhook at once leave one row, the webhook's", async (stack) => {
  const people = Array.from({ length: 4 }, (_, number) => `user_${number}`);

  for (const id of people) {
    const browsers = Array.from({ length: 20 }, () => () => ensure(stack, id));
    const webhook = async (): Promise<Ensured> => {
      const { outcome } = await stack.send(signUp(id));
      return { ids: [id], names: [], code: outcome === "applied" ? undefined : outcome };
    };
    const answers = await Promise.all(
      shuffled(seeded(), [...browsers, webhook]).map((act) => act()),
    );

    assertEquals(
      answers.map(({ ids, code }) => ({ ids, code })),
      Array(21).fill({
        ids: [id],
        code: undefined,
      }),
    );
  }

  assertEquals(
    await rowsOf(stack.database),
    people.map((id) => ({ id, name: "Ada Marlowe", gone: false })),
  );
  const topics = await topicsOf(stack.database);
  assertEquals(topics.filter((topic) => topic === "profile.created").length, people.length);
  assertEquals(topics.filter((topic) => topic === "profile.deleted").length, 0);
});

stackTest("a webhook that waits for a call in flight fills its row", async (stack) => {
  const commit = await hold(stack, (sql) => ensureWithin(sql, ADA));

  const webhook = stack.send(signUp());
  await untilWaiting(stack.database, 1);
  await commit();

  assertEquals((await webhook).outcome, "applied");
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: "Ada Marlowe", gone: false }]);
  assertEquals(await topicsOf(stack.database), ["profile.created", "profile.updated"]);
});

stackTest("calls that wait for the webhook in flight return its row", async (stack) => {
  const commit = await hold(stack, (sql) => ingestWithin(sql, "msg_1", signUp()));

  const calls = [ensure(stack, ADA), ensure(stack, ADA), ensure(stack, ADA)];
  await untilWaiting(stack.database, 3);
  await commit();

  assertEquals(
    await Promise.all(calls),
    Array(3).fill({ ids: [ADA], names: ["Ada Marlowe"], code: undefined }),
  );
  assertEquals(await topicsOf(stack.database), ["profile.created"]);
});

stackTest("a deleted user gets no row and does not come back", async (stack) => {
  await stack.send(signUp());
  await stack.send(deletion());

  const deleted = await ensure(stack, ADA);
  const control = await ensure(stack, "user_bruno");

  assertEquals([deleted.ids, deleted.code, control.ids], [[], undefined, ["user_bruno"]]);
  assertEquals(await rowsOf(stack.database), [
    { id: ADA, name: null, gone: true },
    { id: "user_bruno", name: null, gone: false },
  ]);
});

stackTest("a user who was deleted before any other event gets no row", async (stack) => {
  await stack.send(deletion());

  assertEquals((await ensure(stack, ADA)).ids, []);
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: true }]);
});

stackTest("a deleted user whose tombstone was purged gets no row", async (stack) => {
  await stack.send(deletion());
  await stack.database.admin`delete from public.profiles`;

  const deleted = await ensure(stack, ADA);
  const control = await ensure(stack, "user_bruno");

  assertEquals([deleted.ids, control.ids], [[], ["user_bruno"]]);
});

stackTest("a call that waits for a deletion in flight makes nothing", async (stack) => {
  const commit = await hold(stack, (sql) => ingestWithin(sql, "msg_1", deletion()));

  const call = ensure(stack, ADA);
  await untilWaiting(stack.database, 1);
  await commit();

  assertEquals(await call, { ids: [], names: [], code: undefined });
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: true }]);
});

stackTest("a deletion that waits for a call in flight deletes its row", async (stack) => {
  const commit = await hold(stack, (sql) => ensureWithin(sql, ADA));

  const receipt = stack.send(deletion());
  await untilWaiting(stack.database, 1);
  await commit();

  assertEquals((await receipt).outcome, "applied");
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: true }]);
  assertEquals((await ensure(stack, ADA)).ids, []);
});

/** The claims of somebody who has just made an organization. */
const FOUNDER = { v: 2, iat: 1_760_000_000, o: { id: "org_lantern", rol: "admin" } };

async function organizationsOf({ sql }: TestDatabase): Promise<unknown[]> {
  return [...await sql`select id, deleted_at is not null as gone from public.organizations`];
}

stackTest(
  "a call that waits for the deletion of its organization in flight makes no row of it",
  async (stack) => {
    const deletion = anEvent(
      "organization.deleted",
      aDeletedClerkOrganization("org_lantern"),
    );
    const commit = await hold(stack, (sql) => ingestWithin(sql, "msg_1", deletion));

    const call = stack.database.connect(1).begin((sql) => ensureWithin(sql, ADA, FOUNDER));
    await untilWaiting(stack.database, 1);
    await commit();
    await call;

    assertEquals(await organizationsOf(stack.database), [{ id: "org_lantern", gone: true }]);
    assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: false }]);
  },
);

stackTest("founders who call at once make one row of their organization", async (stack) => {
  const calls = ["user_ada", "user_bruno", "user_chioma"].flatMap((sub) => [sub, sub]).map((sub) =>
    stack.database.connect(1).begin((sql) => ensureWithin(sql, sub, FOUNDER))
  );
  await Promise.all(calls);

  assertEquals(await organizationsOf(stack.database), [{ id: "org_lantern", gone: false }]);
  assertEquals((await topicsOf(stack.database)).sort(), [
    "organization.created",
    "profile.created",
    "profile.created",
    "profile.created",
  ]);
});

stackTest("a sub that is not a Clerk user id makes nothing", async (stack) => {
  const subjects = [
    crypto.randomUUID(),
    "org_lantern",
    "user_",
    "user_ada; drop table profiles",
    "USER_ada",
    "user_ada\n",
    `user_${"x".repeat(201)}`,
  ];

  const strangers = await Promise.all(subjects.map((sub) => ensure(stack, sub)));
  const control = await ensure(stack, ADA);

  assertEquals(strangers.map(({ ids, code }) => [ids, code]), subjects.map(() => [[], undefined]));
  assertEquals(control.ids, [ADA]);
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: false }]);
});

stackTest("a caller without a session token is refused", async (stack) => {
  const anonymous = await ensure(stack);
  const control = await ensure(stack, ADA);

  assertEquals([anonymous.code, control.code], ["42501", undefined]);
  assertEquals(await rowsOf(stack.database), [{ id: ADA, name: null, gone: false }]);
});
