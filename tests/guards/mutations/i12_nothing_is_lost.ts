import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const WORKER = "functions/clerk-worker/drain/worker.ts";
const PGTAP = "tests/supabase/pgtap_test.ts";
const OUTCOMES = "tests/functions/clerk-webhook/outcomes_test.ts";
const WORKER_TEST = "tests/functions/clerk-worker/drain/worker_test.ts";

export const I12_NOTHING_IS_LOST: readonly Mutation[] = guardsOf("I12", [
  {
    what: "a constraint that waits for the commit takes the message with it",
    file: INGEST,
    from: "      set constraints all immediate;\n",
    to: "",
    test: OUTCOMES,
    filter: "a deferred trigger that raises",
  },
  {
    what: "a database in trouble is taken for an event that fails",
    file: INGEST,
    from: "if state ~ '^(40|53|57)' or state = '55P03' then",
    to: "if state = '55P03' then",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "the worker settles a change as done before its handlers have run",
    file: WORKER,
    from: "    const work = runOne(change,",
    to: `    settler.add({ message_id: change.message_id, reads: change.reads, verdict: "done" });
    const work = runOne(change,`,
    test: WORKER_TEST,
    filter: "settled after its handlers",
  },
  {
    what: "no payload is kept to be replayed",
    file: INBOX_FUNCTIONS,
    from: "when speaks_of_deleted or is_foreign then null",
    to: "when true then null",
    test: PGTAP,
    filter: "ordering.sql",
  },
]);
