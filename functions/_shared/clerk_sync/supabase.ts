import { createClient, type SupabaseClient } from "@supabase/supabase-js";

/**
 * A client of the project's API for a function: no session, no token refresh, nothing in the
 * background.
 *
 * NOTE: untyped, so that a function is adopted by copying it. What the database answers is checked
 * where it is used.
 *
 * @param key a secret key, whose role decides what the function may do
 */
export function connect(url: string, key: string): SupabaseClient {
  return createClient(url, key, {
    // There is never a session. Told so, supabase-js makes no auth client, and asks none for a token.
    accessToken: () => Promise.resolve(null),
    // Nothing is subscribed to, and Node 20 has no WebSocket: there supabase-js throws without this.
    realtime: { transport: class {} as never },
  });
}
