import { assert, assertEquals } from "@std/assert";
import { threadCpuUsage } from "node:process";
import { DEEPEST, isTooDeep, storable } from "../../../../functions/_shared/clerk_sync/json.ts";

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

Deno.test("isTooDeep() allows 5,000 levels, and not one more", () => {
  assertEquals(isTooDeep(nested(DEEPEST)), false);
  assertEquals(isTooDeep(nested(DEEPEST + 1)), true);
  assertEquals(isTooDeep('{"a":'.repeat(DEEPEST + 1)), true);
});

Deno.test("isTooDeep() counts levels, not brackets: not side by side, not in texts", () => {
  assertEquals(isTooDeep(`[${"[],".repeat(6_000)}0]`), false);
  assertEquals(isTooDeep(JSON.stringify("[".repeat(12_000))), false);
  assertEquals(isTooDeep(JSON.stringify(`\\"${"{".repeat(12_000)}`)), false);
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
  const cases: [string, string][] = [
    ['"a\\u0000b"', '"a\\ufffdb"'],
    ['"\\ud83d"', '"\\ufffd"'],
    ['"\\uDE00\\uD83D"', '"\\ufffd\\ufffd"'],
    ['"\\ud83d\\u0061"', '"\\ufffd\\u0061"'],
    ['"\\ud83d\\ud83e\\udd86\\udd86"', '"\\ufffd\\ud83e\\udd86\\ufffd"'],
    [
      '"🦆 \\n \\u00e9 \\ud83e\\udd86 \\uD83E\\uDD86"',
      '"🦆 \\n \\u00e9 \\ud83e\\udd86 \\uD83E\\uDD86"',
    ],
    ['"\\\\u0000 \\\\\\u0000 \\\\\\\\ud800"', '"\\\\u0000 \\\\\\ufffd \\\\\\\\ud800"'],
    ['{"k\\u0000":["\\u0000",{"x":"\\ud800"}]}', '{"k\\ufffd":["\\ufffd",{"x":"\\ufffd"}]}'],
    ['{"__proto__":{"a":"\\u0000"}}', '{"__proto__":{"a":"\\ufffd"}}'],
    ['[null,true,1.5,""]', '[null,true,1.5,""]'],
  ];

  for (const [json, expected] of cases) {
    assertEquals(storable(json), expected);
    JSON.parse(expected);
  }
});

Deno.test("storable() makes texts of numbers with four or more digits in the exponent, outside of texts", () => {
  assertEquals(
    storable(
      '[1e999,1e1000,-2.5E+99999,{"a":1e-20000},0.001e0400,1E0001]',
    ),
    '[1e999,"1e1000","-2.5E+99999",{"a":"1e-20000"},"0.001e0400","1E0001"]',
  );
  const texts = '{"1e9999":"2e9999\\" 3e9999","\\\\":"\\u12341e5000","a":[1.5,12345e12]}';
  assertEquals(storable(texts), texts);
});

Deno.test("storable() takes a megabyte of anything in a moment, on a small stack", () => {
  const times = (text: string): string => text.repeat(2 ** 20 / text.length);
  const fillings = [
    `"${times("a")}"`,
    `"${times("\\\\")}"`,
    `"${times('\\"')}"`,
    `"${times("\\u0000")}"`,
    `"${times("1.1e")}"`,
    times("1"),
    `1.${times("1")}`,
    `[${times("1e9999,")}0]`,
    `[${times('"",')}0]`,
    times("\\"),
    times("1-"),
    times("1e1"),
  ];

  for (const filling of fillings) {
    // The processor's time, because by the clock a busy machine takes many times as long.
    const before = threadCpuUsage();
    storable(`["\\u0000",${filling}]`);
    const { user, system } = threadCpuUsage(before);
    const milliseconds = (user + system) / 1000;

    assert(milliseconds < 1_000, `${filling.slice(0, 12)}: ${milliseconds} ms`);
  }
});
