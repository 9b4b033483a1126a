-- auth.uid() casts the subject to uuid and fails on a Clerk id. Policies call this instead.

create function clerk.user_id()
returns text
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
  'Clerk id (user_…) of the caller, from the session token''s claim sub; null without a token. In policies write (select clerk.user_id()), so that it runs once per query and not once per row.';

revoke all on function clerk.user_id() from public, anon, authenticated, service_role;
grant execute on function clerk.user_id() to anon, authenticated, service_role;
