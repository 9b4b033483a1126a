import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Issue } from "../_shared/clerk_sync/clerk.ts";
import type { ReadableEvent } from "./event.ts";

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
  /**
   * Ingests one event, with one request to PostgREST unless that must be repeated. If the event cannot be
   * applied in time, a second request keeps it as failed.
   */
  ingest(
    messageId: string,
    event: Pick<ReadableEvent, "event" | "dropped" | "asType">,
  ): Promise<Answer | Unavailable>;
  /**
   * Stores one message that could not be read.
   *
   * @param payload JSON text of an object, or an object
   */
  reject(
    messageId: string,
    type: string | null,
    issues: readonly Issue[],
    payload: string | { readonly raw: string },
  ): Promise<Answer | Unavailable>;
}

/** Deadlock and serialization failure: the transaction was rolled back and may run again. */
const WORTH_REPEATING: ReadonlySet<string> = new Set(["40P01", "40001"]);

/** How long the database may take, repeats included. */
interface Patience {
  readonly milliseconds: number;
  readonly tries: number;
}

/** Svix gives up after 15 s. */
const PATIENCE: Readonly<Record<"apply" | "keep", Patience>> = {
  apply: { milliseconds: 9_000, tries: 3 },
  keep: { milliseconds: 3_000, tries: 1 },
};

/** The database works, but cannot apply this event now: conflict, lack of resources, timeout, lock. */
const WORTH_KEEPING = /^(?:(?:40|53|57)...|55P03|timeout)$/;

/** The inbox behind PostgREST: `ingest_clerk_event`, `keep_clerk_event` and `record_clerk_rejection`. */
export function createInbox(supabase: SupabaseClient, patience = PATIENCE): Inbox {
  const ask = async (
    name: string,
    args: Readonly<Record<string, unknown>>,
    { milliseconds, tries }: Patience,
  ): Promise<Answer | Unavailable> => {
    // Not AbortSignal.timeout(): its timer cannot be cleared, and would fire 9 s after every delivery.
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
        if (!WORTH_REPEATING.has(code) || attempt === tries) {
          return { outcome: "unavailable", code };
        }
      }
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    ingest: async (message_id, { event, dropped, asType: as_type }) => {
      const args = { message_id, event, dropped, as_type };
      const answer = await ask("ingest_clerk_event", args, patience.apply);
      if (answer.outcome !== "unavailable" || !WORTH_KEEPING.test(answer.code)) return answer;

      // Without an answer the statement was cancelled, or soon will be.
      const sqlstate = answer.code === "timeout" ? "57014" : answer.code;
      const keeping = { ...args, sqlstate };
      const kept = await ask("keep_clerk_event", keeping, patience.keep);
      if (kept.outcome === "unavailable") return answer;
      // A duplicate was applied meanwhile, perhaps by the very request that got no answer.
      return kept.outcome === "failed" ? { outcome: "failed", sqlstate } : kept;
    },
    reject: (message_id, type, issues, payload) =>
      ask("record_clerk_rejection", { message_id, type, issues, payload }, patience.apply),
  };
}
