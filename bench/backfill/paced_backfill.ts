import { cpuUsage } from "node:process";
import postgres from "postgres";
import { createTokenIssuer } from "../../local/clerk/token_issuer.ts";
import { generateKeys } from "../../local/keys.ts";
import type { PostgresServer } from "../../local/postgres/postgres.ts";
import { backendsOf, cpuOf } from "../cpu_time.ts";
import { createLeanApi } from "../whole_path/lean_api.ts";
import type { ClerkUsers } from "./clerk_users.ts";
import { type Backfill, startBackfill } from "./command.ts";

/** A backfill that stops before each page until it may go on. */
export interface PacedBackfill extends AsyncDisposable {
  /** Writes so many pages. CPU is that of Postgres, command, API, and the stand-in of Clerk's. */
  write(pages: number): Promise<{ readonly seconds: number; readonly cpuSeconds: number }>;
  /** Goes on to the end. */
  finish(): Backfill["ended"];
}

/** Starts the command between Clerk's users and the lean API of a database. */
export async function startPacedBackfill(
  clerk: ClerkUsers,
  server: Pick<PostgresServer, "roleUrl" | "superuserUrl">,
  database: string,
): Promise<PacedBackfill> {
  const keys = await generateKeys();
  const issuer = "http://127.0.0.1";
  const tokens = await createTokenIssuer(issuer, keys.tokenKey);
  const api = await createLeanApi({
    database: server.roleUrl("authenticator", database),
    keys,
    trust: { issuer, jwks: tokens.jwks() },
  });
  const sql = postgres(server.superuserUrl(database), { max: 1, onnotice: () => {} });

  // The command notes a page's ids before it writes the page: there it waits.
  let waits = Promise.withResolvers<void>();
  let goOn = (): void => {};
  let isPaced = true;
  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      if (isPaced && request.url.endsWith("/rpc/note_clerk_seen")) {
        const released = new Promise<void>((resolve) => goOn = resolve);
        waits.resolve();
        await released;
      }
      return await api.fetch(request);
    },
  );
  const command = await startBackfill({
    CLERK_API_URL: clerk.url,
    CLERK_SECRET_KEY: "sk_live_made_up",
    SUPABASE_URL: `http://127.0.0.1:${listener.addr.port}`,
    SUPABASE_SECRET_KEY: keys.secret,
  });

  const early = command.ended.then(() => {
    throw new Error("Cannot measure as backfill ended early");
  });
  early.catch(() => {});
  const untilItWaits = (): Promise<void> => Promise.race([waits.promise, early]);
  const cpu = async (): Promise<number> => {
    const { user, system } = cpuUsage();
    return cpuOf([...await backendsOf(sql), command.pid, clerk.pid]) + (user + system) / 1e6;
  };
  return {
    write: async (pages) => {
      await untilItWaits();
      const cpuBefore = await cpu();
      const started = performance.now();
      for (let page = 0; page < pages; page++) {
        waits = Promise.withResolvers();
        goOn();
        await untilItWaits();
      }
      const seconds = (performance.now() - started) / 1000;
      return { seconds, cpuSeconds: await cpu() - cpuBefore };
    },
    finish: async () => {
      isPaced = false;
      goOn();
      return await command.ended;
    },
    [Symbol.asyncDispose]: async () => {
      await command[Symbol.asyncDispose]();
      isPaced = false;
      goOn();
      await listener.shutdown();
      await Promise.all([api.close(), sql.end({ timeout: 5 })]);
    },
  };
}
