import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I6_CHILDREN_FIRST: readonly Mutation[] = guardsOf("I6", [
  {
    what: "a membership that is stale or deleted adds no row for its organization",
    file: `${MIGRATION}15_create_ingest_clerk_event.sql`,
    from: "if kind in ('membership', 'invitation') then",
    to: `if kind in ('membership', 'invitation')
    and not reading.deletes
    and not exists (
      select from clerk_sync.objects
      where id = reading.own_id
        and (objects.version >= reading.version or objects.deleted_at is not null)
    )
  then`,
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    what: "a membership without a user is unreadable, although its row has one",
    file: `${MIGRATION}10_create_organization_memberships.sql`,
    from: `      from public.organization_memberships
      where id = membership_id`,
    to: `      from public.organization_memberships
      where false`,
    test: PGTAP,
    filter: "teams.sql",
  },
]);
