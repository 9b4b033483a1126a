import type { SupabaseClient } from "@supabase/supabase-js";
import { projectUrl, type Read, required } from "../functions/_shared/clerk_sync/configuration.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";

export { databaseSentence } from "../operations/sentence.ts";

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
