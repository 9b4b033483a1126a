import type { SupabaseClient } from "@supabase/supabase-js";
import { projectUrl, type Read, required } from "../functions/_shared/clerk_sync/configuration.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";

/**
 * The URL and the secret key of the project that a command works on.
 *
 * @throws {ConfigurationError} when one of them is missing
 */
export function projectOf(read: Read): { readonly url: string; readonly key: string } {
  const hint = "copy a secret key from API keys in the Supabase dashboard";
  const key = required("SUPABASE_SECRET_KEY", read, hint);
  return { url: projectUrl(read), key };
}

/**
 * The API of that project.
 *
 * @throws {ConfigurationError} when its URL or its key is missing
 */
export function connectProject(read: Read): SupabaseClient {
  const { url, key } = projectOf(read);
  return connect(url, key);
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
