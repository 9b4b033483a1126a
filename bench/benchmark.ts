/**
 * What every benchmark is: one file that exports one of these, and a line in `benchmarks.ts`.
 *
 * Claims are ratios within one run. A run measures all sides, alternating, on the same machine in
 * the same minute; it gives one ratio a pair; several runs give a median and a spread. Absolute
 * numbers are kept beside them as context.
 */
export interface Benchmark {
  /** Names the file, the results, the plot and the argument of `deno task bench`: `whole_path`. */
  readonly name: string;
  readonly title: string;
  /** What the figures answer, a sentence with a question mark. */
  readonly question: string;
  /** What is compared with what, and how it is measured: a few sentences of Markdown. */
  readonly method: string;
  /** How often it is run unless `--runs` says otherwise; `--quick` runs twice. */
  readonly runs: number;
  /** Takes at most about 2 minutes, or 15 s when quick. Cleans up after itself. */
  run(context: Context): Promise<Result>;
  /**
   * What the figures mean and, where an aim is missed, why, with the evidence: paragraphs of
   * Markdown. Called for the report, so that the words follow the stored figures.
   */
  explain(result: Result): readonly string[];
}

export interface Context {
  /** How many runs: as many samples has every measure and every ratio. */
  readonly runs: number;
  /** Make do with fewer rows, requests and seconds: the figures need not be good. */
  readonly quick: boolean;
  /** Says on standard error what is being done. */
  progress(text: string): void;
}

/** Plain JSON, stored as it is. */
export interface Result {
  /** The claims, in the order of the table and the plot. */
  readonly ratios: readonly Ratio[];
  /** Absolute numbers: context. */
  readonly measures: readonly Measure[];
  /** What is counted and not timed, such as what a handler loses. */
  readonly tables?: readonly Table[];
  /** What went on in the course of a run: a plot of its own. */
  readonly course?: Course;
}

/** Counts second by second. */
export interface Course {
  readonly title: string;
  readonly unit: string;
  /** The same number of values each, one a second. */
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** A moment worth a word. */
  readonly mark: { readonly second: number; readonly text: string };
}

/** One side divided by another, within each run. */
export interface Ratio {
  /** Under which circumstances: `3 kB`, `8 connections`. */
  readonly case: string;
  /** What is divided: `ingest, events/s`. */
  readonly of: string;
  /** By what: `bare upsert`. */
  readonly to: string;
  /** One a run. */
  readonly samples: readonly number[];
  /** Absent for what is shown but not aimed at. The median is held against it. */
  readonly aim?: Aim;
}

export type Aim = { readonly atMost: number } | { readonly atLeast: number };

export interface Measure {
  readonly case: string;
  readonly side: string;
  /** `µs CPU`, `requests/s`, `ms p95`. */
  readonly unit: string;
  /** One a run. */
  readonly samples: readonly number[];
}

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}
