import { log } from "../_shared/clerk_sync/log.ts";
import { configureWorker, workerSecret } from "./configure.ts";
import { drain } from "./drain/worker.ts";
import { createHandler } from "./http.ts";

// The only file of this function that reads the environment. Without a variable it needs, it stops at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const worker = configureWorker(read, log);
const secret = workerSecret(read);

/** Only the Edge runtime has it. */
const { EdgeRuntime } = globalThis as {
  EdgeRuntime?: { waitUntil?(work: Promise<unknown>): void };
};

export default {
  fetch: createHandler({
    secret,
    log,
    drain: () => {
      const work = drain(worker);
      // pg_net hangs up after 5 s. That must not stop the worker in the middle of its changes.
      EdgeRuntime?.waitUntil?.(work.catch(() => {}));
      return work;
    },
  }),
};
