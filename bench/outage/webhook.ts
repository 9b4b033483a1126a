import { z } from "zod";
import { type EdgeFunction, startEdgeFunction } from "../../local/functions/edge_function.ts";
import type { StackKeys } from "../../local/keys.ts";

/** Starts the function in a process of its own, in front of an API on this port. */
export function startWebhook(
  apiPort: number,
  keys: Pick<StackKeys, "clerkIngest" | "signingSecret">,
  onLog: (line: string) => void,
): Promise<EdgeFunction> {
  const api = `127.0.0.1:${apiPort}`;
  return startEdgeFunction({
    name: "clerk-webhook",
    reaches: [api],
    env: {
      SUPABASE_URL: `http://${api}`,
      SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: keys.clerkIngest }),
      CLERK_WEBHOOK_SIGNING_SECRET: keys.signingSecret,
    },
    onLog,
  });
}

const Unavailable = z.object({ outcome: z.literal("unavailable"), code: z.string() });

/** The code in a log line with outcome `unavailable`; undefined for other lines. */
export function unavailableCode(line: string): string | undefined {
  try {
    return Unavailable.safeParse(JSON.parse(line)).data?.code;
  } catch {
    return undefined;
  }
}
