import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HandlerError } from "../../../functions/queue-worker/change.ts";
import { createForward } from "../../../functions/queue-worker/handlers/forward.ts";
import { aSigningSecret } from "../../secrets.ts";
import { aChange } from "./a_change.ts";
import { startReceiver } from "./receiver.ts";

const NEVER = new AbortController().signal;

Deno.test("a change arrives signed per Standard Webhooks, with its row and version", async () => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  const change = aChange({ message_id: 42 });

  await createForward({ urls: [receiver.url], secret }).run(change, NEVER);

  const [message] = receiver.received;
  assertEquals([message?.id, message?.isAuthentic], ["clerk_change_42", true]);
  assertEquals(JSON.parse(message?.body ?? ""), {
    type: "profile.created",
    timestamp: change.enqueued_at,
    data: { id: "user_ada", changed: change.changed, version: change.version, row: change.row },
  });
});

Deno.test("the message id is the same on every attempt, so that repeats can be dropped", async () => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  const forward = createForward({ urls: [receiver.url], secret });

  await forward.run(aChange({ reads: 1 }), NEVER);
  await forward.run(aChange({ reads: 2 }), NEVER);

  assertEquals(receiver.received.map(({ id }) => id), ["clerk_change_1", "clerk_change_1"]);
});

Deno.test("every URL gets the change, and one that fails is enough to try again", async () => {
  const secret = aSigningSecret();
  await using good = startReceiver(secret);
  await using bad = startReceiver(secret, () => new Response("no", { status: 503 }));
  const forward = createForward({ urls: [good.url, bad.url], secret });

  const error = await assertRejects(() => forward.run(aChange(), NEVER), HandlerError);

  assertEquals(error.errorClass, "http_503");
  assertEquals([good.received.length, bad.received.length], [1, 1]);
});

Deno.test("a redirect is not followed", async () => {
  const secret = aSigningSecret();
  await using target = startReceiver(secret);
  await using receiver = startReceiver(secret, () => Response.redirect(target.url));
  const forward = createForward({ urls: [receiver.url], secret });

  const error = await assertRejects(() => forward.run(aChange(), NEVER), HandlerError);

  assertEquals(error.errorClass, "http_302");
  assertEquals(target.received, []);
});

Deno.test("a receiver that hangs is left after the limit", async () => {
  const secret = aSigningSecret();
  const release = Promise.withResolvers<Response>();
  await using receiver = startReceiver(secret, () => release.promise);
  const forward = createForward({ urls: [receiver.url], secret, milliseconds: 100 });
  const started = performance.now();

  const error = await assertRejects(() => forward.run(aChange(), NEVER), HandlerError);
  release.resolve(new Response());

  assertEquals(error.errorClass, "timeout");
  assert(performance.now() - started < 5000);
});

Deno.test("a receiver that resets the connection, or is not there, is tried again", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const reset = (async () => {
    for await (const connection of listener) connection.close();
  })();
  const urls = [new URL(`http://127.0.0.1:${port}/`)];
  const forward = createForward({ urls, secret: aSigningSecret() });

  const cut = await assertRejects(() => forward.run(aChange(), NEVER), HandlerError);
  listener.close();
  await reset.catch(() => {});
  const absent = await assertRejects(() => forward.run(aChange(), NEVER), HandlerError);

  assertEquals([cut.errorClass, absent.errorClass], ["no_answer", "no_answer"]);
});

Deno.test("a malformed secret is refused when the handler is made", () => {
  assertThrows(() => createForward({ urls: [], secret: "whsec_???" }), Error);
});
