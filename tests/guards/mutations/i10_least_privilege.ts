import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const SCHEMAS = `${MIGRATION}01_create_schemas_and_roles.sql`;
const PROFILES = `${MIGRATION}03_create_profiles.sql`;
const MEMBERSHIPS = `${MIGRATION}05_create_organization_memberships.sql`;
const POLICIES = `${MIGRATION}06_create_policy_toolkit.sql`;
const INBOX = `${MIGRATION}11_create_inbox.sql`;
const QUEUE = `${MIGRATION}12_create_changes_queue.sql`;
const WELCOME_MAILS = `${MIGRATION}21_create_welcome_mails.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I10_LEAST_PRIVILEGE: readonly Mutation[] = guardsOf("I10", [
  {
    what: "the webhook's role may read the profiles",
    file: PROFILES,
    from: "grant select on table public.profiles to authenticated;",
    to: "grant select on table public.profiles to authenticated, clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    what: "the webhook's role may become another one",
    file: SCHEMAS,
    from: "grant usage on schema public to clerk_ingest;",
    to: "grant usage on schema public to clerk_ingest; grant service_role to clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    what: "row-level security is off",
    file: INBOX,
    from: "alter table clerk_sync.inbox enable row level security;",
    to: "",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    what: "a caller's search path reaches a definer function",
    file: WELCOME_MAILS,
    from: `language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = ''`,
    to: "language plpgsql\nvolatile\nsecurity definer",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    what: "the queue lies open",
    file: QUEUE,
    from: "alter table pgmq.q_clerk_changes enable row level security;",
    to: "",
    test: PGTAP,
    filter: "/catalog_rules.sql|grants.sql/",
  },
  {
    what: "who has left is still seen beside who came back",
    file: POLICIES,
    from: "and id <> all (array(select clerk.my_superseded_membership_ids()))",
    to: "",
    test: PGTAP,
    filter: "teams_rls.sql",
  },
  {
    what: "a role is read from the token, which outlives it",
    file: POLICIES,
    from: `select organization_memberships.role = clerk.org_key(has_org_role.role)
      from`,
    to: `select clerk.org_role() = clerk.org_key(has_org_role.role)
      from`,
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "through the API: who is signed in may delete memberships",
    file: MEMBERSHIPS,
    from: "grant select on table public.organization_memberships to authenticated;",
    to: "grant select, delete on table public.organization_memberships to authenticated;",
    test: "tests/hostile/access_test.ts",
    filter: "that the list does not allow",
  },
]);
