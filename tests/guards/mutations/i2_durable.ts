import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const WEBHOOK = "functions/clerk-webhook/handler.ts";
const CALLS = "functions/clerk-webhook/inbox.ts";
const WEBHOOK_TEST = "tests/functions/clerk-webhook/handler_test.ts";
const OUTCOMES = "tests/functions/clerk-webhook/outcomes_test.ts";

export const I2_DURABLE: readonly Mutation[] = guardsOf("I2", [
  {
    what: "the webhook answers before the database has committed",
    file: WEBHOOK,
    from: "? await deps.inbox.ingest(messageId, reading.event)",
    to: '? (deps.inbox.ingest(messageId, reading.event), { outcome: "applied" as const })',
    test: WEBHOOK_TEST,
    filter: "an unavailable database is 503",
  },
  {
    what: "a refusal of the database passes for an answer",
    file: CALLS,
    from: 'return { outcome: "unavailable", code };\n',
    to: 'return { outcome: "applied" };\n',
    test: OUTCOMES,
    filter: "a role without the right is 503",
  },
  {
    what: "the transaction commits without waiting for the log",
    file: INGEST,
    from: "if is_known and clerk_sync.count_redelivery(ingest_clerk_event.message_id) then",
    to: `perform set_config('synchronous_commit', 'off', true);
  if is_known and clerk_sync.count_redelivery(ingest_clerk_event.message_id) then`,
    test: "tests/supabase/durability_test.ts",
  },
  {
    what: "a commit is told before its log is written, and the server is killed",
    file: INGEST,
    from: "if is_known and clerk_sync.count_redelivery(ingest_clerk_event.message_id) then",
    to:
      "perform set_config('synchronous_commit', 'off', true);\n  if is_known and clerk_sync.count_redelivery(ingest_clerk_event.message_id) then",
    test: "tests/faults/postgres_killed_test.ts",
  },
]);
