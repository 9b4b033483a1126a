import {
  apiKey,
  ConfigurationError,
  projectUrl,
  type Read,
  required,
  urlOf,
  wholeNumber,
} from "../_shared/clerk_sync/configuration.ts";
import type { Log } from "../_shared/clerk_sync/log.ts";
import { connect } from "../_shared/clerk_sync/supabase.ts";
import { createQueue } from "./drain/queue.ts";
import { SETTINGS, type WorkerDeps } from "./drain/worker.ts";
import { createHandlers } from "./handlers/mod.ts";
import { createSnapshots } from "./reconcile/snapshots.ts";
import { SLICE, type SliceDeps } from "./reconcile/slice.ts";

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
    settings: {
      ...SETTINGS,
      maxReads: wholeNumber(
        "CLERK_WORKER_MAX_READS",
        read("CLERK_WORKER_MAX_READS"),
        SETTINGS.maxReads,
      ),
    },
  };
}

/**
 * Makes what reconciles from an environment; undefined without `CLERK_SECRET_KEY`.
 *
 * @throws {ConfigurationError} when a variable is malformed
 */
export function configureReconcile(read: Read, log: Log): SliceDeps | undefined {
  const secretKey = read("CLERK_SECRET_KEY")?.trim();
  if (!secretKey) return undefined;
  const apiUrl = read("CLERK_API_URL")?.trim() || undefined;
  if (apiUrl !== undefined) urlOf("CLERK_API_URL", apiUrl, "http:", "https:");
  return {
    clerk: { secretKey, apiUrl },
    snapshots: createSnapshots(connect(projectUrl(read), apiKey("clerk_worker", read, () => {}))),
    log,
    settings: SLICE,
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
