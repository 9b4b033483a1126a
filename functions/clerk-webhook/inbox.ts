import { z } from "zod";
import { connect } from "../_shared/clerk_sync/supabase.ts";
import type { Issue } from "./clerk.ts";
import type { Json } from "./json.ts";

/** What the database did with a message. */
export const Answer = z.object({
  outcome: z.enum(["applied", "stale", "duplicate", "ignored", "unreadable", "failed"]),
  /** SQLSTATE of the error, if failed. */
  sqlstate: z.string().optional(),
  /** What is wrong with the event, if unreadable. */
  issues: z.array(z.object({ path: z.string(), code: z.string() })).optional(),
});
export type Answer = z.infer<typeof Answer>;

/** The database did not answer, or its answer was not understood. Nothing was stored. */
export interface Unavailable {
  readonly outcome: "unavailable";
  /** SQLSTATE, PostgREST's code (PGRST…), `timeout`, `no_answer` or `strange_answer`. */
  readonly code: string;
}

/** Where authentic messages go. */
export interface Inbox {
  /** Ingests one event, with one request to PostgREST unless that must be repeated. */
  ingest(messageId: string, event: Json): Promise<Answer | Unavailable>;
  /** Stores one message that could not be read. */
  reject(
    messageId: string,
    type: string | null,
    issues: readonly Issue[],
    payload: Json,
  ): Promise<Answer | Unavailable>;
}

export interface InboxOptions {
  /** Base URL of the Supabase project. */
  readonly url: string;
  /** A secret key, preferably one with the role `clerk_ingest`. */
  readonly key: string;
  /** Time limit for the database in ms, repeats included; Svix gives up after 15 s. */
  readonly milliseconds?: number;
}

/** Deadlock and serialization failure: the transaction was rolled back and may run again. */
const WORTH_REPEATING: ReadonlySet<string> = new Set(["40P01", "40001"]);
const TRIES = 3;

/** The inbox behind PostgREST: `ingest_clerk_event` and `record_clerk_rejection`. */
export function createInbox({ url, key, milliseconds = 10_000 }: InboxOptions): Inbox {
  const supabase = connect(url, key);

  return {
    ingest: (messageId, event) =>
      ask(milliseconds, (signal) =>
        supabase
          .rpc("ingest_clerk_event", { message_id: messageId, event })
          .retry(false)
          .abortSignal(signal)),

    reject: (messageId, type, issues, payload) =>
      ask(milliseconds, (signal) =>
        supabase
          .rpc("record_clerk_rejection", { message_id: messageId, type, issues, payload })
          .retry(false)
          .abortSignal(signal)),
  };
}

interface RpcResult {
  readonly data: unknown;
  readonly error: { readonly code?: string; readonly message: string } | null;
}

async function ask(
  milliseconds: number,
  call: (signal: AbortSignal) => PromiseLike<RpcResult>,
): Promise<Answer | Unavailable> {
  // Not AbortSignal.timeout(): its timer cannot be cleared, and would fire 10 s after every delivery.
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), milliseconds);

  try {
    for (let attempt = 1;; attempt++) {
      const { data, error } = await call(deadline.signal);

      if (error === null) {
        const answer = Answer.safeParse(data);
        return answer.success ? answer.data : { outcome: "unavailable", code: "strange_answer" };
      }
      if (deadline.signal.aborted) return { outcome: "unavailable", code: "timeout" };

      const code = error.code || "no_answer";
      if (!WORTH_REPEATING.has(code) || attempt === TRIES) return { outcome: "unavailable", code };
    }
  } finally {
    clearTimeout(timer);
  }
}
