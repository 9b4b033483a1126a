import { assertEquals } from "@std/assert";
import type { Verdict } from "../clerk/verdict.ts";

/**
 * Prints a verdict on one line, and requires that nothing was lost: every message was acknowledged in
 * the end, and the database holds the acknowledged messages and nothing else.
 *
 * @param allowed the refusals that are right in this fault
 */
export function assertNothingLost(
  fault: string,
  verdict: Verdict,
  allowed: readonly string[],
): void {
  const { sent, acknowledged, kept, lost, refusals, committedUnanswered } = verdict;
  const refused = Object.entries(refusals).map(([word, count]) => `${word} ×${count}`).join(", ");
  console.log(
    `${fault}: sent ${sent}, acknowledged ${acknowledged}, kept ${kept}, lost ${lost}` +
      `; refused attempts: ${refused || "none"}; committed unanswered ${committedUnanswered}`,
  );

  assertEquals(
    {
      lost,
      acknowledged,
      dishonest: Object.keys(refusals).filter((word) => !allowed.includes(word)),
      equalsModel: verdict.equalsModel,
      announcedTwice: verdict.announcedTwice,
    },
    { lost: 0, acknowledged: sent, dishonest: [], equalsModel: true, announcedTwice: 0 },
  );
}
