import { init } from "echarts";
import type { Course, Ratio } from "./benchmark.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

// An opaque white ground and dark text, readable on light and dark pages.
const GROUND = "#ffffff";
const TEXT = "#1f2328";
const FADED = "#59636e";
const FAINT = "#d1d9e0";
const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

/** A path of the shape that marks an aim, for the legend. */
const STROKE = "path://M6,0h2v12h-2z";

const WIDTH = 880;
const LABELS = 400;
const ROW = 44;
const TOP = 64;
const BOTTOM = 56;

interface Kind {
  readonly name: string;
  readonly color: string;
  /** Kinds differ in shape as well as in colour. */
  readonly symbol: string;
  readonly holds: (verdict: Verdict) => boolean;
}

const KINDS: readonly Kind[] = [
  { name: "aim met", color: "#0969da", symbol: "circle", holds: ({ met }) => met === true },
  { name: "aim missed", color: "#bc4c00", symbol: "diamond", holds: ({ met }) => met === false },
  { name: "no aim", color: "#6e7781", symbol: "rect", holds: ({ met }) => met === undefined },
];

/**
 * A plot of ratios as SVG: for each a line from the lowest to the highest, a mark at the median, and a
 * stroke at its aim. The same ratios give the same text.
 */
export function plot(title: string, ratios: readonly Ratio[]): string {
  const rows = ratios.map((ratio) => ({ ratio, verdict: verdictOf(ratio) }));
  const values = rows.flatMap(({ ratio, verdict }) => [
    verdict.least,
    verdict.most,
    ...(ratio.aim === undefined ? [] : [ratio.aim]),
  ]);
  const isWide = Math.max(...values) / Math.min(...values) > 12;
  const kinds = KINDS.filter(({ holds }) => rows.some(({ verdict }) => holds(verdict)));

  const chart = init(null, null, {
    renderer: "svg",
    ssr: true,
    width: WIDTH,
    height: TOP + BOTTOM + ROW * rows.length,
  });
  chart.setOption({
    animation: false,
    backgroundColor: GROUND,
    textStyle: { fontFamily: FONT, color: TEXT },
    title: { text: title, left: 16, top: 14, textStyle: { fontSize: 15, color: TEXT } },
    legend: {
      right: 16,
      top: 16,
      selectedMode: false,
      itemHeight: 10,
      itemWidth: 14,
      textStyle: { color: TEXT },
      itemGap: 24,
      data: [
        ...kinds.map(({ name }) => name),
        ...(rows.some(({ ratio }) => ratio.aim !== undefined)
          ? [{ name: "aim", icon: STROKE }]
          : []),
      ],
    },
    grid: { left: LABELS, right: 72, top: TOP, bottom: BOTTOM },
    xAxis: {
      type: isWide ? "log" : "value",
      min: isWide ? 10 ** Math.floor(Math.log10(Math.min(...values) * 0.99)) : 0,
      name: `ratio within one run: median, and lowest to highest${isWide ? " (logarithmic)" : ""}`,
      nameLocation: "middle",
      nameGap: 30,
      nameTextStyle: { color: TEXT },
      axisLabel: { color: TEXT },
      splitLine: { lineStyle: { color: FAINT } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows.map(({ ratio }) =>
        `{of|${ratio.case}: ${ratio.of}}\n{to|divided by ${ratio.to} (${ratio.better} is better)}`
      ),
      axisLabel: {
        margin: 12,
        rich: {
          of: { color: TEXT, fontSize: 12, lineHeight: 16, align: "right" },
          to: { color: FADED, fontSize: 12, lineHeight: 16, align: "right" },
        },
      },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: FAINT } },
    },
    series: [
      ...rows.map(({ verdict }, row) => ({
        type: "line" as const,
        data: [[verdict.least, row], [verdict.most, row]],
        symbol: "none",
        silent: true,
        lineStyle: { color: colorOf(verdict), width: 4, opacity: 0.35, cap: "round" as const },
      })),
      ...kinds.map(({ name, color, symbol, holds }) => ({
        name,
        type: "scatter" as const,
        symbol,
        symbolSize: 11,
        silent: true,
        itemStyle: { color, opacity: 1 },
        data: rows.flatMap(({ verdict }, row) => holds(verdict) ? [[verdict.median, row]] : []),
      })),
      {
        name: "aim",
        type: "scatter" as const,
        symbol: "rect",
        symbolSize: [2, 20],
        silent: true,
        itemStyle: { color: TEXT, opacity: 1 },
        data: rows.flatMap(({ ratio }, row) => ratio.aim === undefined ? [] : [[ratio.aim, row]]),
      },
      {
        // The median as a number, to the right of everything else in its row.
        type: "scatter" as const,
        symbolSize: 0,
        silent: true,
        data: rows.map(({ ratio, verdict }, row) => ({
          value: [Math.max(verdict.most, ratio.aim ?? 0), row],
          label: {
            show: true,
            position: "right" as const,
            distance: 10,
            color: TEXT,
            fontSize: 12,
            formatter: verdict.median.toFixed(2),
          },
        })),
      },
    ],
  });
  return svgOf(chart);
}

/** A plot of counts second by second, as SVG. The same course gives the same text. */
export function plotCourse({ title, unit, lines, mark }: Course): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: 320 });
  chart.setOption({
    animation: false,
    backgroundColor: GROUND,
    color: KINDS.map(({ color }) => color),
    textStyle: { fontFamily: FONT, color: TEXT },
    title: { text: title, left: 16, top: 14, textStyle: { fontSize: 15, color: TEXT } },
    legend: {
      right: 16,
      top: 16,
      selectedMode: false,
      itemGap: 24,
      textStyle: { color: TEXT },
      data: lines.map(({ name }) => name),
    },
    grid: { left: 80, right: 32, top: TOP, bottom: BOTTOM },
    xAxis: {
      type: "value",
      min: 0,
      max: Math.max(...lines.map(({ values }) => values.length)) - 1,
      name: "seconds",
      nameLocation: "middle",
      nameGap: 30,
      nameTextStyle: { color: TEXT },
      axisLabel: { color: TEXT },
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      name: unit,
      nameTextStyle: { color: TEXT, align: "left" },
      axisLabel: { color: TEXT },
      splitLine: { lineStyle: { color: FAINT } },
    },
    series: lines.map(({ name, values }, number) => ({
      name,
      type: "line" as const,
      step: "end" as const,
      symbol: "none",
      silent: true,
      data: values.map((value, second) => [second, value]),
      ...(number > 0 ? {} : {
        markLine: {
          symbol: "none",
          silent: true,
          lineStyle: { color: TEXT, type: "dashed" as const },
          label: { formatter: mark.text, color: TEXT, position: "end" as const },
          data: [{ xAxis: mark.second }],
        },
      }),
    })),
  });
  return svgOf(chart);
}

function svgOf(chart: ReturnType<typeof init>): string {
  const svg = chart.renderToSVGString();
  // Otherwise its animation would keep the process alive.
  chart.dispose();

  // Parts that only serve a live page, or that count the charts of the process.
  return svg
    .replace(/<style[^]*?<\/style>\n/, "")
    .replaceAll(/ (?:class|ecmeta_\w+)="[^"]*"/g, "")
    .replaceAll(/\bzr\d+-/g, "zr-") + "\n";
}

function colorOf(verdict: Verdict): string {
  return KINDS.find(({ holds }) => holds(verdict))?.color ?? FAINT;
}
