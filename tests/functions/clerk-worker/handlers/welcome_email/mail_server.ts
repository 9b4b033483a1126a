// @ts-types="@types/mailparser"
import { type ParsedMail, simpleParser } from "mailparser";
// @ts-types="@types/smtp-server"
import { SMTPServer } from "smtp-server";

/** A real SMTP server on loopback, which keeps what it accepts. */
export interface MailServer extends AsyncDisposable {
  /** `smtp://127.0.0.1:<port>` */
  readonly url: string;
  readonly mails: ParsedMail[];
}

/**
 * @param refuse the reply for the n-th mail (from 1), such as 550; undefined accepts it
 * @param hold what happens before the server is ready for a mail
 */
export async function startMailServer(
  refuse: (count: number) => number | undefined = () => undefined,
  hold: () => Promise<unknown> = () => Promise.resolve(),
): Promise<MailServer> {
  const mails: ParsedMail[] = [];
  let count = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    logger: false,
    onRcptTo: (_address, _session, callback) => {
      hold().then(() => callback(), callback);
    },
    onData: (stream, _session, callback) => {
      simpleParser(stream).then((mail) => {
        const code = refuse(++count);
        if (code !== undefined) {
          return callback(Object.assign(new Error("refused"), { responseCode: code }));
        }
        mails.push(mail);
        callback();
      }, callback);
    },
  });
  // A client that is killed in mid-mail is part of what is tested.
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
