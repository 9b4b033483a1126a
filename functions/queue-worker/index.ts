import { required } from "../_shared/configuration.ts";
import { log } from "../_shared/log.ts";
import { configureWorker } from "./configure.ts";
import { createHandler } from "./handler.ts";
import { drain } from "./worker.ts";

// The only file of this function that reads the environment. What is missing stops it at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const worker = configureWorker(read, log);
const secret = required(
  "QUEUE_WORKER_SECRET",
  read,
  "a long random text, which the schedule's Vault holds as clerk_worker_secret",
);

export default { fetch: createHandler({ secret, log, drain: () => drain(worker) }) };
