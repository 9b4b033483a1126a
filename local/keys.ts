import { generateTokenKey } from "./clerk/token_issuer.ts";

/** The API keys that the gateway accepts, each with its own database role. */
export interface ApiKeys {
  /** Role `anon`, or the role of the session token beside it. */
  publishable: string;
  /** Role `service_role`. */
  secret: string;
  /** Role `clerk_ingest`, which may execute the webhook's functions and nothing else. */
  clerkIngest: string;
  /** Role `clerk_worker`, which may execute the queue's functions and nothing else. */
  clerkWorker: string;
}

/** All secrets of a stack, generated once and kept with its data. */
export interface StackKeys extends ApiKeys {
  /** Signs webhooks: used by Clerk, or by `deno task send` in place of Clerk. `whsec_…`. */
  signingSecret: string;
  /** The bearer token for calls to the queue worker. */
  workerSecret: string;
  /** Signs session tokens: an RS256 key as PKCS #8. */
  tokenKey: string;
  /** The password of the database's roles. */
  databasePassword: string;
}

/** New random keys in the formats of Supabase and Clerk, besides those that are kept. */
export async function generateKeys(kept: Partial<StackKeys> = {}): Promise<StackKeys> {
  return {
    publishable: `sb_publishable_${randomBase64Url(24)}`,
    secret: `sb_secret_${randomBase64Url(24)}`,
    clerkIngest: `sb_secret_${randomBase64Url(24)}`,
    clerkWorker: `sb_secret_${randomBase64Url(24)}`,
    workerSecret: randomBase64Url(24),
    signingSecret: `whsec_${btoa(randomBinary(24))}`,
    databasePassword: randomBase64Url(24),
    ...kept,
    tokenKey: kept.tokenKey ?? await generateTokenKey(),
  };
}

/**
 * Reads the keys from a file. Missing ones are generated and added, so that a file of an older version
 * stays valid. The file is readable by its owner only.
 */
export async function loadKeys(file: string): Promise<StackKeys> {
  const kept = await readKeys(file);
  const keys = await generateKeys(kept);
  if (Object.keys(kept).length < Object.keys(keys).length) {
    await Deno.writeTextFile(file, JSON.stringify(keys, null, 2) + "\n", { mode: 0o600 });
  }
  return keys;
}

async function readKeys(file: string): Promise<Partial<StackKeys>> {
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

function randomBinary(bytes: number): string {
  return String.fromCharCode(...crypto.getRandomValues(new Uint8Array(bytes)));
}

function randomBase64Url(bytes: number): string {
  return btoa(randomBinary(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
