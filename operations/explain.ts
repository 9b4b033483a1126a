import { z } from "zod";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { parseExactly } from "./exact_json.ts";

const Change = z.object({
  column: z.string(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
});
export type Change = z.infer<typeof Change>;

const Event = z.object({
  message_id: z.string(),
  type: z.string().nullable(),
  ordered_at: z.string(),
  deliveries: z.number(),
  outcome: z.string(),
  why: z.string(),
  changes: z.array(Change).nullable(),
  changes_unknown: z.string().nullable(),
});
export type Event = z.infer<typeof Event>;

const Announcement = z.object({
  topic: z.string(),
  changed: z.array(z.string()).nullable(),
  caused_by: z.string().nullable(),
  via: z.string().nullable(),
  enqueued_at: z.string(),
  state: z.enum(["waiting", "in_flight", "retrying", "done", "dead"]),
  at: z.string().nullable(),
  reads: z.number(),
  handler: z.string().nullable(),
  error_class: z.string().nullable(),
});
export type Announcement = z.infer<typeof Announcement>;

const Explained = z.object({
  id: z.string(),
  kind: z.enum(["user", "organization", "membership", "invitation"]),
  verdict: z.string(),
  row: z.record(z.string(), z.unknown()).nullable(),
  differs: z.array(Change).nullable(),
  events: z.array(Event),
  more_events: z.number(),
  announced: z.array(Announcement),
  left: z.array(z.object({ table: z.string(), rows: z.number(), holds: z.string() })).nullable(),
});
export type Explained = z.infer<typeof Explained>;

/** What `explain_clerk_object` returns, as far as it is shown. */
const Shape = z.object({ objects: z.array(Explained) });

/** Time limit for the database, ms. */
const TIMEOUT = 10_000;

/** What explains an object. */
export interface Explanation extends z.infer<typeof Shape> {
  /** The JSON, word for word. */
  readonly text: string;
}

/**
 * Asks why the rows of an id or an address look as they do, without supabase-js, which would round large
 * numbers.
 *
 * @throws {QueueError} when the database cannot be reached
 */
export async function explain(
  { url, key }: { readonly url: string; readonly key: string },
  idOrAddress: string,
): Promise<Explanation> {
  const response = await fetch(new URL("/rest/v1/rpc/explain_clerk_object", url), {
    method: "POST",
    headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ id_or_address: idOrAddress }),
    signal: AbortSignal.timeout(TIMEOUT),
  }).catch(() => {
    throw new QueueError("no_answer");
  });
  const text = await response.text();
  if (!response.ok) throw new QueueError(codeIn(text) ?? `http_${response.status}`);
  return { text, ...understood(text) };
}

function understood(text: string): z.infer<typeof Shape> {
  try {
    return Shape.parse(parseExactly(text));
  } catch {
    throw new QueueError("strange_answer");
  }
}

function codeIn(text: string): string | undefined {
  try {
    return z.object({ code: z.string() }).parse(JSON.parse(text)).code;
  } catch {
    return undefined;
  }
}

/** A sentence, without a full stop, when nothing explains it. */
export function whyUnknown(asked: string): string {
  const shown = JSON.stringify(asked.length > 100 ? `${asked.slice(0, 100)}…` : asked);
  if (asked.includes("@")) {
    return `Nobody here has the address ${shown}: only primary addresses of users and those of pending invitations are found, and a deleted user's is erased`;
  }
  return /^(?:user|org|orgmem|orginv)_/.test(asked)
    ? `Nothing is known of ${shown}: there is no row, no event and no deletion`
    : `Cannot explain ${shown}: it is no address, and no id of a user (user_…), an organization (org_…), a membership (orgmem_…) or an invitation (orginv_…)`;
}
