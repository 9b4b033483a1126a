import { assert, assertEquals, assertThrows } from "@std/assert";
import { INVARIANTS, mutate, type Mutation, StaleMutationError } from "./mutation.ts";
import { MUTATIONS } from "./mutations/mod.ts";

// Whether the guards still fit the sources is found out by `deno task guards` alone, so that a rename
// does not fail `deno task ok`.

Deno.test("every invariant has guards, each with its own words, and each changes something", () => {
  assertEquals(new Set(MUTATIONS.map(({ invariant }) => invariant)), new Set(INVARIANTS));
  assertEquals(new Set(MUTATIONS.map(({ what }) => what)).size, MUTATIONS.length);
  for (const { what, from, to } of MUTATIONS) {
    assert(from.trim() !== "" && from !== to, `"${what}" changes nothing`);
  }
});

const MUTATION: Mutation = {
  invariant: "I1",
  what: "nobody looks",
  file: "door.ts",
  from: "if (isLocked()) return;",
  to: "$&",
  test: "door_test.ts",
};

Deno.test("mutate() puts the new text in the old one's place, letter for letter", () => {
  assertEquals(mutate("a();\nif (isLocked()) return;\nb();", MUTATION), "a();\n$&\nb();");
});

Deno.test("mutate() refuses a text that is not there, or there twice", () => {
  for (const text of ["a();", `${MUTATION.from} ${MUTATION.from}`]) {
    assertThrows(() => mutate(text, MUTATION), StaleMutationError, "door.ts");
  }
});
