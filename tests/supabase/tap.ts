/**
 * The problems of a TAP stream (Test Anything Protocol, the output of pgTAP); none if all planned
 * tests ran and passed. Skipped and "todo" tests are problems, too.
 *
 * @param lines of the stream; lines that are not TAP are ignored, as TAP demands
 * @returns one sentence per problem
 */
export function complaintsAbout(lines: readonly string[]): string[] {
  const plans = lines.flatMap((line) => /^1\.\.(\d+)\s*(?:#.*)?$/.exec(line)?.[1] ?? []);
  const tests = lines.flatMap(readTest);

  return [
    ...lines.filter((line) => /^Bail out!/i.test(line)),
    ...tests.filter((test) => !test.passed).map((test) => `test ${test.number} failed`),
    ...tests.filter((test) => test.passed && test.excused)
      .map((test) => `test ${test.number} is skipped or still to do`),
    ...tests.filter((test, index) => test.number !== index + 1)
      .map((test) => `test ${test.number} is out of order`),
    ...complaintsAboutPlan(plans.map(Number), tests.length),
  ];
}

interface Test {
  number: number;
  passed: boolean;
  excused: boolean;
}

function readTest(line: string): Test[] {
  const match = /^(not )?ok (\d+)\b(.*)$/.exec(line);
  if (match === null) return [];
  const [, not, number, rest = ""] = match;

  return [{
    number: Number(number),
    passed: not === undefined,
    excused: /(?<!\\)#\s*(?:skip|todo)\b/i.test(rest),
  }];
}

function complaintsAboutPlan(plans: readonly number[], tests: number): string[] {
  const [planned] = plans;
  if (planned === undefined) return ["there is no plan"];
  if (plans.length > 1) return [`there are ${plans.length} plans`];
  if (planned === 0) return ["nothing is planned"];
  return planned === tests ? [] : [`${planned} tests are planned, ${tests} ran`];
}
