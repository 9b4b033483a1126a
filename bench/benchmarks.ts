import type { Benchmark } from "./benchmark.ts";
import { wholePath } from "./whole_path.ts";
import { work } from "./work.ts";

/** All benchmarks, in the order of the report. */
export const BENCHMARKS: readonly Benchmark[] = [work, wholePath];
