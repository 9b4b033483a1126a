import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { TEST_SERVER_VARIABLE } from "./test_server.ts";

// What `deno task test` counts and answers, tried on a folder of planted tests.

const RUN = fileURLToPath(new URL("run.ts", import.meta.url));

const PASSING = `
  Deno.test("one passes", () => {});
  Deno.test("another passes with its steps", async ({ step }) => {
    await step("first", () => {});
    await step("second", () => {});
  });
`;
const IGNORED = `Deno.test.ignore("this is ignored", () => {});`;
const FAILING = `
  Deno.test("one fails", () => {
    throw new Error("planted");
  });
  Deno.test("another fails in a step", async ({ step }) => {
    await step("first", () => {
      throw new Error("planted");
    });
  });
`;
const NOT_LOADING = `throw new Error("planted");`;

interface Answer {
  readonly code: number;
  readonly lastLine: string | undefined;
  readonly err: string;
}

/** Runs planted test files as `deno task test` does. */
async function runPlanted(files: readonly string[], ...args: string[]): Promise<Answer> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [number, text] of files.entries()) {
      await Deno.writeTextFile(`${folder}/planted_${number}_test.ts`, text);
    }
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", RUN, folder, ...args],
      // Planted tests need no database.
      env: { [TEST_SERVER_VARIABLE]: "1", NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return {
      code,
      lastLine: decoder.decode(stdout).trim().split("\n").at(-1),
      err: decoder.decode(stderr),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a run counts the tests that passed, and not their steps", async () => {
  const { code, lastLine } = await runPlanted([PASSING]);

  assertEquals([code, lastLine], [0, "2 passed, 0 failed"]);
});

Deno.test("a run counts ignored tests apart, and tests that a filter left out not at all", async () => {
  const all = await runPlanted([PASSING, IGNORED]);
  const filtered = await runPlanted([PASSING, IGNORED], "--filter", "one passes");

  assertEquals([all.code, all.lastLine], [0, "2 passed, 0 failed, 1 skipped"]);
  assertEquals([filtered.code, filtered.lastLine], [0, "1 passed, 0 failed"]);
});

Deno.test("a failing test fails the run", async () => {
  const { code, lastLine } = await runPlanted([PASSING, FAILING]);

  assertEquals([code, lastLine], [1, "2 passed, 2 failed"]);
});

Deno.test("a filter or a path that matches no test fails the run, and the run says so", async () => {
  const runs = [
    await runPlanted([PASSING], "--filter", "no such test"),
    await runPlanted([IGNORED]),
    await runPlanted([]),
    await runPlanted([PASSING], "tests/no_such_folder/"),
  ];

  for (const { code, lastLine, err } of runs) {
    assertEquals([code, lastLine?.startsWith("0 passed, 0 failed")], [1, true]);
    assertMatch(err, /^No test ran: no active test matches .+$/m);
  }
});

Deno.test("a file that does not load fails the run, and the run says so", async () => {
  const { code, err } = await runPlanted([PASSING, NOT_LOADING]);

  assertEquals(code, 1);
  assertMatch(err, /^The run failed, although no test did$/m);
});
