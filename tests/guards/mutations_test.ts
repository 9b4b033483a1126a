import { assert, assertEquals, assertThrows } from "@std/assert";
import { INVARIANTS, mutate, type Mutation, StaleMutationError } from "./mutation.ts";
import { MUTATIONS } from "./mutations/mod.ts";

// Only `deno task guards` checks that the guards still fit the sources, so that a rename does not fail
// `deno task ok`.

Deno.test("every invariant has guards, no two say the same, and each changes something", () => {
  assertEquals(new Set(MUTATIONS.map(({ invariant }) => invariant)), new Set(INVARIANTS));
  assertEquals(new Set(MUTATIONS.map(({ what }) => what)).size, MUTATIONS.length);
  for (const { what, from, to } of MUTATIONS) {
    assert(from.trim() !== "" && from !== to, `"${what}" changes nothing`);
  }
});

const MUTATION: Mutation = {
  invariant: "I1",
  what: "the door is not locked",
  file: "door.ts",
  from: "if (isLocked()) return;",
  to: "$&",
  test: "door_test.ts",
};

Deno.test("mutate() replaces the text literally", () => {
  assertEquals(mutate("a();\nif (isLocked()) return;\nb();", MUTATION), "a();\n$&\nb();");
});

Deno.test("mutate() refuses a text that is missing, or there twice", () => {
  for (const text of ["a();", `${MUTATION.from} ${MUTATION.from}`]) {
    assertThrows(() => mutate(text, MUTATION), StaleMutationError, "door.ts");
  }
});
