import { type DeathCauses, depthOf, type QueueStatus } from "../operations/queue.ts";
import { bar } from "./progress.ts";

/** The depth that fills the bar until a greater one has been seen. */
export const FULL_BAR = 100;

/**
 * The state of the queue: a line with a bar, and a line for each way in which changes fail or have failed for good.
 *
 * @param columns of the terminal; the bar becomes shorter, so that the first line fits
 * @param most the depth that fills the bar
 */
export function formatStatus(
  status: QueueStatus & { readonly deaths?: DeathCauses },
  columns: number,
  most = FULL_BAR,
): string {
  const oldest = status.oldest_seconds === null ? "–" : `${status.oldest_seconds} s`;
  const figures = [
    `waiting ${String(status.waiting).padStart(5)}`,
    `in flight ${String(status.in_flight).padStart(3)}`,
    `retrying ${String(status.retrying).padStart(3)}`,
    `oldest ${oldest.padStart(5)}`,
    `dead ${status.dead}`,
  ].join("  ");
  const width = Math.max(4, Math.min(24, columns - figures.length - 1));
  const failures = status.failures.map(({ handler, error_class, changes }) =>
    `  ${handler}: ${error_class} × ${changes}`
  );
  const deaths = Object.entries(status.deaths ?? {}).map(([error, count]) =>
    `  dead: ${error} × ${count}`
  );
  return [
    `${bar(Math.min(1, depthOf(status) / most), width)} ${figures}`,
    ...failures,
    ...deaths,
  ].join("\n");
}
