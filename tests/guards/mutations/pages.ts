import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const SNAPSHOTS = `${MIGRATION}21_create_snapshots.sql`;
const RUNS = `${MIGRATION}22_create_runs.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const PAGES: readonly Mutation[] = guardsOf("PAGES", [
  {
    what: "a page brings a deleted user back",
    file: SNAPSHOTS,
    from: "        when own.deleted_at is not null\n          or ",
    to: "        when ",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "an older page undoes an event",
    file: SNAPSHOTS,
    from:
      "(own.version, own.observed_at, own.message_id) > (given.version, apply_page.observed_at, '')",
    to: "false",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "an event that is older than a page undoes it",
    file: SNAPSHOTS,
    from:
      "    perform clerk_sync.claim_version(each_one.id, each_one.version, apply_page.observed_at, '');",
    to: "    null;",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "a membership in a page that is stale or gone adds no row for its organization",
    file: SNAPSHOTS,
    from:
      "      from unnest(page)\n      where user_id is not null\n        or kind = 'invitation'",
    to: "      from unnest(fresh)",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "a page does not tell who lost a membership",
    file: SNAPSHOTS,
    from: "    where objects.deleted_at is not null\n      and given.user_id is not null",
    to: "    where false",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "a role in a page that has the same updated_at is not compared",
    file: SNAPSHOTS,
    from: "when kind = 'permission' and each_one.known_version",
    to: "when each_one.known_version",
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "a role in a page that is unchanged or gone does not tell keys",
    file: SNAPSHOTS,
    from: "    perform clerk_sync.apply_role_or_permission('', reading, filled);",
    to: `    if verdict in ('missing', 'outdated') then
      perform clerk_sync.apply_role_or_permission('', reading, filled);
    end if;`,
    test: PGTAP,
    filter: "snapshots.sql",
  },
  {
    what: "pages are not compared with what is known: found by the random worlds",
    file: SNAPSHOTS,
    from:
      "(own.version, own.observed_at, own.message_id) > (given.version, apply_page.observed_at, '')",
    to: "false ",
    test: "tests/properties/convergence_test.ts",
  },
  {
    what: "reconcile deletes no users: found by the random worlds",
    file: RUNS,
    from: `      from public.profiles
      where deleted_at is null`,
    to: `      from public.profiles
      where false`,
    test: "tests/properties/convergence_test.ts",
  },
]);
