import { assertEquals } from "@std/assert";
import { readJunit, type TestReport } from "./test_report.ts";
import { judge, type Verdict } from "./verdict.ts";

const GREEN: TestReport = { passed: ["the door is shut", "the key fits"], failed: [] };

function kindOf(verdict: Verdict): string {
  return verdict.kind;
}

function failing(name: string, text: string): TestReport {
  return { passed: [], failed: [{ name, text }] };
}

Deno.test("a mutation is caught when a test fails that passed without it", () => {
  const verdict = judge(GREEN, failing("the door is shut", "AssertionError: Values are not equal"));

  assertEquals(verdict, { kind: "caught", red: ["the door is shut"] });
});

Deno.test("a mutation survives when no test fails, or one that was not green before", () => {
  assertEquals(judge(GREEN, GREEN), { kind: "survived" });
  assertEquals(judge(GREEN, failing("another one", "AssertionError")), { kind: "survived" });
});

Deno.test("a run that gives no report catches nothing", () => {
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

Deno.test("code that is merely broken is not caught", () => {
  for (const text of BROKEN) {
    assertEquals(kindOf(judge(GREEN, failing("the key fits", text))), "invalid", text);
  }
});

Deno.test("a missing right, and a constraint, are what tests are for", () => {
  for (const text of ["Bail out! 42501: permission denied", "23505: duplicate key"]) {
    assertEquals(kindOf(judge(GREEN, failing("the key fits", text))), "caught", text);
  }
});

Deno.test("readJunit() tells what passed from what failed, and leaves out what did neither", () => {
  const report = readJunit(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="1" time="0.1">
    <testsuite name="./a_test.ts" tests="5" disabled="1" errors="1" failures="1">
        <testcase name="is &lt;fine&gt; &amp; well" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="is bad" classname="./a_test.ts" time="0.001" line="2" col="6">
            <failure message="Uncaught Error: no &quot;way&quot;">Error: no &quot;way&quot;
    at fn</failure>
        </testcase>
        <testcase name="is ignored" classname="./a_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
        <testcase name="never ended" classname="./a_test.ts" time="0.000" line="4" col="6">
            <error message="Cancelled"/>
        </testcase>
        <testcase name="is short" classname="./a_test.ts" time="0.001" line="5" col="6"/>
    </testsuite>
</testsuites>`);

  assertEquals(report.passed, ["is <fine> & well", "is short"]);
  assertEquals(report.failed.map(({ name }) => name), ["is bad"]);
  assertEquals(report.failed[0]?.text.includes('Error: no "way"\n    at fn'), true);
});
