-- The schedule of the worker, by pg_cron and pg_net. Nothing is scheduled, and neither extension is created,
-- until somebody who deployed the worker asks for it:
--
--   select vault.create_secret('https://<ref>.supabase.co/functions/v1/clerk-worker', 'clerk_worker_url');
--   select vault.create_secret('<CLERK_WORKER_SECRET>', 'clerk_worker_secret');
--   select clerk_sync.start_schedule();
--
-- Elsewhere, `deno task work`, `reconcile` and `maintain` do the same from outside.

create function clerk_sync.post_to_clerk_worker(path text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  url text;
  secret text;
  request_id bigint;
begin
  -- Dynamic, because neither Vault nor pg_net need exist where this is created.
  if to_regclass('vault.decrypted_secrets') is null then
    return null;
  end if;

  execute $vault$
    select
      max(decrypted_secret) filter (where name = 'clerk_worker_url'),
      max(decrypted_secret) filter (where name = 'clerk_worker_secret')
    from vault.decrypted_secrets
    where name in ('clerk_worker_url', 'clerk_worker_secret')
  $vault$ into url, secret;

  if url is null or secret is null then
    return null;
  end if;

  execute $net$
    select net.http_post(
      url := $1,
      body := '{}'::jsonb,
      headers := jsonb_build_object(
        'content-type', 'application/json',
        'authorization', 'Bearer ' || $2),
      timeout_milliseconds := 5000)
  $net$ into request_id using rtrim(url, '/') || path, secret;

  return request_id;
end
$$;

comment on function clerk_sync.post_to_clerk_worker(text) is
  'Calls the worker by pg_net, with URL and secret from Vault (clerk_worker_url, clerk_worker_secret), and returns pg_net''s request id; null when Vault has no such secrets.';

create function clerk_sync.call_clerk_worker()
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  perform clerk_sync.expire_invitations();

  if not exists (select from pgmq.q_clerk_changes where vt <= clock_timestamp()) then
    return null;
  end if;

  return clerk_sync.post_to_clerk_worker('');
end
$$;

comment on function clerk_sync.call_clerk_worker() is
  'Expires invitations whose time has come; calls the worker when a change waits, and returns pg_net''s request id, or null.';

create function clerk_sync.call_clerk_reconcile()
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Every minute while a run is unfinished, else every 10 minutes: without a key of Clerk's the worker can
  -- begin nothing, and is not asked more often than that.
  if extract(minute from now())::integer % 10 <> 0
    and not exists (
      select from clerk_sync.runs
      where finished_at is null
        and (kind = 'poll' or clerk_sync.is_scheduled(options))
    )
  then
    return null;
  end if;

  if public.due_clerk_run() is null then
    return null;
  end if;

  return clerk_sync.post_to_clerk_worker('/reconcile');
end
$$;

comment on function clerk_sync.call_clerk_reconcile() is
  'Calls the worker''s /reconcile when a run over Clerk''s API is due, and returns pg_net''s request id, or null.';

create function clerk_sync.start_schedule()
returns text[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  job record;
  names text[] := '{}';
  -- A block, and no function, because only a block can commit after each batch and still be no risk to
  -- search_path. It ends before the 2 minutes after which Supabase cancels a statement, and goes on in the
  -- next night. The pause leaves the disk to others.
  nightly_maintenance constant text := $job$
    do $block$
    declare
      next jsonb;
    begin
      loop
        next := public.maintain_clerk_sync(next => next) -> 'next';
        exit when next is null or clock_timestamp() > statement_timestamp() + interval '90 seconds';
        commit;
        perform pg_sleep(0.1);
      end loop;
    end
    $block$
  $job$;
begin
  create extension if not exists pg_cron;
  -- The schema is named, because the default is public, which Supabase's advisors report. The
  -- extension's objects are in schema net either way.
  create extension if not exists pg_net with schema extensions;

  for job in
    select name, schedule, command
    from (
      values
        ('clerk-worker', '10 seconds', 'select clerk_sync.call_clerk_worker()'),
        ('clerk-reconcile', '* * * * *', 'select clerk_sync.call_clerk_reconcile()'),
        ('clerk-maintain', '17 2 * * *', nightly_maintenance)
    ) as jobs (name, schedule, command)
  loop
    begin
      perform cron.schedule(job.name, job.schedule, job.command);
    exception
      -- pg_cron before 1.5 cannot count seconds.
      when invalid_parameter_value then
        perform cron.schedule(job.name, '* * * * *', job.command);
    end;

    names := names || job.name;
  end loop;

  return names;
end
$$;

comment on function clerk_sync.start_schedule() is
  'Creates pg_cron and pg_net, unless they exist, schedules the calls of the worker, and returns the names of the jobs: clerk-worker, every 10 s, which also expires invitations, clerk-reconcile, every minute, and clerk-maintain, every night. Call it again after an upgrade: there may be new jobs.';

create function clerk_sync.stop_schedule()
returns text[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  job record;
  names text[] := '{}';
begin
  if to_regclass('cron.job') is null then
    return names;
  end if;

  -- By their prefix and what they call, so that jobs of an older version go, too.
  for job in
    select jobid, jobname
    from cron.job
    where jobname ^@ 'clerk-'
      and command ~ '\mclerk_sync\M|\mmaintain_clerk_sync\M'
      and database = current_database()
  loop
    perform cron.unschedule(job.jobid);
    names := names || job.jobname;
  end loop;

  return names;
end
$$;

comment on function clerk_sync.stop_schedule() is
  'Removes the jobs of start_schedule(), and returns their names. Leaves pg_cron and pg_net, which others may use.';
