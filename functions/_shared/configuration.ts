import { z } from "zod";

/** Something in the environment is missing or malformed. The message is a sentence for an operator. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError";

  constructor(message: string) {
    super(message);
    // The operator needs the sentence; where in our code it was found helps nobody.
    this.stack = `ConfigurationError: ${message}`;
  }
}

const SecretKeys = z.record(z.string(), z.string());

/** A Supabase API key, and whether it may do everything. */
export interface ApiKey {
  readonly key: string;
  readonly isAllPowerful: boolean;
}

/**
 * Finds the function's own API key: `SUPABASE_SECRET_KEYS.<name>`, a JSON object of keys by name,
 * which can carry a role of its own; then its `default`; then the legacy
 * `SUPABASE_SERVICE_ROLE_KEY`.
 *
 * @param name the key's name, which is also its role
 * @throws {ConfigurationError} when there is none
 */
export function apiKey(name: string, read: (variable: string) => string | undefined): ApiKey {
  const keys = secretKeys(read("SUPABASE_SECRET_KEYS"));

  const own = keys[name];
  if (own) return { key: own, isAllPowerful: false };

  const fallback = keys.default || read("SUPABASE_SERVICE_ROLE_KEY");
  if (fallback) return { key: fallback, isAllPowerful: true };

  throw new ConfigurationError(
    `Cannot start as neither SUPABASE_SECRET_KEYS (a JSON object with the key ${name}) ` +
      "nor SUPABASE_SERVICE_ROLE_KEY is set: the platform sets both",
  );
}

function secretKeys(text: string | undefined): Readonly<Record<string, string>> {
  if (!text) return {};
  try {
    return SecretKeys.parse(JSON.parse(text));
  } catch {
    throw new ConfigurationError(
      'Cannot start as SUPABASE_SECRET_KEYS is not a JSON object of keys by name, such as {"default": "sb_secret_…"}',
    );
  }
}
