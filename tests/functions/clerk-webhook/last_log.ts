import { assertEquals } from "@std/assert";
import type { TestStack } from "../../test_stack.ts";
import { until } from "../../until.ts";

/**
 * The last of so many lines that the function has logged. A line may be read a little later than the
 * answer that it is about.
 */
export async function lastLog(
  { log }: Pick<TestStack, "log">,
  lines: number,
): Promise<Record<string, unknown>> {
  await until(`${lines} lines are logged`, () => log.length >= lines);
  assertEquals(log.length, lines);
  return JSON.parse(log.at(-1) ?? "");
}
