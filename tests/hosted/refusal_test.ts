import { assertEquals } from "@std/assert";
import { FUNCTIONS, judge } from "../../hosted/refusal.ts";

Deno.test("a 401 is the function's own only with its word; all else is told apart by the status", () => {
  const outcomes: Readonly<Record<string, string>> = {
    "clerk-webhook": "missing_headers",
    "clerk-worker": "unauthorized",
  };
  for (const name of FUNCTIONS) {
    const own = JSON.stringify({ outcome: outcomes[name] });

    assertEquals(judge(name, 401, own), "function");
    assertEquals(judge(name, 401, '{"message":"Missing authorization header"}'), "gateway");
    assertEquals(judge(name, 404, own), "nothing");
    for (const status of [502, 503, 546]) assertEquals(judge(name, status, own), "broken");
    for (const status of [200, 302, 500]) assertEquals(judge(name, status, own), "other");
  }
  assertEquals(FUNCTIONS, Object.keys(outcomes));
});
