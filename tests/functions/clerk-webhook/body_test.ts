import { assertEquals, assertLess } from "@std/assert";
import { readBody } from "../../../functions/clerk-webhook/body.ts";

const LIMITS = { bytes: 1000, milliseconds: 60_000 };
/** For bodies that never end. All others have the time that a busy machine may need. */
const HASTY = { ...LIMITS, milliseconds: 50 };

function post(body: BodyInit | null): Request {
  return new Request("http://localhost/", { method: "POST", body });
}

function streaming(source: UnderlyingDefaultSource<Uint8Array>): Request {
  return post(new ReadableStream(source));
}

/** As a server hands it over: with the length that the sender declared. */
function declaring(length: string, body: BodyInit): Request {
  return new Request("http://localhost/", {
    method: "POST",
    headers: { "content-length": length },
    body,
  });
}

Deno.test("readBody() returns a text byte for byte, a byte order mark too", async () => {
  const text = '\u{FEFF}{"name":"Bergström 🦆"}\r\n';

  assertEquals(await readBody(post(text), LIMITS), { kind: "text", text });
  assertEquals(await readBody(post(null), LIMITS), { kind: "text", text: "" });
});

Deno.test("readBody() puts together a character that was cut between two chunks", async () => {
  const bytes = new TextEncoder().encode("ö");
  const request = streaming({
    start(controller): void {
      controller.enqueue(bytes.slice(0, 1));
      controller.enqueue(bytes.slice(1));
      controller.close();
    },
  });

  assertEquals(await readBody(request, LIMITS), { kind: "text", text: "ö" });
});

Deno.test("readBody() refuses a body that is not UTF-8, rather than replacing bytes", async () => {
  assertEquals(await readBody(post(new Uint8Array([0x7b, 0xff, 0x7d])), LIMITS), {
    kind: "not_text",
  });
});

Deno.test("readBody() accepts the largest size, and refuses one byte more", async () => {
  assertEquals((await readBody(post("a".repeat(1000)), LIMITS)).kind, "text");
  assertEquals((await readBody(post("a".repeat(1001)), LIMITS)).kind, "too_large");
});

Deno.test("readBody() stops reading an endless body", async () => {
  let chunks = 0;
  let cancelled = false;
  const request = streaming({
    pull(controller): void {
      chunks++;
      controller.enqueue(new Uint8Array(100));
    },
    cancel(): void {
      cancelled = true;
    },
  });

  const body = await readBody(request, LIMITS);

  assertEquals(body.kind, "too_large");
  assertEquals(cancelled, true);
  assertEquals(chunks < 20, true);
});

Deno.test("readBody() gives up when the connection breaks", async () => {
  const request = streaming({
    start(controller): void {
      controller.enqueue(new Uint8Array(10));
      controller.error(new Error("connection reset"));
    },
  });

  assertEquals(await readBody(request, LIMITS), { kind: "incomplete" });
});

Deno.test("readBody() gives up on a silent sender and on a slow one, and cancels the stream", async () => {
  let timer: ReturnType<typeof setInterval> | undefined;
  const cancelled: string[] = [];
  const silent = streaming({
    cancel(): void {
      cancelled.push("silent");
    },
  });
  const dripping = streaming({
    start(controller): void {
      timer = setInterval(() => controller.enqueue(new Uint8Array(1)), 10);
    },
    cancel(): void {
      cancelled.push("dripping");
      clearInterval(timer);
    },
  });

  const started = performance.now();
  assertEquals(await readBody(silent, HASTY), { kind: "incomplete" });
  assertEquals(await readBody(dripping, HASTY), { kind: "incomplete" });
  assertEquals(cancelled, ["silent", "dripping"]);
  assertLess(performance.now() - started, 5_000);
});

Deno.test("readBody() does not depend on the declared length", async () => {
  const text = '\u{FEFF}{"name":"Bergström 🦆"}\r\n';
  const length = String(new TextEncoder().encode(text).byteLength);

  assertEquals(await readBody(declaring(length, text), LIMITS), { kind: "text", text });
  assertEquals(await readBody(declaring("0", ""), LIMITS), { kind: "text", text: "" });
  assertEquals(await readBody(declaring("1", new Uint8Array([0xff])), LIMITS), {
    kind: "not_text",
  });
});

Deno.test("readBody() does not trust the declared length", async () => {
  const tooLarge = "a".repeat(1001);

  for (const length of ["0", "10", "1000", "1001", "-1", "ten", "", "1e9"]) {
    assertEquals(await readBody(declaring(length, tooLarge), LIMITS), { kind: "too_large" });
    assertEquals((await readBody(declaring(length, "a"), LIMITS)).kind, "text");
  }
});

Deno.test("readBody() gives up on a silent sender and a broken connection, whatever length was declared", async () => {
  const silent = declaring("10", new ReadableStream());
  const broken = declaring(
    "10",
    new ReadableStream({
      start(controller): void {
        controller.error(new Error("connection reset"));
      },
    }),
  );

  assertEquals(await readBody(silent, HASTY), { kind: "incomplete" });
  assertEquals(await readBody(broken, LIMITS), { kind: "incomplete" });
});
