-- Between sign-up and the first webhook: a signed-in caller gets their profile row, which is created
-- if it is missing, and the row of an organization that they have just made. Nothing else can be
-- created this way, and every real event wins over it.
--
--   fay   made an organization a moment ago; no event of it has arrived yet
--   nora  signed up a moment ago; no event has arrived yet
--   alice has a profile
--   dora  deleted, with a session token that is still valid
--   uri   a user of Supabase Auth, whose sub is a uuid

begin;
set local search_path = public, extensions;
select plan(73);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create function pg_temp.deliver(message_id text, type text, id text, at bigint default 0, data jsonb default '{}')
returns text
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, jsonb_build_object(
    'type', type,
    'timestamp', 1760000000000 + at,
    'data', jsonb_build_object('id', id, 'updated_at', 1760000000000 + at) || data));
  reset role;
  return answer ->> 'outcome';
end
$$;

create function pg_temp.announced()
returns jsonb
language sql
as $$
  with taken as (
    delete from pgmq.q_clerk_changes returning msg_id, message
  )
  select coalesce(jsonb_agg(message - 'changed' order by msg_id), '[]') from taken
$$;

do $$
begin
  perform pg_temp.deliver('msg_1', 'user.created', 'user_alice', 0, '{"first_name": "Alice"}');
  perform pg_temp.deliver('msg_2', 'user.created', 'user_dora', 0, '{"first_name": "Dora"}');
  perform pg_temp.deliver('msg_3', 'user.deleted', 'user_dora');
  perform pg_temp.announced();
end
$$;


-- Nora, before any event ---------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_nora", "role": "authenticated", "email": "nora@example.com", "name": "Nora"}';

select is_empty('table profiles', 'control: there is no row yet');
select results_eq(
  'select jsonb_strip_nulls(to_jsonb(profile)) from ensure_profile() as profile',
  $$
    values (jsonb_build_object(
      'id', 'user_nora', 'has_image', false, 'email_verified', false, 'verified_emails', '[]'::jsonb, 'phone_verified', false,
      'public_metadata', '{}'::jsonb, 'unsafe_metadata', '{}'::jsonb, 'banned', false, 'locked', false,
      'deprovisioned', false, 'two_factor_enabled', false, 'synced_at', now()))
  $$,
  'a caller without a row gets one, with nothing but the id: nothing is taken from the token'
);
select results_eq('select id from profiles', array['user_nora'], 'the row is visible to every other query');
select results_eq('select id from ensure_profile()', array['user_nora'], 'a second call returns the same row');

reset role;

select is(
  pg_temp.announced(),
  '[{"topic": "profile.created", "id": "user_nora", "caused_by": null, "via": "ensure_profile"}]',
  'the new row is announced once, via ensure_profile and without a causing message'
);
select results_eq(
  $$ select version, observed_at, message_id, deleted_at from clerk_sync.objects where id = 'user_nora' $$,
  $$ values (0::bigint, 0::bigint, '' collate "C", null::timestamptz) $$,
  'the register holds the id without a version'
);
select is_empty(
  $$ select from clerk_sync.inbox where message_id not in ('msg_1', 'msg_2', 'msg_3') $$,
  'the inbox holds nothing, because no event arrived'
);

select is(
  pg_temp.deliver('msg_old', 'user.created', 'user_nora', -1000000000000, '{"first_name": "Nora"}'), 'applied',
  'any real event wins over the row, however old'
);
select results_eq(
  $$ select first_name from profiles where id = 'user_nora' $$, array['Nora'],
  'the event completes the row'
);
select is(
  pg_temp.announced(),
  '[{"topic": "profile.updated", "id": "user_nora", "caused_by": "msg_old", "via": "webhook"}]',
  'the completion is announced as an update, via webhook and with its message'
);
select is(
  pg_temp.deliver('msg_new', 'user.updated', 'user_nora', 1, '{"first_name": "Eleonora"}'), 'applied', 'arrange: a newer event'
);
do $$ begin perform pg_temp.announced(); end $$;

set local role authenticated;
select results_eq(
  'select first_name from ensure_profile()', array['Eleonora'],
  'ensure_profile() then returns what the events wrote'
);
reset role;
select is(pg_temp.announced(), '[]', 'a call for an existing row announces nothing');
select is(
  (select version from clerk_sync.objects where id = 'user_nora'), 1760000000001,
  'a call for an existing row claims no version'
);


-- Alice, who has a profile -------------------------------------------------------------------

create temp table places as
select ctid as place from profiles where id = 'user_alice';

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';
select results_eq(
  'select id, first_name from ensure_profile()', $$ values ('user_alice', 'Alice') $$,
  'a caller with a row gets that row, and no other'
);
reset role;
select is(
  (select ctid from profiles where id = 'user_alice'), (select place from places),
  'an existing row is not written'
);
select is(pg_temp.announced(), '[]', 'an existing row is not announced');


-- Dora, deleted ------------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_dora", "role": "authenticated"}';
select is_empty('select * from ensure_profile()', 'a deleted user gets no row');
reset role;
select results_eq(
  $$ select first_name, deleted_at is null from profiles where id = 'user_dora' $$,
  $$ values (null::text, false) $$,
  'the tombstone stays a tombstone'
);

delete from profiles where id = 'user_dora';
set local role authenticated;
select is_empty('select * from ensure_profile()', 'a deleted user gets no row even after the tombstone is purged');
reset role;
select is_empty($$ select from profiles where id = 'user_dora' $$, 'a deleted user cannot come back this way');
select is(pg_temp.announced(), '[]', 'nothing is announced for a deleted user');

select is(pg_temp.deliver('msg_gone', 'user.deleted', 'user_late'), 'applied', 'arrange: a deletion that arrives first');
delete from profiles where id = 'user_late';
set local role authenticated;
set local request.jwt.claims = '{"sub": "user_late", "role": "authenticated"}';
select is_empty('select * from ensure_profile()', 'a user whose deletion arrived first gets no row');
set local request.jwt.claims = '{"sub": "user_quick", "role": "authenticated"}';
select isnt_empty('select * from ensure_profile()', 'control: another user gets a row');
reset role;
select is(pg_temp.deliver('msg_quick', 'user.deleted', 'user_quick'), 'applied', 'a deletion wins over a row made this way');
set local role authenticated;
select is_empty('select * from ensure_profile()', 'after that deletion, the user gets no row');
reset role;


-- Fay, who has just made an organization -----------------------------------------------------

do $$ begin perform pg_temp.announced(); end $$;
create temp table the_team as
select count(*) as memberships from organization_memberships;
create table public.projects (
  organization_id text references public.organizations (id),
  owner_id text references public.profiles (id)
);
alter table public.projects enable row level security;
create policy projects_insert_member on public.projects for insert to authenticated
  with check (organization_id = any ((select clerk.my_organization_ids())::text[]));
grant insert on public.projects to authenticated;

-- The ids that ensure_profile() adds to organizations, by a token with these claims.
create function pg_temp.organizations_made_by(claims jsonb)
returns text[]
language plpgsql
as $$
declare
  before constant text[] := array(select id from public.organizations);
begin
  perform set_config(
    'request.jwt.claims',
    ('{"sub": "user_fay", "role": "authenticated", "v": 2, "iat": 1760000000}'::jsonb || claims)::text,
    true);
  set local role authenticated;
  perform public.ensure_profile();
  reset role;
  return array(select id from public.organizations where id <> all (before) order by id);
end
$$;

select is(pg_temp.organizations_made_by(claims), '{}', format('no organization is made by %s', claims))
from unnest(array[
  '{}', '{"o": {}}', '{"o": {"id": "acme"}}', '{"o": {"id": "org_"}}', '{"o": {"id": "user_fay"}}',
  '{"org_id": "org_fresh"}', '{"v": 3, "o": {"id": "org_fresh"}}', '{"iat": null, "o": {"id": "org_fresh"}}',
  '{"sts": "pending", "o": {"id": "org_fresh"}}', '{"sub": "0c1f8f6e-7d8b-4a8e-9d57-1f6f0a9b2c3d", "o": {"id": "org_fresh"}}',
  '{"sub": "user_dora", "o": {"id": "org_fresh"}}'
]::jsonb[]) as claims;
select is(
  array[
    pg_temp.deliver('msg_f1', 'organizationMembership.deleted', 'orgmem_1', 1,
      '{"organization": {"id": "org_left"}, "public_user_data": {"user_id": "user_fay"}}'),
    pg_temp.deliver('msg_f2', 'organization.deleted', 'org_gone'),
    pg_temp.deliver('msg_f3', 'user.created', 'user_bea', 0, '{"banned": true}')
  ],
  '{applied,applied,applied}', 'arrange: what contradicts a token'
);
delete from organizations where id in ('org_left', 'org_gone');
select is(pg_temp.organizations_made_by(claims), '{}', format('no organization is made by %s', who))
from (
  values
    ('{"o": {"id": "org_left", "rol": "admin"}}'::jsonb, 'a member who left since'),
    ('{"o": {"id": "org_gone", "rol": "admin"}}', 'the token of a deleted organization'),
    ('{"sub": "user_bea", "o": {"id": "org_fresh", "rol": "admin"}}', 'a banned person')
) as callers (claims, who);
do $$ begin perform pg_temp.announced(); end $$;

select is(
  pg_temp.organizations_made_by('{"o": {"id": "org_fresh", "rol": "admin"}}'), '{org_fresh}',
  'a caller who has just made an organization gets its row'
);
select results_eq(
  $$ select jsonb_strip_nulls(to_jsonb(organizations)) from organizations where id = 'org_fresh' $$,
  $$
    values (jsonb_build_object(
      'id', 'org_fresh', 'has_image', false, 'public_metadata', '{}'::jsonb, 'synced_at', now()))
  $$,
  'with nothing but the id'
);
select results_eq(
  $$ select version, observed_at, deleted_at from clerk_sync.objects where id = 'org_fresh' $$,
  $$ values (0::bigint, 0::bigint, null::timestamptz) $$,
  'and without a version'
);
select is(
  pg_temp.announced(),
  '[{"topic": "organization.created", "id": "org_fresh", "caused_by": null, "via": "ensure_profile"}]',
  'the new row is announced once; the profile was there already'
);
select is(
  (select count(*) from organization_memberships), (select memberships from the_team), 'no membership is made'
);
set local role authenticated;
select lives_ok(
  $$ insert into projects values ('org_fresh', 'user_fay') $$,
  'a row of the application can refer to the organization and to its founder at once'
);
reset role;
select is(pg_temp.organizations_made_by('{"o": {"id": "org_fresh"}}'), '{}', 'a second call makes nothing');
select is(
  pg_temp.organizations_made_by('{"sub": "user_gil", "v": 1, "org_id": "org_other"}'), '{org_other}',
  'both rows are made when both are missing'
);
select isnt_empty($$ select from profiles where id = 'user_gil' $$, 'control: the profile, too');
drop table projects;


-- Callers who are no Clerk user --------------------------------------------------------------

do $$ begin perform pg_temp.announced(); end $$;
create temp table before as
select (select count(*) from profiles) as profiles, (select count(*) from clerk_sync.objects) as objects;

create function pg_temp.ensured(claims text)
returns bigint
language plpgsql
as $$
declare
  rows bigint;
begin
  perform set_config('request.jwt.claims', claims, true);
  set local role authenticated;
  select count(*) into rows from public.ensure_profile();
  reset role;
  return rows;
end
$$;

select is(pg_temp.ensured(claims), 0::bigint, format('%s makes nothing', who))
from (
  values
    ('{"sub": "0c1f8f6e-7d8b-4a8e-9d57-1f6f0a9b2c3d", "role": "authenticated"}', 'a user of Supabase Auth, whose sub is a uuid,'),
    ('{"role": "authenticated"}', 'a token without sub'),
    ('{"sub": null, "role": "authenticated"}', 'a token whose sub is null'),
    ('{"sub": "", "role": "authenticated"}', 'a token whose sub is empty'),
    ('{"sub": "user_", "role": "authenticated"}', 'a sub that is only the prefix'),
    ('{"sub": "org_acme", "role": "authenticated"}', 'a sub of another kind'),
    ('{"sub": "x_user_eve", "role": "authenticated"}', 'a sub that only contains the prefix'),
    ('{"sub": "user_eve; drop", "role": "authenticated"}', 'a sub with more text after the id'),
    ('{"sub": "user_eve\n", "role": "authenticated"}', 'a sub that ends in a line break'),
    ('{"sub": ["user_eve"], "role": "authenticated"}', 'a sub that is a list'),
    ('{"user_id": "user_eve", "role": "authenticated"}', 'a claim of another name'),
    ('', 'no token')
) as callers (claims, who);
select results_eq(
  $$ select (select count(*) from profiles), (select count(*) from clerk_sync.objects) $$,
  'select profiles, objects from before',
  'none of them leaves a row in profiles or in the register'
);
select is(pg_temp.announced(), '[]', 'none of them is announced');
select is(
  pg_temp.ensured('{"sub": "user_eve", "role": "authenticated"}'), 1::bigint,
  'control: a Clerk user id makes a row'
);


-- Who may call -------------------------------------------------------------------------------

select is(
  (select array_agg(format('%s(%s)', pronamespace::regnamespace, pronargs) order by proname) from pg_proc where proname in ('ensure_profile', 'make_my_profile')),
  array['public(0)', 'clerk(0)'],
  'neither function takes an argument, so no caller can name another user'
);

set local role anon;
set local request.jwt.claims = '{"sub": "user_forged", "role": "anon"}';
select throws_ok('select * from ensure_profile()', '42501', null, 'an anonymous caller cannot call ensure_profile()');
select throws_ok('select clerk.make_my_profile()', '42501', null, 'an anonymous caller cannot call the function behind it');
reset role;
set local role service_role;
select throws_ok('select * from ensure_profile()', '42501', null, 'a backend cannot call ensure_profile(): it is not a user');
reset role;
set local role authenticated;
set local request.jwt.claims = '{"sub": "user_eve", "role": "authenticated"}';
select throws_ok(
  $$ select clerk_sync.add_profile('user_forged') $$, '42501', null,
  'a signed-in caller cannot call the function that makes a row for a given id'
);
select lives_ok('select * from ensure_profile()', 'control: a signed-in caller can call ensure_profile()');
reset role;
select is_empty($$ select from profiles where id = 'user_forged' $$, 'control: no row was forged');

select * from finish();
rollback;
