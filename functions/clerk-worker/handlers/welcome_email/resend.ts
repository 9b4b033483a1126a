import { z } from "zod";
import { HandlerError } from "../../drain/handler.ts";
import type { SendMail } from "./mail.ts";

/**
 * Sends through Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email). Its
 * idempotency key lasts 24 hours (https://resend.com/docs/dashboard/emails/idempotency-keys), and
 * nobody is greeted later than that: so a retry is harmless if the answer was lost.
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
    // Resend took a mail with this key; the name or address of the person has changed since.
    if (name === "invalid_idempotent_request") return;
    throw new HandlerError(`resend_http_${response.status}`);
  };
}

const Refusal = z.object({ name: z.string().optional() }).catch({});
