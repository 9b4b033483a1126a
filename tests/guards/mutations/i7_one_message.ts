import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const QUEUE = `${MIGRATION}12_create_changes_queue.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";
const CONVERGENCE = "tests/properties/convergence_test.ts";

export const I7_ONE_MESSAGE: readonly Mutation[] = guardsOf("I7", [
  {
    what: "an update that changes nothing is announced",
    file: QUEUE,
    from: "elsif changed <> '{}' then\n    perform clerk_sync.announce('profile.updated'",
    to: "else\n    perform clerk_sync.announce('profile.updated'",
    test: PGTAP,
    filter: "announcements.sql",
  },
  {
    what: "a new name announces every membership of the person",
    file: QUEUE,
    from: "    case when new.role_name is distinct from old.role_name then 'role_name' end,\n",
    to: `    case when new.role_name is distinct from old.role_name then 'role_name' end,
    case when new.member_name is distinct from old.member_name then 'member_name' end,
`,
    test: PGTAP,
    filter: "/announcements.sql|teams.sql/",
  },
  {
    what: "an edit by hand is announced as caused by the message before",
    file: INGEST,
    from: "set_config('clerk_sync.caused_by', ingest_clerk_event.message_id, true)",
    to: "set_config('clerk_sync.caused_by', ingest_clerk_event.message_id, false)",
    test: "tests/supabase/cause_test.ts",
  },
  {
    what: "the worlds alone: an update that changes nothing is announced",
    file: QUEUE,
    from: `elsif changed <> '{}' then
    perform clerk_sync.announce('profile.updated'`,
    to: `else
    perform clerk_sync.announce('profile.updated'`,
    test: CONVERGENCE,
  },
]);
