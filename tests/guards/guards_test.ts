import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { MUTATIONS } from "./mutations/mod.ts";

// What the command says of itself. What it does is in tests/guards.

const GUARDS = fileURLToPath(new URL("guards.ts", import.meta.url));

async function guards(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", GUARDS, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("guards --list names every mutation, and with --only those of one invariant", async () => {
  const all = await guards("--list");
  const some = await guards("--list", "--only", "i1");

  assertEquals([all.code, some.code], [0, 0]);
  assertEquals(all.out.trim().split("\n").length, MUTATIONS.length);
  assertEquals(
    some.out.trim().split("\n").length,
    MUTATIONS.filter(({ invariant }) => invariant === "I1").length,
  );
  assertMatch(all.out, /^ {2}1 {2}I1 +the webhook does not ask/);
});

Deno.test("guards refuses in one sentence what it does not know", async () => {
  for (const args of [["--only", "I13"], ["--only", "0"], ["--frobnicate"]]) {
    const run = await guards(...args);

    assertEquals([run.code, run.out], [2, ""]);
    assertEquals(run.err.trim().split("\n").length, 1);
  }
});
