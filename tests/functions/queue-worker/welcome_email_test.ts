import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Change, HandlerError } from "../../../functions/queue-worker/change.ts";
import { createResend } from "../../../functions/queue-worker/handlers/resend.ts";
import { createSmtp } from "../../../functions/queue-worker/handlers/smtp.ts";
import {
  createWelcomeEmail,
  type SendMail,
} from "../../../functions/queue-worker/handlers/welcome_email.ts";
import { createQueue } from "../../../functions/queue-worker/queue.ts";
import { startServices } from "../../../local/services.ts";
import { withTestDatabase } from "../../test_database.ts";
import { aChange } from "./a_change.ts";
import { startMailServer } from "./mail_server.ts";

// Real SMTP, a stand-in for Resend's API, and the real book of welcomes behind the API.

const NEVER = new AbortController().signal;
const DAY = 24 * 3600_000;

/** Runs changes with a book of welcomes of its own. */
function mailTest(
  name: string,
  test: (greet: (send: SendMail, change: Change, now?: number) => Promise<void>) => Promise<void>,
): void {
  Deno.test({
    name,
    fn: () =>
      withTestDatabase(async ({ server, name: database }) => {
        await using services = await startServices({
          postgres: server,
          database,
          functions: false,
        });
        const { welcomes } = createQueue(services.apiUrl, services.keys.clerkWorker);
        await test((send, change, now = Date.now()) =>
          createWelcomeEmail({
            send,
            welcomes,
            from: "Lantern Works <hello@lantern.example.com>",
            app: "Lantern",
            now: () => now,
          }).run(change, NEVER)
        );
      }),
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** A change of somebody whose row has these fields. */
function person(fields: Record<string, unknown> = {}, change: Partial<Change> = {}): Change {
  return aChange({ ...change, row: { ...aChange().row, ...fields } });
}

mailTest("a new person gets one mail, in text and HTML, by SMTP", async (greet) => {
  await using server = await startMailServer();

  await greet(createSmtp(server.url), person());

  const [mail] = server.mails;
  assertEquals(server.mails.length, 1);
  assertEquals(mail?.subject, "Welcome to Lantern");
  assertEquals(mail?.from?.text, '"Lantern Works" <hello@lantern.example.com>');
  assertEquals([mail?.to].flat()[0]?.value, [{ address: "ada@example.com", name: "Ada" }]);
  assertEquals(mail?.messageId, "<welcome.user_ada@clerk-sync.invalid>");
  assert(mail?.text?.startsWith("Hello Ada,"));
  assert(typeof mail?.html === "string" && mail.html.includes("<p>Hello Ada,</p>"));
});

mailTest("the same change run again, or by two at once, greets once", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);

  const runs = await Promise.allSettled([
    greet(send, person()),
    greet(send, person({}, { message_id: 2, topic: "profile.updated" })),
    greet(send, person()),
  ]);
  await greet(send, person());

  assertEquals(server.mails.length, 1);
  assert(runs.some(({ status }) => status === "fulfilled"));
});

const NOT_GREETED: [string, Change][] = [
  ["whose address is not verified", person({ email_verified: false })],
  ["without an address", person({ email: null, email_verified: false })],
  ["of whom only the id is known", person({ email: null, created_at: null })],
  ["whom Clerk made over 24 hours ago", person({ created_at: new Date(0).toISOString() })],
  ["who was deleted meanwhile", person({ deleted_at: new Date().toISOString() })],
  ["who came by a snapshot", person({}, { via: "snapshot" })],
  ["whose row is gone", aChange({ row: null })],
];

mailTest("nobody is greeted too early, too late, or by a backfill", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);

  for (const [, change] of NOT_GREETED) await greet(send, change);
  assertEquals(server.mails.length, 0);

  await greet(send, person());
  assertEquals(server.mails.length, 1);
});

mailTest("a stub is greeted when its verified address comes", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);

  await greet(send, person({ email: null, email_verified: false, created_at: null }));
  await greet(send, person({}, { topic: "profile.updated" }), Date.now() + DAY - 60_000);

  assertEquals(server.mails.length, 1);
});

const HOSTILE: [string, string][] = [
  ["markup", '<script>alert("x")</script>'],
  ["a header", "Ada\r\nBcc: eve@example.com\r\n\r\nhello"],
  ["a quote and an address", '"Eve" <eve@example.com>, '],
  ["other scripts and pictures", "Ådä 🦆 \u202eadA"],
];

mailTest("a hostile name changes neither headers, nor recipients, nor markup", async (greet) => {
  for (const [index, [, name]] of HOSTILE.entries()) {
    await using server = await startMailServer();

    await greet(createSmtp(server.url), person({ id: `user_${index}`, first_name: name }));

    const [mail] = server.mails;
    assertEquals(
      [mail?.to].flat().flatMap((to) => to?.value.map(({ address }) => address)),
      ["ada@example.com"],
    );
    assertEquals([mail?.bcc, mail?.cc, mail?.headers.get("bcc")], [
      undefined,
      undefined,
      undefined,
    ]);
    assertEquals(mail?.subject, "Welcome to Lantern");
    assertEquals(String(mail?.html).includes("<script"), false);
  }
});

mailTest("a refused mail is tried again, and greets once it is accepted", async (greet) => {
  await using server = await startMailServer((count) => count === 1 ? 550 : undefined);
  const send = createSmtp(server.url);

  const refused = await assertRejects(() => greet(send, person()), HandlerError);
  await greet(send, person());

  assertEquals(refused.errorClass, "smtp_550");
  assertEquals(server.mails.length, 1);
});

mailTest("a mail server that is not there is tried again", async (greet) => {
  const error = await assertRejects(
    () => greet(createSmtp("smtp://127.0.0.1:9"), person()),
    HandlerError,
  );

  assertEquals(error.errorClass, "smtp_no_answer");
});

mailTest(
  "Resend gets the mail with the key and an idempotency key, and may refuse it",
  async (greet) => {
    const requests: { headers: Headers; body: unknown }[] = [];
    const statuses = [429, 200];
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        requests.push({ headers: request.headers, body: await request.json() });
        return Response.json({}, { status: statuses.shift() ?? 500 });
      },
    );
    const send = createResend("re_made_up", `http://127.0.0.1:${server.addr.port}/emails`);

    const refused = await assertRejects(() => greet(send, person()), HandlerError);
    await greet(send, person());

    assertEquals(refused.errorClass, "resend_http_429");
    assertEquals(requests.map(({ headers }) => headers.get("idempotency-key")), [
      "welcome.user_ada",
      "welcome.user_ada",
    ]);
    assertEquals(requests[1]?.headers.get("authorization"), "Bearer re_made_up");
    assertEquals(requests[1]?.body, {
      from: "Lantern Works <hello@lantern.example.com>",
      to: ["ada@example.com"],
      subject: "Welcome to Lantern",
      text: "Hello Ada,\n\nwelcome to Lantern. Good to have you.\n",
      html: "<p>Hello Ada,</p>\n<p>welcome to Lantern. Good to have you.</p>\n",
    });
  },
);
