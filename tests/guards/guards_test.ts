import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { MUTATIONS } from "./mutations/mod.ts";

// The command's options. What it does with a mutation is tested in lane_test.ts.

const GUARDS = fileURLToPath(new URL("guards.ts", import.meta.url));

async function guards(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", GUARDS, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("guards --list names every guard, and with --only those of one invariant", async () => {
  const all = await guards("--list");
  const some = await guards("--list", "--only", "i1");

  assertEquals([all.code, some.code], [0, 0]);
  assertEquals(all.out.trim().split("\n").length, MUTATIONS.length);
  assertEquals(
    some.out.trim().split("\n").length,
    MUTATIONS.filter(({ invariant }) => invariant === "I1").length,
  );
  assertMatch(all.out, /^ {2}1 {2}I1 +the signature is not checked/);
});

Deno.test("guards refuses unknown guards and options in one sentence", async () => {
  for (const args of [["--only", "I13"], ["--only", "0"], ["--frobnicate"]]) {
    const run = await guards(...args);

    assertEquals([run.code, run.out], [2, ""]);
    assertEquals(run.err.trim().split("\n").length, 1);
  }
});
