import { settlesWithin } from "./settles_within.ts";

/**
 * Refuses new requests, and gives those in flight a moment to finish, ms. One that takes longer is left
 * alone, and keeps the process no longer alive.
 */
export async function endServer(server: Deno.HttpServer, moment: number): Promise<void> {
  // The signal of a server cannot end it after shutdown(): it throws where nobody can catch it.
  if (!await settlesWithin(server.shutdown(), moment)) server.unref();
}
