import { z } from "zod";

/** `profile.created`, …: each kind with each verb. */
export const TOPICS = (["profile", "organization", "membership"] as const).flatMap((kind) =>
  (["created", "updated", "deleted"] as const).map((verb) => `${kind}.${verb}` as const)
);

export type Topic = typeof TOPICS[number];

/** One change, as `read_clerk_changes` returns it, with the current row. */
export const Change = z.object({
  /** The queue's number of the message, the same on every read. */
  message_id: z.number().int(),
  /** Globally unique id of the change, stable across reads and redrives. Use it as the idempotency key. */
  change_id: z.string(),
  /** Number of reads, this one included. */
  reads: z.number().int(),
  enqueued_at: z.string(),
  topic: z.enum(TOPICS),
  /** Clerk id of the object. */
  id: z.string(),
  /** The synced columns that changed. */
  changed: z.array(z.string()),
  /** Message id of the webhook that caused it; null after a change by hand. */
  caused_by: z.string().nullable(),
  /** `webhook` or `ensure_profile`; null after a change by hand. */
  via: z.string().nullable(),
  /** In `profile.deleted`, the `external_id` that Clerk's deletion carried: the tombstone has none. */
  external_id: z.string().nullable(),
  /** Clerk's version of the object (ms since the epoch): receivers drop older ones. */
  version: z.number().nullable(),
  /** The row; null if it is gone. A deleted profile or organization is a tombstone. */
  row: z.record(z.string(), z.unknown()).nullable(),
});
export type Change = z.infer<typeof Change>;

/** One read of a message. Only the newest read can settle it. */
export type MessageRead = Pick<Change, "message_id" | "reads">;

/** What becomes of a change that was run. */
export type Settlement =
  & MessageRead
  & (
    | { readonly verdict: "done" }
    | {
      readonly verdict: "retry";
      readonly delay_seconds: number;
      readonly handler: string;
      readonly error_class: string;
    }
    | { readonly verdict: "dead"; readonly error_class: string }
  );
