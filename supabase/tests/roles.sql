-- What a member may do follows the role, whichever event comes first: a membership's copy of permissions
-- counts until Clerk has told something newer. Each world below is delivered in every order.
--
--   alice  member of acme
--   nils   signed in, member of nothing
--   bea    banned

begin;
set local search_path = public, extensions;
select plan(63);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

-- Times count in ms from here.
create function pg_temp.at(ms bigint)
returns bigint
language sql
immutable
as $$
  select 1760000000000 + ms
$$;

create function pg_temp.deliver(message_id text, event jsonb)
returns text
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, event);
  reset role;
  return answer ->> 'outcome';
end
$$;

create function pg_temp.event(type text, at bigint, data jsonb, updated_at bigint default null)
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'type', type,
    'timestamp', pg_temp.at(at),
    'data', '{"created_at": 1760000000000}' || data || case
      when type like '%.deleted' then '{}'
      else jsonb_build_object('updated_at', pg_temp.at(coalesce(updated_at, at)))
    end)
$$;

-- A list of permissions, each as id:key, or the key alone when the id is the same.
create function pg_temp.permissions(variadic names text[])
returns jsonb
language sql
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', 'perm_' || split_part(name, ':', 1),
    'key', 'org:posts:' || split_part(name, ':', -1)) order by place), '[]')
  from unnest(names) with ordinality as listed (name, place)
$$;

-- An event of a role; its key is org:<key>.
create function pg_temp.role(verb text, at bigint, id text, key text, names text[], updated_at bigint default null)
returns jsonb
language sql
as $$
  select pg_temp.event('role.' || verb, at, jsonb_build_object(
    'id', 'role_' || id, 'key', 'org:' || key, 'name', initcap(key),
    'permissions', pg_temp.permissions(variadic names)), updated_at)
$$;

create function pg_temp.role_deleted(at bigint, id text)
returns jsonb
language sql
as $$
  select pg_temp.event('role.deleted', at, jsonb_build_object('id', 'role_' || id, 'deleted', true))
$$;

create function pg_temp.permission(verb text, at bigint, id text, key text default null)
returns jsonb
language sql
as $$
  select pg_temp.event('permission.' || verb, at, jsonb_build_object('id', 'perm_' || id)
    || case when key is null then '{"deleted": true}' else jsonb_build_object('key', 'org:posts:' || key) end)
$$;

-- An event of alice's membership in acme.
create function pg_temp.membership(at bigint, role text, variadic names text[])
returns jsonb
language sql
as $$
  select pg_temp.event('organizationMembership.updated', at, jsonb_build_object(
    'id', 'orgmem_1', 'organization', '{"id": "org_acme"}'::jsonb,
    'public_user_data', '{"user_id": "user_alice"}'::jsonb,
    'role', 'org:' || role,
    'permissions', array(select 'org:posts:' || name from unnest(names) as name)))
$$;

-- What alice may do, by both functions that tell.
create function pg_temp.allowed()
returns text
language plpgsql
as $$
declare
  answer text;
begin
  set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated", "v": 2, "o": {"id": "org_acme", "rol": "editor"}}';
  set local role authenticated;
  select coalesce(string_agg(name, ' ' order by name) filter (where clerk.has_org_permission('posts:' || name)), 'nothing')
    || coalesce(' but listed: ' || string_agg(name, ' ') filter (
      where clerk.has_org_permission('posts:' || name)
        <> ('org_acme' = any (clerk.my_organization_ids(null, 'posts:' || name)))), '')
  into answer
  from unnest(array['delete', 'publish', 'read', 'write']) as name;
  reset role;
  return answer;
end
$$;

-- The rows that events write, without the time of writing.
create function pg_temp.rows()
returns text
language sql
as $$
  select coalesce(jsonb_agg(to_jsonb(roles) - 'synced_at' order by id)::text, '')
  from public.organization_roles as roles
$$;

create function pg_temp.orders(count integer)
returns setof integer[]
language sql
as $$
  with recursive orders (places) as (
    select array[]::integer[]
    union all
    select places || place
    from orders, generate_series(1, count) as place
    where place <> all (places)
  )
  select places from orders where cardinality(places) = count
$$;

-- Delivers the events in every order, each of which is undone. Returns what alice may do in the end, as
-- one word if the answer and all rows are always the same.
create function pg_temp.allowed_after(variadic events jsonb[])
returns text
language plpgsql
as $$
declare
  places integer[];
  place integer;
  answers text[] := '{}';
  states text[] := '{}';
  answer text;
  state text;
begin
  for places in select pg_temp.orders(cardinality(events)) loop
    begin
      foreach place in array places loop
        assert pg_temp.deliver('msg_' || place, events[place]) in ('applied', 'stale');
      end loop;
      answer := pg_temp.allowed();
      state := pg_temp.rows();
      raise exception using errcode = 'P0999';
    exception
      when sqlstate 'P0999' then
        answers := answers || answer;
        states := states || state;
    end;
  end loop;

  return (select string_agg(distinct one, ', or ') from unnest(answers) as one)
    || case when (select count(distinct one) from unnest(states) as one) > 1 then ', with different rows' else '' end;
end
$$;


-- Roles --------------------------------------------------------------------------------------

select is(
  pg_temp.allowed_after(pg_temp.membership(10, 'editor', 'read', 'delete')), 'delete read',
  'while no role is known, the membership''s copy decides'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'delete'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read,delete}'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}')),
  'publish read',
  'a newer change of the role gives and takes permissions'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(20, 'editor', 'read', 'delete'),
    pg_temp.role('updated', 10, 'editor', 'editor', '{read,publish}')),
  'delete read',
  'a newer copy of the membership wins over an older role, whose newest event may be lost'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'delete'),
    pg_temp.role('updated', 10, 'editor', 'editor', '{publish}')),
  'publish',
  'at the same time, the role wins'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{publish}', 5)),
  'publish',
  'the envelope''s time decides between role and membership, not updated_at'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{publish}', 15),
    pg_temp.role('updated', 30, 'editor', 'editor', '{delete}', 12)),
  'publish',
  'between two events of one role, updated_at decides'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{}')),
  'nothing',
  'a role without permissions gives none'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.event('role.updated', 20, '{"id": "role_editor", "key": "editor", "permissions": null}')),
  'nothing',
  'nor does one whose permissions are null; its key may lack the prefix'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'guide', 'guide', '{publish}')),
  'read',
  'another role changes nothing'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'guide', 'read'),
    pg_temp.membership(30, 'editor', 'read'),
    pg_temp.role('updated', 40, 'editor', 'editor', '{publish}'),
    pg_temp.role('updated', 50, 'guide', 'guide', '{delete}')),
  'publish',
  'a member whose role changed has the permissions of the new role'
);


-- Deleted roles ------------------------------------------------------------------------------

select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role_deleted(20, 'editor')),
  'nothing',
  'a deleted role gives nothing'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(20, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role_deleted(20, 'editor')),
  'nothing',
  'nor to a membership observed at the same time'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(30, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{publish}'),
    pg_temp.role_deleted(20, 'editor')),
  'read',
  'a membership observed after the deletion has its own copy'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role_deleted(20, 'editor')),
  'read',
  'a deleted role whose key was never heard takes nothing'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'writer', '{read}'),
    pg_temp.role('updated', 7, 'editor', 'editor', '{read}'),
    pg_temp.role_deleted(20, 'editor')),
  'nothing',
  'a deleted role is known by its last key, also when the events that tell it come late'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role_deleted(20, 'editor'),
    pg_temp.role('created', 30, 'again', 'editor', '{publish}')),
  'publish',
  'a new role with the key of a deleted one gives its own permissions'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role_deleted(30, 'editor'),
    pg_temp.role('created', 30, 'again', 'editor', '{publish}')),
  'publish',
  'also at the same time'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role('created', 7, 'again', 'editor', '{publish}'),
    pg_temp.role_deleted(20, 'editor')),
  'nothing',
  'of several roles with one key the one observed last counts, even a deleted one'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'one', 'editor', '{delete}'),
    pg_temp.role('updated', 21, 'two', 'editor', '{publish}')),
  'publish',
  'of several living roles with one key, too'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'one', 'editor', '{delete}'),
    pg_temp.role('updated', 20, 'two', 'editor', '{publish}')),
  'delete',
  'at the same time, the id decides'
);


-- Roles whose key changes --------------------------------------------------------------------

select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role('updated', 20, 'editor', 'writer', '{publish}')),
  'publish',
  'members of a role with a new key have its permissions, although their own rows have the old key'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role('updated', 20, 'editor', 'writer', '{publish}'),
    pg_temp.role_deleted(30, 'editor')),
  'nothing',
  'and none once it is deleted'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(26, 'editor', 'read'),
    pg_temp.role('created', 5, 'editor', 'editor', '{read}'),
    pg_temp.role('updated', 20, 'editor', 'writer', '{publish}'),
    pg_temp.role('created', 25, 'new', 'editor', '{delete}'),
    pg_temp.role_deleted(30, 'editor')),
  'read',
  'once another role has taken the old key, the renamed role is not asked any more'
);


-- Permissions --------------------------------------------------------------------------------

select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}'),
    pg_temp.permission('deleted', 30, 'publish')),
  'read',
  'a deleted permission drops out of the role'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}'),
    pg_temp.permission('deleted', 15, 'publish')),
  'read',
  'also when the role still names it later'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 20, 'publish')),
  'read',
  'a deleted permission drops out of an older copy'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(20, 'editor', 'read', 'publish'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 20, 'publish')),
  'read',
  'and out of a copy from the same time'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(30, 'editor', 'read', 'publish'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 20, 'publish')),
  'publish read',
  'but not out of a newer one, which means a permission created since'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.permission('deleted', 20, 'publish')),
  'publish read',
  'a deleted permission whose key was never heard takes nothing'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.role('updated', 5, 'guide', 'guide', '{publish}'),
    pg_temp.permission('deleted', 20, 'publish')),
  'read',
  'the key of a permission is known from any role'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.role('created', 4, 'guide', 'guide', '{publish}'),
    pg_temp.role('updated', 6, 'guide', 'guide', '{}'),
    pg_temp.permission('deleted', 20, 'publish')),
  'read',
  'also from an event of the role that is stale'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 20, 'publish'),
    pg_temp.permission('created', 30, 'again', 'publish')),
  'publish read',
  'a permission that was created again with the same key does not drop out of a copy'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}'),
    pg_temp.permission('deleted', 30, 'publish'),
    pg_temp.permission('created', 40, 'again', 'publish')),
  'read',
  'nor does it come back to a role that does not name it'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 40, 'editor', 'editor', '{read,again:publish}'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 30, 'publish')),
  'publish read',
  'but it does to a role that names the new one'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}'),
    pg_temp.permission('updated', 30, 'publish', 'delete')),
  'delete read',
  'a permission with a new key has it in every role'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 20, 'editor', 'editor', '{read,publish}'),
    pg_temp.role('updated', 30, 'guide', 'guide', '{publish:delete}')),
  'delete read',
  'also when only another role tells the new key'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 30, 'editor', 'editor', '{read,publish:delete}'),
    pg_temp.permission('updated', 20, 'publish', 'publish')),
  'delete read',
  'an older event of the permission does not bring the old key back'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read'),
    pg_temp.role('updated', 31, 'editor', 'editor', '{read,publish}'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('updated', 20, 'publish', 'delete')),
  'publish read',
  'a permission may get an old key back'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.role('updated', 30, 'guide', 'guide', '{again:publish}'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.permission('deleted', 20, 'publish')),
  'publish read',
  'that a permission was created again is known from any role, too'
);
select is(
  pg_temp.allowed_after(
    pg_temp.membership(10, 'editor', 'read', 'publish'),
    pg_temp.permission('created', 5, 'publish', 'publish'),
    pg_temp.role('created', 6, 'odd', 'posts:publish', '{}'),
    pg_temp.role_deleted(20, 'odd')),
  'publish read',
  'a role whose key looks like a permission''s takes no permission when it is deleted'
);


-- The rows -----------------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_r1', pg_temp.event('role.created', 10, '{
    "id": "role_editor", "key": "org:editor", "name": "Editor", "description": "Writes", "permissions": [
      {"id": "perm_b", "key": "org:b:b"}, {"id": "perm_a", "key": "org:a:a"}, {"id": "perm_c", "key": "org:c:c"}
    ]}')),
  'applied', 'role.created is applied'
);
select results_eq(
  $$
    select id, key, name, description, permission_ids, permission_keys, created_at, updated_at, deleted_at, synced_at
    from organization_roles
  $$,
  $$
    values (
      'role_editor', 'org:editor', 'Editor', 'Writes', '{perm_b,perm_a,perm_c}'::text[], '{org:b:b,org:a:a,org:c:c}'::text[],
      to_timestamp(1760000000), to_timestamp(1760000000.01), null::timestamptz, now())
  $$,
  'the row has Clerk''s data, and the permissions in Clerk''s order'
);
update organization_roles set synced_at = '2025-01-01';
select is(
  array[
    pg_temp.deliver('msg_p1', pg_temp.event('permission.created', 5, '{"id": "perm_a", "key": "org:a:a"}')),
    pg_temp.deliver('msg_p2', pg_temp.event('permission.updated', 4, '{"id": "perm_a", "key": "org:a:old"}')),
    pg_temp.deliver('msg_r0', pg_temp.event('role.updated', 9, '{"id": "role_editor", "key": "org:old", "permissions": []}'))
  ],
  array['applied', 'stale', 'stale'],
  'an event of a permission is applied when it is the newest, else stale; so is one of a role'
);
select is((select synced_at from organization_roles), '2025-01-01', 'a role that does not change is not written');
select is(
  array[
    pg_temp.deliver('msg_p3', pg_temp.permission('deleted', 20, 'a')),
    pg_temp.deliver('msg_p4', pg_temp.permission('deleted', 20, 'a')),
    pg_temp.deliver('msg_p5', pg_temp.event('permission.updated', 30, '{"id": "perm_a", "key": "org:a:a"}'))
  ],
  array['applied', 'stale', 'stale'],
  'after permission.deleted, every other event of the permission is stale'
);
select results_eq(
  'select permission_ids, permission_keys, synced_at from organization_roles',
  $$ values ('{perm_b,perm_c}'::text[], '{org:b:b,org:c:c}'::text[], now()) $$,
  'a deleted permission leaves the row of the role'
);
select is(
  pg_temp.deliver('msg_r2', pg_temp.event('role.updated', 40, jsonb_build_object(
    'id', 'role_editor', 'key', repeat('k', 256), 'permissions', jsonb_build_array(
      jsonb_build_object('id', 'perm_b', 'key', repeat('k', 3000)), '{"id": "perm_d"}'::jsonb, '7'::jsonb,
      '{"id": "perm_b", "key": "org:b:new"}'::jsonb)))),
  'applied', 'keys that no index can hold, and permissions that are none, do not stop a role'
);
select results_eq(
  'select key, name, permission_ids, permission_keys from organization_roles',
  $$ values (null::text, null::text, '{perm_b,perm_d,perm_b}'::text[], array['org:b:new', null, 'org:b:new']) $$,
  'such keys are not known'
);
select is(
  array[
    pg_temp.deliver('msg_r3', pg_temp.role_deleted(50, 'editor')),
    pg_temp.deliver('msg_r4', pg_temp.role_deleted(50, 'editor')),
    pg_temp.deliver('msg_r5', pg_temp.role('updated', 60, 'editor', 'editor', '{read}'))
  ],
  array['applied', 'stale', 'stale'],
  'after role.deleted, every other event of the role is stale'
);
select results_eq(
  $$
    select id, key, name, description, permission_ids, permission_keys, created_at, updated_at, deleted_at
    from organization_roles
  $$,
  $$
    values (
      'role_editor', 'org:editor', null::text, null::text, '{}'::text[], '{}'::text[],
      null::timestamptz, null::timestamptz, to_timestamp(1760000000.05))
  $$,
  'a deleted role leaves its id, its key and when'
);
select is_empty('table pgmq.q_clerk_changes', 'roles and permissions are not announced');
select is_empty(
  'select from clerk_sync.objects where data is not null', 'the register keeps no data of roles and permissions'
);
select is(
  pg_temp.deliver('msg_x' || place, pg_temp.event(type, 10, jsonb_build_object('id', id, 'key', 'org:x'))), 'unreadable',
  format('%s of %s is unreadable', type, id)
)
from unnest(array['role.updated', 'permission.updated', 'role.deleted']) with ordinality as types (type, place)
cross join (values ('user_alice')) as ids (id);


-- Who reads them -----------------------------------------------------------------------------

do $$
begin
  perform pg_temp.deliver('msg_s1', pg_temp.role('created', 100, 'admin', 'admin', '{read}'));
  perform pg_temp.deliver('msg_s2', pg_temp.event('user.created', 100, '{"id": "user_bea", "banned": true}'));
  perform set_config('request.jwt.claims', '', true);
end
$$;

create function pg_temp.roles_seen_by(claims text)
returns text[]
language plpgsql
as $$
declare
  seen text[];
begin
  perform set_config('request.jwt.claims', claims, true);
  set local role authenticated;
  seen := array(select id from public.organization_roles);
  reset role;
  return seen;
end
$$;

select is(
  pg_temp.roles_seen_by('{"sub": "user_nils", "role": "authenticated"}'), '{role_admin}',
  'whoever is signed in reads the living roles, and no deleted one'
);
select is(pg_temp.roles_seen_by(claims), '{}', who || ' reads no role')
from (
  values
    ('{"sub": "user_bea", "role": "authenticated"}', 'a banned person'),
    ('{"sub": "user_nils", "role": "authenticated", "sts": "pending"}', 'a pending session'),
    ('{"role": "authenticated"}', 'a token without a subject'),
    ('', 'a request without a token')
) as callers (claims, who);
set local role authenticated;
set local request.jwt.claims = '{"sub": "user_nils", "role": "authenticated"}';
select throws_ok(
  $$ update organization_roles set permission_keys = '{org:all}' $$, '42501', null, 'nobody who is signed in writes a role'
);
reset role;
set local role anon;
select throws_ok('table organization_roles', '42501', null, 'an anonymous caller reads no role');
reset role;
set local role service_role;
select is((select count(*) from organization_roles), 2::bigint, 'a backend reads all, with tombstones');
reset role;

select * from finish();
rollback;
