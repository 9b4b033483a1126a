-- The functions for policies, in schema clerk: each with claims of both versions and with none. Those
-- about the active organization read the token; those that guard data read the tables.
--
--   alice  admin of acme, member of bold (with two memberships, the older one an admin's)
--   carol  former member of acme
--   eve    admin of a third organization

begin;
set local search_path = public, extensions;
select plan(206);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.claim(claims jsonb)
returns void
language sql
as $$
  select set_config('request.jwt.claims', claims::text, true)
$$;

insert into profiles (id) values ('user_alice'), ('user_carol'), ('user_eve'), ('user_paul');
insert into organizations (id) values ('org_acme'), ('org_bold'), ('org_evil');
insert into organization_memberships (id, organization_id, user_id, role, permissions, created_at)
values
  ('orgmem_1', 'org_acme', 'user_alice', 'org:admin', '{org:posts:create,org:sys_profile:manage}', '2025-01-01'),
  ('orgmem_3', 'org_bold', 'user_alice', 'org:member', '{org:posts:read}', '2025-02-02'),
  ('orgmem_2', 'org_bold', 'user_alice', 'org:admin', '{org:posts:create}', '2025-01-01'),
  ('orgmem_4', 'org_evil', 'user_eve', 'org:admin', '{org:posts:create}', '2025-01-01');
insert into clerk_sync.membership_deletions (user_id, organization_id, observed_at)
values ('user_carol', 'org_acme', 1760000000000);

-- The claims of alice, in both versions, with one organization active or none.
create function pg_temp.alice(version integer, organization text default null, role text default 'admin')
returns void
language sql
as $$
  select pg_temp.claim(
    '{"sub": "user_alice", "role": "authenticated"}'::jsonb
      || case
        when organization is null then '{}'
        when version = 1 then jsonb_build_object(
          'org_id', organization, 'org_slug', 'acme', 'org_role', 'org:' || role,
          'org_permissions', '["org:posts:create"]'::jsonb)
        else jsonb_build_object(
          'v', 2,
          'o', jsonb_build_object('id', organization, 'slg', 'acme', 'rol', role, 'per', 'create', 'fpm', '1'))
      end)
$$;


-- The active organization --------------------------------------------------------------------

set local role authenticated;

select is(clerk.org_id(), id, format('org_id() of %s is %s', claims, coalesce(id, 'none')))
from (
  values
    ('{"sub": "user_alice", "org_id": "org_acme"}'::jsonb, 'org_acme'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme", "rol": "admin"}}', 'org_acme'),
    ('{"sub": "user_alice", "v": 1, "org_id": "org_acme"}', 'org_acme'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme"}, "org_id": "org_bold"}', 'org_acme'),
    ('{"sub": "user_alice", "v": 2, "org_id": "org_bold"}', null),
    ('{"sub": "user_alice", "v": 2, "o": {"rol": "admin"}, "org_id": "org_bold"}', null),
    ('{"sub": "user_alice", "v": 1, "o": {"id": "org_acme"}}', null),
    ('{"sub": "user_alice", "v": 1, "o": {"id": "org_acme"}, "org_id": "org_bold"}', 'org_bold'),
    ('{"sub": "user_alice", "o": {"id": "org_acme"}}', null),
    ('{"sub": "user_alice", "v": 3, "o": {"id": "org_acme"}, "org_id": "org_bold"}', null),
    ('{"sub": "user_alice", "v": "2", "o": {"id": "org_acme"}}', null),
    ('{"sub": "user_alice", "v": null, "org_id": "org_acme"}', null),
    ('{"sub": "user_alice"}', null),
    ('{"sub": "user_alice", "org_id": null}', null),
    ('{"sub": "user_alice", "v": 2, "o": null}', null),
    ('{"sub": "user_alice", "v": 2, "o": {}}', null),
    ('{"sub": "user_alice", "v": 2, "o": "org_acme"}', null),
    ('{"sub": "user_alice", "v": 2, "o.id": "org_acme"}', null),
    ('{}', null)
) as tokens (claims, id)
cross join lateral (select pg_temp.claim(claims)) as signed_in;

select is(clerk.org_role(), role, format('org_role() of %s is %s', claims, coalesce(role, 'none')))
from (
  values
    ('{"sub": "user_alice", "org_id": "org_acme", "org_role": "org:admin"}'::jsonb, 'org:admin'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme", "rol": "admin"}}', 'org:admin'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme", "rol": "org:admin"}}', 'org:admin'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme", "rol": "site_manager"}}', 'org:site_manager'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme", "rol": "member"}, "org_role": "org:admin"}', 'org:member'),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme"}, "org_role": "org:admin"}', null),
    ('{"sub": "user_alice", "v": 1, "o": {"id": "org_acme", "rol": "admin"}, "org_role": "org:member"}', 'org:member'),
    ('{"sub": "user_alice", "o": {"id": "org_acme", "rol": "admin"}}', null),
    ('{"sub": "user_alice", "v": 3, "o": {"rol": "admin"}, "org_role": "org:admin"}', null),
    ('{"sub": "user_alice", "role": "authenticated"}', null),
    ('{"sub": "user_alice", "v": 2, "o": {"id": "org_acme"}}', null),
    ('{}', null)
) as tokens (claims, role)
cross join lateral (select pg_temp.claim(claims)) as signed_in;

set local request.jwt.claims = '';
select ok(
  clerk.org_id() is null and clerk.org_role() is null and clerk.user_id() is null,
  'without a token there is no user, no organization and no role'
);

select is(clerk.org_key(key), meant, format('org_key(%s) is %s', coalesce(key, 'null'), coalesce(meant, 'null')))
from (
  values
    ('admin', 'org:admin'), ('org:admin', 'org:admin'), ('posts:create', 'org:posts:create'),
    ('org:posts:create', 'org:posts:create'), ('organizer', 'org:organizer'), (null, null)
) as keys (key, meant);


-- Pending sessions ---------------------------------------------------------------------------

-- The answers to alice, an admin of acme, with this claim sts.
create function pg_temp.answers_with(sts jsonb, version integer)
returns jsonb
language sql
as $$
  select to_jsonb(answers)
  from pg_temp.alice(version, 'org_acme')
  cross join lateral pg_temp.claim(
    current_setting('request.jwt.claims')::jsonb || case when sts is null then '{}' else jsonb_build_object('sts', sts) end
  )
  cross join lateral (
    select
      clerk.user_id(), clerk.org_id(), clerk.org_role(),
      array(select unnest(clerk.my_organization_ids()) order by 1) as own_organizations,
      clerk.my_organization_ids('admin') as administered,
      clerk.is_member_of('org_acme'), clerk.has_org_role('admin'), clerk.has_org_permission('posts:create'),
      (select count(*) from public.profiles) as own_profiles,
      (select count(*) from public.organizations) as seen,
      (select count(*) from public.organization_memberships) as team,
      (select count(*) from public.ensure_profile()) as ensured
  ) as answers
$$;

select is(
  pg_temp.answers_with(sts, version),
  '{
    "user_id": null, "org_id": null, "org_role": null, "own_organizations": [], "administered": [],
    "is_member_of": false, "has_org_role": false, "has_org_permission": false,
    "own_profiles": 0, "seen": 0, "team": 0, "ensured": 0
  }',
  format('a session with sts %s is signed out, for every function and policy (version %s)', sts, version)
)
from unnest(array['"pending"', '"Active"', '""', '"revoked"', 'null', 'true', '["active"]', '{}']::jsonb[]) as sts
cross join unnest(array[1, 2]) as version;
select is(
  pg_temp.answers_with(sts, version),
  '{
    "user_id": "user_alice", "org_id": "org_acme", "org_role": "org:admin",
    "own_organizations": ["org_acme", "org_bold"], "administered": ["org_acme"],
    "is_member_of": true, "has_org_role": true, "has_org_permission": true,
    "own_profiles": 1, "seen": 2, "team": 2, "ensured": 1
  }',
  format('control: with sts %s it is signed in (version %s)', coalesce(sts::text, 'absent'), version)
)
from unnest(array['"active"', null]::jsonb[]) as sts
cross join unnest(array[1, 2]) as version;


-- Blocked users ------------------------------------------------------------------------------

-- The answers to alice after this change of her profile, which is undone.
create function pg_temp.answers_after(change text, version integer)
returns jsonb
language plpgsql
as $$
declare
  answers jsonb;
begin
  reset role;
  execute format('update public.profiles set %s where id = ''user_alice''', change);
  insert into public.subscription_items (id, user_id, plan_slug, status)
  values ('csub_item_alice', 'user_alice', 'pro', 'active');
  set local role authenticated;
  answers := pg_temp.answers_with(null, version)
    || jsonb_build_object('has_plan', clerk.has_plan('pro'), 'is_blocked', clerk.is_blocked(),
      'items', (select count(*) from public.subscription_items));
  reset role;
  delete from public.subscription_items;
  update public.profiles set banned = default, deprovisioned = default, locked = default;
  set local role authenticated;
  return answers;
end
$$;

select is(
  pg_temp.answers_after(change, version),
  '{
    "user_id": "user_alice", "org_id": "org_acme", "org_role": "org:admin", "own_organizations": [], "administered": [],
    "is_member_of": false, "has_org_role": false, "has_org_permission": false, "has_plan": false, "is_blocked": true,
    "own_profiles": 0, "seen": 0, "team": 0, "items": 0, "ensured": 0
  }',
  format('a user with %s reads nothing, and has no role, permission or plan (version %s)', change, version)
)
from unnest(array['banned = true', 'deprovisioned = true', 'banned = true, locked = true']) as change
cross join unnest(array[1, 2]) as version;
select is(
  pg_temp.answers_after('locked = true', version),
  '{
    "user_id": "user_alice", "org_id": "org_acme", "org_role": "org:admin",
    "own_organizations": ["org_acme", "org_bold"], "administered": ["org_acme"],
    "is_member_of": true, "has_org_role": true, "has_org_permission": true, "has_plan": true, "is_blocked": false,
    "own_profiles": 1, "seen": 2, "team": 2, "items": 1, "ensured": 1
  }',
  format('control: a locked user, and one who was unblocked, reads as before (version %s)', version)
)
from unnest(array[1, 2]) as version;
select is(
  (select clerk.is_blocked() from pg_temp.claim('{}')), false,
  'is_blocked() is false without a user'
);


-- has_org_role -------------------------------------------------------------------------------

select is(
  (select array[clerk.has_org_role('admin'), clerk.has_org_role('org:admin'), clerk.has_org_role('member')]
   from pg_temp.alice(version, 'org_acme', 'member')),
  array[true, true, false],
  format('has_org_role() reads the table, not the token''s role, and takes a role with or without prefix (version %s)', version)
)
from unnest(array[1, 2]) as version;
select is(
  (select array[clerk.has_org_role('admin'), clerk.has_org_role('member')] from pg_temp.alice(version, 'org_bold')),
  array[false, true],
  format('has_org_role() reads the newest of several memberships (version %s)', version)
)
from unnest(array[1, 2]) as version;
select ok(
  (select not clerk.has_org_role('admin') and not clerk.has_org_role('member') from pg_temp.alice(version, organization)),
  format('has_org_role() is false when %s (version %s)', what, version)
)
from unnest(array[1, 2]) as version
cross join (
  values (null, 'no organization is active'), ('org_evil', 'the active organization is another''s'), ('org_none', 'there is no organization with that id')
) as cases (organization, what);
select is(
  (select clerk.has_org_role(null) from pg_temp.alice(2, 'org_acme')), false,
  'has_org_role(null) is false, not null'
);
select is(
  (select clerk.has_org_role('ADMIN') from pg_temp.alice(2, 'org_acme')), false,
  'has_org_role() is case-sensitive'
);


-- has_org_permission -------------------------------------------------------------------------

select is(
  (select array[
    clerk.has_org_permission('posts:create'), clerk.has_org_permission('org:posts:create'),
    clerk.has_org_permission('sys_profile:manage'), clerk.has_org_permission('posts:read')
  ] from pg_temp.alice(version, 'org_acme')),
  array[true, true, true, false],
  format('has_org_permission() reads the table, and takes a permission with or without prefix (version %s)', version)
)
from unnest(array[1, 2]) as version;
select is(
  (select array[clerk.has_org_permission('posts:create'), clerk.has_org_permission('posts:read')] from pg_temp.alice(version, 'org_bold')),
  array[false, true],
  format('has_org_permission() reads the newest of several memberships, not the token (version %s)', version)
)
from unnest(array[1, 2]) as version;
select ok(
  (select not clerk.has_org_permission('posts:create') from pg_temp.alice(version, organization)),
  format('has_org_permission() is false when %s (version %s)', what, version)
)
from unnest(array[1, 2]) as version
cross join (
  values (null, 'no organization is active'), ('org_evil', 'the active organization is another''s')
) as cases (organization, what);
select is(
  (select clerk.has_org_permission(null) from pg_temp.alice(2, 'org_acme')), false,
  'has_org_permission(null) is false, not null'
);
reset role;
update organization_memberships set permissions = array[null] where id = 'orgmem_1';
set local role authenticated;
select is(
  (select clerk.has_org_permission('posts:create') from pg_temp.alice(2, 'org_acme')), false,
  'has_org_permission() is false, not null, when the member''s permissions hold a null'
);
reset role;
update organization_memberships set permissions = '{org:posts:create}' where id = 'orgmem_1';
set local role authenticated;


-- my_organization_ids and is_member_of -------------------------------------------------------

select is(
  (
    select array(select unnest(clerk.my_organization_ids()) order by 1)
    from pg_temp.alice(version, organization)
  ),
  '{org_acme,org_bold}',
  format('my_organization_ids() returns all the caller''s organizations, each once, whichever is active (%s, version %s)', coalesce(organization, 'none'), version)
)
from unnest(array[1, 2]) as version
cross join unnest(array[null, 'org_acme', 'org_evil']) as organization;
select is(
  (
    select clerk.my_organization_ids(role)
    from pg_temp.alice(2)
  ),
  ids,
  format('my_organization_ids(%s) returns %s: by the newest membership, with or without prefix', role, ids)
)
from (
  values
    ('admin', '{org_acme}'::text[]), ('org:admin', '{org_acme}'), ('member', '{org_bold}'),
    ('org:member', '{org_bold}'), ('guest', '{}'), ('', '{}')
) as cases (role, ids);
select is(
  (
    select array(select unnest(clerk.my_organization_ids(role, permission)) order by 1)
    from pg_temp.alice(2)
  ),
  ids,
  format('my_organization_ids(%s, %s) returns %s: where the newest membership has one of the two', coalesce(role, 'null'), permission, ids)
)
from (
  values
    (null, 'posts:create', '{org_acme}'::text[]), (null, 'org:posts:create', '{org_acme}'), (null, 'posts:read', '{org_bold}'),
    ('admin', 'posts:read', '{org_acme,org_bold}'), ('member', 'posts:create', '{org_acme,org_bold}'),
    ('guest', 'posts:delete', '{}'), (null, '', '{}')
) as cases (role, permission, ids);
select is(
  (
    select array[clerk.is_member_of('org_acme'), clerk.is_member_of('org_bold'), clerk.is_member_of('org_evil'), clerk.is_member_of('org_none')]
    from pg_temp.alice(version, organization)
  ),
  array[true, true, false, false],
  format('is_member_of() reads the table, whichever organization is active (%s, version %s)', coalesce(organization, 'none'), version)
)
from unnest(array[1, 2]) as version
cross join unnest(array[null, 'org_evil']) as organization;
select is(
  (select clerk.is_member_of(null) from pg_temp.alice(2)), false,
  'is_member_of(null) is false, not null'
);

select is(
  (
    select jsonb_build_array(
      clerk.my_organization_ids(), clerk.my_organization_ids('admin'), clerk.my_organization_ids(null, 'posts:create'),
      clerk.is_member_of('org_acme'), clerk.has_org_role('admin'), clerk.has_org_permission('posts:create'))
    from pg_temp.claim(claims)
  ),
  '[[], [], [], false, false, false]'::jsonb,
  format('%s has no organization', who)
)
from (
  values
    ('a former member with an older token that names the organization', '{"sub": "user_carol", "v": 2, "iat": 1760000000, "o": {"id": "org_acme", "rol": "admin", "per": "create"}}'::jsonb),
    ('a token without sub', '{"v": 2, "iat": 1760000060, "o": {"id": "org_acme", "rol": "admin"}}'),
    ('a token whose sub is null', '{"sub": null, "iat": 1760000060, "org_id": "org_acme"}'),
    ('a token whose sub is empty', '{"sub": "", "iat": 1760000060, "org_id": "org_acme"}')
) as tokens (who, claims);

select is(
  (select clerk.actor_id() from pg_temp.claim('{"sub": "user_alice", "v": 2}'::jsonb || more)), actor,
  format('actor_id() of a token with %s is %s', more, coalesce(actor, 'null'))
)
from (
  values
    ('{}'::jsonb, null), ('{"act": null}', null), ('{"act": {"sub": "user_bob", "iss": "https://dashboard.clerk.com"}}', 'user_bob'),
    ('{"act": {}}', '{}'), ('{"act": {"sub": null}}', '{"sub": null}'), ('{"act": "user_bob"}', 'user_bob'), ('{"act": false}', 'false'),
    ('{"act": ["user_bob"]}', '["user_bob"]'), ('{"act": {"sub": {"id": "user_bob"}}}', '{"id": "user_bob"}'),
    ('{"act": {"sub": ""}}', ''), ('{"sts": "pending", "act": {"sub": "user_bob"}}', 'user_bob')
) as tokens (more, actor);

reset role;
set local role anon;
select is(
  (select jsonb_build_array(
    clerk.user_id(), clerk.org_id(), clerk.org_role(), clerk.actor_id(), clerk.my_organization_ids(),
    clerk.is_member_of('org_acme'), clerk.has_org_role('admin'), clerk.has_org_permission('posts:create'), clerk.has_plan('pro'))
   from pg_temp.claim('{"role": "anon"}')),
  '[null, null, null, null, [], false, false, false, false]',
  'an anonymous caller can call every function, and the answers are null, empty or false'
);
reset role;


-- An organization just made ------------------------------------------------------------------

-- The answers to fay, who has made org_fresh: nothing but her token tells it. The iat is 1760000000.
create function pg_temp.answers_to_fay(more jsonb default '{}')
returns jsonb
language plpgsql
as $$
declare
  answers jsonb;
begin
  perform pg_temp.claim(
    '{"sub": "user_fay", "role": "authenticated", "v": 2, "iat": 1760000000, "o": {"id": "org_fresh", "rol": "chief", "per": "edit", "fpm": "1"}}'::jsonb
      || more);
  set local role authenticated;
  select jsonb_build_object(
    'own_organizations', clerk.my_organization_ids(),
    'administered', clerk.my_organization_ids('chief'),
    'permitted', clerk.my_organization_ids('x', 'posts:create'),
    'member', clerk.is_member_of('org_fresh'),
    'of_others', clerk.is_member_of('org_acme'),
    'role', clerk.has_org_role('chief'),
    'other_role', clerk.has_org_role('admin') or clerk.has_org_role(null),
    'permission', clerk.has_org_permission('posts:create'),
    'token_permission', clerk.has_org_permission('posts:edit') or clerk.has_org_permission(null),
    'plan', clerk.has_plan('pro'),
    'seen', array(select id from public.organizations),
    'team', array(select id from public.organization_memberships)
  ) into answers;
  reset role;
  return answers;
end
$$;

insert into organization_roles (id, key, permission_ids, permission_keys)
values ('role_chief', 'org:chief', '{perm_1}', '{org:posts:create}');
insert into clerk_sync.objects (id) values ('role_chief');
insert into clerk_sync.keys (kind, key, id, observed_at) values ('role', 'org:chief', 'role_chief', 1);
insert into subscription_items (id, organization_id, plan_slug, status)
values ('csub_item_fresh', 'org_fresh', 'pro', 'active');

create temp table fresh (claim_counts, claim_does_not) as values (
  '{
    "own_organizations": ["org_fresh"], "administered": ["org_fresh"], "permitted": ["org_fresh"],
    "member": true, "of_others": false, "role": true, "other_role": false,
    "permission": true, "token_permission": false, "plan": true, "seen": [], "team": []
  }'::jsonb,
  '{
    "own_organizations": [], "administered": [], "permitted": [],
    "member": false, "of_others": false, "role": false, "other_role": false,
    "permission": false, "token_permission": false, "plan": false, "seen": [], "team": []
  }'::jsonb
);

select is(
  pg_temp.answers_to_fay(), claim_counts,
  'while nothing is known of an organization just made, the token''s claim counts, its permissions by the row of the role'
) from fresh;
select is(
  pg_temp.answers_to_fay('{"v": 1, "o": null, "org_id": "org_fresh", "org_role": "org:chief"}'), claim_counts,
  'so does the claim of a token of version 1'
) from fresh;
select is(
  pg_temp.answers_to_fay('{"iat": 1760000000.5}'), claim_counts, 'the time of issue may have a fraction'
) from fresh;
select is(
  pg_temp.answers_to_fay(claims), claim_does_not, format('the claim does not count with %s', claims)
)
from fresh, unnest(array[
  '{"sts": "pending"}', '{"iat": null}', '{"iat": "1760000000"}', '{"iat": [1760000000]}', '{"iat": true}',
  '{"o": {"rol": "chief"}, "org_id": "org_fresh", "org_role": "org:chief"}',
  '{"v": 3}', '{"v": 1}', '{"o": {"id": "fresh", "rol": "chief"}}', '{"o": {"id": "org_", "rol": "chief"}}',
  '{"o": {"id": "org_fresh; x", "rol": "chief"}}', '{"o": {"id": "user_fay", "rol": "chief"}}',
  '{"sub": "0c1f8f6e-7d8b-4a8e-9d57-1f6f0a9b2c3d"}', '{"sub": null}', '{"sub": "org_fresh"}'
]::jsonb[]) as claims;
select is(
  pg_temp.answers_to_fay('{"o": {"id": "org_fresh"}}') - '{role,administered,permitted,permission}'::text[],
  claim_counts - '{role,administered,permitted,permission}'::text[],
  'a claim without a role makes a member'
) from fresh;
select is(
  pg_temp.answers_to_fay('{"o": {"id": "org_fresh", "per": "create"}}') -> key, claim_does_not -> key,
  format('a claim without a role gives no role and no permission (%s)', key)
) from fresh, unnest('{role,administered,permitted,permission}'::text[]) as key;

-- Each change is undone.
create function pg_temp.answers_to_fay_after(change text, claims jsonb default '{}')
returns jsonb
language plpgsql
as $$
declare
  answers jsonb;
begin
  begin
    execute change;
    answers := pg_temp.answers_to_fay(claims);
    raise exception using errcode = 'P0999';
  exception
    when sqlstate 'P0999' then
      return answers;
  end;
end
$$;

select is(pg_temp.answers_to_fay_after(change), claim_does_not, format('the claim does not count after %s', what))
from fresh, (
  values
    ('a deletion of the membership at the time of issue', $$ insert into clerk_sync.membership_deletions values ('user_fay', 'org_fresh', 1760000000000) $$),
    ('a deletion of the membership later', $$ insert into clerk_sync.membership_deletions values ('user_fay', 'org_fresh', 1760000000001) $$),
    ('the deletion of the organization', $$ insert into clerk_sync.objects (id, deleted_at) values ('org_fresh', now()) $$),
    ('the deletion of the person', $$ insert into clerk_sync.objects (id, deleted_at) values ('user_fay', now()) $$),
    ('the organization''s tombstone', $$ insert into organizations (id, deleted_at) values ('org_fresh', now()) $$),
    ('the person''s tombstone', $$ insert into profiles (id, deleted_at) values ('user_fay', now()) $$),
    ('a ban', $$
      insert into profiles (id, banned) values ('user_fay', true);
      insert into organizations (id) values ('org_fresh');
      insert into organization_memberships (id, organization_id, user_id, created_at) values
        ('orgmem_old', 'org_fresh', 'user_eve', '2025-01-01'), ('orgmem_new', 'org_fresh', 'user_eve', '2025-02-02')
    $$),
    ('Directory Sync removed the person', $$ insert into profiles (id, deprovisioned) values ('user_fay', true) $$)
) as changes (what, change);
select is(pg_temp.answers_to_fay_after(change), claim_counts, format('control: the claim counts after %s', what))
from fresh, (
  values
    ('an older deletion of the membership', $$ insert into clerk_sync.membership_deletions values ('user_fay', 'org_fresh', 1759999999999) $$),
    ('a deletion of another person''s membership', $$ insert into clerk_sync.membership_deletions values ('user_eve', 'org_fresh', 1770000000000) $$),
    ('a deletion of a membership elsewhere', $$ insert into clerk_sync.membership_deletions values ('user_fay', 'org_acme', 1770000000000) $$),
    ('the person''s own event', $$ insert into profiles (id, locked) values ('user_fay', true) $$)
) as changes (what, change);
select is(
  pg_temp.answers_to_fay_after($$ insert into organizations (id) values ('org_fresh') $$),
  claim_counts || '{"seen": ["org_fresh"]}',
  'once the organization''s event has come, its founder sees it'
) from fresh;
select is(
  pg_temp.answers_to_fay_after($$
    insert into organizations (id) values ('org_fresh');
    insert into organization_memberships (id, organization_id, user_id, role, created_at) values
      ('orgmem_old', 'org_fresh', 'user_eve', 'org:admin', '2025-01-01'),
      ('orgmem_new', 'org_fresh', 'user_eve', 'org:member', '2025-02-02')
  $$),
  claim_counts || '{"seen": ["org_fresh"], "team": ["orgmem_new"]}',
  'of another member''s several memberships, such a caller sees the newest'
) from fresh;
select is(
  pg_temp.answers_to_fay_after($$
    insert into profiles (id) values ('user_fay');
    insert into organizations (id) values ('org_fresh');
    insert into organization_memberships (id, organization_id, user_id, role) values ('orgmem_fay', 'org_fresh', 'user_fay', 'org:guest')
  $$) - 'permitted',
  claim_counts - 'permitted' || '{
    "administered": [], "role": false, "permission": false, "seen": ["org_fresh"], "team": ["orgmem_fay"]
  }',
  'once the membership''s event has come, the table decides'
) from fresh;
select is(
  pg_temp.answers_to_fay_after(
    $$ update organization_roles set deleted_at = now(), permission_ids = '{}', permission_keys = '{}' $$),
  claim_counts || '{"permitted": [], "permission": false}',
  'a deleted role gives no permission by the token'
) from fresh;
select is(
  pg_temp.answers_to_fay_after('delete from organization_roles'),
  claim_counts || '{"permitted": [], "permission": false}',
  'a role that is not known gives no permission by the token'
) from fresh;

delete from subscription_items;


-- has_plan -----------------------------------------------------------------------------------

-- Whether alice, with this organization active, has a plan by this item.
create function pg_temp.has_plan_with(item jsonb, organization text default null, asked text default 'pro')
returns boolean
language plpgsql
as $$
declare
  answer boolean;
begin
  delete from public.subscription_items;
  insert into public.subscription_items (id, user_id, organization_id, plan_slug, status, period_end)
  select 'csub_item_1', user_id, organization_id, plan_slug, status, period_end
  from jsonb_to_record('{"plan_slug": "pro", "status": "active"}' || item)
    as columns (user_id text, organization_id text, plan_slug text, status text, period_end timestamptz);

  perform pg_temp.alice(2, organization);
  set local role authenticated;
  answer := clerk.has_plan(asked);
  reset role;
  return answer;
end
$$;

select is(
  pg_temp.has_plan_with(item, organization, asked), has, format('has_plan(): %s: %s', what, case when has then 'yes' else 'no' end)
)
from (
  values
    (true, 'a plan of the user''s own', '{"user_id": "user_alice"}'::jsonb, null, 'pro'),
    (true, 'a plan of the user''s own, while an organization is active', '{"user_id": "user_alice"}', 'org_acme', 'pro'),
    (false, 'another plan', '{"user_id": "user_alice"}', null, 'gold'),
    (false, 'no plan at all', '{"user_id": "user_alice"}', null, null),
    (false, 'an item whose plan is not known', '{"user_id": "user_alice", "plan_slug": null}', null, 'pro'),
    (false, 'another user''s plan', '{"user_id": "user_paul"}', null, 'pro'),
    (true, 'the plan of the active organization', '{"organization_id": "org_acme"}', 'org_acme', 'pro'),
    (true, 'the plan of the active organization, paid for by another user', '{"organization_id": "org_acme", "user_id": "user_paul"}', 'org_acme', 'pro'),
    (false, 'the plan of an organization that is not active', '{"organization_id": "org_acme"}', 'org_bold', 'pro'),
    (false, 'the plan of an organization, while none is active', '{"organization_id": "org_acme"}', null, 'pro'),
    (false, 'the plan of an organization that the user pays for, while it is not active', '{"organization_id": "org_acme", "user_id": "user_alice"}', null, 'pro'),
    (false, 'the plan of a foreign organization that the token calls active', '{"organization_id": "org_evil"}', 'org_evil', 'pro'),
    (false, 'the plan of a foreign organization that the user pays for and the token calls active', '{"organization_id": "org_evil", "user_id": "user_alice"}', 'org_evil', 'pro'),
    (true, 'past due, in the grace period', '{"user_id": "user_alice", "status": "past_due"}', null, 'pro'),
    (true, 'canceled, before the period''s end', '{"user_id": "user_alice", "status": "canceled", "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'canceled, after the period''s end', '{"user_id": "user_alice", "status": "canceled", "period_end": "2025-01-01"}', null, 'pro'),
    (false, 'canceled, without a period', '{"user_id": "user_alice", "status": "canceled"}', null, 'pro'),
    (true, 'active, without a period', '{"user_id": "user_alice", "period_end": null}', null, 'pro'),
    (true, 'active, though the renewal is late', jsonb_build_object('user_id', 'user_alice', 'period_end', now() - interval '2 days 23 hours'), null, 'pro'),
    (false, 'active, though its end was lost: the grace is over', jsonb_build_object('user_id', 'user_alice', 'period_end', now() - interval '3 days 1 hour'), null, 'pro'),
    (false, 'active, long after the period''s end', '{"user_id": "user_alice", "period_end": "2025-01-01"}', null, 'pro'),
    (true, 'past due, shortly after the period''s end', jsonb_build_object('user_id', 'user_alice', 'status', 'past_due', 'period_end', now() - interval '2 days'), null, 'pro'),
    (false, 'past due, long after the period''s end', '{"user_id": "user_alice", "status": "past_due", "period_end": "2025-01-01"}', null, 'pro'),
    (false, 'canceled, an hour after the period''s end: without a grace', jsonb_build_object('user_id', 'user_alice', 'status', 'canceled', 'period_end', now() - interval '1 hour'), null, 'pro'),
    (false, 'the organization''s, active long after the period''s end', '{"organization_id": "org_acme", "period_end": "2025-01-01"}', 'org_acme', 'pro'),
    (false, 'ended', '{"user_id": "user_alice", "status": "ended", "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'upcoming', '{"user_id": "user_alice", "status": "upcoming", "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'abandoned', '{"user_id": "user_alice", "status": "abandoned", "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'incomplete', '{"user_id": "user_alice", "status": "incomplete", "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'a missing status', '{"user_id": "user_alice", "status": null, "period_end": "2999-01-01"}', null, 'pro'),
    (false, 'the organization''s, canceled and after the period''s end', '{"organization_id": "org_acme", "status": "canceled", "period_end": "2025-01-01"}', 'org_acme', 'pro'),
    (false, 'the organization''s, ended', '{"organization_id": "org_acme", "status": "ended"}', 'org_acme', 'pro')
) as cases (has, what, item, organization, asked);

update clerk_sync.settings set plan_grace = '0';
select is(
  pg_temp.has_plan_with(jsonb_build_object('user_id', 'user_alice', 'period_end', now() - interval '1 minute')), false,
  'has_plan(): the grace is a setting'
);
update clerk_sync.settings set plan_grace = default;

select is(
  pg_temp.has_plan_with('{"organization_id": "org_acme"}', 'org_acme'), true,
  'control: a member has the organization''s plan'
);
delete from organization_memberships where id = 'orgmem_1';
select is(
  pg_temp.has_plan_with('{"organization_id": "org_acme"}', 'org_acme'), false,
  'has_plan(): the plan of an organization that the user has left, while the token still names it: no'
);

-- A blank organization, as Clerk sends it in a personal item.
delete from subscription_items;
do $$
begin
  grant clerk_ingest to current_user;
  set local role clerk_ingest;
  perform public.ingest_clerk_event('msg_1', '{
    "type": "subscriptionItem.active", "timestamp": 1760000000000, "data": {
      "id": "csub_item_1", "status": "active", "updated_at": 1760000000000,
      "plan": {"slug": "pro"}, "payer": {"user_id": "user_alice", "organization_id": ""}
    }
  }');
  reset role;
end
$$;
set local role authenticated;
select is(
  (select clerk.has_plan('pro') from pg_temp.alice(2)), true,
  'has_plan(): an item whose organization is blank is personal'
);
select is(
  (select clerk.has_plan('pro') from pg_temp.claim('{"sub": "user_paul", "v": 2, "iat": 1760000000, "o": {"id": ""}}')), false,
  'has_plan(): a token whose organization is blank gives another user no personal item'
);

select * from finish();
rollback;
