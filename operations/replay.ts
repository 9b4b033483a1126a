import type { SupabaseClient } from "@supabase/supabase-js";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { isJsonObject, type Json } from "../functions/_shared/clerk_sync/json.ts";
import { readEvent } from "../functions/clerk-webhook/event.ts";
import { call, QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { troubleIn } from "./sentence.ts";

/** The outcomes of messages that wait for a replay. */
export const WAITING_OUTCOMES: readonly string[] = ["failed", "unreadable"];

/** `list_clerk_messages` counts no further. */
export const MOST_COUNTED = 10_000;

/** Messages that are listed at a time. */
const PAGE = 100;
/** Messages that are replayed at the same time. */
const AT_ONCE = 4;
/** Time limit for the database, ms. A message may wait for locks, and for the application's triggers. */
const TIMEOUT = 60_000;
/** The database works, but cannot apply a message now: conflict, lack of resources, timeout, lock. */
const WORTH_REPEATING = /^(?:(?:40|53|57)...|55P03|timeout)$/;
const TRIES = 3;
/** How long to wait before another try, ms. */
const PAUSE = 300;
/** Issues that are named at most. */
const MOST_ISSUES = 5;

const Message = z.object({
  message_id: z.string(),
  type: z.string().nullable(),
  object_id: z.string().nullable(),
  received_at: z.string(),
  outcome: z.string(),
  payload: z.string().nullish(),
});
export type Message = z.infer<typeof Message>;

const Page = z.object({ messages: z.array(Message), total: z.number().nullable() });

/** What became of a message. */
const Answer = z.object({
  outcome: z.enum([
    ...["applied", "stale", "ignored", "failed", "unreadable", "discarded"] as const,
    // Settled before, or meanwhile.
    ...["duplicate", "unknown"] as const,
  ]),
  sqlstate: z.string().optional(),
  message: z.string().optional(),
  issues: z.array(z.object({ path: z.string(), code: z.string() })).optional(),
});
export type Answer = z.infer<typeof Answer>;

export type Verdict = "fixed" | "still_failing" | "settled" | "discarded";

/** Arguments of `list_clerk_messages` that choose messages. */
export type Filter = Readonly<Record<string, unknown>>;

export interface Replay {
  /** One for each message id, or one for all that match. */
  readonly filters: readonly Filter[];
  readonly dryRun: boolean;
  /** Gives messages up instead. */
  readonly discard: boolean;
  readonly stop: AbortSignal;
  /**
   * Is told, before the messages of a filter are touched, how many match it: null, or
   * {@linkcode MOST_COUNTED}, when nobody knows. What it throws ends the replay.
   */
  readonly onTotal: (total: number | null, filter: Filter) => Promise<void> | void;
  readonly onAnswer: (message: Message, answer: Answer) => Promise<void> | void;
}

/**
 * Replays messages, oldest first, or gives them up.
 *
 * @returns whether it got to the end, and was not stopped
 * @throws {QueueError} when the database cannot be reached
 */
export async function replayAll(supabase: SupabaseClient, replay: Replay): Promise<boolean> {
  const { filters, stop, onTotal, onAnswer } = replay;
  for (const filter of filters) {
    let after: Message | undefined;
    do {
      const { messages, total } = await list(supabase, { ...filter, after, max_rows: PAGE });
      if (after === undefined) await onTotal(total, filter);
      if (stop.aborted) return false;

      if (replay.discard) await discard(supabase, messages, replay);
      for (let at = 0; !replay.discard && at < messages.length; at += AT_ONCE) {
        if (stop.aborted) return false;
        const some = messages.slice(at, at + AT_ONCE);
        const done = await Promise.all(
          some.map(async (message) =>
            [message, await replayOne(supabase, message, replay.dryRun)] as const
          ),
        );
        for (const [message, answer] of done) await onAnswer(message, answer);
      }
      after = messages.length < PAGE ? undefined : messages.at(-1);
    } while (after !== undefined);
  }
  return true;
}

/**
 * How many messages wait for a replay, {@linkcode MOST_COUNTED} at most.
 *
 * @throws {QueueError} when the database cannot be reached
 */
export async function countWaiting(supabase: SupabaseClient): Promise<number> {
  return (await list(supabase, { max_rows: 1 })).total ?? 0;
}

/**
 * Gives messages up, and returns the ids of those that were waiting.
 *
 * @throws {QueueError} when the database cannot be reached
 */
export async function discardMessages(
  supabase: SupabaseClient,
  message_ids: readonly string[],
): Promise<readonly string[]> {
  const args = { message_ids };
  return await call(supabase, "discard_clerk_messages", args, z.array(z.string()), TIMEOUT);
}

async function list(
  supabase: SupabaseClient,
  { after, ...filter }: Filter & { readonly after?: Message | undefined },
): Promise<z.infer<typeof Page>> {
  const cursor = after === undefined
    ? {}
    : { after: { received_at: after.received_at, message_id: after.message_id } };
  return await call(supabase, "list_clerk_messages", { ...filter, ...cursor }, Page, TIMEOUT);
}

async function discard(
  supabase: SupabaseClient,
  messages: readonly Message[],
  { dryRun, onAnswer }: Replay,
): Promise<void> {
  const message_ids = messages.filter(isWaiting).map(({ message_id }) => message_id);
  const discarded = dryRun ? message_ids : await discardMessages(supabase, message_ids);
  for (const message of messages) {
    const outcome = discarded.includes(message.message_id) ? "discarded" : "duplicate";
    await onAnswer(message, { outcome });
  }
}

function isWaiting({ outcome }: Message): boolean {
  return WAITING_OUTCOMES.includes(outcome);
}

async function replayOne(
  supabase: SupabaseClient,
  message: Message,
  dry_run: boolean,
): Promise<Answer> {
  if (!isWaiting(message)) return { outcome: "duplicate" };
  const { message_id } = message;

  // What is failed was read when it arrived, and the database applies what it stored then.
  let read: { dropped?: readonly string[]; as_type?: string | null } = {};
  if (message.outcome === "unreadable") {
    const filter = { message_id, outcomes: null, with_payload: true };
    const [stored] = (await list(supabase, filter)).messages;
    if (stored?.payload) {
      const reading = readEvent(textOf(stored.payload));
      if (reading.kind === "unreadable") {
        return { outcome: "unreadable", issues: [...reading.issues] };
      }
      read = { dropped: reading.dropped, as_type: reading.asType };
    }
  }

  for (let attempt = 1;; attempt++) {
    try {
      const args = { message_id, ...read, dry_run };
      return await call(supabase, "replay_clerk_message", args, Answer, TIMEOUT);
    } catch (error) {
      if (!(error instanceof QueueError) || !WORTH_REPEATING.test(error.message)) throw error;
      const sqlstate = error.message === "timeout" ? "57014" : error.message;
      if (attempt === TRIES) return { outcome: "failed", sqlstate };
      await setTimeout(attempt * PAUSE);
    }
  }
}

/** The body of a message from its stored payload, which is `{raw: body}` if `jsonb` could not hold it. */
function textOf(payload: string): string {
  const event: Json = JSON.parse(payload);
  return isJsonObject(event) && typeof event.raw === "string" ? event.raw : payload;
}

export function verdictOf({ outcome }: Answer): Verdict {
  switch (outcome) {
    case "applied":
    case "stale":
    case "ignored":
      return "fixed";
    case "failed":
    case "unreadable":
      return "still_failing";
    case "discarded":
      return "discarded";
    case "duplicate":
    case "unknown":
      return "settled";
    default:
      return outcome satisfies never;
  }
}

/** Why a message could not be applied. */
export function reasonFor({ sqlstate, message, issues = [] }: Answer): string {
  if (sqlstate !== undefined) {
    const why = message?.split("\n")[0] || troubleIn(sqlstate)?.join(": ");
    return sqlstate + (why === undefined ? "" : `: ${why}`);
  }
  if (issues[0]?.code === "no_payload") {
    return "its payload is not stored: resend it from Clerk's dashboard, or --discard it";
  }
  const named = issues.slice(0, MOST_ISSUES).map(({ path, code }) => `${path || "body"}: ${code}`);
  return named.join(", ") + (issues.length > MOST_ISSUES ? ", …" : "");
}
