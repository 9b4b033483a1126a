import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ClerkApiError } from "../../../../functions/clerk-worker/reconcile/clerk_api.ts";
import { anEvent, anId } from "../../../../local/clerk/events.ts";
import { anInstance, clerkError, type ClerkObject } from "../../../clerk_api/clerk_api.ts";
import { heldAndExpected, type RunResult, type RunTest, runTest } from "./a_run.ts";

/** Removes objects from the instance as if their deletion had never been sent. */
function lose(objects: ClerkObject[], count: number): string[] {
  return objects.splice(5, count).map(({ id }) => id);
}

function surplusIn({ news }: RunResult): string[] {
  return news.flatMap((each) => each.type === "drift" && each.drift === "surplus" ? [each.id] : []);
}

async function livingUsers({ database: { sql } }: RunTest): Promise<number> {
  return (await sql`select from public.profiles where deleted_at is null`).length;
}

/** A path of one object, or of one organization's members. */
function isConfirmation({ pathname }: URL): boolean {
  return /^\/v1\/(?:users\/user_|organizations\/org_)/.test(pathname);
}

const SIZE = { users: 100, organizations: 20, memberships: 150, invitations: 4 };

runTest(
  "after an outage, reconcile restores exact equality, and leaves what explains each deletion",
  SIZE,
  async (test) => {
    const { database, instance, run } = test;
    await run("backfill");
    const deleted = [
      ...lose(instance.user, 2),
      ...lose(instance.organization, 1),
      // Of neither those users nor that organization.
      ...instance.membership.splice(40, 3).map(({ id }) => id),
    ];
    // Clerk deletes memberships with their user and their organization.
    const isLeft = ({ public_user_data, organization }: ClerkObject): boolean => {
      const text = JSON.stringify([public_user_data, organization]);
      return !deleted.some((id) => text.includes(id));
    };
    instance.membership.splice(0, Infinity, ...instance.membership.filter(isLeft));
    for (const user of instance.user.slice(0, 7)) {
      Object.assign(user, { first_name: "Renamed", updated_at: Date.now() });
    }
    const later = anInstance({ users: 3, organizations: 1, memberships: 3 });
    instance.user.push(...later.user);
    instance.organization.push(...later.organization);
    instance.membership.push(...later.membership);

    const report = await run("reconcile", { dry_run: true });
    const result = await run("reconcile");

    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals(surplusIn(result).toSorted(), deleted.toSorted());
    assertEquals(surplusIn(report).toSorted(), deleted.toSorted());
    assertEquals(result.state.halted, null);
    const { missing, outdated, deleted: count } = result.state.tallies.user;
    assertEquals([missing, outdated, count], [3, 7, 2]);
    const inbox = await database.sql`
      select object_id from clerk_sync.inbox where type = 'reconcile.deleted'
    `;
    assertEquals(inbox.map((row) => row.object_id).toSorted(), deleted.toSorted());

    const again = await run("reconcile");
    assertEquals(again.news, []);
  },
);

runTest("a dry run of reconcile writes nothing", SIZE, async (test) => {
  const { instance, run } = test;
  await run("backfill");
  lose(instance.user, 2);

  const result = await run("reconcile", { dry_run: true });

  assertEquals(surplusIn(result).length, 2);
  assertEquals(await livingUsers(test), 100);
});

/** What the status advises about surplus, which depends on the words of the run. */
async function curesOf({ database }: RunTest): Promise<string> {
  const [row] = await database.admin<{ cure: string }[]>`
    select breach ->> 'cure' as cure
    from jsonb_array_elements(public.clerk_sync_status() -> 'breaches') as breach
    where breach ->> 'code' = 'surplus'
  `;
  return row?.cure ?? "no advice";
}

runTest(
  "more than 5 % of a kind are not deleted, and then nothing at all is",
  SIZE,
  async (test) => {
    const { database, instance, run } = test;
    await run("backfill");
    const users = lose(instance.user, 6);
    lose(instance.organization, 1);

    const result = await run("reconcile");

    assertEquals(
      result.state.halted,
      "Nothing is deleted as 6 of 100 users are not at Clerk, and the limit is 5: allow it with --max-deletes 6",
    );
    assertMatch(await curesOf(test), /If Clerk is right, run reconcile --max-deletes 6\.$/);
    assertEquals(await livingUsers(test), 100);
    const organizations = await database
      .sql`select from public.organizations where deleted_at is null`;
    assertEquals(organizations.length, 20);

    const allowed = await run("reconcile", { max_deletes: 6 });
    assertEquals(surplusIn(allowed).slice(0, 6).toSorted(), users.toSorted());
    assertEquals(await livingUsers(test), 94);
  },
);

runTest("one object of a kind may always be deleted", { users: 6 }, async (test) => {
  const { instance, run } = test;
  await run("backfill");
  lose(instance.user, 1);

  await run("reconcile");

  assertEquals(await livingUsers(test), 5);
});

runTest(
  "what Clerk still has is not deleted, although a page did not list it",
  SIZE,
  async (test) => {
    const { clerk, instance, run } = test;
    await run("backfill");
    clerk.onRequest = ({ pathname }) => {
      if (pathname !== "/v1/users") return;
      return Response.json(instance.user.filter((_, at) => at !== 5 && at !== 6));
    };

    const result = await run("reconcile");

    assertEquals(surplusIn(result), []);
    assertEquals(result.state.tallies.user.kept, 2);
    assertEquals(await livingUsers(test), 100);
  },
);

runTest("a 404 for everything proves nothing", SIZE, async (test) => {
  const { clerk, instance, run } = test;
  await run("backfill");
  lose(instance.user, 2);
  clerk.onRequest = (url) =>
    isConfirmation(url) ? clerkError(404, "resource_not_found") : undefined;

  const result = await run("reconcile");

  assert(
    result.state.halted?.startsWith(
      "No further objects are deleted as Clerk does not find any user",
    ),
  );
  assertEquals([surplusIn(result), await livingUsers(test)], [[], 100]);
});

runTest("a 404 that is not Clerk's own proves nothing", SIZE, async (test) => {
  const { clerk, instance, run } = test;
  await run("backfill");
  const lost = lose(instance.user, 2);
  clerk.onRequest = ({ pathname }) =>
    lost.some((id) => pathname.endsWith(id)) ? clerkError(404, "not_found") : undefined;

  const result = await run("reconcile");

  assertEquals([result.state.tallies.user.kept, await livingUsers(test)], [2, 100]);
});

runTest("an empty list of members proves nothing for the one who left", SIZE, async (test) => {
  const { database, clerk, instance, run } = test;
  await run("backfill");
  lose(instance.membership, 2);
  clerk.onRequest = (url) =>
    isConfirmation(url) && url.pathname.endsWith("/memberships")
      ? Response.json({ data: [], total_count: 0 })
      : undefined;

  const result = await run("reconcile");

  assert(result.state.halted?.includes("does not find any membership"));
  assertEquals((await database.sql`select from public.organization_memberships`).length, 150);
});

runTest("a list without a first page deletes nothing", SIZE, async (test) => {
  const { clerk, run } = test;
  await run("backfill");
  clerk.onRequest = ({ pathname }) => pathname === "/v1/users" ? Response.json([]) : undefined;

  const result = await run("reconcile", { max_deletes: 1000 });

  assertEquals(result.state.halted, "Nothing is deleted as Clerk lists no users, and 100 are here");
  assertEquals(await livingUsers(test), 100);
});

runTest("fewer than 95 % of Clerk's own count delete nothing", SIZE, async (test) => {
  const { clerk, instance, run } = test;
  await run("backfill");
  clerk.onRequest = ({ pathname }) =>
    pathname === "/v1/users" ? Response.json(instance.user.slice(0, 94)) : undefined;

  const result = await run("reconcile", { max_deletes: 1000 });

  assertEquals(
    result.state.halted,
    "Nothing is deleted as Clerk listed 94 users, and counts 100",
  );
  assertEquals(await livingUsers(test), 100);
});

runTest("a page that fails ends the run without a deletion", SIZE, async (test) => {
  const { clerk, instance, run } = test;
  await run("backfill");
  lose(instance.user, 2);
  clerk.onRequest = ({ pathname }) =>
    pathname === "/v1/organization_invitations" ? new Response("", { status: 502 }) : undefined;

  await assertRejects(() => run("reconcile", { patience: 100 }), ClerkApiError, "502");

  assertEquals(await livingUsers(test), 100);
});

runTest("a database of no instance, or of another one, is not deleted from", SIZE, async (test) => {
  const { database, instance, run } = test;
  await run("backfill");
  lose(instance.user, 2);
  await database.sql`update clerk_sync.settings set instance_id = null`;

  const result = await run("reconcile");

  assert(result.state.halted?.includes("clerk_sync.settings.instance_id is not set"));
  assertMatch(await curesOf(test), /^Run backfill, which sets it,/);
  assertEquals(await livingUsers(test), 100);
  await database.sql`update clerk_sync.settings set instance_id = 'ins_other'`;
  const error = await assertRejects(() => run("reconcile"), Error);
  assertEquals(JSON.parse(error.message), { foreign: "ins_other" });
});

runTest("who signs up during the scan is not surplus", SIZE, async (test) => {
  const { database, clerk, instance, run } = test;
  await run("backfill");
  const [late] = anInstance({ users: 1 }).user;
  if (late === undefined) throw new Error("No user");
  late.created_at = late.updated_at = Date.now() + 1000;
  clerk.onRequest = async ({ pathname }) => {
    if (pathname !== "/v1/organizations" || instance.user.includes(late)) return;
    instance.user.push(late);
    await database.ingest(anId("msg"), anEvent("user.created", late));
  };

  const result = await run("reconcile");

  assertEquals([surplusIn(result), await livingUsers(test)], [[], 101]);
});

runTest("an object that cannot be read is not surplus", SIZE, async (test) => {
  const { instance, run } = test;
  await run("backfill");
  Object.assign(instance.user[3] ?? {}, { banned: "yes" });

  const result = await run("reconcile");

  const { surplus, unreadable } = result.state.tallies.user;
  assertEquals([surplus, unreadable, await livingUsers(test)], [0, 1, 100]);
});

runTest("what was deleted is never brought back, although Clerk lists it", SIZE, async (test) => {
  const { instance, run } = test;
  await run("backfill");
  const [lost] = instance.user.splice(5, 1);
  await run("reconcile");
  if (lost !== undefined) instance.user.push(lost);

  const result = await run("reconcile");

  assertEquals(result.state.tallies.user.gone, 1);
  assertEquals(await livingUsers(test), 99);
});

runTest(
  "a reconcile that is stopped while it deletes goes on there",
  { users: 500 },
  async (test) => {
    const { clerk, instance, run } = test;
    await run("backfill");
    const lost = lose(instance.user, 25);
    const stopping = new AbortController();
    const stopped = await run("reconcile", {
      stop: stopping.signal,
      report: (news) => news.type === "drift" && news.drift === "surplus" && stopping.abort(),
    });
    clerk.asked.length = 0;
    const between = await livingUsers(test);

    const result = await run("reconcile");

    assertEquals([stopped.isFinished, between], [false, 480]);
    assertEquals([result.isFinished, await livingUsers(test)], [true, 475]);
    assertEquals(result.state.tallies.user.deleted, 25);
    assertEquals([...surplusIn(stopped), ...surplusIn(result)].toSorted(), lost.toSorted());
    assert(!clerk.asked.some((path) => path.startsWith("/v1/users?")));
  },
);

runTest(
  "a deletion that a trigger refuses is reported with its SQLSTATE, and the others are made",
  SIZE,
  async (test) => {
    const { instance, run } = test;
    await run("backfill");
    const lost = lose(instance.user, 4);
    await test.database.sql.unsafe(`
      create function public.keep() returns trigger language plpgsql as $$
      begin
        if new.deleted_at is not null and new.id = '${lost[2]}' then
          raise exception 'no' using errcode = 'P4242';
        end if;
        return new;
      end $$;
      create trigger keep before update on public.profiles
        for each row execute function public.keep();
    `);

    const { state, isFinished } = await run("reconcile");

    assertEquals(state.problems, [{ kind: "user", id: lost[2] ?? "", code: "P4242" }]);
    const { surplus, refused, deleted } = state.tallies.user;
    assertEquals([isFinished, surplus, refused, deleted], [true, 4, 1, 3]);
    const living = await test.database.sql`
      select id from public.profiles where deleted_at is null and id = any (${lost})
    `;
    assertEquals(living.map((row) => row.id), [lost[2]]);
  },
);
