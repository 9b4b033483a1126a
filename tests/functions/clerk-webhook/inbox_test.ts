import { assertEquals } from "@std/assert";
import { connect } from "../../../functions/_shared/clerk_sync/supabase.ts";
import {
  type Answer,
  createInbox,
  type Unavailable,
} from "../../../functions/clerk-webhook/inbox.ts";

// How the webhook treats answers of the database, right and wrong ones. The real database is in
// outcomes_test.ts.

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
    await inbox.ingest("msg_1", { type: "user.created", data: {} }),
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

Deno.test("a deadlock is tried three times, and then unavailable", async () => {
  const deadlock = Response.json({ code: "40P01", message: "deadlock" }, { status: 500 });

  const never = await ask(deadlock);
  const inTime = await ask(deadlock, deadlock, Response.json({ outcome: "applied" }));

  assertEquals(never.outcomes, Array(2).fill({ outcome: "unavailable", code: "40P01" }));
  assertEquals(never.requests, 6);
  assertEquals([inTime.outcomes, inTime.requests], [Array(2).fill({ outcome: "applied" }), 6]);
});
