import { assertEquals } from "@std/assert";
import { askHidden } from "../../cli/ask_hidden.ts";

Deno.test("the terminal hides what is typed before the question is shown", () => {
  const { setRaw, readSync } = Deno.stdin;
  const { writeSync } = Deno.stderr;
  const happened: unknown[] = [];
  Deno.stdin.setRaw = (isRaw) => void happened.push(isRaw);
  Deno.stdin.readSync = (bytes) => bytes.set(new TextEncoder().encode("it\r")) ?? 3;
  Deno.stderr.writeSync = (bytes) => happened.push(new TextDecoder().decode(bytes));
  try {
    assertEquals(askHidden("Secret: "), "it");
  } finally {
    Object.assign(Deno.stdin, { setRaw, readSync });
    Object.assign(Deno.stderr, { writeSync });
  }

  assertEquals(happened, [true, "Secret: ", false, "\n"]);
});
