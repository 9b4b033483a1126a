-- auth.uid() casts the subject to uuid and fails on a Clerk id; policies ask this instead.

create function clerk.user_id()
returns text
-- Not sql, although one expression does it: a function of that language that pins its search_path is
-- planned anew by every statement, this one once a connection. Policies ask it all the time.
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return auth.jwt() ->> 'sub';
end
$$;

comment on function clerk.user_id() is
  'Clerk id (user_…) of the caller, from the session token''s claim sub; null without a token. In policies write (select clerk.user_id()), so that it is asked once a query and not once a row.';

revoke all on function clerk.user_id() from public, anon, authenticated, service_role;
grant execute on function clerk.user_id() to anon, authenticated, service_role;
