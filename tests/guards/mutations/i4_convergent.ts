import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const POLICIES = `${MIGRATION}06_create_policy_toolkit.sql`;
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";
const CONVERGENCE = "tests/properties/convergence_test.ts";
const CONCURRENCY = "tests/supabase/concurrency_test.ts";

export const I4_CONVERGENT: readonly Mutation[] = guardsOf("I4", [
  {
    what: "of two events with one updated_at the one that comes first wins",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: "\n      and objects.version < apply_event.version",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "of two events with equal times the one that comes first wins",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: `
      and (objects.version, objects.observed_at) < (apply_event.version, apply_event.observed_at)`,
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "the envelope's time decides before updated_at",
    file: INGEST,
    from: "coalesce(updated_at, envelope, created_at)",
    to: "coalesce(envelope, updated_at, created_at)",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "register rows are locked in any order",
    file: INBOX_FUNCTIONS,
    from: `select distinct id collate "C"
      from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id]) as spoken_of (id)
      where id is not null
      order by 1`,
    to: `select id
      from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id]) as spoken_of (id)
      where id is not null
      group by id
      order by random()`,
    test: CONCURRENCY,
    filter: "in any order do not deadlock",
  },
  {
    what: "of several memberships of one person the oldest counts",
    file: POLICIES,
    from: 'order by organization_id, created_at desc nulls last, id collate "C" desc',
    to: 'order by organization_id, created_at, id collate "C"',
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "the worlds alone: versions are not compared",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: "",
    test: CONVERGENCE,
  },
]);
