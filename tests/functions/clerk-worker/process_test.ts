import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { aClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { connect } from "../../../functions/_shared/clerk_sync/supabase.ts";
import { createForward } from "../../../functions/clerk-worker/handlers/forward.ts";
import { createQueue } from "../../../functions/clerk-worker/drain/queue.ts";
import { drain, SETTINGS } from "../../../functions/clerk-worker/drain/worker.ts";
import { type EdgeFunction, startEdgeFunction } from "../../../local/functions/edge_function.ts";
import { StartError } from "../../../local/start_error.ts";
import { hostedDeno } from "../../../bench/hosted_deno.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";
import type { TestDatabase } from "../../test_database.ts";
import { anInstance, serveClerkApi } from "../../clerk_api/clerk_api.ts";
import { stackTest, startWorker } from "../../test_stack.ts";
import { until } from "../../until.ts";
import { startMailServer } from "./handlers/welcome_email/mail_server.ts";
import { startReceiver } from "./handlers/receiver.ts";

// The worker as a process, on the real queue, with the role clerk_worker.

/** How long is waited on a busy machine, ms: longer than the lease of a claim. */
const PATIENCE = 90_000;

/** Signs up this many users at once, each of them one change. */
async function makePeople({ sql }: TestDatabase, count: number): Promise<void> {
  await sql`
    select public.ingest_clerk_event(
      'msg_' || n,
      jsonb_build_object(
        'type', 'user.created',
        'timestamp', extract(epoch from now()) * 1000,
        'data', jsonb_build_object(
          'id', 'user_' || n,
          'created_at', extract(epoch from now()) * 1000,
          'updated_at', extract(epoch from now()) * 1000,
          'primary_email_address_id', 'idn_1',
          'email_addresses', jsonb_build_array(jsonb_build_object(
            'id', 'idn_1',
            'email_address', 'person.' || n || '@example.com',
            'verification', jsonb_build_object('status', 'verified'))))))
    from generate_series(1, ${count}) as n
  `;
}

/** Makes everything that waits for its time visible at once. */
async function hurry({ sql }: TestDatabase): Promise<void> {
  await sql`
    update pgmq.q_clerk_changes
    set vt = clock_timestamp() - interval '1 second'
    where msg_id in (select msg_id from pgmq.q_clerk_changes for update skip locked)
  `;
}

async function depth({ sql }: TestDatabase): Promise<number> {
  const [row] = await sql<{ depth: number }[]>`
    select count(*)::int as depth from pgmq.q_clerk_changes
  `;
  return row?.depth ?? -1;
}

for (const deno of [undefined, await hostedDeno()]) {
  const where = deno === undefined ? "here" : "on Deno 2.1.4";
  stackTest(`a change reaches both handlers within a second or two, ${where}`, async (stack) => {
    const secret = aSigningSecret();
    await using receiver = startReceiver(secret);
    await using mails = await startMailServer();
    await using _worker = await startWorker(stack, {
      FORWARD_URLS: receiver.url.href,
      FORWARD_SIGNING_SECRET: secret,
      SMTP_URL: mails.url,
      WELCOME_FROM: "hello@example.com",
      WELCOME_APP: "Lantern",
    }, deno === undefined ? {} : { deno });

    // The fastest of three, or of ten, because the machine may have other work.
    const seconds: number[] = [];
    for (let person = 1; person <= 3 || person <= 10 && Math.min(...seconds) >= 3; person++) {
      const started = performance.now();
      await stack.send(anEvent(
        "user.created",
        aClerkUser({ id: `user_${person}`, private_metadata: { note: "unspeakable" } }),
      ));
      await until("the change is received", () => receiver.received.length === person, PATIENCE);
      seconds.push((performance.now() - started) / 1000);
      await until("the person is greeted", () => mails.mails.length === person, PATIENCE);
    }

    const { received } = receiver;
    assertEquals(received.map(({ isAuthentic }) => isAuthentic), seconds.map(() => true));
    assertEquals(received.filter(({ body }) => /private|unspeakable/.test(body)), []);
    assert(Math.min(...seconds) < 3, `${seconds} s`);
  });
}

for (const deno of [undefined, await hostedDeno()]) {
  const where = deno === undefined ? "here" : "on Deno 2.1.4";
  stackTest(
    `with a key of Clerk's, the worker reads its API by itself, ${where}`,
    async (stack) => {
      const instance = anInstance({ users: 700, organizations: 3, memberships: 20 });
      await using clerk = serveClerkApi(instance);
      const log: string[] = [];
      await using _worker = await startWorker(stack, {
        CLERK_SECRET_KEY: clerk.secretKey,
        CLERK_API_URL: clerk.url,
      }, { onLog: (line) => log.push(line), ...(deno === undefined ? {} : { deno }) });
      const { sql } = stack.database;
      const held = async (): Promise<number> => (await sql`select from public.profiles`).length;

      await until("the poll has brought all users", async () => await held() === 700, PATIENCE);
      // Its time comes.
      await sql`update clerk_sync.runs set began_at = began_at - interval '1 day'`;
      await until("a reconcile has finished", async () => {
        const runs = await sql`
        select from clerk_sync.runs where kind = 'reconcile' and finished_at is not null
      `;
        return runs.length > 0;
      }, PATIENCE);

      assertEquals((await sql`select from public.organization_memberships`).length, 20);
      assertEquals(log.filter((line) => /unavailable|not_configured/.test(line)), []);
    },
  );
}

stackTest(
  "handlers that are not configured are off, the log says so once, and changes are done",
  async (stack) => {
    const log: string[] = [];
    await using _worker = await startWorker(stack, {}, { onLog: (line) => log.push(line) });

    await makePeople(stack.database, 3);
    await until("the queue is empty", async () => await depth(stack.database) === 0, PATIENCE);

    assertEquals(log.filter((line) => line.includes("forward is off")).length, 1);
    assertEquals(log.filter((line) => line.includes("welcome_email is off")).length, 1);
  },
);

const SOUND: Readonly<Record<string, string>> = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEYS: '{"clerk_worker":"sb_secret_made_up"}',
  CLERK_WORKER_SECRET: "a long random text",
};

function start(env: Record<string, string>): Promise<EdgeFunction> {
  return startEdgeFunction({ name: "clerk-worker", env, reaches: ["127.0.0.1:9"] });
}

const BROKEN: [string, Record<string, string>][] = [
  ["SUPABASE_URL", { SUPABASE_URL: "" }],
  ["SUPABASE_SECRET_KEYS", { SUPABASE_SECRET_KEYS: "" }],
  ["CLERK_WORKER_SECRET", { CLERK_WORKER_SECRET: " " }],
  ["CLERK_WORKER_SECRET", { CLERK_WORKER_SECRET: "changeme" }],
  ["CLERK_WORKER_MAX_READS", { CLERK_WORKER_MAX_READS: "many" }],
  ["CLERK_API_URL", { CLERK_SECRET_KEY: "sk_test_made_up", CLERK_API_URL: "api.clerk.com" }],
  ["FORWARD_SIGNING_SECRET", { FORWARD_URLS: "https://example.com" }],
  ["FORWARD_SIGNING_SECRET", {
    FORWARD_URLS: "https://example.com",
    FORWARD_SIGNING_SECRET: `whsec_${"A".repeat(21)}`,
  }],
  ["WELCOME_FROM", { SMTP_URL: "smtp://127.0.0.1:9", WELCOME_FROM: "Lantern", WELCOME_APP: "L" }],
  ["FORWARD_URLS", { FORWARD_URLS: "nowhere", FORWARD_SIGNING_SECRET: aSigningSecret() }],
  ["WELCOME_FROM", { SMTP_URL: "smtp://127.0.0.1:9" }],
  ["WELCOME_APP", { RESEND_API_KEY: "re_made_up", WELCOME_FROM: "hello@example.com" }],
];

for (const [variable, broken] of BROKEN) {
  Deno.test(`${JSON.stringify(Object.keys(broken))} alone stops the worker at boot, naming ${variable}`, async () => {
    const error = await assertRejects(() => start({ ...SOUND, ...broken }), StartError);

    assertMatch(
      error.message,
      new RegExp(`^Cannot start the function .*Cannot start as .*${variable}`),
    );
    assertEquals(error.message.split("\n").length, 1);
  });
}

stackTest(
  "a killed worker loses no change, and greets someone twice only if it died between sending and recording",
  async (stack) => {
    const secret = aSigningSecret();
    await using receiver = startReceiver(secret, async () => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return new Response();
    });
    await using mails = await startMailServer();
    await using worker = await startWorker(stack, {
      FORWARD_URLS: receiver.url.href,
      FORWARD_SIGNING_SECRET: secret,
      SMTP_URL: mails.url,
      WELCOME_FROM: "hello@example.com",
      WELCOME_APP: "Lantern",
      WELCOME_PER_HOUR: "60",
      // However often a change is read while a claim of the dead has its lease.
      CLERK_WORKER_MAX_READS: "10000",
    });
    const { database } = stack;

    await makePeople(database, 60);
    await until("some are greeted", () => mails.mails.length >= 15, PATIENCE);
    await worker.edgeFunction("clerk-worker")?.kill();
    // The window: claimed, perhaps accepted by the mail server, and not yet noted as sent. What the
    // dead worker had asked of the database may still be done; the next one is not up by then. A claim
    // that is even later was never heard of by the dead, who sent nothing: its lease just passes.
    const dead = new Date(Date.now() + 200);
    await until("the dead worker is forgotten", () => Date.now() > dead.getTime());
    const open = await database.sql<{ user_id: string }[]>`
      select user_id from clerk_sync.welcome_mails where sent_at is null and claimed_at < ${dead}
    `;
    await database.sql`
      update clerk_sync.welcome_mails
      set claimed_at = claimed_at - interval '1 hour'
      where sent_at is null and claimed_at < ${dead}
    `;
    await until("everything is done", async () => {
      await hurry(database);
      return await depth(database) === 0;
    }, PATIENCE);

    const forwarded = new Set(receiver.received.map(({ id }) => id));
    const greeted = new Map<string, number>();
    for (const { to } of mails.mails) {
      const [address = ""] = [to].flat().flatMap((each) => each?.value.map((one) => one.address));
      greeted.set(address, (greeted.get(address) ?? 0) + 1);
    }
    const twice = [...greeted].filter(([, count]) => count > 1).map(([address]) => address);
    const window = new Set(open.map(({ user_id }) => `person.${user_id.slice(5)}@example.com`));
    assertEquals([forwarded.size, greeted.size], [60, 60]);
    assertEquals(twice.filter((address) => !window.has(address)), []);
  },
);

stackTest(
  "1,000 changes, three workers, one failure in ten: all done, none lost",
  async (stack) => {
    const secret = aSigningSecret();
    const accepted = new Set<string>();
    await using receiver = startReceiver(secret, ({ id }, count) => {
      if (count % 10 === 0) return new Response("not now", { status: 500 });
      accepted.add(id);
      return new Response();
    });
    const { database, services } = stack;
    const queue = createQueue(connect(services.apiUrl, services.keys.clerkWorker));
    const run = createForward({ urls: [receiver.url], secrets: [secret] });
    const handlers = [{ name: "forward", topics: "all", run }] as const;
    const settings = { ...SETTINGS, takeAtMost: 1000 };
    await makePeople(database, 1000);

    const sums = { done: 0, retried: 0, dead: 0 };
    while (await depth(database) > 0) {
      const summaries = await Promise.all(
        [1, 2, 3].map(() => drain({ queue, handlers, settings, log: () => {} })),
      );
      for (const { done, retried, dead } of summaries) {
        sums.done += done;
        sums.retried += retried;
        sums.dead += dead;
      }
      await hurry(database);
    }

    const [counts] = await database.sql`
    select
      (select count(*)::int from pgmq.a_clerk_changes) as archived,
      (select count(*)::int from pgmq.q_clerk_changes_dead) as dead
  `;
    assertEquals({ ...counts }, { archived: 1000, dead: 0 });
    assertEquals([sums.done, sums.dead, accepted.size], [1000, 0, 1000]);
    // No change was run twice within its visibility timeout: each attempt was accepted or refused.
    assertEquals(receiver.received.length, 1000 + sums.retried);
  },
);

stackTest("a change that fails for good becomes a dead letter without a text", async (stack) => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(
    secret,
    () => new Response("ada@example.com", { status: 410 }),
  );
  await using _worker = await startWorker(stack, {
    FORWARD_URLS: receiver.url.href,
    FORWARD_SIGNING_SECRET: secret,
    CLERK_WORKER_MAX_READS: "1",
  });
  const { database } = stack;

  await makePeople(database, 1);
  await until("the change is dead", async () => await depth(database) === 0, PATIENCE);

  const [dead] = await database.sql`select message from pgmq.q_clerk_changes_dead`;
  assertEquals(dead?.message.error_class, "http_410");
  assertEquals(dead?.message.id, "user_1");
});

stackTest(
  "a malformed message is dead-lettered, and does not hold up the others",
  async (stack) => {
    const { database } = stack;
    await database.sql`select pgmq.send('clerk_changes', '{"hello": "world"}')`;
    await makePeople(database, 1);

    await using _worker = await startWorker(stack, {});
    await until("the queue is empty", async () => await depth(database) === 0, PATIENCE);

    const [row] = await database.sql`
    select
      (select array_agg(message ->> 'error_class') from pgmq.q_clerk_changes_dead) as dead,
      (select array_agg(message ->> 'id') from pgmq.a_clerk_changes) as archived
  `;
    assertEquals({ ...row }, { dead: ["unreadable"], archived: ["user_1"] });
  },
);
