/**
 * The stack cannot start or continue, for a reason that the user can fix. The message is one
 * sentence: what, why, what to do. It is shown without a stack trace.
 */
export class StartError extends Error {
  override name = "StartError";
}

/** Why something failed, as the end of a sentence, without the system's error number. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const plain = message.split("\n")[0]?.replace(/ \(os error \d+\).*$/, "") ?? "";
  return /^[A-Z][a-z]/.test(plain) ? plain.charAt(0).toLowerCase() + plain.slice(1) : plain;
}
