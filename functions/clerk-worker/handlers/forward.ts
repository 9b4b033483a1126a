import { Webhook } from "svix";
import { type Change, type Handler, HandlerError } from "../drain/change.ts";

export interface ForwardOptions {
  /** Where to post every change. */
  readonly urls: readonly URL[];
  /** Signing secret (`whsec_…`) that the receivers share. */
  readonly secret: string;
  /** How long a receiver may take, ms. */
  readonly milliseconds?: number;
}

/**
 * Posts each change with the current row to every URL, signed per Standard Webhooks
 * (https://www.standardwebhooks.com). The message id is the same on every attempt, so that a receiver
 * can drop repeats; `data.version` lets it drop what is older. 2xx is success, everything else tries
 * again; redirects are not followed.
 *
 * @throws {Error} when the secret is malformed
 */
export function createForward(
  { urls, secret, milliseconds = 15_000 }: ForwardOptions,
): Handler {
  const webhook = new Webhook(secret);

  return {
    name: "forward",
    run: async (change, signal) => {
      const id = `clerk_change_${change.change_id}`;
      const body = JSON.stringify(bodyOf(change));
      const results = await Promise.all(
        urls.map((url) =>
          post(url, id, body, webhook, AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]))
        ),
      );
      const failure = results.find((result) => result !== "delivered");
      if (failure !== undefined) throw new HandlerError(failure);
    },
  };
}

/** The body of a forwarded change: Standard Webhooks' type, timestamp and data. */
function bodyOf(change: Change): Record<string, unknown> {
  const { topic, id, changed, version, row, enqueued_at } = change;
  return { type: topic, timestamp: enqueued_at, data: { id, changed, version, row } };
}

async function post(
  url: URL,
  id: string,
  body: string,
  webhook: Webhook,
  signal: AbortSignal,
): Promise<string> {
  const now = new Date();
  try {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      headers: {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": webhook.sign(id, now, body),
      },
      body,
      signal,
    });
    await response.body?.cancel();
    return response.ok ? "delivered" : `http_${response.status}`;
  } catch {
    return signal.aborted ? "timeout" : "no_answer";
  }
}
