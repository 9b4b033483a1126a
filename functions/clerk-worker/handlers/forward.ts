import { Webhook } from "svix";
import { signingSecret, urlOf } from "../../_shared/clerk_sync/configuration.ts";
import type { Change } from "../drain/change.ts";
import { defineHandler, HandlerError, type Run } from "../drain/handler.ts";

export default defineHandler({
  name: "forward",
  topics: "all",
  variables: {
    FORWARD_URLS: "where every change is posted, separated by commas or white space",
    FORWARD_SIGNING_SECRET: "whsec_ and base64, one or several; your receivers verify with one",
  },
  needs: "FORWARD_URLS",
  create: ({ read, required }) => {
    const urls = read("FORWARD_URLS")?.split(/[\s,]+/).filter((url) => url !== "") ?? [];
    if (urls.length === 0) return undefined;

    return createForward({
      urls: urls.map((url) => urlOf("FORWARD_URLS", url, "http:", "https:")),
      secrets: (required("FORWARD_SIGNING_SECRET").match(/[^\s,]+/g) ?? [""]).map((secret) =>
        signingSecret(
          "FORWARD_SIGNING_SECRET",
          secret,
          'make one with: echo "whsec_$(openssl rand -base64 24)"',
        )
      ),
    });
  },
});

export interface ForwardOptions {
  /** Where to post every change. */
  readonly urls: readonly URL[];
  /** Signing secrets (`whsec_…`). All of them sign, so that each receiver may know any one. */
  readonly secrets: readonly string[];
  /** Time limit for a receiver, ms. */
  readonly milliseconds?: number;
}

/**
 * Posts each change with the current row to every URL, signed per Standard Webhooks
 * (https://www.standardwebhooks.com). The message id is the same on every attempt, so that a receiver
 * can drop repeats; `data.version` lets it drop older versions. Any 2xx is success, everything else is
 * retried; redirects are not followed.
 *
 * @throws {Error} when a secret is malformed
 */
export function createForward({ urls, secrets, milliseconds = 15_000 }: ForwardOptions): Run {
  const webhooks = secrets.map((secret) => new Webhook(secret));

  return async (change, signal) => {
    const id = `clerk_change_${change.change_id}`;
    const body = JSON.stringify(bodyOf(change));
    const results = await Promise.all(
      urls.map((url) =>
        post(url, id, body, webhooks, AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]))
      ),
    );
    const failure = results.find((result) => result !== "delivered");
    if (failure !== undefined) throw new HandlerError(failure);
  };
}

/** The body of a forwarded change: Standard Webhooks' type, timestamp and data. */
function bodyOf(change: Change): Record<string, unknown> {
  const { topic, id, external_id, changed, version, row, enqueued_at } = change;
  return {
    type: topic,
    timestamp: enqueued_at,
    data: {
      id,
      ...(topic === "profile.deleted" ? { external_id } : {}),
      changed,
      version,
      row,
    },
  };
}

async function post(
  url: URL,
  id: string,
  body: string,
  webhooks: readonly Webhook[],
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
        "webhook-signature": webhooks.map((webhook) => webhook.sign(id, now, body)).join(" "),
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
