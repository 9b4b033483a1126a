import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { call } from "../../drain/queue.ts";

/** The ledger of welcome mails: who was greeted, and who is being greeted now. */
export interface WelcomeMails {
  /**
   * `claimed` for the lease; `sent` if the person was greeted; `busy` if another attempt holds the claim.
   *
   * @param claim a UUID for this attempt
   */
  claim(userId: string, claim: string, leaseSeconds: number): Promise<"claimed" | "sent" | "busy">;
  /** Records that the mail was accepted, or releases the claim. */
  settle(userId: string, claim: string, wasSent: boolean): Promise<void>;
}

const Claim = z.enum(["claimed", "sent", "busy"]);

/** The ledger behind PostgREST. */
export function createWelcomeMails(supabase: SupabaseClient): WelcomeMails {
  return {
    claim: (userId, claim, leaseSeconds) =>
      call(
        supabase,
        "claim_welcome_mail",
        { user_id: userId, claim, lease_seconds: leaseSeconds },
        Claim,
      ),
    settle: async (userId, claim, wasSent) => {
      await call(supabase, "settle_welcome_mail", { user_id: userId, claim, was_sent: wasSent });
    },
  };
}
