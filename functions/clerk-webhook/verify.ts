import { Webhook, WebhookVerificationError } from "svix";
import { signingSecret } from "../_shared/clerk_sync/configuration.ts";

/** The three headers of a signed delivery. */
export interface SignedHeaders {
  /** `svix-id`: the same on every retry and replay of a message. */
  readonly id: string;
  /** `svix-timestamp`: the attempt's time, seconds since the epoch. */
  readonly timestamp: string;
  /** `svix-signature`: space-separated `v1,<base64>`. */
  readonly signature: string;
}

/** True if the body, byte for byte, was signed with one of the secrets within the last 5 minutes. */
export type Verify = (body: string, headers: SignedHeaders) => boolean;

const HINT =
  "copy it from the endpoint's page in the Clerk dashboard, and separate several by commas";

/** Longer message ids are refused; Svix's have about 31 characters. */
const LONGEST_ID = 255;

/**
 * Reads the signature headers: the `svix-` set, or else the `webhook-` set of Standard Webhooks.
 * An incomplete set counts as missing.
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
 * @param variable they come from
 * @throws {ConfigurationError} when there is no secret, or one is malformed or too short
 */
export function createVerifier(
  secrets: string,
  variable = "CLERK_WEBHOOK_SIGNING_SECRET",
): Verify {
  const webhooks = (secrets.match(/[^\s,]+/g) ?? [""]).map((secret) =>
    new Webhook(signingSecret(variable, secret, HINT))
  );

  return (body, { id, timestamp, signature }) => {
    const headers = {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": signature,
    };
    return webhooks.some((webhook) => {
      try {
        // svix returns nothing: it throws, or the message is authentic.
        webhook.verify(body, headers);
        return true;
      } catch (error) {
        if (error instanceof WebhookVerificationError) return false;
        throw error;
      }
    });
  };
}
