import { z } from "zod";
import { type Change, type Handler, HandlerError } from "../../drain/change.ts";
import type { WelcomeBook } from "../../drain/queue.ts";

/** One mail, ready to be sent. */
export interface Mail {
  /** The same for every attempt to greet this person: for idempotency keys and Message-ID. */
  readonly key: string;
  readonly from: string;
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * Hands a mail to a mail server. Throws a {@link HandlerError} when it was not accepted, or when it is
 * harmless to hand it over again; an {@link AcceptanceUnknown} when nobody can tell.
 */
export type SendMail = (mail: Mail, signal: AbortSignal) => Promise<void>;

/** The mail server has the whole mail, and has not said whether it accepts it. */
export class AcceptanceUnknown extends HandlerError {
  override name = "AcceptanceUnknown";
}

export interface WelcomeOptions {
  readonly send: SendMail;
  readonly welcomes: WelcomeBook;
  /** `Lantern Works <hello@example.com>`. */
  readonly from: string;
  /** What the mail calls the application. */
  readonly app: string;
  /** The clock, ms since the epoch. */
  readonly now?: () => number;
}

const DAY = 24 * 3600_000;
/** Longer than one attempt can take. */
const LEASE_SECONDS = 60;
/** How long is waited before each try to note that a mail was accepted, ms. */
const NOTE_AFTER = [0, 200, 1000];

const Greetable = z.object({
  id: z.string(),
  email: z.string(),
  email_verified: z.literal(true),
  first_name: z.string().nullable(),
  created_at: z.string(),
  deleted_at: z.null(),
});

/**
 * Greets a person once: the first time their profile has a verified address, if Clerk made them in
 * the last 24 hours and the change did not come by a snapshot, so that a backfill greets nobody.
 *
 * The claim in the database keeps two runs from sending twice. What remains is the moment between the
 * mail server's acceptance and the note of it: if the worker or the database is gone there, the mail
 * goes out again after the lease. A mail server that took the mail and never answered is taken to
 * have accepted it: rather no greeting than twelve.
 */
export function createWelcomeEmail(options: WelcomeOptions): Handler {
  const { send, welcomes, from, app, now = Date.now } = options;

  return {
    name: "welcome_email",
    run: async (change, signal) => {
      const person = greetable(change, now());
      if (person === undefined) return;

      const claim = crypto.randomUUID();
      const found = await welcomes.claim(person.id, claim, LEASE_SECONDS);
      if (found === "sent") return;
      if (found === "busy") throw new HandlerError("busy");

      try {
        await send(compose(person, from, app), signal);
      } catch (error) {
        if (error instanceof AcceptanceUnknown) await note(welcomes, person.id, claim);
        // A claim that cannot be given back runs out by itself.
        else await welcomes.settle(person.id, claim, false).catch(() => {});
        throw error;
      }
      await note(welcomes, person.id, claim);
    },
  };
}

/** Notes an accepted mail. Worth some tries: without the note it goes out again. */
async function note(welcomes: WelcomeBook, userId: string, claim: string): Promise<void> {
  for (const milliseconds of NOTE_AFTER) {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    try {
      return await welcomes.settle(userId, claim, true);
    } catch {
      // Once more.
    }
  }
  throw new HandlerError("sent_not_noted");
}

function greetable(change: Change, now: number): z.infer<typeof Greetable> | undefined {
  // Whoever had a verified address before, or has it from a backfill, is no newcomer.
  if (change.via === "snapshot" || !change.changed.includes("email_verified")) return undefined;
  const person = Greetable.safeParse(change.row).data;
  return person !== undefined && now - Date.parse(person.created_at) < DAY ? person : undefined;
}

function compose(person: z.infer<typeof Greetable>, from: string, app: string): Mail {
  // No line breaks in what becomes a header, and nothing from the person that is not escaped.
  const name = oneLine(person.first_name ?? "");
  const greeting = name === "" ? "Hello" : `Hello ${name}`;

  return {
    key: `welcome.${person.id}`,
    from,
    to: { name, address: person.email },
    subject: `Welcome to ${oneLine(app)}`,
    text: `${greeting},\n\nwelcome to ${app}. Good to have you.\n`,
    html: `<p>${escape(greeting)},</p>\n<p>welcome to ${escape(app)}. Good to have you.</p>\n`,
  };
}

function oneLine(text: string): string {
  // Control characters, line breaks, and what turns the direction of the text around.
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
