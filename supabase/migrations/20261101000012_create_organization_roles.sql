-- One row per Clerk role, which all organizations of the instance share. A change of a role is never
-- written to its members: what a member may do is decided when it is read.

create table public.organization_roles (
  id text primary key,
  key text,
  name text,
  description text,
  permission_ids text[] not null default '{}',
  permission_keys text[] not null default '{}',
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint organization_roles_permissions_are_pairs check (
    cardinality(permission_ids) = cardinality(permission_keys)
  ),
  constraint organization_roles_tombstone_holds_no_rights check (
    deleted_at is null
    or (
      num_nonnulls(name, description, created_at, updated_at) = 0
      and permission_ids = '{}'
    )
  )
);

comment on table public.organization_roles is
  'One row per Clerk role, kept equal to Clerk by the sync and read by everybody who is signed in. A deleted role leaves a tombstone: id, key and deleted_at.';
comment on column public.organization_roles.id is 'Clerk''s data.id (role_…).';
comment on column public.organization_roles.key is
  'With its prefix: org:admin, org:member, or one of your own. Not unique: a deleted role''s key can be taken again. Null in a tombstone whose key is not known.';
comment on column public.organization_roles.name is
  'For display; null in a tombstone, or when it names a user id.';
comment on column public.organization_roles.description is 'For display; null when unset, or when it names a user id.';
comment on column public.organization_roles.permission_ids is
  'Ids of the role''s permissions (perm_…), without deleted ones.';
comment on column public.organization_roles.permission_keys is
  'Their keys with the prefix (org:posts:create), in the same order. A key is null while it is not known.';
comment on column public.organization_roles.created_at is 'By Clerk''s clock; null in a tombstone.';
comment on column public.organization_roles.updated_at is
  'By Clerk''s clock, never ours; null in a tombstone.';
comment on column public.organization_roles.deleted_at is
  'When Clerk deleted the role. Null for living ones.';
comment on column public.organization_roles.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create table clerk_sync.keys (
  kind text,
  key text,
  id text,
  observed_at bigint not null,

  primary key (kind, key, id)
);

comment on table clerk_sync.keys is
  'Every key that a role or a permission has or had. A deletion names only the id, while memberships name only keys. Also stale events are heard, so the rows do not depend on the order of arrival.';
comment on column clerk_sync.keys.kind is 'role or permission.';
comment on column clerk_sync.keys.key is 'With its prefix: org:admin, org:posts:create.';
comment on column clerk_sync.keys.id is 'Clerk id of the role or permission that has or had the key.';
comment on column clerk_sync.keys.observed_at is
  'The envelope''s timestamp of the newest event that gave it this key, ms since the epoch.';

alter table clerk_sync.keys enable row level security;

create function clerk_sync.newest_key(kind text, id text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select key
    from clerk_sync.keys
    where keys.kind = newest_key.kind
      and keys.id = newest_key.id
    order by observed_at desc, key collate "C" desc
    limit 1
  );
end
$$;

comment on function clerk_sync.newest_key(text, text) is
  'The key that a role or a permission had last; null when it is not known.';

create function clerk_sync.remember_keys(kind text, objects jsonb, observed_at bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- An index entry holds 2,704 bytes at most, and no real key is longer than 255 characters.
  insert into clerk_sync.keys as known (kind, key, id, observed_at)
  select distinct
    remember_keys.kind,
    clerk.org_key(object ->> 'key'),
    object ->> 'id',
    coalesce(remember_keys.observed_at, 0)
  from jsonb_array_elements(objects) as object
  where jsonb_typeof(object -> 'key') = 'string'
    and length(object ->> 'key') <= 255
    and jsonb_typeof(object -> 'id') = 'string'
    and length(object ->> 'id') <= 250
  on conflict on constraint keys_pkey do update set
    observed_at = excluded.observed_at
  where known.observed_at < excluded.observed_at;
end
$$;

comment on function clerk_sync.remember_keys(text, jsonb, bigint) is
  'Remembers the keys of roles or permissions ([{id, key}]) as of this time.';

create function clerk_sync.living_permissions(ids text[])
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select id
    from unnest(ids) with ordinality as listed (id, place)
    where not clerk_sync.is_deleted(id)
    order by place
  );
end
$$;

comment on function clerk_sync.living_permissions(text[]) is
  'The ids without those of deleted permissions.';

create function clerk_sync.permission_keys_of(ids text[])
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select clerk_sync.newest_key('permission', id)
    from unnest(ids) with ordinality as listed (id, place)
    order by place
  );
end
$$;

comment on function clerk_sync.permission_keys_of(text[]) is
  'The newest keys of these permissions, in the same order.';

create function clerk_sync.permissions_in(data jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case jsonb_typeof(data -> 'permissions') when 'array' then data -> 'permissions' else '[]' end;
end
$$;

comment on function clerk_sync.permissions_in(jsonb) is
  'The permissions nested in a Clerk role; an empty list when there are none.';

create function clerk_sync.role_from_clerk(data jsonb)
returns public.organization_roles
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  role public.organization_roles;
begin
  role.id := data ->> 'id';
  if length(data ->> 'key') <= 255 then
    role.key := clerk.org_key(data ->> 'key');
  end if;
  -- A note about a person could not be erased with the person: a role mentions nobody by structure.
  if data ->> 'name' !~ 'user_[A-Za-z0-9]{27}' then
    role.name := data ->> 'name';
  end if;
  if data ->> 'description' !~ 'user_[A-Za-z0-9]{27}' then
    role.description := data ->> 'description';
  end if;
  role.permission_ids := clerk_sync.living_permissions(array(
    select permission ->> 'id'
    from jsonb_array_elements(clerk_sync.permissions_in(data)) with ordinality as listed (permission, place)
    where permission ->> 'id' is not null
    order by place
  ));
  role.permission_keys := clerk_sync.permission_keys_of(role.permission_ids);
  role.created_at := clerk_sync.to_time(data -> 'created_at');
  role.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return role;
end
$$;

comment on function clerk_sync.role_from_clerk(jsonb) is
  'The synced columns of a role from Clerk''s; all other columns are null. Its permissions are the living ones, with their newest keys.';

create function clerk_sync.upsert_roles(objects jsonb[], deleted_at timestamptz default null)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.organization_roles as kept (
    id, key, name, description, permission_ids, permission_keys, created_at, updated_at, deleted_at
  )
  select
    read.id, read.key, read.name, read.description, read.permission_ids, read.permission_keys,
    read.created_at, read.updated_at, upsert_roles.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.role_from_clerk(object) as read
  on conflict (id) do update set
    key = excluded.key,
    name = excluded.name,
    description = excluded.description,
    permission_ids = excluded.permission_ids,
    permission_keys = excluded.permission_keys,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    synced_at = now()
  where (
    kept.key, kept.name, kept.description, kept.permission_ids, kept.permission_keys,
    kept.created_at, kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.key, excluded.name, excluded.description, excluded.permission_ids,
    excluded.permission_keys, excluded.created_at, excluded.updated_at, excluded.deleted_at
  );
end
$$;

comment on function clerk_sync.upsert_roles(jsonb[], timestamptz) is
  'Writes the synced columns of roles, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the keys and claimed the versions.';

create function clerk_sync.refresh_permissions(ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.organization_roles as kept
  set
    permission_ids = fresh.ids,
    permission_keys = clerk_sync.permission_keys_of(fresh.ids),
    synced_at = now()
  from (
    select
      organization_roles.id,
      clerk_sync.living_permissions(permission_ids) as ids
    from public.organization_roles
    where permission_ids && refresh_permissions.ids
  ) as fresh
  where kept.id = fresh.id
    and (kept.permission_ids, kept.permission_keys)
      is distinct from (fresh.ids, clerk_sync.permission_keys_of(fresh.ids));
end
$$;

comment on function clerk_sync.refresh_permissions(text[]) is
  'Takes deleted ones of these permissions out of every role, and writes the newest keys of the others. The caller has locked the keys.';

create function clerk_sync.apply_role_or_permission(message_id text, reading clerk_sync.reading, data jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := reading.kind;
  nested constant jsonb := clerk_sync.permissions_in(data);
  deletion timestamptz;
  is_news boolean;
begin
  -- One permission stands in many roles, and the roles' rows have no order of locks. These events are
  -- rare, so only one is applied at a time. Readers do not wait.
  lock table clerk_sync.keys in share row exclusive mode;

  perform
    clerk_sync.remember_keys(kind, jsonb_build_array(data), reading.observed_at),
    clerk_sync.remember_keys('permission', nested, reading.observed_at);

  if reading.deletes then
    deletion := clerk_sync.claim_deletion(reading.own_id, reading.observed_at);
    is_news := deletion is not null;
  else
    is_news := clerk_sync.claim_version(
      reading.own_id, reading.version, reading.observed_at, message_id);
  end if;

  if kind = 'role' then
    if is_news and not reading.deletes then
      perform clerk_sync.upsert_roles(array[data]);
    else
      -- Also after a stale event, which may be the first to tell a deleted role's key.
      select deleted_at into deletion from clerk_sync.objects where id = reading.own_id;

      if deletion is not null then
        perform clerk_sync.upsert_roles(
          array[jsonb_build_object(
            'id', reading.own_id, 'key', clerk_sync.newest_key('role', reading.own_id))],
          deletion);
      end if;
    end if;
  end if;

  perform clerk_sync.refresh_permissions(array(
    select reading.own_id
    where kind = 'permission'
    union all
    select permission ->> 'id'
    from jsonb_array_elements(nested) as permission
  ));

  return jsonb_build_object('outcome', case when is_news then 'applied' else 'stale' end);
end
$$;

comment on function clerk_sync.apply_role_or_permission(text, clerk_sync.reading, jsonb) is
  'Applies role.* and permission.*, and returns {outcome}: applied, or stale. The caller has locked the register.';

create function clerk_sync.permits(permission text, role text, copied_at bigint, copy text[])
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  newest record;
begin
  -- Of several roles that have or had the key, the one observed last: a living one as of its newest
  -- event, a deleted one as of its deletion, one with another key by now as of the last event with this key.
  select
    roles.permission_keys,
    seen.at as observed_at
  into newest
  from clerk_sync.keys
  join public.organization_roles as roles on roles.id = keys.id
  join clerk_sync.objects on objects.id = keys.id
  cross join lateral (
    select coalesce(1000 * extract(epoch from roles.deleted_at), objects.observed_at) as at
  ) as seen
  where keys.kind = 'role'
    and keys.key = permits.role
  order by
    case when roles.key = keys.key then seen.at else keys.observed_at end desc,
    roles.deleted_at is not null,
    keys.id collate "C"
  limit 1;

  -- A deleted role has no permissions.
  if newest.observed_at >= copied_at then
    return coalesce(permission = any (newest.permission_keys), false);
  end if;

  return coalesce(permission = any (copy), false) and not coalesce(
    (
      -- Whether the permission that had the key last was deleted since.
      select objects.deleted_at >= to_timestamp(copied_at / 1000.0)
      from clerk_sync.keys
      left join clerk_sync.objects on objects.id = keys.id
      where keys.kind = 'permission'
        and keys.key = permits.permission
      order by keys.observed_at desc, keys.id collate "C" desc
      limit 1
    ),
    false
  );
end
$$;

comment on function clerk_sync.permits(text, text, bigint, text[]) is
  'Whether a member with this role has the permission, both as keys with prefix: by the role, if Clerk told it at the time of the member''s own copy (ms since the epoch) or later, else by the copy.';

create function clerk_sync.membership_permits(id text, role text, copy text[], permission text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return clerk_sync.permits(
    clerk.org_key(permission),
    role,
    coalesce((select observed_at from clerk_sync.objects where objects.id = membership_permits.id), 0),
    copy);
end
$$;

comment on function clerk_sync.membership_permits(text, text, text[], text) is
  'Whether this membership, with this role and copy of permissions, has the permission (posts:create or org:posts:create) now.';

create function clerk_sync.claim_permits(permission text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return clerk_sync.permits(clerk.org_key(permission), clerk.org_role(), 0, '{}');
end
$$;

comment on function clerk_sync.claim_permits(text) is
  'Whether the token''s role has the permission, by the role''s row alone: a token''s own permissions lack Clerk''s system permissions.';

alter table public.organization_roles enable row level security;

create policy organization_roles_select_signed_in
  on public.organization_roles
  as permissive
  for select
  to authenticated
  using (
    deleted_at is null
    and (select clerk.user_id()) is not null
    and not (select clerk.is_blocked())
  );

comment on policy organization_roles_select_signed_in on public.organization_roles is
  'Everybody who is signed in reads the living roles: they belong to the instance, not to one organization. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.organization_roles from public, anon, authenticated, service_role;
grant select on table public.organization_roles to authenticated, service_role;
