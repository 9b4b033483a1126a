import type { Change } from "../../../functions/clerk-worker/drain/change.ts";

/** A change of somebody who has just signed up, as the queue hands it out. */
export function aChange(overrides: Partial<Change> = {}): Change {
  return {
    message_id: 1,
    change_id: "1_1761991200000000",
    reads: 1,
    enqueued_at: "2026-11-01T10:00:00+00:00",
    topic: "profile.created",
    id: "user_ada",
    changed: ["first_name", "email", "email_verified"],
    caused_by: "msg_1",
    via: "webhook",
    external_id: null,
    version: 1_760_000_000_000,
    row: {
      id: "user_ada",
      first_name: "Ada",
      email: "ada@example.com",
      email_verified: true,
      created_at: new Date().toISOString(),
      deleted_at: null,
    },
    ...overrides,
  };
}
