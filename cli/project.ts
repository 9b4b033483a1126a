import type { SupabaseClient } from "@supabase/supabase-js";
import {
  ConfigurationError,
  projectUrl,
  type Read,
  required,
} from "../functions/_shared/clerk_sync/configuration.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";

export { databaseSentence } from "../operations/sentence.ts";

/**
 * The URL and the secret key of the project that a command works on.
 *
 * @throws {ConfigurationError} when one of them is missing, or the key cannot be a secret one
 */
export function projectOf(read: Read): { readonly url: string; readonly key: string } {
  if (!read("SUPABASE_URL")?.trim() && !read("SUPABASE_SECRET_KEY")?.trim()) {
    throw new ConfigurationError(
      "Cannot start as neither SUPABASE_URL nor SUPABASE_SECRET_KEY is set: start a stack with `deno task dev`, or name a project by these two, in the environment or in the file of --env",
    );
  }
  const hint = "copy a secret key from API keys in the Supabase dashboard";
  const key = required("SUPABASE_SECRET_KEY", read, hint);
  if (key.startsWith("sb_publishable_")) {
    throw new ConfigurationError(
      `Cannot start as SUPABASE_SECRET_KEY is a publishable key: ${hint}, which begins with sb_secret_`,
    );
  }
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

/** Whether a URL leads to this machine. */
export function isLoopback(url: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(URL.parse(url)?.hostname ?? "");
}
