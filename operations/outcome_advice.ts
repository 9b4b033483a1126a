import { troubleIn } from "./sentence.ts";
import type { Stored, StoredMessage } from "./stored.ts";

/** How the deliveries were made. */
export interface Sending {
  /** The URL that was asked for. */
  readonly url: string;
  /** The secret that was asked for. */
  readonly secret: string | undefined;
  /** The database of the local stack; undefined for any other endpoint. */
  readonly stored: Stored | undefined;
}

/** Paths that are named at most. */
const MOST_PATHS = 5;

/** The likely cause of an outcome and the next step, without full stops. Commands begin with `deno task`. */
export function adviceOn(
  outcome: string,
  message: StoredMessage | undefined,
  { url, secret, stored }: Sending,
): [string, string] {
  const log = stored === undefined ? "the function's log" : "the output of `deno task dev`";

  switch (outcome) {
    case "stale":
      return message?.isDeleted === true
        ? [`${message.objectId} was deleted, which is final`, "Use another id"]
        : [
          "something newer about the same object is stored, or it was deleted",
          "Send a newer updated_at, or use another id",
        ];
    case "ignored":
      return whyIgnored(message);
    case "bad_signature":
      return ["the webhook has another secret", whereSecretIs(secret, stored)];
    case "missing_headers":
      return ["something on the way removes the svix-… headers", "Check the proxies before --url"];
    case "method_not_allowed":
      return ["something on the way changes the method POST", "Check --url for a redirect"];
    case "incomplete":
      return ["the body broke off, or took over 10 s to arrive", "Send it again"];
    case "too_large":
      return ["the body is over 1 MiB", "Send a smaller one: Clerk's largest have about 350 kB"];
    case "unreadable":
      return message?.issues === undefined
        ? ["the event does not have Clerk's shape", `Look for path and code in ${log}`]
        : [
          `the event does not have Clerk's shape: ${issuesOf(message.issues)}`,
          "Correct it with --set or in the file; clerk_sync.inbox keeps this one",
        ];
    case "failed": {
      const trouble = troubleIn(message?.sqlstate);
      if (trouble !== undefined) {
        const [why, cure] = trouble;
        return [
          `${why} (SQLSTATE ${message?.sqlstate})`,
          `${capitalized(cure)}; clerk_sync.inbox keeps this one for \`deno task replay\``,
        ];
      }
      return [
        message?.sqlstate === undefined
          ? `the database raised an error; its SQLSTATE is in ${log}`
          : `the database raised SQLSTATE ${message.sqlstate}${quoted(message.message)}`,
        "Fix the trigger or constraint that raised it, and send the event again; clerk_sync.inbox keeps this one",
      ];
    }
    case "unavailable":
      return [
        "the database did not answer in time, or refused; nothing is stored",
        `Look for the code in ${log}, and send the event again`,
      ];
    case "no_answer":
      return [
        `nobody answers at ${url}`,
        stored === undefined ? "Check --url" : "Start a stack with `deno task dev`",
      ];
    case "http_401":
      return [
        "the gateway refuses what the webhook would check itself",
        "Deploy it with this supabase/config.toml, which has verify_jwt = false",
      ];
    case "http_404":
      return [
        `there is no function at ${url}`,
        "Check --url, and whether clerk-webhook is deployed",
      ];
    case "http_502":
    case "http_503":
      return [
        "the function does not run",
        `Look for the reason in ${log}: often a missing variable`,
      ];
    default:
      return ["something other than the webhook answered", `Check ${url}`];
  }
}

function whyIgnored(message: StoredMessage | undefined): [string, string] {
  if (message === undefined) {
    return [
      "the event is of another Clerk instance than clerk_sync.settings.instance_id, or of a type that changes no table",
      "Compare them, or look the type up in docs/events.md",
    ];
  }
  const { instance, ownInstance } = message;
  return ownInstance !== null && instance !== ownInstance
    ? [
      `the event is of Clerk instance ${instance}, and the database accepts ${ownInstance} only`,
      "Accept any: `update clerk_sync.settings set instance_id = null;`",
    ]
    : ["events of this type change no table", "docs/events.md lists those that do"];
}

function whereSecretIs(secret: string | undefined, stored: Stored | undefined): string {
  if (stored === undefined) {
    return "Compare yours with the endpoint's page in Clerk's dashboard, and this machine's clock with the time";
  }
  if (secret !== undefined) return "Leave --secret out to sign with the local one";
  return Deno.env.has("CLERK_WEBHOOK_SIGNING_SECRET")
    ? "Unset CLERK_WEBHOOK_SIGNING_SECRET in the environment, which wins over the env file"
    : "Restart `deno task dev`, which writes the env file anew";
}

function issuesOf(issues: readonly { readonly path: string; readonly code: string }[]): string {
  const named = issues.slice(0, MOST_PATHS).map(({ path, code }) => `${path || "body"}: ${code}`);
  return named.join(", ") + (issues.length > MOST_PATHS ? ", …" : "");
}

function capitalized(text: string): string {
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}`;
}

function quoted(message: string | undefined): string {
  return message === undefined ? "" : ` (${message.split("\n")[0]})`;
}
