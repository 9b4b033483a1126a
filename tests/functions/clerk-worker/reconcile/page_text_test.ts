import { assertEquals, assertThrows } from "@std/assert";
import { DEEPEST } from "../../../../functions/_shared/clerk_sync/json.ts";
import { readPage } from "../../../../functions/clerk-worker/reconcile/page_text.ts";

function textsIn(body: string): string[] {
  return readPage(body).objects.map(({ text }) => text);
}

Deno.test("readPage() takes a bare array and a list with a total", () => {
  const objects = ['{"id":"user_1","a":[{"b":{}}]}', '{"id":"user_2"}'];

  assertEquals(textsIn(` [${objects.join(" ,\n")}] `), objects);
  assertEquals(readPage(`{"data":[${objects}],"total_count":7}`), {
    objects: objects.map((text) => ({ text, value: JSON.parse(text) })),
    total: 7,
  });
  assertEquals(
    textsIn(`{"other":[{"id":1}],"total_count":7,"more":{"data":[{}]},"data":[${objects}]}`),
    objects,
  );
  assertEquals(readPage("[]"), { objects: [], total: null });
  assertEquals(readPage('{"data":[],"total_count":0}'), { objects: [], total: 0 });
});

Deno.test("readPage() keeps every digit of a number", () => {
  const text = '{"id":"user_1","public_metadata":{"tenant":9007199254740993,"share":0.10}}';

  assertEquals(textsIn(`[${text}]`), [text]);
});

Deno.test("readPage() is not misled by brackets and quotes in texts", () => {
  const objects = ['{"a":"]}\\"]}"}', '{"a":"\\\\"}', '{"[{":"\\\\\\"{"}'];

  assertEquals(textsIn(`{"data":[${objects}],"total_count":3}`), objects);
});

Deno.test("readPage() replaces what jsonb cannot hold", () => {
  assertEquals(textsIn('[{"a":"\\u0000"}]'), ['{"a":"\\ufffd"}']);
});

Deno.test("readPage() does not parse an object that nests too deep, and takes the others", () => {
  const deep = `{"a":${"[".repeat(DEEPEST)}${"]".repeat(DEEPEST)}}`;

  const { objects } = readPage(`[${deep},{"id":"user_1"}]`);

  assertEquals(objects.map(({ value }) => value), [undefined, { id: "user_1" }]);
});

Deno.test("readPage() refuses a body that was cut, at every place", () => {
  for (
    const body of [
      '[{"id":"user_1","a":"b\\"]"},{"id":"user_2"}]',
      '{"data":[{"id":"org_1"},{"id":"org_2"}],"total_count":2}',
    ]
  ) {
    for (let end = 0; end < body.length; end++) {
      assertThrows(() => readPage(body.slice(0, end)), SyntaxError);
    }
    assertEquals(textsIn(body).length, 2);
  }
});

Deno.test("readPage() refuses what is no page", () => {
  for (
    const body of [
      "<html></html>",
      "{}",
      "null",
      '"[]"',
      "[1]",
      "[{},null]",
      '{"data":{}}',
      '{"data":[{}],"data":[]}',
      "[{}{}]",
      "[{},]",
      "[{a:1}]",
      "[{}] [{}]",
    ]
  ) {
    assertThrows(() => readPage(body), SyntaxError);
  }
});
