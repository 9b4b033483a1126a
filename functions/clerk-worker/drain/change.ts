import { z } from "zod";

export const TOPICS = [
  "profile.created",
  "profile.updated",
  "profile.deleted",
  "organization.created",
  "organization.updated",
  "organization.deleted",
  "membership.created",
  "membership.updated",
  "membership.deleted",
] as const;

export type Topic = typeof TOPICS[number];

/** One change, as `read_clerk_changes` hands it out, with the row as it is now. */
export const Change = z.object({
  /** The queue's own number: the same on every read of this message. */
  message_id: z.number().int(),
  /**
   * What the change is known by outside: the same on every read, also after a redrive, and of no other
   * change of any database.
   */
  change_id: z.string(),
  /** How often it was read, this time included. */
  reads: z.number().int(),
  enqueued_at: z.string(),
  topic: z.enum(TOPICS),
  /** Clerk id of the object. */
  id: z.string(),
  /** The synced columns that changed. */
  changed: z.array(z.string()),
  /** Message id of the webhook that caused it; null when it was changed by hand. */
  caused_by: z.string().nullable(),
  /** `webhook`, `snapshot`, `ensure_profile`; null when it was changed by hand. */
  via: z.string().nullable(),
  /** Clerk's version of the object (ms since the epoch), to drop what is older by. */
  version: z.number().nullable(),
  /** The row, or null when it is gone. A deleted profile or organization is a tombstone. */
  row: z.record(z.string(), z.unknown()).nullable(),
});
export type Change = z.infer<typeof Change>;

/** Which message, as it was read. Read again by somebody else since, it is theirs. */
export type Held = Pick<Change, "message_id" | "reads">;

/** What is to become of a change that was run. */
export type Settlement =
  & Held
  & (
    | { readonly verdict: "done" }
    | { readonly verdict: "retry"; readonly delay_seconds: number }
    | { readonly verdict: "dead"; readonly error_class: string }
  );

/**
 * Does something about a change. At least once: a change can be run again, also after it succeeded.
 * Throws a {@link HandlerError} when it is to be tried again.
 */
export interface Handler {
  readonly name: string;
  /**
   * @param signal aborts when the change is about to become visible to others: stop then, because
   *   nobody can stop you, and somebody else begins
   */
  run(change: Change, signal: AbortSignal): Promise<void>;
}

/**
 * Why a handler did not do its work: a class such as `http_503`. A text, which could quote data, is
 * replaced by `unknown`.
 */
export class HandlerError extends Error {
  override name = "HandlerError";
  readonly errorClass: string;

  constructor(errorClass: string) {
    const safe = /^[a-z0-9_]{1,50}$/.test(errorClass) ? errorClass : "unknown";
    super(safe);
    this.errorClass = safe;
  }
}
