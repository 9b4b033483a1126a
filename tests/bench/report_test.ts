import { assertEquals, assertLessOrEqual, assertStringIncludes, assertThrows } from "@std/assert";
import type { Benchmark, Ratio } from "../../bench/benchmark.ts";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { plot } from "../../bench/plot.ts";
import { plotsOf, reportOn, write } from "../../bench/report.ts";
import { median, quantile } from "../../bench/statistics.ts";
import { type Place, readStored, store, type Stored } from "../../bench/stored.ts";
import { verdictOf } from "../../bench/verdict.ts";
import { pathToFileURL } from "node:url";

const ROOT = new URL("../../", import.meta.url);

const RATIO: Ratio = {
  case: "3 kB",
  of: "ours",
  to: "theirs",
  samples: [1.3, 1.1, 1.2],
  better: "lower",
  aim: 1.2,
};

const TOY: Benchmark = {
  name: "toy",
  title: "Toys, and what they cost",
  question: "What do toys cost?",
  method: "They are counted.",
  runs: 3,
  run: () => Promise.reject(new Error("not measured here")),
  explain: ({ ratios }) => [`There are ${ratios.length} ratios.`],
};

function stored(...ratios: Ratio[]): Stored {
  return {
    name: "toy",
    machine: {
      cpu: "Abacus 9",
      cores: 2,
      memoryGiB: 24,
      kernel: "linux 6",
      deno: "2.9.6",
      postgres: "17.10",
    },
    date: "2026-11-24",
    command: "deno task bench toy",
    runs: 3,
    result: {
      ratios,
      measures: [{ case: "3 kB", side: "ours", unit: "ms", samples: [12345.678, 2, 0.00123] }],
      tables: [{ title: "Lost:", head: ["toy", "lost"], rows: [["bear", 3]] }],
    },
  };
}

/** The committed figures. */
const KEPT: Place = {
  results: new URL("bench/results/", ROOT),
  report: new URL("docs/benchmarks.md", ROOT),
};

async function measured(): Promise<{ benchmark: Benchmark; stored: Stored }[]> {
  return (await readStored(KEPT, BENCHMARKS)).flatMap((stored) =>
    BENCHMARKS.filter(({ name }) => name === stored.name)
      .map((benchmark) => ({ benchmark, stored }))
  );
}

Deno.test("docs/benchmarks.md and its plots say what bench/results holds", async () => {
  const kept = await measured();

  const { markdown, plots } = reportOn(kept);

  assertEquals(kept.map(({ stored }) => stored.name), BENCHMARKS.map(({ name }) => name));
  assertEquals(await Deno.readTextFile(KEPT.report), markdown);
  for (const [name, svg] of plots) {
    assertEquals(await Deno.readTextFile(new URL(name, plotsOf(KEPT.report))), svg);
  }
});

Deno.test("a report holds the median against the aim, and names machine, date and command", () => {
  const missed = { ...RATIO, case: "30 kB", better: "higher", aim: 1.21 } as const;
  const { markdown } = reportOn([{ benchmark: TOY, stored: stored(RATIO, missed) }]);

  for (
    const part of [
      "| [Toys, and what they cost](#toys-and-what-they-cost) | 3 kB: ours / theirs | ≤ 1.2 | 1.20 | met |",
      "| 30 kB | ours / theirs | ≥ 1.21 | 1.20 | 1.10 – 1.30 | **missed** |",
      "| 3 kB | ours | ms | 2 | 0.001 – 12,300 |",
      "Lost:\n\n| toy | lost |\n| --- | --- |\n| bear | 3 |",
      "There are 2 ratios.",
      "Measured on 2026-11-24 with `deno task bench toy`, 3 runs, on Abacus 9, 2 cores, 24 GiB, " +
      "linux 6, Deno 2.9.6, Postgres 17.10.",
    ]
  ) {
    assertStringIncludes(markdown, part);
  }
});

Deno.test("a plot is the same text each time, and shows every ratio, both its sides, which way is better, its median and its aim", () => {
  const ratios = [RATIO, { case: "x", of: "a", to: "b", better: "higher", samples: [40] } as const];

  const svg = plot("Toys", ratios);

  assertEquals(plot("Toys", ratios), svg);
  for (
    const text of [
      ">Toys<",
      ">3 kB: ours<",
      ">divided by theirs (lower is better)<",
      ">x: a<",
      ">divided by b (higher is better)<",
      ">1.20<",
      ">40.00<",
      ">aim met<",
    ]
  ) {
    assertStringIncludes(svg, text);
  }
});

Deno.test("the labels of the committed plots are not longer than their space", async () => {
  for (const { stored } of await measured()) {
    for (const { case: circumstances, of } of stored.result.ratios) {
      // 372 px at about 6 px a character.
      assertLessOrEqual(`${circumstances}: ${of}`.length, 62);
    }
  }
});

Deno.test("a written report replaces the old one, plots that are no more included", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const base = pathToFileURL(`${folder}/`);
    const place = { results: new URL("results/", base), report: new URL("toys.md", base) };
    await Deno.mkdir(plotsOf(place.report));
    await Deno.writeTextFile(new URL("toys/old.svg", base), "old");
    const toy = stored(RATIO);

    await store(place, toy);
    const [found = toy] = await readStored(place, [TOY]);
    await write(place, reportOn([{ benchmark: TOY, stored: found }]));

    assertEquals(found, toy);
    assertEquals([...Deno.readDirSync(new URL("toys/", base))].map(({ name }) => name), [
      "toy.svg",
    ]);
    assertStringIncludes(await Deno.readTextFile(place.report), "# Benchmarks");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("verdictOf() holds the median, to two decimals, against the aim", () => {
  const { aim: _, ...aimless } = RATIO;

  assertEquals(verdictOf(RATIO), { median: 1.2, least: 1.1, most: 1.3, met: true });
  assertEquals(verdictOf({ ...RATIO, samples: [1.204] }).met, true);
  assertEquals(verdictOf({ ...RATIO, samples: [1.206] }).met, false);
  assertEquals(verdictOf({ ...RATIO, better: "higher", aim: 1.21 }).met, false);
  assertEquals(verdictOf(aimless).met, undefined);
});

Deno.test("quantile() lies between neighbours in proportion", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1]), 2.5);
  assertEquals(quantile([0, 10, 20, 30, 40], 0.95), 38);
  assertThrows(() => median([]), RangeError);
});
