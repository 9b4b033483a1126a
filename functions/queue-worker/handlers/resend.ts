import { HandlerError } from "../change.ts";
import type { SendMail } from "./welcome_email.ts";

/**
 * Sends through Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), with an
 * idempotency key, which Resend remembers for 24 hours.
 *
 * @param url another endpoint, for tests
 */
export function createResend(apiKey: string, url = "https://api.resend.com/emails"): SendMail {
  return async ({ key, from, to, subject, text, html }, signal) => {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      headers: {
        "authorization": `Bearer ${apiKey}`,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: JSON.stringify({ from, to: [to.address], subject, text, html }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
    }).catch(() => {
      throw new HandlerError("resend_no_answer");
    });

    await response.body?.cancel();
    if (!response.ok) throw new HandlerError(`resend_http_${response.status}`);
  };
}
