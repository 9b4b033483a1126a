import { assertLess } from "@std/assert";
import { startBackfill } from "../../bench/backfill/command.ts";
import { runTest } from "../functions/clerk-worker/reconcile/a_run.ts";

runTest(
  "backfill needs the same memory for 4,000 and for 20,000 users, less than 200 MB",
  { users: 20_000 },
  async ({ clerk, services, instance }) => {
    const peakOf = async (): Promise<number> => {
      await using backfill = await startBackfill({
        CLERK_SECRET_KEY: clerk.secretKey,
        CLERK_API_URL: clerk.url,
        SUPABASE_URL: services.apiUrl,
        SUPABASE_SECRET_KEY: services.keys.secret,
      });
      return (await backfill.ended).peak;
    };
    const others = instance.user.splice(4_000);

    const few = await peakOf();
    instance.user.push(...others);
    const many = await peakOf();

    // Half of what it takes to keep the other users' objects.
    assertLess(many - few, 40);
    assertLess(many, 200);
  },
);
