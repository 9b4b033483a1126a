import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { call } from "../../drain/queue.ts";

/** One attempt to greet a person. */
export interface Attempt {
  readonly userId: string;
  /** A UUID for this attempt. */
  readonly claim: string;
  readonly leaseSeconds: number;
  /** How many people are greeted within an hour at most. */
  readonly perHour: number;
  /** Message id of the webhook that caused the change. */
  readonly causedBy: string | null;
}

/** The ledger of welcome mails: who was greeted, and who is being greeted now. */
export interface WelcomeMails {
  /**
   * `claimed` for the lease, or renewed for it; `sent` if the person was greeted; `busy` if another
   * attempt holds the claim; `unwanted` if the person is deleted or was imported; `over` if the hour has
   * its number of mails, and this one is skipped for good.
   */
  claim(attempt: Attempt): Promise<z.infer<typeof Claim>>;
  /** Records that the mail was accepted, or releases the claim. */
  settle(userId: string, claim: string, wasSent: boolean): Promise<void>;
}

const Claim = z.enum(["claimed", "sent", "busy", "unwanted", "over"]);

/** The ledger behind PostgREST. */
export function createWelcomeMails(supabase: SupabaseClient): WelcomeMails {
  return {
    claim: ({ userId, claim, leaseSeconds, perHour, causedBy }) =>
      call(supabase, "claim_welcome_mail", {
        user_id: userId,
        claim,
        lease_seconds: leaseSeconds,
        per_hour: perHour,
        caused_by: causedBy,
      }, Claim),
    settle: async (userId, claim, wasSent) => {
      await call(supabase, "settle_welcome_mail", { user_id: userId, claim, was_sent: wasSent });
    },
  };
}
