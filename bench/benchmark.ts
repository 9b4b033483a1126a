/**
 * A benchmark is a file that exports one of these, and a line in `benchmarks.ts`.
 *
 * Claims are ratios within one run. A run measures all sides alternately, on the same machine in the
 * same minute, and gives one ratio per pair; several runs give a median and a spread. Absolute numbers
 * are kept as context.
 */
export interface Benchmark {
  /** Name of the file, the results and the plot, and argument of `deno task bench`: `whole_path`. */
  readonly name: string;
  readonly title: string;
  /** The question that the figures answer, with a question mark. */
  readonly question: string;
  /** What is compared with what, and how it is measured: a few sentences of Markdown. */
  readonly method: string;
  /** Number of runs, unless `--runs` says otherwise; `--quick` makes two. */
  readonly runs: number;
  /** Takes at most about 3 minutes, or 15 s when quick. Cleans up after itself. */
  run(context: Context): Promise<Result>;
  /**
   * What the figures mean and, if an aim is missed, why, with the evidence: paragraphs of Markdown.
   * Called for the report, so that the text matches the stored figures.
   */
  explain(result: Result): readonly string[];
}

export interface Context {
  /** Number of runs, and so of the samples of every measure and every ratio. */
  readonly runs: number;
  /** Use fewer rows, requests and seconds: the figures need not be good. */
  readonly quick: boolean;
  /** Reports on standard error what is being done. */
  progress(text: string): void;
}

/** Plain JSON, stored as it is. */
export interface Result {
  /** The claims, in the order of the table and the plot. */
  readonly ratios: readonly Ratio[];
  /** Absolute numbers: context. */
  readonly measures: readonly Measure[];
  /** Counts rather than times, such as what a handler loses. */
  readonly tables?: readonly Table[];
  /** Counts over the course of a run, drawn as a plot of its own. */
  readonly course?: Course;
}

/** Counts second by second. */
export interface Course {
  readonly title: string;
  readonly unit: string;
  /** One value per second, the same number in each line. */
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** A moment to label in the plot. */
  readonly mark: { readonly second: number; readonly text: string };
}

/** One side divided by another, within each run. */
export interface Ratio {
  /** The circumstances: `3 kB`, `8 connections`. */
  readonly case: string;
  /** The numerator and its unit: `ingest, events/s`. */
  readonly of: string;
  /** The denominator: `bare upsert`. */
  readonly to: string;
  /** One per run. */
  readonly samples: readonly number[];
  readonly better: "higher" | "lower";
  /** The median is compared with it. Absent for a ratio that is shown without an aim. */
  readonly aim?: number;
}

export interface Measure {
  readonly case: string;
  readonly side: string;
  /** `µs CPU`, `requests/s`, `ms p95`. */
  readonly unit: string;
  /** One per run. */
  readonly samples: readonly number[];
}

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}
