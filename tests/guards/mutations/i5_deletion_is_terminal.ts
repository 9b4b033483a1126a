import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const APPLY = `${MIGRATION}15_create_apply_functions.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const ENSURE_PROFILE = `${MIGRATION}18_create_ensure_profile.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";
const ENSURE_TEST = "tests/supabase/ensure_profile_test.ts";

export const I5_DELETION_IS_TERMINAL: readonly Mutation[] = guardsOf("I5", [
  {
    what: "a signed-in browser makes the row of a deleted user",
    file: APPLY,
    from: "where objects.id = make_stubs.user_id\n    and objects.deleted_at is null",
    to: "where objects.id = make_stubs.user_id",
    test: "tests/supabase/ensure_profile_test.ts",
    filter: "a deleted user whose tombstone was purged",
  },
  {
    what: "a membership comes back to a deleted user",
    file: INGEST,
    from: "(kind = 'membership' and clerk_sync.is_deleted(apply_event.user_id))",
    to: "false",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "a deletion is compared with what is there, and can be late",
    file: INGEST,
    from: "where id = own_id\n      and deleted_at is null;",
    to:
      "where id = own_id\n      and deleted_at is null\n      and objects.version < apply_event.version;",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "a browser that is in the middle of its call does not wait for the deletion",
    file: ENSURE_PROFILE,
    from: `  perform clerk_sync.lock_objects(null, false, null, array[own_id]);
`,
    to: "",
    test: ENSURE_TEST,
    filter: "a call that waits for a deletion",
  },
]);
