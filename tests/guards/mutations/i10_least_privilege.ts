import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const PROFILES = `${MIGRATION}08_create_profiles.sql`;
const POLICIES = `${MIGRATION}11_create_policy_toolkit.sql`;
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I10_LEAST_PRIVILEGE: readonly Mutation[] = guardsOf("I10", [
  {
    what: "the webhook's role may read profiles",
    file: PROFILES,
    from: "grant select on table public.profiles to authenticated, service_role;",
    to: "grant select on table public.profiles to authenticated, service_role, clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    what: "the webhook's role may become service_role",
    file: `${MIGRATION}01_create_schemas_and_roles.sql`,
    from: "grant usage on schema public to clerk_ingest, clerk_worker;",
    to:
      "grant usage on schema public to clerk_ingest, clerk_worker; grant service_role to clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    what: "service_role may update synced columns",
    file: PROFILES,
    from: "grant select on table public.profiles to authenticated, service_role;",
    to: `grant select on table public.profiles to authenticated, service_role;
grant update on table public.profiles to service_role;`,
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    what: "row-level security of the inbox is off",
    file: `${MIGRATION}05_create_inbox.sql`,
    from: "alter table clerk_sync.inbox enable row level security;",
    to: "",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    what: "a definer function uses the caller's search path",
    file: `${MIGRATION}19_create_welcome_mails.sql`,
    from: `language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp`,
    to: "language plpgsql\nvolatile\nsecurity definer",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    what: "an older membership is visible beside the person's newest",
    file: POLICIES,
    from: "    and not superseded\n  );",
    to: "  );",
    test: PGTAP,
    filter: "teams_rls.sql",
  },
  {
    what: "a custom claim org_id beside o makes a stranger a member",
    file: POLICIES,
    from: "when token -> 'v' = '2' then token -> 'o' ->> 'id'",
    to: "when token -> 'v' = '2' then coalesce(token ->> 'org_id', token -> 'o' ->> 'id')",
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "a token from before the person left still opens the organization",
    file: POLICIES,
    from: "and observed_at >= 1000 * (token ->> 'iat')::numeric",
    to: "and observed_at >= 1000 * (token ->> 'iat')::numeric + 1000000",
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "a permission that was taken from a role stays with its members",
    file: `${MIGRATION}12_create_organization_roles.sql`,
    from: "if newest.observed_at >= copied_at then",
    to: "if newest.observed_at < 0 then",
    test: PGTAP,
    filter: "roles.sql",
  },
  {
    what: "a session with an open task counts as signed in",
    file: `${MIGRATION}02_create_clerk_user_id.sql`,
    from: "  if coalesce(token -> 'sts', '\"active\"') <> '\"active\"' then",
    to: "  if false then",
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "an invitation opens to whoever's address only looks the same",
    file: `${MIGRATION}13_create_organization_invitations.sql`,
    from: 'lower(email_address collate "C") = any',
    to: "lower(email_address) = any",
    test: PGTAP,
    filter: "teams_rls.sql",
  },
  {
    what: "a role is read from the token, which outlives the membership",
    file: POLICIES,
    from: "coalesce(own_role = clerk.org_key(has_org_role.role), false)",
    to: "coalesce(clerk.org_role() = clerk.org_key(has_org_role.role), false)",
    test: PGTAP,
    filter: "toolkit.sql",
  },
  {
    what: "a signed-in user may delete memberships: found through the API",
    file: `${MIGRATION}10_create_organization_memberships.sql`,
    from: "grant select on table public.organization_memberships to authenticated, service_role;",
    to:
      "grant select, delete on table public.organization_memberships to authenticated, service_role;",
    test: "tests/hostile/access_test.ts",
    filter: "that the list does not allow",
  },
]);
