import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
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

/** Deadlock and serialization failure: the transaction was rolled back and may run again. */
const WORTH_REPEATING: ReadonlySet<string> = new Set(["40P01", "40001"]);
const TRIES = 3;

/**
 * The inbox behind PostgREST: `ingest_clerk_event` and `record_clerk_rejection`.
 *
 * @param milliseconds time limit for the database, repeats included; Svix gives up after 15 s
 */
export function createInbox(supabase: SupabaseClient, milliseconds = 10_000): Inbox {
  const ask = async (
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<Answer | Unavailable> => {
    // Not AbortSignal.timeout(): its timer cannot be cleared, and would fire 10 s after every delivery.
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), milliseconds);

    try {
      for (let attempt = 1;; attempt++) {
        const { data, error } = await supabase.rpc(name, args)
          .retry(false)
          .abortSignal(deadline.signal);

        if (error === null) {
          return Answer.safeParse(data).data ?? { outcome: "unavailable", code: "strange_answer" };
        }
        if (deadline.signal.aborted) return { outcome: "unavailable", code: "timeout" };

        const code = error.code || "no_answer";
        if (!WORTH_REPEATING.has(code) || attempt === TRIES) {
          return { outcome: "unavailable", code };
        }
      }
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    ingest: (message_id, event) => ask("ingest_clerk_event", { message_id, event }),
    reject: (message_id, type, issues, payload) =>
      ask("record_clerk_rejection", { message_id, type, issues, payload }),
  };
}
