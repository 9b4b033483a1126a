-- What happens to events about teams: organizations, memberships, invitations, subscription items, and
-- kinds without a table. Each part has users and organizations of its own.

begin;
set local search_path = public, extensions;
select plan(247);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

-- An event as Clerk sends it, the given ms after a fixed time; the envelope's time trails by 30 ms.
create function pg_temp.event(type text, data jsonb, at bigint default 0)
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'object', 'event',
    'type', type,
    'timestamp', 1760000000030 + at,
    'data', case
      when type in ('user.deleted', 'organization.deleted') then data
      else jsonb_build_object('updated_at', 1760000000000 + at) || data
    end)
$$;

create function pg_temp.answer(message_id text, event jsonb)
returns jsonb
language plpgsql
as $$
declare
  answer jsonb;
begin
  -- As in a transaction of its own: all deliveries of this file share one.
  set constraints all deferred;

  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, event);
  reset role;
  return answer;
end
$$;

create temp sequence deliveries;

-- The outcome of an event delivered under a new message id.
create function pg_temp.deliver(type text, data jsonb, at bigint default 0)
returns text
language sql
as $$
  select pg_temp.answer(
    'msg_' || to_char(nextval('pg_temp.deliveries'), 'FM0000'), pg_temp.event(type, data, at)) ->> 'outcome'
$$;

create function pg_temp.membership(id text, organization text, person text, changes jsonb default '{}')
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'id', id,
    'organization', jsonb_build_object('id', organization, 'name', 'A nested name', 'slug', 'nested'),
    'public_user_data', jsonb_build_object(
      'user_id', person, 'first_name', 'Nested', 'image_url', 'https://img/nested', 'identifier', 'nested@example.com'),
    'role', 'org:member',
    'created_at', 1750000000000) || changes
$$;

create function pg_temp.invitation(id text, organization text, status text, changes jsonb default '{}')
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'id', id,
    'organization_id', organization,
    'email_address', id || '@example.com',
    'url', 'https://accept/' || id,
    'role', 'org:member',
    'status', status) || changes
$$;

create function pg_temp.item(id text, payer jsonb, changes jsonb default '{}')
returns jsonb
language sql
as $$
  select jsonb_build_object('id', id, 'status', 'active', 'plan', '{"slug": "pro"}'::jsonb, 'payer', payer) || changes
$$;

-- Takes everything off the queue, in the order in which it was announced.
create function pg_temp.announced()
returns jsonb
language sql
as $$
  with taken as (
    delete from pgmq.q_clerk_changes returning msg_id, message
  )
  select coalesce(jsonb_agg(message - '{caused_by,via}'::text[] order by msg_id), '[]') from taken
$$;

-- The number of rows of the inbox, the register and the tables that contain a text.
create function pg_temp.rows_with(what text)
returns bigint
language sql
as $$
  select count(*)
  from (
    select to_jsonb(inbox) from clerk_sync.inbox
    union all select to_jsonb(objects) from clerk_sync.objects
    union all select to_jsonb(profiles) from public.profiles
    union all select to_jsonb(organizations) from public.organizations
    union all select to_jsonb(organization_memberships) from public.organization_memberships
    union all select to_jsonb(organization_invitations) from public.organization_invitations
    union all select to_jsonb(subscription_items) from public.subscription_items
    union all select message from pgmq.q_clerk_changes
  ) as everything (row)
  where strpos(row::text, what) > 0
$$;


-- Organizations ------------------------------------------------------------------------------

select is(
  pg_temp.answer('msg_acme', pg_temp.event('organization.created', '{
    "id": "org_acme", "name": "Acme", "slug": "acme", "image_url": "https://img/acme", "has_image": true,
    "members_count": 3, "max_allowed_memberships": 5, "public_metadata": {"tier": 1},
    "private_metadata": {"note": "vault"}, "created_by": "user_founder", "created_at": 1750000000000
  }')),
  '{"outcome": "applied"}',
  'an organization is applied'
);
select is(
  (select to_jsonb(organizations) from organizations where id = 'org_acme'),
  jsonb_build_object(
    'id', 'org_acme', 'name', 'Acme', 'slug', 'acme', 'image_url', 'https://img/acme', 'has_image', true,
    'members_count', 3, 'max_allowed_memberships', 5, 'public_metadata', '{"tier": 1}'::jsonb,
    'created_by', 'user_founder', 'created_at', to_timestamp(1750000000), 'updated_at', to_timestamp(1760000000),
    'deleted_at', null, 'synced_at', now()),
  'an organization becomes a row, without private metadata'
);
select is_empty(
  $$ select from profiles where id = 'user_founder' $$,
  'an organization makes no profile for its creator'
);
select is(
  pg_temp.announced(),
  '[{"topic": "organization.created", "id": "org_acme", "changed": [
    "slug", "name", "image_url", "has_image", "members_count", "max_allowed_memberships",
    "public_metadata", "created_by", "created_at"
  ]}]',
  'a new organization is announced once, with the columns that are set'
);

select is(
  pg_temp.deliver('organization.updated', jsonb_build_object('id', 'org_map') || data, 1),
  'applied', 'arrange: ' || data::text
)
from (values ('{"slug": "", "max_allowed_memberships": 0, "members_count": -1}'::jsonb)) as datas (data);
select results_eq(
  $$ select slug, max_allowed_memberships, members_count from organizations where id = 'org_map' $$,
  $$ values (null::text, null::integer, null::integer) $$,
  'a blank slug, a limit of 0 memberships and a negative count read as null'
);
select is(
  (
    select to_jsonb(organization) - 'id' from clerk_sync.organization_from_clerk('{
      "id": "org_x", "has_image": "true", "members_count": "3", "max_allowed_memberships": 1e300,
      "public_metadata": null, "created_at": "soon", "updated_at": null
    }') as organization
  ),
  (select to_jsonb(organization) - 'id' from clerk_sync.organization_from_clerk('{"id": "org_x"}') as organization),
  'a flag, count or time of an organization that cannot be read is absent'
);
select set_eq(
  format('select jsonb_object_keys(jsonb_strip_nulls(to_jsonb(mapped))) from clerk_sync.%I(%L) as mapped', mapping, whole),
  format(
    $$
      select column_name::text from information_schema.columns
      where table_schema = 'public' and table_name = %L
        and column_name not in ('deleted_at', 'synced_at', 'member_name', 'member_image_url', 'superseded')
    $$,
    name
  ),
  format('the mapping fills every synced column of %s', name)
)
from (
  values
    ('organizations', 'organization_from_clerk', '{
      "id": "org_x", "slug": "x", "name": "X", "image_url": "https://img/x", "has_image": true, "members_count": 1,
      "max_allowed_memberships": 5, "created_by": "user_x", "created_at": 1750000000000, "updated_at": 1750000000000
    }'),
    ('organization_memberships', 'membership_from_clerk', '{
      "id": "orgmem_x", "organization": {"id": "org_x"}, "public_user_data": {"user_id": "user_x"}, "role": "admin",
      "role_name": "Admin", "permissions": [], "created_at": 1750000000000, "updated_at": 1750000000000
    }'),
    ('organization_invitations', 'invitation_from_clerk', '{
      "id": "orginv_x", "organization_id": "org_x", "email_address": "x@example.com", "role": "admin",
      "role_name": "Admin", "status": "pending", "inviter_id": "user_x", "user_id": "user_y",
      "expires_at": 4070908800000, "created_at": 1750000000000, "updated_at": 1750000000000
    }'),
    ('subscription_items', 'subscription_item_from_clerk', '{
      "id": "csub_item_x", "payer": {"user_id": "user_x", "organization_id": "org_x"}, "plan_id": "cplan_x",
      "plan": {"slug": "x", "name": "X"}, "seats": {"quantity": 5}, "plan_period": "month",
      "amount": {"amount": 2000, "currency": "EUR"}, "status": "active", "period_start": 1750000000000,
      "period_end": 1750000000000, "created_at": 1750000000000, "updated_at": 1750000000000
    }')
) as mappings (name, mapping, whole);

-- The announcement that follows when one field of an object changes.
create function pg_temp.announced_for(type text, whole jsonb, changes jsonb)
returns jsonb
language plpgsql
as $$
begin
  delete from clerk_sync.objects where id = whole ->> 'id';
  perform pg_temp.deliver(type, whole, 10);
  perform pg_temp.announced();
  perform pg_temp.deliver(type, whole || changes, 11);
  return (pg_temp.announced() -> 0) - 'id';
end
$$;

select is(
  pg_temp.announced_for('organization.updated', '{
    "id": "org_told", "name": "Told", "slug": "told", "image_url": "https://img/told", "has_image": true,
    "members_count": 3, "max_allowed_memberships": 5, "public_metadata": {"tier": 1}, "created_by": "user_founder",
    "created_at": 1750000000000
  }', changes),
  case when column_name is not null then
    jsonb_build_object('topic', 'organization.updated', 'changed', jsonb_build_array(column_name)) end,
  format('%s of an organization is announced as %s', changes, coalesce(column_name, 'nothing'))
)
from (
  values
    ('{"slug": "told-2"}'::jsonb, 'slug'), ('{"name": "Told & Co"}', 'name'),
    ('{"image_url": "https://img/2"}', 'image_url'), ('{"has_image": false}', 'has_image'),
    ('{"members_count": 4}', 'members_count'), ('{"max_allowed_memberships": 0}', 'max_allowed_memberships'),
    ('{"public_metadata": {}}', 'public_metadata'), ('{"created_by": null}', 'created_by'),
    ('{"created_at": 1740000000000}', 'created_at'), ('{}', null),
    ('{"private_metadata": {"note": "other"}}', null), ('{"pending_invitations_count": 9}', null)
) as examples (changes, column_name);
select set_eq(
  $$
    select column_name::text from information_schema.columns
    where table_schema = 'public' and table_name = 'organizations'
  $$,
  array[
    -- compared
    'slug', 'name', 'image_url', 'has_image', 'members_count', 'max_allowed_memberships',
    'public_metadata', 'created_by', 'created_at', 'deleted_at',
    -- not compared
    'id', 'updated_at', 'synced_at'
  ],
  'every column of organizations is listed here as compared or not compared'
);
select is(
  pg_temp.deliver('organization.updated', '{"id": "org_acme", "name": "Old"}', -1), 'stale',
  'an event about an organization is stale if it is older than the stored version'
);
select is((select name from organizations where id = 'org_acme'), 'Acme', 'a stale event about an organization changes nothing');
select is(pg_temp.announced(), '[]', 'a stale event about an organization announces nothing');


-- A child arrives first ----------------------------------------------------------------------

select is(
  pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_first', 'org_first', 'user_first', '{
    "role_name": "Member", "permissions": ["org:posts:read", "org:posts:write"], "public_metadata": {"seat": 7},
    "private_metadata": {"note": "vault"}
  }')),
  'applied',
  'a membership may arrive before its user and its organization'
);
select results_eq(
  $$
    select jsonb_strip_nulls(to_jsonb(organizations)) from organizations where id = 'org_first'
    union all
    select jsonb_strip_nulls(to_jsonb(profiles)) from profiles where id = 'user_first'
  $$,
  $$
    values
      (jsonb_build_object('id', 'org_first', 'has_image', false, 'public_metadata', '{}'::jsonb, 'synced_at', now())),
      (jsonb_build_object(
        'id', 'user_first', 'has_image', false, 'public_metadata', '{}'::jsonb, 'unsafe_metadata', '{}'::jsonb,
        'email_verified', false, 'verified_emails', '[]'::jsonb, 'phone_verified', false, 'banned', false, 'locked', false,
        'deprovisioned', false, 'two_factor_enabled', false, 'synced_at', now()))
  $$,
  'the parents of a membership are made with nothing but the id: no name is taken from its copies'
);
select is(
  (select to_jsonb(organization_memberships) from organization_memberships where id = 'orgmem_first'),
  jsonb_build_object(
    'id', 'orgmem_first', 'organization_id', 'org_first', 'user_id', 'user_first', 'role', 'org:member',
    'role_name', 'Member', 'permissions', '["org:posts:read", "org:posts:write"]'::jsonb, 'public_metadata', '{"seat": 7}'::jsonb,
    'member_name', null, 'member_image_url', null, 'superseded', false, 'created_at', to_timestamp(1750000000),
    'updated_at', to_timestamp(1760000000), 'synced_at', now()),
  'a membership becomes a row, without names from its copies and without private metadata'
);
select is(
  (
    select jsonb_agg(message -> 'topic' order by message ->> 'topic')
    from jsonb_array_elements(pg_temp.announced()) as message
  ),
  '["membership.created", "organization.created", "profile.created"]',
  'a membership is announced, and so are the rows that it made'
);

select is(
  pg_temp.deliver('organization.created', '{"id": "org_first", "name": "First"}', -5000), 'applied',
  'arrange: the organization''s own event, which is older'
);
select is(
  pg_temp.deliver('user.created', '{"id": "user_first", "first_name": "Fay", "last_name": "First", "image_url": "https://img/fay"}', -5000),
  'applied',
  'arrange: the user''s own event, which is older'
);
select results_eq(
  $$
    select organizations.name, full_name, member_name, member_image_url
    from organization_memberships
    join organizations on organizations.id = organization_id
    join profiles on profiles.id = user_id
    where organization_memberships.id = 'orgmem_first'
  $$,
  $$ values ('First', 'Fay First', 'Fay First', 'https://img/fay') $$,
  'the parents'' own events complete the rows, though older than the membership, and the name reaches the team page'
);
select is(
  (
    select jsonb_agg(message -> 'topic' order by message ->> 'topic')
    from jsonb_array_elements(pg_temp.announced()) as message
  ),
  '["organization.updated", "profile.updated"]',
  'the completion announces the parents, but not the membership'
);

select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_first', 'org_invites', 'pending', '{"inviter_id": "user_inviter"}')),
  'applied',
  'an invitation may arrive before its organization'
);
select results_eq(
  $$ select (select name from organizations where id = 'org_invites'), (select count(*) from profiles where id = 'user_inviter') $$,
  $$ values (null::text, 0::bigint) $$,
  'an invitation makes its organization with nothing but the id, and no profile for the inviter'
);
select isnt_empty($$ select from organizations where id = 'org_invites' $$, 'control: the organization is there');

select is(
  pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_gone', 'org_gonefirst', 'user_gonefirst')), 'applied',
  'the deletion of a membership may arrive first'
);
select results_eq(
  $$
    select
      (select count(*) from organizations where id = 'org_gonefirst'),
      (select count(*) from profiles where id = 'user_gonefirst'),
      (select count(*) from organization_memberships where id = 'orgmem_gone')
  $$,
  $$ values (1::bigint, 1::bigint, 0::bigint) $$,
  'every membership event makes the rows of its parents, even a deletion'
);
select is(
  pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_gone', 'org_gonefirst', 'user_gonefirst')), 'stale',
  'a creation that arrives after the deletion is stale'
);

select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_first', 'org_first', 'user_first', '{"role": "org:admin"}'), -9999), 'stale',
  'a membership event older than the stored version is stale'
);
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_first', 'org_stale', 'user_stale'), -9998), 'stale',
  'arrange: a stale event that names unknown parents'
);
select results_eq(
  $$ select (select count(*) from organizations where id = 'org_stale'), (select count(*) from profiles where id = 'user_stale') $$,
  $$ values (1::bigint, 1::bigint) $$,
  'a stale membership event makes the rows of its parents, too'
);


-- Copies never win ---------------------------------------------------------------------------

select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_first', 'org_first', 'user_first', '{"role": "admin"}'), 9000),
  'applied',
  'arrange: a newer membership, with other names in its copies'
);
select results_eq(
  $$
    select organizations.name, slug, profiles.first_name, profiles.email, member_name, member_image_url
    from organization_memberships
    join organizations on organizations.id = organization_id
    join profiles on profiles.id = user_id
    where organization_memberships.id = 'orgmem_first'
  $$,
  $$ values ('First', null::text, 'Fay', null::text, 'Fay First', 'https://img/fay') $$,
  'the copies in a membership never overwrite its organization, its user or the name shown'
);
select is(
  (select role from organization_memberships where id = 'orgmem_first'), 'org:admin',
  'control: the membership itself changed; its role has the prefix, whether Clerk sent it or not'
);
select is(
  (
    select to_jsonb(membership) - 'id' from clerk_sync.membership_from_clerk('{
      "id": "orgmem_x", "permissions": "all", "public_metadata": null, "created_at": {}
    }') as membership
  ),
  (select to_jsonb(membership) - 'id' from clerk_sync.membership_from_clerk('{"id": "orgmem_x"}') as membership),
  'permissions or a time of a membership that cannot be read are absent'
);

select is(
  pg_temp.announced_for('organizationMembership.updated', pg_temp.membership('orgmem_told', 'org_first', 'user_first', '{
    "role_name": "Member", "permissions": ["org:a"], "public_metadata": {"a": 1}
  }'), changes),
  case when column_name is not null then
    jsonb_build_object('topic', 'membership.updated', 'changed', jsonb_build_array(column_name)) end,
  format('%s of a membership is announced as %s', changes, coalesce(column_name, 'nothing'))
)
from (
  values
    ('{"role": "org:admin"}'::jsonb, 'role'), ('{"role_name": "Boss"}', 'role_name'),
    ('{"permissions": []}', 'permissions'), ('{"public_metadata": {}}', 'public_metadata'),
    ('{"created_at": 1740000000000}', 'created_at'), ('{"organization": {"id": "org_acme"}}', 'organization_id'),
    ('{"public_user_data": {"user_id": "user_gonefirst"}}', 'user_id'), ('{}', null),
    ('{"private_metadata": {"b": 1}}', null)
) as examples (changes, column_name);
select set_eq(
  $$
    select column_name::text from information_schema.columns
    where table_schema = 'public' and table_name = 'organization_memberships'
  $$,
  array[
    -- compared
    'organization_id', 'user_id', 'role', 'role_name', 'permissions', 'public_metadata', 'created_at',
    -- not compared
    'id', 'member_name', 'member_image_url', 'superseded', 'updated_at', 'synced_at'
  ],
  'every column of memberships is listed here as compared or not compared'
);


-- The member's display columns ---------------------------------------------------------------

do $$
begin
  perform pg_temp.deliver('user.created', '{"id": "user_dee", "first_name": "Dee", "username": "dd", "image_url": "https://img/dee"}');
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_dee1', 'org_dee', 'user_dee'));
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_dee2', 'org_dee2', 'user_dee'));
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_dan', 'org_dee', 'user_dan'));
  perform pg_temp.announced();
end
$$;

select results_eq(
  $$ select id, member_name, member_image_url from organization_memberships where id ^@ 'orgmem_d' order by id $$,
  $$
    values ('orgmem_dan', null, null), ('orgmem_dee1', 'Dee', 'https://img/dee'), ('orgmem_dee2', 'Dee', 'https://img/dee')
  $$,
  'a new membership shows its member by the profile''s name'
);
select is(
  pg_temp.deliver('user.updated', '{"id": "user_dee", "username": "dd", "image_url": "https://img/dee2"}', 1), 'applied',
  'arrange: the name is gone, the username stays'
);
select results_eq(
  $$ select id, member_name, member_image_url from organization_memberships where id ^@ 'orgmem_d' order by id $$,
  $$
    values ('orgmem_dan', null, null), ('orgmem_dee1', 'dd', 'https://img/dee2'), ('orgmem_dee2', 'dd', 'https://img/dee2')
  $$,
  'a member is shown by name, else by username, in each of their teams, and no other member changes'
);
select is(
  pg_temp.announced(),
  '[{"topic": "profile.updated", "id": "user_dee", "changed": ["first_name", "image_url"]}]',
  'the new name on team pages is not announced'
);
select is(
  pg_temp.deliver('user.updated', '{"id": "user_dee", "primary_email_address_id": "idn_1", "email_addresses": [{"id": "idn_1", "email_address": "dee@example.com"}]}', 2),
  'applied',
  'arrange: nothing but an address is left'
);
select results_eq(
  $$ select member_name, member_image_url from organization_memberships where id = 'orgmem_dee1' $$,
  $$ values (null::text, null::text) $$,
  'a member is never shown by address'
);
select is(
  pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_dee3', 'org_dee3', 'user_dee')), 'applied',
  'arrange: another team'
);
select is(
  (select member_name from organization_memberships where id = 'orgmem_dee3'), null,
  'a member is not shown by address when they join, either'
);
select is(
  pg_temp.deliver('user.updated', '{"id": "user_dee", "username": "deedee"}', 3), 'applied', 'arrange: a username alone'
);
select is(
  (select member_name from organization_memberships where id = 'orgmem_dee3'), 'deedee',
  'a username alone reaches the team page'
);
create temp table places as
select ctid as place from organization_memberships where id = 'orgmem_dee1';
do $$ begin perform pg_temp.deliver('user.updated', '{"id": "user_dee", "username": "deedee", "locale": "de"}', 4); end $$;
select is(
  (select ctid from organization_memberships where id = 'orgmem_dee1'), (select place from places),
  'a profile change that is not displayed writes no membership'
);
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_dan', 'org_dee', 'user_first'), 1), 'applied',
  'arrange: a membership moves to another user'
);
select is(
  (select member_name from organization_memberships where id = 'orgmem_dan'), 'Fay First',
  'a membership that moves to another user shows that user'
);


-- Leaving and coming back --------------------------------------------------------------------

do $$
begin
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_ron1', 'org_ron', 'user_ron'));
  perform pg_temp.announced();
end
$$;

select is(
  pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_ron2', 'org_ron', 'user_ron', '{"created_at": 1755000000000}'), 1), 'applied',
  'a member who comes back has a new membership, even while the old deletion is late'
);
select is(
  (select count(*) from organization_memberships where user_id = 'user_ron'), 2::bigint,
  'while the deletion is late, both memberships exist'
);
select is(
  pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_ron1', 'org_ron', 'user_ron')), 'applied',
  'the late deletion is applied whatever its time, because it carries the old updated_at'
);
select results_eq(
  $$ select id from organization_memberships where user_id = 'user_ron' $$,
  array['orgmem_ron2'],
  'the late deletion of the old membership does not touch the new one'
);
select is(
  pg_temp.announced() -> -1, '{"topic": "membership.deleted", "id": "orgmem_ron1", "changed": []}',
  'the deletion of a membership is announced'
);
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_ron1', 'org_ron', 'user_ron'), 9000), 'stale',
  'a late update does not bring a deleted membership back'
);
select is(
  pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_ron1', 'org_ron', 'user_ron'), 9001), 'stale',
  'a second deletion of a membership is stale'
);
select is(pg_temp.announced(), '[]', 'a late update and a second deletion of a membership announce nothing');


-- Deletions leave behind who, where and when -------------------------------------------------

select is(
  array[
    pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_z1', 'org_z', 'user_zoe')),
    pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_z1', 'org_z', 'user_zoe'), 5),
    pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_z1', 'org_z', 'user_zoe'), 9),
    pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_z0', 'org_z', 'user_zoe'), 7),
    pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_z2', 'org_y', 'user_zoe'), 3),
    pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_x1', 'org_z', 'user_xan')),
    pg_temp.deliver('organizationMembership.deleted', '{"id": "orgmem_x1", "organization": {"id": "org_z"}}', 4),
    pg_temp.deliver('organizationMembership.deleted', '{"id": "orgmem_none", "organization": {"id": "org_z"}}', 4)
  ],
  '{applied,applied,stale,applied,applied,applied,applied,applied}',
  'arrange: deletions of known and unknown memberships, with and without public_user_data'
);
select results_eq(
  $$
    select user_id, organization_id, observed_at
    from clerk_sync.membership_deletions
    where organization_id in ('org_y', 'org_z')
    order by organization_id, observed_at
  $$,
  $$
    values
      ('user_zoe' collate "C", 'org_y' collate "C", 1760000000033),
      ('user_xan', 'org_z', 1760000000034), ('user_zoe', 'org_z', 1760000000039)
  $$,
  'each pair is remembered with its newest deletion, also a stale one, and one of an unknown membership'
);
select is(
  pg_temp.answer('msg_timeless', pg_temp.event(
    'organizationMembership.deleted', pg_temp.membership('orgmem_z3', 'org_z', 'user_yan')) - 'timestamp') ->> 'outcome',
  'applied', 'arrange: a deletion without an envelope''s time'
);
select is(
  (select observed_at from clerk_sync.membership_deletions where user_id = 'user_yan'),
  (1000 * extract(epoch from now()))::bigint,
  'without the envelope''s time, our clock counts: updated_at is older than the deletion'
);

select is(
  array[
    pg_temp.deliver('organizationMembership.deleted', '{"id": "orgmem_x2", "organization": {"id": "org_w"}}', 5),
    pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_x2', 'org_w', 'user_xan'))
  ],
  '{applied,stale}',
  'arrange: a deletion that does not name the user, and then the event that does'
);
select is(
  (select observed_at from clerk_sync.membership_deletions where organization_id = 'org_w'), 1760000000035,
  'a deletion is remembered as soon as any event of the membership tells the user'
);


-- public_user_data is not guaranteed ---------------------------------------------------------

do $$
begin
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_pia', 'org_pia', 'user_pia'));
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_pit', 'org_pia', 'user_pit'));
  perform pg_temp.announced();
end
$$;

select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_pia', 'org_pia', null, '{"role": "org:admin"}') - 'public_user_data', 1), 'applied',
  'an update of a membership that does not name its user is applied to the existing row'
);
select results_eq(
  $$ select user_id, role from organization_memberships where id = 'orgmem_pia' $$,
  $$ values ('user_pia', 'org:admin') $$,
  'the existing row keeps its user'
);
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_pia', 'org_pia', null, '{"public_user_data": null}'), 2), 'applied',
  'the same holds when public_user_data is null'
);
select is(
  pg_temp.answer('msg_nobody', pg_temp.event('organizationMembership.created', pg_temp.membership('orgmem_nobody', 'org_pia', null) - 'public_user_data')),
  '{"outcome": "unreadable", "issues": [{"path": "data.public_user_data", "code": "invalid_type"}]}',
  'a new membership that does not name its user is unreadable'
);
select is(
  pg_temp.answer('msg_nobody', pg_temp.event('organizationMembership.created', pg_temp.membership('orgmem_nobody', 'org_pia', 'user_pia'))),
  '{"outcome": "applied"}',
  'once it names its user, the same message is applied'
);
select is(
  pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_pit', 'org_pia', null) - 'public_user_data', 1), 'applied',
  'the deletion of a membership need not name the user'
);
select is_empty($$ select from organization_memberships where id = 'orgmem_pit' $$, 'a deletion that does not name the user removes the row');
select is(
  pg_temp.deliver('organizationMembership.deleted', pg_temp.membership('orgmem_unknown', 'org_pia', null) - 'public_user_data', 1), 'applied',
  'a deletion that does not name the user needs no row, either'
);
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_unknown', 'org_pia', null) - 'public_user_data', 2), 'stale',
  'an update of a deleted membership that does not name its user is stale'
);
select is(pg_temp.deliver('user.deleted', '{"id": "user_pia"}', 3), 'applied', 'arrange: its user is deleted');
select is(
  pg_temp.deliver('organizationMembership.updated', pg_temp.membership('orgmem_pia', 'org_pia', null) - 'public_user_data', 4), 'stale',
  'an update that does not name its user is stale if the membership was deleted along with the user'
);
select is_empty($$ select from organization_memberships where id = 'orgmem_pia' $$, 'a membership that was deleted along with its user stays away');


-- A parent is deleted ------------------------------------------------------------------------

do $$
begin
  perform pg_temp.deliver('organization.created', '{"id": "org_end", "name": "End", "slug": "end", "created_by": "user_x", "members_count": 2}');
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_end1', 'org_end', 'user_end1'));
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_end2', 'org_end', 'user_end2'));
  perform pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_end3', 'org_stays', 'user_end1'));
  perform pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_end', 'org_end', 'pending'));
  perform pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_stays', 'org_stays', 'pending'));
  perform pg_temp.deliver('subscriptionItem.active', pg_temp.item('csub_item_end', '{"organization_id": "org_end", "user_id": "user_end1"}'));
  perform pg_temp.deliver('subscriptionItem.active', pg_temp.item('csub_item_stays', '{"organization_id": "org_stays", "user_id": "user_end1"}'));
  perform pg_temp.deliver('subscriptionItem.active', pg_temp.item('csub_item_own', '{"user_id": "user_end1"}'));
  perform pg_temp.announced();
end
$$;
select is(pg_temp.rows_with('orginv_end@'), 2::bigint, 'control: the address of the invitation is in the table and in the inbox');

select is(
  pg_temp.deliver('organization.deleted', '{"id": "org_end", "slug": "end", "deleted": true}', 10), 'applied',
  'an organization is deleted'
);
select is(
  (select to_jsonb(organizations) from organizations where id = 'org_end'),
  jsonb_build_object(
    'id', 'org_end', 'name', null, 'slug', null, 'image_url', null, 'has_image', false, 'members_count', null,
    'max_allowed_memberships', null, 'public_metadata', '{}'::jsonb, 'created_by', null, 'created_at', null,
    'updated_at', null, 'deleted_at', to_timestamp(1760000000.040), 'synced_at', now()),
  'the tombstone of an organization holds the id and the time of the deletion'
);
select results_eq(
  $$
    select id from organization_memberships where id ^@ 'orgmem_end'
    union all select id from organization_invitations where id in ('orginv_end', 'orginv_stays')
    union all select id from subscription_items where id in ('csub_item_end', 'csub_item_stays', 'csub_item_own')
    order by id
  $$,
  array['csub_item_own', 'csub_item_stays', 'orginv_stays', 'orgmem_end3'],
  'a deleted organization takes its own memberships, invitations and items along, and no others'
);
select is(pg_temp.rows_with('orginv_end@'), 0::bigint, 'the addresses of its invitations are gone, even from the inbox');
select is(pg_temp.rows_with('https://accept/orginv_end'), 0::bigint, 'the links of its invitations are gone');
select is(pg_temp.rows_with('orginv_stays@'), 2::bigint, 'control: another organization''s address stays');
select is(
  (
    select jsonb_agg(jsonb_build_array(message -> 'topic', message -> 'id') order by message ->> 'topic', message ->> 'id')
    from jsonb_array_elements(pg_temp.announced()) as message
  ),
  '[["membership.deleted", "orgmem_end1"], ["membership.deleted", "orgmem_end2"], ["organization.deleted", "org_end"]]',
  'each membership of a deleted organization is announced as deleted, and so is the organization'
);

select is(pg_temp.deliver(type, data, 100), 'stale', format('%s of a deleted organization is stale', type))
from (
  values
    ('organization.updated', '{"id": "org_end", "name": "Back"}'::jsonb),
    ('organization.deleted', '{"id": "org_end"}'),
    ('organizationMembership.created', pg_temp.membership('orgmem_late', 'org_end', 'user_late')),
    ('organizationMembership.updated', pg_temp.membership('orgmem_end1', 'org_end', 'user_end1')),
    ('organizationMembership.updated', pg_temp.membership('orgmem_end2', 'org_end', null) - 'public_user_data'),
    ('organizationInvitation.created', pg_temp.invitation('orginv_end', 'org_end', 'pending')),
    ('organizationInvitation.created', pg_temp.invitation('orginv_late', 'org_end', 'pending')),
    ('subscriptionItem.updated', pg_temp.item('csub_item_end', '{"organization_id": "org_end"}')),
    ('subscriptionItem.active', pg_temp.item('csub_item_late', '{"organization_id": "org_end"}'))
) as events (type, data);
select is(
  pg_temp.rows_with('orginv_late@') + pg_temp.rows_with('orginv_end@'), 0::bigint,
  'an invitation that arrives after its organization''s deletion leaves no address'
);
select isnt_empty(
  $$ select from clerk_sync.inbox where object_id = 'orginv_late' and payload #>> '{data,role}' = 'org:member' $$,
  'control: the message is kept without the address'
);
select results_eq(
  $$
    select id from organization_memberships where organization_id = 'org_end'
    union all select id from organization_invitations where organization_id = 'org_end'
    union all select id from subscription_items where organization_id = 'org_end'
    union all select name from organizations where id = 'org_end'
  $$,
  array[null::text],
  'nothing of a deleted organization comes back'
);
select isnt_empty($$ select from profiles where id = 'user_late' $$, 'a membership that is stale because its organization is deleted still makes its user''s row');
select is(
  (
    select jsonb_agg(message -> 'topic') from jsonb_array_elements(pg_temp.announced()) as message
  ),
  '["profile.created"]',
  'a membership of a deleted organization announces only its user''s new row'
);

select is(pg_temp.deliver('user.deleted', '{"id": "user_end1"}', 20), 'applied', 'a user is deleted');
select results_eq(
  $$
    select id from organization_memberships where user_id = 'user_end1'
    union all select id from subscription_items where id in ('csub_item_stays', 'csub_item_own')
  $$,
  array['csub_item_stays'],
  'a deleted user takes memberships and personal items along, but not an organization''s item'
);
select is(
  (
    select jsonb_agg(jsonb_build_array(message -> 'topic', message -> 'id') order by message ->> 'topic')
    from jsonb_array_elements(pg_temp.announced()) as message
  ),
  '[["membership.deleted", "orgmem_end3"], ["profile.deleted", "user_end1"]]',
  'each membership of a deleted user is announced as deleted, and so is the profile'
);
select is(pg_temp.deliver(type, data, 200), outcome, format('later, %s: %s', what, outcome))
from (
  values
    ('organizationMembership.created', pg_temp.membership('orgmem_end9', 'org_stays', 'user_end1'), 'stale', 'a membership of a deleted user'),
    ('organizationMembership.created', pg_temp.membership('orgmem_end8', 'org_unheard', 'user_end1'), 'stale', 'a membership of a deleted user in an unknown organization'),
    ('subscriptionItem.active', pg_temp.item('csub_item_end9', '{"user_id": "user_end1"}'), 'stale', 'a deleted user''s personal item'),
    ('subscriptionItem.active', pg_temp.item('csub_item_stays', '{"organization_id": "org_stays", "user_id": "user_end1"}'), 'applied', 'an organization''s item that a deleted user paid for'),
    ('organizationMembership.deleted', pg_temp.membership('orgmem_end3', 'org_stays', 'user_end1'), 'applied', 'the deletion of a membership that was deleted along with its user')
) as events (type, data, outcome, what);
select is_empty(
  $$ select from organization_memberships where user_id = 'user_end1' union all select from subscription_items where id = 'csub_item_end9' $$,
  'nothing of a deleted user comes back'
);
select isnt_empty(
  $$ select from organizations where id = 'org_unheard' $$,
  'a membership that is stale because its user is deleted still makes its organization''s row'
);
select is(
  (select jsonb_agg(message -> 'topic') from jsonb_array_elements(pg_temp.announced()) as message),
  '["organization.created"]',
  'a membership of a deleted user announces only its organization''s new row'
);
delete from organizations where id = 'org_end';
select is(
  pg_temp.deliver('organizationMembership.created', pg_temp.membership('orgmem_purged', 'org_end', 'user_late'), 300), 'stale',
  'a membership of a deleted organization is stale even after the tombstone is purged'
);
select is_empty($$ select from organizations where id = 'org_end' $$, 'a membership of a purged organization brings no row back');


-- Invitations --------------------------------------------------------------------------------

select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_ida', 'org_inv', 'pending', '{
    "role": "admin", "role_name": "Admin", "inviter_id": "user_boss", "public_metadata": {"desk": 1},
    "private_metadata": {"note": "vault"}, "expires_at": 4070908800000, "created_at": 1750000000000
  }')),
  'applied',
  'an invitation is applied'
);
select is(
  (select to_jsonb(organization_invitations) from organization_invitations where id = 'orginv_ida'),
  jsonb_build_object(
    'id', 'orginv_ida', 'organization_id', 'org_inv', 'email_address', 'orginv_ida@example.com', 'role', 'org:admin',
    'role_name', 'Admin', 'status', 'pending', 'inviter_id', 'user_boss', 'accepted_by', null, 'public_metadata', '{"desk": 1}'::jsonb,
    'expires_at', to_timestamp(4070908800), 'created_at', to_timestamp(1750000000), 'updated_at', to_timestamp(1760000000),
    'synced_at', now()),
  'a pending invitation becomes a row with the address, without link and private metadata'
);
select is(pg_temp.rows_with('orginv_ida@') + pg_temp.rows_with('https://accept/orginv_ida'), 3::bigint, 'control: the inbox has the address and the link');
select is(
  pg_temp.deliver('organizationInvitation.' || status, pg_temp.invitation('orginv_ida', 'org_inv', status, '{"user_id": "user_ida"}'), 1), 'applied',
  'arrange: it is ' || status
)
from unnest(array['accepted']) as status;
select results_eq(
  $$ select status, email_address, accepted_by from organization_invitations where id = 'orginv_ida' $$,
  $$ values ('accepted', null::text, 'user_ida') $$,
  'an accepted invitation has no address, and says who accepted it'
);
select is(
  pg_temp.rows_with('orginv_ida@') + pg_temp.rows_with('https://accept/orginv_ida'), 0::bigint,
  'the inbox has the address in neither of the invitation''s messages'
);
select results_eq(
  $$
    select outcome, payload #>> '{data,status}' from clerk_sync.inbox where object_id = 'orginv_ida'
    order by message_id
  $$,
  $$ values ('applied', 'pending'), ('applied', 'accepted') $$,
  'control: both messages are kept'
);

select is(
  pg_temp.deliver('organizationInvitation.revoked', pg_temp.invitation('orginv_late2', 'org_inv', 'revoked'), 5), 'applied',
  'arrange: a revocation arrives first'
);
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_late2', 'org_inv', 'pending')), 'stale',
  'an invitation that arrives after its revocation is stale'
);
select is(
  pg_temp.rows_with('orginv_late2@') + pg_temp.rows_with('https://accept/orginv_late2'), 0::bigint,
  'an invitation that arrives after its revocation leaves neither address nor link'
);
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_odd', 'org_inv', 'expired')), 'applied',
  'arrange: an invitation that was created, but is expired'
);
select is(pg_temp.rows_with('orginv_odd@'), 0::bigint, 'an invitation that is not pending has no address: the status decides, not the event');

select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_mute', 'org_inv', null)), 'unreadable',
  'arrange: no status at all'
);
select is(
  pg_temp.deliver('organizationInvitation.foo_bar', pg_temp.invitation('orginv_strange', 'org_inv', 'revoked')), 'ignored',
  'arrange: a type of invitation events that does not look like one'
);
select is(pg_temp.rows_with('orginv_strange@'), 0::bigint, 'an invitation that is not pending leaves no address, whatever its event is called');
select is(pg_temp.rows_with('orginv_mute@'), 0::bigint, 'an invitation that is not pending leaves no address even when it cannot be applied');
select isnt_empty($$ select from clerk_sync.inbox where object_id = 'orginv_mute' $$, 'control: the message is kept');


-- Expired on arrival.
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_past', 'org_inv', 'pending', '{"expires_at": 1770000000000}')), 'applied',
  'arrange: a pending invitation arrives after its time'
);
select results_eq(
  $$ select status, email_address, expires_at from organization_invitations where id = 'orginv_past' $$,
  $$ values ('expired', null::text, to_timestamp(1770000000)) $$,
  'an invitation that arrives after its time is stored as expired, without the address'
);
select is(
  pg_temp.rows_with('orginv_past@') + pg_temp.rows_with('https://accept/orginv_past'), 0::bigint,
  'an invitation that arrives after its time leaves neither address nor link'
);
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_mutepast', 'org_inv', 'pending', '{"expires_at": 1770000000000, "role": 5}') - 'organization_id'), 'unreadable',
  'arrange: one that cannot be applied, either'
);
select is(pg_temp.rows_with('orginv_mutepast@'), 0::bigint, 'an invitation that arrives after its time leaves no address even when it cannot be applied');

-- Expiring later: two whose time comes, one that lasts, one without an end.
do $$
declare
  name text;
begin
  foreach name in array array['due', 'refused', 'lasting', 'endless'] loop
    perform pg_temp.deliver('organizationInvitation.created', pg_temp.invitation(
      'orginv_' || name, 'org_inv', 'pending',
      jsonb_build_object('expires_at', case name when 'endless' then null else 4070908800000 end)));
  end loop;
  update organization_invitations set expires_at = now(), synced_at = '-infinity' where id = 'orginv_due';
  update organization_invitations set expires_at = now() - interval '1 day' where id = 'orginv_refused';
end
$$;
create temp table expiring as
select 'orginv_' || name as id from unnest(array['due', 'refused', 'lasting', 'endless']) as name;
select is(
  pg_temp.rows_with('orginv_due@') + pg_temp.rows_with('orginv_refused@'), 4::bigint,
  'control: their addresses are in the table and in the inbox'
);

-- A trigger of the application that refuses one of them at once, then at commit.
create function refuse_one()
returns trigger
language plpgsql
as $$
begin
  if new.id = 'orginv_refused' then
    raise exception 'not this one';
  end if;
  return new;
end
$$;
create trigger refuse before update on organization_invitations for each row execute function refuse_one();
select lives_ok(
  $$ select count(*) from public.read_clerk_changes(1, 1) $$,
  'the worker reads on when the application refuses that an invitation expires'
);
drop trigger refuse on organization_invitations;
select results_eq(
  $$ select id, status, email_address from organization_invitations join expiring using (id) order by id $$,
  $$
    values
      ('orginv_due', 'expired', null),
      ('orginv_endless', 'pending', 'orginv_endless@example.com'),
      ('orginv_lasting', 'pending', 'orginv_lasting@example.com'),
      ('orginv_refused', 'pending', 'orginv_refused@example.com')
  $$,
  'an invitation whose time has come expires when the worker reads, and one that the application refuses does not stop it'
);
select is(
  (select synced_at from organization_invitations where id = 'orginv_due'), now(),
  'an invitation that expires is marked as written'
);
select is(
  pg_temp.rows_with('orginv_due@') + pg_temp.rows_with('https://accept/orginv_due'), 0::bigint,
  'an expired invitation leaves neither address nor link'
);
create constraint trigger refuse after update on organization_invitations
  deferrable initially deferred for each row execute function refuse_one();
set constraints all deferred;
do $$ begin perform clerk_sync.expire_invitations(); end $$;
set constraints all immediate;
drop trigger refuse on organization_invitations;
select is(
  pg_temp.rows_with('orginv_refused@'), 2::bigint,
  'an invitation that the application refuses at commit stays as it is, with its address'
);
do $$ begin perform clerk_sync.call_clerk_worker(); end $$;
select is(
  pg_temp.rows_with('orginv_refused@'), 0::bigint,
  'the schedule expires it, too, once nothing refuses it'
);
select is(
  pg_temp.rows_with('orginv_lasting@') + pg_temp.rows_with('orginv_endless@'), 4::bigint,
  'an invitation that has time left, or no end, keeps its address'
);
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_refused', 'org_inv', 'pending', '{"expires_at": 4070908800000}'), -1), 'stale',
  'arrange: an older event about an expired invitation arrives late'
);
select is(pg_temp.rows_with('orginv_refused@'), 0::bigint, 'an older event about an expired invitation leaves no address');
select is(
  pg_temp.deliver('organizationInvitation.accepted', pg_temp.invitation('orginv_refused', 'org_inv', 'accepted'), 6), 'applied',
  'arrange: the acceptance of an expired invitation arrives late'
);
select is(
  pg_temp.deliver('organizationInvitation.revoked', pg_temp.invitation('orginv_past', 'org_inv', 'revoked'), 6), 'applied',
  'arrange: the revocation of an expired invitation arrives late'
);
select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation('orginv_due', 'org_inv', 'pending', '{"expires_at": 4070908800000}'), 6), 'applied',
  'arrange: an expired invitation is extended'
);
select results_eq(
  $$ select id, status, email_address from organization_invitations where id in ('orginv_due', 'orginv_past', 'orginv_refused') order by id $$,
  $$ values ('orginv_due', 'pending', 'orginv_due@example.com'), ('orginv_past', 'revoked', null), ('orginv_refused', 'accepted', null) $$,
  'a newer event about an expired invitation applies'
);

select throws_ok(
  $$ insert into organization_invitations (id, organization_id, status, email_address) values ('orginv_x', 'org_inv', 'revoked', 'x@example.com') $$,
  '23514', null,
  'the table refuses the address of an invitation that is not pending'
);
select lives_ok(
  $$ insert into organization_invitations (id, organization_id, status, email_address) values ('orginv_x', 'org_inv', 'pending', 'x@example.com') $$,
  'control: the table accepts the address of a pending invitation'
);
select is(
  pg_temp.answer('msg_list', '{"type": "organizationInvitation.created", "timestamp": 1760000000000, "data": ["orginv_x"]}'),
  '{"outcome": "unreadable", "issues": [{"path": "data.id", "code": "invalid_format"}]}',
  'an invitation that is a list is unreadable, and kept'
);
select is(
  pg_temp.announced() @? '$[*] ? (@.topic like_regex "invitation")', false,
  'invitations are not announced'
);


-- Subscription items -------------------------------------------------------------------------

select is(
  pg_temp.deliver('subscriptionItem.active', pg_temp.item('csub_item_sam', '{"user_id": "user_sam", "organization_id": "", "email": "sam@example.com", "first_name": "Sam"}', '{
    "plan_id": "cplan_1", "plan": {"id": "cplan_9", "slug": "pro", "name": "Pro"}, "is_free_trial": true,
    "seats": {"quantity": 5}, "interval": "month", "amount": {"amount": 2500, "currency": "USD", "amount_formatted": "25.00"},
    "period_start": 1750000000000, "period_end": 1770000000000, "created_at": 1740000000000
  }')),
  'applied',
  'a subscription item is applied'
);
select is(
  (select to_jsonb(subscription_items) from subscription_items where id = 'csub_item_sam'),
  jsonb_build_object(
    'id', 'csub_item_sam', 'user_id', 'user_sam', 'organization_id', null, 'plan_id', 'cplan_1', 'plan_slug', 'pro',
    'plan_name', 'Pro', 'seats', 5, 'billing_interval', 'month', 'amount', 2500, 'currency', 'USD',
    'status', 'active', 'is_free_trial', true, 'period_start', to_timestamp(1750000000),
    'period_end', to_timestamp(1770000000), 'created_at', to_timestamp(1740000000), 'updated_at', to_timestamp(1760000000),
    'synced_at', now()),
  'an item becomes a row with payer, plan, seats, price, status and period, nothing personal; a blank organization reads as null'
);
select is_empty($$ select from profiles where id = 'user_sam' $$, 'an item makes no profile: billing may know users before they have one');
select is(
  pg_temp.deliver('subscriptionItem.' || type, pg_temp.item('csub_item_sam', '{"user_id": "user_sam"}', jsonb_build_object('status', type)), number), 'applied',
  format('subscriptionItem.%s is applied', type)
)
from unnest(array[
  'created', 'updated', 'active', 'abandoned', 'canceled', 'ended', 'freeTrialEnding', 'incomplete', 'pastDue', 'upcoming'
]) with ordinality as types (type, number);
select is((select status from subscription_items where id = 'csub_item_sam'), 'upcoming', 'the newest event of an item wins');
select is(
  pg_temp.deliver('subscriptionItem.active', pg_temp.item('csub_item_sam', '{"user_id": "user_sam"}'), 5), 'stale',
  'an event of an item is stale if it is older than the stored version'
);
select is(
  pg_temp.deliver('subscription.updated', '{"id": "csub_sam", "items": [{"id": "csub_item_sam", "status": "ended"}], "payer": {"user_id": "user_sam"}}', 900), 'applied',
  'arrange: a subscription with items'
);
select is(
  (select status from subscription_items where id = 'csub_item_sam'), 'upcoming',
  'the items in a subscription write nothing: they lack a payer'
);
select is(pg_temp.announced(), '[]', 'subscription items are not announced');


-- Unreadable events --------------------------------------------------------------------------

select is(
  pg_temp.answer('msg_bad_' || md5(what), pg_temp.event(type, data)),
  jsonb_build_object('outcome', 'unreadable', 'issues', jsonb_build_array(jsonb_build_object('path', path, 'code', code))),
  what || ' is unreadable'
)
from (
  values
    ('organization.created', '{"id": "user_bad"}'::jsonb, 'data.id', 'invalid_format', 'an organization with a user''s id'),
    ('organization.deleted', '{"slug": "bad"}', 'data.id', 'invalid_format', 'the deletion of an organization without an id'),
    ('organizationMembership.created', pg_temp.membership('org_bad', 'org_bad', 'user_bad'), 'data.id', 'invalid_format', 'a membership with an organization''s id'),
    ('organizationMembership.created', pg_temp.membership('orgmem_bad', 'user_bad', 'user_bad'), 'data.organization.id', 'invalid_format', 'a membership of a user in a user'),
    ('organizationMembership.created', pg_temp.membership('orgmem_bad', 'org_bad', 'user_bad') - 'organization', 'data.organization.id', 'invalid_format', 'a membership without an organization'),
    ('organizationMembership.created', pg_temp.membership('orgmem_bad', 'org_bad', 'org_bad'), 'data.public_user_data.user_id', 'invalid_format', 'a membership of an organization'),
    ('organizationMembership.created', pg_temp.membership('orgmem_bad', 'org_bad', null, '{"public_user_data": {"user_id": 5}}'), 'data.public_user_data.user_id', 'invalid_format', 'a membership of a number'),
    ('organizationInvitation.created', pg_temp.invitation('orgmem_bad', 'org_bad', 'pending'), 'data.id', 'invalid_format', 'an invitation with a membership''s id'),
    ('organizationInvitation.created', pg_temp.invitation('orginv_bad', 'bad', 'pending'), 'data.organization_id', 'invalid_format', 'an invitation to something that is not an organization'),
    ('subscriptionItem.active', pg_temp.item('csub_item_bad', '{"email": "bad@example.com"}'), 'data.payer', 'invalid_type', 'an item without a payer'),
    ('subscriptionItem.active', pg_temp.item('csub_item_bad', '{"user_id": "", "organization_id": ""}'), 'data.payer', 'invalid_type', 'an item whose payer is blank'),
    ('subscriptionItem.active', pg_temp.item('csub_item_bad', '{"user_id": "Bad", "organization_id": "org_bad"}'), 'data.payer', 'invalid_format', 'an item whose payer is not a user'),
    ('subscriptionItem.active', pg_temp.item('csub_item_bad', '{"user_id": "user_bad", "organization_id": 5}'), 'data.payer', 'invalid_format', 'an item whose payer is not an organization'),
    ('subscriptionItem.active', pg_temp.item('user_bad', '{"user_id": "user_good"}'), 'data.id', 'invalid_format', 'an item with a user''s id'),
    ('role.deleted', '{"id": "user_bad"}', 'data.id', 'invalid_format', 'the deletion of a role with a user''s id'),
    ('role.deleted', '{"id": "org_bad"}', 'data.id', 'invalid_format', 'the deletion of a role with an organization''s id'),
    ('role.created', '{"id": "admin"}', 'data.id', 'invalid_format', 'a role whose id has no prefix')
) as examples (type, data, path, code, what);
select is_empty(
  $$
    select id from clerk_sync.objects where id ~ 'bad' and (version > 0 or deleted_at is not null)
    union all select id from organizations where id ~ 'bad'
    union all select id from profiles where id ~ 'bad'
  $$,
  'an unreadable event claims no version and makes no row'
);
select is(
  (select count(*) from clerk_sync.inbox where message_id ^@ 'msg_bad' and payload is not null), 17::bigint,
  'control: an unreadable event is kept'
);


-- Values too long for an index ---------------------------------------------------------------

create function pg_temp.long_text()
returns text
language sql
as $$
  select string_agg(md5(number::text), '') from generate_series(1, 200) as number
$$;

select is(
  pg_temp.deliver('organizationInvitation.created', pg_temp.invitation(
    'orginv_long', 'org_long', 'pending', jsonb_build_object('email_address', pg_temp.long_text()))),
  'applied',
  'an address that is too long for an index reads as absent'
);
select is(
  pg_temp.deliver('subscriptionItem.active', pg_temp.item(
    'csub_item_long', '{"user_id": "user_long"}',
    jsonb_build_object('plan', jsonb_build_object('slug', pg_temp.long_text())))),
  'applied',
  'a plan that is too long for an index reads as absent'
);


-- Kinds without a table ----------------------------------------------------------------------

select is(
  pg_temp.deliver(type, jsonb_build_object('id', id, 'name', 'One',
    'payer', '{"user_id": "user_2kim00000000000000000000000", "email": "kim@example.com"}'::jsonb)), 'applied',
  format('%s keeps its data in the register', type)
)
from (
  values
    ('organizationDomain.created', 'orgdmn_1'), ('organizationDomain.created', 'orgdmn_2'),
    ('paymentAttempt.created', 'pa_1'), ('subscription.created', 'csub_1'), ('subscription.active', 'csub_2'),
    ('subscription.pastDue', 'csub_3')
) as events (type, id);
select results_eq(
  $$ select data ->> 'name', data -> 'payer' ->> 'email', subjects, version from clerk_sync.objects where id = 'orgdmn_2' $$,
  $$ values ('One', 'kim@example.com', array['user_2kim00000000000000000000000'], 1760000000000) $$,
  'the register holds the data, the users that it mentions, and its version'
);
select is(
  pg_temp.deliver('organizationDomain.updated', '{"id": "orgdmn_2", "name": "Two"}', 1), 'applied', 'arrange: something newer'
);
select is(
  pg_temp.deliver('organizationDomain.updated', '{"id": "orgdmn_2", "name": "Old"}', -1), 'stale',
  'an older event is stale, even for a kind without a table'
);
select results_eq(
  $$ select data ->> 'name', subjects from clerk_sync.objects where id = 'orgdmn_2' $$,
  $$ values ('Two', '{}'::text[]) $$,
  'the newest data is kept'
);
select is(
  pg_temp.deliver('organizationDomain.deleted', '{"id": "orgdmn_2", "deleted": true, "updated_at": null}', -9), 'applied', 'a domain is deleted'
);
select results_eq(
  $$ select data, subjects, deleted_at is not null from clerk_sync.objects where id = 'orgdmn_2' $$,
  $$ values (null::jsonb, '{}'::text[], true) $$,
  'the data of a deleted domain is gone'
);
select is(
  pg_temp.deliver('organizationDomain.updated', '{"id": "orgdmn_2", "name": "Back"}', 9), 'stale',
  'a late update does not bring a deleted domain back'
);
select is((select data from clerk_sync.objects where id = 'orgdmn_2'), null, 'a late update does not bring the data of a deleted domain back');
select is(
  pg_temp.deliver('organizationDomain.deleted', '{"id": "orgdmn_1"}'), 'applied', 'a domain is deleted by its id alone'
);

select is(pg_temp.deliver('user.deleted', '{"id": "user_2kim00000000000000000000000"}'), 'applied', 'arrange: a user whom they mention is deleted');
select results_eq(
  $$
    select id, data ->> 'name', data -> 'payer', subjects, version > 0, deleted_at
    from clerk_sync.objects where id in ('pa_1', 'csub_1') order by id
  $$,
  $$
    values
      ('csub_1' collate "C", 'One', '{"user_id": "user_2kim00000000000000000000000"}'::jsonb, array['user_2kim00000000000000000000000'], true, null::timestamptz),
      ('pa_1', 'One', '{"user_id": "user_2kim00000000000000000000000"}', array['user_2kim00000000000000000000000'], true, null)
  $$,
  'the deletion of a user erases what data says about them, and keeps the rest and its version'
);
select is(
  pg_temp.deliver('paymentAttempt.updated', '{"id": "pa_1", "payer": {"user_id": "user_2kim00000000000000000000000", "email": "kim@example.com"}}', 5), 'applied',
  'a later event that mentions a deleted user is applied'
);
select results_eq(
  $$ select data -> 'payer', subjects, version from clerk_sync.objects where id = 'pa_1' $$,
  $$ values ('{"user_id": "user_2kim00000000000000000000000"}'::jsonb, array['user_2kim00000000000000000000000'], 1760000000005) $$,
  'a later event that mentions a deleted user is applied without what it says about them'
);
select is(pg_temp.rows_with('kim@example.com'), 0::bigint, 'what data says about a deleted user is kept nowhere');
select is(
  pg_temp.deliver('paymentAttempt.updated', '{"id": "pa_1", "name": "Three"}', 6), 'applied', 'arrange: data that mentions nobody'
);
select is((select data ->> 'name' from clerk_sync.objects where id = 'pa_1'), 'Three', 'control: data that mentions nobody is kept');

-- An address with no user id beside it could never be erased.
select is(
  pg_temp.deliver(type, data), outcome, format('arrange: %s with an address without a user id beside it', type)
)
from (
  values
    ('organizationDomain.created', '{"id": "orgdmn_9", "name": "example.com", "affiliation_email_address": "zed@example.com"}'::jsonb, 'applied'),
    ('subscription.created', '{"id": "csub_9", "status": "active", "payer": {"organization_id": "org_zed", "user_id": "", "email": "zed@example.com", "first_name": "Zedekiah", "last_name": "Zed"}}', 'applied'),
    ('paymentAttempt.created', '{"id": "pa_9", "status": "paid", "payer": {"organization_id": "org_zed", "email": "zed@example.com", "first_name": "Zedekiah"}}', 'applied'),
    ('subscriptionItem.active', pg_temp.item('csub_item_zed', '{"organization_id": "org_zed", "email": "zed@example.com", "first_name": "Zedekiah"}'), 'applied'),
    ('organizationDomain.created', '["orgdmn_9"]', 'unreadable'),
    ('subscription.created', '{"id": "csub_8", "payer": ["org_zed"]}', 'applied')
) as events (type, data, outcome);
select is(
  pg_temp.rows_with('zed@example.com') + pg_temp.rows_with('Zedekiah'), 0::bigint,
  'an address or name is not kept without a user id beside it to erase it by'
);
select results_eq(
  $$ select data ->> 'name', data ->> 'status' from clerk_sync.objects where id in ('orgdmn_9', 'pa_9') order by id $$,
  $$ values ('example.com', null), (null, 'paid') $$,
  'control: everything else is kept'
);
select is(
  pg_temp.deliver('subscription.created', '{"id": "csub_7", "payer": {"user_id": "user_zoe", "email": "zoe@example.com"}}'), 'applied',
  'arrange: an address beside a user id'
);
select is(pg_temp.rows_with('zoe@example.com'), 2::bigint, 'control: an address beside a user id is kept until the user is deleted');


-- Deferred constraints -----------------------------------------------------------------------

create function public.refuse() returns trigger language plpgsql
  as $$ begin raise exception 'no room'; end $$;
create constraint trigger refuse after insert on profiles deferrable initially deferred
  for each row execute function refuse();
select is(
  pg_temp.answer('msg_deferred', pg_temp.event('organizationMembership.updated', pg_temp.membership('orgmem_first', 'org_first', 'user_refused'), -9999)),
  '{"outcome": "failed", "sqlstate": "P0001"}',
  'a stale membership whose stub violates a deferred constraint fails at once, not at commit'
);
drop trigger refuse on profiles;
select is(
  pg_temp.answer('msg_deferred', pg_temp.event('organizationMembership.updated', pg_temp.membership('orgmem_first', 'org_first', 'user_refused'), -9999)),
  '{"outcome": "stale"}',
  'once the constraint is gone, the same message is stale'
);

select is(
  pg_temp.announced() is not null and pg_temp.rows_with('vault') = (select count(*) from clerk_sync.inbox where strpos(payload::text, 'vault') > 0),
  true,
  'private metadata is only in the inbox'
);
select isnt(pg_temp.rows_with('vault'), 0::bigint, 'control: the inbox has private metadata');

select * from finish();
rollback;
