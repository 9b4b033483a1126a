import { z } from "zod";
import { adviceOn } from "../../operations/outcome_advice.ts";
import type { Refusal, Refusals } from "../api.ts";

/** Refusals that are kept. */
export const MOST_REFUSALS = 1000;

/** The outcomes of requests of which nothing is stored. */
const REFUSED = [
  "bad_signature",
  "missing_headers",
  "too_large",
  "incomplete",
  "method_not_allowed",
  "unavailable",
] as const;

const Entry = z.object({
  outcome: z.enum(REFUSED),
  status: z.number(),
  message_id: z.string().optional(),
  /** Why it is unavailable. */
  code: z.string().optional(),
  caller: z.string().optional(),
});

type Entry = z.infer<typeof Entry> & { readonly at: Date };

/** The newest requests that the webhook refused before anything was stored, from the lines of its log. */
export class RefusalRing {
  readonly #since = new Date();
  readonly #counts: Record<string, number> = {};
  #entries: Entry[] = [];
  #number = 0;

  /** How many there have been. */
  get number(): number {
    return this.#number;
  }

  /** Takes a line of the webhook's log, and keeps it if it is of a refusal. What `doctor` asks is none. */
  note(line: string, at = new Date()): void {
    const entry = entryIn(line);
    if (entry === undefined || entry.caller === "doctor") return;
    this.#number++;
    this.#counts[entry.outcome] = (this.#counts[entry.outcome] ?? 0) + 1;
    this.#entries.push({ ...entry, at });
    if (this.#entries.length >= 2 * MOST_REFUSALS) {
      this.#entries = this.#entries.slice(-MOST_REFUSALS);
    }
  }

  /**
   * The newest ones.
   *
   * @param words a sentence with `deno task` as the user types it
   * @param webhookUrl where the requests came to
   */
  list(words: (text: string) => string, webhookUrl: string, most = MOST_REFUSALS): Refusals {
    return {
      refusals: this.#entries.slice(-Math.min(most, MOST_REFUSALS)).reverse()
        .map((entry) => told(entry, words, webhookUrl)),
      counts: { ...this.#counts },
      since: this.#since.toISOString(),
    };
  }
}

function entryIn(line: string): z.infer<typeof Entry> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return Entry.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function told(
  { at, status, outcome, message_id, code }: Entry,
  words: (text: string) => string,
  webhookUrl: string,
): Refusal {
  const [cause, cure] = outcome === "bad_signature"
    ? [
      "the signature does not match: the sender has another secret, or its clock is over 5 minutes off",
      "If Clerk sent it, start `deno task dev` with CLERK_WEBHOOK_SIGNING_SECRET from the endpoint's page in Clerk's dashboard",
    ]
    : outcome === "missing_headers"
    ? [
      "the request has no svix-… headers: it is not Clerk's, or a proxy removes them",
      "If Clerk sent it, check the tunnel or the proxy before the webhook",
    ]
    : outcome === "unavailable" && code !== undefined
    ? [
      `the database did not answer in time, or refused (${code}); nothing is stored`,
      "Clerk sends it again by itself; docs/operations.md says what the code means",
    ]
    : adviceOn(outcome, undefined, { url: webhookUrl, secret: undefined, stored: undefined });
  return {
    at: at.toISOString(),
    status,
    outcome,
    message_id: message_id ?? null,
    sentence: words(sentence(cause)),
    cure: words(sentence(cure)),
  };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
