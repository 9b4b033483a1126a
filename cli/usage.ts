import { StartError } from "../local/start_error.ts";

/** A command was called in a way that it does not know. The message is a sentence for the caller. */
export class UsageError extends Error {
  override name = "UsageError";
}

/**
 * Runs a command and exits with its code: 2 after a {@link UsageError}, 1 after a
 * {@link StartError}; of both only the sentence is shown.
 */
export async function complain(command: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await command());
  } catch (error) {
    if (error instanceof UsageError || error instanceof StartError) {
      console.error(error.message);
      Deno.exit(error instanceof UsageError ? 2 : 1);
    }
    throw error;
  }
}

/** A whole number of at least 1 from a flag. */
export function atLeastOne(flag: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new UsageError(`Cannot use --${flag} ${text} as it is no whole number of at least 1`);
  }
  return number;
}

/** The arguments without `--`, which keeps Node from reading --env-file itself behind npx. */
export function withoutDashes(args: readonly string[]): string[] {
  return args.filter((each) => each !== "--");
}
