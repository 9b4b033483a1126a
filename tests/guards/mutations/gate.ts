import { guardsOf, type Mutation } from "../mutation.ts";

export const GATE: readonly Mutation[] = guardsOf("GATE", [
  {
    what: "ignored tests count as passed",
    file: "tests/junit.ts",
    from: '? "ignored" :',
    to: '? "passed" :',
    test: "tests/run_test.ts",
    filter: "counts ignored tests apart",
  },
  {
    what: "a run of no tests passes",
    file: "tests/run.ts",
    from: "success && ran > 0",
    to: "success",
    test: "tests/run_test.ts",
    filter: "that matches no test",
  },
]);
