-- How the sync is: one function that monitors and operators ask. It alerts on age and not on the rate of
-- errors, because a sync that is dead makes none.

create function clerk_sync.version()
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
return obj_description(to_regnamespace('clerk_sync'), 'pg_namespace')::jsonb ->> 'version';

comment on function clerk_sync.version() is
  'Version of the schema, as the comment of schema clerk_sync says.';

create function clerk_sync.seconds_since(moment timestamptz)
returns bigint
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
return extract(epoch from clock_timestamp() - moment)::bigint;

comment on function clerk_sync.seconds_since(timestamptz) is 'Age of a moment, s; null for null.';

create function clerk_sync.in_words(seconds numeric)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
return case
  when round(seconds) = 1 then '1 second'
  when seconds < 120 then round(seconds) || ' seconds'
  when seconds < 7200 then round(seconds / 60) || ' minutes'
  when seconds < 172800 then round(seconds / 3600) || ' hours'
  else round(seconds / 86400) || ' days'
end;

comment on function clerk_sync.in_words(numeric) is 'A duration for people: 90 seconds, 5 hours, 3 days.';

create function clerk_sync.in_words(duration interval)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
return clerk_sync.in_words(extract(epoch from duration));

comment on function clerk_sync.in_words(interval) is 'The same of an interval.';

create function clerk_sync.last_event_at()
returns timestamptz
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
return (
  select max(received_at)
  from clerk_sync.inbox
  -- These come from `deploy` and `reconcile`, and say nothing about the webhook.
  where coalesce(type, '') not in ('clerkSync.probe', 'reconcile.deleted')
);

comment on function clerk_sync.last_event_at() is
  'When the last event of Clerk''s arrived; null if none has.';

create function clerk_sync.foreign_instance()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with newest as materialized (
      select inbox.instance_id, outcome, received_at
      from clerk_sync.inbox
      where coalesce(type, '') not in ('clerkSync.probe', 'reconcile.deleted')
      order by received_at desc
      limit 1000
    )
    select last.instance_id
    from (select * from newest order by received_at desc limit 1) as last
    join clerk_sync.settings on last.instance_id <> settings.instance_id
    where last.outcome = 'ignored'
      and not exists (select from newest where newest.instance_id = settings.instance_id)
  );
end
$$;

comment on function clerk_sync.foreign_instance() is
  'The Clerk instance whose events arrive and are ignored, while none of the newest 1000 is of the instance that the settings accept; null if that is not so.';

create function clerk_sync.event_status()
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  -- So that a flood of events does not make the status slow.
  most constant integer := 20000;
begin
  return (
    with recent as materialized (
      select outcome, received_at
      from clerk_sync.inbox
      where received_at > now() - interval '1 day'
        and type is distinct from 'reconcile.deleted'
      order by received_at desc
      limit most
    ),
    counts as (
      select
        outcome,
        count(*) as day,
        count(*) filter (where received_at > now() - interval '1 hour') as hour
      from recent
      group by outcome
    ),
    waiting as (
      select outcome, count(*) as messages, min(received_at) as oldest, max(received_at) as newest
      from clerk_sync.inbox
      where outcome in ('failed', 'unreadable')
      group by outcome
    )
    select jsonb_build_object(
      'last_seconds', clerk_sync.seconds_since(clerk_sync.last_event_at()),
      'last_applied_seconds', (
        select clerk_sync.seconds_since(max(received_at))
        from clerk_sync.inbox
        where outcome = 'applied' and type is distinct from 'reconcile.deleted'
      ),
      'hour', (select coalesce(jsonb_object_agg(outcome, hour) filter (where hour > 0), '{}') from counts),
      'day', (select coalesce(jsonb_object_agg(outcome, day), '{}') from counts),
      'is_day_whole', (select count(*) < most from recent),
      'waiting', (select coalesce(jsonb_object_agg(outcome, messages), '{}') from waiting),
      'oldest_waiting_seconds', (select clerk_sync.seconds_since(min(oldest)) from waiting),
      'newest_waiting_seconds', (select clerk_sync.seconds_since(max(newest)) from waiting),
      'failing', (
        select count(*)
        from clerk_sync.inbox
        where outcome in ('failed', 'unreadable')
          and received_at > coalesce(
            (
              select max(received_at)
              from clerk_sync.inbox
              where outcome in ('applied', 'stale') and type is distinct from 'reconcile.deleted'
            ),
            '-infinity')
      ),
      'foreign_instance', clerk_sync.foreign_instance())
  );
end
$$;

comment on function clerk_sync.event_status() is
  'What arrived: {last_seconds and last_applied_seconds (ages; null if there is none), hour and day ({outcome: count}), is_day_whole (false if only the newest 20,000 were counted), waiting ({failed, unreadable: count}), oldest_waiting_seconds and newest_waiting_seconds, failing (how many failed or could not be read since the last one that was applied or stale), foreign_instance}.';

create function clerk_sync.run_status()
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with real as (
      select *
      from clerk_sync.runs
      where not coalesce((options ->> 'dry_run')::boolean, false)
        and not coalesce((state ->> 'abandoned')::boolean, false)
    ),
    counted as (
      select
        real.*,
        tallies.repaired,
        tallies.surplus,
        tallies.skipped
      from real
      cross join lateral (
        select
          coalesce(sum((tally ->> 'missing')::bigint + (tally ->> 'outdated')::bigint), 0) as repaired,
          coalesce(sum((tally ->> 'surplus')::bigint - (tally ->> 'kept')::bigint - (tally ->> 'deleted')::bigint), 0) as surplus,
          coalesce(sum((tally ->> 'unreadable')::bigint + (tally ->> 'refused')::bigint), 0) as skipped
        from jsonb_each(state -> 'tallies') as tallies (kind, tally)
      ) as tallies
    ),
    last_full as (
      select *
      from counted
      where kind = 'reconcile'
        and finished_at is not null
      order by id desc
      limit 1
    )
    select jsonb_build_object(
      'backfill_seconds', (
        select clerk_sync.seconds_since(max(finished_at)) from real where kind = 'backfill'
      ),
      'reconcile_seconds', (select clerk_sync.seconds_since(finished_at) from last_full),
      'poll_seconds', (select clerk_sync.seconds_since(max(finished_at)) from real where kind = 'poll'),
      'surplus', coalesce((select surplus from last_full), 0),
      'skipped', coalesce((select skipped from last_full), 0),
      'halted', (select state ->> 'halted' from last_full),
      -- What runs of the schedule had to repair although no event had come shortly before.
      'unheard', (
        select coalesce(sum(repaired), 0)
        from counted
        where clerk_sync.is_scheduled(options)
          -- The first run of all finds what was there before the webhook.
          and id > (select min(id) from real where finished_at is not null)
          and began_at > clerk_sync.last_event_at() + interval '10 minutes'
      ),
      'stopped', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'run', id, 'kind', kind, 'seconds', clerk_sync.seconds_since(leased_until),
          'is_scheduled', clerk_sync.is_scheduled(options)) order by id), '[]')
        from real
        where finished_at is null
          and leased_until < now() - interval '15 minutes'
      ))
  );
end
$$;

comment on function clerk_sync.run_status() is
  'Runs over Clerk''s API, without dry runs: {backfill_seconds, reconcile_seconds, poll_seconds (since the last one finished; null if none did), surplus, skipped and halted (of the last reconcile), unheard (changes that the schedule found although no event had come), stopped ([{run, kind, seconds, is_scheduled}], unfinished for over 15 minutes)}.';

create function clerk_sync.row_status(clerk_counts jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_object_agg(kind, jsonb_build_object('here', here, 'clerk', (clerk_counts ->> kind)::bigint))
    from (
      select 'user' as kind, (select count(*) from public.profiles where deleted_at is null) as here
      union all
      select 'organization', (select count(*) from public.organizations where deleted_at is null)
      union all
      select 'membership', (select count(*) from public.organization_memberships)
    ) as counts
    where clerk_counts ? kind
  );
end
$$;

comment on function clerk_sync.row_status(jsonb) is
  'Rows beside Clerk''s own counts, of the kinds that were given: {user, organization, membership: {here, clerk}}.';

create function clerk_sync.breach(code text, sentence text, cure text)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
return jsonb_build_object('code', code, 'sentence', sentence, 'cure', cure);

comment on function clerk_sync.breach(text, text, text) is
  'One thing that is wrong: a stable code, what is wrong, and what to do.';

create function clerk_sync.breaches(events jsonb, queue jsonb, runs jsonb, counts jsonb)
returns setof jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  settings clerk_sync.settings;
  last_event constant bigint := events ->> 'last_seconds';
  last_applied constant bigint := events ->> 'last_applied_seconds';
  oldest_waiting constant bigint := events ->> 'oldest_waiting_seconds';
  waiting constant bigint :=
    coalesce((events #>> '{waiting,failed}')::bigint, 0) + coalesce((events #>> '{waiting,unreadable}')::bigint, 0);
  oldest_change constant bigint := queue ->> 'oldest_seconds';
  halted constant text := runs ->> 'halted';
  compared constant bigint := least((runs ->> 'backfill_seconds')::bigint, (runs ->> 'reconcile_seconds')::bigint);
  longest numeric;
  stopped jsonb;
  each_one record;
begin
  select * into settings from clerk_sync.settings;

  if current_setting('default_transaction_read_only')::boolean then
    return next clerk_sync.breach('read_only', 'The database is read-only, as Supabase makes it when its disk is full.',
      'Free or enlarge the disk in the Supabase dashboard, and resend what has failed meanwhile from the Clerk dashboard.');
  end if;

  if (events ->> 'failing')::bigint >= 3 then
    return next clerk_sync.breach('failing', format('The last %s events that change a table have all failed or could not be read, the newest one %s ago.',
        events ->> 'failing', clerk_sync.in_words((events ->> 'newest_waiting_seconds')::numeric)),
      'Run replay --dry-run, which says why; fix the cause, and run replay.');
  end if;

  if events ->> 'foreign_instance' is not null then
    return next clerk_sync.breach('foreign', format('The newest events are ignored: they are of Clerk instance %s, and settings.instance_id accepts only %s.',
        events ->> 'foreign_instance', settings.instance_id),
      format('Correct the endpoint in the Clerk dashboard, or the setting: update clerk_sync.settings set instance_id = %L;',
        events ->> 'foreign_instance'));
  end if;

  longest := extract(epoch from settings.max_event_age);
  if longest is null then
    null;
  elsif last_event is null then
    return next clerk_sync.breach('no_event', 'No event has arrived yet.',
      'Check the endpoint in the Clerk dashboard: its URL, its events, its deliveries.');
  elsif last_event > longest then
    return next clerk_sync.breach('silent', format('The last event arrived %s ago, and more than %s is too long.',
        clerk_sync.in_words(last_event), clerk_sync.in_words(longest)),
      'Check the endpoint in the Clerk dashboard: it may be disabled. If so little happens in your application, raise settings.max_event_age.');
  elsif coalesce(last_applied > longest, true) then
    return next clerk_sync.breach('nothing_applied', format('Events arrive, but none has been applied%s.',
        coalesce(' for ' || clerk_sync.in_words(last_applied), ' yet')),
      'Check settings.instance_id, and run replay --dry-run if messages have failed.');
  end if;

  if (runs ->> 'unheard')::bigint > 0 then
    return next clerk_sync.breach('unheard', format('Users have changed at Clerk, and no event has told of it for %s. Changes found: %s.',
        clerk_sync.in_words(last_event), runs ->> 'unheard'),
      'Check the endpoint in the Clerk dashboard: its URL, its events, its deliveries. The rows are repaired.');
  end if;

  longest := extract(epoch from settings.max_waiting_age);
  if oldest_waiting > longest then
    return next clerk_sync.breach('waiting', format('The oldest message that failed or could not be read has waited for %s. Messages in all: %s.',
        clerk_sync.in_words(oldest_waiting), waiting),
      'Run replay --dry-run, which says why; fix the cause, and run replay.');
  end if;

  longest := extract(epoch from settings.max_queue_age);
  if oldest_change > longest then
    return next clerk_sync.breach('queue', format('The oldest change on the queue has waited for %s. Changes in all: %s.',
        clerk_sync.in_words(oldest_change),
        (queue ->> 'waiting')::bigint + (queue ->> 'in_flight')::bigint + (queue ->> 'retrying')::bigint),
      'Check the log of clerk-worker and its schedule, and run work --status.');
  end if;

  if (queue ->> 'dead')::bigint > 0 then
    return next clerk_sync.breach('dead_letters', format('Dead letters on the queue: %s. Their handlers failed too often.',
        queue ->> 'dead'),
      'Run work --status, which says why; fix the cause, and run work --redrive.');
  end if;

  longest := extract(epoch from settings.max_reconcile_age);
  if longest is null then
    null;
  elsif compared is null then
    return next clerk_sync.breach('never_reconciled', 'Nothing reconciles: the tables have never been compared with Clerk.',
      'Run backfill, and set CLERK_SECRET_KEY among the secrets of clerk-worker.');
  elsif compared > longest then
    return next clerk_sync.breach('reconcile', format('Nothing reconciles: the tables were last compared with Clerk %s ago.',
        clerk_sync.in_words(compared)),
      'Check that CLERK_SECRET_KEY is among the secrets of clerk-worker, and read its log; or run reconcile.');
  end if;

  for stopped in select jsonb_array_elements(runs -> 'stopped') loop
    return next clerk_sync.breach('stopped', format('Run %s (%s) is unfinished, and stopped %s ago.',
        stopped ->> 'run', stopped ->> 'kind', clerk_sync.in_words((stopped ->> 'seconds')::numeric)),
      case
        when (stopped ->> 'is_scheduled')::boolean then 'Read the log of clerk-worker, and check its schedule.'
        else format('Run %s again, which goes on where it was.', stopped ->> 'kind')
      end);
  end loop;

  if (runs ->> 'surplus')::bigint > 0 then
    return next clerk_sync.breach('surplus', format('Objects here that Clerk no longer lists: %s.', runs ->> 'surplus')
        -- What the run advises, after the colon, is the cure.
        || coalesce(' ' || split_part(halted, ': ', 1) || '.', ''),
      case
        when halted is null then 'Run reconcile --dry-run, which lists them, and reconcile, which deletes them.'
        when halted like '%settings.instance_id%' then
          'Run backfill, which sets it, and reconcile, which deletes them.'
        when halted like '%--max-deletes%' then format(
          'Run reconcile --dry-run, which lists them. If Clerk is right, run reconcile %s.',
          substring(halted from '--max-deletes \d+'))
        else 'Check that CLERK_SECRET_KEY is of the right instance, and run reconcile, which tries again.'
      end);
  end if;

  if (runs ->> 'skipped')::bigint > 0 then
    return next clerk_sync.breach('skipped', format('Objects that the last reconcile had to skip: %s.', runs ->> 'skipped'),
      'Run reconcile, which says why for each.');
  end if;

  for each_one in
    select kind, (count ->> 'here')::bigint as here, (count ->> 'clerk')::bigint as clerk
    from jsonb_each(counts) as count (kind, count)
    where abs((count ->> 'here')::numeric - (count ->> 'clerk')::numeric)
      > greatest(1, (count ->> 'clerk')::numeric / 100)
  loop
    return next clerk_sync.breach('counts', format('Rows of kind %s: %s here, %s at Clerk.',
        each_one.kind, each_one.here, each_one.clerk),
      'Run reconcile --dry-run, which says what differs.');
  end loop;
end
$$;

comment on function clerk_sync.breaches(jsonb, jsonb, jsonb, jsonb) is
  'What is wrong, as clerk_sync.breach makes it, from the parts of the status and the thresholds in the settings.';

create function public.clerk_sync_status(clerk_counts jsonb default null)
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  events constant jsonb := clerk_sync.event_status();
  queue constant jsonb := public.clerk_changes_status();
  runs constant jsonb := clerk_sync.run_status();
  counts constant jsonb := clerk_sync.row_status(clerk_counts);
  breaches constant jsonb := (
    select coalesce(jsonb_agg(breach), '[]') from clerk_sync.breaches(events, queue, runs, counts) as breach
  );
begin
  return jsonb_build_object(
    'is_healthy', breaches = '[]',
    'verdict', case jsonb_array_length(breaches)
      when 0 then 'All is well: ' || coalesce(
        'the last event arrived ' || clerk_sync.in_words((events ->> 'last_seconds')::numeric) || ' ago.',
        'no event has arrived yet.')
      when 1 then breaches #>> '{0,sentence}'
      else format('%s And %s more.', breaches #>> '{0,sentence}', jsonb_array_length(breaches) - 1)
    end,
    'breaches', breaches,
    'events', events,
    'queue', queue,
    'runs', runs,
    'rows', counts,
    'version', clerk_sync.version(),
    'installation', obj_description(to_regnamespace('clerk_sync'), 'pg_namespace')::jsonb ->> 'status',
    'bytes', (
      select jsonb_object_agg(name, pg_total_relation_size(relation))
      from (
        values
          ('inbox', 'clerk_sync.inbox'),
          ('register', 'clerk_sync.objects'),
          ('profiles', 'public.profiles'),
          ('organizations', 'public.organizations'),
          ('memberships', 'public.organization_memberships'),
          ('queue', 'pgmq.q_clerk_changes'),
          ('archive', 'pgmq.a_clerk_changes')
      ) as sized (name, relation)
    ));
end
$$;

comment on function public.clerk_sync_status(jsonb) is
  'How the sync is: {is_healthy, verdict (a line), breaches ([{code, sentence, cure}]), events, queue, runs, rows, version (of the schema), installation (installing, installed, upgrading), bytes}. clerk_counts: Clerk''s own counts ({user, organization, membership}), to compare the rows with. Thresholds are in clerk_sync.settings.';

revoke all on function public.clerk_sync_status(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.clerk_sync_status(jsonb) to clerk_worker, service_role;
