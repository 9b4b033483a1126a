import * as z from "zod/mini";
import type { Issue } from "./event.ts";
import type { Json } from "./json.ts";
import { connect } from "../_shared/clerk_sync/supabase.ts";

/** What the database made of a message. */
export const Answer = z.object({
  outcome: z.enum(["applied", "stale", "duplicate", "ignored", "unreadable", "failed"]),
  /** SQLSTATE of what raised, when failed. */
  sqlstate: z.optional(z.string()),
  /** Where the event is not what it should be, when unreadable. */
  issues: z.optional(z.array(z.object({ path: z.string(), code: z.string() }))),
});
export type Answer = z.infer<typeof Answer>;

/** The database did not answer, or not to the question. Nothing was kept. */
export interface Unavailable {
  readonly outcome: "unavailable";
  /** SQLSTATE, PostgREST's code (PGRST…), `timeout`, `no_answer` or `strange_answer`. */
  readonly code: string;
}

/** Where authentic messages go. */
export interface Inbox {
  /** Ingests one event: one request to PostgREST, unless it must be repeated. */
  ingest(messageId: string, event: Json): Promise<Answer | Unavailable>;
  /** Keeps one message that could not be read. */
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
  /** A secret key, best one whose role is `clerk_ingest`. */
  readonly key: string;
  /** How long the database may take in all, repeats included; Svix gives up after 15 s. */
  readonly milliseconds?: number;
}

/** Deadlock and serialization failure: the transaction left nothing behind and may run again. */
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
          .rpc("record_clerk_rejection", {
            message_id: messageId,
            // The generated types know no null arguments.
            type: type as string,
            issues: issues.map(({ path, code }) => ({ path, code })),
            payload,
          })
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
  // Not AbortSignal.timeout(), whose timer goes off 10 s after every delivery, long answered.
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), milliseconds);

  try {
    for (let attempt = 1;; attempt++) {
      const { data, error } = await call(impatience.signal);

      if (error === null) {
        const answer = Answer.safeParse(data);
        return answer.success ? answer.data : { outcome: "unavailable", code: "strange_answer" };
      }
      if (impatience.signal.aborted) return { outcome: "unavailable", code: "timeout" };

      const code = error.code || "no_answer";
      if (!WORTH_REPEATING.has(code) || attempt === TRIES) return { outcome: "unavailable", code };
    }
  } finally {
    clearTimeout(timer);
  }
}
