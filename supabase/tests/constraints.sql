-- Every check constraint refuses a row, by its name.

begin;
set local search_path = public, extensions;
select plan(28);


-- Arrange ------------------------------------------------------------------------------------

-- One statement per constraint, which breaks that constraint and no other.
create temp table provoked (name text, table_name text, statement text);

insert into provoked (table_name, name, statement) values
  (
    'profiles', 'profiles_id_is_a_clerk_user_id',
    $$ insert into public.profiles (id) values ('org_1') $$
  ),
  (
    'profiles', 'profiles_verified_email_exists',
    $$ insert into public.profiles (id, email_verified) values ('user_1', true) $$
  ),
  (
    'profiles', 'profiles_verified_phone_exists',
    $$ insert into public.profiles (id, phone_verified) values ('user_1', true) $$
  ),
  (
    'profiles', 'profiles_tombstone_holds_no_person',
    $$ insert into public.profiles (id, deleted_at, first_name) values ('user_1', now(), 'Ada') $$
  ),
  (
    'organizations', 'organizations_id_is_a_clerk_organization_id',
    $$ insert into public.organizations (id) values ('user_1') $$
  ),
  (
    'organizations', 'organizations_tombstone_holds_nothing',
    $$ insert into public.organizations (id, deleted_at, name) values ('org_1', now(), 'Lantern') $$
  ),
  (
    'organization_memberships', 'organization_memberships_id_is_a_clerk_membership_id',
    $$
      insert into public.organization_memberships (id, organization_id, user_id)
      values ('orginv_1', 'org_1', 'user_1')
    $$
  ),
  (
    'organization_invitations', 'organization_invitations_id_is_a_clerk_invitation_id',
    $$
      insert into public.organization_invitations (id, organization_id, status)
      values ('orgmem_1', 'org_1', 'pending')
    $$
  ),
  (
    'organization_invitations', 'organization_invitations_address_only_while_pending',
    $$
      insert into public.organization_invitations (id, organization_id, status, email_address)
      values ('orginv_1', 'org_1', 'accepted', 'ada@example.com')
    $$
  ),
  (
    'subscription_items', 'subscription_items_has_a_payer',
    $$ insert into public.subscription_items (id) values ('csub_item_1') $$
  ),
  (
    'organization_roles', 'organization_roles_permissions_are_pairs',
    $$ insert into public.organization_roles (id, permission_ids) values ('role_1', '{perm_1}') $$
  ),
  (
    'organization_roles', 'organization_roles_tombstone_holds_no_rights',
    $$ insert into public.organization_roles (id, deleted_at, name) values ('role_1', now(), 'Editor') $$
  ),
  (
    'settings', 'settings_is_one_row',
    $$ insert into clerk_sync.settings (is_only_row) values (false) $$
  ),
  (
    'settings', 'settings_instance_id_is_a_clerk_instance_id',
    $$ update clerk_sync.settings set instance_id = 'production' $$
  ),
  (
    'settings', 'settings_plan_grace_is_not_negative',
    $$ update clerk_sync.settings set plan_grace = '-1 day' $$
  ),
  (
    'settings', 'settings_ages_are_not_negative',
    $$ update clerk_sync.settings set max_queue_age = '-1 hour' $$
  ),
  (
    'settings', 'settings_payload_retention_is_not_negative',
    $$ update clerk_sync.settings set payload_retention = '-1 day' $$
  ),
  (
    'settings', 'settings_row_retention_outlives_resends',
    $$ update clerk_sync.settings set row_retention = '90 days' $$
  ),
  (
    'settings', 'settings_archive_retention_is_not_negative',
    $$ update clerk_sync.settings set archive_retention = '-1 day' $$
  ),
  (
    'settings', 'settings_purge_after_leaves_a_day',
    $$ update clerk_sync.settings set purge_after = '0' $$
  ),
  (
    'objects', 'objects_only_living_ones_hold_data',
    $$ insert into clerk_sync.objects (id, deleted_at, data) values ('role_1', now(), '{}') $$
  ),
  (
    'objects', 'objects_only_living_ones_hold_data',
    $$ insert into clerk_sync.objects (id, subjects) values ('role_1', '{user_1}') $$
  ),
  (
    'inbox', 'inbox_message_id_is_short',
    $$ insert into clerk_sync.inbox (message_id, outcome) values (repeat('m', 256), 'applied') $$
  ),
  (
    'inbox', 'inbox_error_explains_what_was_not_done',
    $$ insert into clerk_sync.inbox (message_id, outcome) values ('msg_1', 'failed') $$
  ),
  (
    'runs', 'runs_kind_is_known',
    $$ insert into clerk_sync.runs (kind, leased_until) values ('walk', now()) $$
  ),
  (
    'welcome_mails', 'welcome_mails_user_id_is_a_clerk_user_id',
    $$
      insert into clerk_sync.welcome_mails (user_id, claim)
      values ('ada@example.com', gen_random_uuid())
    $$
  );

create temp view forgotten as
select conname as name
from pg_constraint
where contype = 'c'
  and connamespace in ('public'::regnamespace, 'clerk_sync'::regnamespace)
except
select name from provoked;


-- Act and assert -----------------------------------------------------------------------------

select throws_ok(
  statement, '23514',
  format('new row for relation "%s" violates check constraint "%s"', table_name, name),
  name || ' refuses a row'
)
from provoked;

select is_empty('table forgotten', 'every check constraint is provoked here');

alter table public.profiles add constraint profiles_offender check (id <> 'user_offender');
select set_eq(
  'table forgotten', array['profiles_offender'], 'control: a constraint that is not provoked is found'
);

select * from finish();
rollback;
