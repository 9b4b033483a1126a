import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const SNAPSHOTS = `${MIGRATION}21_create_snapshots.sql`;
const RUNS = `${MIGRATION}22_create_runs.sql`;
const ENGINE = "functions/clerk-worker/reconcile/engine.ts";
const SLICE = "functions/clerk-worker/reconcile/slice.ts";
const SLICES = "tests/functions/clerk-worker/reconcile/slice_test.ts";
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
  {
    what: "a poll ends at the first page that is known",
    file: ENGINE,
    from: "(isAllKnown && page.oldest < since)",
    to: "isAllKnown",
    test: SLICES,
  },
  {
    what: "a poll reads all users",
    file: ENGINE,
    from: "page.next === null || (isAllKnown && page.oldest < since)",
    to: "page.next === null",
    test: SLICES,
  },
  {
    what: "a scheduled run deletes what it alone found gone",
    file: ENGINE,
    from: "if (this.#options.scheduled !== true) return ids;",
    to: "if (ids.length > 0) return ids;",
    test: SLICES,
  },
  {
    what: "what was found gone counts although it was there in between",
    file: RUNS,
    from: "where surplus_objects.run_id <> save_clerk_run.run_id",
    to: "where false",
    test: PGTAP,
    filter: "runs.sql",
  },
  {
    what: "a scheduled run deletes although no setting says so",
    file: RUNS,
    from: "      and (select delete_surplus from clerk_sync.settings)\n",
    to: "",
    test: PGTAP,
    filter: "runs.sql",
  },
  {
    what: "a scheduled run deletes what a run found gone a minute ago",
    file: RUNS,
    from: "surplus.found_at <= now() - interval '6 hours'",
    to: "surplus.found_at <= now()",
    test: PGTAP,
    filter: "runs.sql",
  },
  {
    what: "a slice does not end after its pages",
    file: SLICE,
    from: "++pages >= settings.pages",
    to: "++pages >= Infinity",
    test: SLICES,
  },
  {
    what: "a slice does not end when its time is up",
    file: SLICE,
    from: "setTimeout(() => stopping.abort(), settings.readForMs)",
    to: "setTimeout(() => {}, settings.readForMs)",
    test: SLICES,
  },
]);
