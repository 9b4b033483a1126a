-- Three schemas, so that it is plain who may be trusted with what.
--
--   public      tables that frontends read, and the RPC entry points
--   clerk       what policies ask
--   clerk_sync  the machinery; not exposed by the API, no grants to client roles
--
-- Supabase's default privileges hand all rights on every new object in public to anon,
-- authenticated and service_role directly. Each later file therefore revokes by name and then
-- grants what is meant. Nobody's default privileges are altered.

create schema clerk;

comment on schema clerk is
  'What row-level security policies ask about the signed-in Clerk user. Callable by anon and authenticated.';

create schema clerk_sync;

comment on schema clerk_sync is
  'Machinery of the Clerk sync: register, inbox, mapping. Never add it to the exposed schemas of the API.';

revoke all on schema clerk, clerk_sync from public, anon, authenticated, service_role;
grant usage on schema clerk to anon, authenticated, service_role;

-- Guarded, because roles belong to the cluster and outlive a reset of the database.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'clerk_ingest') then
    create role clerk_ingest nologin;
  end if;

  -- PostgREST logs in as authenticator and changes to the role of the API key.
  if exists (select from pg_catalog.pg_roles where rolname = 'authenticator') then
    grant clerk_ingest to authenticator;
  end if;
end
$$;

comment on role clerk_ingest is
  'The webhook. May execute public.ingest_clerk_event and public.record_clerk_rejection, and nothing else.';

grant usage on schema public to clerk_ingest;
