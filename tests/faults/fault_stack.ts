import { deliver, type Delivery, type Message } from "../../local/clerk/deliver.ts";
import type { EdgeFunction } from "../../local/functions/edge_function.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { startApiProcess } from "../../bench/outage/api_process.ts";
import { startWebhook, unavailableCode } from "../../bench/outage/webhook.ts";
import { testKeys } from "../test_keys.ts";
import { startTcpProxy, type TcpProxy } from "./tcp_proxy.ts";

/**
 * The whole path of a delivery, with a handle on every link: senders → function → proxy → API → proxy →
 * Postgres. Function, API and Postgres are separate processes. Deliveries go straight to the function, so
 * that every status is the function's own.
 */
export interface FaultStack extends AsyncDisposable {
  readonly betweenFunctionAndApi: TcpProxy;
  readonly betweenApiAndPostgres: TcpProxy;
  /** Kills the API with SIGKILL and starts a new one. */
  replaceApi(): Promise<void>;
  /** Kills the function with SIGKILL and starts a new one. */
  replaceFunction(): Promise<void>;
  /** The codes that the function logged with `unavailable`, each once. */
  unavailableCodes(): string[];
  deliver(message: Message): Promise<Delivery>;
}

export async function startFaultStack(
  server: Pick<PostgresAddress, "port" | "password">,
  database: string,
): Promise<FaultStack> {
  const stack = new AsyncDisposableStack();
  try {
    const betweenApiAndPostgres = stack.use(await startTcpProxy(server.port));
    const keys = await testKeys();
    const apiProcess = stack.use(
      await startApiProcess({
        databasePort: betweenApiAndPostgres.port,
        databasePassword: server.password,
        database,
        keys,
      }),
    );
    const betweenFunctionAndApi = stack.use(await startTcpProxy(apiProcess.port));
    const codes = new Set<string>();
    const start = (): Promise<EdgeFunction> =>
      startWebhook(betweenFunctionAndApi.port, keys, (line) => {
        const code = unavailableCode(line);
        if (code !== undefined) codes.add(code);
      });
    let webhook = await start();
    stack.defer(() => webhook.stop());

    const owned = stack.move();
    return {
      betweenFunctionAndApi,
      betweenApiAndPostgres,
      replaceApi: apiProcess.replace,
      replaceFunction: async () => {
        await webhook.kill();
        webhook = await start();
      },
      unavailableCodes: () => [...codes].sort(),
      deliver: (message) => deliver(webhook.url, keys.signingSecret, message),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
