import { atLeastOne, flags, runCommand, UsageError } from "../cli/usage.ts";
import type { Benchmark } from "./benchmark.ts";
import { BENCHMARKS } from "./benchmarks.ts";
import { thisMachine } from "./machine.ts";
import { ratiosOf, reportOn, write } from "./report.ts";
import { type Place, readStored, store } from "./stored.ts";

const NAMES = BENCHMARKS.map(({ name }) => name).join(", ");

const HELP = `Runs one benchmark after another and writes the report.

  deno task bench                 all benchmarks, then docs/benchmarks.md and its plots
  deno task bench work reads      only these; the report keeps the stored figures of the others
  deno task bench --report        only the report, from the figures in bench/results

  --quick     two short runs each, into .local/bench: shows that it works; the figures mean little
  --runs N    N runs of each

  Benchmarks: ${NAMES}
`;

const ROOT = new URL("../", import.meta.url);

/** The committed results and report. */
const KEPT: Place = {
  results: new URL("bench/results/", ROOT),
  report: new URL("docs/benchmarks.md", ROOT),
};

/** The results and report of `--quick`. */
const QUICK: Place = {
  results: new URL(".local/bench/results/", ROOT),
  report: new URL(".local/bench/benchmarks.md", ROOT),
};

interface Options {
  readonly benchmarks: readonly Benchmark[];
  readonly quick: boolean;
  readonly runs: number | undefined;
  readonly onlyReport: boolean;
}

if (import.meta.main) await runCommand(bench, HELP);

async function bench(args: readonly string[]): Promise<number> {
  const options = parse(args);
  const place = options.quick ? QUICK : KEPT;
  if (!options.onlyReport) {
    for (const benchmark of options.benchmarks) await measure(benchmark, place, options, args);
  }
  await writeReport(place);
  return 0;
}

async function measure(
  benchmark: Benchmark,
  place: Place,
  { quick, runs: wanted }: Options,
  args: readonly string[],
): Promise<void> {
  const { name, title } = benchmark;
  const runs = wanted ?? (quick ? 2 : benchmark.runs);
  const progress = (text: string): void => console.error(`${name}: ${text}`);
  const started = performance.now();

  const result = await benchmark.run({ runs, quick, progress });

  progress(`took ${Math.round((performance.now() - started) / 1000)} s`);
  console.log(`\n${title}\n\n${ratiosOf(result)}\n`);
  await store(place, {
    name,
    machine: await thisMachine(),
    date: new Date().toISOString().slice(0, 10),
    command: ["deno task bench", ...args].join(" "),
    runs,
    result,
  });
}

async function writeReport(place: Place): Promise<void> {
  const stored = await readStored(place, BENCHMARKS);
  const measured = BENCHMARKS.flatMap((benchmark) =>
    stored.filter(({ name }) => name === benchmark.name).map((stored) => ({ benchmark, stored }))
  );
  await write(place, reportOn(measured));
}

/** @throws {UsageError} */
function parse(args: readonly string[]): Options {
  const { values, positionals } = flags(args, {
    quick: { type: "boolean", default: false },
    runs: { type: "string" },
    report: { type: "boolean", default: false },
  }, { allowPositionals: true });

  const unknown = positionals.find((word) => !BENCHMARKS.some(({ name }) => name === word));
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run ${unknown} as there are only ${NAMES}`);
  }
  return {
    benchmarks: BENCHMARKS.filter(({ name }) =>
      positionals.length === 0 || positionals.includes(name)
    ),
    quick: values.quick,
    runs: values.runs === undefined ? undefined : atLeastOne("runs", values.runs),
    onlyReport: values.report,
  };
}
