import { assertEquals, assertNotEquals } from "@std/assert";
import { random, shuffled } from "./random.ts";

const NUMBERS = Array.from({ length: 50 }, (_, number) => number);

Deno.test("shuffled() gives the same order for the same seed, and keeps every item", () => {
  const order = shuffled(random(1), NUMBERS);

  assertEquals(shuffled(random(1), NUMBERS), order);
  assertNotEquals(shuffled(random(2), NUMBERS), order);
  assertEquals(order.toSorted((one, other) => one - other), NUMBERS);
});
