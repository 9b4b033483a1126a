/** Picks a whole number from 0 up to, not including, its argument. */
export type Pick = (below: number) => number;

/** A small generator of pseudo-random numbers (mulberry32), so that a seed can be played again. */
export function random(seed: number): Pick {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** The seed of a test: the environment's `SEED`, which repeats a run, or a new one. */
export function aSeed(): number {
  return Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 1e9));
}

/** The randomness of a test. Prints its seed. */
export function seeded(): Pick {
  const seed = aSeed();
  console.log(`SEED=${seed}`);
  return random(seed);
}

/** How many inputs a test makes: the environment's `ROUNDS`, or the usual number. */
export function roundsOr(usual: number): number {
  return Number(Deno.env.get("ROUNDS") ?? usual);
}

/** One of several. */
export function oneOf<Item>(pick: Pick, items: readonly [Item, ...Item[]]): Item {
  return items[pick(items.length)] ?? items[0];
}

/** A copy in a random order. */
export function shuffled<Item>(pick: Pick, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: pick(2 ** 30) }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

/** Letters and digits that no compression makes shorter. */
export function letters(pick: Pick, length: number): string {
  return Array.from({ length }, () => pick(36).toString(36)).join("");
}
