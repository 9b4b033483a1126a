import type { SupabaseClient } from "@supabase/supabase-js";
import {
  apiKey,
  ConfigurationError,
  projectUrl,
  type Read,
  required,
  wholeNumber,
} from "../_shared/clerk_sync/configuration.ts";
import type { Log } from "../_shared/clerk_sync/log.ts";
import { connect } from "../_shared/clerk_sync/supabase.ts";
import { createQueue } from "./drain/queue.ts";
import { SETTINGS, type WorkerDeps } from "./drain/worker.ts";
import { createHandlers } from "./handlers/mod.ts";
import { clerkFrom } from "./reconcile/clerk_api.ts";
import { createSnapshots } from "./reconcile/snapshots.ts";
import { SLICE, type SliceDeps } from "./reconcile/slice.ts";

/** What the function does, but for its secret. */
export interface Configured {
  readonly worker: WorkerDeps;
  /** Undefined without `CLERK_SECRET_KEY`. */
  readonly reconciling: SliceDeps | undefined;
  readonly supabase: SupabaseClient;
}

/**
 * Makes the function's parts from an environment.
 *
 * @throws {ConfigurationError} when a variable is missing or malformed
 */
export function configure(read: Read, log: Log): Configured {
  const supabase = connect(projectUrl(read), apiKey("clerk_worker", read, log));
  const clerk = clerkFrom(read);
  return {
    supabase,
    worker: {
      queue: createQueue(supabase),
      handlers: createHandlers(read, supabase, log),
      log,
      settings: {
        ...SETTINGS,
        maxReads: wholeNumber(
          "CLERK_WORKER_MAX_READS",
          read("CLERK_WORKER_MAX_READS"),
          SETTINGS.maxReads,
        ),
      },
    },
    reconciling: clerk && { clerk, snapshots: createSnapshots(supabase), log, settings: SLICE },
  };
}

/**
 * The secret that callers of the worker must present, `CLERK_WORKER_SECRET`.
 *
 * @throws {ConfigurationError} when it is missing or too short
 */
export function workerSecret(read: Read): string {
  const hint =
    "make one with `openssl rand -hex 32`, and set it in the Vault as clerk_worker_secret";
  const secret = required("CLERK_WORKER_SECRET", read, hint);
  if (new TextEncoder().encode(secret).length >= 16) return secret;
  throw new ConfigurationError(
    `Cannot start as CLERK_WORKER_SECRET is too short: it takes at least 16 bytes; ${hint}`,
  );
}
