import { z } from "zod";
import { connect } from "../_shared/supabase.ts";
import { Change, type Settlement } from "./change.ts";

/** The queue `clerk_changes`, as the worker sees it. */
export interface Queue {
  /** Takes up to `batch` changes for `visibilitySeconds`; nobody else gets them meanwhile. */
  read(batch: number, visibilitySeconds: number): Promise<Change[]>;
  settle(settlements: readonly Settlement[]): Promise<void>;
}

/** Who was greeted already. */
export interface WelcomeBook {
  /** `claimed` for the lease, or `sent` already, or `busy`: somebody else is at it. */
  claim(userId: string, leaseSeconds: number): Promise<"claimed" | "sent" | "busy">;
  /** Notes that the mail was accepted, or gives the claim back. */
  settle(userId: string, wasSent: boolean): Promise<void>;
}

/** The database did not do what the worker asked. The message is PostgREST's code or an SQLSTATE. */
export class QueueError extends Error {
  override name = "QueueError";
}

/** How long the database may take to answer, ms. */
const PATIENCE = 10_000;

const Message = z.looseObject({ message_id: z.number().int() });

const Claim = z.enum(["claimed", "sent", "busy"]);

interface RpcResult {
  readonly data: unknown;
  readonly error: { readonly code?: string } | null;
}

/** The queue and the book behind PostgREST. */
export function createQueue(url: string, key: string): Queue & { readonly welcomes: WelcomeBook } {
  const supabase = connect(url, key);

  const settle = async (settlements: readonly Settlement[]): Promise<void> => {
    await answer(supabase.rpc("settle_clerk_changes", {
      settlements: settlements.map((settlement) => ({ ...settlement })),
    }));
  };

  return {
    read: async (batch, visibilitySeconds) => {
      for (;;) {
        const messages = z.array(Message).parse(
          await answer(supabase.rpc("read_clerk_changes", {
            batch,
            visibility_seconds: visibilitySeconds,
          })),
        );
        const changes = messages.flatMap((message) => Change.safeParse(message).data ?? []);

        // What somebody else put on the queue is buried, so that it does not block the rest.
        const strange = messages.filter((message) => !Change.safeParse(message).success);
        if (strange.length > 0) await settle(strange.map(bury));
        if (changes.length > 0 || strange.length === 0) return changes;
      }
    },

    settle,

    welcomes: {
      claim: async (userId, leaseSeconds) =>
        Claim.parse(
          await answer(supabase.rpc("claim_welcome_mail", {
            user_id: userId,
            lease_seconds: leaseSeconds,
          })),
        ),
      settle: async (userId, wasSent) => {
        await answer(supabase.rpc("settle_welcome_mail", { user_id: userId, was_sent: wasSent }));
      },
    },
  };
}

function bury({ message_id }: z.infer<typeof Message>): Settlement {
  return { message_id, verdict: "dead", error_class: "unreadable" };
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
