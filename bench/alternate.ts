import { cpuUsage } from "node:process";
import { quantile } from "./statistics.ts";

/** The cost of one call, µs: the lower quartile of its batches. */
export interface Cost {
  readonly wall: number;
  /** Of all threads of this process, including garbage collection. */
  readonly cpu: number;
}

/** Duration of one batch, ms: long enough for the clock, short enough to alternate often. */
const BATCH_MS = 4;
const WARM_UP_MS = 200;

/**
 * Runs the sides in turn, a batch each, round after round, so that other work on the machine affects
 * all of them alike.
 *
 * @returns the costs in the order of the sides
 */
export async function alternate(
  sides: readonly (() => unknown)[],
  rounds: number,
): Promise<Cost[]> {
  const runners = [];
  for (const side of sides) {
    runners.push({
      side,
      times: await callsPerBatch(side),
      wall: [] as number[],
      cpu: [] as number[],
    });
  }

  for (let round = 0; round < rounds; round++) {
    for (const { side, times, wall, cpu } of runners) {
      const cpuBefore = cpuUsage();
      const before = performance.now();
      for (let call = 0; call < times; call++) {
        const pending = side();
        if (pending instanceof Promise) await pending;
      }
      wall.push((performance.now() - before) * 1000 / times);
      const { user, system } = cpuUsage(cpuBefore);
      cpu.push((user + system) / times);
    }
  }
  return runners.map(({ wall, cpu }) => ({ wall: quantile(wall, 0.25), cpu: quantile(cpu, 0.25) }));
}

/** The number of calls that fill a batch once the code is warm. */
async function callsPerBatch(side: () => unknown): Promise<number> {
  await callsWithin(side, WARM_UP_MS);
  return Math.max(1, Math.round(await callsWithin(side, 5 * BATCH_MS) / 5));
}

async function callsWithin(side: () => unknown, milliseconds: number): Promise<number> {
  const until = performance.now() + milliseconds;
  let calls = 0;
  for (; performance.now() < until; calls++) await side();
  return calls;
}
