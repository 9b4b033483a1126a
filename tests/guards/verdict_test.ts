import { assertEquals } from "@std/assert";
import type { TestReport } from "../junit.ts";
import { judge, type Verdict } from "./verdict.ts";

const NOTHING: TestReport = { passed: [], failed: [], ignored: [], unfinished: [] };
const GREEN: TestReport = { ...NOTHING, passed: ["the door is shut", "the key fits"] };

function kindOf(verdict: Verdict): string {
  return verdict.kind;
}

function failing(name: string, text: string): TestReport {
  return { ...NOTHING, failed: [{ name, text }] };
}

Deno.test("a mutation is caught when a test fails that passed without it", () => {
  const verdict = judge(GREEN, failing("the door is shut", "AssertionError: Values are not equal"));

  assertEquals(verdict, { kind: "caught", red: ["the door is shut"] });
});

Deno.test("a mutation survives when no test fails, or one that was not green before", () => {
  assertEquals(judge(GREEN, GREEN), { kind: "survived" });
  assertEquals(judge(GREEN, failing("another one", "AssertionError")), { kind: "survived" });
});

Deno.test("a run without a report is invalid", () => {
  assertEquals(kindOf(judge(GREEN, undefined)), "invalid");
});

const BROKEN = [
  "ReferenceError: isLockd is not defined",
  "SyntaxError: Unexpected token",
  "TypeError: door.isShut is not a function",
  "StartError: Cannot apply supabase/migrations/1_a.sql as Postgres answers 42601",
  'Bail out! line 3: 42703: column "shut" does not exist',
  'outcome: "failed", sqlstate: "42883"',
];

Deno.test("code that is merely broken is invalid", () => {
  for (const text of BROKEN) {
    assertEquals(kindOf(judge(GREEN, failing("the key fits", text))), "invalid", text);
  }
});

Deno.test("a missing permission or a violated constraint is caught", () => {
  for (const text of ["Bail out! 42501: permission denied", "23505: duplicate key"]) {
    assertEquals(kindOf(judge(GREEN, failing("the key fits", text))), "caught", text);
  }
});
