import { z } from "zod";
import { connect } from "../../_shared/clerk_sync/supabase.ts";
import { Change, type Held, type Settlement } from "./change.ts";

/** What one read took off the queue. */
export interface Batch {
  readonly changes: readonly Change[];
  /** What somebody else put there. */
  readonly strangers: readonly Held[];
}

/** The queue `clerk_changes`, as the worker sees it. */
export interface Queue {
  /** Takes up to `batch` messages for `visibilitySeconds`; nobody else gets them meanwhile. */
  read(batch: number, visibilitySeconds: number): Promise<Batch>;
  settle(settlements: readonly Settlement[]): Promise<void>;
}

/** Who was greeted already. */
export interface WelcomeBook {
  /**
   * `claimed` for the lease, or `sent` already, or `busy`: somebody else is at it.
   *
   * @param claim a UUID of this attempt's own
   */
  claim(userId: string, claim: string, leaseSeconds: number): Promise<"claimed" | "sent" | "busy">;
  /** Notes that the mail was accepted, or gives this claim back. */
  settle(userId: string, claim: string, wasSent: boolean): Promise<void>;
}

/**
 * The database did not do what the worker asked. The message is PostgREST's code, an SQLSTATE, or
 * `timeout`, `no_answer` or `strange_answer`.
 */
export class QueueError extends Error {
  override name = "QueueError";
}

/** How long the database may take to answer, ms. */
const PATIENCE = 10_000;

const Message = z.looseObject(Change.pick({ message_id: true, reads: true }).shape);

const Claim = z.enum(["claimed", "sent", "busy"]);

interface RpcResult {
  readonly data: unknown;
  readonly error: { readonly code?: string } | null;
}

/** The queue and the book behind PostgREST. */
export function createQueue(url: string, key: string): Queue & { readonly welcomes: WelcomeBook } {
  const supabase = connect(url, key);

  return {
    read: async (batch, visibilitySeconds) => {
      const messages = parse(
        z.array(Message),
        await answer(supabase.rpc("read_clerk_changes", {
          batch,
          visibility_seconds: visibilitySeconds,
        })),
      );
      const changes: Change[] = [];
      const strangers: Held[] = [];
      for (const message of messages) {
        const change = Change.safeParse(message);
        if (change.success) changes.push(change.data);
        else strangers.push(message);
      }
      return { changes, strangers };
    },

    settle: async (settlements) => {
      await answer(supabase.rpc("settle_clerk_changes", {
        settlements: settlements.map((settlement) => ({ ...settlement })),
      }));
    },

    welcomes: {
      claim: async (userId, claim, leaseSeconds) =>
        parse(
          Claim,
          await answer(supabase.rpc("claim_welcome_mail", {
            user_id: userId,
            claim,
            lease_seconds: leaseSeconds,
          })),
        ),
      settle: async (userId, claim, wasSent) => {
        await answer(supabase.rpc("settle_welcome_mail", {
          user_id: userId,
          claim,
          was_sent: wasSent,
        }));
      },
    },
  };
}

/** Without the text of what is wrong with it, which could quote data. */
function parse<Shape extends z.ZodType>(shape: Shape, data: unknown): z.infer<Shape> {
  const parsed = shape.safeParse(data);
  if (!parsed.success) throw new QueueError("strange_answer");
  return parsed.data;
}

interface Call extends PromiseLike<RpcResult> {
  abortSignal(signal: AbortSignal): PromiseLike<RpcResult>;
}

async function answer(call: Call): Promise<unknown> {
  const signal = AbortSignal.timeout(PATIENCE);
  const { data, error } = await call.abortSignal(signal);
  if (error !== null) throw new QueueError(signal.aborted ? "timeout" : error.code || "no_answer");
  return data;
}
