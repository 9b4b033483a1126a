-- Closes the gap between the sign-up and the first webhook: an application that has just loaded finds
-- its profile row, and one that has just made an organization finds that row. Any real event overwrites
-- the rows, because their version is 0.

create function clerk.make_my_profile()
returns void
language plpgsql
volatile
-- Definer, because nobody but the sync may insert into the synced tables. Takes no argument: it adds
-- rows for the caller's own subject and active organization, or none.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own_id constant text := clerk.user_id();
  organization_id text;
begin
  -- Tokens of Supabase Auth (uuids), or of anyone else who signs for this project, add nothing.
  if own_id is null or own_id !~ '^user_[A-Za-z0-9]{1,200}$' then
    return;
  end if;

  if clerk.is_blocked() then
    return;
  end if;

  organization_id := clerk_sync.claimed_organization_id();

  if exists (select from public.profiles where id = own_id)
    and (organization_id is null or exists (select from public.organizations where id = organization_id))
  then
    return;
  end if;

  perform set_config('clerk_sync.caused_by', '', true);
  perform set_config('clerk_sync.via', 'ensure_profile', true);
  perform clerk_sync.lock_objects(null, false, organization_id, array[own_id], '{}');
  perform clerk_sync.add_profile(own_id);
  perform clerk_sync.add_organization(organization_id);
end
$$;

comment on function clerk.make_my_profile() is
  'Adds the caller''s profile row with nothing but the id, unless it is there or the register says that the user is deleted; likewise the row of the active organization, if the caller has just made it (clerk_sync.claimed_organization_id). Adds nothing for a blocked user, and never a membership. For public.ensure_profile.';

revoke all on function clerk.make_my_profile() from public, anon, authenticated, service_role;
grant execute on function clerk.make_my_profile() to authenticated;

create function public.ensure_profile()
returns setof public.profiles
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
rows 1
as $$
begin
  perform clerk.make_my_profile();

  return query
  select *
  from public.profiles
  where id = (select clerk.user_id());
end
$$;

comment on function public.ensure_profile() is
  'The caller''s profile row, added if missing; no row for a deleted or blocked user, and none for a subject that is not Clerk''s. Also adds the row of an organization that the caller has just made, so that rows of the application can refer to it. The row is complete as soon as the webhook has arrived.';

revoke all on function public.ensure_profile() from public, anon, authenticated, service_role;
grant execute on function public.ensure_profile() to authenticated;
