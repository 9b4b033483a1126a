import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { ClerkApiError } from "../functions/clerk-worker/reconcile/clerk_api.ts";
import { RunError } from "../functions/clerk-worker/reconcile/engine.ts";
import { StartError } from "../local/start_error.ts";

/** A sentence for what ended an operation. Throws what has none. */
export function sentenceOf(error: unknown, isStart: boolean): string {
  if (
    error instanceof ConfigurationError || error instanceof ClerkApiError ||
    error instanceof RunError || error instanceof StartError
  ) return error.message;
  if (!(error instanceof QueueError)) throw error;
  return databaseSentence(error.message, isStart);
}

/** A sentence for the code with which the database ended an operation. */
export function databaseSentence(code: string, isStart: boolean): string {
  if (code === "PGRST202") {
    return "Cannot start as the database lacks the functions for it: apply the migrations";
  }
  if (/^(?:http_40[13]|PGRST30.|42501)$/.test(code)) {
    return `Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY (${code}): copy a secret key from API keys in the Supabase dashboard`;
  }
  return isStart
    ? `Cannot reach the database (${code}): check SUPABASE_URL and the network`
    : `Cannot go on as the database answers ${code}`;
}
