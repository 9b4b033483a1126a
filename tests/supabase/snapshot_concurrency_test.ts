import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { seeded, shuffled } from "../random.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import { until } from "../until.ts";

// Pages of a backfill amid deliveries: nothing comes back, nothing is lost, and nothing deadlocks.

const BASE = 1_760_000_000_000;
const PEOPLE = 60;
const ORGANIZATIONS = 4;

const userId = (number: number): string => `user_${number}`;
const organizationOf = (number: number): string => `org_${number % ORGANIZATIONS}`;

function user(number: number, at: number): JsonObject {
  return { ...aClerkUser({ id: userId(number), first_name: `Name ${at - BASE}` }), updated_at: at };
}

function organization(number: number, at: number): JsonObject {
  return { ...aClerkOrganization({ id: `org_${number}` }), updated_at: at };
}

function membership(number: number, at: number): JsonObject {
  const parents = { user: userId(number), organization: organizationOf(number) };
  return { ...aClerkMembership(parents, { id: `orgmem_${number}` }), updated_at: at };
}

interface Counts {
  readonly missing: readonly string[];
  readonly outdated: readonly string[];
  readonly gone: number;
}

/** Takes a page as the worker does. */
async function takePage(
  pool: postgres.Sql,
  kind: string,
  observedAt: number,
  objects: readonly JsonObject[],
): Promise<Counts> {
  return await pool.begin(async (transaction) => {
    await transaction`set local role clerk_worker`;
    const [row] = await transaction<{ counts: Counts }[]>`
      select public.ingest_clerk_snapshot(
        ${kind}, ${observedAt}, ${JSON.stringify(objects)}::text::jsonb) as counts
    `;
    if (row === undefined) throw new Error("The database gave no answer");
    return row.counts;
  });
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

async function firstNames({ sql }: TestDatabase): Promise<Record<string, string | null>> {
  const rows = await sql<{ id: string; first_name: string | null }[]>`
    select id, first_name from public.profiles
  `;
  return Object.fromEntries(rows.map(({ id, first_name }) => [id, first_name]));
}

databaseTest(
  "pages that rename people, amid updates, joins and deletions, neither deadlock nor bring anything back",
  async (database) => {
    const pool = database.connect(8);
    const pick = seeded();
    for (const kind of ["user", "organization", "membership"] as const) {
      const make = { user, organization, membership }[kind];
      const count = kind === "organization" ? ORGANIZATIONS : PEOPLE;
      await takePage(pool, kind, BASE, numbers(0, count).map((number) => make(number, BASE)));
    }
    const gone = new Set([7, 22, 41].map(userId));

    const moves: (() => Promise<unknown>)[] = [];
    for (let round = 1; round <= 6; round++) {
      for (const from of [0, 20, 40, 10, 30]) {
        const page = shuffled(pick, numbers(from, Math.min(from + 30, PEOPLE)));
        moves.push(
          () =>
            takePage(pool, "user", BASE + round, page.map((number) => user(number, BASE + round))),
          () =>
            takePage(
              pool,
              "membership",
              BASE + round,
              page.map((number) => membership(number, BASE + round)),
            ),
        );
      }
      for (const number of numbers(0, PEOPLE)) {
        moves.push(() =>
          database.ingest(
            `msg_${round}_${number}`,
            anEvent("user.updated", user(number, BASE + round), { timestamp: BASE + round }),
          )
        );
      }
    }
    for (const id of gone) {
      moves.push(() =>
        database.ingest(`msg_${id}`, anEvent("user.deleted", aDeletedClerkUser(id), {}))
      );
    }
    for (const id of ["org_1", "org_2"]) {
      moves.push(() =>
        database.ingest(
          `msg_${id}`,
          anEvent("organization.deleted", aDeletedClerkOrganization(id), {}),
        )
      );
    }
    await Promise.all(shuffled(pick, moves).map((move) => move()));

    assertEquals(
      await firstNames(database),
      Object.fromEntries(
        numbers(0, PEOPLE).map(userId).map((id) => [id, gone.has(id) ? null : "Name 6"]),
      ),
    );
    const members = await database.sql<{ id: string; member_name: string }[]>`
      select id, member_name from public.organization_memberships order by id
    `;
    assertEquals(
      members.map(({ id, member_name }) => [id, member_name.split(" ").slice(0, 2).join(" ")]),
      numbers(0, PEOPLE)
        .filter((number) =>
          !gone.has(userId(number)) && !["org_1", "org_2"].includes(organizationOf(number))
        )
        .map((number) => [`orgmem_${number}`, "Name 6"])
        .sort(),
    );
  },
);

async function somebodyWaits({ sql }: TestDatabase): Promise<void> {
  await until("a page waits for a lock", async () => {
    const [row] = await sql<{ waiting: boolean }[]>`
      select exists (
        select
        from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
      ) as waiting
    `;
    return row?.waiting === true;
  });
}

databaseTest(
  "a page of renames locks all memberships in one order, as the deletion of an organization does",
  async (database) => {
    const pool = database.connect(1);
    const join = (user: number, id: string): JsonObject => ({ ...membership(user, BASE), id });
    await takePage(pool, "user", BASE, [user(0, BASE), user(4, BASE)]);
    // The person who comes first has the membership that comes last.
    await takePage(pool, "membership", BASE, [join(0, "orgmem_b"), join(4, "orgmem_a")]);

    let page: Promise<Counts> | undefined;
    await database.admin.begin(async (deletion) => {
      const lock = (id: string): Promise<unknown> =>
        deletion`select from public.organization_memberships where id = ${id} for update nowait`;
      await lock("orgmem_a");
      page = takePage(pool, "user", BASE + 1, [user(0, BASE + 1), user(4, BASE + 1)]);
      await somebodyWaits(database);
      await lock("orgmem_b");
    });

    assertEquals((await page)?.outdated, ["user_0", "user_4"]);
  },
);

databaseTest(
  "a page waits for the deletion of one of its users, and leaves that user deleted",
  async (database) => {
    const pool = database.connect(2);
    await takePage(pool, "user", BASE, [user(1, BASE), user(2, BASE)]);

    let page: Promise<Counts> | undefined;
    await database.admin.begin(async (transaction) => {
      await transaction`
        select public.ingest_clerk_event(
          'msg_gone', ${
        JSON.stringify(anEvent("user.deleted", aDeletedClerkUser("user_1"), {}))
      }::text::jsonb)
      `;
      page = takePage(pool, "user", BASE + 1, [user(2, BASE + 1), user(1, BASE + 1)]);
      await somebodyWaits(database);
    });

    const counts = await page;
    assertEquals([counts?.gone, counts?.outdated], [1, ["user_2"]]);
    assertEquals(await firstNames(database), { user_1: null, user_2: "Name 1" });
  },
);
