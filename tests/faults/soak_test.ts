import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { change, type Message } from "../clerk_api/changes.ts";
import {
  heldAndExpected,
  type RunTest,
  runTest,
} from "../functions/clerk-worker/reconcile/a_run.ts";
import { roundsOr, seeded } from "../random.ts";
import type { TestDatabase } from "../test_database.ts";
import { deadlocksIn } from "./deadlocks_in.ts";

// Everything at once, for a while: runs over Clerk's API while Clerk changes, deliveries over several
// connections, deletions among them, and triggers of an application that are slow, lock other rows, and
// refuse some; what they refused is replayed in the end.

const CHANGES = roundsOr(4_000);
const SENDERS = 8;
/** The share of messages that come at the end, after pages that tell the same, in %. */
const LATE = 40;
/** Small, so that many pages meet many deliveries. */
const PAGES = { size: 250, inFlight: 3 };

/**
 * What an application may do with each change: write slowly, and write to rows that the sync did not lock.
 * Whoever writes several such rows, a page or a deletion, may deadlock with another one.
 */
async function addTriggers({ sql }: TestDatabase): Promise<void> {
  await sql.unsafe(`
    alter table public.profiles add column noticed int not null default 0;
    create table public.team_counts (team text primary key, changes int not null default 0);

    create function public.be_slow(id text) returns void language plpgsql as $$
    begin
      if hashtext(id) % 4 = 0 then
        perform pg_sleep(0.02);
      end if;
    end $$;

    -- A rename is noticed by a colleague, often the same one.
    create function public.notice() returns trigger language plpgsql as $$
    begin
      update public.profiles set noticed = noticed + 1 where id = (
        select theirs.user_id
        from public.organization_memberships as own
        join public.organization_memberships as theirs using (organization_id)
        where own.user_id = new.id and theirs.user_id <> new.id
        order by theirs.id
        limit 1
      );
      perform public.be_slow(new.id);
      return null;
    end $$;
    create trigger _500_notice after insert or update of first_name on public.profiles
      for each row execute function public.notice();

    create function public.count_members() returns trigger language plpgsql as $$
    begin
      insert into public.team_counts as counted (team)
      values (coalesce(new.organization_id, old.organization_id))
      on conflict (team) do update set changes = counted.changes + 1;
      perform public.be_slow(coalesce(new.id, old.id));
      return null;
    end $$;
    -- Some names are refused, until the application is mended.
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      if hashtext(new.id || new.first_name) % 20 = 0 then
        raise exception 'No such name';
      end if;
      return new;
    end $$;
    create trigger _500_refuse before insert or update of first_name on public.profiles
      for each row execute function public.refuse();
    create trigger _500_count_members after insert or update or delete on public.organization_memberships
      for each row execute function public.count_members();
  `);
}

/** The SQLSTATE of what the application refuses. */
const REFUSED = "P0001";

/** Delivers messages, each until it is acknowledged or refused. Ends when there are no more. */
async function deliver(
  { ingest }: TestDatabase,
  next: () => Message | undefined,
  refusals: string[],
): Promise<void> {
  for (let message = next(); message !== undefined; message = next()) {
    for (let isDone = false; !isDone;) {
      try {
        const { outcome, sqlstate } = await ingest(message.id, message.event);
        isDone = outcome !== "failed" || sqlstate === REFUSED;
        if (outcome === "failed") refusals.push(`failed ${sqlstate}`);
      } catch (error) {
        if (!(error instanceof postgres.PostgresError)) throw error;
        refusals.push(error.code);
      }
    }
  }
}

/** Notes what connections wait for, until it is stopped. */
async function watchWaits(
  { admin }: TestDatabase,
  isOver: () => boolean,
): Promise<Record<string, number>> {
  const waits: Record<string, number> = {};
  while (!isOver()) {
    const rows = await admin<{ what: string }[]>`
      select coalesce(wait_event, 'running') as what
      from pg_stat_activity
      where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
    `;
    for (const { what } of rows) waits[what] = (waits[what] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return waits;
}

runTest(
  "runs, deliveries, deletions and slow triggers at once lose nothing, and hardly deadlock",
  { users: 120, organizations: 10, memberships: 240, invitations: 10 },
  async (test: RunTest) => {
    const { database, clerk, instance, run } = test;
    const { admin, name, sql } = database;
    const pick = seeded();
    // As on Supabase.
    await admin`alter role authenticator in database ${admin(name)} set statement_timeout = '8s'`;
    await run("backfill");
    await addTriggers(database);
    clerk.weather = { pick, errors: 0.02, cut: 0.02, slow: 0.2 };

    let isOver = false;
    const waits = watchWaits(database, () => isOver);
    const refusals: string[] = [];
    const late: Message[] = [];
    let changes = 0;
    const next = (): Message | undefined => {
      while (changes++ < CHANGES) {
        const message = change(instance, pick);
        if (pick(100) >= LATE) return message;
        late.push(message);
      }
      return late.pop();
    };
    const began = performance.now();
    const deliveries = Promise.all(
      Array.from({ length: SENDERS }, () => deliver(database, next, refusals)),
    ).finally(() => isOver = true);
    const problems: { readonly code: string }[] = [];
    let pages = 0;
    for (let runs = 0; !isOver; runs++) {
      const { state } = await run(runs % 3 === 0 ? "backfill" : "reconcile", {
        pages: PAGES,
        report: (news) => pages += Number(news.type === "progress"),
      });
      problems.push(...state.problems);
    }
    await deliveries;
    const seconds = (performance.now() - began) / 1000;

    await sql`drop trigger _500_refuse on public.profiles`;
    const replayed = await sql<{ outcome: string }[]>`
      select public.replay_clerk_message(message_id) ->> 'outcome' as outcome
      from clerk_sync.inbox
      where outcome = 'failed'
    `;
    await run("reconcile");
    const [held, expected] = await heldAndExpected(database, instance);
    const waited = await waits;
    const kept = await sql`
      select from clerk_sync.inbox where outcome in ('applied', 'stale') and type not like 'reconcile.%'
    `;
    const drift = await run("reconcile", { dry_run: true });
    const deadlocks = await deadlocksIn(database);
    const refused = refusals.filter((each) => each === `failed ${REFUSED}`).length;
    console.log(JSON.stringify({ seconds, pages, deadlocks, refused, waited }));
    assertEquals(kept.length, CHANGES);
    assertEquals(held, expected);
    assertEquals(drift.news, []);
    assertEquals(problems.filter(({ code }) => code !== REFUSED), []);
    assert(replayed.length > CHANGES / 500, "some were refused");
    assertEquals(replayed.filter(({ outcome }) => !/applied|stale/.test(outcome)), []);
    assert(deadlocks <= CHANGES / 250, `${deadlocks} deadlocks`);
  },
);
