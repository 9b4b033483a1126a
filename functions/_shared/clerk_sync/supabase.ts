import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../../../supabase/database.types.ts";

/**
 * A client of the project's API for a function: no session, no refreshing, nothing in the background.
 *
 * @param key a secret key, whose role decides what the function may do
 */
export function connect(url: string, key: string): SupabaseClient<Database> {
  return createClient<Database>(url, key, {
    // There is never a session. Told so, supabase-js makes no auth client and asks none at each request.
    accessToken: () => Promise.resolve(null),
    // Nothing is listened to. Left to find a transport, supabase-js has Deno load its WebSocket.
    realtime: { transport: class {} as never },
  });
}
