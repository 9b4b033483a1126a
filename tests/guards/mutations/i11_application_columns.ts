import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const QUEUE = `${MIGRATION}06_create_changes_queue.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I11_APPLICATION_COLUMNS: readonly Mutation[] = guardsOf("I11", [
  {
    what: "an update replaces the row, and the application's columns are lost",
    file: `${MIGRATION}08_create_profiles.sql`,
    from: "  insert into public.profiles as kept (",
    to: `  delete from public.profiles
  where id = objects[1] ->> 'id'
    and not exists (select from public.organization_memberships where user_id = objects[1] ->> 'id');
  insert into public.profiles as kept (`,
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    what: "an edit of the application's columns is announced",
    file: QUEUE,
    from: "foreach synced in array watched loop",
    to: "foreach synced in array array(select jsonb_object_keys(after)) loop",
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    what: "an edit of the application's columns needs rights on the queue",
    file: QUEUE,
    from:
      "-- Definer, because a permitted edit of an application column must not fail for want of rights on the\n-- queue.\nsecurity definer",
    to: "security invoker",
    test: PGTAP,
    filter: "announcements.sql",
  },
]);
