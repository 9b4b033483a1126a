-- The entry point of the webhook: one authentic event, one transaction, one outcome.

create function clerk_sync.projected_kind(type text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when type in ('user.created', 'user.updated', 'user.deleted') then 'user'
  end
$$;

comment on function clerk_sync.projected_kind(text) is
  'The kind of object (user) that events of this type write to a table of public; null for every other type.';

create function clerk_sync.version_of(event jsonb, out version bigint, out observed_at bigint)
returns record
language sql
stable
security invoker
set search_path = ''
as $$
  select
    coalesce(updated_at, envelope, created_at),
    coalesce(envelope, updated_at, created_at)
  from (
    select
      clerk_sync.to_ms(event #> '{data,updated_at}') as updated_at,
      clerk_sync.to_ms(event -> 'timestamp') as envelope,
      clerk_sync.to_ms(event #> '{data,created_at}') as created_at
  ) as times
$$;

comment on function clerk_sync.version_of(jsonb) is
  'What orders an event, ms since the epoch: data.updated_at first, because the envelope''s time trails it by a few ms and two quick updates can swap; then the envelope''s timestamp. Null when the event has no time at all.';

create function clerk_sync.unreadable_because(event jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when jsonb_typeof(event -> 'type') is distinct from 'string' then
      '[{"path": "type", "code": "invalid_type"}]'::jsonb
    when clerk_sync.projected_kind(event ->> 'type') is null then
      null
    when jsonb_typeof(event #> '{data,id}') is distinct from 'string'
      or event #>> '{data,id}' !~ '^user_[A-Za-z0-9]{1,250}$' then
      '[{"path": "data.id", "code": "invalid_format"}]'
    when event ->> 'type' <> 'user.deleted'
      and (clerk_sync.version_of(event)).version is null then
      '[{"path": "data.updated_at", "code": "invalid_type"}]'
  end
$$;

comment on function clerk_sync.unreadable_because(jsonb) is
  'The issues ([{path, code}]) for which an event of a projected type cannot be applied; null when it can.';

create function clerk_sync.apply_event(message_id text, event jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  own_id constant text := event #>> '{data,id}';
  own record;
begin
  own := clerk_sync.version_of(event);

  if event ->> 'type' = 'user.deleted' then
    -- NOTE: no comparison of versions. A deletion carries no usable time; it is terminal.
    update clerk_sync.objects
    set deleted_at = coalesce(to_timestamp(own.observed_at / 1000.0), now())
    where id = own_id
      and deleted_at is null;

    if not found then
      return 'stale';
    end if;

    perform clerk_sync.delete_user(own_id, deleted_at)
    from clerk_sync.objects
    where id = own_id;
  else
    update clerk_sync.objects
    set
      version = own.version,
      observed_at = own.observed_at,
      message_id = apply_event.message_id
    where id = own_id
      and deleted_at is null
      and (objects.version, objects.observed_at, objects.message_id)
        < (own.version, own.observed_at, apply_event.message_id);

    if not found then
      return 'stale';
    end if;

    perform clerk_sync.upsert_user(event -> 'data');
  end if;

  -- Deferred constraints and constraint triggers of the application fail here, inside the
  -- caller's savepoint, and not at commit, where the outcome could not be recorded any more.
  set constraints all immediate;

  return 'applied';
end
$$;

comment on function clerk_sync.apply_event(text, jsonb) is
  'Claims the version and applies the event: applied, or stale when something newer or a deletion is already there. Raises whatever the application''s triggers and constraints raise.';

revoke all on function
  clerk_sync.projected_kind(text),
  clerk_sync.unreadable_because(jsonb),
  clerk_sync.version_of(jsonb),
  clerk_sync.apply_event(text, jsonb)
  from public, anon, authenticated, service_role;

create function public.ingest_clerk_event(message_id text, event jsonb)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = ''
as $$
declare
  kind constant text := clerk_sync.projected_kind(event ->> 'type');
  subjects text[];
  issues jsonb;
  outcome text;
  error jsonb;
  state text;
  reason text;
begin
  if clerk_sync.count_redelivery(ingest_clerk_event.message_id) then
    return jsonb_build_object('outcome', 'duplicate');
  end if;

  if clerk_sync.is_foreign(event) then
    return jsonb_build_object('outcome', clerk_sync.keep_in_inbox(
      ingest_clerk_event.message_id, event ->> 'type', '{}', event, 'ignored', null));
  end if;

  subjects := clerk_sync.user_ids_in(event);
  issues := clerk_sync.unreadable_because(event);

  -- Before the savepoint below, so that the locks outlive an apply that fails.
  perform clerk_sync.lock_objects(
    case when kind is not null and issues is null then event #>> '{data,id}' end,
    event ->> 'type' = 'user.deleted',
    subjects);

  if issues is not null then
    outcome := 'unreadable';
    error := jsonb_build_object('issues', issues);
  elsif kind is null then
    outcome := 'ignored';
  else
    perform set_config('clerk_sync.caused_by', ingest_clerk_event.message_id, true);
    perform set_config('clerk_sync.via', 'webhook', true);

    begin
      outcome := clerk_sync.apply_event(ingest_clerk_event.message_id, event);
    exception
      -- others leaves assert_failure out; a failed assert in somebody's trigger is a failure too.
      when assert_failure or others then
        get stacked diagnostics
          state = returned_sqlstate,
          reason = message_text;

        -- The database could not, rather than the event: nothing to record, try again later.
        if state ~ '^(40|53|57)' or state = '55P03' then
          raise;
        end if;

        outcome := 'failed';
        error := jsonb_build_object('sqlstate', state, 'message', reason);
    end;
  end if;

  outcome := clerk_sync.keep_in_inbox(
    ingest_clerk_event.message_id, event ->> 'type', subjects, event, outcome, error);

  -- The message of an error can quote somebody's data: only its SQLSTATE leaves the database.
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', outcome,
    'sqlstate', case outcome when 'failed' then state end,
    'issues', case outcome when 'unreadable' then issues end));
end
$$;

comment on function public.ingest_clerk_event(text, jsonb) is
  'Takes one authentic Clerk event (message id and parsed body) and returns {outcome, sqlstate?, issues?}: applied, stale, duplicate, ignored, unreadable or failed. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again.';

revoke all on function public.ingest_clerk_event(text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.ingest_clerk_event(text, jsonb) to clerk_ingest, service_role;
