import { HandlerError } from "../change.ts";
import type { SendMail } from "./welcome_email.ts";

/**
 * Sends by SMTP (`smtps://user:password@host:465`). Edge Functions may not reach ports 25 and 587.
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
      socketTimeout: 15_000,
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
      throw new HandlerError(code === undefined ? "smtp_no_answer" : `smtp_${code}`);
    } finally {
      transport.close();
    }
  };
}
