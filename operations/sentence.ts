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

/** What is wrong with a database that answers, and what to do, by its code. */
const TROUBLES: Readonly<Record<string, readonly [why: string, cure: string]>> = {
  "25006": [
    "the database accepts no writes, as it does when its disk is full",
    "enlarge the disk in the Supabase dashboard, or free space, and check default_transaction_read_only",
  ],
  "53100": [
    "the disk of the database is full",
    "enlarge it in the Supabase dashboard, or free space",
  ],
  "53300": [
    "the database has no connection left",
    "end idle sessions that pg_stat_activity lists, or raise the limit of connections",
  ],
  "55P03": [
    "another session holds a lock for too long",
    "look for that session in pg_stat_activity, and end it or wait",
  ],
  "57014": [
    "the database ran out of time, because another session holds a lock or the database is slow",
    "look for the cause in pg_stat_activity",
  ],
  PGRST003: [
    "the API has no connection to the database left",
    "look in pg_stat_activity for sessions that take long",
  ],
};

/** Why a database refuses what is no fault of the data, and what to do; undefined for other codes. */
export function troubleIn(
  code: string | undefined,
): readonly [why: string, cure: string] | undefined {
  return code !== undefined && Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : undefined;
}

/** A sentence for the code with which the database ended an operation. */
export function databaseSentence(code: string, isStart: boolean): string {
  if (code === "PGRST202") {
    return "Cannot start as the database lacks the functions for it: apply the migrations";
  }
  if (/^(?:http_40[13]|PGRST30.|42501)$/.test(code)) {
    return `Cannot start as SUPABASE_URL does not accept SUPABASE_SECRET_KEY (${code}): copy a secret key from API keys in the Supabase dashboard`;
  }
  const trouble = troubleIn(code);
  if (trouble !== undefined) {
    const [why, cure] = trouble;
    return `Cannot ${isStart ? "start" : "go on"} as ${why} (${code}): ${cure}`;
  }
  return isStart
    ? `Cannot reach the database (${code}): check SUPABASE_URL and the network`
    : `Cannot go on as the database answers ${code}`;
}
