-- The worker's entry points: read the queue, settle what was read, and nothing else. Only functions of
-- pgmq 1.4.4 are used, the oldest version on hosted Supabase.

select pgmq.create('clerk_changes_dead');

alter table pgmq.q_clerk_changes_dead enable row level security;
alter table pgmq.a_clerk_changes_dead enable row level security;
revoke all on table pgmq.q_clerk_changes_dead, pgmq.a_clerk_changes_dead
  from public, anon, authenticated;

-- A backfill can leave very many changes.
create index q_clerk_changes_live
  on pgmq.q_clerk_changes (msg_id)
  where message ->> 'via' is distinct from 'snapshot';

create function clerk_sync.kept_row(kind text, id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  case kind
    when 'user' then
      return (select to_jsonb(kept) - 'synced_at' from public.profiles as kept where kept.id = kept_row.id);
    when 'organization' then
      return (select to_jsonb(kept) - 'synced_at' from public.organizations as kept where kept.id = kept_row.id);
    when 'membership' then
      return (
        select to_jsonb(kept) - 'synced_at' from public.organization_memberships as kept where kept.id = kept_row.id);
    when 'invitation' then
      return (
        select to_jsonb(kept) - 'synced_at' from public.organization_invitations as kept where kept.id = kept_row.id);
    else
      return null;
  end case;
end
$$;

comment on function clerk_sync.kept_row(text, text) is
  'The row of an object (user, organization, membership, invitation) as it is now, including the application''s columns, without synced_at; null when there is none.';

create function clerk_sync.change_id(message jsonb, msg_id bigint, enqueued_at timestamptz)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    message ->> 'change_id',
    -- With the time, because numbers start again in another database, or after a reset.
    format('%s_%s', msg_id, trunc(extract(epoch from enqueued_at) * 1000000)))
$$;

comment on function clerk_sync.change_id(jsonb, bigint, timestamptz) is
  'Globally unique id of a change: the same on every read, also as a dead letter and after a redrive.';

create function clerk_sync.change_from(msg_id bigint, read_ct integer, enqueued_at timestamptz, message jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := split_part(message ->> 'topic', '.', 1);
begin
  return jsonb_build_object(
    'message_id', msg_id,
    'change_id', clerk_sync.change_id(message, msg_id, enqueued_at),
    'reads', read_ct,
    'enqueued_at', enqueued_at,
    'topic', message ->> 'topic',
    'id', message ->> 'id',
    'changed', message -> 'changed',
    'caused_by', message ->> 'caused_by',
    'via', message ->> 'via',
    'external_id', message ->> 'external_id',
    'version', (
      select version
      from clerk_sync.objects
      where id = message ->> 'id'
    ),
    'row', clerk_sync.kept_row(
      case kind when 'profile' then 'user' else kind end, message ->> 'id')
  );
end
$$;

comment on function clerk_sync.change_from(bigint, integer, timestamptz, jsonb) is
  'A change as a worker gets it, from a message of the queue.';

create function public.read_clerk_changes(batch integer, visibility_seconds integer)
returns setof jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on the queue or on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  seconds constant integer := least(greatest(visibility_seconds, 1), 3600);
  size constant integer := least(greatest(batch, 1), 500);
  live bigint;
  one record;
begin
  perform clerk_sync.expire_invitations();

  -- What pgmq.read does, but for the changes of a backfill: people who wait come first.
  return query
  with due as (
    select msg_id
    from pgmq.q_clerk_changes
    where vt <= clock_timestamp()
      and message ->> 'via' is distinct from 'snapshot'
    order by msg_id
    limit size
    for update skip locked
  ),
  taken as (
    update pgmq.q_clerk_changes as change
    set
      vt = clock_timestamp() + make_interval(secs => seconds),
      read_ct = read_ct + 1
    from due
    where change.msg_id = due.msg_id
    returning change.msg_id, change.read_ct, change.enqueued_at, change.message
  )
  select clerk_sync.change_from(msg_id, read_ct, enqueued_at, message)
  from taken
  order by msg_id;

  get diagnostics live = row_count;
  if live < size then
    for one in
      select msg_id, read_ct, enqueued_at, message
      from pgmq.read('clerk_changes', seconds, size - live::integer)
      order by msg_id
    loop
      -- Not in the query: pgmq.read also sees changes that were committed after the query began, and the
      -- query would not see their rows.
      return next clerk_sync.change_from(one.msg_id, one.read_ct, one.enqueued_at, one.message);
    end loop;
  end if;
end
$$;

comment on function public.read_clerk_changes(integer, integer) is
  'Takes up to batch (1 to 500) changes off the queue clerk_changes for visibility_seconds (1 to 3600): {message_id, change_id, reads, enqueued_at, topic, id, changed, caused_by, via, external_id, version, row}. The changes of snapshots come last. Nobody else gets them meanwhile; a change that is not settled becomes visible again. Also expires invitations whose time has come.';

create function public.settle_clerk_changes(settlements jsonb)
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on the queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  one record;
  counts jsonb := '{"done": 0, "retry": 0, "dead": 0, "gone": 0}';
  verdict text;
  error_class text;
  held record;
begin
  for one in
    select *
    from jsonb_to_recordset(settlements) as settlement (
      message_id bigint, reads integer, verdict text, delay_seconds integer, handler text,
      error_class text)
    order by settlement.message_id
  loop
    verdict := one.verdict;
    -- A class, not a text: a text can quote an address.
    error_class := coalesce(substring(one.error_class from '^[a-z0-9_]{1,50}$'), 'unknown');

    case
      when verdict = 'done' then
        if not pgmq.archive('clerk_changes', one.message_id) then
          verdict := 'gone';
        end if;
      when verdict in ('retry', 'dead') then
        -- Locked, so that two workers cannot both dead-letter it. A worker that read it later holds it
        -- for a visibility timeout of its own, which a late verdict must not cut short.
        select message, enqueued_at, read_ct into held
        from pgmq.q_clerk_changes
        where msg_id = one.message_id
          and read_ct = coalesce(one.reads, read_ct)
        for update;

        if not found then
          verdict := 'gone';
        elsif verdict = 'retry' then
          -- What pgmq.set_vt does, and why it failed.
          update pgmq.q_clerk_changes
          set
            vt = clock_timestamp()
              + make_interval(secs => least(greatest(coalesce(one.delay_seconds, 0), 0), 86400)),
            message = message || jsonb_build_object('retry', jsonb_build_object(
              'reads', held.read_ct,
              'handler', coalesce(substring(one.handler from '^[A-Za-z0-9_-]{1,50}$'), 'unknown'),
              'error_class', error_class))
          where msg_id = one.message_id;
        else
          perform pgmq.send(
            'clerk_changes_dead',
            case jsonb_typeof(held.message)
              when 'object' then held.message - 'retry'
              else jsonb_build_object('message', held.message)
            end || jsonb_build_object(
              'change_id', clerk_sync.change_id(held.message, one.message_id, held.enqueued_at),
              'error_class', error_class));
          perform pgmq.delete('clerk_changes', one.message_id);
        end if;
      else
        raise exception using
          errcode = 'invalid_parameter_value',
          message = format('Cannot settle as the verdict is not done, retry or dead: %s', verdict);
    end case;

    counts := jsonb_set(counts, array[verdict], to_jsonb((counts ->> verdict)::integer + 1));
  end loop;

  return counts;
end
$$;

comment on function public.settle_clerk_changes(jsonb) is
  'Settles changes that were read: [{message_id, reads?, verdict, delay_seconds?, handler?, error_class?}]. done archives, retry makes it visible again after the delay and remembers handler and class of the error, dead moves it to the queue clerk_changes_dead with the class of the error; the latter two only while reads is still what it was. Returns the count of each; gone ones were settled, or are held, by another worker.';

create function public.clerk_changes_status()
returns jsonb
language sql
volatile
-- Definer, so that the worker's role needs no right on the queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
  with changes as (
    select
      enqueued_at,
      case
        when vt <= clock_timestamp() then 'waiting'
        when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
        else 'in_flight'
      end as state,
      message #>> '{retry,handler}' as handler,
      message #>> '{retry,error_class}' as error_class
    from pgmq.q_clerk_changes
  ),
  failures as (
    select handler, error_class, count(*) as changes
    from changes
    where state = 'retrying'
    group by handler, error_class
  )
  select jsonb_build_object(
    'waiting', count(*) filter (where state = 'waiting'),
    'in_flight', count(*) filter (where state = 'in_flight'),
    'retrying', count(*) filter (where state = 'retrying'),
    'failures', (
      select coalesce(
        jsonb_agg(to_jsonb(failures) order by changes desc, handler, error_class), '[]')
      from failures
    ),
    'oldest_seconds', extract(epoch from clock_timestamp() - min(enqueued_at))::bigint,
    'dead', (select count(*) from pgmq.q_clerk_changes_dead)
  )
  from changes
$$;

comment on function public.clerk_changes_status() is
  'State of the queue clerk_changes: {waiting, in_flight (read by a worker), retrying (failed, hidden until the next try), failures ([{handler, error_class, changes}] of the retrying ones), oldest_seconds (null when empty), dead}.';

create function public.redrive_clerk_changes(batch integer default 5000)
returns integer
language plpgsql
volatile
-- Definer, so that the caller's role needs no right on the queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  redriven integer;
begin
  with taken as (
    select msg_id
    from pgmq.q_clerk_changes_dead
    order by msg_id
    limit least(greatest(batch, 1), 10000)
    for update skip locked
  ),
  dead as (
    delete from pgmq.q_clerk_changes_dead as letter
    using taken
    where letter.msg_id = taken.msg_id
    returning letter.msg_id, letter.message
  )
  -- What pgmq.send does, for all of them at once.
  insert into pgmq.q_clerk_changes (vt, message)
  select clock_timestamp(), message - 'error_class'
  from dead
  order by msg_id;

  get diagnostics redriven = row_count;
  return redriven;
end
$$;

comment on function public.redrive_clerk_changes(integer) is
  'Puts the oldest dead letters, up to batch (1 to 10000), back on the queue clerk_changes, with their reads at zero, and returns their number. Call it until that is 0.';

revoke all on function
  public.read_clerk_changes(integer, integer), public.settle_clerk_changes(jsonb),
  public.clerk_changes_status(), public.redrive_clerk_changes(integer)
  from public, anon, authenticated, service_role;

grant execute on function
  public.read_clerk_changes(integer, integer), public.settle_clerk_changes(jsonb),
  public.clerk_changes_status(), public.redrive_clerk_changes(integer)
  to clerk_worker, service_role;
