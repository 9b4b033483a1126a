import { assert, assertEquals } from "@std/assert";

// Hosted projects may have a pgmq as old as 1.4.4. The local one is newer and has more functions.

const MIGRATIONS = new URL("../../supabase/migrations/", import.meta.url);
const SINCE_1_4_4 = [
  "archive",
  "create",
  "delete",
  "drop_queue",
  "metrics",
  "read",
  "send",
  "set_vt",
];

Deno.test("the migrations call only functions that pgmq 1.4.4 has", async () => {
  const called = new Set<string>();
  for await (const { name } of Deno.readDir(MIGRATIONS)) {
    const text = await Deno.readTextFile(new URL(name, MIGRATIONS));
    const code = text.replace(/--.*$/gm, "");
    for (const [, found = ""] of code.matchAll(/\bpgmq\.(\w+)\(/g)) called.add(found);
  }

  assertEquals([...called].filter((name) => !SINCE_1_4_4.includes(name)), []);
  assert(called.has("read"), "control: calls are found");
});
