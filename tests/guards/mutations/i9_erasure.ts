import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const REGISTER = `${MIGRATION}04_create_register.sql`;
const INBOX = `${MIGRATION}05_create_inbox.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";
const CONCURRENCY = "tests/supabase/concurrency_test.ts";

export const I9_ERASURE: readonly Mutation[] = guardsOf("I9", [
  {
    what: "a deletion does not wait for deliveries that mention the person",
    file: REGISTER,
    from: "perform from clerk_sync.objects where id = locked_id for share;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "in flight, and erases it",
  },
  {
    what: "a deletion does not wait for an apply that is failing",
    file: REGISTER,
    from: "perform from clerk_sync.objects where id = locked_id for no key update;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "erasure also erases an apply",
  },
  {
    what: "a deletion does not wait for a body that cannot be read",
    file: `${MIGRATION}15_create_ingest_clerk_event.sql`,
    from: "  perform clerk_sync.lock_objects(null, false, null, reading.subjects);\n",
    to: "",
    test: CONCURRENCY,
    filter: "a body that cannot be read",
  },
  {
    what: "the register keeps data that mentions a deleted user",
    file: REGISTER,
    from: "    data = null,\n    subjects = '{}'\n  where cardinality(subjects) > 0",
    to: "    data = data\n  where cardinality(subjects) > 0",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "an event that mentions a deleted user is stored with its payload",
    file: INBOX,
    from: "    reading.payload := null;\n",
    to: "",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the inbox keeps the text of an error about a deleted user",
    file: INBOX,
    from: "when not is_settled then error - '{message,issues}'::text[] end",
    to: "when not is_settled then error end",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the inbox keeps one-time codes, and addresses without a user id",
    file: INBOX,
    from: "type ~ '^(email|sms|waitlistEntry)\\.'",
    to: "type ~ '^(email)\\.'",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "only one of the users that a message mentions is found",
    file: `${MIGRATION}07_create_clerk_values.sql`,
    from: "ids := ids || id;",
    to: "ids := array[id];",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the inbox keeps the address of an accepted invitation",
    file: `${MIGRATION}13_create_organization_invitations.sql`,
    from: "perform clerk_sync.erase_addresses_from_inbox(array[read.id]);",
    to: "null;",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "a dead letter holds the text of its handler's error",
    file: `${MIGRATION}18_create_worker_functions.sql`,
    from: "coalesce(substring(one.error_class from '^[a-z0-9_]{1,50}$'), 'unknown')",
    to: "one.error_class",
    test: "tests/functions/clerk-worker/erasure_test.ts",
  },
  {
    what: "the inbox keeps messages of a deleted user: found by the random worlds",
    file: `${MIGRATION}08_create_profiles.sql`,
    from: "  perform clerk_sync.erase_from_inbox(erase_profile.user_id);\n",
    to: "",
    test: "tests/properties/convergence_test.ts",
  },
]);
