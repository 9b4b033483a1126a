import { deliver } from "../local/clerk/deliver.ts";
import { reasonOf, StartError } from "../local/start_error.ts";
import type { ManagementApi } from "./management_api.ts";
import { type FunctionName, judge } from "./refusal.ts";

/** How long to wait between two tries, ms. */
const PAUSE = 1_000;

/** Time limit of one request, ms. */
const LONGEST = 15_000;

/**
 * Sends a function a request that it must refuse, until it does.
 *
 * @param patience how long to try, ms
 * @throws {StartError} when something else answers
 */
export async function awaitRefusal(
  url: string,
  name: FunctionName,
  patience: number,
): Promise<void> {
  await retried(patience, async () => {
    const why = await complaintAbout(url, name);
    return why === undefined ? undefined : `Cannot use ${url} as ${why}`;
  });
}

/** Why a function's answer is not its own 401, as the end of a sentence. */
async function complaintAbout(url: string, name: FunctionName): Promise<string | undefined> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(url, {
      method: "POST",
      body: "{}",
      redirect: "manual",
      signal: AbortSignal.timeout(LONGEST),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    return `it does not answer (${reasonOf(error)}): check the network`;
  }
  switch (judge(name, status, text)) {
    case "function":
      return undefined;
    case "gateway":
      return "Supabase's gateway answers 401 instead of the function: deploy it with verify_jwt = false in config.toml";
    case "nothing":
      return "there is no such function (404): deploy it";
    case "broken":
      return `the function does not start (${status}): its log in the Supabase dashboard says why`;
    case "other":
      return `it answers ${status} to a request without a signature, and not 401: read its log in the Supabase dashboard`;
  }
}

/**
 * Sends the webhook a signed event of a type that is ignored, and waits until the database has it. It
 * makes no row but the one in the inbox, and `clerk_sync_status` does not count it as an event of Clerk's.
 *
 * @param patience how long to try, ms
 * @returns the id of the message
 * @throws {StartError} when it does not arrive
 */
export async function sendProbe(
  url: string,
  secret: string,
  api: Pick<ManagementApi, "readOnlyQuery">,
  patience: number,
): Promise<string> {
  const id = `msg_clerk_sync_probe_${crypto.randomUUID().replaceAll("-", "")}`;
  const event = { object: "event", type: "clerkSync.probe", timestamp: Date.now(), data: {} };
  await retried(patience, async () => {
    const { outcome } = await deliver(url, secret, { id, body: JSON.stringify(event) });
    // The answer to the first try may be lost.
    if (outcome === "ignored" || outcome === "duplicate") return undefined;
    return outcome === "bad_signature"
      ? `Cannot deliver a signed event to ${url} as it refuses the signature: the function has another CLERK_WEBHOOK_SIGNING_SECRET`
      : `Cannot deliver a signed event to ${url} as it answers ${outcome}: read its log in the Supabase dashboard`;
  });
  await retried(patience, async () => {
    const rows = await api.readOnlyQuery(
      "select outcome from clerk_sync.inbox where message_id = $1",
      [id],
    );
    return rows.length === 1
      ? undefined
      : `Cannot find ${id} in clerk_sync.inbox, although the webhook accepted it: is its SUPABASE_URL this project?`;
  });
  return id;
}

/** Tries until there is nothing to complain about. */
async function retried(
  patience: number,
  complaint: () => Promise<string | undefined>,
): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    const found = await complaint();
    if (found === undefined) return;
    if (performance.now() + PAUSE > end) throw new StartError(found);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}
