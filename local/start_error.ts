/**
 * A reason why the stack cannot start or go on that a person can act on. The
 * message is one sentence: what, why, what to do. It is printed without a stack.
 */
export class StartError extends Error {
  override name = "StartError";
}

/** Why something failed, as the end of a sentence: the system's words without its numbers. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const plain = message.split("\n")[0]?.replace(/ \(os error \d+\).*$/, "") ?? "";
  return /^[A-Z][a-z]/.test(plain) ? plain.charAt(0).toLowerCase() + plain.slice(1) : plain;
}
