import { z } from "zod";
import { call } from "../../functions/clerk-worker/drain/queue.ts";
import { explain } from "../../operations/explain.ts";
import { parseExactly } from "../../operations/exact_json.ts";
import {
  countWaiting,
  discardMessages,
  reasonFor,
  replayAll,
  verdictOf,
  WAITING_OUTCOMES,
} from "../../operations/replay.ts";
import type {
  Discarded,
  ExplainedObject,
  Message,
  MessageDetail,
  Messages,
  Replayed,
  ReplayEnd,
} from "../api.ts";
import { type Ask, given, Refused, type Routes, Time, understood, whole } from "./answer.ts";
import { commandLine, type Deps } from "./deps.ts";
import { lines } from "./lines.ts";

const OUTCOMES = ["applied", "stale", "ignored", "failed", "unreadable", "discarded"] as const;

const Listed = z.object({
  message_id: z.string(),
  type: z.string().nullable(),
  object_id: z.string().nullable(),
  occurred_at: z.string().nullable(),
  received_at: z.string(),
  last_delivered_at: z.string(),
  deliveries: z.number(),
  outcome: z.enum(OUTCOMES),
  error: z.looseObject({}).nullable(),
  has_payload: z.boolean(),
  payload: z.string().nullish(),
});

const Page = z.object({
  messages: z.array(Listed.transform((listed) => ({ ...listed, next_tries: nextTries(listed) }))),
  total: z.number().nullable(),
});

/** The last message of a page. */
const Cursor = z.object({ received_at: Time, message_id: z.string().min(1) });

/** The place before the newest message. Whoever goes on from a place has nothing counted. */
const BEGINNING = { received_at: "infinity", message_id: "" };

const Query = z.object({
  outcome: z.string().transform((text) => text.split(",")).pipe(z.array(z.enum(OUTCOMES)))
    .optional(),
  type: z.string().optional(),
  since: Time.optional(),
  until: Time.optional(),
  text: z.string().trim().max(255).optional(),
  after: z.string().optional(),
  limit: whole(500).default(100),
});

const MessageIds = z.array(z.string().trim().min(1).max(255)).min(1).max(1000);

const ReplayBody = z.object({
  message_ids: MessageIds.optional(),
  outcomes: z.array(z.enum(["failed", "unreadable"])).min(1).optional(),
  type: z.string().optional(),
  since: Time.optional(),
  until: Time.optional(),
  dry_run: z.boolean(),
});

/** A whole id, in real life 27 letters and digits: found by an index. */
const WHOLE_ID = /^([a-z]+(?:_[a-z]+)*)_[A-Za-z0-9]{20,}$/;

/** The waits before Svix's second, third, … attempt, s. https://docs.svix.com/retries */
const RETRIES = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];

const TRANSIENT = /^(?:(?:40|53|57)...|55P03)$/;

export function messageRoutes(deps: Deps): Routes {
  return {
    "GET /api/messages": ({ query }) => list(deps, understood(Query, given(query))),
    "GET /api/messages/": ({ rest }) => detail(deps, rest),
    "POST /api/replay": (ask) => Promise.resolve(replay(deps, ask)),
    "POST /api/discard": async ({ body }): Promise<Discarded> => {
      const { message_ids } = understood(z.object({ message_ids: MessageIds }), body);
      return { discarded: await discardMessages(deps.supabase, message_ids) };
    },
  };
}

async function list(
  { supabase }: Deps,
  { outcome, text, after, limit, ...filter }: z.infer<typeof Query>,
): Promise<Messages> {
  const chosen = { ...filter, ...byText(text) };
  const isCounted = after === undefined && !("type" in chosen || "id_part" in chosen);
  const { messages, total } = await call(supabase, "list_clerk_messages", {
    ...chosen,
    outcomes: outcome ?? null,
    ...(isCounted ? {} : { after: after === undefined ? BEGINNING : cursorIn(after) }),
    newest_first: true,
    max_rows: limit,
  }, Page);
  const last = messages.length < limit ? undefined : messages.at(-1);
  return { messages, total, next: last === undefined ? null : cursorOf(last) };
}

function byText(text = ""): Readonly<Record<string, string>> {
  const prefix = WHOLE_ID.exec(text)?.[1];
  if (text === "") return {};
  if (prefix === undefined) return { id_part: text };
  return prefix === "msg" ? { message_id: text } : { object_id: text };
}

function cursorOf({ received_at, message_id }: Message): string {
  return new TextEncoder().encode(JSON.stringify({ received_at, message_id }))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

function cursorIn(text: string): z.infer<typeof Cursor> {
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    return Cursor.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new Refused(400, "Cannot go on after this page: take `next` of the page before");
  }
}

/** The newest messages, newest first. */
export async function newest(
  { supabase }: Deps,
  max_rows: number,
): Promise<readonly Message[]> {
  const args = { outcomes: null, newest_first: true, max_rows, after: BEGINNING };
  return (await call(supabase, "list_clerk_messages", args, Page)).messages;
}

/** How many messages were received since then, 10,000 at most. */
export async function countSince({ supabase }: Deps, since: string | undefined): Promise<number> {
  const args = { outcomes: null, since, max_rows: 1 };
  return (await call(supabase, "list_clerk_messages", args, Page)).total ?? 0;
}

async function detail(deps: Deps, message_id: string): Promise<MessageDetail> {
  const { supabase, project } = deps;
  const filter = { outcomes: null, message_id, with_payload: true };
  const [message] = (await call(supabase, "list_clerk_messages", filter, Page)).messages;
  if (message === undefined) {
    throw new Refused(
      404,
      `The inbox has no message ${message_id}: it is past its retention, or never arrived`,
    );
  }
  const { object_id } = message;
  const objects = object_id === null ? [] : await explained(deps, object_id);
  const event = objects.flatMap(({ events }) => events)
    .find((each) => each.message_id === message_id);
  return {
    ...message,
    payload: message.payload ?? null,
    advice: adviceFor(message),
    why: event?.why ?? whyFor(message),
    changes: event?.changes ?? null,
    changes_unknown: event?.changes_unknown ?? null,
    commands: {
      replay: commandLine(project, `replay ${message_id}`),
      explain: objects.length === 0 ? null : commandLine(project, `explain ${object_id}`),
    },
  };
}

/** An id or an address, explained: numbers stay as they are. */
export async function explained({ project }: Deps, asked: string): Promise<ExplainedObject[]> {
  const { text } = await explain(project, asked);
  return (parseExactly(text) as unknown as { objects: ExplainedObject[] }).objects;
}

function adviceFor({ outcome, error }: Message): string | null {
  switch (outcome) {
    case "failed":
      return TRANSIENT.test(error?.sqlstate ?? "")
        ? "Replay it: the database had no time for it."
        : "Fix the trigger or the constraint that refused it, then replay it.";
    case "unreadable":
      return error?.issues?.[0]?.code === "no_payload"
        ? "Resend it from Clerk's dashboard, or discard it: its payload is not stored."
        : "If Clerk sent it, upgrade clerk-sync to a version that knows this shape, then replay it. If not, discard it.";
    case "discarded":
      return "If you want it after all, resend it from Clerk's dashboard.";
    case "applied":
    case "stale":
    case "ignored":
      return null;
    default:
      return outcome satisfies never;
  }
}

/** Why it was not applied, of an object that is not explained. */
function whyFor({ outcome, type, error }: Message): string | null {
  const issues = (error?.issues ?? []).map(({ path, code }) => `${path || "body"}: ${code}`);
  switch (outcome) {
    case "failed":
      return `The database refused it: SQLSTATE ${error?.sqlstate}${
        error?.message === undefined ? "" : ` (${error.message})`
      }.`;
    case "unreadable":
      return `It does not have a shape that this version knows: ${issues.join(", ") || "unknown"}.`;
    case "ignored":
      return `Events of type ${type ?? "null"}, or of another Clerk instance, change no table.`;
    case "discarded":
      return "An operator gave it up.";
    case "applied":
    case "stale":
      return null;
    default:
      return outcome satisfies never;
  }
}

function nextTries({ outcome, received_at }: z.infer<typeof Listed>): string[] {
  if (!WAITING_OUTCOMES.includes(outcome)) return [];
  let at = Date.parse(received_at);
  return RETRIES.map((wait) => at += 1000 * wait)
    .filter((time) => time > Date.now())
    .map((time) => new Date(time).toISOString());
}

function replay(deps: Deps, { body }: Ask): Response {
  const { message_ids, dry_run, outcomes = WAITING_OUTCOMES, ...chosen } = understood(
    ReplayBody,
    body,
  );
  const filters = message_ids?.map((message_id) => ({ message_id, outcomes: null })) ??
    [{ outcomes, ...chosen }];
  const words = message_ids ?? [
    ...(outcomes.length === 1 ? [`--outcome ${outcomes[0]}`] : []),
    ...Object.entries(chosen).map(([flag, value]) => `--${flag} ${value}`),
  ];
  const counts = { fixed: 0, still_failing: 0, settled: 0, discarded: 0 };

  return lines(async (write, stop) => {
    const isWhole = await replayAll(deps.supabase, {
      filters,
      dryRun: dry_run,
      discard: false,
      stop,
      onTotal: async (total, { message_id }) => {
        if (typeof message_id !== "string" || total !== 0) return;
        const gone = { type: null, object_id: null, outcome: "unknown", sentence: null };
        await write({ message_id, result: "gone", ...gone } satisfies Replayed);
      },
      onAnswer: async ({ message_id, type, object_id }, answer) => {
        const verdict = verdictOf(answer);
        counts[verdict]++;
        const result = verdict === "fixed"
          ? "fixed"
          : verdict === "still_failing"
          ? "still failing"
          : "settled already";
        await write(
          {
            message_id,
            type,
            object_id,
            result,
            outcome: answer.outcome,
            sentence: result === "still failing" ? reasonFor(answer) : null,
          } satisfies Replayed,
        );
      },
    });
    if (!isWhole) return;
    const { fixed, still_failing, settled } = counts;
    const command = ["replay", ...words, ...(dry_run ? ["--dry-run"] : [])].join(" ");
    await write(
      {
        done: true,
        dry_run,
        fixed,
        still_failing,
        settled,
        left: await countWaiting(deps.supabase),
        command: commandLine(deps.project, command),
      } satisfies ReplayEnd,
    );
  }, deps);
}
