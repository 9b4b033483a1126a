import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import { connect } from "../../../functions/_shared/clerk_sync/supabase.ts";
import { readEvent } from "../../../functions/clerk-webhook/event.ts";
import {
  type Answer,
  createInbox,
  type Unavailable,
} from "../../../functions/clerk-webhook/inbox.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";
import { until } from "../../until.ts";
import { holdTimers } from "./held_timers.ts";
import { lastLog } from "./last_log.ts";

// An event that the database cannot apply in time is kept as failed, however often that happens.

const ADA = "user_ada";
const LANTERN = "org_lantern";

const USER = anEvent("user.created", aClerkUser({ id: ADA }));
const ORGANIZATION = anEvent("organization.created", aClerkOrganization({ id: LANTERN }));

/** Has a trigger of the application run this for each new row of a table. */
async function obstruct(sql: postgres.Sql, table: string, statement: string): Promise<void> {
  await sql.unsafe(`
    create function public.obstruct() returns trigger language plpgsql security definer
      as $$ begin ${statement}; return new; end $$;
    create trigger _200_obstruct before insert on public.${table}
      for each row execute function public.obstruct();
  `);
}

/** Gives the webhook's role another time than it has outside of tests. */
async function allow(
  { database, services }: TestStack,
  setting: "statement_timeout" | "lock_timeout",
  time: string,
): Promise<void> {
  await database.admin.unsafe(
    `alter role clerk_ingest in database ${database.name} set ${setting} = '${time}'`,
  );
  await services.api.reload();
}

async function kept({ sql }: TestStack["database"]): Promise<unknown> {
  const [row] = await sql`
    select type, outcome, deliveries, error, payload -> 'data' ->> 'id' as id
    from clerk_sync.inbox where message_id = 'msg_1'
  `;
  return row === undefined ? undefined : { ...row };
}

function keptAs(outcome: string, sqlstate: string | null, deliveries = 1): unknown {
  const error = sqlstate === null ? null : { sqlstate };
  return { type: "user.created", outcome, deliveries, error, id: ADA };
}

for (const sqlstate of ["40001", "40P01", "53100", "53300", "55P03", "57014"]) {
  stackTest(
    `failed: a trigger that raises ${sqlstate} each time is 500, until it is gone`,
    async (stack) => {
      const { sql } = stack.database;
      // A sequence counts what rolled back transactions tried.
      await sql`create sequence public.tries`;
      await obstruct(
        sql,
        "profiles",
        `perform nextval('public.tries'); raise exception 'no %', new.email using errcode = '${sqlstate}'`,
      );

      const failed = await stack.send(USER, { id: "msg_1" });

      const [after] = await sql`select last_value::int as tries from public.tries`;
      assertEquals([failed.status, failed.outcome], [500, "failed"]);
      assertEquals((await lastLog(stack, 1)).sqlstate, sqlstate);
      assertEquals(after?.tries, sqlstate.startsWith("40") ? 3 : 1);
      assertEquals(await kept(stack.database), keptAs("failed", sqlstate));
      const again = await stack.send(USER, { id: "msg_1" });
      assertEquals(again.outcome, "failed");
      assertEquals(await kept(stack.database), keptAs("failed", sqlstate, 2));

      await sql`drop trigger _200_obstruct on public.profiles`;
      const applied = await stack.send(USER, { id: "msg_1" });

      assertEquals([applied.status, applied.outcome], [200, "applied"]);
      assertEquals(await kept(stack.database), keptAs("applied", null, 3));
    },
  );
}

stackTest("failed: a trigger that takes too long is 500, until it is gone", async (stack) => {
  const { sql } = stack.database;
  await obstruct(sql, "profiles", "perform pg_sleep(30)");
  // Enough for what is not held up, also on a busy machine.
  await allow(stack, "statement_timeout", "4s");

  const failed = await stack.send(USER, { id: "msg_1" });

  assertEquals([failed.status, failed.outcome], [500, "failed"]);
  assertEquals(await kept(stack.database), keptAs("failed", "57014"));
  const [left] = await sql`select count(*)::int as profiles from public.profiles`;
  assertEquals(left?.profiles, 0);

  await sql`drop trigger _200_obstruct on public.profiles`;
  assertEquals((await stack.send(USER, { id: "msg_1" })).outcome, "applied");
  assertEquals(await kept(stack.database), keptAs("applied", null, 2));
});

stackTest("the webhook's role has 7 s for a statement, and 5 s for a lock", async (stack) => {
  await stack.database.admin.unsafe(`
    create function public.patience() returns text language sql set search_path = pg_catalog
      as $$ select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') $$;
    grant execute on function public.patience to clerk_ingest;
  `);
  const { services } = stack;
  await services.api.reload();

  const { data } = await connect(services.apiUrl, services.keys.clerkIngest).rpc("patience");

  assertEquals(data, "7s 5s");
});

stackTest("failed: a lock that somebody holds is 500, until it is free", async (stack) => {
  const { admin, sql } = stack.database;
  await stack.send(ORGANIZATION);
  await allow(stack, "lock_timeout", "300ms");
  const member = aClerkMembership({ user: ADA, organization: LANTERN });
  const event = anEvent("organizationMembership.created", member);

  const failed = await admin.begin(async (transaction) => {
    await transaction`select from clerk_sync.objects where id = ${LANTERN} for update`;
    return await stack.send(event, { id: "msg_1" });
  });

  assertEquals([failed.status, failed.outcome], [500, "failed"]);
  const [row] = await sql`
    select outcome, error, payload -> 'data' as data from clerk_sync.inbox
    where message_id = 'msg_1'
  `;
  assertEquals({ ...row }, { outcome: "failed", error: { sqlstate: "55P03" }, data: member });
  assertEquals((await stack.send(event, { id: "msg_1" })).outcome, "applied");
});

stackTest("unavailable: an event that cannot be kept either is 503", async (stack) => {
  const { admin } = stack.database;
  await allow(stack, "lock_timeout", "300ms");

  const unavailable = await admin.begin(async (transaction) => {
    await transaction`lock table clerk_sync.inbox in access exclusive mode`;
    return await stack.send(USER, { id: "msg_1" });
  });

  assertEquals([unavailable.status, unavailable.outcome], [503, "unavailable"]);
  assertEquals((await lastLog(stack, 1)).code, "55P03");
  assertEquals((await stack.send(USER, { id: "msg_1" })).outcome, "applied");
});

/** What holds up the first transaction, until it is let go. */
const HELD_UP = "perform pg_advisory_xact_lock_shared(1)";
const HASTY = {
  apply: { milliseconds: 300, tries: 3 },
  keep: { milliseconds: 200, tries: 1 },
};

/**
 * Ingests an event that {@link HELD_UP} holds up, until the time for it has passed. While the event is
 * kept, something happens; the first transaction is let go with `letGo`.
 */
async function ingestHastily(
  stack: TestStack,
  event: JsonObject,
  happens: (letGo: () => Promise<void>) => Promise<void>,
): Promise<Answer | Unavailable> {
  const { services, database: { admin, name } } = stack;
  const reading = readEvent(JSON.stringify(event));
  if (reading.kind !== "readable") throw new Error("The event is unreadable");
  // The first transaction waits for the test, which waits for the machine.
  await allow(stack, "statement_timeout", "60s");
  await allow(stack, "lock_timeout", "60s");
  await admin`select pg_advisory_lock(1)`;
  using timers = holdTimers(HASTY.apply.milliseconds, HASTY.keep.milliseconds);
  const inbox = createInbox(connect(services.apiUrl, services.keys.clerkIngest), HASTY);

  const answer = inbox.ingest("msg_1", reading);
  await until("the first transaction is held up", async () => {
    const waiting = await admin`
      select from pg_stat_activity where datname = ${name} and wait_event = 'advisory'
    `;
    return waiting.length === 1;
  }, 60_000);
  timers.pass();
  await happens(async () => {
    await admin`select pg_advisory_unlock(1)`;
  });
  return await answer;
}

async function outcomeOf({ sql }: TestStack["database"]): Promise<unknown> {
  const [row] = await sql`
    select outcome, error from clerk_sync.inbox where message_id = 'msg_1'
  `;
  return { ...row };
}

stackTest("a first commit that comes late turns failed into applied", async (stack) => {
  const { database } = stack;
  await obstruct(database.sql, "organizations", HELD_UP);
  let letGoOf: () => Promise<void> = () => Promise.resolve();

  const answer = await ingestHastily(stack, ORGANIZATION, (letGo) => {
    letGoOf = letGo;
    return Promise.resolve();
  });
  const before = await outcomeOf(database);

  assertEquals(answer, { outcome: "failed", sqlstate: "57014" });
  assertEquals(before, { outcome: "failed", error: { sqlstate: "57014" } });
  await letGoOf();
  await until("the first transaction commits", async () => {
    const [row] = await database.sql`select count(*)::int as rows from public.organizations`;
    return row?.rows === 1;
  }, 60_000);
  assertEquals(await outcomeOf(database), { outcome: "applied", error: null });
});

stackTest(
  "a first commit that comes while the event is kept makes it a duplicate",
  async (stack) => {
    const { admin, name } = stack.database;
    await obstruct(stack.database.sql, "profiles", HELD_UP);

    const answer = await ingestHastily(stack, USER, async (letGo) => {
      await until("the event waits to be kept", async () => {
        const waiting = await admin`
          select from pg_stat_activity
          where datname = ${name} and wait_event_type = 'Lock' and wait_event <> 'advisory'
        `;
        return waiting.length === 1;
      }, 60_000);
      await letGo();
    });

    assertEquals(answer, { outcome: "duplicate" });
    assertEquals(await outcomeOf(stack.database), { outcome: "applied", error: null });
  },
);
