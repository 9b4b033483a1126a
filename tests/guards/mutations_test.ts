import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { INVARIANTS, mutate, type Mutation, StaleMutationError } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";

// The list of `deno task guards` stays true between its runs.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("every test that must notice is there", async () => {
  for (const { test, filter = "", what } of MUTATIONS) {
    const text = await Deno.readTextFile(`${ROOT}${test}`);
    // Of pgTAP files the names of the tests are made from the names of the files.
    const names = /^\/(.*)\/$/.exec(filter)?.[1]?.split("|") ?? [filter];

    for (const name of names) {
      const isThere = name.endsWith(".sql")
        ? await isFile(`${ROOT}supabase/tests/${name}`)
        : text.includes(name);
      assert(isThere, `${test} has no test "${name}", which "${what}" asks for`);
    }
  }
});

async function isFile(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => undefined))?.isFile === true;
}

Deno.test("every invariant is broken in several ways, each with words of its own", () => {
  for (const invariant of INVARIANTS) {
    const ways = MUTATIONS.filter((mutation) => mutation.invariant === invariant);
    assert(ways.length >= 3, `${invariant} is broken in ${ways.length} ways`);
  }
  assertEquals(new Set(MUTATIONS.map(({ what }) => what)).size, MUTATIONS.length);
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
