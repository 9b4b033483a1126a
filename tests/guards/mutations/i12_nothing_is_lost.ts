import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INGEST = `${MIGRATION}15_create_ingest_clerk_event.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I12_NOTHING_IS_LOST: readonly Mutation[] = guardsOf("I12", [
  {
    what: "a deferred constraint fails at commit, and the message is not stored",
    file: INGEST,
    from: "      set constraints all immediate;\n",
    to: "",
    test: "tests/functions/clerk-webhook/outcomes_test.ts",
    filter: "a deferred trigger that raises",
  },
  {
    what: "a deadlock or a full disk counts as a failure of the event",
    file: INGEST,
    from: "if state ~ '^(40|53|57)' or state = '55P03' then",
    to: "if state = '55P03' then",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "a failed event is stored without its payload",
    file: `${MIGRATION}05_create_inbox.sql`,
    from: "reason,\n    reading.payload\n",
    to: "reason,\n    case when reason is null then reading.payload end\n",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "a ban of the wrong type is dropped, and the rest of the event applied",
    file: "functions/_shared/clerk_sync/clerk.ts",
    from: "banned: Flag,",
    to: "banned: CosmeticFlag,",
    test: "tests/functions/clerk-webhook/event_test.ts",
    filter: "a ban that is a text",
  },
  {
    what: "metadata that nests deep makes every event of its person unreadable",
    file: "functions/_shared/clerk_sync/json.ts",
    from: "DEEPEST = 5_000",
    to: "DEEPEST = 4_000",
    test: "tests/functions/clerk-webhook/user_written_test.ts",
    filter: "as it can applies with the ban, on today",
  },
  {
    what: "a number that a double cannot hold is rounded",
    file: "functions/clerk-webhook/event.ts",
    from: "text = storable(body);",
    to: "text = storable(JSON.stringify(event));",
    test: "tests/functions/clerk-webhook/user_written_test.ts",
    filter: "digits that were sent, on today",
  },
  {
    what: "an event that always times out is kept nowhere",
    file: "functions/clerk-webhook/inbox.ts",
    from: "|55P03|timeout)$/",
    to: "|55P03)$/",
    test: "tests/functions/clerk-webhook/kept_test.ts",
    filter: "comes late turns failed into applied",
  },
  {
    what: "an unknown verb of a user without its properties empties the profile",
    file: "functions/clerk-webhook/event.ts",
    from: "if (!isWhole(schema, data)) return ignored;",
    to: "",
    test: "tests/functions/clerk-webhook/new_verbs_test.ts",
    filter: "if a property is missing",
  },
  {
    what: "the worker settles a change as done before its handlers have run",
    file: "functions/clerk-worker/drain/worker.ts",
    from: "    const work = runOne(change,",
    to: `    settler.add({ message_id: change.message_id, reads: change.reads, verdict: "done" });
    const work = runOne(change,`,
    test: "tests/functions/clerk-worker/drain/worker_test.ts",
    filter: "settled after its handlers",
  },
]);
