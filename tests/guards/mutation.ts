export const INVARIANTS = [
  "I1",
  "I2",
  "I3",
  "I4",
  "I5",
  "I6",
  "I7",
  "I8",
  "I9",
  "I10",
  "I11",
  "I12",
  "HTTP",
  "QUEUE",
  "PAGES",
  "GATE",
] as const;

/**
 * A promise of docs/architecture.md, I1 to I12; HTTP, the answers of the webhook; QUEUE, the queue and
 * its worker; PAGES, what is read from Clerk's Backend API; GATE, what `deno task test` counts.
 */
export type Invariant = typeof INVARIANTS[number];

/** A guard that is removed on purpose, and the test that must notice. */
export interface Mutation {
  readonly invariant: Invariant;
  /** What is wrong without the guard, as a sentence. */
  readonly what: string;
  /** From the root of the checkout. */
  readonly file: string;
  /** Must be in the file exactly once. */
  readonly from: string;
  readonly to: string;
  /** The test file that must go red. */
  readonly test: string;
  /** Part of the names of the tests that are run; all tests of the file unless given. */
  readonly filter?: string;
}

/** The guards of one invariant. */
export function guardsOf(
  invariant: Invariant,
  mutations: readonly Omit<Mutation, "invariant">[],
): Mutation[] {
  return mutations.map((mutation) => ({ invariant, ...mutation }));
}

/** The text of a guard is not in its file exactly once. */
export class StaleMutationError extends Error {
  override name = "StaleMutationError";
}

/**
 * The text of a file without the guard.
 *
 * @throws {StaleMutationError}
 */
export function mutate(text: string, { file, from, to }: Mutation): string {
  const times = text.split(from).length - 1;
  if (times !== 1) {
    throw new StaleMutationError(
      `Cannot mutate ${file} as this is in it ${times} times: ${JSON.stringify(from)}`,
    );
  }
  return text.replace(from, () => to);
}
