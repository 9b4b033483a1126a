import { assert, assertEquals } from "@std/assert";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import type { ClerkInstance } from "../clerk_api/clerk_api.ts";
import { change, type Message } from "../clerk_api/changes.ts";
import { heldAndExpected, runTest, withRuns } from "../functions/clerk-worker/reconcile/a_run.ts";
import { type Pick, seeded, shuffled } from "../random.ts";
import { type TestDatabase, withTestDatabase } from "../test_database.ts";

// The restore drill: a backup is taken, Clerk goes on, and the backup is restored. What happened since is
// caught up with by a replay of Clerk's messages, if there is one, and by reconcile.

const SIZE = { users: 200, organizations: 20, memberships: 300, invitations: 10 };

/** The share of the messages since the backup that is replayed, in %. */
const REPLAYS = [
  ["a replay out of order with messages missing, then reconcile, lead", 60],
  ["reconcile alone leads", 0],
] as const;

for (const [what, share] of REPLAYS) {
  runTest(
    `after a backup is restored, ${what} to exact equality`,
    SIZE,
    async ({ database, instance, run }) => {
      const pick = seeded();
      await run("backfill");
      const early = await go(database, instance, pick, 150);
      const backup = await backUp(database);
      try {
        const late = await go(database, instance, pick, 250);
        const [lost, lostAndExpected] = await heldAndExpected(database, instance);
        assertEquals(lost, lostAndExpected);

        await withTestDatabase((restored) =>
          withRuns(restored, instance, async ({ run }) => {
            const before = await stateOf(restored);
            const replayed = late.filter(() => pick(100) < share);
            await deliver(restored, shuffled(pick, replayed));

            const { state } = await run("reconcile", { max_deletes: 1000 });

            const [held, expected] = await heldAndExpected(restored, instance);
            assertEquals(held, expected);
            assertEquals([state.halted, state.problems], [null, []]);
            assertEquals((await run("reconcile", { dry_run: true })).news, []);
            assertAnnounced(before, await stateOf(restored));
            await assertErased(restored, instance, [...early, ...late]);

            // What was not replayed comes late, or what was comes again.
            await deliver(restored, shuffled(pick, [...early, ...late]));
            const [still] = await heldAndExpected(restored, instance);
            assertEquals(still, expected);
            await assertErased(restored, instance, [...early, ...late]);
          }), { template: backup });
      } finally {
        await dropDatabase(database.server, backup);
      }
    },
  );
}

/** Makes changes at Clerk, and delivers what Clerk sends about them. */
async function go(
  database: TestDatabase,
  instance: ClerkInstance,
  pick: Pick,
  changes: number,
): Promise<Message[]> {
  const messages = Array.from({ length: changes }, () => change(instance, pick));
  await deliver(database, messages);
  return messages;
}

/** Delivers messages, eight at a time. */
async function deliver({ ingest }: TestDatabase, messages: readonly Message[]): Promise<void> {
  const waiting = [...messages].reverse();
  const send = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { outcome } = await ingest(next.id, next.event);
      assert(["applied", "stale", "duplicate"].includes(outcome), outcome);
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
}

/** Copies a database as it is at this moment. */
async function backUp({ server, name }: TestDatabase): Promise<string> {
  const backup = `${name}_backup`;
  const admit = (isAdmitted: boolean): Promise<unknown> =>
    withConnection(server.superuserUrl("template1"), async (sql) => {
      await sql`alter database ${sql(name)} allow_connections ${sql.unsafe(String(isAdmitted))}`;
      if (isAdmitted) return;
      // A database that is copied has no connections. Those of the test and the API are made anew.
      await sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = ${name}`;
    });
  await admit(false);
  try {
    await createDatabase(server, backup, { template: name });
  } finally {
    await admit(true);
  }
  return backup;
}

interface Announcement {
  readonly topic: string;
  readonly id: string;
}

/** The rows whose changes are announced, by id and without what a consumer cannot see, and the queue. */
interface TestState {
  readonly rows: ReadonlyMap<string, string>;
  readonly queue: readonly Announcement[];
}

async function stateOf({ sql, admin }: TestDatabase): Promise<TestState> {
  const rows = await sql<{ id: string; row: string }[]>`
    select id, (to_jsonb(kept) - '{updated_at,synced_at,members_count}'::text[])::text as row
    from public.profiles as kept where deleted_at is null
    union all
    select id, (to_jsonb(kept) - '{updated_at,synced_at,members_count}'::text[])::text
    from public.organizations as kept where deleted_at is null
    union all
    select id, jsonb_build_array(role, public_metadata)::text
    from public.organization_memberships
  `;
  const queue = await admin<Announcement[]>`
    select message ->> 'topic' as topic, message ->> 'id' as id
    from pgmq.q_clerk_changes order by msg_id
  `;
  return { rows: new Map(rows.map(({ id, row }) => [id, row])), queue };
}

/** Requires that whoever knows the backup, and follows the queue since then, knows what is here now. */
function assertAnnounced(before: TestState, after: TestState): void {
  const living = new Set(before.rows.keys());
  const gone = new Set<string>();
  const told = after.queue.slice(before.queue.length);
  for (const { topic, id } of told) {
    const [, verb] = topic.split(".");
    assert(!gone.has(id), `${topic} of ${id} after its deletion`);
    // Of what came and went meanwhile, the deletion may be the only news.
    if (verb !== "deleted") assertEquals(living.has(id), verb === "updated", `${topic} of ${id}`);
    if (verb === "deleted") gone.add(id);
    if (verb === "deleted") living.delete(id);
    else living.add(id);
  }
  assertEquals([...living].toSorted(), [...after.rows.keys()].toSorted());

  const ids = new Set(told.map(({ id }) => id));
  const differs = (id: string): boolean => before.rows.get(id) !== after.rows.get(id);
  const untold = [...before.rows.keys()].filter((id) => differs(id) && !ids.has(id));
  const needless = [...before.rows.keys()].filter((id) => !differs(id) && ids.has(id));
  assertEquals({ untold, needless }, { untold: [], needless: [] });
}

/** Requires that nothing of a deleted user is left, and that nobody has come back. */
async function assertErased(
  database: TestDatabase,
  { user }: ClerkInstance,
  messages: readonly Message[],
): Promise<void> {
  const deleted = messages.flatMap(({ event }) =>
    event.type === "user.deleted" ? [String((event.data as { id: string }).id)] : []
  );
  assert(deleted.length > 5);
  const alive = await database.sql`
    select id from public.profiles where id = any (${deleted}) and deleted_at is null
  `;
  assertEquals(alive.length, 0);
  // Every address contains the end of its owner's id.
  const rowsWithAddress = (id: string): Promise<number> =>
    database.rowsWith(`${id.slice(-6).toLowerCase()}@example.`);
  for (const id of deleted.slice(-8)) assertEquals(await rowsWithAddress(id), 0, id);
  assert(await rowsWithAddress(user[0]?.id ?? "") > 0);
}
