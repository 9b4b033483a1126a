import { assertEquals } from "@std/assert";
import { aClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { signedHeadersFor } from "../../../local/clerk/deliver.ts";
import type { Answer, Inbox, Unavailable } from "../../../functions/clerk-webhook/inbox.ts";
import type { LogEntry } from "../../../functions/_shared/clerk_sync/log.ts";
import { createVerifier } from "../../../functions/clerk-webhook/verify.ts";
import { createHandler, type Deps } from "../../../functions/clerk-webhook/handler.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";

// HTTP in, HTTP out, without a database. What the database answers is tested with the real one.

interface Call {
  readonly name: "ingest" | "reject";
  readonly messageId: string;
}

class Desk {
  readonly secret = aSigningSecret();
  readonly calls: Call[] = [];
  readonly lines: LogEntry[] = [];
  readonly deps: Deps;
  readonly handle: (request: Request) => Promise<Response>;

  constructor(answer: Answer | Unavailable = { outcome: "applied" }) {
    const take = (name: Call["name"]) => (messageId: string): Promise<Answer | Unavailable> => {
      this.calls.push({ name, messageId });
      return Promise.resolve(answer);
    };
    const inbox: Inbox = { ingest: take("ingest"), reject: take("reject") };
    this.deps = {
      verify: createVerifier(this.secret),
      inbox,
      log: (entry) => this.lines.push(entry),
    };
    this.handle = createHandler(this.deps);
  }

  post(body: string, id = "msg_1"): Request {
    return new Request("http://localhost/clerk-webhook", {
      method: "POST",
      headers: signedHeadersFor({ id, body }, this.secret),
      body,
    });
  }
}

const EVENT = JSON.stringify(anEvent("user.created", aClerkUser()));

Deno.test("every outcome of the database has the status that the contract gives it", async () => {
  // Written out, and not read from the table that is tested.
  for (
    const [outcome, status] of [
      ["applied", 200],
      ["stale", 200],
      ["duplicate", 200],
      ["ignored", 200],
      ["unreadable", 422],
      ["failed", 500],
    ] as const
  ) {
    const desk = new Desk({ outcome });

    const response = await desk.handle(desk.post(EVENT));

    assertEquals(response.status, status);
    assertEquals(await response.json(), { outcome, message_id: "msg_1" });
  }
});

Deno.test("an unavailable database is 503, and its code is logged but not answered", async () => {
  const desk = new Desk({ outcome: "unavailable", code: "57014" });

  const response = await desk.handle(desk.post(EVENT));

  assertEquals(response.status, 503);
  assertEquals(await response.json(), { outcome: "unavailable", message_id: "msg_1" });
  assertEquals(desk.lines[0]?.code, "57014");
});

Deno.test("any method but POST is 405, and the answer says that POST is allowed", async () => {
  for (const method of ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]) {
    const desk = new Desk();

    const response = await desk.handle(new Request("http://localhost/", { method }));

    assertEquals(response.status, 405);
    assertEquals(response.headers.get("allow"), "POST");
    assertEquals(desk.calls, []);
  }
});

Deno.test("a delivery without signature headers is 401, and its body is not even read", async () => {
  const desk = new Desk();
  const request = new Request("http://localhost/", { method: "POST", body: EVENT });

  const response = await desk.handle(request);

  assertEquals(response.status, 401);
  assertEquals(await response.json(), { outcome: "missing_headers" });
  assertEquals(request.bodyUsed, false);
  assertEquals(desk.calls, []);
});

Deno.test("a body changed after signing is 401, and does not reach the database", async () => {
  const desk = new Desk();
  const signed = desk.post(EVENT);
  const forged = new Request(signed.url, {
    method: "POST",
    headers: signed.headers,
    body: EVENT.replace("user.created", "user.deleted"),
  });

  const response = await desk.handle(forged);

  assertEquals(response.status, 401);
  assertEquals(await response.json(), { outcome: "bad_signature" });
  assertEquals(desk.calls, []);
});

Deno.test("bytes that become the signed text only by lenient decoding are not authentic", async () => {
  const desk = new Desk();
  const body = '{"a":"\u{FFFD}"}';
  const bytes = new TextEncoder().encode(body);
  const at = bytes.indexOf(0xef);
  const lookalike = new Uint8Array([...bytes.slice(0, at), 0xff, ...bytes.slice(at + 3)]);

  const forged = await desk.handle(
    new Request("http://localhost/", {
      method: "POST",
      headers: signedHeadersFor({ id: "msg_1", body }, desk.secret),
      body: lookalike,
    }),
  );
  const genuine = await desk.handle(desk.post(body));

  assertEquals(forged.status, 401);
  // Authentic, and no event.
  assertEquals((await genuine.json()).message_id, "msg_1");
});

Deno.test("a body over 1 MiB is 413, whatever its signature", async () => {
  const desk = new Desk();

  const largest = await desk.handle(desk.post("x".repeat(1_048_576)));
  const tooLarge = await desk.handle(desk.post("x".repeat(1_048_577)));

  assertEquals([largest.status, tooLarge.status], [200, 413]);
  assertEquals(desk.calls.map(({ name }) => name), ["reject"]);
});

Deno.test("a readable event is ingested, and any other authentic body is recorded as rejected", async () => {
  const desk = new Desk();

  for (const [id, body] of [["msg_1", EVENT], ["msg_2", "{oops"], ["msg_3", ""]] as const) {
    await desk.handle(desk.post(body, id));
  }

  assertEquals(desk.calls, [
    { name: "ingest", messageId: "msg_1" },
    { name: "reject", messageId: "msg_2" },
    { name: "reject", messageId: "msg_3" },
  ]);
});

Deno.test("a delivery is one log line, with outcome, status, id, type and duration", async () => {
  const desk = new Desk();

  await desk.handle(desk.post(EVENT));

  const [line] = desk.lines;
  assertEquals(desk.lines.length, 1);
  assertEquals(typeof line?.ms, "number");
  assertEquals({ ...line, ms: 0 }, {
    outcome: "applied",
    status: 200,
    message_id: "msg_1",
    type: "user.created",
    ms: 0,
  });
});

Deno.test("no log line and no answer quotes the request", async () => {
  const needle = "needle@example.com";
  const user = aClerkUser({ first_name: needle });
  const bodies = [
    JSON.stringify(anEvent("user.created", user)),
    JSON.stringify(anEvent("user.created", { ...user, last_name: 7, email_addresses: [needle] })),
    JSON.stringify(anEvent(needle, user)),
    JSON.stringify({ type: needle }),
    `{"${needle}`,
  ];

  for (const body of bodies) {
    const desk = new Desk();
    const answers = [
      await desk.handle(desk.post(body, needle)),
      await desk.handle(new Request("http://localhost/", { method: "POST", body })),
    ];

    assertEquals(JSON.stringify(desk.lines).includes(needle), false);
    assertEquals(desk.lines.length, 2);
    // The message id is the sender's own and goes back to the sender alone.
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    assertEquals(texts.join("").replace(`"message_id":"${needle}"`, "").includes(needle), false);
  }
});

Deno.test("a name or a code in place of the event type stays out of the log", async () => {
  for (const type of ["Nadia", "583914", "nadia_ferreira", "+351900000002"]) {
    const desk = new Desk();

    await desk.handle(desk.post(JSON.stringify(anEvent(type, {}))));

    assertEquals(desk.lines.map((line) => line.type), ["(unusual)"]);
  }
});

Deno.test("an event of 350 kB, the size of Clerk's largest, is ingested", async () => {
  const desk = new Desk();
  const event = anEvent(
    "user.created",
    aClerkUser({ public_metadata: { x: "x".repeat(350_000) } }),
  );

  const response = await desk.handle(desk.post(JSON.stringify(event)));

  assertEquals(response.status, 200);
  assertEquals(desk.calls.map(({ name }) => name), ["ingest"]);
});

Deno.test("cosmetic values of the wrong type are logged by path, at most 20 of them", async () => {
  const desk = new Desk();
  const addresses = Array.from({ length: 50 }, () => ({ email_address: 7 }));
  const user = aClerkUser({ locale: 7, email_addresses: addresses });

  const response = await desk.handle(desk.post(JSON.stringify(anEvent("user.updated", user))));

  assertEquals(response.status, 200);
  const [line] = desk.lines;
  assertEquals((line?.dropped as string[]).slice(0, 2), [
    "data.locale",
    "data.email_addresses.0.email_address",
  ]);
  assertEquals((line?.dropped as string[]).length, 20);
});

const NEEDLE = "needle@example.com";
const crash = (): never => {
  throw new Error(`no room for ${NEEDLE}`);
};

/** What can go wrong where nothing should. */
const CRASHES: [string, Partial<Deps>, (signed: Request) => Request][] = [
  ["an inbox that rejects", {
    inbox: { ingest: () => Promise.reject(new Error(NEEDLE)), reject: crash },
  }, (signed) => signed],
  ["an inbox that throws", { inbox: { ingest: crash, reject: crash } }, (signed) => signed],
  ["an inbox that answers nothing", {
    inbox: { ingest: () => Promise.resolve(undefined as never), reject: crash },
  }, (signed) => signed],
  ["a check of signatures that throws", { verify: crash }, (signed) => signed],
  ["a request whose headers cannot be read", {}, (signed) =>
    new Proxy(signed, {
      get: (request, name) => name === "headers" ? crash() : Reflect.get(request, name),
    })],
];

for (const [what, broken, send] of CRASHES) {
  Deno.test(`${what} is one log line and one answer, neither with the error's text`, async () => {
    const desk = new Desk();
    const handle = createHandler({ ...desk.deps, ...broken });

    const response = await handle(send(desk.post(EVENT)));

    assertEquals(response.status, 503);
    assertEquals((await response.json()).outcome, "unavailable");
    assertEquals(
      desk.lines.map(({ outcome, status, code }) => ({ outcome, status, code })),
      [{ outcome: "unavailable", status: 503, code: "crashed" }],
    );
    assertEquals(JSON.stringify(desk.lines).includes(NEEDLE), false);
  });
}

Deno.test("an inbox that rejects is logged with the id and the type of the message", async () => {
  const desk = new Desk();
  const inbox = { ingest: () => Promise.reject(new Error(NEEDLE)), reject: crash };

  await createHandler({ ...desk.deps, inbox })(desk.post(EVENT));

  assertEquals(desk.lines.map(({ type, message_id }) => ({ type, message_id })), [
    { type: "user.created", message_id: "msg_1" },
  ]);
});
