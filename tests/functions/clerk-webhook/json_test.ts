import { assertEquals } from "@std/assert";
import {
  DEEPEST,
  isTooDeep,
  type Json,
  mayBeUnstorable,
  storable,
} from "../../../functions/clerk-webhook/json.ts";

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

Deno.test("isTooDeep() allows 100 levels, and not one more", () => {
  assertEquals(isTooDeep(nested(DEEPEST)), false);
  assertEquals(isTooDeep(nested(DEEPEST + 1)), true);
  assertEquals(isTooDeep('{"a":'.repeat(DEEPEST + 1)), true);
});

Deno.test("isTooDeep() counts levels, not brackets: not side by side, not in texts", () => {
  assertEquals(isTooDeep(`[${"[],".repeat(500)}0]`), false);
  assertEquals(isTooDeep(JSON.stringify("[".repeat(500))), false);
  assertEquals(isTooDeep(JSON.stringify(`\\"${"{".repeat(500)}`)), false);
  assertEquals(isTooDeep(`"\\\\"${nested(DEEPEST + 1)}`), true);
});

Deno.test("isTooDeep() sees the depth behind brackets of the other kind, open or closed", () => {
  assertEquals(isTooDeep(`{"a":${nested(DEEPEST)}}`), true);
  assertEquals(isTooDeep(`{"a":${nested(DEEPEST - 1)}}`), false);
  assertEquals(isTooDeep(`[${"{},".repeat(DEEPEST)}${nested(DEEPEST)}]`), true);
  assertEquals(isTooDeep(`[${"{},".repeat(DEEPEST)}${nested(DEEPEST - 1)}]`), false);
});

Deno.test("isTooDeep() needs no stack for a million levels", () => {
  assertEquals(isTooDeep("[".repeat(1_000_000)), true);
});

Deno.test("storable() replaces NULs and lone surrogates in texts and keys, and nothing else", () => {
  const cases: [Json, Json][] = [
    ["a\0b", "a\u{FFFD}b"],
    ["\ud83d", "\u{FFFD}"],
    ["\ude00\ud83d", "\u{FFFD}\u{FFFD}"],
    ["🦆", "🦆"],
    [{ "k\0": ["\0", { x: "\ud800" }] }, { "k\u{FFFD}": ["\u{FFFD}", { x: "\u{FFFD}" }] }],
    [[null, true, 1.5, ""], [null, true, 1.5, ""]],
  ];

  for (const [value, expected] of cases) {
    assertEquals(storable(value), expected);
  }
});

Deno.test("storable() keeps a key named __proto__ a key", () => {
  const copy = storable(JSON.parse('{"__proto__":{"admin":true},"a":"\\u0000"}'));

  assertEquals(JSON.stringify(copy), '{"__proto__":{"admin":true},"a":"\u{FFFD}"}');
  assertEquals(({} as Record<string, unknown>).admin, undefined);
});

Deno.test("mayBeUnstorable() sees every escape that jsonb could refuse", () => {
  for (const value of ["\0", "\ud800", "\udfff"]) {
    assertEquals(mayBeUnstorable(JSON.stringify(value)), true);
  }
  assertEquals(mayBeUnstorable('"\\uD83D"'), true);
  assertEquals(mayBeUnstorable('"plain \\n \\u00e9 🦆"'), false);
});
