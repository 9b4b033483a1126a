-- Functions for policies. Those about the *active* organization read the session token; those that
-- guard data read the membership table, so that an ex-member with a living token reads nothing.

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
  return case
    when clerk.user_id() is not null then coalesce(token -> 'o' ->> 'id', token ->> 'org_id')
  end;
end
$$;

comment on function clerk.org_id() is
  'Clerk id (org_…) of the organization that is active in the caller''s session; null without one. READS THE TOKEN: says what is on the screen, not what is allowed. Claims of version 1 (org_id) and 2 (o.id).';

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
    when clerk.user_id() is not null
    then clerk.org_key(coalesce(token -> 'o' ->> 'rol', token ->> 'org_role'))
  end;
end
$$;

comment on function clerk.org_role() is
  'The caller''s role (org:admin) in the active organization; null without one. READS THE TOKEN, which outlives the role by a minute: to guard data use clerk.has_org_role. Claims of version 1 (org_role) and 2 (o.rol, without prefix).';

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

comment on function clerk.is_blocked() is
  'Whether Clerk has banned or deprovisioned the caller, whose session token lives on for a minute or more. The other functions that read tables answer a blocked caller like an ex-member. locked does not count: it refuses sign-ins, and ends by itself.';

create function clerk.my_organization_ids(
  with_role text default null,
  with_permission text default null
)
returns setof text
language plpgsql
stable
-- Definer, because the policy on memberships calls this: as invoker it would call itself without end.
security definer
set search_path = pg_catalog, pg_temp
rows 10
as $$
begin
  if clerk.is_blocked() then
    return;
  end if;

  if with_role is null and with_permission is null then
    return query
    select distinct organization_id
    from public.organization_memberships
    where user_id = (select clerk.user_id());

    return;
  end if;

  return query
  select newest.organization_id
  from (
    select distinct on (organization_id)
      organization_id,
      role,
      permissions
    from public.organization_memberships
    where user_id = (select clerk.user_id())
    order by organization_id, created_at desc nulls last, id collate "C" desc
  ) as newest
  where newest.role = clerk.org_key(with_role)
    or clerk.org_key(with_permission) = any (newest.permissions);
end
$$;

comment on function clerk.my_organization_ids(text, text) is
  'The organizations (org_…) that the caller is a member of now, by the membership table; with a role or a permission, those where the newest membership has one of them. In policies write organization_id = any (array(select clerk.my_organization_ids())), which can use an index.';

create function clerk.is_member_of(organization_id text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return not clerk.is_blocked() and exists (
    select
    from public.organization_memberships
    where organization_memberships.organization_id = is_member_of.organization_id
      and user_id = (select clerk.user_id())
  );
end
$$;

comment on function clerk.is_member_of(text) is
  'Whether the caller is a member of the organization now, by the membership table.';

create function clerk.has_org_role(role text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return not clerk.is_blocked() and coalesce(
    (
      select organization_memberships.role = clerk.org_key(has_org_role.role)
      from public.organization_memberships
      where organization_id = (select clerk.org_id())
        and user_id = (select clerk.user_id())
      order by created_at desc nulls last, id collate "C" desc
      limit 1
    ),
    false
  );
end
$$;

comment on function clerk.has_org_role(text) is
  'Whether the caller''s newest membership in the active organization has this role (admin or org:admin), by the membership table: the token only says which organization is active.';

create function clerk.has_org_permission(permission text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return not clerk.is_blocked() and coalesce(
    (
      select clerk.org_key(permission) = any (permissions)
      from public.organization_memberships
      where organization_id = (select clerk.org_id())
        and user_id = (select clerk.user_id())
      order by created_at desc nulls last, id collate "C" desc
      limit 1
    ),
    false
  );
end
$$;

comment on function clerk.has_org_permission(text) is
  'Whether the caller''s newest membership in the active organization has this permission (posts:create or org:posts:create), by the membership table: the token only says which organization is active.';

create function clerk.my_superseded_membership_ids()
returns setof text
language plpgsql
stable
-- Definer, because the policy on memberships calls this: as invoker it would call itself without end.
security definer
set search_path = pg_catalog, pg_temp
rows 1
as $$
begin
  -- First, find people with more than one membership: few, and an index-only scan.
  return query
  select older.id
  from (
    select
      organization_id,
      user_id
    from public.organization_memberships
    where organization_id in (
      select own.organization_id
      from public.organization_memberships as own
      where own.user_id = (select clerk.user_id())
    )
    group by organization_id, user_id
    having count(*) > 1
  ) as several
  cross join lateral (
    select id
    from public.organization_memberships as membership
    where membership.organization_id = several.organization_id
      and membership.user_id = several.user_id
    order by created_at desc nulls last, id collate "C" desc
    offset 1
  ) as older;
end
$$;

comment on function clerk.my_superseded_membership_ids() is
  'The memberships (orgmem_…) in the caller''s organizations that do not count, because the same person has a newer one there. Few: those whose deletion is late or lost. For the policy on memberships, which is quicker to exclude these than to list all others.';

revoke all on function
  clerk.org_key(text), clerk.org_id(), clerk.org_role(), clerk.is_blocked(), clerk.my_organization_ids(text, text),
  clerk.is_member_of(text), clerk.has_org_role(text), clerk.has_org_permission(text),
  clerk.my_superseded_membership_ids()
  from public, anon, authenticated, service_role;

grant execute on function
  clerk.org_key(text), clerk.org_id(), clerk.org_role(), clerk.is_blocked(), clerk.my_organization_ids(text, text),
  clerk.is_member_of(text), clerk.has_org_role(text), clerk.has_org_permission(text),
  clerk.my_superseded_membership_ids()
  to anon, authenticated, service_role;

create policy organizations_select_member
  on public.organizations
  as permissive
  for select
  to authenticated
  using (
    id = any (array(select clerk.my_organization_ids()))
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
    organization_id = any (array(select clerk.my_organization_ids()))
    and id <> all (array(select clerk.my_superseded_membership_ids()))
  );

comment on policy organization_memberships_select_member on public.organization_memberships is
  'Members read who else is in their organizations: for each person, the newest membership. NOTE: no insert, update or delete policy: the sync is the only writer.';
