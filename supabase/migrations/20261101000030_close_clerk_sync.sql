-- JSON, so that clerk_sync.version() and tools can read it. An upgrade of several files sets the status to
-- upgrading first.
comment on schema clerk_sync is
  '{"version": "1.0.0", "status": "installed", "about": "Machinery of the Clerk sync: register, inbox, mapping. Never add it to the exposed schemas of the API."}';

-- Every new function may be executed by PUBLIC. Nobody but the owner has USAGE of clerk_sync; this closes
-- the functions and tables themselves, too. A later migration that adds to clerk_sync repeats it.

revoke all on all tables in schema clerk_sync from public, anon, authenticated, service_role;
revoke all on all functions in schema clerk_sync from public, anon, authenticated, service_role;
