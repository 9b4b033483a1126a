-- Three schemas, one for each level of trust:
--
--   public      tables that frontends read, and the RPC entry points
--   clerk       functions that policies call
--   clerk_sync  the machinery; not exposed by the API, no grants to client roles
--
-- Supabase's default privileges give every API role rights on each new function and table of public, all
-- of them in older projects. So each file ends by revoking by name and granting what is meant.
-- Default privileges themselves are never altered. The last file closes clerk_sync.
--
-- Every function pins search_path = pg_catalog, pg_temp. An empty path would search pg_temp first, also
-- for types: a session could shadow text by a domain of its own, and a definer function would run it.

create schema clerk;

comment on schema clerk is
  'Functions for row-level security policies, about the signed-in Clerk user. Callable by anon and authenticated.';

create schema clerk_sync;

-- The last file sets the version. If this is still here, not every migration was applied.
comment on schema clerk_sync is '{"status": "installing"}';

do $$
declare
  each_role text;
begin
  foreach each_role in array array['clerk_ingest', 'clerk_worker'] loop
    -- Guarded, because roles belong to the cluster and outlive a reset of the database.
    if not exists (select from pg_catalog.pg_roles where rolname = each_role) then
      execute format('create role %I nologin', each_role);
    end if;

    -- PostgREST logs in as authenticator and changes to the role of the API key.
    if exists (select from pg_catalog.pg_roles where rolname = 'authenticator') then
      execute format('grant %I to authenticator', each_role);
    end if;
  end loop;
end
$$;

-- The webhook waits 9 s for an event and 3 s more to keep it: so that there is time for the second, the
-- first must have ended. PostgREST applies the settings of a role.
alter role clerk_ingest set statement_timeout = '7s';
alter role clerk_ingest set lock_timeout = '5s';

comment on role clerk_ingest is
  'The webhook. May execute public.ingest_clerk_event, public.keep_clerk_event and public.record_clerk_rejection, and nothing else.';
comment on role clerk_worker is
  'The worker. May execute the entry points of the queue clerk_changes and of snapshots, and nothing else.';

revoke all on schema clerk, clerk_sync from public, anon, authenticated, service_role;
grant usage on schema clerk to anon, authenticated, service_role;
grant usage on schema public to clerk_ingest, clerk_worker;
