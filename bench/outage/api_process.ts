import { fileURLToPath } from "node:url";
import { type BoundProcess, spawnBound } from "../../local/process.ts";
import type { StackKeys } from "../../local/keys.ts";
import { postgresAddress } from "../../local/postgres/postgres.ts";
import { startServices } from "../../local/services.ts";
import { quietPort } from "./quiet_port.ts";

/** The options that the process is given. */
interface ApiProcessOptions {
  readonly databasePort: number;
  readonly databasePassword: string;
  readonly database: string;
  readonly port: number;
  readonly keys: StackKeys;
}

/** An API in a process of its own, which is restarted whenever it ends. */
export interface ApiProcess extends AsyncDisposable {
  readonly port: number;
  /** Kills it and waits for the new one. */
  replace(): Promise<void>;
}

const VARIABLE = "CLERK_SYNC_API_PROCESS";
const PATIENCE_MS = 30_000;

/**
 * Starts the API of one database in a process of its own, on a fixed port.
 *
 * The driver of this stand-in for PostgREST can crash: postgres.js 3.4 ends the process when a connection
 * is lost within a transaction (https://github.com/porsager/postgres/issues/1208). Like a PostgREST that
 * crashed, it is restarted.
 */
export async function startApiProcess(
  options: Omit<ApiProcessOptions, "port">,
): Promise<ApiProcess> {
  const port = quietPort();
  let child: BoundProcess;
  let stopping = false;
  let up = Promise.withResolvers<void>();

  const start = (): void => {
    const started = child = spawnBound(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", fileURLToPath(import.meta.url)],
      env: { ...Deno.env.toObject(), [VARIABLE]: JSON.stringify({ ...options, port }) },
      onOrphaned: "KILL",
      onLine: (line) => line === "listening" && up.resolve(),
    });
    started.ended.then(() => {
      if (stopping) return up.resolve();
      up = Promise.withResolvers();
      // It cannot start while its database is down.
      setTimeout(() => stopping || start(), 200);
    });
  };
  start();
  await comesUp();

  function comesUp(): Promise<void> {
    const late = setTimeout(() => {
      up.reject(new Error(`Cannot start the API. Its last lines: ${child.lastLines().join("\n")}`));
    }, PATIENCE_MS);
    return up.promise.finally(() => clearTimeout(late));
  }

  return {
    port,
    replace: async () => {
      const ended = child;
      ended.signal("SIGKILL");
      await ended.ended;
      await comesUp();
    },
    [Symbol.asyncDispose]: async () => {
      stopping = true;
      child.signal("SIGKILL");
      await child.ended;
    },
  };
}

if (import.meta.main) {
  const { databasePort, databasePassword, ...options }: ApiProcessOptions = JSON.parse(
    Deno.env.get(VARIABLE) ?? "",
  );
  const postgres = postgresAddress(databasePort, databasePassword);
  await startServices({ ...options, postgres, functions: false });
  console.log("listening");
}
