/**
 * Waits for a condition.
 *
 * @param what finishes the sentence "Timed out after 10 s waiting until …"
 * @throws {Error} after the limit, 10 s unless given
 */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  milliseconds = 10_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!await condition()) {
    if (Date.now() > deadline) {
      throw new Error(`Timed out after ${milliseconds / 1000} s waiting until ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
