import type { SupabaseClient } from "@supabase/supabase-js";
import { projectUrl, required } from "../functions/_shared/clerk_sync/configuration.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";

/**
 * The API of the project that a command works on.
 *
 * @throws {ConfigurationError} when its URL or its key is missing
 */
export function connectProject(read: (name: string) => string | undefined): SupabaseClient {
  const key = required(
    "SUPABASE_SECRET_KEY",
    read,
    "copy a secret key from API keys in the Supabase dashboard",
  );
  return connect(projectUrl(read), key);
}

/** A sentence for the code with which the database ended a command. */
export function databaseSentence(code: string, isStart: boolean): string {
  if (code === "PGRST202") {
    return "Cannot start as the database lacks the functions for it: apply the migrations";
  }
  if (/^(?:http_40[13]|PGRST30.|42501)$/.test(code)) {
    return `Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY (${code}): copy a secret key from API keys in the Supabase dashboard`;
  }
  return isStart
    ? `Cannot reach the database (${code}): check SUPABASE_URL and the network`
    : `Cannot go on as the database answers ${code}`;
}
