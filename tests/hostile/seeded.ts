import { random } from "../random.ts";

/** Picks a whole number from 0 up to, not including, its argument. */
export type Pick = (below: number) => number;

export interface Seeded {
  readonly pick: Pick;
  /** How many inputs to make. */
  readonly rounds: number;
}

/**
 * The randomness of a fuzzing test: `SEED` plays one again, `ROUNDS` enlarges it, both by
 * environment. Prints the seed.
 *
 * @param rounds how many unless told otherwise
 */
export function seeded(rounds: number): Seeded {
  const seed = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 1e9));
  const wanted = Number(Deno.env.get("ROUNDS") ?? rounds);
  console.log(`SEED=${seed} ROUNDS=${wanted}`);
  return { pick: random(seed), rounds: wanted };
}

/** One of several. */
export function oneOf<Item>(pick: Pick, items: readonly [Item, ...Item[]]): Item {
  return items[pick(items.length)] ?? items[0];
}

/** Letters and digits that no compression makes shorter. */
export function letters(pick: Pick, length: number): string {
  return Array.from({ length }, () => pick(36).toString(36)).join("");
}
