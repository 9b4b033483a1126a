import { assert, assertEquals, assertRejects } from "@std/assert";
import { QueueError } from "../../../../functions/clerk-worker/drain/queue.ts";
import { RunError } from "../../../../functions/clerk-worker/reconcile/engine.ts";
import { LEASE, type Snapshots } from "../../../../functions/clerk-worker/reconcile/snapshots.ts";
import { aDeletedClerkUser, anEvent } from "../../../../local/clerk/events.ts";
import { random } from "../../../random.ts";
import type { TestDatabase } from "../../../test_database.ts";
import { until } from "../../../until.ts";
import {
  disturb,
  DISTURBANCES,
  heldAndExpected,
  type RunOptions,
  type RunTest,
  runTest,
} from "./a_run.ts";

/** With a tenth of it as organizations, and twice as many memberships. The command is tried with more. */
const USERS = 4_000;

runTest(
  "a backfill in bad weather, with users who change and go meanwhile, ends complete and equal",
  { users: USERS, organizations: USERS / 10, memberships: USERS * 2, invitations: 50 },
  async (test) => {
    const { database, clerk, instance, run } = test;
    disturb(test, random(13));

    const { isFinished, state } = await run("backfill", { patience: 60_000 });

    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
    assertEquals([isFinished, state.problems], [true, []]);
    assertEquals(state.tallies.membership.listed, instance.membership.length);
    assertEquals(Object.keys(clerk.disturbances).toSorted(), DISTURBANCES);
  },
);

runTest(
  "a second backfill changes nothing, and announces nothing",
  { users: 120, organizations: 10, memberships: 150, invitations: 5 },
  async ({ database: { sql }, run }) => {
    await run("backfill");
    const queued = await sql`select msg_id from pgmq.q_clerk_changes`;
    const before = await sql`select xmin::text, id from public.profiles order by id`;

    const { state, news } = await run("backfill");

    assertEquals(news, []);
    assertEquals(state.tallies.user.unchanged, 120);
    assertEquals(await sql`select msg_id from pgmq.q_clerk_changes`, queued);
    assertEquals(await sql`select xmin::text, id from public.profiles order by id`, before);
    assertEquals(queued.length, 120 + 10 + 150);
  },
);

runTest("--quiet announces nothing", { users: 30 }, async ({ database: { sql }, run }) => {
  await run("backfill", { quiet: true });

  assertEquals((await sql`select from pgmq.q_clerk_changes`).length, 0);
  assertEquals((await sql`select from public.profiles`).length, 30);
});

runTest(
  "a dry run says what would change, and writes nothing",
  { users: 30, organizations: 3, memberships: 20, invitations: 2 },
  async ({ database, instance, run }) => {
    const [known] = instance.user;
    await database.ingest("msg_1", anEvent("user.created", known ?? {}));
    Object.assign(known ?? {}, { first_name: "Changed", updated_at: Date.now() + 1000 });
    const rows = async (): Promise<unknown> =>
      await database.admin`
        select
          (select count(*)::int from clerk_sync.objects) as objects,
          (select count(*)::int from public.profiles) as profiles,
          (select count(*)::int from public.organizations) as organizations,
          (select count(*)::int from pgmq.q_clerk_changes) as queued,
          (select instance_id from clerk_sync.settings) as instance_id
      `;
    const before = await rows();

    const { news } = await run("backfill", { dry_run: true });

    assertEquals(await rows(), before);
    const found = (drift: string, kind: string): string[] =>
      news.flatMap((each) =>
        each.type === "drift" && each.drift === drift && each.kind === kind ? [each.id] : []
      );
    assertEquals(found("outdated", "user"), [known?.id]);
    assertEquals(
      found("missing", "user").toSorted(),
      instance.user.slice(1).map(({ id }) => id).toSorted(),
    );
    assertEquals(found("missing", "membership").length, 20);
  },
);

runTest(
  "a backfill sets the instance that the database belongs to",
  { users: 1 },
  async ({ database, instance, run }) => {
    await run("backfill");

    const settings = await database.sql`select instance_id from clerk_sync.settings`;
    assertEquals(settings.map((row) => row.instance_id), [instance.id]);
    instance.id = "ins_0000000000000000000000other";
    const error = await assertRejects(() => run("backfill"), Error);
    assertEquals(JSON.parse(error.message), { foreign: "ins_0000000000000000000000local" });
  },
);

runTest(
  "a webhook that lands during a backfill wins over an older page",
  { users: 10 },
  async ({ database, clerk, instance, run }) => {
    const [ada] = instance.user;
    clerk.onRequest = async ({ pathname, searchParams }) => {
      if (pathname !== "/v1/users" || searchParams.has("starting_after")) return;
      const old = structuredClone(instance.user);
      const newer = { ...ada, first_name: "Newer", updated_at: Date.now() };
      await database.ingest("msg_1", anEvent("user.updated", newer));
      return Response.json(old);
    };

    const { state } = await run("backfill");

    const rows = await database.sql`
      select first_name from public.profiles where id = ${ada?.id ?? ""}
    `;
    assertEquals(rows.map((row) => row.first_name), ["Newer"]);
    assertEquals([state.tallies.user.stale, state.tallies.user.missing], [1, 9]);
  },
);

runTest(
  "a deleted user in a page that is older stays deleted",
  { users: 10, organizations: 1, memberships: 10 },
  async ({ database, instance, run }) => {
    const [ada] = instance.user;
    await database.ingest("msg_1", anEvent("user.deleted", aDeletedClerkUser(ada?.id ?? "")));

    const { state } = await run("backfill");

    const rows = await database.sql`
      select deleted_at is not null as is_deleted, first_name
      from public.profiles where id = ${ada?.id ?? ""}
    `;
    assertEquals(rows.map((row) => ({ ...row })), [{ is_deleted: true, first_name: null }]);
    assertEquals([state.tallies.user.gone, state.tallies.membership.gone], [1, 1]);
    assertEquals((await database.sql`select from public.organization_memberships`).length, 9);
  },
);

runTest(
  "an object that a trigger refuses is reported with its SQLSTATE, and all others land",
  { users: 200 },
  async ({ database: { sql }, instance, run }) => {
    const refused = [instance.user[17]?.id ?? "", instance.user[150]?.id ?? ""];
    await sql`
      create function public.refuse() returns trigger language plpgsql as $$
      begin
        if new.first_name = 'Refused' then raise exception 'no' using errcode = 'P4242'; end if;
        return new;
      end
      $$
    `;
    await sql`create trigger refuse before insert on public.profiles for each row execute function public.refuse()`;
    for (const user of instance.user) if (refused.includes(user.id)) user.first_name = "Refused";

    const { state, news, isFinished } = await run("backfill");

    assertEquals(
      news.filter(({ type }) => type === "problem"),
      refused.map((id) => ({ type: "problem" as const, kind: "user", id, code: "P4242" })),
    );
    assertEquals(isFinished, true);
    assertEquals([state.tallies.user.refused, state.tallies.user.missing], [2, 198]);
    assertEquals((await sql`select from public.profiles`).length, 198);
  },
);

runTest(
  "a database that refuses everything ends the run, with a sentence",
  { users: 200 },
  async ({ database: { sql }, run }) => {
    await sql`alter table public.profiles add column tenant text not null`;

    const error = await assertRejects(() => run("backfill"), RunError);

    assertEquals(
      error.message,
      "Cannot go on as the database refuses most objects of kind user, the last one with SQLSTATE 23502: look for the trigger or constraint that raises it",
    );
  },
);

runTest(
  "an object that cannot be read is reported with path and code, and all others land",
  { users: 20 },
  async ({ database: { sql }, instance, run }) => {
    const [ada, bruno] = instance.user;
    Object.assign(ada ?? {}, { email_addresses: [{ id: 7 }] });
    const deep = `{"a":${"[".repeat(6000)}${"]".repeat(6000)}}`;
    Object.assign(bruno ?? {}, { $text: `{"id":"${bruno?.id}","public_metadata":${deep}}` });

    const { state } = await run("backfill");

    assertEquals(state.problems, [
      { kind: "user", id: ada?.id ?? "", path: "email_addresses.0.id", code: "invalid_type" },
      { kind: "user", id: null, path: "", code: "too_deep" },
    ]);
    assertEquals((await sql`select from public.profiles`).length, 18);
  },
);

runTest(
  "numbers above 2^53 survive",
  { users: 1 },
  async ({ database: { sql }, instance, run }) => {
    const [ada] = instance.user;
    const text = JSON.stringify({ ...ada, public_metadata: { tenant: 0 } });
    Object.assign(ada ?? {}, { $text: text.replace('"tenant":0', '"tenant":9007199254740993') });

    await run("backfill");

    const rows = await sql`select public_metadata ->> 'tenant' as tenant from public.profiles`;
    assertEquals(rows.map((row) => row.tenant), ["9007199254740993"]);
  },
);

runTest(
  "a run that was stopped goes on with the page where it was",
  { users: 1_400, organizations: 10, memberships: 700 },
  async ({ database, clerk, instance, run }) => {
    const stopping = new AbortController();
    const stopped = await run("backfill", {
      stop: stopping.signal,
      report: (news) => news.type === "progress" && stopping.abort(),
    });
    clerk.asked.length = 0;

    const { isFinished, state } = await run("backfill");

    assertEquals([stopped.isFinished, isFinished], [false, true]);
    assert(clerk.asked.some((path) => path.includes("starting_after=user_")));
    assert(!clerk.asked.some((path) => path.startsWith("/v1/users?") && !path.includes("after")));
    assertEquals(state.tallies.user.missing, 1_400);
    const [held, expected] = await heldAndExpected(database, instance);
    assertEquals(held, expected);
  },
);

runTest("--restart begins anew", { users: 600 }, async ({ clerk, run }) => {
  const stopping = new AbortController();
  await run("backfill", { stop: stopping.signal, report: () => stopping.abort() });
  clerk.asked.length = 0;

  const { state } = await run("backfill", { restart: true });

  assert(clerk.asked.includes("/v1/users?order_by=%2Bcreated_at&limit=500"));
  assertEquals(state.tallies.user.listed, 600);
});

runTest("of two runs at once, the second is told so", { users: 5 }, async ({ snapshots, run }) => {
  await snapshots.begin("reconcile", { dry_run: false, quiet: false }, "ins_1", false);

  const error = await assertRejects(() => run("backfill"), Error);

  assertEquals(JSON.parse(error.message).busy.kind, "reconcile");
});

runTest(
  "a run that another process has taken over writes nothing more",
  { users: 10 },
  async ({ database: { sql }, snapshots, run }) => {
    const isLost = (): Promise<boolean> => Promise.resolve(false);

    for (const lost of [{ save: isLost }, { noteSeen: isLost }]) {
      const taken = { ...snapshots, ...lost };
      await assertRejects(
        () => run("backfill", { snapshots: taken }),
        RunError,
        "taken this run over",
      );
      await sql`update clerk_sync.runs set leased_until = now()`;
    }

    assertEquals((await sql`select from public.organization_roles`).length, 0);
  },
);

runTest(
  "a conflict or a lost connection is waited out",
  { users: 700 },
  async ({ snapshots, run }) => {
    let calls = 0;
    const flaky = {
      ...snapshots,
      ingest: (...args: Parameters<typeof snapshots.ingest>) => {
        // Conflicts pass, and lost connections.
        const codes = ["40P01", "57014", "no_answer", "http_503"];
        const code = codes[calls++];
        return code === undefined
          ? snapshots.ingest(...args)
          : Promise.reject(new QueueError(code));
      },
    };

    const { state } = await run("backfill", { snapshots: flaky });

    assertEquals(state.tallies.user.missing, 700);
    // The first page five times, and once each the second one, permissions and roles: none was halved.
    assertEquals(calls, 8);
  },
);

/** Refuses users as a time limit does, by a condition on all that are written at once. */
async function runOutOfTime({ sql }: TestDatabase, condition: string): Promise<void> {
  await sql.unsafe(`
    create function public.run_out_of_time() returns trigger language plpgsql as $$
    begin
      if (select ${condition} from written) then
        raise exception using errcode = 'query_canceled';
      end if;
      return null;
    end $$;
    create trigger run_out_of_time after insert on public.profiles
      referencing new table as written
      for each statement execute function public.run_out_of_time();
  `);
}

/** Notes how many users were handed to the database at once. */
function noteSizes(snapshots: Snapshots, sizes: number[]): Snapshots {
  return {
    ...snapshots,
    ingest: (kind, observedAt, texts, options) => {
      if (kind === "user") sizes.push(texts.length);
      return snapshots.ingest(kind, observedAt, texts, options);
    },
  };
}

runTest(
  "once a page has run out of time, it and the pages after it come in smaller pieces",
  { users: 90 },
  async ({ database, snapshots, run }) => {
    await runOutOfTime(database, "count(*) > 12");
    const sizes: number[] = [];

    const { state } = await run("backfill", {
      snapshots: noteSizes(snapshots, sizes),
      pages: { size: 40, inFlight: 1 },
    });

    // Each three times before it is halved.
    const tooLarge = [40, 40, 40, 20, 20, 20];
    assertEquals(sizes, [...tooLarge, ...Array.from({ length: 9 }, () => 10)]);
    assertEquals([state.tallies.user.missing, state.problems], [90, []]);
  },
);

runTest(
  "an object that alone runs out of time is reported, and the pages after it come whole",
  { users: 90 },
  async ({ database, instance, snapshots, run }) => {
    await runOutOfTime(database, "bool_or(first_name = 'Slow')");
    const [, , slow] = instance.user;
    Object.assign(slow ?? {}, { first_name: "Slow" });
    const sizes: number[] = [];

    const { state } = await run("backfill", {
      snapshots: noteSizes(snapshots, sizes),
      pages: { size: 40, inFlight: 1 },
    });

    assertEquals(state.problems, [{ kind: "user", id: slow?.id ?? "", code: "57014" }]);
    assertEquals(sizes.slice(-2), [40, 10]);
    assertEquals(state.tallies.user.missing, 89);
  },
);

runTest(
  "a Date of Clerk's more than a minute ahead of the database's clock ends the run, with a sentence",
  { users: 3 },
  async ({ database: { sql }, clerk, instance, run }) => {
    clerk.onRequest = ({ pathname }) => {
      if (pathname !== "/v1/users") return;
      const date = new Date(Date.now() + 90_000).toUTCString();
      return Response.json(instance.user, { headers: { date } });
    };

    const error = await assertRejects(() => run("backfill"), RunError);

    assertEquals(
      error.message,
      "Cannot go on as the Date of Clerk's answers is more than a minute ahead of the database's clock: check the clocks of whatever is in between",
    );
    assertEquals((await sql`select from public.profiles`).length, 0);
  },
);

/** Lets timers that renew the lease fire every 20 ms, and requires that they are soon enough. */
function hurryHeartbeat(): Disposable {
  const { setInterval } = globalThis;
  const hurried = (act: () => void, milliseconds?: number): unknown => {
    assert(milliseconds !== undefined && milliseconds < LEASE * 1000 / 2);
    return setInterval(act, 20);
  };
  globalThis.setInterval = hurried as typeof setInterval;
  return {
    [Symbol.dispose]: () => {
      globalThis.setInterval = setInterval;
    },
  };
}

for (
  const [wait, waitFor] of [
    ["for a page of Clerk's", ({ clerk }, happens) => {
      clerk.onRequest = async ({ pathname }) => {
        if (pathname === "/v1/organizations") await happens();
      };
      return {};
    }],
    ["for the database", (test, happens) => ({
      snapshots: {
        ...test.snapshots,
        ingest: async (...args) => {
          await happens();
          return await test.snapshots.ingest(...args);
        },
      },
    })],
  ] satisfies [string, (test: RunTest, happens: () => Promise<void>) => RunOptions][]
) {
  runTest(`during a long wait ${wait}, the lease is renewed`, { users: 3 }, async (test) => {
    const { sql } = test.database;
    using _hurried = hurryHeartbeat();
    let renewals = 0;
    const options = waitFor(test, async () => {
      await sql`update clerk_sync.runs set leased_until = now()`;
      await until("the lease is renewed", async () => {
        const runs = await sql`
          select from clerk_sync.runs where leased_until > now() + interval '30 s'
        `;
        return runs.length === 1;
      });
      renewals++;
    });

    const { isFinished } = await test.run("backfill", options);

    assertEquals([isFinished, renewals > 0], [true, true]);
  });
}
