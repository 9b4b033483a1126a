-- Functions for policies. Those about the *active* organization read the session token; those that
-- guard data read the membership table, so that an ex-member with a living token reads nothing. While
-- the table does not know the person in the active organization yet, they believe the token.

create function clerk.org_key(name text)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when name ^@ 'org:' then name else 'org:' || name end;
end
$$;

comment on function clerk.org_key(text) is
  'A role or permission key with Clerk''s prefix: admin and org:admin are both org:admin.';

create function clerk.org_id()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  token constant jsonb := auth.jwt();
begin
  -- NOTE: never a mix of both versions. Next to o, an org_id is a claim of the application's own.
  return case
    when clerk.user_id() is null then null
    when token -> 'v' = '2' then token -> 'o' ->> 'id'
    when coalesce(token -> 'v', '1') = '1' then token ->> 'org_id'
  end;
end
$$;

comment on function clerk.org_id() is
  'Clerk id (org_…) of the organization that is active in the caller''s session; null without one. READS THE TOKEN: says what is on the screen, not what is allowed. The token''s version v decides: 2 is o.id; 1 or none is org_id; any other is null.';

create function clerk.org_role()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  token constant jsonb := auth.jwt();
begin
  return case
    when clerk.user_id() is null then null
    when token -> 'v' = '2' then clerk.org_key(token -> 'o' ->> 'rol')
    when coalesce(token -> 'v', '1') = '1' then clerk.org_key(token ->> 'org_role')
  end;
end
$$;

comment on function clerk.org_role() is
  'The caller''s role (org:admin) in the active organization; null without one. READS THE TOKEN, which outlives the role by a minute: to guard data use clerk.has_org_role. The token''s version v decides: 2 is o.rol, which has no prefix; 1 or none is org_role; any other is null.';

create function clerk.actor_id()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  token constant jsonb := auth.jwt();
begin
  return coalesce(token -> 'act' ->> 'sub', token ->> 'act');
end
$$;

comment on function clerk.actor_id() is
  'Who acts as the caller: act.sub of the session token while somebody impersonates the user, such as support from Clerk''s dashboard; null otherwise. If act has no sub, the text of act: never null then, so a policy that refuses impersonators also refuses a claim of another shape.';

create function clerk.is_blocked()
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select
    from public.profiles
    where id = clerk.user_id()
      and (banned or deprovisioned)
  );
end
$$;

-- Nearly always empty, so quicker than the profile itself: the policies ask in every statement.
create index profiles_blocked
  on public.profiles
  (id)
  where banned or deprovisioned;

comment on function clerk.is_blocked() is
  'Whether Clerk has banned or deprovisioned the caller, whose session token lives on for a minute or more. The other functions that read tables answer a blocked caller like an ex-member. locked does not count: it refuses sign-ins, and ends by itself.';

create function clerk_sync.claimed_organization_id()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  active_id constant text := clerk.org_id();
  own_id constant text := clerk.user_id();
  token jsonb;
begin
  if active_id is null or exists (
    select
    from public.organization_memberships
    where organization_id = active_id
      and user_id = own_id
  ) then
    return null;
  end if;

  token := auth.jwt();

  if not clerk_sync.is_id(active_id, 'org')
    or not clerk_sync.is_id(own_id, 'user')
    or jsonb_typeof(token -> 'iat') is distinct from 'number'
    or clerk.is_blocked()
    or clerk_sync.deleted_among(array[active_id, own_id]) <> '{}'
    or exists (select from public.organizations where id = active_id and deleted_at is not null)
    or exists (select from public.profiles where id = own_id and deleted_at is not null)
  then
    return null;
  end if;

  return case
    when not exists (
      select
      from clerk_sync.membership_deletions
      where user_id = own_id
        and organization_id = active_id
        and observed_at >= 1000 * (token ->> 'iat')::numeric
    )
    then active_id
  end;
end
$$;

comment on function clerk_sync.claimed_organization_id() is
  'The caller''s active organization, if the membership table does not know the caller there and nothing newer contradicts the token: the events about an organization or a membership just made are still on their way. A token is Clerk''s signed statement as of its iat; a deletion of that membership that is not older wins over it, and so does a deleted organization, and a deleted or blocked person.';

create function clerk.my_organization_ids(
  with_role text default null,
  with_permission text default null
)
returns text[]
language plpgsql
stable
-- Definer, because the policy on memberships calls this: as invoker it would call itself without end.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  token constant jsonb := auth.jwt();
  own_id constant text := token ->> 'sub';
  own_ids text[];
  claimed_id text;
begin
  -- As clerk.user_id, but the token is parsed once. The policies ask in every statement.
  if own_id is null or coalesce(token -> 'sts', '"active"') <> '"active"' then
    return '{}';
  end if;

  own_ids := array(
    select organization_id
    from public.organization_memberships
    where user_id = own_id
      and not superseded
      -- As clerk.is_blocked.
      and not exists (select from public.profiles where id = own_id and (banned or deprovisioned))
  );

  -- Only for an organization just made, where the table does not know the caller yet. Which claim counts
  -- is decided there.
  if token -> 'o' ->> 'id' <> all (own_ids) or token ->> 'org_id' <> all (own_ids) then
    claimed_id := clerk_sync.claimed_organization_id();
  end if;

  if with_role is null and with_permission is null then
    return case when claimed_id is null then own_ids else own_ids || claimed_id end;
  end if;

  return array(
    select organization_id
    from public.organization_memberships
    where user_id = own_id
      and organization_id = any (own_ids)
      and not superseded
      and (
        role = clerk.org_key(with_role)
        or clerk_sync.membership_permits(id, role, permissions, with_permission)
      )
    union all
    select claimed_id
    where claimed_id is not null
      and (clerk.org_role() = clerk.org_key(with_role) or clerk_sync.claim_permits(with_permission))
  );
end
$$;

comment on function clerk.my_organization_ids(text, text) is
  'The organizations (org_…) that the caller is a member of now, by the membership table, and the active one if it was just made and the table does not know it yet; with a role or a permission, those where the newest membership has one of them. In policies write organization_id = any ((select clerk.my_organization_ids())::text[]), which can use an index.';

create function clerk.is_member_of(organization_id text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if clerk.is_blocked() then
    return false;
  end if;

  return exists (
    select
    from public.organization_memberships
    where organization_memberships.organization_id = is_member_of.organization_id
      and user_id = (select clerk.user_id())
  ) or coalesce(organization_id = clerk_sync.claimed_organization_id(), false);
end
$$;

comment on function clerk.is_member_of(text) is
  'Whether the caller is a member of the organization now, by the membership table; while that does not know the caller there, by the token, if the organization is the active one.';

create function clerk.has_org_role(role text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own_role text;
begin
  if clerk.is_blocked() then
    return false;
  end if;

  select organization_memberships.role
  into own_role
  from public.organization_memberships
  where organization_id = (select clerk.org_id())
    and user_id = (select clerk.user_id())
    and not superseded;

  if not found and clerk_sync.claimed_organization_id() is not null then
    own_role := clerk.org_role();
  end if;

  return coalesce(own_role = clerk.org_key(has_org_role.role), false);
end
$$;

comment on function clerk.has_org_role(text) is
  'Whether the caller''s newest membership in the active organization has this role (admin or org:admin), by the membership table: the token only says which organization is active. While the table does not know the caller there, by the token''s role.';

create function clerk.has_org_permission(permission text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own record;
begin
  if clerk.is_blocked() then
    return false;
  end if;

  select
    id,
    role,
    permissions
  into own
  from public.organization_memberships
  where organization_id = (select clerk.org_id())
    and user_id = (select clerk.user_id())
    and not superseded;

  if found then
    return clerk_sync.membership_permits(own.id, own.role, own.permissions, permission);
  end if;

  return clerk_sync.claimed_organization_id() is not null and clerk_sync.claim_permits(permission);
end
$$;

comment on function clerk.has_org_permission(text) is
  'Whether the caller''s newest membership in the active organization has this permission (posts:create or org:posts:create), by the newer of its own copy and the role''s permissions: the token only says which organization is active. While the table does not know the caller there, by the permissions of the token''s role.';

revoke all on function
  clerk.org_key(text), clerk.org_id(), clerk.org_role(), clerk.actor_id(),
  clerk.is_blocked(), clerk.my_organization_ids(text, text),
  clerk.is_member_of(text), clerk.has_org_role(text), clerk.has_org_permission(text)
  from public, anon, authenticated, service_role;

grant execute on function
  clerk.org_key(text), clerk.org_id(), clerk.org_role(), clerk.actor_id(),
  clerk.is_blocked(), clerk.my_organization_ids(text, text),
  clerk.is_member_of(text), clerk.has_org_role(text), clerk.has_org_permission(text)
  to anon, authenticated, service_role;

create policy organizations_select_member
  on public.organizations
  as permissive
  for select
  to authenticated
  using (
    id = any ((select clerk.my_organization_ids())::text[])
    and deleted_at is null
  );

comment on policy organizations_select_member on public.organizations is
  'Members read their organizations. NOTE: no insert, update or delete policy: the sync is the only writer.';

create policy organization_memberships_select_member
  on public.organization_memberships
  as permissive
  for select
  to authenticated
  using (
    organization_id = any ((select clerk.my_organization_ids())::text[])
    and not superseded
  );

comment on policy organization_memberships_select_member on public.organization_memberships is
  'Members read who else is in their organizations: for each person, the newest membership. NOTE: no insert, update or delete policy: the sync is the only writer.';
