import {
  apiKey,
  ConfigurationError,
  projectUrl,
  type Read,
} from "../_shared/clerk_sync/configuration.ts";
import type { Log } from "../_shared/clerk_sync/log.ts";
import { connect } from "../_shared/clerk_sync/supabase.ts";
import { createQueue } from "./drain/queue.ts";
import { SETTINGS, type WorkerDeps } from "./drain/worker.ts";
import { createHandlers } from "./handlers/mod.ts";

/**
 * Makes the worker from an environment.
 *
 * @throws {ConfigurationError} when a variable is missing or malformed
 */
export function configureWorker(read: Read, log: Log): WorkerDeps {
  const supabase = connect(projectUrl(read), apiKey("clerk_worker", read, log));
  return {
    queue: createQueue(supabase),
    handlers: createHandlers(read, supabase, log),
    log,
    settings: { ...SETTINGS, maxReads: maxReads(read) },
  };
}

function maxReads(read: Read): number {
  const number = Number(read("CLERK_WORKER_MAX_READS") || SETTINGS.maxReads);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new ConfigurationError(
    "Cannot start as CLERK_WORKER_MAX_READS is not a whole number above 0",
  );
}
