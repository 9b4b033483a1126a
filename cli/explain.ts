import type { Sent } from "./report.ts";
import type { Stored, StoredMessage } from "./stored.ts";

/** How the deliveries were made. */
interface Sending {
  /** The URL that was asked for. */
  readonly url: string;
  /** The secret that was asked for. */
  readonly secret: string | undefined;
  /** The database of the local stack; undefined for any other endpoint. */
  readonly stored: Stored | undefined;
}

/** Paths that are named at most. */
const MOST_PATHS = 5;

/** Prints, for each outcome that is no success, its likely cause and the next step. */
export async function explain(deliveries: readonly Sent[], sending: Sending): Promise<void> {
  const first = new Map<string, Sent>();
  for (const sent of deliveries) if (!first.has(sent.outcome)) first.set(sent.outcome, sent);

  for (const [outcome, { id }] of first) {
    const message = await sending.stored?.message(id);
    const why = causeOf(outcome, message, sending);
    if (why !== undefined) console.log(`\n${outcome}: ${why}`);
  }
}

function causeOf(
  outcome: string,
  message: StoredMessage | undefined,
  { url, secret, stored }: Sending,
): string | undefined {
  const log = stored === undefined ? "The function's log" : "The output of `deno task dev`";
  const inbox = "clerk_sync.inbox keeps the event.";

  switch (outcome) {
    case "applied":
      return undefined;
    case "stale":
      return message?.isDeleted === true
        ? `${message.objectId} was deleted, which is final. Use another id.`
        : "something newer about the same object is stored, or it was deleted. Send a newer updated_at, or another id.";
    case "duplicate":
      return "this message was delivered before, and took effect then.";
    case "ignored":
      return whyIgnored(message);
    case "bad_signature":
      return `the webhook has another secret. ${whereSecretIs(secret, stored)} ` +
        "If it is the right one, check this machine's clock: 5 minutes off is too much.";
    case "missing_headers":
      return "something on the way removes the svix-… headers. Check the proxies before --url.";
    case "method_not_allowed":
      return "something on the way turns POST into another method. Check --url for a redirect.";
    case "incomplete":
      return "the body broke off, or took over 10 s to arrive. Send it again.";
    case "too_large":
      return "the body is over 1 MiB. Clerk's largest have about 350 kB: send a smaller one.";
    case "unreadable":
      return message?.issues === undefined
        ? `the event does not have Clerk's shape. ${inbox} ${log} names path and code.`
        : `the event does not have Clerk's shape: ${
          issuesOf(message)
        }. ${inbox} Correct it with --set or in the file.`;
    case "failed":
      return message?.sqlstate === undefined
        ? `the database raised an error while it applied the event. ${inbox} ${log} has the SQLSTATE.`
        : `the database raised ${message.sqlstate}${quoted(message.message)}. ${inbox} ` +
          "If a trigger or constraint of yours raised it, fix that, and send the event again.";
    case "unavailable":
      return `the database gave the webhook no answer in time, or refused. Nothing is stored. ${log} has the code.`;
    case "no_answer":
      return stored === undefined
        ? `nobody answers at ${url}. Check --url.`
        : `nobody answers at ${url}. Start a stack with \`deno task dev\`.`;
    case "http_401":
      return "the gateway refuses, before the webhook. Deploy the function with this supabase/config.toml, which has verify_jwt = false.";
    case "http_404":
      return `there is no function at ${url}. Check --url, and whether clerk-webhook is deployed.`;
    case "http_502":
    case "http_503":
      return `the function does not run. ${log} names the reason, often a missing variable.`;
    default:
      return `this is no answer of the webhook. Check ${url}.`;
  }
}

function whyIgnored(message: StoredMessage | undefined): string {
  if (message === undefined) {
    return "the event is of another Clerk instance than clerk_sync.settings.instance_id, or of a type that changes no table (docs/events.md).";
  }
  const { instance, ownInstance } = message;
  return ownInstance !== null && instance !== null && instance !== ownInstance
    ? `the event is of Clerk instance ${instance}, and clerk_sync.settings.instance_id accepts ${ownInstance} only. Set that to null to accept any.`
    : "events of this type change no table. docs/events.md lists those that do.";
}

function whereSecretIs(secret: string | undefined, stored: Stored | undefined): string {
  if (stored === undefined) return "Compare yours with the endpoint's page in Clerk's dashboard.";
  if (secret !== undefined) return "Leave --secret out to sign with the local one.";
  return Deno.env.has("CLERK_WEBHOOK_SIGNING_SECRET")
    ? "CLERK_WEBHOOK_SIGNING_SECRET of the environment wins over the env file: unset it."
    : "Restart `deno task dev`, which writes the env file anew.";
}

function issuesOf({ issues = [] }: StoredMessage): string {
  const named = issues.slice(0, MOST_PATHS).map(({ path, code }) => `${path || "body"}: ${code}`);
  return named.join(", ") + (issues.length > MOST_PATHS ? ", …" : "");
}

function quoted(message: string | undefined): string {
  return message === undefined ? "" : ` (${message.split("\n")[0]})`;
}
