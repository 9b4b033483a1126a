import type { Ratio } from "./benchmark.ts";
import { median } from "./statistics.ts";

/** The verdict of several runs on one ratio, rounded to two decimals before it is compared with the aim. */
export interface Verdict {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** Undefined without an aim. */
  readonly met?: boolean;
}

export function verdictOf({ samples, better, aim }: Ratio): Verdict {
  const middle = twoDecimals(median(samples));
  return {
    median: middle,
    least: twoDecimals(Math.min(...samples)),
    most: twoDecimals(Math.max(...samples)),
    ...(aim === undefined ? {} : { met: better === "higher" ? middle >= aim : middle <= aim }),
  };
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100;
}
