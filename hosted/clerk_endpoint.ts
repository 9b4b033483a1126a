import {
  ConfigurationError,
  signingSecret,
} from "../functions/_shared/clerk_sync/configuration.ts";
import { StartError } from "../local/start_error.ts";

export const SIGNING_SECRET = "CLERK_WEBHOOK_SIGNING_SECRET";

/** The kinds of events that change rows. */
export const EVENTS: readonly string[] = [
  "user",
  "organization",
  "organizationMembership",
  "organizationInvitation",
  "role",
  "permission",
  "subscriptionItem",
];

const WEBHOOKS_PAGE = "https://dashboard.clerk.com/~/webhooks";

/** The endpoints to which a Clerk application sends its events. */
export interface ClerkEndpoints {
  /** The signing secret of the endpoint with this URL; undefined if it is not known. */
  find(url: string): Promise<string | undefined>;
  /** Adds an endpoint that receives these kinds of events, and returns its signing secret. */
  make(url: string, events: readonly string[]): Promise<string>;
}

/**
 * Endpoints that people add in Clerk's dashboard, because Clerk's API cannot.
 *
 * @param read the environment
 * @param terminal shows a text, opens a page in a browser, and asks for what must not be shown:
 * undefined when the question is left without an answer
 */
export function dashboardEndpoints(
  read: (name: string) => string | undefined,
  terminal: {
    readonly show: (text: string) => void;
    readonly open: (url: string) => void;
    readonly askHidden: (question: string) => string | undefined;
  },
): ClerkEndpoints {
  return {
    find: () => {
      const given = read(SIGNING_SECRET)?.trim();
      return Promise.resolve(given ? checked(given) : undefined);
    },
    make: (url, events) => {
      terminal.show(
        [
          "",
          "In the Clerk dashboard, add an endpoint:",
          `  Page      ${WEBHOOKS_PAGE}`,
          `  URL       ${url}`,
          `  Events    all of ${events.join(", ")}`,
          "Then copy its Signing Secret. Until the function is deployed, Clerk's deliveries fail and are retried.",
        ].join("\n"),
      );
      terminal.open(WEBHOOKS_PAGE);
      for (;;) {
        const given = terminal.askHidden("Signing Secret (it is not shown): ")?.trim();
        if (!given) throw new StartError("Cannot go on as no signing secret was given");
        try {
          return Promise.resolve(checked(given));
        } catch (error) {
          terminal.show((error as Error).message);
        }
      }
    },
  };
}

/** One secret or several, as the webhook reads them. */
function checked(secrets: string): string {
  try {
    for (const secret of secrets.split(/[\s,]+/)) {
      signingSecret(
        SIGNING_SECRET,
        secret,
        "copy it from the endpoint's page in the Clerk dashboard",
      );
    }
    return secrets;
  } catch (error) {
    if (error instanceof ConfigurationError) {
      throw new StartError(
        error.message.replace("Cannot start as", "Cannot use the signing secret:"),
      );
    }
    throw error;
  }
}
