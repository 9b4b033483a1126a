import type { Benchmark, Result } from "./benchmark.ts";
import type { Machine } from "./machine.ts";

/** One benchmark's figures as they are kept. */
export interface Stored {
  readonly name: string;
  readonly machine: Machine;
  /** When it was measured: a day, UTC. */
  readonly date: string;
  readonly command: string;
  /** How many runs. */
  readonly runs: number;
  readonly result: Result;
}

/** Where results and their report lie. */
export interface Place {
  readonly results: URL;
  /** The report; its plots lie in a folder of the same name. */
  readonly report: URL;
}

export async function store({ results }: Place, stored: Stored): Promise<void> {
  await Deno.mkdir(results, { recursive: true });
  await Deno.writeTextFile(
    new URL(`${stored.name}.json`, results),
    JSON.stringify(stored, null, 2) + "\n",
  );
}

/** The figures of those benchmarks that have been measured, in the order given. */
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
