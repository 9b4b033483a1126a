import { getToken } from "@clerk/react";
import { createClient } from "@supabase/supabase-js";
import type { Database } from "./database.types.ts";

/** Sends Clerk's session token with every request, so that row-level security knows the user. */
export const supabase = createClient<Database>(
  import.meta.env.VITE_SUPABASE_URL,
  import.meta.env.VITE_SUPABASE_PUBLISHABLE_KEY,
  { accessToken: () => getToken() },
);
