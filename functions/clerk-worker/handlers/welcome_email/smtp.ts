import { HandlerError } from "../../drain/change.ts";
import { AcceptanceUnknown, type SendMail } from "./mod.ts";

/**
 * Sends by SMTP (`smtps://user:password@host:465`). Edge Functions may not reach ports 25 and 587.
 *
 * A line that breaks, or a reply that does not come, after the whole mail was handed over leaves open
 * whether it was accepted (RFC 5321, section 4.5.3.2.6, and RFC 1047).
 *
 * @param url of the mail server
 */
export function createSmtp(url: string): SendMail {
  return async ({ key, from, to, subject, text, html }, signal) => {
    // Loaded when the first mail goes out: it would slow down every start.
    const { createTransport } = await import("nodemailer");
    const transport = createTransport({
      url,
      connectionTimeout: 10_000,
      greetingTimeout: 10_000,
      socketTimeout: 30_000,
    });
    let isHandedOver = false;
    transport.use("stream", (mail, done) => {
      // Read to its end when the server has said 354, and has got everything but the final dot.
      mail.message.processFunc((source) => source.once("end", () => isHandedOver = true));
      done();
    });

    try {
      await transport.sendMail({
        from,
        to,
        subject,
        text,
        html,
        signal,
        messageId: `<${key}@clerk-sync.invalid>`,
        // The body is ours: nothing in it may make the library read a file or a URL.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
    } catch (error) {
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
