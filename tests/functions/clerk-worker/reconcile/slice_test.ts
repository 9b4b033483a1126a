import { assertEquals, assertRejects } from "@std/assert";
import { ClerkApiError } from "../../../../functions/clerk-worker/reconcile/clerk_api.ts";
import { RunError } from "../../../../functions/clerk-worker/reconcile/engine.ts";
import {
  type Carried,
  reconcile,
  SLICE,
  type SliceSettings,
} from "../../../../functions/clerk-worker/reconcile/slice.ts";
import type { ClerkObject } from "../../../clerk_api/clerk_api.ts";
import { heldAndExpected, type RunTest, runTest } from "./a_run.ts";

function slice(
  { clerk, snapshots }: RunTest,
  settings: Partial<SliceSettings> = {},
): Promise<readonly Carried[]> {
  return reconcile({
    clerk: { secretKey: clerk.secretKey, apiUrl: clerk.url },
    snapshots,
    log: () => {},
    settings: { ...SLICE, ...settings },
  });
}

/** Lets the schedule's time for a poll, and for a reconcile, come. */
async function timePasses({ database: { sql } }: RunTest): Promise<void> {
  await sql`update clerk_sync.runs set began_at = began_at - interval '1 day'`;
  await sql`update clerk_sync.surplus_objects set found_at = found_at - interval '1 day'`;
}

async function onlyPolls({ database: { sql } }: RunTest): Promise<void> {
  await sql`update clerk_sync.settings set reconcile_at = null`;
}

function rename(user: ClerkObject | undefined, name: string): void {
  Object.assign(user ?? {}, { first_name: name, updated_at: Date.now() });
}

function pagesOfNewest({ clerk }: RunTest): number {
  return clerk.asked.filter((path) => path.includes("order_by=-updated_at")).length;
}

runTest(
  "a poll repairs the users that changed last, and reads no further than what is known",
  { users: 1000 },
  async (test) => {
    const { database, instance, run } = test;
    await run("backfill");
    await onlyPolls(test);
    for (const user of instance.user.slice(200, 350)) rename(user, "Renamed");

    const [first] = await slice(test);

    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals([first?.kind, first?.is_finished, first?.outdated], ["poll", true, 150]);
    // Two with renamed users, and one without.
    assertEquals(pagesOfNewest(test), 3);
  },
);

runTest(
  "a poll reads past users that are known, until the time of the poll before",
  { users: 1000 },
  async (test) => {
    const { database, snapshots, instance, run } = test;
    await run("backfill");
    await onlyPolls(test);
    await slice(test);
    await timePasses(test);
    // Lost, and 300 later changes that were not.
    rename(instance.user[3], "Lost");
    const lostAt = Number(instance.user[3]?.updated_at);
    instance.user.slice(500, 800).forEach((user, at) => {
      Object.assign(user, { first_name: "Heard", updated_at: lostAt + 1 + at });
    });
    const heard = instance.user.slice(500, 800).map((user) => JSON.stringify(user));
    await snapshots.ingest("user", Date.now(), heard, { dry_run: false, quiet: false });

    const [poll] = await slice(test);

    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals(poll?.outdated, 1);
  },
);

runTest(
  "slice by slice, a scheduled reconcile restores what was lost, and reports what is surplus",
  { users: 1200, organizations: 30, memberships: 700, invitations: 5 },
  async (test) => {
    const { database, instance, run } = test;
    await run("backfill");
    await timePasses(test);
    instance.user.slice(0, 40).forEach((user) => rename(user, "Renamed"));
    await database.sql`delete from public.organization_memberships where id in (
      select id from public.organization_memberships order by id limit 20)`;
    const [gone] = instance.user.splice(1100, 1);

    const slices: (readonly Carried[])[] = [];
    do slices.push(await slice(test, { pages: 3 })); while (
      slices.at(-1)?.at(-1)?.is_finished === false
    );

    const last = slices.at(-1)?.at(-1);
    assertEquals(
      [last?.kind, last?.surplus, last?.deleted, last?.halted],
      ["reconcile", 1, 0, null],
    );
    assertEquals(slices.length > 3, true);
    const kept = await database.sql`select id from public.profiles where id = ${gone?.id ?? ""}`;
    assertEquals(kept.length, 1);
    instance.user.push(gone as ClerkObject);
    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals((await slice(test)).filter(({ kind }) => kind === "reconcile"), []);
  },
);

runTest(
  "a scheduled reconcile deletes what an earlier one found gone, too, where the setting says so",
  { users: 40 },
  async (test) => {
    const { database, instance, run } = test;
    await run("backfill");
    await database.sql`update clerk_sync.settings set delete_surplus = true`;
    const [gone] = instance.user.splice(5, 1);
    const isDeleted = async (): Promise<unknown> => {
      const [row] = await database.sql`
        select deleted_at is not null as is_deleted from public.profiles where id = ${
        gone?.id ?? ""
      }
      `;
      return row?.is_deleted;
    };
    const reconciled = async (): Promise<unknown[]> => {
      await timePasses(test);
      const last = (await slice(test)).at(-1);
      return [last?.kind, last?.surplus, last?.deleted, await isDeleted()];
    };

    assertEquals(await reconciled(), ["reconcile", 1, 0, false]);
    assertEquals(await reconciled(), ["reconcile", 1, 1, true]);
    assertEquals(await reconciled(), ["reconcile", 0, 0, true]);
  },
);

runTest(
  "a slice ends when its time is up, and the next one goes on",
  { users: 600 },
  async (test) => {
    await onlyPolls(test);
    test.clerk.onRequest = async ({ pathname }) => {
      if (pathname === "/v1/users") await new Promise((resolve) => setTimeout(resolve, 150));
    };

    const [first] = await slice(test, { readForMs: 400 });
    const [next] = await slice(test, { readForMs: 20_000 });

    assertEquals([first?.is_finished, next?.is_finished], [false, true]);
    assertEquals([next?.run, next?.missing], [first?.run, 600]);
  },
);

runTest(
  "a poll that gets the same page again ends with a sentence",
  { users: 300 },
  async (test) => {
    const { clerk } = test;
    await onlyPolls(test);
    const first = await fetch(`${clerk.url}/v1/users?order_by=-updated_at&limit=100`, {
      headers: { authorization: `Bearer ${clerk.secretKey}` },
    });
    clerk.onRequest = ({ pathname }) => pathname === "/v1/users" ? first.clone() : undefined;

    await assertRejects(() => slice(test), ClerkApiError, "gives the same page again");
  },
);

runTest(
  "a run whose state this version cannot read begins anew, and does not block the schedule",
  { users: 3 },
  async (test) => {
    await test.run("backfill");
    await test.database.sql`
      insert into clerk_sync.runs (kind, options, state, leased_until)
      values ('poll', '{"scheduled": true}', '{"step": "users"}', now())
    `;

    const [poll] = await slice(test);

    assertEquals([poll?.kind, poll?.is_finished], ["poll", true]);
  },
);

runTest("while a command runs, a slice does nothing", { users: 3 }, async (test) => {
  await test.snapshots.begin("backfill", { dry_run: true, quiet: false }, "", false);

  assertEquals(await slice(test), []);
});

runTest("a key of another instance is refused with a sentence", { users: 3 }, async (test) => {
  await test.run("backfill");
  await timePasses(test);
  test.instance.id = "ins_another";

  await assertRejects(() => slice(test), RunError, "belongs to Clerk instance ins_another");
});
