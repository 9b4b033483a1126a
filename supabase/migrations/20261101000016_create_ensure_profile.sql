-- Closes the gap between the sign-up and the first webhook: an application that has just loaded finds
-- its profile row. Any real event overwrites the row, because its version is 0.

create function clerk.make_my_profile()
returns void
language plpgsql
volatile
-- Definer, because nobody but the sync may insert into profiles. Takes no argument: it adds the row
-- of the caller's own subject, or none.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own_id constant text := clerk.user_id();
begin
  -- Tokens of Supabase Auth (uuids), or of anyone else who signs for this project, add nothing.
  if own_id is null or own_id !~ '^user_[A-Za-z0-9]{1,200}$' then
    return;
  end if;

  if exists (select from public.profiles where id = own_id) then
    return;
  end if;

  perform set_config('clerk_sync.caused_by', '', true);
  perform set_config('clerk_sync.via', 'ensure_profile', true);
  perform clerk_sync.lock_objects(null, false, null, array[own_id], '{}');
  perform clerk_sync.add_profile(own_id);
end
$$;

comment on function clerk.make_my_profile() is
  'Adds the caller''s profile row with nothing but the id, unless it is there or the register says that the user is deleted. For public.ensure_profile.';

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
  'The caller''s profile row, added if missing; no row for a deleted user, and none for a subject that is not Clerk''s. The row is complete as soon as the webhook has arrived.';

revoke all on function public.ensure_profile() from public, anon, authenticated, service_role;
grant execute on function public.ensure_profile() to authenticated;
