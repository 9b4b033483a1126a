import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I6_CHILDREN_FIRST: readonly Mutation[] = guardsOf("I6", [
  {
    what: "only a membership that is applied makes rows for its parents",
    file: INGEST,
    from: "if kind in ('membership', 'invitation') then",
    to: `if kind in ('membership', 'invitation')
      and not exists (select from clerk_sync.objects where id = own_id and (objects.version >= apply_event.version or deleted_at is not null))
      and not deletes
    then`,
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "a membership that does not say whose is nobody's, though its row says it",
    file: INGEST,
    from: `      from public.organization_memberships
      where id = membership_id`,
    to: `      from public.organization_memberships
      where false`,
    test: PGTAP,
    filter: "teams.sql",
  },
]);
