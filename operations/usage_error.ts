/** A command was called in a way it does not understand. The message is a sentence for the caller. */
export class UsageError extends Error {
  override name = "UsageError";
}
