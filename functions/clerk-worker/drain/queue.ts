import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { Change, type MessageRead, type Settlement } from "./change.ts";

/** The messages of one read. */
export interface Batch {
  readonly changes: readonly Change[];
  /** Messages that are not changes: something else put them on the queue. */
  readonly malformed: readonly MessageRead[];
}

/** The queue `clerk_changes`, as the worker sees it. */
export interface Queue {
  /** Takes up to `batch` messages; for `visibilitySeconds` no other worker gets them. */
  read(batch: number, visibilitySeconds: number): Promise<Batch>;
  settle(settlements: readonly Settlement[]): Promise<void>;
}

/**
 * A call of the database failed. The message is PostgREST's code, an SQLSTATE, `http_<status>` for an
 * answer without a code, or `timeout`, `no_answer` or `strange_answer`.
 */
export class QueueError extends Error {
  override name = "QueueError";
}

/** Time limit for the database, ms. */
const TIMEOUT = 10_000;

const Message = z.looseObject(Change.pick({ message_id: true, reads: true }).shape);

/** The queue behind PostgREST. */
export function createQueue(supabase: SupabaseClient): Queue {
  return {
    read: async (batch, visibilitySeconds) => {
      const messages = await call(supabase, "read_clerk_changes", {
        batch,
        visibility_seconds: visibilitySeconds,
      }, z.array(Message));

      const changes: Change[] = [];
      const malformed: MessageRead[] = [];
      for (const message of messages) {
        const change = Change.safeParse(message);
        if (change.success) changes.push(change.data);
        else malformed.push(message);
      }
      return { changes, malformed };
    },

    settle: async (settlements) => {
      await call(supabase, "settle_clerk_changes", { settlements });
    },
  };
}

/**
 * Calls a function of the database and checks its answer.
 *
 * @throws {QueueError} without the database's text, which could quote data
 */
export async function call<Shape extends z.ZodType = z.ZodUnknown>(
  supabase: SupabaseClient,
  name: string,
  args: Readonly<Record<string, unknown>>,
  shape?: Shape,
  milliseconds = TIMEOUT,
): Promise<z.infer<Shape>> {
  const signal = AbortSignal.timeout(milliseconds);
  const { data, error, status } = await supabase.rpc(name, args).abortSignal(signal);
  if (error !== null) {
    const code = error.code || (status > 0 ? `http_${status}` : "no_answer");
    throw new QueueError(signal.aborted ? "timeout" : code);
  }

  const answer = (shape ?? z.unknown()).safeParse(data);
  if (!answer.success) throw new QueueError("strange_answer");
  return answer.data as z.infer<Shape>;
}
