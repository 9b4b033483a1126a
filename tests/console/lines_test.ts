import { assertEquals, assertLess } from "@std/assert";
import { lines } from "../../console/server/lines.ts";
import { until } from "../until.ts";

const failure = (): { error: string } => ({ error: "It failed" });

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

Deno.test("lines() + a stream that nobody reads does not grow", async () => {
  const stop = new AbortController();
  let written = 0;
  const response = lines(async (write, ended) => {
    while (!ended.aborted && written < 1000) {
      await write({ line: written });
      written++;
    }
  }, { stop: stop.signal, failure });

  await pause();
  const unread = written;
  const reader = response.body?.getReader();
  for (let chunk = 0; chunk < 100; chunk++) await reader?.read();

  assertLess(unread, 3);
  await until("it went on as it was read", () => written >= 100);
  await reader?.cancel();
});

Deno.test("lines() + whoever leaves ends what produces the lines", async () => {
  let isOver = false;
  const response = lines(async (write, ended) => {
    await write({});
    await new Promise((resolve) => ended.addEventListener("abort", resolve));
    isOver = true;
  }, { stop: new AbortController().signal, failure });

  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();

  await until("it was told", () => isOver);
});

Deno.test("lines() + a stop ends the stream, and an error is its last line", async () => {
  const stop = new AbortController();
  let isRead = false;
  const stopped = lines(async (write, ended) => {
    await write({ line: 1 });
    isRead = true;
    await new Promise((resolve) => ended.addEventListener("abort", resolve));
  }, { stop: stop.signal, failure }).text();
  const failed = lines(async (write) => {
    await write({ line: 1 });
    throw new Error("private");
  }, { stop: new AbortController().signal, failure }).text();

  await until("the line was read", () => isRead);
  stop.abort();

  assertEquals(await stopped, '{"line":1}\n');
  assertEquals(await failed, '{"line":1}\n{"error":"It failed"}\n');
});
