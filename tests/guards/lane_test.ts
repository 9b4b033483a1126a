import { assertEquals, assertRejects } from "@std/assert";
import { testServer } from "../test_server.ts";
import { Lane } from "./lane.ts";
import { type Mutation, StaleMutationError } from "./mutation.ts";

// How a mutation is judged, shown with mutations made for this test.

const GUARD: Mutation = {
  invariant: "I4",
  what: "a shuffle keeps the order",
  file: "tests/random.ts",
  from: ".sort((one, other) => one.at - other.at)",
  to: "",
  test: "tests/random_test.ts",
};

const MIGRATION_GUARD: Mutation = {
  ...GUARD,
  what: "counts may be negative",
  file: "supabase/migrations/20261101000007_create_clerk_values.sql",
  from: "value::numeric between 0 and 2147483647",
  to: "value::numeric between -1 and 2147483647",
};

/** Each with the verdict and part of its reason. */
const CASES: [string, Mutation, RegExp][] = [
  ["a mutation that fails a test is caught", GUARD, /^caught .*shuffled/],
  [
    "a mutation that fails no test survives",
    { ...GUARD, to: `${GUARD.from} // no change` },
    /^survived/,
  ],
  [
    "a mutation whose filter matches no test is invalid",
    { ...GUARD, filter: "no test has this name" },
    /^invalid .*not green without it/,
  ],
  [
    "code that does not load is invalid",
    { ...GUARD, to: ".sort((one, other) => one.at - )" },
    /^invalid .*did not run/,
  ],
  [
    "code that names something that does not exist is invalid",
    { ...GUARD, to: ".sort((one, other) => one.at - another.at)" },
    /^invalid .*ReferenceError/,
  ],
  [
    "a migration that does not load is invalid",
    { ...MIGRATION_GUARD, to: "value::numeric betwixt 0" },
    /^invalid Cannot apply supabase\/migrations/,
  ],
  [
    "a function that reads a column that does not exist is invalid",
    { ...MIGRATION_GUARD, to: "number between 0 and 1" },
    /^invalid .*42703/,
  ],
];

Deno.test({
  name: "a mutation is caught only by a test that fails for another reason than broken code",
  // The Postgres server may be started within the test, and outlives it.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (context) => {
    await using lane = await Lane.open(await testServer(), new Map());

    for (const [name, mutation, expected] of CASES) {
      await context.step(name, async () => {
        const verdict = await lane.try(mutation);
        const words = Object.values(verdict).flat().join(" ");
        assertEquals(expected.test(words), true, words);
      });
    }
    await context.step("a text that is no longer in its file is refused", async () => {
      await assertRejects(() => lane.try({ ...GUARD, from: "gone" }), StaleMutationError);
    });
  },
});
