import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const QUEUE = `${MIGRATION}06_create_changes_queue.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I7_ONE_MESSAGE: readonly Mutation[] = guardsOf("I7", [
  {
    what: "an update that changes nothing is announced",
    file: QUEUE,
    from: "if tg_op = 'UPDATE' and changed = '{}' then",
    to: "if false then",
    test: PGTAP,
    filter: "announcements.sql",
  },
  {
    what: "a new name announces every membership of the person",
    file: `${MIGRATION}10_create_organization_memberships.sql`,
    from: "'membership', 'organization_id',",
    to: "'membership', 'member_name', 'organization_id',",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "an edit by hand is announced with the cause of the delivery before it",
    file: `${MIGRATION}15_create_ingest_clerk_event.sql`,
    from: "set_config('clerk_sync.caused_by', message_id, true)",
    to: "set_config('clerk_sync.caused_by', message_id, false)",
    test: "tests/supabase/cause_test.ts",
  },
]);
