import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const APPLY = `${MIGRATION}15_create_apply_functions.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const REJECTION = `${MIGRATION}17_create_record_clerk_rejection.sql`;
const WORKER_FUNCTIONS = `${MIGRATION}20_create_worker_functions.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";
const CONVERGENCE = "tests/properties/convergence_test.ts";
const CONCURRENCY = "tests/supabase/concurrency_test.ts";

export const I9_ERASURE: readonly Mutation[] = guardsOf("I9", [
  {
    what: "a deletion does not wait for what speaks of its person",
    file: INBOX_FUNCTIONS,
    from: "perform from clerk_sync.objects where id = locked_id for share;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "in flight, and erases it",
  },
  {
    what: "the register keeps data that speaks of a deleted user",
    file: APPLY,
    from: "    data = null,\n    subjects = '{}'\n  where cardinality(subjects) > 0",
    to: "    data = data\n  where cardinality(subjects) > 0",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "what speaks of a deleted user later is kept whole",
    file: INBOX_FUNCTIONS,
    from: "when speaks_of_deleted or is_foreign then null",
    to: "when is_foreign then null",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the text of an error outlives its person",
    file: APPLY,
    from: "    payload = null,\n    error = error - '{message,issues}'::text[]\n",
    to: "    payload = null\n",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "an apply that fails while its person is deleted keeps what it read",
    file: INBOX_FUNCTIONS,
    from: "perform from clerk_sync.objects where id = locked_id for no key update;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "erasure also erases an apply",
  },
  {
    what: "one-time codes and addresses without an id are kept",
    file: INBOX_FUNCTIONS,
    from: "!~ '^(email|sms|waitlistEntry)\\.'",
    to: "!~ '^(email)\\.'",
    test: PGTAP,
    filter: "/ordering.sql|erasure.sql|mapping.sql/",
  },
  {
    what: "a dead letter quotes the error of its handler",
    file: WORKER_FUNCTIONS,
    from: "coalesce(substring(one.error_class from '^[a-z0-9_]{1,50}$'), 'unknown')",
    to: "one.error_class",
    test: "tests/functions/clerk-worker/erasure_test.ts",
  },
  {
    what: "the worlds alone: the inbox keeps the messages of a deleted user",
    file: APPLY,
    from: `  perform clerk_sync.erase_from_inbox(delete_user.user_id);
`,
    to: "",
    test: CONVERGENCE,
  },
  {
    what: "of the people in a message only the last is found",
    file: INBOX_FUNCTIONS,
    from: "ids := ids || id;",
    to: "ids := array[id];",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "an invitation that is accepted keeps its address in the inbox",
    file: INGEST,
    from: "perform clerk_sync.forget_addresses(array[own_id]);",
    to: "null;",
    test: PGTAP,
    filter: "/erasure.sql|teams.sql/",
  },
  {
    what: "what cannot be read does not wait for a deletion",
    file: REJECTION,
    from: `  perform clerk_sync.lock_objects(null, false, null, subjects);
`,
    to: "",
    test: CONCURRENCY,
    filter: "a body that cannot be read",
  },
]);
