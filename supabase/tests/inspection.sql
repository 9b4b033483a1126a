-- What the database tells `doctor` about itself. How it is compared is tested in TypeScript.

begin;
set local search_path = public, extensions;
select plan(19);

create function pg_temp.fact(object text)
returns text
language sql
return public.inspect_clerk_sync() -> 'objects' ->> object;

select is(pg_temp.fact('table public.profiles'), 'row-level security', 'a table with row-level security');
select is(pg_temp.fact('column public.profiles.banned'), 'boolean not null default false', 'a column');
select is(
  pg_temp.fact('grants on table public.profiles'), 'authenticated=SELECT service_role=SELECT',
  'the rights on a table, without its owner''s'
);
select is(pg_temp.fact('grants on table clerk_sync.inbox'), '', 'no rights');
select matches(
  pg_temp.fact('policy profiles_select_own on public.profiles'), '^permissive r authenticated using \(\(id = ',
  'a policy: kind, command, roles and expression'
);
select matches(
  pg_temp.fact('function public.inspect_clerk_sync()'), '^CREATE OR REPLACE FUNCTION [^$]* SECURITY DEFINER',
  'a function, with its security'
);
select matches(pg_temp.fact('role clerk_ingest'), '^nologin set lock_timeout=5s,statement_timeout=7s', 'a role');
select is(pg_temp.fact('table pgmq.q_clerk_changes'), 'row-level security', 'a table of the queue');
select is(
  (select count(*) from jsonb_object_keys(public.inspect_clerk_sync() -> 'objects') as object
    where object ^@ 'column pgmq.'),
  0::bigint, 'the columns of the queue are pgmq''s'
);

create table public.theirs (id uuid primary key);
create policy theirs on public.theirs using (id = (select auth.uid()));
select is(pg_temp.fact('table public.theirs'), null, 'a table of the application is no fact');
select is(
  public.inspect_clerk_sync() -> 'uuid_policies', '["theirs on public.theirs"]',
  'policies that call auth.uid() are listed, wherever they are'
);

insert into clerk_sync.inbox (message_id, outcome, instance_id, payload)
values ('msg_1', 'applied', 'ins_a', '{"a": "hush"}'), ('msg_2', 'applied', 'ins_a', null), ('msg_3', 'applied', null, null);
select is(public.inspect_clerk_sync() -> 'instances', '{"ins_a": 2}', 'the instances of the newest events, counted');

select is(public.inspect_clerk_sync() -> 'vault', 'null', 'without Vault, null');
create schema vault;
create table vault.decrypted_secrets (name text, decrypted_secret text);
insert into vault.decrypted_secrets values ('clerk_worker_secret', 'hush'), ('another', 'hush');
select is(public.inspect_clerk_sync() -> 'vault', '["clerk_worker_secret"]', 'the names of our entries in Vault');
select is(
  public.inspect_clerk_sync()::text ~ 'hush', false, 'and no value, and no payload'
);

create schema cron;
create table cron.job (jobid bigint, jobname text, command text, database text default current_database(), active boolean);
create table cron.job_run_details (jobid bigint, runid bigint, status text, start_time timestamptz, end_time timestamptz);
insert into cron.job values
  (1, 'clerk-worker', 'select clerk_sync.call_clerk_worker()', current_database(), true),
  (2, 'clerk-reconcile', 'select clerk_sync.call_clerk_reconcile()', current_database(), false),
  (3, 'theirs', 'select 1', current_database(), true);
insert into cron.job_run_details values
  (1, 1, 'failed', now() - interval '1 hour', null), (1, 2, 'succeeded', now() - interval '60 s', now() - interval '40 s');
select is(
  (public.inspect_clerk_sync() -> 'jobs') #- '{clerk-worker,last_seconds}',
  '{
    "clerk-worker": {"active": true, "last_status": "succeeded"},
    "clerk-reconcile": {"active": false, "last_status": null, "last_seconds": null}
  }',
  'our jobs, with their last runs'
);
select cmp_ok(
  (public.inspect_clerk_sync() #>> '{jobs,clerk-worker,last_seconds}')::integer, '>=', 40,
  'and how long ago that was'
);

create publication supabase_realtime;
select is(public.inspect_clerk_sync() -> 'published', '[]', 'a publication without tables');
alter publication supabase_realtime add table public.profiles;
select is(public.inspect_clerk_sync() -> 'published', '["public.profiles"]', 'the tables that Realtime publishes');

select * from finish();
rollback;
