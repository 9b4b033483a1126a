import { assertEquals } from "@std/assert";
import * as z from "zod/mini";
import { Schema } from "../../../functions/clerk-webhook/schema.ts";

/** More than it takes for a schema to be compiled. */
const A_LOT = 2_100;

const VALUES = [
  { id: "user_1", at: 1, tags: ["a"], nested: { on: true }, more: "falls away" },
  { id: "user_1" },
  { id: "user_1", at: null, nested: null },
  { id: "", at: "soon", tags: [1, "a", null], nested: { on: "yes" } },
  { at: 9e15 },
  { __proto__: null, id: "user_1" },
  [],
  null,
  undefined,
  "user_1",
];

function aSchema(): Schema<z.ZodMiniType> {
  return new Schema(() =>
    z.object({
      id: z.string().check(z.regex(/^user_/)),
      at: z.nullish(z.union([z.number().check(z.maximum(8.64e15)), z.iso.datetime()])),
      tags: z.nullish(z.array(z.string())),
      nested: z.nullish(z.object({ on: z.boolean() })),
    })
  );
}

function outcomeOf(schema: Schema, value: unknown): unknown {
  const { data, error } = schema.safeParse(value);
  return { data, issues: error?.issues.map(({ path, code }) => ({ path, code })) };
}

Deno.test("a schema says the same of every value, however often it was used", () => {
  const used = aSchema();
  for (let time = 0; time < A_LOT; time++) used.safeParse(VALUES[0]);

  for (const value of VALUES) {
    assertEquals(outcomeOf(used, value), outcomeOf(aSchema(), value));
  }
});

Deno.test("a schema is made at its first use, once", () => {
  let made = 0;
  const schema = new Schema(() => {
    made++;
    return z.string();
  });

  const before = made;
  schema.safeParse("a");
  schema.safeParse("b");

  assertEquals([before, made], [0, 1]);
});

Deno.test("a schema that is used a lot is compiled", () => {
  const schema = aSchema();
  const generated = countingGeneratedCode(() => {
    for (let time = 0; time < A_LOT; time++) schema.safeParse(VALUES[0]);
  });

  assertEquals(generated > 0, true);
  assertEquals(countingGeneratedCode(() => aSchema().safeParse(VALUES[0])), 0);
});

/** How often code is generated while something runs. */
function countingGeneratedCode(run: () => void): number {
  const real = globalThis.Function;
  let count = 0;
  globalThis.Function = new Proxy(real, {
    construct(target, code): object {
      count++;
      return Reflect.construct(target, code);
    },
  });
  try {
    run();
  } finally {
    globalThis.Function = real;
  }
  return count;
}
