-- Why a row looks as it does: an object's row, its events in order, and what they announced, with a
-- sentence for each verdict. Reads only.

-- NOTE: hash indexes, because nothing limits the length of an address, or of what others put on a queue.
-- Only ASCII letters are folded, as in the policy of invitations.
create index profiles_by_email on public.profiles using hash (lower(email collate "C"));
create index q_clerk_changes_by_object on pgmq.q_clerk_changes using hash ((message ->> 'id'));
create index a_clerk_changes_by_object on pgmq.a_clerk_changes using hash ((message ->> 'id'));
create index q_clerk_changes_dead_by_object on pgmq.q_clerk_changes_dead using hash ((message ->> 'id'));

create function clerk_sync.kind_of(id text)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case substring(id from '^[a-z]+_')
    when 'user_' then 'user'
    when 'org_' then 'organization'
    when 'orgmem_' then 'membership'
    when 'orginv_' then 'invitation'
  end;
end
$$;

comment on function clerk_sync.kind_of(text) is
  'The kind of an object by the prefix of its id: user, organization, membership or invitation; null for all others.';

create function clerk_sync.in_words(at timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
end
$$;

comment on function clerk_sync.in_words(timestamptz) is 'A time as it stands in a sentence.';

create function clerk_sync.whole_row(kind text, id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case kind
    when 'user' then (select to_jsonb(kept) from public.profiles as kept where kept.id = whole_row.id)
    when 'organization' then (select to_jsonb(kept) from public.organizations as kept where kept.id = whole_row.id)
    when 'membership' then (
      select to_jsonb(kept) from public.organization_memberships as kept where kept.id = whole_row.id)
    when 'invitation' then (
      select to_jsonb(kept) from public.organization_invitations as kept where kept.id = whole_row.id)
  end;
end
$$;

comment on function clerk_sync.whole_row(text, text) is
  'The row of an object with all its columns, the application''s included; null when there is none.';

create function clerk_sync.mapped(kind text, data jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  columns jsonb := case kind
    when 'user' then to_jsonb(clerk_sync.profile_from_clerk(data))
    when 'organization' then to_jsonb(clerk_sync.organization_from_clerk(data))
    when 'membership' then to_jsonb(clerk_sync.membership_from_clerk(data))
    when 'invitation' then to_jsonb(clerk_sync.invitation_from_clerk(data))
  end;
begin
  -- Only the row tells the user of a membership that does not name one.
  if kind = 'membership' and columns ->> 'user_id' is null then
    columns := columns - 'user_id';
  end if;

  -- updated_at changes with every event, and the others do not come from Clerk's object.
  return columns
    - '{updated_at,synced_at,deleted_at,full_name,member_name,member_image_url,superseded}'::text[];
end
$$;

comment on function clerk_sync.mapped(text, jsonb) is
  'The columns that the mapping makes of Clerk''s object, without updated_at.';

create function clerk_sync.column_changes(before jsonb, after jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(
      jsonb_agg(jsonb_build_object('column', name, 'before', before -> name, 'after', value) order by name), '[]')
    from jsonb_each(after) as each_column (name, value)
    where value <> coalesce(before -> name, 'null')
  );
end
$$;

comment on function clerk_sync.column_changes(jsonb, jsonb) is
  'The columns that differ: [{column, before, after}].';

create type clerk_sync.told_event as (
  kind text,
  id text,
  message_id text,
  type text,
  outcome text,
  error jsonb,
  instance_id text,
  deletes boolean,
  parents text[],
  next_id text,
  next_deletes boolean,
  is_tie boolean,
  registered clerk_sync.objects
);

comment on type clerk_sync.told_event is
  'What tells why a message about an object has its outcome: kind and id of the object; columns of the inbox; deletes; parents (ids of users and organizations that it is about); the applied event that follows it in Clerk''s order (next_id; next_deletes; is_tie: only the message id of that one is greater); registered (the object''s row of the register).';

create function clerk_sync.why_stale(event clerk_sync.told_event)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  registered constant clerk_sync.objects := event.registered;
  parents constant text[] := clerk_sync.deleted_among(event.parents);
begin
  if event.is_tie and not event.next_deletes then
    return format('As old as %s, which has the greater message id and wins.', event.next_id);
  elsif event.next_id is not null and not event.next_deletes then
    return format('Older than %s, which came first.', event.next_id);
  elsif registered.deleted_at is not null then
    return format('%s is deleted, which is final.', event.id);
  elsif event.kind in ('membership', 'invitation') and parents <> '{}' then
    return format('%s is deleted, which is final.', array_to_string(parents, ' and '));
  elsif registered.version > 0 and registered.message_id = '' then
    return format(
      'Older than the snapshot of %s from Clerk''s API, which came first.',
      clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)));
  elsif registered.message_id not in ('', event.message_id) then
    return format('Older than %s, which came first.', registered.message_id);
  end if;

  return 'Something newer came first; nothing tells any more what it was.';
end
$$;

comment on function clerk_sync.why_stale(clerk_sync.told_event) is 'Why an event was stale, as a sentence.';

create function clerk_sync.why_not_applied(event clerk_sync.told_event)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  own_instance text;
begin
  case event.outcome
    when 'failed' then
      return case
        when event.error ->> 'sqlstate' ~ '^(40|53|57)' or event.error ->> 'sqlstate' = '55P03' then
          format('The database could not apply it in time: SQLSTATE %s.', event.error ->> 'sqlstate')
        else format(
          'A trigger or a constraint refused it: SQLSTATE %s%s.',
          event.error ->> 'sqlstate',
          coalesce(': ' || rtrim(event.error ->> 'message', '.'), ''))
      end || ' It can be tried again.';
    when 'unreadable' then
      return coalesce(
        'It does not have a shape that this version knows: ' || (
          select string_agg(format('%s: %s', coalesce(nullif(issue ->> 'path', ''), 'body'), issue ->> 'code'), ', ')
          from jsonb_array_elements(event.error -> 'issues') as issue
        ),
        'It does not have a shape that this version knows') || '. It can be tried again.';
    when 'ignored' then
      select instance_id into own_instance from clerk_sync.settings;

      return case
        when event.instance_id <> own_instance then format(
          'It is of Clerk instance %s, and clerk_sync.settings.instance_id accepts only %s.',
          event.instance_id, own_instance)
        else format('Events of type %s change no table.', coalesce(event.type, 'null'))
      end;
    else
      return event.outcome;
  end case;
end
$$;

comment on function clerk_sync.why_not_applied(clerk_sync.told_event) is
  'Why an event failed, was unreadable or was ignored, as a sentence.';

create function clerk_sync.why(event clerk_sync.told_event)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  registered constant clerk_sync.objects := event.registered;
begin
  if event.outcome = 'stale' then
    return clerk_sync.why_stale(event);
  elsif event.outcome <> 'applied' then
    return clerk_sync.why_not_applied(event);
  end if;

  return case
    when event.deletes and event.type = 'reconcile.deleted' then
      format('Clerk''s API no longer had the %s, so reconcile deleted it.', event.kind)
    when event.deletes and event.kind = 'user' then 'It deleted the user and erased the personal data.'
    when event.deletes then format('It deleted the %s.', event.kind)
    when event.next_deletes then format('%s deleted the %s later.', event.next_id, event.kind)
    when event.next_id is not null then format('%s replaced it later.', event.next_id)
    when registered.deleted_at is not null then format('The %s was deleted later.', event.kind)
    when registered.message_id = event.message_id then 'It is the newest.'
    when registered.message_id = '' then format(
      'The snapshot of %s from Clerk''s API replaced it later.',
      clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)))
    else format('%s replaced it later.', registered.message_id)
  end;
end
$$;

comment on function clerk_sync.why(clerk_sync.told_event) is
  'Why an event has its outcome, or what came after it, as a sentence.';

create function clerk_sync.explained_events(kind text, id text, registered clerk_sync.objects)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Types that Clerk added later are read as one that is known, too.
  as_type constant text := case kind
    when 'user' then 'user.updated'
    when 'organization' then 'organization.updated'
    when 'membership' then 'organizationMembership.updated'
    when 'invitation' then 'organizationInvitation.created'
  end;
  event record;
  after jsonb;
  before jsonb;
  private_before jsonb;
  before_id text;
  changes jsonb;
  unknown text;
  told jsonb[] := '{}';
begin
  for event in
    with newest as (
      select message_id
      from clerk_sync.inbox
      where object_id = explained_events.id
      order by received_at desc
      limit 100
    ),
    read as materialized (
      select
        inbox.*,
        case jsonb_typeof(payload -> 'data') when 'object' then payload -> 'data' end as data,
        outcome = 'applied' as is_applied,
        coalesce(type like '%.deleted', false) as deletes,
        reading.version,
        reading.observed_at,
        case
          when reading.own_id is null then subjects
          else array_remove(array[reading.organization_id, reading.user_id], null)
        end as parents,
        (1000 * extract(epoch from coalesce(occurred_at, received_at)))::bigint as sent_at
      from clerk_sync.inbox
      left join lateral (
        select own_id, organization_id, user_id, version, observed_at
        from clerk_sync.read_event(inbox.payload, null, as_type)
        where jsonb_typeof(inbox.payload -> 'data') = 'object'
      ) as reading on true
      where message_id = any (array(select newest.message_id from newest))
        -- What made the row may have come before all of them.
        or (message_id = registered.message_id and object_id = explained_events.id)
    ),
    placed as materialized (
      select
        read.*,
        to_timestamp(place / 1000.0) as ordered_at,
        row_number() over (order by place, coalesce(observed_at, sent_at), message_id) as number
      from read
      -- The version of a deletion is older than the deletion.
      cross join lateral (select case when deletes then sent_at else coalesce(version, sent_at) end) as clerks (place)
    )
    select
      placed.*,
      row(
        explained_events.kind, explained_events.id, placed.message_id, placed.type, placed.outcome, placed.error,
        placed.instance_id, placed.deletes, placed.parents, next.message_id, next.deletes,
        (next.version, next.observed_at) is not distinct from (placed.version, placed.observed_at),
        explained_events.registered
      )::clerk_sync.told_event as told
    from placed
    left join placed as next on next.number = (
      select min(later.number)
      from placed as later
      where later.number > placed.number
        and later.is_applied
    )
    order by placed.number
  loop
    changes := null;
    unknown := null;

    if event.is_applied and not event.deletes then
      after := case when event.data is not null then clerk_sync.mapped(kind, event.data) end;
      if kind = 'invitation' then
        -- As it was, also when it has expired since.
        after := after || jsonb_build_object('status', event.data -> 'status');
      end if;

      if event.data is null then
        unknown := coalesce(
          'Its payload was erased with ' || array_to_string(
            nullif(clerk_sync.deleted_among(event.subjects), '{}'), ' and ') || '.',
          'Its payload is past retention.');
      elsif before_id is null and event.type like '%.created' then
        before := clerk_sync.mapped(kind, jsonb_build_object('id', explained_events.id));
      elsif before_id is null then
        unknown := 'The inbox has no payload that was applied before it.';
      elsif before is null then
        unknown := format('The payload of %s, which was applied before it, is gone.', before_id);
      end if;

      if unknown is null then
        changes := clerk_sync.column_changes(before, after);
        -- Never its value.
        if coalesce(event.data -> 'private_metadata', '{}') <> coalesce(private_before, '{}') then
          changes := changes || '[{"column": "private_metadata"}]';
        end if;
      end if;

      before_id := event.message_id;
      before := after;
      private_before := event.data -> 'private_metadata';
    end if;

    told := told || jsonb_build_object(
      'message_id', event.message_id,
      'type', event.type,
      'ordered_at', event.ordered_at,
      'occurred_at', event.occurred_at,
      'received_at', event.received_at,
      'last_delivered_at', event.last_delivered_at,
      'deliveries', event.deliveries,
      'outcome', event.outcome,
      'why', clerk_sync.why(event.told),
      'has_payload', event.payload is not null,
      'changes', changes,
      'changes_unknown', unknown
    );
  end loop;

  return to_jsonb(told);
end
$$;

comment on function clerk_sync.explained_events(text, text, clerk_sync.objects) is
  'The 100 newest messages about an object, and the one that made its row, in Clerk''s order: [{message_id, type, ordered_at (the time that the order goes by), occurred_at, received_at, last_delivered_at, deliveries, outcome, why, has_payload, changes (of an applied one: [{column, before, after}], by the mapping, from the payload applied before; of private_metadata only that it changed), changes_unknown (why there are none)}].';

create function clerk_sync.announced_changes(id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with kept as (
      select
        msg_id, enqueued_at, read_ct, message,
        case
          when vt <= clock_timestamp() then 'waiting'
          when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
          else 'in_flight'
        end as state,
        vt as next_at
      from pgmq.q_clerk_changes
      where message ->> 'id' = announced_changes.id

      union all
      select msg_id, enqueued_at, read_ct, message, 'done', archived_at
      from pgmq.a_clerk_changes
      where message ->> 'id' = announced_changes.id

      union all
      select msg_id, enqueued_at, read_ct, message, 'dead', null
      from pgmq.q_clerk_changes_dead
      where message ->> 'id' = announced_changes.id

      order by enqueued_at desc, msg_id desc
      limit 100
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'topic', message ->> 'topic',
      'changed', message -> 'changed',
      'caused_by', message ->> 'caused_by',
      'via', message ->> 'via',
      'enqueued_at', enqueued_at,
      'state', state,
      'at', next_at,
      'reads', read_ct,
      'handler', message #>> '{retry,handler}',
      'error_class', coalesce(message #>> '{retry,error_class}', message ->> 'error_class')
    ) order by enqueued_at, msg_id), '[]')
    from kept
  );
end
$$;

comment on function clerk_sync.announced_changes(text) is
  'The 100 newest announcements about an object, oldest first: [{topic, changed, caused_by, via, enqueued_at, state (waiting, in_flight, retrying, done, dead), at (when it was done, or is tried next), reads, handler, error_class}]. enqueued_at of a dead one is the time of its death.';

create function clerk_sync.verdict_on(kind text, id text, current jsonb, registered clerk_sync.objects, announced jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  deletion record;
  making record;
  added jsonb;
  parents text[];
begin
  if registered.deleted_at is not null then
    select message_id, type into deletion
    from clerk_sync.inbox
    where object_id = verdict_on.id
      and type like '%.deleted'
      and outcome = 'applied'
    order by received_at desc
    limit 1;

    return format(
      'Deleted at %s by %s%s. %s',
      clerk_sync.in_words(registered.deleted_at),
      coalesce(deletion.message_id, 'a message that the inbox no longer has'),
      case deletion.type when 'reconcile.deleted' then ', because Clerk''s API no longer had it' else '' end,
      case
        when current is null then 'There is no row.'
        else 'The row is a tombstone: the id and the time, and what your application added.'
      end);
  end if;

  if registered.version > 0 then
    select message_id, subjects, payload into making
    from clerk_sync.inbox
    where message_id = registered.message_id;

    if current is not null then
      return case
        when current ->> 'status' = 'expired' and making.payload #>> '{data,status}' = 'pending' then format(
          '%s made the row what it is; it expired since, of which Clerk sends no event.', making.message_id)
        when registered.message_id = '' then format(
          'The snapshot of %s from Clerk''s API made the row what it is.',
          clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)))
        when making.message_id is null then format(
          '%s made the row what it is; the inbox no longer has it.', registered.message_id)
        else format('%s made the row what it is.', registered.message_id)
      end
      || case
        when jsonb_typeof(making.payload -> 'data') = 'object' then ''
        -- There is nothing to compare the row with.
        else ' Whether anything has changed it since is not known: run reconcile --dry-run, which compares it with Clerk.'
      end;
    end if;

    parents := clerk_sync.deleted_among(array_remove(
      making.subjects
        || (making.payload #>> '{data,organization,id}')
        || (making.payload #>> '{data,organization_id}'),
      null));
    return case
      when kind in ('membership', 'invitation') and parents <> '{}' then format(
        'There is no row: it was deleted with %s.', array_to_string(parents, ' and '))
      else 'There is no row, although no deletion is registered: something else than the sync deleted it.'
    end;
  end if;

  if current is null then
    return format('There is no row: no event of this %s was applied.', kind);
  end if;

  select announcement into added
  from jsonb_array_elements(announced) as announcement
  where announcement ->> 'topic' like '%.created'
  limit 1;

  return format(
    'The row has no data: no event of this %s was applied. %s',
    kind,
    case
      when added ->> 'via' = 'ensure_profile' then 'public.ensure_profile() added it for a signed-in browser.'
      when added ->> 'caused_by' is not null then format('%s added it, because it names the id.', added ->> 'caused_by')
      when added ->> 'via' = 'snapshot' then 'A snapshot of another object that names the id added it.'
      else 'Nothing tells any more what added it.'
    end);
end
$$;

comment on function clerk_sync.verdict_on(text, text, jsonb, clerk_sync.objects, jsonb) is
  'What made an object''s row what it is, or why there is none, as a sentence.';

create function clerk_sync.left_of(kind text, id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  is_user constant boolean := kind = 'user';
  is_organization constant boolean := kind = 'organization';
  tombstone constant text := 'the id, the time, and columns that your application added';
begin
  return (
    with counted (name, rows, holds) as (
      select 'public.profiles', count(*), tombstone
      from public.profiles where profiles.id = left_of.id having is_user
      union all
      select 'public.organizations', count(*), tombstone
      from public.organizations where organizations.id = left_of.id having is_organization
      union all
      select 'public.organizations', count(*), 'the id, as created_by'
      from public.organizations where created_by = left_of.id having is_user
      union all
      select 'public.organization_memberships', count(*), 'a membership'
      from public.organization_memberships where user_id = left_of.id having is_user
      union all
      select 'public.organization_memberships', count(*), 'a membership'
      from public.organization_memberships where organization_id = left_of.id having is_organization
      union all
      select 'public.organization_memberships', count(*), 'the row'
      from public.organization_memberships where organization_memberships.id = left_of.id having kind = 'membership'
      union all
      select 'public.organization_invitations', count(*), 'the id, as inviter_id or accepted_by'
      from public.organization_invitations where left_of.id in (inviter_id, accepted_by) having is_user
      union all
      select 'public.organization_invitations', count(*), 'an invitation'
      from public.organization_invitations where organization_id = left_of.id having is_organization
      union all
      select 'public.organization_invitations', count(*), 'the row'
      from public.organization_invitations where organization_invitations.id = left_of.id having kind = 'invitation'
      union all
      select 'public.subscription_items', count(*), 'the id, as the payer for an organization'
      from public.subscription_items where user_id = left_of.id having is_user
      union all
      select 'public.subscription_items', count(*), 'a plan'
      from public.subscription_items where organization_id = left_of.id having is_organization
      union all
      select
        'clerk_sync.objects', count(*),
        'the id, the time, and numbers of versions'
          || case when count(*) > 1 then '; of other objects, the id in their data' else '' end
      from clerk_sync.objects
      where objects.id = left_of.id
        or (is_user and cardinality(subjects) > 0 and subjects @> array[left_of.id])
      union all
      select
        'clerk_sync.inbox', count(*),
        'ids, times and outcomes; ' || case
          when count(payload) = 0 then 'no payloads'
          when is_user then format('%s of them with a payload, which says nothing about the person', count(payload))
          else format('%s of them with a payload', count(payload))
        end
      from clerk_sync.inbox
      where (not is_user and object_id = left_of.id)
        or (is_user and cardinality(subjects) = 1 and subjects[1] = left_of.id)
        or (is_user and cardinality(subjects) > 1 and subjects @> array[left_of.id])
      union all
      select 'clerk_sync.membership_deletions', count(*), 'ids and a time'
      from clerk_sync.membership_deletions where user_id = left_of.id having is_user
      union all
      select 'clerk_sync.welcome_mails', count(*), 'the id and times'
      from clerk_sync.welcome_mails where user_id = left_of.id having is_user
      union all
      select 'pgmq.q_clerk_changes', count(*), 'the id, names of columns, the external_id of a deleted user'
      from pgmq.q_clerk_changes where message ->> 'id' = left_of.id
      union all
      select 'pgmq.a_clerk_changes', count(*), 'the same as the queue, of changes that are done'
      from pgmq.a_clerk_changes where message ->> 'id' = left_of.id
      union all
      select 'pgmq.q_clerk_changes_dead', count(*), 'the same as the queue, of dead letters'
      from pgmq.q_clerk_changes_dead where message ->> 'id' = left_of.id
    )
    select jsonb_agg(jsonb_build_object('table', name, 'rows', rows, 'holds', holds))
    from counted
  );
end
$$;

comment on function clerk_sync.left_of(text, text) is
  'What is left of a deleted object, table by table: [{table, rows, holds}]. Reads organizations and invitations of a user without an index.';

create function clerk_sync.explained(id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant text := clerk_sync.kind_of(id);
  most constant integer := 1000;
  current constant jsonb := clerk_sync.whole_row(kind, id);
  registered clerk_sync.objects;
  making clerk_sync.inbox;
  events jsonb;
  announced jsonb;
  total integer;
begin
  select * into registered from clerk_sync.objects where objects.id = explained.id;
  select count(*) into total
  from (select from clerk_sync.inbox where object_id = explained.id limit 100 + most) as bounded;

  if kind is null or (current is null and registered.id is null and total = 0) then
    return null;
  end if;

  events := clerk_sync.explained_events(kind, id, registered);
  announced := clerk_sync.announced_changes(id);
  select * into making from clerk_sync.inbox where message_id = registered.message_id and object_id = explained.id;

  return jsonb_build_object(
    'id', id,
    'kind', kind,
    'verdict', clerk_sync.verdict_on(kind, id, current, registered, announced),
    'row', current,
    'made_by', making.message_id,
    -- Somebody else than the sync wrote these.
    'differs', case when current is not null and jsonb_typeof(making.payload -> 'data') = 'object' then
      clerk_sync.column_changes(current, clerk_sync.mapped(kind, making.payload -> 'data'))
    end,
    'register', to_jsonb(registered) - '{data,subjects}'::text[],
    'events', events,
    'more_events', total - jsonb_array_length(events),
    'announced', announced,
    'left', case when registered.deleted_at is not null then clerk_sync.left_of(kind, id) end
  );
end
$$;

comment on function clerk_sync.explained(text) is
  'Everything that is known about an object; null when nothing is.';

create function public.explain_clerk_object(id_or_address text)
returns jsonb
language plpgsql
stable
-- Definer, so that the operator's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  asked constant text := btrim(id_or_address, E' \t\r\n');
  ids text[] := array[asked];
  found jsonb;
begin
  if strpos(asked, '@') > 0 then
    ids := array(
      (select id from public.profiles where lower(email collate "C") = lower(asked collate "C") order by id limit 20)
      union all
      (
        select id
        from public.organization_invitations
        where status = 'pending'
          and lower(email_address collate "C") = lower(asked collate "C")
        order by id
        limit 20
      )
    );
  end if;

  select coalesce(jsonb_agg(object order by place), '[]') into found
  from unnest(ids) with ordinality as named (id, place)
  cross join lateral clerk_sync.explained(named.id) as object
  where object is not null;

  return jsonb_build_object('asked', asked, 'objects', found);
end
$$;

comment on function public.explain_clerk_object(text) is
  'Why the row of a user, organization, membership or invitation looks as it does; by its id, or by the primary address of users and of pending invitations (at most 20 each): {asked, objects: [{id, kind, verdict, row, made_by, differs, register, events, more_events (up to 1000), announced, left}]}. Events are in Clerk''s order, the newest 100. NOTE: holds personal data.';

revoke all on function public.explain_clerk_object(text) from public, anon, authenticated, service_role;
grant execute on function public.explain_clerk_object(text) to service_role;
