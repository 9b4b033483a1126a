import { backfill } from "./backfill.ts";
import type { Benchmark } from "./benchmark.ts";
import { coldStart } from "./cold_start.ts";
import { growth } from "./growth.ts";
import { ingest } from "./ingest.ts";
import { outage } from "./outage.ts";
import { reads } from "./reads.ts";
import { storage } from "./storage.ts";
import { wholePath } from "./whole_path.ts";
import { work } from "./work.ts";

/** All benchmarks, in the order of the report. */
export const BENCHMARKS: readonly Benchmark[] = [
  work,
  coldStart,
  ingest,
  growth,
  wholePath,
  backfill,
  outage,
  reads,
  storage,
];
