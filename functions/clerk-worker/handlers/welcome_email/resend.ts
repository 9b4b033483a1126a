import { z } from "zod";
import { HandlerError } from "../../drain/change.ts";
import type { SendMail } from "./mod.ts";

/**
 * Sends through Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), with an
 * idempotency key, which Resend remembers for 24 hours
 * (https://resend.com/docs/dashboard/emails/idempotency-keys): until nobody is greeted any more. So it
 * is harmless to ask again when the answer was lost.
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

    if (response.ok) return await response.body?.cancel();
    const { name } = Refusal.parse(await response.json().catch(() => null));
    // Resend took a mail with this key, and the person has another name or address since.
    if (name === "invalid_idempotent_request") return;
    throw new HandlerError(`resend_http_${response.status}`);
  };
}

const Refusal = z.object({ name: z.string().optional() }).catch({});
