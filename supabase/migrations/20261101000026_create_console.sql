-- What the console shows besides the status, the messages and the explanations: people by their names, the
-- changes on the queue, the runs, and how much arrived when. Reads only.

-- So that what was not applied is found among very many that were. An applied message costs nothing more.
create index inbox_not_applied
  on clerk_sync.inbox (received_at, message_id)
  where outcome <> 'applied';

create function public.find_clerk_objects(name_part text, max_rows integer default 20)
returns text[]
language plpgsql
stable
-- Definer, because the tables may have a prefix, which the caller need not know.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  part constant text := lower(btrim(name_part, E' \t\r\n'));
begin
  return array(
    select id
    from (
      select id, 1 as place, full_name as name
      from public.profiles
      where deleted_at is null
        and (strpos(lower(full_name), part) > 0 or strpos(lower(username), part) > 0)
      union all
      select id, 2, organizations.name
      from public.organizations
      where deleted_at is null
        and (strpos(lower(organizations.name), part) > 0 or strpos(lower(slug), part) > 0)
    ) as found
    where part <> ''
    order by place, name collate "C", id collate "C"
    limit least(greatest(max_rows, 1), 100)
  );
end
$$;

comment on function public.find_clerk_objects(text, integer) is
  'The ids of users, then of organizations, whose name, username or slug contains this, in any case; max_rows (1 to 100) at most. Reads both tables whole.';

create function public.list_clerk_changes(max_rows integer default 200)
returns jsonb
language plpgsql
volatile
-- Definer, because service_role has no right on the queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with kept as (
      (
        select
          1 as place,
          -msg_id as number,
          clerk_sync.change_id(message, msg_id, enqueued_at) as id,
          'dead' as state,
          message,
          enqueued_at,
          null::timestamptz as next_at,
          read_ct
        from pgmq.q_clerk_changes_dead
        order by msg_id desc
        limit least(greatest(max_rows, 1), 500)
      )
      union all
      select
        case state when 'retrying' then 2 when 'in_flight' then 3 else 4 end,
        msg_id,
        clerk_sync.change_id(message, msg_id, enqueued_at),
        state,
        message,
        enqueued_at,
        case when state <> 'waiting' then vt end,
        read_ct
      from pgmq.q_clerk_changes
      cross join lateral (
        select case
          when vt <= clock_timestamp() then 'waiting'
          when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
          else 'in_flight'
        end as state
      ) as states
      order by place, number
      limit least(greatest(max_rows, 1), 500)
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', id,
      'state', state,
      'topic', message ->> 'topic',
      'object_id', message ->> 'id',
      'changed', message -> 'changed',
      'caused_by', message ->> 'caused_by',
      'via', message ->> 'via',
      'enqueued_at', enqueued_at,
      'next_at', next_at,
      'reads', read_ct,
      'handler', case state when 'retrying' then message #>> '{retry,handler}' end,
      'error_class', case state
        when 'retrying' then message #>> '{retry,error_class}'
        when 'dead' then message ->> 'error_class'
      end
    ) order by place, number), '[]')
    from kept
  );
end
$$;

comment on function public.list_clerk_changes(integer) is
  'Changes on the queue, max_rows (1 to 500) at most: dead ones, newest first, then those that are retried, in flight, waiting, oldest first: [{id (of the change), state (dead, retrying, in_flight, waiting), topic, object_id, changed, caused_by, via, enqueued_at (of a dead one: when it died), next_at (when it is tried next, or whoever has it loses it), reads, handler, error_class}].';

create function public.list_clerk_runs(max_rows integer default 100)
returns jsonb
language plpgsql
stable
-- Definer, because service_role has no right on the runs.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with newest as (
      select *
      from clerk_sync.runs
      order by id desc
      limit least(greatest(max_rows, 1), 500)
    )
    select jsonb_build_object(
      'runs', coalesce(jsonb_agg(jsonb_build_object(
        'id', id,
        'kind', kind,
        'by', case when clerk_sync.is_scheduled(options) then 'schedule' else 'command' end,
        'started_at', began_at,
        'finished_at', finished_at,
        'leased_until', leased_until,
        'state', case
          when coalesce((state ->> 'abandoned')::boolean, false) then 'abandoned'
          when finished_at is not null then 'finished'
          when leased_until > clock_timestamp() then 'running'
          else 'stopped'
        end,
        'dry_run', coalesce((options ->> 'dry_run')::boolean, false),
        'tallies', coalesce(state -> 'tallies', '{}'),
        'problems', coalesce(jsonb_array_length(state -> 'problems'), 0),
        'halted', state ->> 'halted'
      ) order by id desc), '[]'),
      'surplus', (select count(*) from clerk_sync.surplus_objects))
    from newest
  );
end
$$;

comment on function public.list_clerk_runs(integer) is
  'The newest runs over Clerk''s API, max_rows (1 to 500) at most: {runs: [{id, kind, by (schedule, command), started_at, finished_at, leased_until, state (running, stopped, finished, abandoned), dry_run, tallies (by kind of object, as saved), problems (objects that were skipped), halted (why nothing was deleted)}], surplus (objects that scheduled runs found here and no longer at Clerk)}.';

create function public.clerk_sync_activity(minutes integer default 60)
returns jsonb
language plpgsql
stable
-- Definer, because service_role has no right on the inbox.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- So that a flood of events does not make it slow.
  most constant integer := 100000;
  beginning constant timestamptz := now() - make_interval(mins => least(greatest(minutes, 1), 1440));
begin
  return (
    with recent as materialized (
      select outcome, date_trunc('minute', received_at) as at, received_at - occurred_at as took
      from clerk_sync.inbox
      where received_at >= beginning
      order by received_at desc
      limit most
    ),
    counted as (
      select
        at,
        jsonb_build_object(
          'at', at,
          'applied', count(*) filter (where outcome = 'applied'),
          'stale', count(*) filter (where outcome = 'stale'),
          'ignored', count(*) filter (where outcome = 'ignored'),
          'failed', count(*) filter (where outcome = 'failed'),
          'unreadable', count(*) filter (where outcome = 'unreadable'),
          'discarded', count(*) filter (where outcome = 'discarded')
        ) as counts
      from recent
      group by at
    ),
    timed as (
      select
        at,
        percentile_cont(array[0.5, 0.95]) within group (order by greatest(extract(epoch from took), 0)) as seconds
      from recent
      where outcome = 'applied'
        and took <= interval '1 day'
      group by at
    )
    select jsonb_build_object(
      'from', beginning,
      'is_whole', (select count(*) < most from recent),
      'minutes', (select coalesce(jsonb_agg(counts order by at), '[]') from counted),
      'latency', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'at', at,
          'median_ms', round((1000 * seconds[1])::numeric),
          'p95_ms', round((1000 * seconds[2])::numeric)) order by at), '[]')
        from timed
      ))
  );
end
$$;

comment on function public.clerk_sync_activity(integer) is
  'What arrived within the last minutes (1 to 1440), minute by minute, oldest first, without empty ones: {from, is_whole (false if only the newest 100,000 messages were counted), minutes ([{at, applied, stale, ignored, failed, unreadable, discarded}], first deliveries by their outcome now), latency ([{at, median_ms, p95_ms}], from Clerk''s event to the committed row, of the applied ones that were at most a day old)}.';

revoke all on function
  public.find_clerk_objects(text, integer),
  public.list_clerk_changes(integer), public.list_clerk_runs(integer), public.clerk_sync_activity(integer)
  from public, anon, authenticated, service_role;

grant execute on function
  public.find_clerk_objects(text, integer),
  public.list_clerk_changes(integer), public.list_clerk_runs(integer), public.clerk_sync_activity(integer)
  to service_role;
