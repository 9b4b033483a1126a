-- auth.uid() casts the subject to uuid and fails on a Clerk id; policies ask this instead.

create function clerk.user_id()
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select (select auth.jwt()) ->> 'sub'
$$;

comment on function clerk.user_id() is
  'Clerk id (user_…) of the caller, from the session token''s claim sub; null without a token. In policies write (select clerk.user_id()), so that it is asked once a query and not once a row.';

revoke all on function clerk.user_id() from public, anon, authenticated, service_role;
grant execute on function clerk.user_id() to anon, authenticated, service_role;
