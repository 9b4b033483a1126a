import { assertEquals, assertStringIncludes } from "@std/assert";
import { readJunit } from "./junit.ts";

/** A report as Deno 2.9.6 writes it. */
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="9" failures="3" errors="1" time="0.1">
    <testsuite name="./a_test.ts" tests="5" disabled="2" errors="1" failures="0">
        <testcase name="is &lt;fine&gt; &amp; well" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="is ignored" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="is filtered out" classname="./a_test.ts" line="3" col="6">
            <skipped/>
        </testcase>
        <testcase name="never ended" classname="./a_test.ts" time="0.000" line="4" col="6">
            <error message="Cancelled"/>
        </testcase>
        <testcase name="is short" classname="./a_test.ts" time="0.001" line="5" col="6"/>
    </testsuite>
    <testsuite name="./b_test.ts" tests="4" disabled="0" errors="0" failures="3">
        <testcase name="is bad" classname="./b_test.ts" time="0.001" line="1" col="6">
            <failure message="Uncaught Error: no &quot;way&quot;">Error: no &quot;way&quot;
    at fn</failure>
        </testcase>
        <testcase name="has steps" classname="./b_test.ts" time="0.001" line="2" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="has steps &gt; is fine" classname="./b_test.ts" time="0.000" line="2" col="51">
        </testcase>
        <testcase name="has steps &gt; is bad" classname="./b_test.ts" time="0.000" line="2" col="89">
            <failure message="Uncaught Error: no step">Error: no step
    at fn</failure>
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("readJunit() sorts tests by result, and leaves out those that a filter left out", () => {
  const { failed, ...others } = readJunit(REPORT);

  assertEquals(others, {
    passed: ["is <fine> & well", "is short"],
    ignored: ["is ignored"],
    unfinished: ["never ended"],
  });
  assertEquals(failed.map(({ name }) => name), ["is bad", "has steps"]);
});

Deno.test("readJunit() tells why a test failed, its steps included", () => {
  const [bad, steps] = readJunit(REPORT).failed;

  assertStringIncludes(bad?.text ?? "", 'Error: no "way"\n    at fn');
  assertStringIncludes(steps?.text ?? "", "has steps > is bad: ");
  assertStringIncludes(steps?.text ?? "", "Error: no step\n    at fn");
});
