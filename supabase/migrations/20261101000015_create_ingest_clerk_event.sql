-- The entry points of the webhook: one authentic message, one transaction, one outcome.

create function clerk_sync.event_kind(type text)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  if type in ('user.created', 'user.updated', 'user.deleted') then
    return 'user';
  end if;

  return case
    when type ~ '^organization\.(created|updated|deleted)$' then 'organization'
    when type ~ '^organizationMembership\.(created|updated|deleted)$' then 'membership'
    when type ~ '^organizationInvitation\.(created|accepted|revoked)$' then 'invitation'
    when type ~ '^subscriptionItem\.(created|updated|active|abandoned|canceled|ended|freeTrialEnding|incomplete|pastDue|upcoming)$'
      then 'subscription_item'
    when type ~ '^role\.(created|updated|deleted)$' then 'role'
    when type ~ '^permission\.(created|updated|deleted)$' then 'permission'
    when type ~ '^organizationDomain\.(created|updated|deleted)$'
      or type ~ '^paymentAttempt\.(created|updated)$'
      or type ~ '^subscription\.(created|updated|active|pastDue)$'
      then 'other'
    -- NOTE: not session.* (a row per sign-in for ever), waitlistEntry.* (an address without an id to
    -- erase it by), email.* and sms.* (one-time codes), nor types that Clerk adds later. The inbox stores
    -- their events, and of sessions the payload, too.
  end;
end
$$;

comment on function clerk_sync.event_kind(text) is
  'What events of this type write: the table of users, organizations, memberships, invitations, subscription items or roles, the keys of permissions, or (other) the register''s data; null for types that only the inbox stores.';

create function clerk_sync.issue_in(reading clerk_sync.reading)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Any other kind of id, but none that has rows of its own: its deletion would be taken for theirs.
  if not clerk_sync.is_id(
    reading.own_id,
    case reading.kind
      when 'user' then 'user'
      when 'organization' then 'org'
      when 'membership' then 'orgmem'
      when 'invitation' then 'orginv'
      else '(?!(?:user|org|orgmem|orginv)_)[a-z]{1,20}(?:_[a-z]{1,20})*'
    end
  ) then
    return '[{"path": "data.id", "code": "invalid_format"}]';
  end if;

  if reading.version is null and not reading.deletes then
    return '[{"path": "data.updated_at", "code": "invalid_type"}]';
  end if;

  if reading.kind in ('user', 'organization', 'role', 'permission', 'other') then
    return null;
  end if;

  if reading.kind = 'subscription_item' then
    return case
      when (reading.user_id is not null and not clerk_sync.is_id(reading.user_id, 'user'))
        or (reading.organization_id is not null and not clerk_sync.is_id(reading.organization_id, 'org'))
      then '[{"path": "data.payer", "code": "invalid_format"}]'
    end;
  end if;

  if not clerk_sync.is_id(reading.organization_id, 'org') then
    return jsonb_build_array(jsonb_build_object(
      'path', case reading.kind when 'membership' then 'data.organization.id' else 'data.organization_id' end,
      'code', 'invalid_format'));
  end if;

  if reading.user_id is not null and not clerk_sync.is_id(reading.user_id, 'user') then
    return '[{"path": "data.public_user_data.user_id", "code": "invalid_format"}]';
  end if;

  return null;
end
$$;

comment on function clerk_sync.issue_in(clerk_sync.reading) is
  'Why an event cannot be applied, as [{path, code}]: ids that would become rows of the register, and a version. Null when it can. The function has checked the types of everything else.';

create function clerk_sync.event_from(message jsonb, dropped text[])
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  event jsonb := message;
  path text;
begin
  if jsonb_typeof(message) = 'string' then
    begin
      event := (message #>> '{}')::jsonb;
      if jsonb_typeof(event) <> 'object' then
        event := jsonb_build_object('raw', message);
      end if;
    exception
      -- No JSON; or a number or a depth beyond what jsonb takes.
      when others then
        event := jsonb_build_object('raw', message);
    end;
  end if;

  foreach path in array dropped loop
    event := event #- string_to_array(path, '.');
  end loop;

  return event;
end
$$;

comment on function clerk_sync.event_from(jsonb, text[]) is
  'The event that a message holds: an object, or a JSON string with the text of one, which keeps every digit; {"raw": text} when the text is no object that jsonb takes. Without the values at the dropped paths (data.locale).';

create function clerk_sync.read_event(event jsonb, own_instance text, as_type text)
returns clerk_sync.reading
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  reading clerk_sync.reading := clerk_sync.read_message(event ->> 'type', event, own_instance, as_type);
  data constant jsonb := event -> 'data';
  updated_at timestamptz;
begin
  if reading.is_foreign then
    return reading;
  end if;
  if jsonb_typeof(event -> 'type') is distinct from 'string' then
    reading.issues := case
      when event ? 'raw' then '[{"path": "", "code": "not_storable"}]'
      else '[{"path": "type", "code": "invalid_type"}]'
    end;
    return reading;
  end if;

  if reading.kind is null then
    return reading;
  end if;

  reading.own_id := data ->> 'id';
  reading.deletes := reading.type like '%.deleted';

  if reading.kind = 'invitation' then
    reading.organization_id := data ->> 'organization_id';
  elsif reading.kind in ('membership', 'subscription_item') then
    if reading.kind = 'membership' then
      reading.organization_id := data #>> '{organization,id}';
      reading.user_id := clerk_sync.member_of(reading.own_id, data);

      if data #>> '{public_user_data,user_id}' is null and clerk_sync.is_id(reading.user_id, 'user') then
        -- With the data of a member whom the membership's row tells.
        reading.payload := event - 'event_attributes';
      end if;
    else
      select payer.user_id, payer.organization_id
      into reading.user_id, reading.organization_id
      from clerk_sync.payer_of(reading.own_id, data) as payer;
    end if;

    -- Only the row that is there may tell the user.
    if reading.user_id <> all (reading.people) and clerk_sync.is_id(reading.user_id, 'user') then
      reading.people := reading.people || reading.user_id;
      reading.subjects := clerk_sync.sorted_ids(reading.subjects || reading.user_id);
    end if;
  end if;

  -- data.updated_at orders first, because the envelope's time trails it by a few ms, and two quick
  -- updates can swap; then the envelope's time.
  updated_at := clerk_sync.to_time(data -> 'updated_at');
  -- A time that cannot be true must not make all later events stale: the envelope's time is Clerk's clock.
  if updated_at > reading.occurred_at + interval '10 minutes' then
    updated_at := reading.occurred_at;
  end if;
  reading.version := 1000 * extract(epoch from
    coalesce(updated_at, reading.occurred_at, clerk_sync.to_time(data -> 'created_at')));
  -- The times in a deletion's data are older than the deletion.
  reading.observed_at := coalesce(
    1000 * extract(epoch from reading.occurred_at),
    case when not reading.deletes then reading.version end);

  reading.issues := clerk_sync.issue_in(reading);
  if reading.issues is null and reading.kind = 'invitation' and data ->> 'status' is null then
    reading.issues := '[{"path": "data.status", "code": "invalid_type"}]';
  end if;
  if coalesce(reading.occurred_at, updated_at) > now() + interval '1 day' then
    reading.issues := jsonb_build_array(jsonb_build_object(
      'path', case when reading.occurred_at is null then 'data.updated_at' else 'timestamp' end,
      'code', 'too_far_ahead'));
  end if;
  if reading.issues is not null then
    -- What does not look like an id gets no row in the register.
    reading.own_id := case
      when reading.kind = 'invitation' and clerk_sync.is_id(reading.own_id, 'orginv') then reading.own_id
    end;
    reading.organization_id := null;
  end if;

  return reading;
end
$$;

comment on function clerk_sync.read_event(jsonb, text, text) is
  'Reads one event into one record: what it is about, what it mentions, how it is ordered, and why it cannot be applied, if so. as_type: the type to read it as; null for its own.';

create function clerk_sync.apply_event(message_id text, reading clerk_sync.reading, data jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := reading.kind;
  deleted_at timestamptz;
begin
  if kind in ('role', 'permission') then
    return clerk_sync.apply_role_or_permission(message_id, reading, data);
  end if;

  if kind = 'subscription_item' then
    perform clerk_sync.keep_plan(data, reading.observed_at, message_id);
  end if;

  if kind in ('membership', 'subscription_item') then
    -- The row may have come, or gone, while this delivery waited for the locks.
    if (kind = 'membership' and clerk_sync.member_of(reading.own_id, data) is distinct from reading.user_id)
      or (
        kind = 'subscription_item'
        and clerk_sync.payer_of(reading.own_id, data) is distinct from (reading.user_id, reading.organization_id)
      )
    then
      raise exception using
        errcode = 'serialization_failure',
        message = 'Cannot apply the event as its row changed hands meanwhile: try again';
    end if;

    if not reading.deletes
      and reading.user_id is null
      and (kind = 'membership' or reading.organization_id is null)
    then
      if exists (
        select
        from clerk_sync.objects
        where id = reading.own_id
          and (version > 0 or objects.deleted_at is not null)
      ) then
        -- There was a row, and it went with its user, its organization or its deletion.
        return '{"outcome": "stale"}';
      end if;

      return jsonb_build_object('outcome', 'unreadable', 'issues', jsonb_build_array(jsonb_build_object(
        'path', case kind when 'membership' then 'data.public_user_data' else 'data.payer' end,
        'code', 'invalid_type')));
    end if;
  end if;

  if kind = 'membership' then
    perform clerk_sync.add_profile(reading.user_id);
  end if;

  -- A child may come before its parents. Every event of a child adds their rows, also one that turns
  -- out to be stale, so that the rows do not depend on the order of arrival.
  if kind in ('membership', 'invitation') then
    perform clerk_sync.add_organization(reading.organization_id);
  end if;

  if reading.deletes then
    if kind = 'membership' and reading.user_id is not null then
      perform clerk_sync.remember_membership_deletion(
        reading.user_id, reading.organization_id, reading.occurred_at);
    end if;

    deleted_at := clerk_sync.claim_deletion(reading.own_id, reading.observed_at);
    if deleted_at is null then
      return '{"outcome": "stale"}';
    end if;

    if kind = 'user' then
      -- For the announcement.
      perform set_config('clerk_sync.external_id', coalesce(data ->> 'external_id', ''), true);
      perform clerk_sync.erase_profile(reading.own_id, deleted_at);
    elsif kind = 'organization' then
      perform clerk_sync.erase_organization(reading.own_id, deleted_at);
    elsif kind = 'membership' then
      perform clerk_sync.delete_membership(reading.own_id);
    end if;

    return '{"outcome": "applied"}';
  end if;

  -- What belonged to a deleted user or organization was deleted with it.
  if kind in ('membership', 'invitation', 'subscription_item') then
    if clerk_sync.is_deleted(reading.organization_id) then
      return '{"outcome": "stale"}';
    end if;

    -- NOTE: an organization's item outlives the member who pays for it.
    if (kind = 'membership' or reading.organization_id is null)
      and clerk_sync.is_deleted(reading.user_id)
    then
      return '{"outcome": "stale"}';
    end if;
  end if;

  if not clerk_sync.claim_version(reading.own_id, reading.version, reading.observed_at, message_id) then
    if kind = 'membership' then
      -- The deletion may have come first, and need not tell the user.
      perform clerk_sync.remember_membership_deletion(
        reading.user_id, reading.organization_id, objects.deleted_at)
      from clerk_sync.objects
      where objects.id = reading.own_id
        and objects.deleted_at is not null;
    end if;

    return '{"outcome": "stale"}';
  end if;

  case kind
    when 'user' then perform clerk_sync.upsert_profiles(array[data]);
    when 'organization' then perform clerk_sync.upsert_organizations(array[data]);
    when 'membership' then perform clerk_sync.upsert_memberships(array[data], array[reading.user_id]);
    when 'invitation' then perform clerk_sync.upsert_invitations(array[data]);
    when 'subscription_item' then
      perform clerk_sync.upsert_subscription_items(
        array[data], array[reading.user_id], array[reading.organization_id]);
    when 'other' then
      perform clerk_sync.keep_data(reading.own_id, reading.subjects, reading.payload -> 'data');
  end case;

  return '{"outcome": "applied"}';
end
$$;

comment on function clerk_sync.apply_event(text, clerk_sync.reading, jsonb) is
  'Claims the version and applies the event. Returns {outcome, issues?}: applied; stale when something newer or a deletion is already there; unreadable when the user of a membership or the payer of an item cannot be determined. Raises whatever the application''s triggers and constraints raise.';

create function public.ingest_clerk_event(
  message_id text,
  event jsonb,
  dropped text[] default '{}',
  as_type text default null,
  is_delivery boolean default true
)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  own_instance text;
  is_known boolean;
  reading clerk_sync.reading;
  cause text;
  result jsonb;
  state text;
  reason text;
begin
  select
    instance_id,
    is_delivery and exists (select from clerk_sync.inbox where inbox.message_id = ingest_clerk_event.message_id)
  into own_instance, is_known
  from clerk_sync.settings;

  if is_known and clerk_sync.count_redelivery(message_id) then
    return '{"outcome": "duplicate"}';
  end if;

  if jsonb_typeof(event) = 'string' or dropped <> '{}' then
    event := clerk_sync.event_from(event, dropped);
  end if;
  reading := clerk_sync.read_event(event, own_instance, as_type);

  -- Before the savepoint below, so that the locks outlive an apply that fails.
  perform clerk_sync.lock_objects(
    reading.own_id, reading.deletes, reading.organization_id, reading.people, reading.subjects,
    case reading.kind when 'membership' then reading.user_id end);

  if reading.issues is not null then
    result := jsonb_build_object('outcome', 'unreadable', 'issues', reading.issues);
  elsif reading.kind is null then
    result := '{"outcome": "ignored"}';
  else
    -- For the triggers. Assigned, which is quicker than a statement.
    cause := set_config('clerk_sync.caused_by', message_id, true);
    cause := set_config('clerk_sync.via', 'webhook', true);

    begin
      result := clerk_sync.apply_event(message_id, reading, event -> 'data');

      -- Deferred constraints and constraint triggers of the application fail here, inside the
      -- savepoint, and not at commit, where the outcome could not be recorded any more. Also for a
      -- stale event: it may have added the rows of its parents.
      set constraints all immediate;
    exception
      -- others leaves assert_failure out; a failed assert in an application's trigger counts, too.
      when assert_failure or others then
        get stacked diagnostics
          state = returned_sqlstate,
          reason = message_text;

        -- The fault is the database's and not the event's: nothing to record, try again later.
        if state ~ '^(40|53|57)' or state = '55P03' then
          raise;
        end if;

        result := jsonb_build_object('outcome', 'failed', 'sqlstate', state, 'message', reason)
          || jsonb_strip_nulls(jsonb_build_object('as_type', as_type));
    end;
  end if;

  return clerk_sync.keep_in_inbox(message_id, reading, result, is_delivery);
end
$$;

comment on function public.ingest_clerk_event(text, jsonb, text[], text, boolean) is
  'Takes one authentic Clerk event (message id and the event, as an object or as a JSON string with its text) and returns {outcome, sqlstate?, issues?}: applied, stale, duplicate, ignored, unreadable or failed. dropped: paths of values to leave out (data.locale). as_type: the type to read the event as, if not its own. is_delivery: false for a replay, which counts no delivery. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again, or keep it by keep_clerk_event.';

create function clerk_sync.keep_message(
  message_id text,
  type text,
  message jsonb,
  result jsonb,
  dropped text[] default '{}',
  as_type text default null
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  reading clerk_sync.reading;
begin
  if clerk_sync.count_redelivery(message_id) then
    return '{"outcome": "duplicate"}';
  end if;

  message := clerk_sync.event_from(message, dropped);
  reading := clerk_sync.read_message(
    coalesce(type, message ->> 'type'), message, (select instance_id from clerk_sync.settings), as_type);
  perform clerk_sync.lock_objects(reading.own_id, false, null, reading.people, reading.subjects);

  if reading.is_foreign then
    result := '{"outcome": "ignored"}';
  end if;

  return clerk_sync.keep_in_inbox(message_id, reading, result);
end
$$;

comment on function clerk_sync.keep_message(text, text, jsonb, jsonb, text[], text) is
  'Stores one message, without applying it, with a result, and returns the answer to the webhook. dropped and as_type are those of public.ingest_clerk_event.';

create function public.record_clerk_rejection(message_id text, type text, issues jsonb, payload jsonb)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return clerk_sync.keep_message(
    message_id, type, payload,
    jsonb_build_object('outcome', 'unreadable', 'issues', coalesce(issues, '[]'))
  ) - 'issues';
end
$$;

comment on function public.record_clerk_rejection(text, text, jsonb, jsonb) is
  'Stores one authentic message that could not be read, with its issues ([{path, code}]) and its body (parsed, as a JSON string with its text, or {"raw": text}), and returns {outcome}: unreadable, ignored (another instance''s) or duplicate.';

create function public.keep_clerk_event(
  message_id text,
  event jsonb,
  sqlstate text,
  dropped text[] default '{}',
  as_type text default null
)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
begin
  return clerk_sync.keep_message(
    message_id, null, event,
    jsonb_build_object('outcome', 'failed', 'sqlstate', sqlstate)
      || jsonb_strip_nulls(jsonb_build_object('as_type', as_type)),
    dropped, as_type);
end
$$;

comment on function public.keep_clerk_event(text, jsonb, text, text[], text) is
  'Stores one authentic event that ingest_clerk_event could not apply in time, with its other arguments and the SQLSTATE that it raised, and returns {outcome}: failed, ignored (another instance''s) or duplicate (applied meanwhile). Waits for a lock 2 s at most.';

revoke all on function
  public.ingest_clerk_event(text, jsonb, text[], text, boolean),
  public.record_clerk_rejection(text, text, jsonb, jsonb),
  public.keep_clerk_event(text, jsonb, text, text[], text)
  from public, anon, authenticated, service_role;

grant execute on function
  public.ingest_clerk_event(text, jsonb, text[], text, boolean),
  public.record_clerk_rejection(text, text, jsonb, jsonb),
  public.keep_clerk_event(text, jsonb, text, text[], text)
  to clerk_ingest, service_role;
