-- Runs of backfill and reconcile: where each is, so that it goes on after a crash, and what it saw, so
-- that what Clerk no longer has can be found.

create table clerk_sync.runs (
  id bigint generated always as identity primary key,
  kind text not null,
  options jsonb not null default '{}',
  state jsonb not null default '{}',
  fence bigint not null default 1,
  began_at timestamptz not null default now(),
  leased_until timestamptz not null,
  finished_at timestamptz,

  constraint runs_kind_is_known check (kind in ('backfill', 'reconcile', 'poll'))
);

comment on table clerk_sync.runs is 'One row per run over Clerk''s Backend API.';
comment on column clerk_sync.runs.id is 'Number of the run.';
comment on column clerk_sync.runs.kind is
  'backfill (everything from Clerk, nothing deleted), reconcile (the difference) or poll (the newest changes).';
comment on column clerk_sync.runs.options is 'What was asked for. A run goes on with its own options.';
comment on column clerk_sync.runs.state is 'Phase, cursor, counts and errors, as the engine saved them; no personal data.';
comment on column clerk_sync.runs.fence is
  'Goes up whenever somebody takes the run over, so that whoever had it before cannot write any more.';
comment on column clerk_sync.runs.began_at is
  'When the run began. What Clerk made later, the run need not have seen.';
comment on column clerk_sync.runs.leased_until is
  'Until when the run belongs to whoever saved it last.';
comment on column clerk_sync.runs.finished_at is 'Null while unfinished.';

create index runs_unfinished on clerk_sync.runs (kind, id) where finished_at is null;

alter table clerk_sync.runs enable row level security;

create table clerk_sync.seen_objects (
  run_id bigint references clerk_sync.runs (id) on delete cascade,
  id text collate "C",

  primary key (run_id, id)
);

comment on table clerk_sync.seen_objects is
  'The ids that Clerk listed during an unfinished run, readable or not.';
comment on column clerk_sync.seen_objects.run_id is 'The run.';
comment on column clerk_sync.seen_objects.id is 'Clerk id.';

alter table clerk_sync.seen_objects enable row level security;

create table clerk_sync.surplus_objects (
  kind text,
  id text collate "C",
  found_at timestamptz not null default now(),
  run_id bigint not null references clerk_sync.runs (id) on delete cascade,

  primary key (kind, id)
);

comment on table clerk_sync.surplus_objects is
  'What scheduled runs found here and no longer at Clerk, so that a later one can delete it.';
comment on column clerk_sync.surplus_objects.kind is 'user, organization or membership.';
comment on column clerk_sync.surplus_objects.id is 'Clerk id.';
comment on column clerk_sync.surplus_objects.found_at is
  'When a run first found it gone. Each full run since has, too, or the row would not be here.';
comment on column clerk_sync.surplus_objects.run_id is 'The last run that found it gone.';

create index surplus_objects_run_id on clerk_sync.surplus_objects (run_id);

alter table clerk_sync.surplus_objects enable row level security;

create function clerk_sync.is_scheduled(options jsonb)
returns boolean
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
return coalesce((options ->> 'scheduled')::boolean, false);

comment on function clerk_sync.is_scheduled(jsonb) is
  'Whether the schedule began a run with these options, and not a command. Neither goes on with a run of the other.';

create function public.begin_clerk_run(
  kind text,
  options jsonb,
  instance_id text default null,
  restart boolean default false,
  lease_seconds integer default 90
)
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own_instance text;
  busy clerk_sync.runs;
  run clerk_sync.runs;
begin
  -- One after the other, so that two that begin at once see each other.
  lock table clerk_sync.runs in share row exclusive mode;

  select settings.instance_id into own_instance from clerk_sync.settings;
  if own_instance <> begin_clerk_run.instance_id then
    return jsonb_build_object('foreign', own_instance);
  end if;
  -- Only by a backfill: what is here already may be of another instance, and must not be deleted as surplus.
  if own_instance is null
    and begin_clerk_run.instance_id is not null
    and kind = 'backfill'
    and not coalesce((options ->> 'dry_run')::boolean, false)
  then
    update clerk_sync.settings set instance_id = begin_clerk_run.instance_id;
    own_instance := begin_clerk_run.instance_id;
  end if;

  select * into busy
  from clerk_sync.runs
  where finished_at is null
    and leased_until > clock_timestamp()
  limit 1;
  if found then
    return jsonb_build_object('busy', jsonb_build_object(
      'kind', busy.kind,
      'leased_until', (1000 * extract(epoch from busy.leased_until))::bigint));
  end if;

  if restart then
    with abandoned as (
      update clerk_sync.runs
      set
        finished_at = now(),
        state = state || '{"abandoned": true}',
        fence = fence + 1
      where runs.kind = begin_clerk_run.kind
        and clerk_sync.is_scheduled(runs.options) = clerk_sync.is_scheduled(begin_clerk_run.options)
        and finished_at is null
      returning id
    )
    delete from clerk_sync.seen_objects
    using abandoned
    where seen_objects.run_id = abandoned.id;
  end if;

  update clerk_sync.runs
  set
    fence = fence + 1,
    leased_until = clock_timestamp() + make_interval(secs => lease_seconds)
  where id = (
    select max(id)
    from clerk_sync.runs
    where runs.kind = begin_clerk_run.kind
      and clerk_sync.is_scheduled(runs.options) = clerk_sync.is_scheduled(begin_clerk_run.options)
      and finished_at is null
  )
  returning * into run;

  if not found then
    insert into clerk_sync.runs (kind, options, leased_until)
    values (
      begin_clerk_run.kind,
      coalesce(begin_clerk_run.options, '{}'),
      clock_timestamp() + make_interval(secs => lease_seconds)
    )
    returning * into run;
  end if;

  return jsonb_build_object('run', jsonb_build_object(
    'id', run.id,
    'fence', run.fence,
    'state', run.state,
    'options', run.options,
    'instance_id', own_instance,
    'began_at', trunc(1000 * extract(epoch from run.began_at))::bigint,
    'polled_at', (
      select trunc(1000 * extract(epoch from max(began_at)))::bigint
      from clerk_sync.runs
      where runs.kind = 'poll'
        and finished_at is not null
    )));
end
$$;

comment on function public.begin_clerk_run(text, jsonb, text, boolean, integer) is
  'Begins a run (backfill, reconcile, poll), or goes on with an unfinished one unless restart is given, and leases it: {run: {id, fence, state, options, instance_id (of the settings), began_at (ms), polled_at (ms, when the last finished poll began)}}. Or {busy: {kind, leased_until (ms)}} while any run is leased, or {foreign: instance_id} when the settings name another Clerk instance than this one; when they name none, a backfill that is no dry run sets this one.';

create function clerk_sync.holds_run(run_id bigint, fence bigint)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Locked, so that nobody takes the run over before this transaction ends.
  perform
  from clerk_sync.runs
  where id = holds_run.run_id
    and runs.fence = holds_run.fence
    and finished_at is null
  for no key update;

  return found;
end
$$;

comment on function clerk_sync.holds_run(bigint, bigint) is
  'Whether the run still belongs to whoever got this fence.';

create function public.save_clerk_run(
  run_id bigint,
  fence bigint,
  state jsonb,
  is_finished boolean default false,
  lease_seconds integer default 90
)
returns boolean
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return false;
  end if;

  update clerk_sync.runs
  set
    state = save_clerk_run.state,
    leased_until = clock_timestamp() + make_interval(secs => lease_seconds),
    finished_at = case when is_finished then now() end
  where id = run_id;

  if is_finished then
    delete from clerk_sync.seen_objects where seen_objects.run_id = save_clerk_run.run_id;
    -- What this full run did not find gone may have come back.
    delete from clerk_sync.surplus_objects
    where surplus_objects.run_id <> save_clerk_run.run_id
      and exists (
        select from clerk_sync.runs
        where id = save_clerk_run.run_id
          and kind = 'reconcile'
          and clerk_sync.is_scheduled(options)
      );
  end if;

  return true;
end
$$;

comment on function public.save_clerk_run(bigint, bigint, jsonb, boolean, integer) is
  'Saves the state of a run and renews its lease (0 s gives it back), or finishes it. False when somebody else has taken the run over.';

create function public.note_clerk_seen(run_id bigint, fence bigint, ids text[])
returns boolean
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return false;
  end if;

  insert into clerk_sync.seen_objects (run_id, id)
  select distinct
    note_clerk_seen.run_id,
    listed.id
  from unnest(ids) as listed (id)
  where length(listed.id) <= 250
  on conflict on constraint seen_objects_pkey do nothing;

  return true;
end
$$;

comment on function public.note_clerk_seen(bigint, bigint, text[]) is
  'Remembers ids that Clerk listed during a run. False when somebody else has taken the run over.';

create function clerk_sync.surplus_of(run_id bigint, kind text, out id text, out organization_id text, out user_id text)
returns setof record
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  began constant timestamptz := (select began_at from clerk_sync.runs where runs.id = surplus_of.run_id);
begin
  -- What has been here since before the run began, or was made before it, Clerk had to list.
  case kind
    when 'user' then
      return query
      select profiles.id, null::text, null::text
      from public.profiles
      where deleted_at is null
        and least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = profiles.id
        );
    when 'organization' then
      return query
      select organizations.id, null::text, null::text
      from public.organizations
      where deleted_at is null
        and least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = organizations.id
        );
    when 'membership' then
      -- Without those that go with their user or their organization.
      return query
      select membership.id, membership.organization_id, membership.user_id
      from public.organization_memberships as membership
      where least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = membership.id
        )
        and exists (
          select from clerk_sync.seen_objects as seen
          where seen.run_id = surplus_of.run_id and seen.id = membership.organization_id
        )
        and exists (
          select from clerk_sync.seen_objects as seen
          where seen.run_id = surplus_of.run_id and seen.id = membership.user_id
        );
    else
      raise exception using
        errcode = 'invalid_parameter_value',
        message = format('Cannot find surplus of this kind, only of user, organization and membership: %s', kind);
  end case;
end
$$;

comment on function clerk_sync.surplus_of(bigint, text) is
  'The rows of a kind (user, organization, membership) that Clerk should have listed during the run, and did not.';

create function public.list_clerk_surplus(
  run_id bigint,
  kind text,
  after_id text default '',
  max_rows integer default 500
)
returns jsonb
language plpgsql
stable
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  living bigint;
  listed jsonb;
begin
  case kind
    when 'user' then select count(*) into living from public.profiles where deleted_at is null;
    when 'organization' then select count(*) into living from public.organizations where deleted_at is null;
    else select count(*) into living from public.organization_memberships;
  end case;

  with surplus as materialized (
    select *
    from clerk_sync.surplus_of(list_clerk_surplus.run_id, list_clerk_surplus.kind)
  ),
  page as (
    select *
    from surplus
    where id collate "C" > coalesce(after_id, '')
    order by id collate "C"
    limit least(greatest(max_rows, 1), 500)
  )
  select jsonb_build_object(
    'living', living,
    'surplus', (select count(*) from surplus),
    'objects', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(page)) order by id collate "C"), '[]') from page)
  )
  into listed;

  return listed;
end
$$;

comment on function public.list_clerk_surplus(bigint, text, text, integer) is
  'What is here of a kind (user, organization, membership) and Clerk did not list during the run: {living: rows of the kind, surplus: count, objects: [{id, organization_id?, user_id?}], at most max_rows (1 to 500) after after_id, in id order}.';

create function public.note_clerk_surplus(run_id bigint, fence bigint, kind text, ids text[])
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return '{"ripe": null}';
  end if;

  insert into clerk_sync.surplus_objects (kind, id, run_id)
  select note_clerk_surplus.kind, gone.id, note_clerk_surplus.run_id
  from unnest(ids) as gone (id)
  on conflict on constraint surplus_objects_pkey do update set run_id = excluded.run_id;

  return jsonb_build_object('ripe', (
    select coalesce(jsonb_agg(surplus.id order by surplus.id), '[]')
    from clerk_sync.surplus_objects as surplus
    where surplus.kind = note_clerk_surplus.kind
      and surplus.id = any (ids)
      and surplus.found_at <= now() - interval '6 hours'
      and (select delete_surplus from clerk_sync.settings)
  ));
end
$$;

comment on function public.note_clerk_surplus(bigint, bigint, text, text[]) is
  'Remembers what a scheduled run found gone at Clerk. Returns {ripe: the ids among them that it may delete: an earlier run found them gone at least 6 hours ago, and settings.delete_surplus is on}; null when somebody else has taken the run over.';

create function public.due_clerk_run()
returns text
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  last_mark constant timestamptz := date_bin('10 minutes', now(), timestamptz '2000-01-01 00:00:00+00');
  last_night timestamptz;
  reconciled timestamptz;
  is_poll_due boolean;
  is_poll_stuck boolean;
begin
  if exists (
    select from clerk_sync.runs
    where finished_at is null
      and leased_until > clock_timestamp()
  ) then
    return null;
  end if;

  select
    coalesce(bool_or(finished_at is null) or max(began_at) < last_mark, true),
    coalesce(bool_or(finished_at is null and began_at < now() - interval '1 hour'), false)
  into is_poll_due, is_poll_stuck
  from clerk_sync.runs
  where kind = 'poll'
    and clerk_sync.is_scheduled(options);

  -- A poll comes first: it is short, and a full run may take hours. One that fails for an hour has to wait.
  if is_poll_due and not is_poll_stuck then
    return 'poll';
  end if;

  if exists (
    select from clerk_sync.runs
    where kind = 'reconcile'
      and clerk_sync.is_scheduled(options)
      and finished_at is null
  ) then
    return 'reconcile';
  end if;

  select (date_trunc('day', now() at time zone 'UTC') + reconcile_at) at time zone 'UTC' into last_night
  from clerk_sync.settings;
  if last_night > now() then
    last_night := last_night - interval '1 day';
  end if;
  -- The first one waits for its time, too.
  select coalesce(max(began_at) filter (where kind = 'reconcile' and clerk_sync.is_scheduled(options)), min(began_at))
  into reconciled
  from clerk_sync.runs;

  if reconciled < last_night then
    return 'reconcile';
  end if;

  return case when is_poll_due then 'poll' end;
end
$$;

comment on function public.due_clerk_run() is
  'The kind of run (poll, reconcile) that the schedule should begin or go on with now; null when nothing is due or another run is at work. A poll every 10 minutes, a reconcile each day at settings.reconcile_at.';

create function public.delete_clerk_surplus(run_id bigint, fence bigint, kind text, ids text[])
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  gone record;
  message_id text;
  message jsonb;
  reading clerk_sync.reading;
  result jsonb;
  deleted integer := 0;
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return '{"deleted": null}';
  end if;

  perform set_config('clerk_sync.via', 'snapshot', true);

  for gone in
    -- Only what is surplus still, by this run's own list.
    select *
    from clerk_sync.surplus_of(delete_clerk_surplus.run_id, delete_clerk_surplus.kind)
    where id = any (ids)
    order by id collate "C"
  loop
    message_id := format('reconcile_%s_%s', run_id, gone.id);
    message := jsonb_build_object(
      'type', case kind when 'membership' then 'organizationMembership' else kind end || '.deleted',
      'timestamp', (1000 * extract(epoch from now()))::bigint,
      'data', jsonb_strip_nulls(jsonb_build_object(
        'id', gone.id,
        'organization', case when gone.organization_id is not null then jsonb_build_object('id', gone.organization_id) end,
        'public_user_data', case when gone.user_id is not null then jsonb_build_object('user_id', gone.user_id) end
      ))
    );
    -- From here on as an event of Clerk's, but that what is refused is raised.
    reading := clerk_sync.read_event(message, null, null);
    perform clerk_sync.lock_objects(
      reading.own_id, reading.deletes, reading.organization_id, reading.people, reading.subjects,
      case kind when 'membership' then reading.user_id end);
    perform set_config('clerk_sync.caused_by', message_id, true);
    result := clerk_sync.apply_event(message_id, reading, message -> 'data');

    reading.type := 'reconcile.deleted';
    reading.payload := jsonb_build_object(
      'type', 'reconcile.deleted', 'run_id', run_id, 'data', jsonb_build_object('id', gone.id));
    perform clerk_sync.keep_in_inbox(message_id, reading, result);
    deleted := deleted + ((result ->> 'outcome') = 'applied')::integer;
  end loop;

  set constraints all immediate;
  return jsonb_build_object('deleted', deleted);
end
$$;

comment on function public.delete_clerk_surplus(bigint, bigint, text, text[]) is
  'Deletes surplus objects of a run, as Clerk''s own deletion would: terminal, with the erasure of a user. Each leaves a message of type reconcile.deleted in the inbox. Returns {deleted: count}; null when somebody else has taken the run over. Raises what the application''s triggers raise.';

revoke all on function
  public.begin_clerk_run(text, jsonb, text, boolean, integer),
  public.save_clerk_run(bigint, bigint, jsonb, boolean, integer),
  public.note_clerk_seen(bigint, bigint, text[]),
  public.list_clerk_surplus(bigint, text, text, integer),
  public.note_clerk_surplus(bigint, bigint, text, text[]),
  public.due_clerk_run(),
  public.delete_clerk_surplus(bigint, bigint, text, text[])
  from public, anon, authenticated, service_role;

grant execute on function
  public.begin_clerk_run(text, jsonb, text, boolean, integer),
  public.save_clerk_run(bigint, bigint, jsonb, boolean, integer),
  public.note_clerk_seen(bigint, bigint, text[]),
  public.list_clerk_surplus(bigint, text, text, integer),
  public.note_clerk_surplus(bigint, bigint, text, text[]),
  public.due_clerk_run(),
  public.delete_clerk_surplus(bigint, bigint, text, text[])
  to clerk_worker, service_role;
