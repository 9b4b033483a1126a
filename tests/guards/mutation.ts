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
] as const;

/**
 * A promise of docs/architecture.md: I1 to I12; HTTP, what the webhook answers; QUEUE, what the queue
 * and its worker do.
 */
export type Invariant = typeof INVARIANTS[number];

/** One guard that is taken away on purpose, and the test that must notice. */
export interface Mutation {
  readonly invariant: Invariant;
  /** What is broken then, as the end of "What if …". */
  readonly what: string;
  /** From the root of the checkout. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly from: string;
  readonly to: string;
  /** The test file that must go red. */
  readonly test: string;
  /** A part of the names of the tests in it that are run; all unless given. */
  readonly filter?: string;
}

/** The text to be mutated is not, or no longer, in its file exactly once. */
export class StaleMutationError extends Error {
  override name = "StaleMutationError";
}

/**
 * The text of a file with the guard taken away.
 *
 * @throws {StaleMutationError}
 */
export function mutate(text: string, { file, from, to }: Mutation): string {
  const times = text.split(from).length - 1;
  if (times !== 1) {
    throw new StaleMutationError(
      `Cannot mutate ${file} as this stands in it ${times} times: ${JSON.stringify(from)}`,
    );
  }
  return text.replace(from, () => to);
}
