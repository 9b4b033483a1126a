import { generateTokenKey } from "./clerk/token_issuer.ts";

/** The API keys that the gateway knows, each with a database role of its own. */
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

/** All that is secret in a stack; made once and kept with its data. */
export interface StackKeys extends ApiKeys {
  /** With it Clerk, or `deno task send` in its place, signs webhooks: `whsec_…`. */
  signingSecret: string;
  /** With it the queue worker is called. */
  workerSecret: string;
  /** With it session tokens are signed, RS256, PKCS #8. */
  tokenKey: string;
}

/** New random keys, in the shapes of Supabase's and Clerk's. */
export async function generateKeys(): Promise<StackKeys> {
  return {
    publishable: `sb_publishable_${randomBase64Url(24)}`,
    secret: `sb_secret_${randomBase64Url(24)}`,
    clerkIngest: `sb_secret_${randomBase64Url(24)}`,
    clerkWorker: `sb_secret_${randomBase64Url(24)}`,
    workerSecret: randomBase64Url(24),
    signingSecret: `whsec_${btoa(randomBinary(24))}`,
    tokenKey: await generateTokenKey(),
  };
}

/**
 * Reads the keys kept in a file, or makes them and keeps them there, readable by the owner only. Keys
 * that an older version did not have are added.
 */
export async function loadKeys(file: string): Promise<StackKeys> {
  const kept = await readKeys(file);
  const keys = { ...await generateKeys(), ...kept };
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
