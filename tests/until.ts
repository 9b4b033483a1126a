/**
 * Waits for a condition.
 *
 * @param what finishes the sentence "Cannot go on as it never came that …"
 * @throws {Error} after the limit, 10 s unless told otherwise
 */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  milliseconds = 10_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`Cannot go on as it never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
