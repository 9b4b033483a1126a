import { assert, assertEquals, assertRejects } from "@std/assert";
import type { LogEntry } from "../../../../../functions/_shared/clerk_sync/log.ts";
import { connect } from "../../../../../functions/_shared/clerk_sync/supabase.ts";
import type { Change } from "../../../../../functions/clerk-worker/drain/change.ts";
import { HandlerError } from "../../../../../functions/clerk-worker/drain/handler.ts";
import {
  createWelcomeMails,
  type WelcomeMails,
} from "../../../../../functions/clerk-worker/handlers/welcome_email/claim.ts";
import {
  AcceptanceUnknown,
  type Mail,
  type SendMail,
} from "../../../../../functions/clerk-worker/handlers/welcome_email/mail.ts";
import { createWelcomeEmail } from "../../../../../functions/clerk-worker/handlers/welcome_email/mod.ts";
import { createResend } from "../../../../../functions/clerk-worker/handlers/welcome_email/resend.ts";
import { createSmtp } from "../../../../../functions/clerk-worker/handlers/welcome_email/smtp.ts";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../../../../local/clerk/events.ts";
import { startServices } from "../../../../../local/services.ts";
import { type TestDatabase, withTestDatabase } from "../../../../test_database.ts";
import { testKeys } from "../../../../test_keys.ts";
import { until } from "../../../../until.ts";
import { aChange } from "../../a_change.ts";
import { hurryTimeouts } from "../../hurried_timeouts.ts";
import { startMailServer } from "./mail_server.ts";

// Real SMTP, a stand-in for Resend's API, and the real ledger of welcome mails behind the API.

const NEVER = new AbortController().signal;
const WANTED = (): Promise<void> => Promise.resolve();
const DAY = 24 * 3600_000;

interface Greeter {
  (
    send: SendMail,
    change: Change,
    settings?: { readonly now?: number; readonly perHour?: number },
  ): Promise<void>;
  readonly database: TestDatabase;
}

/** Runs changes with a ledger of its own. */
function mailTest(name: string, test: (greet: Greeter) => Promise<void>): void {
  Deno.test({
    name,
    fn: () =>
      withTestDatabase(async (database) => {
        await using services = await startServices({
          postgres: database.server,
          database: database.name,
          keys: await testKeys(),
          functions: false,
        });
        const supabase = connect(services.apiUrl, services.keys.clerkWorker);
        const welcomes = createWelcomeMails(supabase);
        const greet: Greeter = Object.assign(
          (
            send: SendMail,
            change: Change,
            { now = Date.now(), perHour = 30 }: { now?: number; perHour?: number } = {},
          ) => {
            const run = createWelcomeEmail({
              send,
              welcomes,
              from: "Lantern Works <hello@lantern.example.com>",
              app: "Lantern",
              perHour,
              log: () => {},
              now: () => now,
            });
            return run(change, NEVER);
          },
          { database },
        );
        await test(greet);
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

mailTest(
  "while one attempt is under way, another is told to retry later, and sends nothing",
  async (greet) => {
    const accepted = Promise.withResolvers<void>();
    const sending = Promise.withResolvers<void>();
    let mails = 0;
    const send: SendMail = () => {
      sending.resolve();
      return ++mails === 1 ? accepted.promise : Promise.resolve();
    };

    const first = greet(send, person());
    await sending.promise;
    const second = await greet(send, person()).catch((error: unknown) =>
      error instanceof HandlerError ? error.errorClass : error
    );
    accepted.resolve();
    await first;
    await greet(send, person());

    assertEquals([second, mails], ["busy", 1]);
  },
);

const NOT_GREETED: [string, Change][] = [
  ["whose address is not verified", person({ email_verified: false })],
  ["without an address", person({ email: null, email_verified: false })],
  ["of whom only the id is known", person({ email: null, created_at: null })],
  ["whom Clerk made over 24 hours ago", person({ created_at: new Date(0).toISOString() })],
  [
    "whom Clerk made a day and a minute ago",
    person({
      created_at: new Date(Date.now() - DAY - 60_000).toISOString(),
    }),
  ],
  ["who was deleted meanwhile", person({ deleted_at: new Date().toISOString() })],
  ["who has a test address of Clerk's", person({ email: "ada+clerk_test@example.com" })],
  ["who has another one", person({ email: "Ada+CLERK_TEST2@example.com" })],
  ["whose row is gone", aChange({ row: null })],
  ["whom a backfill found", person({}, { via: "snapshot", caused_by: null })],
  [
    "who had a verified address before",
    person({}, { topic: "profile.updated", changed: ["last_sign_in_at", "email"] }),
  ],
];

mailTest("nobody is greeted too early, too late, or a second time", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);

  for (const [, change] of NOT_GREETED) await greet(send, change);
  assertEquals(server.mails.length, 0);

  await greet(send, person());
  assertEquals(server.mails.length, 1);
});

mailTest("a person who is deleted before the mail is sent gets none", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);
  await greet.database.ingest("msg_1", anEvent("user.created", aClerkUser({ id: "user_ada" })));
  await greet.database.ingest("msg_2", anEvent("user.deleted", aDeletedClerkUser("user_ada")));

  // As the worker read it before the deletion.
  await greet(send, person());

  assertEquals(server.mails.length, 0);
  await greet(send, person({ id: "user_eve" }));
  assertEquals(server.mails.length, 1);
});

mailTest("a deletion that is under way is waited for", async (greet) => {
  await using server = await startMailServer();
  const { admin } = greet.database;
  await greet.database.ingest("msg_1", anEvent("user.created", aClerkUser({ id: "user_ada" })));
  let isOver = false;

  const greeting = await admin.begin(async (transaction) => {
    await transaction`select from clerk_sync.objects where id = 'user_ada' for update`;
    const running = greet(createSmtp(server.url), person()).finally(() => isOver = true);
    await until("it waits for a lock", async () => {
      const rows = await greet.database.sql`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
      `;
      return rows.length > 0 || isOver;
    });
    await transaction`update clerk_sync.objects set deleted_at = now() where id = 'user_ada'`;
    return [running];
  });
  await Promise.all(greeting);

  assertEquals(server.mails.length, 0);
});

mailTest("a person who is deleted while the mail server is slow gets no mail", async (greet) => {
  const { database } = greet;
  const slow = (): Promise<unknown> =>
    database.ingest("msg_2", anEvent("user.deleted", aDeletedClerkUser("user_ada")));
  await using server = await startMailServer(undefined, slow);
  await database.ingest("msg_1", anEvent("user.created", aClerkUser({ id: "user_ada" })));

  await greet(createSmtp(server.url), person());

  assertEquals(server.mails.length, 0);
  const [row] = await database.sql`select count(*)::int as claims from clerk_sync.welcome_mails`;
  assertEquals(row?.claims, 0);
  await greet(createSmtp(server.url), person({ id: "user_eve" }));
  assertEquals(server.mails.length, 1);
});

const THREE_HOURS = 3 * 3600_000;

mailTest("a user who is older than the event of their creation is not greeted", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);
  const now = Date.now();
  const ingest = (id: string, user: string, created_at: number, timestamp: number) =>
    greet.database.ingest(
      id,
      anEvent("user.created", aClerkUser({ id: user, created_at, updated_at: timestamp }), {
        timestamp,
      }),
    );

  await ingest("msg_1", "user_ada", now - THREE_HOURS, now);
  await greet(send, person({}, { caused_by: "msg_1" }));
  assertEquals(server.mails.length, 0);

  // The webhook was away when these two signed up.
  await ingest("msg_2", "user_eve", now - THREE_HOURS, now - THREE_HOURS + 60);
  await greet(send, person({ id: "user_eve" }, { caused_by: "msg_2" }));
  await greet.database.ingest("msg_3", anEvent("user.updated", aClerkUser({ id: "user_kim" })));
  await greet(send, person({ id: "user_kim" }, { caused_by: "msg_3" }));
  assertEquals(server.mails.length, 2);
});

/** Greets people one after the other, by their ids. */
async function greetAll(greet: Greeter, ids: string[], perHour: number): Promise<string[]> {
  const greeted: string[] = [];
  const send: SendMail = ({ key }) => {
    greeted.push(key.slice("welcome.".length));
    return Promise.resolve();
  };
  for (const id of ids) await greet(send, person({ id }), { perHour });
  return greeted;
}

mailTest("whoever is over the mails of an hour is skipped for good", async (greet) => {
  const first = await greetAll(greet, ["user_1", "user_2", "user_3", "user_4"], 2);
  await greet.database.sql`
    update clerk_sync.welcome_mails set claimed_at = claimed_at - interval '61 minutes'
  `;
  const later = await greetAll(greet, ["user_3", "user_5", "user_1", "user_6", "user_7"], 2);

  assertEquals([first, later], [["user_1", "user_2"], ["user_5", "user_6"]]);
});

mailTest("no more than an hour's mails are sent, also at once", async (greet) => {
  let mails = 0;
  const send: SendMail = () => Promise.resolve(void mails++);

  await Promise.all(
    Array.from({ length: 20 }, (_, n) => greet(send, person({ id: `user_${n}` }), { perHour: 3 })),
  );

  assertEquals(mails, 3);
});

Deno.test("the log says once an hour that people are skipped", async () => {
  const log: LogEntry[] = [];
  let now = Date.now();
  const run = createWelcomeEmail({
    send: () => Promise.resolve(),
    welcomes: { claim: () => Promise.resolve("over"), settle: () => Promise.resolve() },
    from: "hello@lantern.example.com",
    app: "Lantern",
    perHour: 2,
    log: (entry) => log.push(entry),
    now: () => now,
  });

  for (const _ of [1, 2, 3]) await run(person(), NEVER);
  assertEquals(log, [
    { level: "warn", message: "welcome_email skips people: WELCOME_PER_HOUR is 2" },
  ]);

  now += 3600_000;
  await run(person(), NEVER);
  assertEquals(log.length, 2);
});

mailTest("a stub is greeted when its verified address comes", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);

  await greet(send, person({ email: null, email_verified: false, created_at: null }));
  await greet(send, person({}, { topic: "profile.updated" }), {
    now: Date.now() + DAY - 60_000,
  });

  assertEquals(server.mails.length, 1);
});

// What is given as a name, what the headers and the text say, and what the HTML says.
const HOSTILE: [string, string, string][] = [
  [
    '<script>alert("x")</script>',
    '<script>alert("x")</script>',
    "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;",
  ],
  [
    "Ada\r\nBcc: eve@example.com\r\n\r\nhello",
    "Ada Bcc: eve@example.com hello",
    "Ada Bcc: eve@example.com hello",
  ],
  ["Ada\nBcc: eve@example.com", "Ada Bcc: eve@example.com", "Ada Bcc: eve@example.com"],
  [
    "Ada\r\n.\r\nMAIL FROM:<eve@example.com>",
    "Ada . MAIL FROM:<eve@example.com>",
    "Ada . MAIL FROM:&lt;eve@example.com&gt;",
  ],
  [
    '"Eve" <eve@example.com>, ',
    '"Eve" <eve@example.com>,',
    "&quot;Eve&quot; &lt;eve@example.com&gt;,",
  ],
  ["Rock & 'Roll' &lt;", "Rock & 'Roll' &lt;", "Rock &amp; &#39;Roll&#39; &amp;lt;"],
  ["Ådä 🦆\u202eadA\u2066", "Ådä 🦆 adA", "Ådä 🦆 adA"],
  ["A\u2028d\u2029a\u0000\u0007\u0085!", "A d a !", "A d a !"],
  ["\r\n \u2028", "", ""],
];

/** The one mail that this handler sends to a person. */
async function mailTo(first_name: string, app = "Lantern"): Promise<Mail | undefined> {
  const mails: Mail[] = [];
  await createWelcomeEmail({
    send: (mail) => {
      mails.push(mail);
      return Promise.resolve();
    },
    welcomes: { claim: () => Promise.resolve("claimed"), settle: () => Promise.resolve() },
    from: "hello@lantern.example.com",
    app,
    perHour: 30,
    log: () => {},
  })(person({ first_name }), NEVER);
  return mails[0];
}

Deno.test("a hostile name becomes one line of text, without markup", async () => {
  for (const [name, plain, html] of HOSTILE) {
    const mail = await mailTo(name);

    const end = "welcome to Lantern. Good to have you.";
    assertEquals(mail?.to, { name: plain, address: "ada@example.com" });
    assertEquals(mail?.text, `${`Hello ${plain}`.trim()},\n\n${end}\n`);
    assertEquals(mail?.html, `<p>${`Hello ${html}`.trim()},</p>\n<p>${end}</p>\n`);
  }
});

Deno.test("the application's name adds no markup and no header either", async () => {
  const mail = await mailTo("Ada", "Fish & <b>Chips</b>\r\nBcc: eve@example.com");

  assertEquals(mail?.subject, "Welcome to Fish & <b>Chips</b> Bcc: eve@example.com");
  assert(mail?.html.includes("welcome to Fish &amp; &lt;b&gt;Chips&lt;/b&gt;"));
});

mailTest("a hostile name reaches a mail server as a name, and adds no header", async (greet) => {
  await using server = await startMailServer();
  const send = createSmtp(server.url);
  const headersOf = (index: number): string[] => [...server.mails[index]?.headers.keys() ?? []];

  await greet(send, person());
  for (const [index, [name]] of HOSTILE.entries()) {
    await greet(send, person({ id: `user_${index}`, first_name: name }));
  }

  assertEquals(server.mails.length, HOSTILE.length + 1);
  for (const [index, [, plain]] of HOSTILE.entries()) {
    const mail = server.mails[index + 1];
    assertEquals([mail?.to].flat()[0]?.value, [{ address: "ada@example.com", name: plain }]);
    assertEquals([mail?.subject, mail?.attachments], ["Welcome to Lantern", []]);
    assertEquals(headersOf(index + 1), headersOf(0));
    assertEquals(String(mail?.html).includes("<script"), false);
  }
});

mailTest("a refused mail is retried until it is accepted", async (greet) => {
  await using server = await startMailServer((count) => count === 1 ? 550 : undefined);
  const send = createSmtp(server.url);

  const refused = await assertRejects(() => greet(send, person()), HandlerError);
  await greet(send, person());

  assertEquals(refused.errorClass, "smtp_550");
  assertEquals(server.mails.length, 1);
});

mailTest("an unreachable mail server is retried", async (greet) => {
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

Deno.test("a mail that Resend has taken counts as sent, even if the name has changed since", async () => {
  const refusals = ["invalid_idempotent_request", "concurrent_idempotent_requests"];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      Response.json({ statusCode: 409, name: refusals.shift(), message: "ada@" }, { status: 409 }),
  );
  const send = createResend("re_made_up", `http://127.0.0.1:${server.addr.port}/emails`);
  const mail = await mailTo("Grace");
  if (mail === undefined) throw new Error("Nobody was greeted");

  await send(mail, NEVER, WANTED);
  const busy = await assertRejects(() => send(mail, NEVER, WANTED), HandlerError);

  assertEquals(busy.errorClass, "resend_http_409");
});

Deno.test("a mail is not sent if Resend hangs, drops the connection, or redirects", async () => {
  const release = Promise.withResolvers<Response>();
  let followed = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/hang") return release.promise;
      if (pathname === "/moved") return Response.redirect(new URL("/elsewhere", request.url), 307);
      followed++;
      return new Response();
    },
  );
  const mail = await mailTo("Ada");
  const sendTo = async (url: string, signal = NEVER): Promise<string> => {
    if (mail === undefined) throw new Error("Nobody was greeted");
    const send = createResend("re_made_up", url);
    return (await assertRejects(() => send(mail, signal, WANTED), HandlerError)).errorClass;
  };
  const at = `http://127.0.0.1:${server.addr.port}`;

  const moved = await sendTo(`${at}/moved`);
  const absent = await sendTo("http://127.0.0.1:9/");
  const letGo = setTimeout(() => release.resolve(new Response()), 5000);
  const late = await sendTo(`${at}/hang`, AbortSignal.timeout(50));
  using timeouts = hurryTimeouts();
  const hanging = await sendTo(`${at}/hang`);
  clearTimeout(letGo);
  release.resolve(new Response());

  assertEquals([moved, followed], ["resend_http_307", 0]);
  assertEquals([absent, late, hanging], Array(3).fill("resend_no_answer"));
  assertEquals(timeouts.asked, [15_000]);
});

/** A mail server by hand, which answers until it has the mail, and then does something else. */
async function startBrokenMailServer(
  atTheDot: (line: Deno.Conn) => void,
  from = /\r\n\.\r\n$/,
): Promise<{ readonly url: string; readonly mails: string[] } & AsyncDisposable> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const mails: string[] = [];
  const lines: Deno.Conn[] = [];
  const talk = async (line: Deno.Conn): Promise<void> => {
    const say = (text: string): Promise<number> =>
      line.write(new TextEncoder().encode(`${text}\r\n`));
    await say("220 ready");
    let heard = "";
    let inMail = false;
    for await (const text of line.readable.pipeThrough(new TextDecoderStream())) {
      heard += text;
      if (inMail && from.test(heard)) {
        mails.push(heard);
        return atTheDot(line);
      }
      if (inMail || !heard.endsWith("\r\n")) continue;
      inMail = heard.startsWith("DATA");
      heard = "";
      await say(inMail ? "354 go on" : "250 fine");
    }
  };
  const accepting = (async () => {
    for await (const line of listener) {
      lines.push(line);
      talk(line).catch(() => {});
    }
  })();
  await Promise.resolve();

  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      for (const line of lines) {
        try {
          line.close();
        } catch {
          // Closed by the test.
        }
      }
    },
  };
}

mailTest(
  "a mail whose acceptance is unknown is not sent again",
  async (greet) => {
    await using server = await startBrokenMailServer((line) => line.close());
    const send = createSmtp(server.url);

    const first = await assertRejects(() => greet(send, person()), HandlerError);
    await greet(send, person());

    assertEquals(first.errorClass, "smtp_unknown");
    assertEquals(server.mails.length, 1);
  },
);

Deno.test("acceptance is unknown if a mail server is silent after the mail", async () => {
  const mail = await mailTo("Ada");
  if (mail === undefined) throw new Error("Nobody was greeted");
  const limit = new AbortController();
  await using server = await startBrokenMailServer(() => limit.abort());

  const error = await assertRejects(
    () => createSmtp(server.url)(mail, limit.signal, WANTED),
    HandlerError,
  );

  assertEquals([error.errorClass, error instanceof AcceptanceUnknown], ["smtp_unknown", true]);
});

Deno.test("a mail is not accepted if the server refuses it, or hangs up before it has all of it", async () => {
  const mail = await mailTo("Ada");
  if (mail === undefined) throw new Error("Nobody was greeted");
  await using refusing = await startMailServer(() => 451);
  await using leaving = await startBrokenMailServer((line) => line.close(), /^/);
  const long = { ...mail, text: "hello\n".repeat(1_000_000) };

  const errors = [
    await assertRejects(() => createSmtp(refusing.url)(mail, NEVER, WANTED), HandlerError),
    await assertRejects(() => createSmtp(leaving.url)(long, NEVER, WANTED), HandlerError),
  ];

  assertEquals(errors.map(({ errorClass }) => errorClass), ["smtp_451", "smtp_no_answer"]);
  assertEquals(errors.some((error) => error instanceof AcceptanceUnknown), false);
});

/** A ledger that cannot be reached the first times; and what it was asked to record. */
function awayFor(times: number): WelcomeMails & { readonly asked: boolean[] } {
  const asked: boolean[] = [];
  return {
    asked,
    claim: () => Promise.resolve("claimed"),
    settle: (_person, _claim, wasSent) => {
      asked.push(wasSent);
      return asked.length > times ? Promise.resolve() : Promise.reject(new Error("away"));
    },
  };
}

function greetWith(welcomes: WelcomeMails, send: SendMail): Promise<void> {
  const from = "hello@lantern.example.com";
  return createWelcomeEmail({ send, welcomes, from, app: "Lantern", perHour: 30, log: () => {} })(
    person(),
    NEVER,
  );
}

Deno.test("a sent mail is recorded within three attempts, and its claim is never released", async () => {
  const briefly = awayFor(2);
  const forLong = awayFor(Infinity);
  const send: SendMail = () => Promise.resolve();

  await greetWith(briefly, send);
  const error = await assertRejects(() => greetWith(forLong, send), HandlerError);

  assertEquals(briefly.asked, [true, true, true]);
  assertEquals([error.errorClass, new Set(forLong.asked)], ["sent_not_noted", new Set([true])]);
});

Deno.test("a claim that cannot be released does not hide why the mail was refused", async () => {
  const ledger = awayFor(Infinity);

  const error = await assertRejects(
    () => greetWith(ledger, () => Promise.reject(new HandlerError("smtp_550"))),
    HandlerError,
  );

  assertEquals([error.errorClass, ledger.asked], ["smtp_550", [false]]);
});

mailTest(
  "a mail that was sent and not recorded does not go out again within the lease",
  async (greet) => {
    let mails = 0;
    const send: SendMail = () => {
      // As if the worker had died here: whoever comes next finds the claim.
      if (++mails === 1) return new Promise(() => {});
      return Promise.resolve();
    };

    greet(send, person());
    await until("the first has sent it", () => mails === 1);
    const within = await assertRejects(() => greet(send, person()), HandlerError);

    assertEquals([within.errorClass, mails], ["busy", 1]);
  },
);

Deno.test("a mail server that accepts the connection and says nothing is given up on in time", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const lines: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const line of listener) lines.push(line);
  })();
  const mail = await mailTo("Ada");
  const started = performance.now();

  const error = await assertRejects(
    () =>
      mail === undefined
        ? Promise.resolve()
        : createSmtp(`smtp://127.0.0.1:${port}`)(mail, AbortSignal.timeout(100), WANTED),
    HandlerError,
  );

  assertEquals(error.errorClass, "smtp_no_answer");
  assert(performance.now() - started < 9000);
  for (const line of lines) line.close();
  listener.close();
  await accepting;
});
