import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const REGISTER = `${MIGRATION}04_create_register.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

const COMPARISON = `
    and (objects.version, objects.observed_at, objects.message_id)
      < (claim_version.version, claim_version.observed_at, claim_version.message_id)`;

export const I4_CONVERGENT: readonly Mutation[] = guardsOf("I4", [
  {
    what: "of two events with the same updated_at, the first to arrive wins",
    file: REGISTER,
    from: COMPARISON,
    to: "\n    and objects.version < claim_version.version",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "of two events with the same times, the first to arrive wins",
    file: REGISTER,
    from: COMPARISON,
    to: `
    and (objects.version, objects.observed_at) < (claim_version.version, claim_version.observed_at)`,
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "the envelope's time takes precedence over updated_at",
    file: `${MIGRATION}15_create_ingest_clerk_event.sql`,
    from: "coalesce(updated_at, reading.occurred_at,",
    to: "coalesce(reading.occurred_at, updated_at,",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "register rows are locked in random order",
    file: REGISTER,
    from: `select distinct id collate "C"
      from unnest(people || mentioned || rewritten_ids || array[own_id, lock_objects.organization_id])
        as every (id)
      where id is not null
      order by 1`,
    to: `select id
      from unnest(people || mentioned || rewritten_ids || array[own_id, lock_objects.organization_id])
        as every (id)
      where id is not null
      group by id
      order by random()`,
    test: "tests/supabase/concurrency_test.ts",
    filter: "in any order do not deadlock",
  },
  {
    what: "a stale event of a role does not tell the keys of its permissions",
    file: `${MIGRATION}12_create_organization_roles.sql`,
    from: "    clerk_sync.remember_keys('permission', nested, reading.observed_at);",
    to: "    clerk_sync.remember_keys('permission', '[]', reading.observed_at);",
    test: "tests/supabase/pgtap_test.ts",
    filter: "roles.sql",
  },
  {
    what: "a stale event of an item does not tell its plan",
    file: `${MIGRATION}14_create_subscription_items.sql`,
    from: "  if found then\n    -- Locked in one order, so that the deletion of a payer",
    to: "  if false then\n    -- Locked in one order, so that the deletion of a payer",
    test: "tests/supabase/pgtap_test.ts",
    filter: "items.sql",
  },
  {
    what: "two memberships of a person at once do not wait for each other",
    file: REGISTER,
    from: "elsif locked_id in (own_id, member_id) or",
    to: "elsif locked_id = own_id or",
    test: "tests/supabase/team_concurrency_test.ts",
    filter: "leave the newest visible",
  },
  {
    what: "of several memberships in one organization, the oldest counts",
    file: `${MIGRATION}10_create_organization_memberships.sql`,
    from: "          > (coalesce(membership.created_at",
    to: "          < (coalesce(membership.created_at",
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "versions are not compared: found by the random worlds",
    file: REGISTER,
    from: COMPARISON,
    to: "",
    test: "tests/properties/convergence_test.ts",
  },
]);
