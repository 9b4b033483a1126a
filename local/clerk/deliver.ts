import { Webhook } from "svix";
import { z } from "zod";

/** A message as Svix keeps it: one id, one body, any number of attempts. */
export interface Message {
  readonly id: string;
  readonly body: string;
}

/** The webhook's answer to one attempt. */
export interface Delivery {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The outcome that the webhook returned, or `no_answer`. */
  readonly outcome: string;
  readonly milliseconds: number;
}

const Receipt = z.object({ outcome: z.string() });

/**
 * The headers of one signed attempt.
 *
 * @throws {Error} when the secret is malformed
 */
export function signedHeadersFor(
  message: Message,
  secret: string,
  at: Date = new Date(),
): Record<string, string> {
  return {
    "content-type": "application/json",
    "svix-id": message.id,
    "svix-timestamp": String(Math.floor(at.getTime() / 1000)),
    "svix-signature": new Webhook(secret).sign(message.id, at, message.body),
  };
}

/** Signs a message and sends it once, as Svix would. A refused connection is the outcome `no_answer`. */
export async function deliver(url: string, secret: string, message: Message): Promise<Delivery> {
  const headers = signedHeadersFor(message, secret);
  const started = performance.now();

  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: message.body,
      redirect: "manual",
      signal: AbortSignal.timeout(15_000),
    });
    const receipt = Receipt.safeParse(await response.json().catch(() => null));

    return {
      status: response.status,
      outcome: receipt.data?.outcome ?? `http_${response.status}`,
      milliseconds: performance.now() - started,
    };
  } catch {
    return { status: 0, outcome: "no_answer", milliseconds: performance.now() - started };
  }
}
