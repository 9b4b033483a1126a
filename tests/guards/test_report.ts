/** What a run of tests came to, by the names of the tests. */
export interface TestReport {
  readonly passed: readonly string[];
  readonly failed: readonly FailedTest[];
}

export interface FailedTest {
  readonly name: string;
  /** Why: the message and where. */
  readonly text: string;
}

/** Reads the JUnit report that `deno test` writes. Ignored tests are in neither list. */
export function readJunit(xml: string): TestReport {
  const passed: string[] = [];
  const failed: FailedTest[] = [];

  for (const [, name = "", body = ""] of xml.matchAll(TEST_CASE)) {
    // An <error> is a test that never came to its end because the run broke off.
    if (/<(?:skipped|error)\b/.test(body)) continue;
    if (/<failure\b/.test(body)) failed.push({ name: unescape(name), text: unescape(body) });
    else passed.push(unescape(name));
  }
  return { passed, failed };
}

const TEST_CASE = /<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g;

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
