import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../words.ts";

export interface Series {
  readonly name: string;
  /** The name of a custom property of the stylesheet. */
  readonly colour: string;
  readonly dash?: readonly number[];
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  /** What the chart shows, for those who cannot see it. */
  readonly label: string;
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly kind: "bars" | "lines";
  readonly format: (value: number) => string;
  /** In place of the chart, when there is nothing to draw. */
  readonly empty: ComponentChildren;
}

const HEIGHT = 180;
/** Steps of an axis that counts. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

/** A chart over time with a legend that follows the pointer, and the same numbers as a table. */
export function Chart({ label, times, series, kind, format, empty }: ChartProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const shape = `${kind} ${series.map(({ name }) => name).join()}`;
  const isEmpty = series.every(({ values }) =>
    values.every((value) => value === null || value === 0)
  );

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(
        optionsFor(series, kind, format, element.clientWidth, setAt),
        dataOf(times, series, kind),
        element,
      );
    };
    draw();
    const watching = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    watching.observe(element);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      watching.disconnect();
      theme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, isEmpty]);

  useEffect(() => plot.current?.setData(dataOf(times, series, kind)), [times, series]);

  if (isEmpty) return <>{empty}</>;
  const time = at === null ? undefined : times[at];
  return (
    <figure aria-label={label}>
      <ul class="legend">
        {series.map(({ name, colour, dash = [], values }) => (
          <li key={name}>
            <svg width="14" height="10" aria-hidden="true">
              {kind === "bars"
                ? <rect width="10" height="10" x="2" rx="2" fill={`var(${colour})`} />
                : (
                  <line
                    x2="14"
                    y1="5"
                    y2="5"
                    stroke={`var(${colour})`}
                    stroke-width="2"
                    stroke-dasharray={dash.join(" ")}
                  />
                )}
            </svg>
            {name}
            {at !== null && <span class="number">{shown(values[at], format)}</span>}
          </li>
        ))}
        {time !== undefined && <li class="muted number">{clock(new Date(time * 1000), false)}</li>}
      </ul>
      <div
        class="chart"
        ref={place}
        role="img"
        aria-label={`${label}. The table below has the numbers.`}
      />
      <details>
        <summary>Numbers as a table</summary>
        <div class="table-wrap" tabIndex={0} role="region" aria-label={`${label}: numbers`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {series.map(({ name }) => <th key={name} scope="col" class="number">{name}</th>)}
              </tr>
            </thead>
            <tbody>
              {times.map((seconds, index) => ({ seconds, index }))
                .filter(({ index }) => series.some(({ values }) => values[index]))
                .reverse()
                .map(({ seconds, index }) => (
                  <tr key={seconds}>
                    <th scope="row" class="number">{clock(new Date(seconds * 1000), false)}</th>
                    {series.map(({ name, values }) => (
                      <td key={name} class="number">{shown(values[index], format)}</td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function shown(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

/** Bars stand on one another: each series is drawn up to its sum with those below it. */
function dataOf(
  times: readonly number[],
  series: readonly Series[],
  kind: ChartProps["kind"],
): uPlot.AlignedData {
  if (kind === "lines") return [[...times], ...series.map(({ values }) => [...values])];
  const sums = times.map(() => 0);
  const stacked = series.map(({ values }) =>
    values.map((value, index) => sums[index] = (sums[index] ?? 0) + (value ?? 0))
  );
  return [[...times], ...stacked.reverse()];
}

/** Which points have none beside them. */
function lonely({ data }: uPlot, index: number): number[] {
  const values = data[index] ?? [];
  const has = (at: number): boolean => typeof values[at] === "number";
  return [...values.keys()].filter((at) => has(at) && !has(at - 1) && !has(at + 1));
}

function optionsFor(
  series: readonly Series[],
  kind: ChartProps["kind"],
  format: (value: number) => string,
  width: number,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const styles = getComputedStyle(document.documentElement);
  // A canvas does not know light-dark(): an element tells what it comes to.
  const probe = document.body.appendChild(document.createElement("i"));
  const colour = (property: string): string => {
    probe.style.color = `var(${property})`;
    return getComputedStyle(probe).color;
  };
  const drawn = kind === "bars" ? [...series].reverse() : series;
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${styles.fontFamily}`,
  };
  const bars = uPlot.paths.bars?.({ size: [0.7, 12], gap: 1 });
  const options: uPlot.Options = {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { show: kind === "lines" }, drag: { x: false, y: false } },
    padding: [8, 8, 0, 0],
    scales: {
      // Half a minute on either side, so that no bar is cut.
      ...(kind === "bars" ? { x: { range: (_, min, max) => [min - 30, max + 30] } } : {}),
      y: { range: (_, _min, max) => [0, Math.max(max * 1.1, 1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        values: (_, splits) => splits.map((each) => clock(new Date(each * 1000), false)),
      },
      {
        ...axis,
        size: kind === "bars" ? 34 : 56,
        space: 36,
        ...(kind === "bars" ? { incrs: WHOLE } : {}),
        values: (_, splits) => splits.map(format),
      },
    ],
    series: [
      {},
      ...drawn.map(({ name, colour: property, dash }): uPlot.Series => ({
        label: name,
        ...(kind === "bars"
          ? {
            fill: colour(property),
            width: 0,
            points: { show: false },
            ...(bars === undefined ? {} : { paths: bars }),
          }
          : {
            stroke: colour(property),
            width: 2,
            ...(dash === undefined ? {} : { dash: [...dash] }),
            // A point without neighbours would have no line, and be invisible.
            points: { size: 6, fill: colour(property), filter: lonely },
          }),
      })),
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
  probe.remove();
  return options;
}
