import {
  allPowerfulWarning,
  apiKey,
  ConfigurationError,
  projectUrl,
  required,
} from "../_shared/clerk_sync/configuration.ts";
import type { Log } from "../_shared/clerk_sync/log.ts";
import type { Handler } from "./drain/change.ts";
import { type Handlers, handlerTable } from "./handlers/mod.ts";
import { createForward } from "./handlers/forward.ts";
import { createResend } from "./handlers/welcome_email/resend.ts";
import { createSmtp } from "./handlers/welcome_email/smtp.ts";
import { createWelcomeEmail } from "./handlers/welcome_email/mod.ts";
import { createQueue, type WelcomeBook } from "./drain/queue.ts";
import { SETTINGS, type WorkerDeps } from "./drain/worker.ts";

type Read = (variable: string) => string | undefined;

/**
 * Makes the worker from an environment. A handler that is not configured is off, and the log says so
 * once.
 *
 * @param read a variable of the environment, undefined when it is not set
 * @throws {ConfigurationError} when something is missing or malformed
 */
export function configureWorker(read: Read, log: Log): WorkerDeps {
  const key = apiKey("clerk_worker", read);
  if (key.isAllPowerful) log(allPowerfulWarning("clerk_worker"));

  const queue = createQueue(projectUrl(read), key.key);
  const all: Handlers = {
    forward: forward(read, log),
    welcomeEmail: welcomeEmail(read, log, queue.welcomes),
  };
  const handlers = handlerTable(all);
  return { queue, handlers, log, settings: { ...SETTINGS, maxReads: maxReads(read) } };
}

function maxReads(read: Read): number {
  const number = Number(read("CLERK_WORKER_MAX_READS") || SETTINGS.maxReads);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new ConfigurationError("Cannot start as CLERK_WORKER_MAX_READS is no whole number above 0");
}

function forward(read: Read, log: Log): Handler | undefined {
  const urls = read("FORWARD_URLS")?.split(/[\s,]+/).filter((url) => url !== "") ?? [];
  if (urls.length === 0) return off("forward", "FORWARD_URLS", log);

  const secret = required(
    "FORWARD_SIGNING_SECRET",
    read,
    "whsec_ and base64; your receivers verify with it",
  );
  if (!SIGNING_SECRET.test(secret)) {
    throw new ConfigurationError(
      "Cannot start as FORWARD_SIGNING_SECRET is malformed: it is whsec_ and base64",
    );
  }
  return createForward({ urls: urls.map((url) => urlOf("FORWARD_URLS", url, HTTP)), secret });
}

/** Padded, because libraries of other languages insist on it. */
const SIGNING_SECRET =
  /^whsec_(?=.{16})(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const HTTP = ["http:", "https:"];
const SMTP = ["smtp:", "smtps:"];

function urlOf(variable: string, text: string, protocols: readonly string[]): URL {
  const url = URL.parse(text);
  if (url !== null && protocols.includes(url.protocol)) return url;
  throw new ConfigurationError(
    `Cannot start as ${variable} holds what is no ${protocols.join(" or ")} URL`,
  );
}

function welcomeEmail(read: Read, log: Log, welcomes: WelcomeBook): Handler | undefined {
  const resend = read("RESEND_API_KEY")?.trim();
  const smtp = read("SMTP_URL")?.trim();
  if (!resend && !smtp) return off("welcome_email", "RESEND_API_KEY or SMTP_URL", log);

  return createWelcomeEmail({
    send: resend
      ? createResend(resend, read("RESEND_URL") || undefined)
      : createSmtp(urlOf("SMTP_URL", smtp ?? "", SMTP).href),
    welcomes,
    from: sender(read),
    app: required("WELCOME_APP", read, "what the mail calls your application"),
  });
}

function sender(read: Read): string {
  const text = required("WELCOME_FROM", read, `the sender, such as ${A_SENDER}`);
  if (/^([^<>\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/.test(text)) return text;
  throw new ConfigurationError(
    `Cannot start as WELCOME_FROM is no address: write it as ${A_SENDER}`,
  );
}

const A_SENDER = "Lantern Works <hello@example.com>";

function off(handler: string, variable: string, log: Log): undefined {
  log({ level: "info", message: `${handler} is off: ${variable} is not set` });
}
