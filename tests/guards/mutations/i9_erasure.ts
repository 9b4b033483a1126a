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
    from:
      "  perform clerk_sync.lock_objects(reading.own_id, false, null, reading.people, reading.subjects);\n",
    to: "",
    test: CONCURRENCY,
    filter: "a body that cannot be read",
  },
  {
    what: "the register keeps data that mentions a deleted user",
    file: REGISTER,
    from: "clerk_sync.without_person(data, user_id) as data",
    to: "data",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "an event that mentions a deleted user is stored with its payload",
    file: INBOX,
    from:
      "    reading.payload := clerk_sync.payload_left(reading.payload, result ->> 'outcome', deleted);\n",
    to: "",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the inbox keeps the text of an error about a deleted user",
    file: INBOX,
    from: "<> 'stale' then error - '{message,issues}'::text[] end",
    to: "<> 'stale' then error end",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "a name that looks like an id stays in the inbox",
    file: INBOX,
    from: "    subjects = clerk_sync.subjects_left(erased.subjects, erased.payload),\n",
    to: "",
    test: PGTAP,
    filter: "mentions.sql",
  },
  {
    what: "the inbox keeps addresses and programs of clients",
    file: INBOX,
    from: "    reading.payload := message - 'event_attributes';",
    to: "    reading.payload := message;",
    test: PGTAP,
    filter: "mentions.sql",
  },
  {
    what: "the inbox keeps one-time codes, and addresses without a user id",
    file: INBOX,
    from: "if reading.kind is null and jsonb_typeof",
    to: "if false and jsonb_typeof",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "only one of the users that a message mentions is found",
    file: `${MIGRATION}07_create_clerk_values.sql`,
    from: "id := 'user_' || run;\n      ids := ids || id;",
    to: "id := 'user_' || run;\n      ids := array[id];",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    what: "the inbox keeps the address of an accepted invitation",
    file: `${MIGRATION}13_create_organization_invitations.sql`,
    from: "where status <> 'pending'\n  ));",
    to: "where status <> status\n  ));",
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
