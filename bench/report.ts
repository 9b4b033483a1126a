import type { Aim, Benchmark, Measure, Result, Table } from "./benchmark.ts";
import type { Machine } from "./machine.ts";
import { plot, plotCourse } from "./plot.ts";
import { median } from "./statistics.ts";
import type { Place, Stored } from "./stored.ts";
import { verdictOf } from "./verdict.ts";

/** A report in Markdown, and its plots by file name. */
export interface Report {
  readonly markdown: string;
  readonly plots: ReadonlyMap<string, string>;
}

const HEAD = `# Benchmarks

Made by \`deno task bench\` from the figures in [bench/results](../bench/results); not written by
hand. \`deno task bench --report\` makes it anew without measuring.

Every claim is a ratio within one run: all sides are measured alternately, on the same machine, in
the same minute. A ratio is stated as the median of several runs, with the least and the most of
them. It is rounded to two decimals and so held against its aim. Absolute numbers stand beside the
ratios as context; another machine has others.
`;

/** Says in Markdown and in plots what the figures are. The same figures give the same report. */
export function reportOn(
  measured: readonly { benchmark: Benchmark; stored: Stored }[],
  folder = "benchmarks",
): Report {
  const sections = measured.map(({ benchmark, stored }) => {
    const { name, title, question, method } = benchmark;
    const { ratios, course } = stored.result;
    return [
      `## ${title}`,
      question,
      method,
      ratios.length > 0 ? `![Ratios: ${title}](${folder}/${name}.svg)` : "",
      course === undefined ? "" : `![${course.title}](${folder}/${name}_course.svg)`,
      ratios.length > 0 ? ratiosOf(stored.result) : "",
      ...benchmark.explain(stored.result),
      ...(stored.result.tables ?? []).map(tableOf),
      measuresOf(stored.result.measures),
      `Measured on ${stored.date} with \`${stored.command}\`, ${stored.runs} runs, on ${
        machineOf(stored.machine)
      }.`,
    ].filter((part) => part !== "").join("\n\n");
  });

  return {
    markdown: [HEAD + "\n" + summaryOf(measured), ...sections].join("\n\n") + "\n",
    plots: new Map(measured.flatMap(({ benchmark: { name, title }, stored: { result } }) => [
      ...(result.ratios.length > 0 ? [[`${name}.svg`, plot(title, result.ratios)] as const] : []),
      ...(result.course === undefined
        ? []
        : [[`${name}_course.svg`, plotCourse(result.course)] as const]),
    ])),
  };
}

/** Writes the report and its plots, and takes plots away that it has not. */
export async function write({ report }: Place, { markdown, plots }: Report): Promise<void> {
  const folder = plotsOf(report);
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    if (!plots.has(name)) await Deno.remove(new URL(name, folder));
  }
  for (const [name, svg] of plots) await Deno.writeTextFile(new URL(name, folder), svg);
  await Deno.writeTextFile(report, markdown);
}

/** The folder of a report's plots: `docs/benchmarks/` for `docs/benchmarks.md`. */
export function plotsOf(report: URL): URL {
  return new URL(report.href.replace(/\.md$/, "/"));
}

/** One line a ratio that has an aim. */
function summaryOf(measured: readonly { benchmark: Benchmark; stored: Stored }[]): string {
  const rows = measured.flatMap(({ benchmark, stored }) =>
    stored.result.ratios.filter(({ aim }) => aim !== undefined).map((ratio) => {
      const verdict = verdictOf(ratio);
      return [
        `[${benchmark.title}](#${anchorOf(benchmark.title)})`,
        `${ratio.case}: ${ratio.of} / ${ratio.to}`,
        wordsOf(ratio.aim),
        verdict.median.toFixed(2),
        verdict.met === true ? "met" : "**missed**",
      ];
    })
  );
  return markdownTable(["benchmark", "ratio", "aim", "median", ""], rows);
}

/** A table of the ratios, for the report and for the terminal. */
export function ratiosOf({ ratios }: Result): string {
  return markdownTable(
    ["case", "ratio", "aim", "median", "least – most", ""],
    ratios.map((ratio) => {
      const { median, least, most, met } = verdictOf(ratio);
      return [
        ratio.case,
        `${ratio.of} / ${ratio.to}`,
        wordsOf(ratio.aim),
        median.toFixed(2),
        `${least.toFixed(2)} – ${most.toFixed(2)}`,
        met === undefined ? "" : met ? "met" : "**missed**",
      ];
    }),
  );
}

function measuresOf(measures: readonly Measure[]): string {
  if (measures.length === 0) return "";
  const table = markdownTable(
    ["case", "side", "unit", "median", "least – most"],
    measures.map(({ case: circumstances, side, unit, samples }) => [
      circumstances,
      side,
      unit,
      figure(median(samples)),
      `${figure(Math.min(...samples))} – ${figure(Math.max(...samples))}`,
    ]),
  );
  return `<details>\n<summary>Absolute numbers of this machine</summary>\n\n${table}\n\n</details>`;
}

function tableOf({ title, head, rows }: Table): string {
  return `${title}\n\n${markdownTable(head, rows.map((row) => row.map(String)))}`;
}

function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}

function wordsOf(aim: Aim | undefined): string {
  if (aim === undefined) return "";
  return "atMost" in aim ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`;
}

/** Three significant digits, no exponent. */
function figure(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 3 });
}

/** GitHub's anchor of a heading. */
function anchorOf(title: string): string {
  return title.toLowerCase().replace(/[^\p{L}\p{N} -]/gu, "").replaceAll(" ", "-");
}

function machineOf({ cpu, cores, memoryGiB, kernel, deno, postgres }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, Deno ${deno}, Postgres ${postgres}`;
}
