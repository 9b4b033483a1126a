import { createClient, type SupabaseClient } from "@supabase/supabase-js";

/** The tables of `tables.sql`. */
type Row = Record<string, string | null | undefined>;
interface Tables {
  readonly public: {
    Tables: {
      users: { Row: Row; Insert: Row; Update: Row; Relationships: [] };
      processed_events: { Row: Row; Insert: Row; Update: Row; Relationships: [] };
    };
    Views: Record<never, never>;
    Functions: Record<never, never>;
  };
}

export const database: SupabaseClient<Tables> = createClient<Tables>(
  Deno.env.get("SUPABASE_URL") ?? "",
  Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") ?? "",
  { auth: { persistSession: false, autoRefreshToken: false } },
);
