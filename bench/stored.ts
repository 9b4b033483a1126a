import type { Benchmark, Result } from "./benchmark.ts";
import type { Machine } from "./machine.ts";

/** The stored figures of one benchmark. */
export interface Stored {
  readonly name: string;
  readonly machine: Machine;
  /** The day of the measurement, UTC. */
  readonly date: string;
  readonly command: string;
  /** Number of runs. */
  readonly runs: number;
  readonly result: Result;
}

/** Where results and their report are stored. */
export interface Place {
  readonly results: URL;
  /** The report; its plots are in a folder of the same name. */
  readonly report: URL;
}

export async function store({ results }: Place, stored: Stored): Promise<void> {
  await Deno.mkdir(results, { recursive: true });
  await Deno.writeTextFile(
    new URL(`${stored.name}.json`, results),
    JSON.stringify(stored, null, 2) + "\n",
  );
}

/** The figures of the benchmarks that have been measured, in the given order. */
export async function readStored(
  { results }: Place,
  benchmarks: readonly Benchmark[],
): Promise<Stored[]> {
  const found: Stored[] = [];
  for (const { name } of benchmarks) {
    const text = await Deno.readTextFile(new URL(`${name}.json`, results)).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    if (text !== undefined) found.push(JSON.parse(text) as Stored);
  }
  return found;
}
