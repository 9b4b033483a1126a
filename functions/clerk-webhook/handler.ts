import type { Log } from "../_shared/clerk_sync/log.ts";
import { readBody } from "./body.ts";
import { readEvent, type Reading } from "./event.ts";
import type { Inbox } from "./inbox.ts";
import { signedHeaders, type Verify } from "./verify.ts";

/**
 * Every outcome, and its status. The status is an instruction to the sender: 2xx means do not send
 * again, everything else means send again later.
 */
export const STATUS = {
  applied: 200,
  stale: 200,
  duplicate: 200,
  ignored: 200,
  missing_headers: 401,
  bad_signature: 401,
  incomplete: 400,
  method_not_allowed: 405,
  too_large: 413,
  unreadable: 422,
  failed: 500,
  unavailable: 503,
} as const;

export type Outcome = keyof typeof STATUS;

/** In bytes; Clerk's largest events have about 350 kB. */
export const LARGEST_BODY = 1024 * 1024;
/** Time limit for the body to arrive, ms. */
export const LATEST_BODY = 10_000;

export interface Deps {
  readonly verify: Verify;
  readonly inbox: Inbox;
  readonly log: Log;
}

interface Receipt {
  readonly outcome: Outcome;
  /** Only for authentic messages. */
  readonly messageId?: string;
  /** For the log: words, ids and codes, never a value from the payload. */
  readonly context?: Readonly<Record<string, unknown>>;
}

/** The paths that a log line names at most. */
const MOST_PATHS = 20;

/** An unexpected error. Its text could quote the payload, so it goes nowhere. */
const CRASHED = { outcome: "unavailable", code: "crashed" } as const;

/** The webhook: HTTP in, HTTP out. Never rejects, and does nothing after the response. */
export function createHandler(deps: Deps): (request: Request) => Promise<Response> {
  return async (request) => {
    const started = performance.now();
    const receipt: Receipt = await receive(request, deps)
      .catch(() => ({ outcome: CRASHED.outcome, context: { code: CRASHED.code } }));
    deps.log({
      outcome: receipt.outcome,
      status: STATUS[receipt.outcome],
      ...(receipt.messageId === undefined ? {} : { message_id: idForLog(receipt.messageId) }),
      ...receipt.context,
      ms: Math.round((performance.now() - started) * 10) / 10,
    });
    return respond(receipt);
  };
}

async function receive(request: Request, deps: Deps): Promise<Receipt> {
  if (request.method !== "POST") return { outcome: "method_not_allowed" };

  // Authentic?
  const headers = signedHeaders(request.headers);
  if (headers === null) return { outcome: "missing_headers", context: callerOf(request) };

  const body = await readBody(request, { bytes: LARGEST_BODY, milliseconds: LATEST_BODY });
  if (body.kind === "not_text") return { outcome: "bad_signature" };
  if (body.kind !== "text") return { outcome: body.kind };
  if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };

  // Readable?
  const messageId = headers.id;
  const reading = readEvent(body.text);

  // Apply it.
  const answer = reading.kind === "readable"
    ? deps.inbox.ingest(messageId, reading)
    : deps.inbox.reject(messageId, reading.type, reading.issues, reading.payload);

  const { outcome, ...details } = await answer.catch(() => CRASHED);
  return {
    outcome,
    messageId,
    context: {
      type: reading.type === null ? null : typeForLog(reading.type),
      ...pathsOf(reading),
      ...details,
    },
  };
}

/** Whether `doctor` asks, so that its question does not look like an attack. Anybody can say so. */
function callerOf({ headers }: Request): Readonly<Record<string, unknown>> {
  return headers.get("user-agent") === "clerk-sync-doctor" ? { caller: "doctor" } : {};
}

/** What was wrong with the event: paths and codes, never values. */
function pathsOf(reading: Reading): Readonly<Record<string, unknown>> {
  if (reading.kind === "unreadable") return { issues: reading.issues };
  return reading.dropped.length === 0 ? {} : { dropped: reading.dropped.slice(0, MOST_PATHS) };
}

function respond({ outcome, messageId }: Receipt): Response {
  return Response.json(
    { outcome, ...(messageId === undefined ? {} : { message_id: messageId }) },
    {
      status: STATUS[outcome],
      headers: outcome === "method_not_allowed" ? { Allow: "POST" } : {},
    },
  );
}

/** The id, unless it does not look like one: then it could be anything, and stays out of the log. */
function idForLog(id: string): string {
  return /^[A-Za-z0-9_.-]{1,128}$/.test(id) ? id : "(unusual)";
}

/** The event type, unless it does not look like one: it could be a name or a one-time code. */
function typeForLog(type: string): string {
  return /^[A-Za-z]{1,64}\.[A-Za-z]{1,64}$/.test(type) ? type : "(unusual)";
}
