import { z } from "zod";
import type { Log } from "./log.ts";

/** Something in the environment is missing or malformed. The message is a sentence for an operator. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError";

  constructor(message: string) {
    super(message);
    // The operator needs the sentence, and no stack trace.
    this.stack = `ConfigurationError: ${message}`;
  }
}

/** Reads a variable of the environment. */
export type Read = (variable: string) => string | undefined;

/**
 * The value of a variable, trimmed.
 *
 * @throws {ConfigurationError} when it is missing or blank; the hint says where to get it
 */
export function required(name: string, read: Read, hint: string): string {
  const value = read(name)?.trim();
  if (!value) throw new ConfigurationError(`Cannot start as ${name} is not set: ${hint}`);
  return value;
}

/** Padded, because libraries of other languages insist on it. 22 characters are 16 bytes. */
const SIGNING_SECRET =
  /^whsec_(?=[^=]{22})(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The signing secret, if it is `whsec_` and the base64 of a key of at least 16 bytes.
 *
 * @param variable it comes from
 * @throws {ConfigurationError} when it is malformed or too short; the hint says what to do
 */
export function signingSecret(variable: string, secret: string, hint: string): string {
  if (SIGNING_SECRET.test(secret)) return secret;
  throw new ConfigurationError(
    `Cannot start as ${variable} is malformed or too short: ` +
      `a signing secret is whsec_ and the base64 of at least 16 bytes; ${hint}`,
  );
}

/**
 * A URL with one of these protocols.
 *
 * @param variable it comes from
 * @throws {ConfigurationError} when it is malformed or has another protocol
 */
export function urlOf(variable: string, text: string, ...protocols: readonly string[]): URL {
  const url = URL.parse(text);
  if (url !== null && protocols.includes(url.protocol)) return url;
  throw new ConfigurationError(
    `Cannot start as ${variable} is not a URL that begins with ${protocols.join(" or ")}`,
  );
}

/** The greatest `integer` of Postgres. */
const GREATEST = 2 ** 31 - 1;

/**
 * A whole number above 0 that fits into Postgres's `integer`.
 *
 * @param variable it comes from
 * @param otherwise the number when the variable is missing or blank
 * @throws {ConfigurationError} when it is anything else
 */
export function wholeNumber(
  variable: string,
  text: string | undefined,
  otherwise: number,
): number {
  const number = Number(text?.trim() || otherwise);
  if (Number.isInteger(number) && number >= 1 && number <= GREATEST) return number;
  throw new ConfigurationError(
    `Cannot start as ${variable} is not a whole number from 1 to ${GREATEST}`,
  );
}

/**
 * The URL of the Supabase project, `SUPABASE_URL`.
 *
 * @throws {ConfigurationError} when it is missing or not an http URL
 */
export function projectUrl(read: Read): string {
  const text = required(
    "SUPABASE_URL",
    read,
    "the platform sets it; elsewhere it is your project's URL",
  );
  urlOf("SUPABASE_URL", text, "http:", "https:");
  return text;
}

const SecretKeys = z.record(z.string(), z.string());

/**
 * Finds the function's own API key: `SUPABASE_SECRET_KEYS.<name>`, a JSON object of keys by name,
 * which can carry a role of its own; then its `default`; then the legacy `SUPABASE_SERVICE_ROLE_KEY`.
 * The last two may do everything: if one of them has to be used, the log says so.
 *
 * @param name the key's name, which is also its role
 * @throws {ConfigurationError} when there is none
 */
export function apiKey(name: string, read: Read, log: Log): string {
  const keys = secretKeys(read("SUPABASE_SECRET_KEYS"));
  const own = keys[name];
  if (own) return own;

  const fallback = keys.default || read("SUPABASE_SERVICE_ROLE_KEY");
  if (fallback) {
    log({
      level: "warn",
      message:
        `SUPABASE_SECRET_KEYS has no key named ${name}: using the all-powerful key instead. ` +
        `A key of that name, with the role ${name}, limits what a leak can do.`,
    });
    return fallback;
  }

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
