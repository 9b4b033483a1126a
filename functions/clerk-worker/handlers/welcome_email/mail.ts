import { HandlerError } from "../../drain/handler.ts";

/** One mail, ready to be sent. */
export interface Mail {
  /** The same on every attempt to greet this person: for idempotency keys and the Message-ID. */
  readonly key: string;
  readonly from: string;
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * Hands a mail to a mail server. Throws a {@link HandlerError} if the mail was not accepted, or if
 * handing it over again does no harm; an {@link AcceptanceUnknown} if acceptance cannot be determined.
 *
 * @param confirm asks once more whether the mail is wanted. A sender that first has to connect calls it
 *   when the server is ready for the mail, and passes on what it throws
 */
export type SendMail = (
  mail: Mail,
  signal: AbortSignal,
  confirm: () => Promise<void>,
) => Promise<void>;

/** The mail server has the whole mail, and did not say whether it accepts it. */
export class AcceptanceUnknown extends HandlerError {
  override name = "AcceptanceUnknown";
}
