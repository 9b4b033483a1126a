import { assertEquals, assertMatch } from "@std/assert";
import { MOST_REFUSALS, RefusalRing } from "../../console/server/refusals.ts";

const words = (text: string): string => text.replaceAll("deno task", "npx clerk-sync");

Deno.test("RefusalRing keeps the requests that the webhook refused, newest first, with their causes and cures", () => {
  const ring = new RefusalRing();
  const at = (minute: number): Date => new Date(Date.UTC(2026, 10, 1, 8, minute));

  ring.note('{"outcome":"bad_signature","status":401,"ms":1}', at(1));
  ring.note('{"outcome":"missing_headers","status":401,"ms":1}', at(2));
  ring.note('{"outcome":"too_large","status":413,"ms":1}', at(3));
  ring.note('{"outcome":"unavailable","status":503,"message_id":"msg_1","code":"timeout"}', at(4));

  const { refusals, counts } = ring.list(words, "http://127.0.0.1:1");
  assertEquals(
    refusals.map(({ at, status, outcome, message_id }) => [at, status, outcome, message_id]),
    [
      ["2026-11-01T08:04:00.000Z", 503, "unavailable", "msg_1"],
      ["2026-11-01T08:03:00.000Z", 413, "too_large", null],
      ["2026-11-01T08:02:00.000Z", 401, "missing_headers", null],
      ["2026-11-01T08:01:00.000Z", 401, "bad_signature", null],
    ],
  );
  assertEquals(counts, { bad_signature: 1, missing_headers: 1, too_large: 1, unavailable: 1 });
  for (const { sentence, cure } of refusals) {
    assertMatch(sentence, /^[A-Z][^]*\.$/);
    assertMatch(cure, /^[A-Z][^]*\.$/);
  }
  assertMatch(refusals[0]?.sentence ?? "", /refused \(timeout\); nothing is stored\.$/);
  assertMatch(refusals[3]?.cure ?? "", /`npx clerk-sync dev`/);
});

Deno.test("RefusalRing ignores what was stored, what is no delivery, and what doctor asks", () => {
  const ring = new RefusalRing();

  for (
    const line of [
      '{"outcome":"applied","status":200,"message_id":"msg_1"}',
      '{"outcome":"failed","status":500,"message_id":"msg_1"}',
      '{"outcome":"unreadable","status":422,"message_id":"msg_1"}',
      '{"outcome":"missing_headers","status":401,"caller":"doctor"}',
      '{"outcome":"drained"}',
      '{"level":"warn","message":"bad_signature"}',
      "{bad_signature",
      "bad_signature",
    ]
  ) ring.note(line);

  assertEquals(ring.list(words, "").refusals, []);
  assertEquals(ring.number, 0);
});

Deno.test("RefusalRing keeps the last 1,000, and counts all", () => {
  const ring = new RefusalRing();

  for (let status = 0; status < 5 * MOST_REFUSALS / 2; status++) {
    ring.note(JSON.stringify({ outcome: "bad_signature", status }));
  }

  const { refusals, counts } = ring.list(words, "");
  assertEquals(
    [refusals.length, refusals[0]?.status, refusals.at(-1)?.status],
    [1000, 2499, 1500],
  );
  assertEquals(counts, { bad_signature: 2500 });
  assertEquals(ring.list(words, "", 3).refusals.map(({ status }) => status), [2499, 2498, 2497]);
});
