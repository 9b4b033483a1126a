import { assertEquals } from "@std/assert";
import { connect } from "../../../functions/_shared/clerk_sync/supabase.ts";
import {
  type Answer,
  createInbox,
  type Unavailable,
} from "../../../functions/clerk-webhook/inbox.ts";
import { holdTimers } from "./held_timers.ts";

// How the webhook treats answers of the database, right and wrong ones. The real database is in
// outcomes_test.ts.

const EVENT = { event: '{"type":"user.created","data":{}}', asType: null, dropped: [] };

/** What both calls come to on an API that gives these answers, one after the other. */
async function ask(
  ...answers: readonly Response[]
): Promise<{ outcomes: (Answer | Unavailable)[]; requests: number }> {
  let requests = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => answers[requests++ % answers.length]?.clone() ?? new Response(null, { status: 500 }),
  );
  const inbox = createInbox(
    connect(`http://127.0.0.1:${server.addr.port}`, "sb_secret_made_up"),
  );

  const outcomes = [
    await inbox.ingest("msg_1", EVENT),
    await inbox.reject("msg_2", null, [], { raw: "[" }),
  ];
  return { outcomes, requests };
}

Deno.test("the outcome is the database's, with SQLSTATE and issues", async () => {
  const { outcomes, requests } = await ask(
    Response.json({ outcome: "failed", sqlstate: "P0001", message: "no room for ada@example.com" }),
    Response.json({ outcome: "unreadable", issues: [{ path: "data.id", code: "invalid_type" }] }),
  );

  assertEquals(outcomes, [
    { outcome: "failed", sqlstate: "P0001" },
    { outcome: "unreadable", issues: [{ path: "data.id", code: "invalid_type" }] },
  ]);
  assertEquals(requests, 2);
});

const STRANGE: readonly unknown[] = [
  null,
  true,
  "applied",
  [],
  {},
  { outcome: "unavailable" },
  { outcome: "done" },
  [{ outcome: "applied" }],
];

Deno.test("an answer that is not understood acknowledges nothing", async () => {
  for (const strange of STRANGE) {
    const { outcomes } = await ask(Response.json(strange));

    assertEquals(outcomes, Array(2).fill({ outcome: "unavailable", code: "strange_answer" }));
  }
});

Deno.test("an empty answer, and one that is not JSON, acknowledge nothing", async () => {
  for (const body of [null, "", "<html>applied</html>"]) {
    const { outcomes } = await ask(new Response(body, { status: 200 }));

    assertEquals(outcomes.map(({ outcome }) => outcome), ["unavailable", "unavailable"]);
  }
});

Deno.test("a refusal of PostgREST is unavailable, with its code and without its text", async () => {
  const { outcomes, requests } = await ask(
    Response.json({ code: "42501", message: "no right to ada@example.com" }, { status: 403 }),
  );

  assertEquals(outcomes, Array(2).fill({ outcome: "unavailable", code: "42501" }));
  assertEquals(requests, 2);
});

/**
 * What becomes of an event when the API answers like this, by function; undefined answers nothing, and
 * lets the time for an answer pass.
 */
async function ingesting(
  answers: Readonly<Record<string, Response | undefined>>,
  patience?: Parameters<typeof createInbox>[1],
): Promise<{ outcome: Answer | Unavailable; requests: unknown[][] }> {
  const requests: unknown[][] = [];
  const stop = new AbortController();
  using timers = holdTimers(HASTY.apply.milliseconds, HASTY.keep.milliseconds);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: stop.signal },
    async (request) => {
      const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
      const { event: _, ...args } = await request.json();
      requests.push([name, args]);
      const answer = answers[name]?.clone();
      if (answer !== undefined) return answer;
      timers.pass();
      return await new Promise<never>(() => {});
    },
  );
  const api = connect(`http://127.0.0.1:${server.addr.port}`, "sb_secret_made_up");
  const inbox = createInbox(api, patience);

  const outcome = await inbox.ingest("msg_1", EVENT);
  stop.abort();
  await server.finished;
  return { outcome, requests };
}

const HASTY = {
  apply: { milliseconds: 200, tries: 3 },
  keep: { milliseconds: 100, tries: 1 },
};
const ARGUMENTS = { message_id: "msg_1", dropped: [], as_type: null };
const INGEST = ["ingest_clerk_event", ARGUMENTS];
const KEPT = Response.json({ outcome: "failed", sqlstate: "57014" });

function raising(code: string): Response {
  return Response.json({ code, message: "no room for ada@example.com" }, { status: 500 });
}

for (const code of ["40001", "40P01"]) {
  Deno.test(`${code} is tried three times, and then the event is kept as failed`, async () => {
    const { outcome, requests } = await ingesting({
      ingest_clerk_event: raising(code),
      keep_clerk_event: KEPT,
    });

    assertEquals(outcome, { outcome: "failed", sqlstate: code });
    assertEquals(requests, [
      INGEST,
      INGEST,
      INGEST,
      ["keep_clerk_event", { ...ARGUMENTS, sqlstate: code }],
    ]);
  });
}

for (const code of ["53100", "53300", "55P03", "57014", "57P01"]) {
  Deno.test(`an event that raises ${code} is kept as failed at once`, async () => {
    const { outcome, requests } = await ingesting({
      ingest_clerk_event: raising(code),
      keep_clerk_event: KEPT,
    });

    assertEquals(outcome, { outcome: "failed", sqlstate: code });
    assertEquals(requests, [
      INGEST,
      ["keep_clerk_event", { ...ARGUMENTS, sqlstate: code }],
    ]);
  });
}

Deno.test("an event without an answer in time is kept as cancelled", async () => {
  const { outcome, requests } = await ingesting({ keep_clerk_event: KEPT }, HASTY);

  assertEquals(outcome, { outcome: "failed", sqlstate: "57014" });
  assertEquals(requests, [
    INGEST,
    ["keep_clerk_event", { ...ARGUMENTS, sqlstate: "57014" }],
  ]);
});

Deno.test("an event that was applied after all is a duplicate", async () => {
  const { outcome } = await ingesting({
    keep_clerk_event: Response.json({ outcome: "duplicate" }),
  }, HASTY);

  assertEquals(outcome, { outcome: "duplicate" });
});

Deno.test("an event that cannot even be kept is unavailable, with the first code", async () => {
  for (const keep of [undefined, raising("55P03"), Response.json([])]) {
    const late = await ingesting({ keep_clerk_event: keep }, HASTY);
    const raised = await ingesting(
      { ingest_clerk_event: raising("53100"), keep_clerk_event: keep },
      HASTY,
    );

    assertEquals(late.outcome, { outcome: "unavailable", code: "timeout" });
    assertEquals(raised.outcome, { outcome: "unavailable", code: "53100" });
  }
});

Deno.test("keeping an event is tried once", async () => {
  const { outcome, requests } = await ingesting({
    ingest_clerk_event: raising("40001"),
    keep_clerk_event: raising("40P01"),
  });

  assertEquals(outcome, { outcome: "unavailable", code: "40001" });
  assertEquals(requests.length, 4);
});

Deno.test("other errors keep nothing", async () => {
  for (const code of ["42501", "42883", "PGRST202", "PGRST003", "", "5501", "XX000", "40P011"]) {
    const { outcome, requests } = await ingesting({
      ingest_clerk_event: raising(code),
      keep_clerk_event: KEPT,
    });

    assertEquals(outcome, { outcome: "unavailable", code: code || "no_answer" });
    assertEquals(requests.length, 1);
  }
});

Deno.test("a message that could not be read is tried as often, and not kept twice", async () => {
  const deadlock = raising("40P01");

  const never = await ask(Response.json({ outcome: "applied" }), deadlock, deadlock, deadlock);
  const inTime = await ask(deadlock, deadlock, Response.json({ outcome: "applied" }));

  assertEquals(never.outcomes[1], { outcome: "unavailable", code: "40P01" });
  assertEquals(never.requests, 4);
  assertEquals([inTime.outcomes, inTime.requests], [Array(2).fill({ outcome: "applied" }), 6]);
});
