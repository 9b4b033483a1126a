import { z } from "zod";
import {
  ConfigurationError,
  urlOf,
  wholeNumber,
} from "../../../_shared/clerk_sync/configuration.ts";
import type { Log } from "../../../_shared/clerk_sync/log.ts";
import type { Change } from "../../drain/change.ts";
import { defineHandler, HandlerError, type Run } from "../../drain/handler.ts";
import { createWelcomeMails, type WelcomeMails } from "./claim.ts";
import { AcceptanceUnknown, type Mail, type SendMail } from "./mail.ts";
import { createResend } from "./resend.ts";
import { createSmtp } from "./smtp.ts";

const A_SENDER = "Lantern Works <hello@example.com>";

export default defineHandler({
  name: "welcome_email",
  // A profile can be updated to its first verified address.
  topics: ["profile.created", "profile.updated"],
  variables: {
    RESEND_API_KEY: "sends through Resend",
    RESEND_URL: "another endpoint of Resend's API, for tests",
    SMTP_URL: "smtps://user:password@host:465; sends by SMTP if there is no RESEND_API_KEY",
    WELCOME_FROM: `the sender, such as ${A_SENDER}`,
    WELCOME_APP: "what the mail calls your application",
    WELCOME_PER_HOUR: "how many people are greeted within an hour at most",
  },
  needs: "RESEND_API_KEY or SMTP_URL",
  create: ({ read, required, supabase, log }) => {
    const resend = read("RESEND_API_KEY");
    const smtp = read("SMTP_URL");
    if (resend === undefined && smtp === undefined) return undefined;

    return createWelcomeEmail({
      send: resend !== undefined
        ? createResend(resend, read("RESEND_URL"))
        : createSmtp(urlOf("SMTP_URL", smtp ?? "", "smtp:", "smtps:").href),
      welcomes: createWelcomeMails(supabase),
      from: addressOf(required("WELCOME_FROM")),
      app: required("WELCOME_APP"),
      perHour: wholeNumber("WELCOME_PER_HOUR", read("WELCOME_PER_HOUR"), 30),
      log,
    });
  },
});

function addressOf(text: string): string {
  if (/^([^<>\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/.test(text)) return text;
  throw new ConfigurationError(
    `Cannot start as WELCOME_FROM is not an address: write it as ${A_SENDER}`,
  );
}

export interface WelcomeOptions {
  readonly send: SendMail;
  readonly welcomes: WelcomeMails;
  /** `Lantern Works <hello@example.com>`. */
  readonly from: string;
  /** What the mail calls the application. */
  readonly app: string;
  /** How many people are greeted within an hour at most. */
  readonly perHour: number;
  readonly log: Log;
  /** The clock, ms since the epoch. */
  readonly now?: () => number;
}

const HOUR = 3600_000;
const DAY = 24 * HOUR;
/** Longer than one attempt can take. */
const LEASE_SECONDS = 60;
/** The delays before each attempt to record that a mail was accepted, ms. */
const RECORD_AFTER = [0, 200, 1000];

/** Clerk's test addresses (https://clerk.com/docs/testing/test-emails-and-phones): nobody reads them. */
const TEST_ADDRESS = /\+clerk_test[^@]*@[^@]*$/i;

/** A profile with a verified address. */
const Greetable = z.object({
  id: z.string(),
  email: z.string(),
  email_verified: z.literal(true),
  first_name: z.string().nullable(),
  created_at: z.string(),
  deleted_at: z.null(),
});
type Greetable = z.infer<typeof Greetable>;

/**
 * Greets a person once: the first time their profile has a verified address, if Clerk created the user
 * in the last 24 hours, and not by an import. More than `perHour` people within an hour are an import,
 * too: whoever is over it is skipped for good.
 *
 * The claim in the database keeps two runs from sending twice. One gap remains: if the worker or the
 * database fails after the mail server accepted the mail and before that is recorded, the mail goes out
 * again after the lease. If a mail server takes the mail and never answers, the mail counts as
 * accepted: no greeting is better than twelve.
 */
export function createWelcomeEmail(options: WelcomeOptions): Run {
  const { send, welcomes, from, app, perHour, log, now = Date.now } = options;
  let lastSaid = -Infinity;

  const sayOver = (): void => {
    if (now() - lastSaid < HOUR) return;
    lastSaid = now();
    log({
      level: "warn",
      message: `welcome_email skips people: WELCOME_PER_HOUR is ${perHour}`,
    });
  };

  return async (change, signal) => {
    const person = greetable(change, now());
    if (person === undefined) return;

    const claim = crypto.randomUUID();
    const take = async (): Promise<boolean> => {
      const found = await welcomes.claim({
        userId: person.id,
        claim,
        leaseSeconds: LEASE_SECONDS,
        perHour,
        causedBy: change.caused_by,
      });
      if (found === "busy") throw new HandlerError("busy");
      if (found === "over") sayOver();
      return found === "claimed";
    };
    if (!await take()) return;

    try {
      await send(compose(person, from, app), signal, async () => {
        if (!await take()) throw new Unwanted();
      });
    } catch (error) {
      if (error instanceof AcceptanceUnknown) await recordSent(welcomes, person.id, claim);
      // A claim that cannot be released expires with its lease.
      else await welcomes.settle(person.id, claim, false).catch(() => {});
      if (error instanceof Unwanted) return;
      throw error;
    }
    await recordSent(welcomes, person.id, claim);
  };
}

/** The person was deleted, or greeted by another attempt, while the mail server was connected to. */
class Unwanted extends Error {
  override name = "Unwanted";
}

/** Records an accepted mail. Tries several times: without the record the mail goes out again. */
async function recordSent(welcomes: WelcomeMails, userId: string, claim: string): Promise<void> {
  for (const milliseconds of RECORD_AFTER) {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    try {
      return await welcomes.settle(userId, claim, true);
    } catch {
      // Try again.
    }
  }
  throw new HandlerError("sent_not_noted");
}

function greetable(change: Change, now: number): Greetable | undefined {
  // Whom a backfill or a reconcile found need not be new.
  if (change.via === "snapshot") return undefined;
  // Someone who had a verified address before is not new.
  if (!change.changed.includes("email_verified")) return undefined;
  const person = Greetable.safeParse(change.row).data;
  if (person === undefined || TEST_ADDRESS.test(person.email)) return undefined;
  return now - Date.parse(person.created_at) < DAY ? person : undefined;
}

function compose(person: Greetable, from: string, app: string): Mail {
  // No line breaks in headers, and no unescaped text in the HTML.
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
  // Control characters, line breaks, and characters that change the direction of the text.
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
