import type { Benchmark } from "./benchmark.ts";

/** All benchmarks, in the order of the report. */
export const BENCHMARKS: readonly Benchmark[] = [];
