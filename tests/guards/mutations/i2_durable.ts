import { guardsOf, type Mutation } from "../mutation.ts";

const INGEST = "supabase/migrations/20261101000015_create_ingest_clerk_event.sql";

export const I2_DURABLE: readonly Mutation[] = guardsOf("I2", [
  {
    what: "the webhook answers before the database has committed",
    file: "functions/clerk-webhook/handler.ts",
    from: "? deps.inbox.ingest(messageId, reading)",
    to:
      '? (deps.inbox.ingest(messageId, reading), Promise.resolve({ outcome: "applied" as const }))',
    test: "tests/functions/clerk-webhook/handler_test.ts",
    filter: "an unavailable database is 503",
  },
  {
    what: "an error of the database counts as applied",
    file: "functions/clerk-webhook/inbox.ts",
    from: 'return { outcome: "unavailable", code };\n',
    to: 'return { outcome: "applied" };\n',
    test: "tests/functions/clerk-webhook/outcomes_test.ts",
    filter: "a role without permission is 503",
  },
  {
    what: "a commit does not wait for its log",
    file: INGEST,
    from: "if is_known and clerk_sync.count_redelivery(message_id) then",
    to: `perform set_config('synchronous_commit', 'off', true);
  if is_known and clerk_sync.count_redelivery(message_id) then`,
    test: "tests/supabase/durability_test.ts",
  },
  {
    what: "a commit does not wait for its log: found by killing Postgres",
    file: INGEST,
    from: "if is_known and clerk_sync.count_redelivery(message_id) then",
    to: `perform set_config('synchronous_commit', 'off', true);
  if is_known and clerk_sync.count_redelivery(message_id) then`,
    test: "tests/faults/postgres_killed_test.ts",
  },
]);
