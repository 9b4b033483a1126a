import { log } from "../_shared/clerk_sync/log.ts";
import { configure, workerSecret } from "./configure.ts";
import { drain } from "./drain/worker.ts";
import { createHandler } from "./http.ts";
import { createClerkApi } from "./reconcile/clerk_api.ts";
import { reconcile } from "./reconcile/slice.ts";
import { readStatus } from "./status.ts";

// The only file of this function that reads the environment. Without a variable it needs, it stops at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const { worker, reconciling, supabase } = configure(read, log);
const secret = workerSecret(read);

/** Only the Edge runtime has it. */
const { EdgeRuntime } = globalThis as {
  EdgeRuntime?: { waitUntil?(work: Promise<unknown>): void };
};

/** pg_net hangs up after 5 s. That must not stop the work in the middle. */
function toTheEnd<Result>(work: Promise<Result>): Promise<Result> {
  EdgeRuntime?.waitUntil?.(work.catch(() => {}));
  return work;
}

export default {
  fetch: createHandler({
    secret,
    log,
    drain: () => toTheEnd(drain(worker)),
    reconcile: reconciling && (() => toTheEnd(reconcile(reconciling))),
    status: () =>
      readStatus(
        supabase,
        reconciling && createClerkApi({ ...reconciling.clerk, patience: 5_000 }),
        (message) => log({ level: "warn", message }),
      ),
  }),
};
