import { assert, assertEquals } from "@std/assert";
import { aClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import type { Message } from "../../local/clerk/deliver.ts";
import { type TestDatabase, withTestDatabase } from "../test_database.ts";
import { until } from "../until.ts";
import { aBacklog } from "../clerk/crowd.ts";
import { deadlocksIn } from "./deadlocks_in.ts";
import { startFaultStack } from "./fault_stack.ts";
import { faultTest } from "./fault_case.ts";
import { underLoad } from "./under_load.ts";
import { verdictOn } from "../clerk/verdict.ts";
import { assertNothingLost } from "./assert_nothing_lost.ts";

// The sync takes its own locks in one order and does not deadlock. An application's trigger can: this one
// writes two rows in an order that depends on the name.

async function crossLocks({ admin, sql, name }: TestDatabase): Promise<void> {
  await admin`alter role authenticator in database ${admin(name)} set deadlock_timeout = '100ms'`;
  // On a busy machine, the line before the two rows may be longer than the webhook's role waits.
  for (const setting of ["lock_timeout", "statement_timeout"]) {
    await admin`alter role clerk_ingest in database ${admin(name)} set ${admin(setting)} = '60s'`;
  }
  await sql.unsafe(`
    create table public.counters (id int primary key, changes int not null default 0);
    insert into public.counters (id) values (1), (2);
    create function public.count_crosswise() returns trigger language plpgsql security definer as $$
      declare
        first constant int := 1 + (right(coalesce(new.first_name, '0'), 1) in ('0', '2', '4', '6', '8'))::int;
      begin
        update public.counters set changes = changes + 1 where id = first;
        -- Waits between the two rows: long enough to meet, and until nobody else holds this lock.
        perform pg_sleep(0.02);
        perform pg_advisory_xact_lock_shared(1);
        update public.counters set changes = changes + 1 where id = 3 - first;
        return new;
      end $$;
    create trigger _500_count after insert or update on public.profiles
      for each row execute function public.count_crosswise();
  `);
}

function aSignUp(first_name: string): Message {
  const event = anEvent("user.created", aClerkUser({ first_name }));
  return { id: anId("msg"), body: JSON.stringify(event) };
}

/** Whether a message makes a row, and the order of its two rows is the one of even names. */
function isSignUp({ body }: Message, isEven: boolean): boolean {
  const { type, data } = JSON.parse(body);
  return type === "user.created" && /[02468]$/.test(data.first_name ?? "0") === isEven;
}

/** Waits until both rows are held, each by a delivery that waits for {@link letGo}. */
async function untilBothHold({ admin, name }: TestDatabase): Promise<void> {
  await until("both hold one row", async () => {
    const [row] = await admin<{ waiting: number }[]>`
      select count(*)::int as waiting from pg_stat_activity
      where datname = ${name} and wait_event = 'advisory'
    `;
    return row?.waiting === 2;
  });
}

async function letGo({ admin }: TestDatabase): Promise<void> {
  await admin`select pg_advisory_unlock(1)`;
}

faultTest(
  "two deliveries that deadlock are both applied at the first attempt",
  () =>
    withTestDatabase(async (database) => {
      await crossLocks(database);
      const answers: string[] = [];
      {
        await using stack = await startFaultStack(database.server, database.name);
        await database.admin`select pg_advisory_lock(1)`;

        const deliveries = Promise.all([aSignUp("Name1"), aSignUp("Name2")].map(stack.deliver));
        await untilBothHold(database);
        await letGo(database);
        answers.push(...(await deliveries).map(({ status, outcome }) => `${status} ${outcome}`));
      }

      assertEquals(answers, ["200 applied", "200 applied"]);
      assertEquals(await deadlocksIn(database), 1);
    }),
);

faultTest(
  "deliveries that keep deadlocking are retried, then redelivered, and none is lost",
  () =>
    withTestDatabase(async (database) => {
      await crossLocks(database);
      const messages = aBacklog(100, 5);
      // On a busy machine few of the backlog meet, or none; these two always do.
      const pair = [true, false].flatMap((isEven) =>
        messages.find((message) => isSignUp(message, isEven)) ?? []
      );
      const codes: string[] = [];

      const attempts = await (async () => {
        await using stack = await startFaultStack(database.server, database.name);
        await database.admin`select pg_advisory_lock(1)`;
        const met = await underLoad(stack, pair, async () => {
          await untilBothHold(database);
          await letGo(database);
        });
        const others = messages.filter((message) => !pair.includes(message));
        const made = await underLoad(stack, others, () => Promise.resolve());
        codes.push(...stack.unavailableCodes());
        return [...met, ...made];
      })();

      const verdict = await verdictOn(
        database.server.superuserUrl(database.name),
        messages,
        attempts,
      );
      const deadlocks = await deadlocksIn(database);
      const { "500 failed": kept = 0, "503 unavailable": unavailable = 0 } = verdict.refusals;
      const given = kept + unavailable;
      assertNothingLost(`deadlock ×${deadlocks}`, verdict, ["500 failed", "503 unavailable"]);
      assert(
        deadlocks > given * 3,
        `${deadlocks} deadlocks, ${given} of them reported to the sender`,
      );
      assert(codes.every((code) => code === "40P01"), codes.join());
    }),
);
