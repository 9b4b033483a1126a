-- auth.uid() casts the subject to uuid and fails on a Clerk id. Policies call this instead.

create function clerk.user_id()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  token constant jsonb := auth.jwt();
begin
  -- While a session has a task to finish (a second factor, a password reset), Clerk issues valid tokens
  -- with sts = pending, and means: signed out.
  if coalesce(token -> 'sts', '"active"') <> '"active"' then
    return null;
  end if;

  return token ->> 'sub';
end
$$;

comment on function clerk.user_id() is
  'Clerk id (user_…) of the caller, from the session token''s claim sub; null without a token, and while the session is pending. In policies write (select clerk.user_id()), so that it runs once per query and not once per row.';

revoke all on function clerk.user_id() from public, anon, authenticated, service_role;
grant execute on function clerk.user_id() to anon, authenticated, service_role;
