import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HandlerError } from "../../../../functions/clerk-worker/drain/handler.ts";
import { createForward } from "../../../../functions/clerk-worker/handlers/forward.ts";
import { aSigningSecret } from "../../../../local/clerk/signing_secret.ts";
import { aChange } from "../a_change.ts";
import { hurryTimeouts } from "../hurried_timeouts.ts";
import { startReceiver } from "./receiver.ts";

const NEVER = new AbortController().signal;

Deno.test("a change arrives signed per Standard Webhooks, with its row and version", async () => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  const change = aChange({ change_id: "42_1761991200000000" });

  await createForward({ urls: [receiver.url], secrets: [secret] })(change, NEVER);

  const [message] = receiver.received;
  assertEquals([message?.id, message?.isAuthentic], ["clerk_change_42_1761991200000000", true]);
  assertEquals(JSON.parse(message?.body ?? ""), {
    type: "profile.created",
    timestamp: change.enqueued_at,
    data: { id: "user_ada", changed: change.changed, version: change.version, row: change.row },
  });
});

Deno.test("several secrets all sign, so that receivers can change theirs one by one", async () => {
  const [old, fresh] = [aSigningSecret(), aSigningSecret()];
  await using first = startReceiver(old);
  await using second = startReceiver(fresh);
  await using stranger = startReceiver(aSigningSecret());
  const urls = [first, second, stranger].map(({ url }) => url);

  await createForward({ urls, secrets: [old, fresh] })(aChange(), NEVER);

  const found = [first, second, stranger].map(({ received }) => received[0]?.isAuthentic);
  assertEquals(found, [true, true, false]);
});

Deno.test("a profile's deletion arrives with the external_id that it carried", async () => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  const forward = createForward({ urls: [receiver.url], secrets: [secret] });
  const row = { id: "user_ada", external_id: null };

  await forward(aChange({ topic: "profile.deleted", external_id: "crm-17", row }), NEVER);
  await forward(aChange({ topic: "profile.deleted", row }), NEVER);

  const data = receiver.received.map(({ body }) => JSON.parse(body).data);
  assertEquals(data.map(({ external_id }) => external_id), ["crm-17", null]);
});

Deno.test("the message id is the same on every attempt, so that repeats can be dropped", async () => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  const forward = createForward({ urls: [receiver.url], secrets: [secret] });

  await forward(aChange({ reads: 1 }), NEVER);
  await forward(aChange({ reads: 2 }), NEVER);
  await forward(aChange({ reads: 1, message_id: 7 }), NEVER);

  const ids = receiver.received.map(({ id }) => id);
  assertEquals(ids, Array(3).fill("clerk_change_1_1761991200000000"));
});

Deno.test("every URL gets the change, and one failure is enough to retry", async () => {
  const secret = aSigningSecret();
  await using good = startReceiver(secret);
  await using bad = startReceiver(secret, () => new Response("no", { status: 503 }));
  const forward = createForward({ urls: [good.url, bad.url], secrets: [secret] });

  const error = await assertRejects(() => forward(aChange(), NEVER), HandlerError);

  assertEquals(error.errorClass, "http_503");
  assertEquals([good.received.length, bad.received.length], [1, 1]);
});

Deno.test("a redirect is not followed", async () => {
  const secret = aSigningSecret();
  await using target = startReceiver(secret);
  await using receiver = startReceiver(secret, () => Response.redirect(target.url));
  const forward = createForward({ urls: [receiver.url], secrets: [secret] });

  const error = await assertRejects(() => forward(aChange(), NEVER), HandlerError);

  assertEquals(error.errorClass, "http_302");
  assertEquals(target.received, []);
});

/** A receiver that never answers, until it is let go. */
function startHangingReceiver(secret: string): ReturnType<typeof startReceiver> {
  const release = Promise.withResolvers<Response>();
  const receiver = startReceiver(secret, () => release.promise);
  return {
    ...receiver,
    [Symbol.asyncDispose]: () => {
      release.resolve(new Response());
      return receiver[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a receiver that hangs is given up on after 15 s", async () => {
  const secret = aSigningSecret();
  await using receiver = startHangingReceiver(secret);
  const forward = createForward({ urls: [receiver.url], secrets: [secret] });
  const tooLate = AbortSignal.timeout(60_000);
  using timeouts = hurryTimeouts();

  const error = await assertRejects(() => forward(aChange(), tooLate), HandlerError);

  assertEquals([error.errorClass, tooLate.aborted], ["timeout", false]);
  assertEquals(timeouts.asked, [15_000]);
});

Deno.test("a receiver that hangs is given up on before another worker gets the change", async () => {
  const secret = aSigningSecret();
  await using receiver = startHangingReceiver(secret);
  const forward = createForward({ urls: [receiver.url], secrets: [secret], milliseconds: 60_000 });
  const started = performance.now();

  const error = await assertRejects(
    () => forward(aChange(), AbortSignal.timeout(50)),
    HandlerError,
  );

  assertEquals(error.errorClass, "timeout");
  assert(performance.now() - started < 30_000);
});

Deno.test("a receiver that answers 2xx with an endless body has received the change", async () => {
  const secret = aSigningSecret();
  let ending: ReadableStreamDefaultController<Uint8Array> | undefined;
  await using receiver = startReceiver(
    secret,
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode("thanks, and"));
            ending = controller;
          },
          cancel: () => {
            ending = undefined;
          },
        }),
      ),
  );
  const forward = createForward({ urls: [receiver.url], secrets: [secret], milliseconds: 5000 });

  try {
    await forward(aChange(), NEVER);
  } finally {
    ending?.close();
  }

  assertEquals(receiver.received.length, 1);
});

const NOT_SUCCESS = [300, 304, 307, 308, 400, 401, 410, 429, 500, 502];

Deno.test("every status but 2xx is retried, with its class", async () => {
  const secret = aSigningSecret();
  const statuses = [...NOT_SUCCESS];
  await using receiver = startReceiver(
    secret,
    () => new Response(null, { status: statuses.shift() ?? 204 }),
  );
  const forward = createForward({ urls: [receiver.url], secrets: [secret] });

  for (const status of NOT_SUCCESS) {
    const error = await assertRejects(() => forward(aChange(), NEVER), HandlerError);
    assertEquals(error.errorClass, `http_${status}`);
  }

  await forward(aChange(), NEVER);
  assertEquals(receiver.received.length, NOT_SUCCESS.length + 1);
});

Deno.test("a receiver that resets the connection, or is not there, is retried", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const reset = (async () => {
    for await (const connection of listener) connection.close();
  })();
  const urls = [new URL(`http://127.0.0.1:${port}/`)];
  const forward = createForward({ urls, secrets: [aSigningSecret()] });

  const cut = await assertRejects(() => forward(aChange(), NEVER), HandlerError);
  listener.close();
  await reset.catch(() => {});
  // Not the port that was just given up, which another test may take.
  const nowhere = createForward({
    urls: [new URL("http://127.0.0.1:9/")],
    secrets: [aSigningSecret()],
  });
  const absent = await assertRejects(() => nowhere(aChange(), NEVER), HandlerError);

  assertEquals([cut.errorClass, absent.errorClass], ["no_answer", "no_answer"]);
});

Deno.test("a malformed secret is refused when the handler is made", () => {
  assertThrows(() => createForward({ urls: [], secrets: ["whsec_???"] }), Error);
});
