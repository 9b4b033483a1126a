import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../../../functions/_shared/clerk_sync/supabase.ts";
import {
  createQueue,
  type Queue,
  QueueError,
} from "../../../../functions/clerk-worker/drain/queue.ts";
import {
  createWelcomeMails,
  type WelcomeMails,
} from "../../../../functions/clerk-worker/handlers/welcome_email/claim.ts";
import { stackTest } from "../../../test_stack.ts";
import { hurryTimeouts } from "../hurried_timeouts.ts";

// What the worker makes of an API that fails, and of malformed messages on the real queue.

const CLAIM = "00000000-0000-4000-8000-000000000000";
const ATTEMPT = {
  userId: "user_ada",
  claim: CLAIM,
  leaseSeconds: 60,
  perHour: 30,
  causedBy: null,
};

function on(url: string, key = "sb_secret_made_up"): { queue: Queue; welcomes: WelcomeMails } {
  const supabase = connect(url, key);
  return { queue: createQueue(supabase), welcomes: createWelcomeMails(supabase) };
}

/** An API on loopback that answers every request alike. */
function startApi(
  answer: () => Response | Promise<Response>,
): { readonly url: string } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("a refusal of the database is a QueueError with its code, and without its text", async () => {
  await using api = startApi(() =>
    Response.json({ code: "42501", message: "no right to ada@example.com" }, { status: 403 })
  );
  const { queue, welcomes } = on(api.url);

  const errors = await Promise.all([
    assertRejects(() => queue.read(1, 60), QueueError),
    assertRejects(() => queue.settle([]), QueueError),
    assertRejects(() => welcomes.claim(ATTEMPT), QueueError),
    assertRejects(() => welcomes.settle("user_ada", CLAIM, true), QueueError),
  ]);

  assertEquals(errors.map(({ message }) => message), ["42501", "42501", "42501", "42501"]);
});

Deno.test("an unreachable database is a QueueError", async () => {
  await assertRejects(
    () => on("http://127.0.0.1:9").queue.read(1, 60),
    QueueError,
    "no_answer",
  );
});

Deno.test("a database that does not answer within 10 s is given up on", async () => {
  const release = Promise.withResolvers<Response>();
  await using api = startApi(() => release.promise);
  using timeouts = hurryTimeouts();
  const reading = on(api.url).queue.read(1, 60);

  const letGo = setTimeout(() => release.resolve(Response.json([])), 5000);
  await assertRejects(() => reading, QueueError, "timeout");
  clearTimeout(letGo);
  release.resolve(Response.json([]));

  assertEquals(timeouts.asked, [10_000]);
});

Deno.test("an answer that is not understood is a QueueError, which quotes nothing of it", async () => {
  await using api = startApi(() => Response.json({ email: "ada@example.com" }));
  const { queue, welcomes } = on(api.url);

  const errors = await Promise.all([
    assertRejects(() => queue.read(1, 60), QueueError),
    assertRejects(() => welcomes.claim(ATTEMPT), QueueError),
  ]);

  assertEquals(errors.map(({ message }) => message), ["strange_answer", "strange_answer"]);
});

stackTest(
  "a malformed message is told apart from a change, and keeps its number",
  async (stack) => {
    const { database, services } = stack;
    const { queue } = on(services.apiUrl, services.keys.clerkWorker);
    await database.sql`select pgmq.send('clerk_changes', '{"topic": "order.paid", "number": 1}')`;
    await database.ingest("msg_1", {
      type: "user.created",
      timestamp: 1,
      data: { id: "user_ada", updated_at: 1e12 },
    });

    const { changes, malformed } = await queue.read(3, 60);

    assertEquals(changes.map(({ id }) => id), ["user_ada"]);
    assertEquals(malformed.map(({ message_id, reads }) => [message_id, reads]), [[1, 1]]);
  },
);
