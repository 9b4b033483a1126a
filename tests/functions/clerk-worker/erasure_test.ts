import { assert, assertEquals } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { connect } from "../../../functions/_shared/clerk_sync/supabase.ts";
import { HandlerError, type Run } from "../../../functions/clerk-worker/drain/handler.ts";
import { createQueue, type Queue } from "../../../functions/clerk-worker/drain/queue.ts";
import { drain, SETTINGS } from "../../../functions/clerk-worker/drain/worker.ts";
import { createWelcomeMails } from "../../../functions/clerk-worker/handlers/welcome_email/claim.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";

// What is downstream of a person goes with the person: searched for in every row of every table.

const PERSONAL = ["Zenobia", "zenobia@example.com", "Quillfeather", "img.example.com/zenobia"];

function zenobia(updated_at: number): ReturnType<typeof aClerkUser> {
  return aClerkUser({
    id: "user_zenobia",
    first_name: PERSONAL[0],
    last_name: PERSONAL[2],
    image_url: `https://${PERSONAL[3]}/${updated_at}`,
    primary_email_address_id: "idn_1",
    email_addresses: [{
      id: "idn_1",
      email_address: PERSONAL[1],
      verification: { status: "verified" },
    }],
    updated_at,
  });
}

async function work(queue: Queue, run: Run): Promise<readonly unknown[]> {
  const log: unknown[] = [];
  await drain({
    queue,
    handlers: [{ name: "test", topics: "all", run }],
    settings: { ...SETTINGS, maxReads: 1 },
    log: (entry) => log.push(entry),
  });
  return log;
}

async function rowsWithPersonal({ database }: TestStack): Promise<number> {
  let rows = 0;
  for (const text of PERSONAL) rows += await database.rowsWith(text);
  return rows;
}

/** How many messages of her there are in each of the places downstream. */
async function places({ database }: TestStack): Promise<Record<string, number>> {
  const [row] = await database.sql<Record<string, number>[]>`
    select
      (select count(*)::int from pgmq.q_clerk_changes) as queue,
      (select count(*)::int from pgmq.a_clerk_changes) as archive,
      (select count(*)::int from pgmq.q_clerk_changes_dead) as dead,
      (select count(*)::int from clerk_sync.welcome_mails) as welcomes
  `;
  return { ...row };
}

stackTest(
  "after a person's deletion, no table downstream holds anything personal, whatever was in flight",
  async (stack) => {
    const { services } = stack;
    const supabase = connect(services.apiUrl, services.keys.clerkWorker);
    const queue = createQueue(supabase);
    const welcomes = createWelcomeMails(supabase);
    const update = (version: number): Promise<unknown> =>
      stack.send(anEvent("user.updated", zenobia(version), { timestamp: version }));

    // One change archived, one dead of an error that quotes her, one in flight, one waiting.
    await update(1_760_000_000_000);
    await work(queue, async ({ id }) => {
      const claim = crypto.randomUUID();
      await welcomes.claim({ userId: id, claim, leaseSeconds: 60, perHour: 30, causedBy: null });
      await welcomes.settle(id, claim, true);
    });
    await update(1_760_000_001_000);
    const log = await work(queue, () => Promise.reject(new Error(`no room for ${PERSONAL[1]}`)));
    await update(1_760_000_002_000);
    const { changes: [inFlight] } = await queue.read(1, 60);
    await update(1_760_000_003_000);

    assertEquals(await places(stack), { queue: 2, archive: 1, dead: 1, welcomes: 1 });
    assert(await rowsWithPersonal(stack) >= PERSONAL.length, "control: the search finds her");
    assertEquals(PERSONAL.filter((text) => JSON.stringify(log).includes(text)), []);

    const deletion = await stack.send(anEvent("user.deleted", aDeletedClerkUser("user_zenobia")));

    assertEquals(deletion.outcome, "applied");
    assertEquals(await rowsWithPersonal(stack), 0);

    // The change in flight is dead-lettered, and the rest fails with an error that quotes her.
    assertEquals(inFlight?.row?.email, PERSONAL[1]);
    await queue.settle([{
      message_id: inFlight?.message_id ?? 0,
      reads: inFlight?.reads ?? 0,
      verdict: "dead",
      error_class: `no room for ${PERSONAL[1]}`,
    }]);
    const rows: unknown[] = [];
    await work(queue, ({ row }) => {
      rows.push(row);
      return Promise.reject(new HandlerError(`550 ${PERSONAL[0]}`));
    });

    assertEquals(await places(stack), { queue: 0, archive: 1, dead: 4, welcomes: 1 });
    assertEquals(rows.length, 2);
    assertEquals(PERSONAL.filter((text) => JSON.stringify(rows).includes(text)), []);
    assertEquals(await rowsWithPersonal(stack), 0);
  },
);
