import { required } from "../_shared/clerk_sync/configuration.ts";
import { log } from "../_shared/clerk_sync/log.ts";
import { configureWorker } from "./configure.ts";
import { createHandler } from "./http.ts";
import { drain } from "./drain/worker.ts";

// The only file of this function that reads the environment. What is missing stops it at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const worker = configureWorker(read, log);
const secret = required(
  "CLERK_WORKER_SECRET",
  read,
  "a long random text, which the schedule's Vault holds as clerk_worker_secret",
);

/** What the Edge runtime adds; not there elsewhere. */
const { EdgeRuntime } = globalThis as {
  EdgeRuntime?: { waitUntil?(work: Promise<unknown>): void };
};

export default {
  fetch: createHandler({
    secret,
    log,
    drain: () => {
      const work = drain(worker);
      // pg_net hangs up after 5 s. That must not end the worker in the middle of what it holds.
      EdgeRuntime?.waitUntil?.(work.catch(() => {}));
      return work;
    },
  }),
};
