/** The result of a run of tests, by the names of the tests. A step is part of its test. */
export interface TestReport {
  readonly passed: readonly string[];
  readonly failed: readonly FailedTest[];
  /** Tests that are marked as ignored. A test that a filter left out is in no list. */
  readonly ignored: readonly string[];
  /** Tests that never ended because the run broke off. */
  readonly unfinished: readonly string[];
}

export interface FailedTest {
  readonly name: string;
  /** Message and place of the failure; those of failed steps follow. */
  readonly text: string;
}

/** Reads the JUnit report that `deno test` writes. */
export function readJunit(xml: string): TestReport {
  const passed: string[] = [];
  const failed: FailedTest[] = [];
  const ignored: string[] = [];
  const unfinished: string[] = [];

  for (const [, suite = ""] of xml.matchAll(/<testsuite [^>]*>([^]*?)<\/testsuite>/g)) {
    const tests: TestCase[] = [];
    for (const testCase of casesIn(suite)) {
      // Steps follow the tests, as `test > step`.
      const test = tests.find(({ name }) => testCase.name.startsWith(`${name} > `));
      if (test === undefined) tests.push(testCase);
      else if (testCase.result === "failed") test.text += `\n${testCase.name}: ${testCase.text}`;
    }
    for (const { name, result, text } of tests) {
      if (result === "passed") passed.push(name);
      else if (result === "failed") failed.push({ name, text });
      else if (result === "ignored") ignored.push(name);
      else if (result === "unfinished") unfinished.push(name);
    }
  }
  return { passed, failed, ignored, unfinished };
}

interface TestCase {
  readonly name: string;
  readonly result: "passed" | "failed" | "ignored" | "filtered out" | "unfinished";
  text: string;
}

const TEST_CASE = /<testcase name="([^"]*)"([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g;

function casesIn(suite: string): TestCase[] {
  return [...suite.matchAll(TEST_CASE)].map(([, name = "", attributes = "", body = ""]) => ({
    name: unescape(name),
    result: resultOf(attributes, body),
    text: unescape(body),
  }));
}

function resultOf(attributes: string, body: string): TestCase["result"] {
  if (body.includes("<failure")) return "failed";
  if (body.includes("<error")) return "unfinished";
  if (!body.includes("<skipped")) return "passed";
  // Deno writes both as skipped, but gives no time to a test that it filtered out.
  return /\btime="/.test(attributes) ? "ignored" : "filtered out";
}

function unescape(text: string): string {
  const characters: Readonly<Record<string, string>> = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&apos;": "'",
    "&amp;": "&",
  };
  return text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => characters[entity] ?? entity);
}
