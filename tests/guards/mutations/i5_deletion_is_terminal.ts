import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const PGTAP = "tests/supabase/pgtap_test.ts";
const ENSURE_PROFILE_TEST = "tests/supabase/ensure_profile_test.ts";

export const I5_DELETION_IS_TERMINAL: readonly Mutation[] = guardsOf("I5", [
  {
    what: "a signed-in browser creates the profile of a deleted user",
    file: `${MIGRATION}08_create_profiles.sql`,
    from: "where objects.id = add_profile.id\n    and objects.deleted_at is null",
    to: "where objects.id = add_profile.id",
    test: ENSURE_PROFILE_TEST,
    filter: "a deleted user whose tombstone was purged",
  },
  {
    what: "a membership of a deleted user is stored",
    file: `${MIGRATION}15_create_ingest_clerk_event.sql`,
    from: "if (kind = 'membership' or reading.organization_id is null)",
    to: "if reading.organization_id is null",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "a deletion is stale if something newer is registered",
    file: `${MIGRATION}04_create_register.sql`,
    from: "where objects.id = claim_deletion.id\n",
    to:
      "where objects.id = claim_deletion.id\n    and objects.observed_at <= claim_deletion.observed_at\n",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "ensure_profile() does not wait for a deletion in flight",
    file: `${MIGRATION}16_create_ensure_profile.sql`,
    from: "  perform clerk_sync.lock_objects(null, false, organization_id, array[own_id], '{}');\n",
    to: "",
    test: ENSURE_PROFILE_TEST,
    filter: "a call that waits for a deletion",
  },
]);
