import { UsageError } from "./usage.ts";

/**
 * Asks a question on the terminal, and answers whether it was confirmed. Says so when it was not.
 *
 * @throws {UsageError} when nobody can be asked, and `--yes` is not given.
 */
export function isConfirmed(
  question: string,
  { yes, json, instead = "--dry-run" }: {
    readonly yes: boolean;
    readonly json: boolean;
    /** What else the user can add or do. */
    readonly instead?: string;
  },
): boolean {
  if (yes) return true;
  if (json || !Deno.stdin.isTerminal()) {
    throw new UsageError(
      `Cannot ask for a confirmation without a terminal, or with --json: add --yes, or ${instead}`,
    );
  }
  if (confirm(question)) return true;
  console.error("Nothing was written");
  return false;
}
