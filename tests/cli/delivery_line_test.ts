import { assertEquals } from "@std/assert";
import { formatDelivery } from "../../cli/delivery_line.ts";

const AT = new Date(2026, 10, 27, 9, 8, 7);

/** The words of a formatted line that follow the message id. */
function wordsFor(entry: Record<string, unknown>): string[] {
  const line = JSON.stringify({ status: 200, outcome: "applied", message_id: "msg_1", ...entry });
  return formatDelivery(line, AT).split(/ {2,}/).slice(5);
}

Deno.test("a delivery is shown with its time, status, outcome, type and id", () => {
  const line = {
    status: 200,
    outcome: "applied",
    type: "user.created",
    message_id: "msg_1",
    ms: 3,
  };

  assertEquals(
    formatDelivery(JSON.stringify(line), AT),
    "09:08:07  200  applied     user.created  msg_1  3 ms",
  );
});

Deno.test("the line of a user's delivery or change fits on a terminal of 80 columns", () => {
  const id = "3G9YqNfHbR7sTzKcWvXpLmDaJeU";
  const delivery = {
    status: 200,
    outcome: "duplicate",
    type: "user.created",
    message_id: `msg_${id}`,
    ms: 123.4,
  };
  const change = { verdict: "done", topic: "profile.updated", id: `user_${id}`, ms: 1234 };

  const widths = [delivery, change].map((entry) =>
    formatDelivery(JSON.stringify(entry), AT).length
  );

  assertEquals(widths, [80, 75]);
});

Deno.test("a value that was dropped is shown by its path", () => {
  assertEquals(wordsFor({ dropped: ["data.locale", "data.slug"] }), [
    "dropped data.locale, data.slug",
  ]);
});

Deno.test("each issue of an unreadable event is shown by its path and code", () => {
  const issues = [{ path: "data.id", code: "invalid_format" }, { path: "", code: "not_json" }];

  assertEquals(wordsFor({ outcome: "unreadable", issues }), [
    "data.id: invalid_format",
    "body: not_json",
  ]);
});

Deno.test("a failure is shown by its SQLSTATE, an outage by its code", () => {
  assertEquals(wordsFor({ outcome: "failed", sqlstate: "P0001" }), ["P0001"]);
  assertEquals(wordsFor({ outcome: "unavailable", code: "timeout" }), ["timeout"]);
});

Deno.test("a line that is not JSON stays as it is", () => {
  assertEquals(formatDelivery("Listening", AT), "Listening");
});

Deno.test("a change that failed is shown with its handler, the class of its error, and the attempt", () => {
  const entry = { topic: "profile.created", id: "user_1", change: 7, verdict: "retry", ms: 12 };
  const failure = { handler: "forward", error_class: "http_503", reads: 2 };

  assertEquals(
    formatDelivery(JSON.stringify({ ...entry, ...failure }), AT),
    "09:08:07  retry  profile.created  user_1  forward: http_503  attempt 2  12 ms",
  );
  assertEquals(
    formatDelivery(JSON.stringify({ ...entry, verdict: "done", reads: 1 }), AT),
    "09:08:07  done   profile.created  user_1  12 ms",
  );
});

Deno.test("a run over Clerk's API is shown with what it found; a poll that found nothing is not", () => {
  const run = { outcome: "reconciled", run: 7, kind: "poll", is_finished: true, halted: null };
  const none = { missing: 0, outdated: 0, skipped: 0, surplus: 0, deleted: 0 };
  const shown = (entry: Record<string, unknown>): string =>
    formatDelivery(JSON.stringify({ ...run, ...none, ...entry }), AT);

  assertEquals(shown({}), "");
  assertEquals(shown({ missing: 2, outdated: 1 }), "09:08:07  poll: 2 missing, 1 outdated");
  assertEquals(shown({ kind: "reconcile" }), "09:08:07  reconcile: no difference");
  assertEquals(
    shown({ kind: "reconcile", is_finished: false, skipped: 1 }),
    "09:08:07  reconcile, to be continued: 1 skipped",
  );
  assertEquals(
    shown({ kind: "reconcile", surplus: 3, halted: "Nothing is deleted" }),
    "09:08:07  reconcile: 3 surplus  Nothing is deleted",
  );
});

Deno.test("why a run cannot go on is shown as its sentence", () => {
  const line = JSON.stringify({ outcome: "unavailable", message: "Cannot read Clerk" });

  assertEquals(formatDelivery(line, AT), "Cannot read Clerk");
});
