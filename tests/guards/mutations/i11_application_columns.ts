import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const QUEUE = `${MIGRATION}12_create_changes_queue.sql`;
const APPLY = `${MIGRATION}15_create_apply_functions.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I11_APPLICATION_COLUMNS: readonly Mutation[] = guardsOf("I11", [
  {
    what: "an update makes the row anew, without the application's columns",
    file: APPLY,
    from: "  insert into public.profiles as kept (\n    id, external_id",
    to: `  delete from public.profiles where id = data ->> 'id'
    and not exists (select from public.organization_memberships where user_id = data ->> 'id');
  insert into public.profiles as kept (
    id, external_id`,
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    what: "an edit of an application's column is announced",
    file: QUEUE,
    from: "elsif changed <> '{}' then\n    perform clerk_sync.announce('profile.updated'",
    to: "elsif old is distinct from new then\n    perform clerk_sync.announce('profile.updated'",
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    what: "who edits an application's column needs a right on the queue",
    file: QUEUE,
    from:
      `-- Definer, because a person's permitted edit of an application column must not fail for want of
-- rights on the queue.
security definer`,
    to: "security invoker",
    test: PGTAP,
    filter: "announcements.sql",
  },
]);
