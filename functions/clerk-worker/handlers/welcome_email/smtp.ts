import { Readable } from "node:stream";
import { HandlerError } from "../../drain/handler.ts";
import { AcceptanceUnknown, type SendMail } from "./mail.ts";

/**
 * Sends by SMTP (`smtps://user:password@host:465`). Edge Functions may not reach ports 25 and 587.
 *
 * If the connection breaks, or no reply comes, after the whole mail was handed over, nobody can tell
 * whether it was accepted (RFC 5321, section 4.5.3.2.6, and RFC 1047).
 *
 * @param url of the mail server
 */
export function createSmtp(url: string): SendMail {
  return async ({ key, from, to, subject, text, html }, signal, confirm) => {
    // Loaded with the first mail: otherwise it would slow down every start.
    const { createTransport } = await import("nodemailer");
    const transport = createTransport({
      url,
      connectionTimeout: 10_000,
      greetingTimeout: 10_000,
      socketTimeout: 30_000,
    });
    let isHandedOver = false;
    let objection: { readonly error: unknown } | undefined;
    transport.use("stream", (mail, done) => {
      mail.message.processFunc((source) => {
        // The source ends after the server said 354 and received everything but the final dot.
        source.once("end", () => isHandedOver = true);
        return Readable.from(confirmed(source), { objectMode: false });
      });
      done();
    });
    // Begins when the server said 354: connecting to it may have taken long.
    async function* confirmed(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
      try {
        await confirm();
      } catch (error) {
        objection = { error };
        throw error;
      }
      yield* source;
    }

    try {
      await transport.sendMail({
        from,
        to,
        subject,
        text,
        html,
        signal,
        messageId: `<${key}@clerk-sync.invalid>`,
        // Nothing in the body may make the library read a file or a URL.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
    } catch (error) {
      if (objection !== undefined) throw objection.error;
      const code = (error as { responseCode?: number }).responseCode;
      if (code !== undefined) throw new HandlerError(`smtp_${code}`);
      throw isHandedOver
        ? new AcceptanceUnknown("smtp_unknown")
        : new HandlerError("smtp_no_answer");
    } finally {
      transport.close();
    }
  };
}
