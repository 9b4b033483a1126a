import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { call, QueueError } from "../functions/clerk-worker/drain/queue.ts";

/** What `clerk_changes_status` returns. */
export const QueueStatus = z.object({
  waiting: z.number(),
  in_flight: z.number(),
  retrying: z.number(),
  failures: z.array(
    z.object({ handler: z.string(), error_class: z.string(), changes: z.number() }),
  ),
  oldest_seconds: z.number().nullable(),
  dead: z.number(),
});

export type QueueStatus = z.infer<typeof QueueStatus>;

/** The error classes of dead letters, with how many of the newest 500 changes have each. */
export type DeathCauses = Readonly<Record<string, number>>;

const Changes = z.array(z.object({ state: z.string(), error_class: z.string().nullable() }));

/** Changes that are not done yet. */
export function depthOf(
  { waiting, in_flight, retrying }: Pick<QueueStatus, "waiting" | "in_flight" | "retrying">,
): number {
  return waiting + in_flight + retrying;
}

/**
 * The state of the queue.
 *
 * @throws {QueueError} when the database cannot be reached
 */
export function readQueueStatus(supabase: SupabaseClient): Promise<QueueStatus> {
  return call(supabase, "clerk_changes_status", {}, QueueStatus);
}

/**
 * Why dead letters are dead; empty for a key that may not list them, such as the worker's own.
 *
 * @throws {QueueError} when the database cannot be reached
 */
export async function readDeathCauses(supabase: SupabaseClient): Promise<DeathCauses> {
  const changes = await call(supabase, "list_clerk_changes", { max_rows: 500 }, Changes)
    .catch((error) => {
      if (error instanceof QueueError && /^(?:42501|PGRST202)$/.test(error.message)) return [];
      throw error;
    });
  const causes: Record<string, number> = {};
  for (const { state, error_class } of changes) {
    if (state === "dead") {
      causes[error_class ?? "unknown"] = (causes[error_class ?? "unknown"] ?? 0) + 1;
    }
  }
  return causes;
}

/**
 * Puts all dead letters back on the queue, and returns how many there were.
 *
 * @param onBatch is told how many there are so far, once for each batch
 * @throws {QueueError} when the database cannot be reached
 */
export async function redrive(
  supabase: SupabaseClient,
  onBatch: (total: number) => void = () => {},
): Promise<number> {
  for (let total = 0;;) {
    const redriven = await call(supabase, "redrive_clerk_changes", {}, z.number(), 60_000);
    if (redriven === 0) return total;
    total += redriven;
    onBatch(total);
  }
}
