import type { Status } from "../functions/clerk-worker/status.ts";

// The answers of the console's server, for the server and for the page. Types only, so that the page's
// bundle has nothing of the server.
//
// A request of `/api/…` needs the header `authorization: Bearer <token of this run>`. An answer with another
// status than 200 is a Failure. A stream is NDJSON: one JSON object a line. It can end with a Failure.
//
// Times are ISO 8601, in UTC unless they say otherwise. An id is Clerk's or Svix's.

/** Why there is no answer: a sentence, which never quotes a payload. */
export interface Failure {
  readonly error: string;
}

/** `GET /api/project` */
export interface Project {
  /** Local: a stack of `dev` on this machine, which this server may write to and make tokens for. */
  readonly mode: "local" | "hosted";
  /** `SUPABASE_URL`. */
  readonly url: string;
  readonly host: string;
  readonly can_try: boolean;
  readonly can_view_as: boolean;
  /** Whether this server is part of `dev`, and sees which requests the webhook refuses. */
  readonly has_refusals: boolean;
  /** Whether `CLERK_SECRET_KEY` is set, so that reconcile works and counts are compared. */
  readonly has_clerk: boolean;
  readonly versions: {
    readonly schema: string;
    /** Of the functions; null when nobody can tell, because they are deployed elsewhere. */
    readonly code: string | null;
    readonly cli: string;
  };
  /** Whether every migration was applied: installing, installed, upgrading. */
  readonly installation: string;
  /** What the user types before a command: `deno task`, or the npm package's program. */
  readonly command: string;
  /** What the user types after it: nothing, or ` --env FILE`. */
  readonly env_flag: string;
  /** For supabase-js in the browser; only on the local stack. */
  readonly publishable_key: string | null;
}

/** `GET /api/status`: the same as `status --json`. */
export type { Status };

/** What became of a message. */
export type Outcome = "applied" | "stale" | "ignored" | "failed" | "unreadable" | "discarded";

/** Why a message was not applied. */
export interface MessageError {
  readonly sqlstate?: string;
  /** Of the database. It can quote data of the message. */
  readonly message?: string;
  readonly issues?: readonly { readonly path: string; readonly code: string }[];
  readonly as_type?: string;
}

/** A message of the inbox. */
export interface Message {
  readonly message_id: string;
  readonly type: string | null;
  readonly object_id: string | null;
  readonly occurred_at: string | null;
  /** Of the first delivery. */
  readonly received_at: string;
  readonly last_delivered_at: string;
  readonly deliveries: number;
  readonly outcome: Outcome;
  readonly error: MessageError | null;
  readonly has_payload: boolean;
  /** When Svix delivers it again, counted from the first delivery, while it is failed or unreadable. */
  readonly next_tries: readonly string[];
}

/**
 * `GET /api/messages?outcome=a,b&type=&since=&until=&text=&after=&limit=`, newest first.
 *
 * `text`: a whole id (then also messages that mention that user), or any part of the id of a message or its
 * object. `limit`: 1 to 500, 100 unless given. `after`: `next` of the page before.
 */
export interface Messages {
  readonly messages: readonly Message[];
  /**
   * How many there are, 10,000 at most. Null after the first page, and with a type or a part of an id: counting
   * would read very many.
   */
  readonly total: number | null;
  /** Null on the last page. */
  readonly next: string | null;
}

/** What an event made of a column. Without before and after, it says only that the column changed. */
export interface ColumnChange {
  readonly column: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** `GET /api/messages/<id>` */
export interface MessageDetail extends Message {
  /**
   * JSON text. NOTE: JSON.parse would round large integers in it; see `parseExactly` in
   * operations/exact_json.ts.
   */
  readonly payload: string | null;
  /** What to do next. */
  readonly advice: string | null;
  /** Why it has its outcome, or what came after it. */
  readonly why: string | null;
  readonly changes: readonly ColumnChange[] | null;
  readonly changes_unknown: string | null;
  readonly commands: { readonly replay: string; readonly explain: string | null };
}

/** An event of an explained object. */
export interface ExplainedEvent {
  readonly message_id: string;
  readonly type: string | null;
  /** The time that Clerk's order goes by. */
  readonly ordered_at: string;
  readonly occurred_at: string | null;
  readonly received_at: string;
  readonly last_delivered_at: string;
  readonly deliveries: number;
  readonly outcome: string;
  readonly why: string;
  readonly has_payload: boolean;
  readonly changes: readonly ColumnChange[] | null;
  readonly changes_unknown: string | null;
}

/** What a change put on the queue, and what became of it. */
export interface Announcement {
  readonly topic: string;
  readonly changed: readonly string[] | null;
  readonly caused_by: string | null;
  readonly via: string | null;
  readonly enqueued_at: string;
  readonly state: ChangeState | "done";
  /** When it was done, or is tried next. */
  readonly at: string | null;
  readonly reads: number;
  readonly handler: string | null;
  readonly error_class: string | null;
}

export interface ExplainedObject {
  readonly id: string;
  readonly kind: "user" | "organization" | "membership" | "invitation";
  readonly verdict: string;
  readonly row: Readonly<Record<string, unknown>> | null;
  /** The message that made the row; null when a snapshot did, or the inbox no longer has it. */
  readonly made_by: string | null;
  /** Columns that something else than the sync has changed since. */
  readonly differs: readonly ColumnChange[] | null;
  /** In Clerk's order, the newest last. */
  readonly events: readonly ExplainedEvent[];
  /** Older events that are not shown. */
  readonly more_events: number;
  /** Oldest first. */
  readonly announced: readonly Announcement[];
  /** After a deletion. */
  readonly left:
    | readonly { readonly table: string; readonly rows: number; readonly holds: string }[]
    | null;
}

/** `GET /api/explain?q=`: the same as `explain --json`. */
export interface Explained {
  readonly objects: readonly ExplainedObject[];
  /** Why there is none. */
  readonly hint?: string;
}

/** What of the inbox to replay: these messages, or all that match. */
export interface ReplayRequest {
  readonly message_ids?: readonly string[];
  readonly outcomes?: readonly ("failed" | "unreadable")[];
  readonly type?: string;
  readonly since?: string;
  readonly until?: string;
  /** Does it and takes it back. */
  readonly dry_run: boolean;
}

/** `POST /api/replay`, a stream: what became of each, then a ReplayEnd. */
export interface Replayed {
  readonly message_id: string;
  readonly type: string | null;
  readonly object_id: string | null;
  /** Settled already: by a delivery or a replay meanwhile. Gone: the inbox has no such message. */
  readonly result: "fixed" | "still failing" | "settled already" | "gone";
  readonly outcome: string;
  /** Why it is still failing; null otherwise. */
  readonly sentence: string | null;
}

export interface ReplayEnd {
  readonly done: true;
  readonly dry_run: boolean;
  readonly fixed: number;
  readonly still_failing: number;
  readonly settled: number;
  /** Messages of the whole inbox that are failed or unreadable now, 10,000 at most. */
  readonly left: number;
  /** Does the same. */
  readonly command: string;
}

/** `POST /api/discard` `{message_ids}`: gives messages up. */
export interface Discarded {
  /** Those that were failed or unreadable. */
  readonly discarded: readonly string[];
}

/** A request that the webhook refused before anything was stored. */
export interface Refusal {
  readonly at: string;
  readonly status: number;
  /** bad_signature, missing_headers, too_large, incomplete, method_not_allowed, unavailable. */
  readonly outcome: string;
  /** Null unless the request was authentic. */
  readonly message_id: string | null;
  readonly sentence: string;
  readonly cure: string;
}

/** `GET /api/clerk` */
export interface AtClerk {
  /** When a user last changed there; null without CLERK_SECRET_KEY, or without users. */
  readonly newest_user_change: string | null;
}

/** `GET /api/refusals`; 501 unless the project has_refusals. */
export interface Refusals {
  /** Newest first, 1,000 at most. */
  readonly refusals: readonly Refusal[];
  /** By outcome, of all since then. */
  readonly counts: Readonly<Record<string, number>>;
  readonly since: string;
}

export type ChangeState = "waiting" | "in_flight" | "retrying" | "dead";

/** A change on the queue. */
export interface QueuedChange {
  readonly id: string;
  readonly state: ChangeState;
  readonly topic: string | null;
  readonly object_id: string | null;
  readonly changed: readonly string[] | null;
  readonly caused_by: string | null;
  readonly via: string | null;
  /** Of a dead one: when it died. */
  readonly enqueued_at: string;
  /** When it is tried next, or when the worker that has it loses it; null of a waiting or dead one. */
  readonly next_at: string | null;
  /** How often a worker has taken it. */
  readonly reads: number;
  /** The handler that failed last; null unless it is retried. */
  readonly handler: string | null;
  readonly error_class: string | null;
}

/** `GET /api/queue` */
export interface Queue {
  readonly counts: {
    readonly waiting: number;
    readonly in_flight: number;
    readonly retrying: number;
    readonly dead: number;
    readonly oldest_seconds: number | null;
  };
  /** At most 200: dead ones (newest first), then retrying, in flight, waiting (oldest first). */
  readonly changes: readonly QueuedChange[];
  /** Seconds since the epoch, and changes that were not done; while a page was open, 1 h at most. */
  readonly depth: readonly (readonly [number, number])[];
  /** Puts the dead letters back. */
  readonly command: string;
}

/** `POST /api/redrive` `{}` */
export interface Redriven {
  readonly redriven: number;
}

/** What a run found, of one kind of object. */
export interface RunTally {
  readonly total: number | null;
  readonly listed: number;
  readonly missing: number;
  readonly outdated: number;
  readonly unchanged: number;
  readonly stale: number;
  readonly gone: number;
  readonly unreadable: number;
  readonly refused: number;
  readonly surplus: number;
  readonly limit: number;
  readonly kept: number;
  readonly deleted: number;
}

/** A run over Clerk's API. */
export interface Run {
  readonly id: number;
  readonly kind: "backfill" | "reconcile" | "poll";
  readonly by: "schedule" | "command";
  readonly started_at: string;
  /** Null while it is unfinished. */
  readonly finished_at: string | null;
  /** Until when it belongs to a process. Unfinished and past this time, it has stopped. */
  readonly leased_until: string;
  readonly state: "running" | "stopped" | "finished" | "abandoned";
  readonly dry_run: boolean;
  /** By kind of object, those that were listed. */
  readonly tallies: Readonly<Record<string, RunTally>>;
  /** Objects that were skipped, the first 100. */
  readonly problems: number;
  /** Why nothing was deleted: a sentence. */
  readonly halted: string | null;
}

/** `GET /api/runs` */
export interface Runs {
  /** Newest first, 100 at most. */
  readonly runs: readonly Run[];
  /** Objects that scheduled runs found here, and no longer at Clerk. */
  readonly surplus: number;
  /** Of the status. */
  readonly rows: Status["rows"];
  readonly command: string;
}

/** `POST /api/reconcile` `{dry_run}`, a stream: progress, then a ReconcileEnd. 501 without Clerk's key. */
export interface ReconcileProgress {
  readonly kind: string;
  readonly done: number;
  readonly total: number | null;
  /** Missing or outdated here, and written unless it is a dry run. */
  readonly repaired: number;
  /** Why it is waiting; null when it is not. */
  readonly waits: string | null;
}

export interface ReconcileEnd {
  readonly done: true;
  /** As of the command: 0 the same, 1 stopped, 3 still different. */
  readonly exit: 0 | 1 | 3;
  readonly summary: string;
  readonly tallies: Readonly<Record<string, RunTally>>;
  readonly command: string;
}

/** `GET /api/activity?minutes=60`, 1 to 1440 */
export interface Activity {
  readonly from: string;
  /** False when only the newest 100,000 messages were counted. */
  readonly is_whole: boolean;
  /** Oldest first, minutes with messages only: how many were first received, by their outcome now. */
  readonly minutes: readonly ({ readonly at: string } & Readonly<Record<Outcome, number>>)[];
  /**
   * From Clerk's event to the committed row, of the applied ones. Without events that were older than a day
   * when they arrived.
   */
  readonly latency: readonly {
    readonly at: string;
    readonly median_ms: number;
    readonly p95_ms: number;
  }[];
}

/** `GET /api/events`: what can be sent. 501 unless the project can_try. */
export interface Events {
  readonly types: readonly {
    readonly type: string;
    readonly description: string;
    /** The event as it would be sent. */
    readonly defaults: Readonly<Record<string, unknown>>;
  }[];
}

/** How to send an event. */
export interface TryRequest {
  readonly type: string;
  /** The event as JSON text, which is sent as it is if it is sent once; null for a default one. */
  readonly body: string | null;
  /**
   * twice: the same message again. shuffled: `count` versions of the object in random order.
   * burst: `count` events of different objects, 8 at a time.
   */
  readonly mode: "once" | "twice" | "shuffled" | "wrong_signature" | "burst";
  /** For shuffled and burst, 1 to 1,000. */
  readonly count: number;
}

/** `POST /api/try`, a stream: one for each delivery, then a TryEnd. */
export interface Tried {
  readonly message_id: string;
  readonly status: number;
  readonly outcome: string;
  readonly ms: number;
}

export interface TryEnd {
  readonly done: true;
  /** Does much the same. */
  readonly command: string;
}

/** `GET /api/people?text=`: part of an id, a name or an address. 501 unless the project can_view_as. */
export interface People {
  /** 20 at most, the newest first. */
  readonly people: readonly {
    readonly id: string;
    readonly name: string | null;
    readonly email: string | null;
    readonly organizations: readonly {
      readonly id: string;
      readonly name: string | null;
      readonly role: string | null;
    }[];
  }[];
}

/** `GET /api/tables`: the tables of schema public. 501 unless the project can_view_as. */
export interface Tables {
  readonly tables: readonly {
    readonly name: string;
    /** 100,001 when there are more than 100,000; null of a view that fails. */
    readonly rows: number | null;
    readonly has_rls: boolean;
    readonly is_ours: boolean;
    readonly columns: readonly string[];
    /** The columns of the primary key, by which the rows of TableRows are in order; empty if it has none. */
    readonly key: readonly string[];
  }[];
}

/** `GET /api/tables/<name>?limit=50`: what exists, whoever may read it. `limit`: 1 to 500. */
export interface TableRows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly total: number;
}

/** `POST /api/session-token` with sub (null for nobody), and perhaps org_id and org_role. */
export interface SessionToken {
  readonly token: string | null;
}

/** `GET /api/stream`, which goes on until the server or the page ends it. */
export type StreamLine =
  /**
   * The newest messages that are new or have changed since the last line, newest first, 200 at most. Skipped:
   * how many new ones are left out. The first line has the newest messages of all.
   */
  | { readonly kind: "messages"; readonly messages: readonly Message[]; readonly skipped: number }
  | ({ readonly kind: "status" } & Status)
  /** All of them, when there are new ones. */
  | ({ readonly kind: "refusals" } & Refusals)
  /** The database does not answer; the stream goes on. */
  | { readonly kind: "trouble"; readonly error: string }
  /** At least every 5 s. */
  | { readonly kind: "beat" };
