import { Webhook, WebhookVerificationError } from "svix";

/** The three headers of a signed delivery. */
export interface SignedHeaders {
  /** `svix-id`: the same on every retry and replay of a message. */
  readonly id: string;
  /** `svix-timestamp`: the attempt's time, seconds since the epoch. */
  readonly timestamp: string;
  /** `svix-signature`: space-separated `v1,<base64>`. */
  readonly signature: string;
}

/** What is used of `node:crypto`. */
type NativeCrypto = Pick<typeof import("node:crypto"), "createHmac" | "createSecretKey">;

/** True when the body, exactly as it came, was signed with one of the secrets in the last 5 minutes. */
export type Verify = (body: string, headers: SignedHeaders) => boolean;

/** The longest message id that is taken for one; Svix's have about 31 characters. */
const LONGEST_ID = 255;

/**
 * Reads the signature headers: the `svix-` set, or else the `webhook-` set of Standard Webhooks.
 * A set counts only when it is whole.
 */
export function signedHeaders(headers: Headers): SignedHeaders | null {
  for (const prefix of ["svix", "webhook"]) {
    const id = headers.get(`${prefix}-id`);
    const timestamp = headers.get(`${prefix}-timestamp`);
    const signature = headers.get(`${prefix}-signature`);

    if (id && timestamp && signature && id.length <= LONGEST_ID) {
      return { id, timestamp, signature };
    }
  }
  return null;
}

/**
 * Makes the check of signatures, which is svix's: HMAC-SHA256 over `id.timestamp.body`, at most 300 s off
 * (https://docs.svix.com/receiving/verifying-payloads/how-manual).
 *
 * @param secrets one signing secret (`whsec_…`) or several, separated by commas or white space;
 * a message is authentic when any one verifies
 * @throws {Error} when there is no secret, or one is malformed
 */
export function createVerifier(secrets: string): Verify {
  const signings = secrets.split(/[\s,]+/).filter((secret) => secret !== "").map((secret) => ({
    secret,
    webhook: new Webhook(secret),
  }));

  if (signings.length === 0) {
    throw new Error("Cannot verify signatures as there is no signing secret");
  }

  let messages = 0;
  return (body, { id, timestamp, signature }) => {
    // Loading node:crypto takes longer than the first message, which has waited for a start already.
    if (++messages === 2) hashAllNatively(signings);

    return signings.some(({ webhook }) => {
      try {
        // svix returns nothing: it throws, or the message is authentic.
        webhook.verify(body, {
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          "webhook-signature": signature,
        });
        return true;
      } catch (error) {
        if (error instanceof WebhookVerificationError) return false;
        throw error;
      }
    });
  };
}

interface Signing {
  readonly secret: string;
  readonly webhook: Webhook;
}

async function hashAllNatively(signings: readonly Signing[]): Promise<void> {
  try {
    const crypto = await import("node:crypto");
    for (const { webhook, secret } of signings) hashNatively(webhook, secret, crypto);
  } catch {
    // Then svix goes on hashing by itself.
  }
}

/**
 * Has svix's check compute its HMAC natively, in place of JavaScript. svix verifies by comparing a
 * signature with what `sign()` makes for the message; that one method is replaced, and svix goes on
 * deciding (docs/decisions/0007-native-hmac.md).
 *
 * @param secret the one that the webhook was made with
 * @returns false when svix is built otherwise, or signs otherwise: then it stays as it was
 */
export function hashNatively(
  webhook: Webhook,
  secret: string,
  { createHmac, createSecretKey }: NativeCrypto,
): boolean {
  const signer: unknown = Reflect.get(webhook, "inner");
  if (!isSigner(signer)) return false;

  const signed = (): string => webhook.sign("msg_1", new Date(1_500), "{}");
  const expected = signed();
  const stock = signer.sign;
  const key = createSecretKey(secret.replace(/^whsec_/, ""), "base64").export();
  signer.sign = (id, date, payload) => {
    const seconds = Math.floor(date.getTime() / 1000);
    const hmac = createHmac("sha256", key).update(`${id}.${seconds}.`).update(payload);
    return `v1,${hmac.digest("base64")}`;
  };

  if (signed() === expected) return true;
  signer.sign = stock;
  return false;
}

function isSigner(value: unknown): value is { sign: Webhook["sign"] } {
  return typeof value === "object" && value !== null && "sign" in value &&
    typeof value.sign === "function";
}
