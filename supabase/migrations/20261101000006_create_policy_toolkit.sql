-- What policies ask. What speaks of the active organization reads the session token; what guards data
-- asks the membership table, so that an ex-member with a living token reads nothing.

create function clerk.org_id()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce((select auth.jwt()) -> 'o' ->> 'id', (select auth.jwt()) ->> 'org_id')
$$;

comment on function clerk.org_id() is
  'Clerk id (org_…) of the organization that is active in the caller''s session; null without one. READS THE TOKEN: says what is on the screen, not what is allowed. Claims of version 1 (org_id) and 2 (o.id).';

create function clerk.org_key(name text)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case when name ^@ 'org:' then name else 'org:' || name end;
end
$$;

comment on function clerk.org_key(text) is
  'A role or permission key with the prefix that Clerk gives it: admin and org:admin are both org:admin.';

create function clerk.org_role()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select clerk.org_key(
    coalesce((select auth.jwt()) -> 'o' ->> 'rol', (select auth.jwt()) ->> 'org_role')
  )
$$;

comment on function clerk.org_role() is
  'The caller''s role (org:admin) in the active organization; null without one. READS THE TOKEN, which lives on for a minute after the role is gone: to guard data ask clerk.has_org_role. Claims of version 1 (org_role) and 2 (o.rol, without prefix).';

create function clerk.my_organization_ids(with_role text default null)
returns setof text
-- Planned once a connection, as clerk.user_id() is.
language plpgsql
stable
-- Definer, because the policy on memberships asks this: as invoker it would ask itself without end.
security definer
set search_path = ''
rows 10
as $$
begin
  if with_role is null then
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
      role
    from public.organization_memberships
    where user_id = (select clerk.user_id())
    order by organization_id, created_at desc nulls last, id collate "C" desc
  ) as newest
  where newest.role = clerk.org_key(with_role);
end
$$;

comment on function clerk.my_organization_ids(text) is
  'The organizations (org_…) that the caller is a member of now, by the membership table; with a role, those where the newest membership has it. In policies write organization_id = any (array(select clerk.my_organization_ids())), which an index can serve.';

create function clerk.is_member_of(organization_id text)
returns boolean
language sql
stable
-- Definer, so that it can be asked from the policy of any table. It only ever speaks of the caller.
security definer
set search_path = ''
as $$
  select exists (
    select
    from public.organization_memberships
    where organization_memberships.organization_id = is_member_of.organization_id
      and user_id = (select clerk.user_id())
  )
$$;

comment on function clerk.is_member_of(text) is
  'Whether the caller is a member of the organization now, by the membership table.';

create function clerk.has_org_role(role text)
returns boolean
language sql
stable
-- Definer, so that it can be asked from the policy of any table. It only ever speaks of the caller.
security definer
set search_path = ''
as $$
  select coalesce(
    (
      select organization_memberships.role = clerk.org_key(has_org_role.role)
      from public.organization_memberships
      where organization_id = (select clerk.org_id())
        and user_id = (select clerk.user_id())
      order by created_at desc nulls last, id collate "C" desc
      limit 1
    ),
    false
  )
$$;

comment on function clerk.has_org_role(text) is
  'Whether the caller''s newest membership in the active organization has this role (admin or org:admin), by the membership table: the token only says which organization is active.';

create function clerk.has_org_permission(permission text)
returns boolean
language sql
stable
-- Definer, so that it can be asked from the policy of any table. It only ever speaks of the caller.
security definer
set search_path = ''
as $$
  select coalesce(
    (
      select clerk.org_key(permission) = any (permissions)
      from public.organization_memberships
      where organization_id = (select clerk.org_id())
        and user_id = (select clerk.user_id())
      order by created_at desc nulls last, id collate "C" desc
      limit 1
    ),
    false
  )
$$;

comment on function clerk.has_org_permission(text) is
  'Whether the caller''s newest membership in the active organization has this permission (posts:create or org:posts:create), by the membership table: the token only says which organization is active.';

create function clerk.my_superseded_membership_ids()
returns setof text
-- Planned once a connection, as clerk.user_id() is.
language plpgsql
stable
-- Definer, because the policy on memberships asks this: as invoker it would ask itself without end.
security definer
set search_path = ''
rows 1
as $$
begin
  -- First those who are there several times, whom an index alone tells, and who are few.
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
  clerk.org_id(),
  clerk.org_key(text),
  clerk.org_role(),
  clerk.my_organization_ids(text),
  clerk.is_member_of(text),
  clerk.has_org_role(text),
  clerk.has_org_permission(text),
  clerk.my_superseded_membership_ids()
  from public, anon, authenticated, service_role;

grant execute on function
  clerk.org_id(),
  clerk.org_key(text),
  clerk.org_role(),
  clerk.my_organization_ids(text),
  clerk.is_member_of(text),
  clerk.has_org_role(text),
  clerk.has_org_permission(text),
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
  'Members read who else is in their organizations, of each the newest membership. NOTE: no insert, update or delete policy: the sync is the only writer.';
