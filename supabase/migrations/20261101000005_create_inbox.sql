-- Every authentic delivery, once per message id. Clerk has no list of past events: this is the only
-- log there is.

create table clerk_sync.inbox (
  message_id text collate "C" primary key,
  type text,
  object_id text,
  subjects text[] not null default '{}',
  instance_id text,
  occurred_at timestamptz,
  received_at timestamptz not null default now(),
  last_delivered_at timestamptz not null default now(),
  deliveries integer not null default 1,
  outcome text not null,
  error jsonb,
  payload jsonb,

  constraint inbox_message_id_is_short check (length(message_id) between 1 and 255),
  constraint inbox_error_explains_what_was_not_done check (
    (error is null) = (outcome in ('applied', 'stale', 'ignored'))
  )
);

-- Erasure looks for a person in every payload. Most events mention one person only, and for those
-- a b-tree is far cheaper to maintain than a GIN index.
create index inbox_only_subject
  on clerk_sync.inbox ((subjects[1]))
  where cardinality(subjects) = 1;

create index inbox_several_subjects
  on clerk_sync.inbox using gin (subjects)
  where cardinality(subjects) > 1;

-- The newest events of an object. Erasing the address in an invitation finds them by it, too.
create index inbox_by_object
  on clerk_sync.inbox (object_id, received_at);

-- Status, replay and maintenance look for what is recent, what is old, and what waits.
create index inbox_received_at on clerk_sync.inbox (received_at);

create index inbox_waiting
  on clerk_sync.inbox (received_at, message_id)
  where outcome in ('failed', 'unreadable');

comment on table clerk_sync.inbox is
  'Every authentic event: payload, outcome, deliveries, error. Personal data of a deleted user is erased from it.';
comment on column clerk_sync.inbox.message_id is
  'svix-id, the same on every retry and replay of a message.';
comment on column clerk_sync.inbox.type is
  'Clerk''s event type (user.created); null when it could not be read or does not look like one.';
comment on column clerk_sync.inbox.object_id is
  'data.id of the event; null when there is none or it does not look like an id.';
comment on column clerk_sync.inbox.subjects is
  'Clerk user ids (user_…), sorted: those that the event is about, and whatever looks like a real id in the payload. Erasure finds the row by it.';
comment on column clerk_sync.inbox.instance_id is
  'Clerk instance (ins_…) that sent it; null in events from before April 2025.';
comment on column clerk_sync.inbox.occurred_at is
  'The envelope''s timestamp; null when it has none.';
comment on column clerk_sync.inbox.received_at is
  'When the first delivery was stored, by our clock.';
comment on column clerk_sync.inbox.last_delivered_at is
  'When the newest delivery arrived, by our clock.';
comment on column clerk_sync.inbox.deliveries is
  'Number of deliveries of this message that the database answered.';
comment on column clerk_sync.inbox.outcome is
  'What became of the message. failed and unreadable are tried again by the next delivery or by a replay. discarded was given up by an operator: a delivery that can be applied still is. The others are final.';
comment on column clerk_sync.inbox.error is
  'Why it was not applied: {sqlstate, message, as_type?} when failed, {issues: [{path, code}]} when unreadable, either when discarded. as_type is the type that it was read as, if not its own. Without message and issues once a subject is deleted.';
comment on column clerk_sync.inbox.payload is
  'The event as it was handed over, or {"raw": text} when it is not storable JSON; without event_attributes. Null for types that this version does not know, email.*, sms.* and waitlistEntry.*, for events of another instance, once discarded, once the message is older than payload_retention, and once a subject is deleted; a message that is to be tried again then loses only what it says about that person. Never holds the address and link of an invitation that is no longer pending, nor a person''s address without a user id to erase it by.';

alter table clerk_sync.inbox enable row level security;

create type clerk_sync.reading as (
  type text,
  object_id text,
  instance_id text,
  occurred_at timestamptz,
  is_foreign boolean,
  people text[],
  subjects text[],
  payload jsonb,
  kind text,
  own_id text,
  organization_id text,
  user_id text,
  deletes boolean,
  version bigint,
  observed_at bigint,
  issues jsonb
);

comment on type clerk_sync.reading is
  'One message as it was read. For the inbox: type, object_id, instance_id (each null if it does not look like one), occurred_at, is_foreign (another instance''s), people (user ids where Clerk has ids), subjects (those and what else looks like one), payload (as far as it may be stored). For applying it: kind (the table it writes; null for none), own_id, organization_id, user_id, deletes, version and observed_at (ms since the epoch), issues ([{path, code}]; null when readable).';

create function clerk_sync.without_unnamed_member(message jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when message ->> 'type' ^@ 'organizationMembership.'
      and jsonb_typeof(message -> 'data') = 'object'
      and not clerk_sync.is_id(message #>> '{data,public_user_data,user_id}', 'user')
    then message #- '{data,public_user_data}' #- '{data,public_metadata}' #- '{data,private_metadata}'
    else message
  end;
end
$$;

comment on function clerk_sync.without_unnamed_member(jsonb) is
  'A message about a membership, without the member''s data if it does not name the member: that data could not be found to be erased. Any other message as it is.';

create function clerk_sync.storable_payload(message jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  type constant text := coalesce(message ->> 'type', '');
  types text[];
begin
  -- Client addresses and user agents are of no use to anybody here.
  if message ? 'raw' then
    message := jsonb_build_object('raw', regexp_replace(
      message ->> 'raw', '"event_attributes"\s*:\s*\{[^{}]*(\{[^{}]*\}?)?[^{}]*\}?', '"event_attributes":{}', 'g'));
    -- The type of a raw body is unknown, so it is searched for types.
    types := array(
      select match[1]
      from regexp_matches(message ->> 'raw', '"type"\s*:\s*"([^"]*\.[^"]*)"', 'g') as match
    );
    if message ->> 'raw' ~ '"(email|sms|waitlistEntry)\.'
      or (types <> '{}' and not exists (
        select from unnest(types) as found (type) where clerk_sync.event_kind(found.type) is not null
      ))
    then
      return null;
    end if;
  elsif jsonb_typeof(message) = 'object' then
    message := message - 'event_attributes';
  end if;

  message := clerk_sync.without_unnamed_member(message);

  -- Addresses and names without a user id beside them: whoever proved a domain, and whoever pays for
  -- an organization when Clerk does not say which user that is.
  if type ~ '^(organizationDomain|subscription|subscriptionItem|paymentAttempt)\.'
    and jsonb_typeof(message -> 'data') = 'object'
  then
    message := message #- '{data,affiliation_email_address}';

    if jsonb_typeof(message #> '{data,payer}') = 'object'
      and coalesce(message #>> '{data,payer,user_id}', '') = ''
    then
      message := message
        #- '{data,payer,email}' #- '{data,payer,first_name}' #- '{data,payer,last_name}';
    end if;
  end if;

  return message;
end
$$;

comment on function clerk_sync.storable_payload(jsonb) is
  'The part of a message of a known type that may be stored: no event_attributes, and no person''s address or name that has no user id beside it to erase it by. Nothing of a raw body that seems to be of another type.';

create function clerk_sync.read_message(
  type text,
  message jsonb,
  own_instance text,
  as_type text default null
)
returns clerk_sync.reading
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  reading clerk_sync.reading;
begin
  -- These four outlive an erasure, so each is stored only when it looks like what it claims to be.
  reading.type := substring(left(read_message.type, 201) from '^[A-Za-z]+\.[A-Za-z]+$');
  reading.object_id := substring(left(message #>> '{data,id}', 251) from '^[a-z_]+_[A-Za-z0-9]+$');
  reading.instance_id := substring(left(message ->> 'instance_id', 205) from '^ins_[A-Za-z0-9]+$');
  reading.occurred_at := clerk_sync.to_time(message -> 'timestamp');
  reading.is_foreign := false;

  if own_instance is not null then
    reading.is_foreign := coalesce(
      own_instance <> coalesce(
        message ->> 'instance_id',
        substring(message ->> 'raw' from '"instance_id"\s*:\s*"(ins_[A-Za-z0-9]+)"')
      ),
      false
    );
  end if;

  reading.people := '{}';
  reading.subjects := '{}';
  if reading.is_foreign then
    return reading;
  end if;

  reading.kind := clerk_sync.event_kind(coalesce(as_type, reading.type));
  if reading.type ^@ 'user.' and jsonb_typeof(message) = 'object' then
    -- Most messages are about one user, and are stored whole.
    reading.payload := message - 'event_attributes';
    if clerk_sync.is_id(message #>> '{data,id}', 'user') then
      reading.people := array[message #>> '{data,id}'];
    end if;
  else
    reading.payload := clerk_sync.storable_payload(message);
    reading.people := clerk_sync.people_in(message -> 'data');
  end if;

  -- Nobody can tell of whom an unknown type speaks: an address in it, or a one-time code, could stand
  -- beside no user id, or beside another user's. A session belongs to its user.
  if reading.kind is null and jsonb_typeof(message -> 'type') = 'string' and not (
    coalesce(reading.type, '') ~ '^session\.(created|pending|ended|removed|revoked)$'
    and clerk_sync.is_id(message #>> '{data,user_id}', 'user')
  ) then
    reading.payload := null;
  end if;

  reading.subjects := clerk_sync.user_ids_in(reading.payload);
  if reading.subjects <> reading.people or cardinality(reading.people) > 1 then
    reading.subjects := clerk_sync.sorted_ids(reading.people || reading.subjects);
  end if;

  -- Whoever erases the address of an invitation waits for its events, also for those that are not applied.
  if reading.type ^@ 'organizationInvitation.' and reading.object_id ^@ 'orginv_' then
    reading.own_id := reading.object_id;
  end if;

  return reading;
end
$$;

comment on function clerk_sync.read_message(text, jsonb, text, text) is
  'Reads what the inbox stores of a message, readable or not. Nothing of the payload when the type is unknown (as_type: the type to read it as, if not its own), or when there is an instance of our own (null accepts any) and the message names another one.';

create function clerk_sync.without_stale_address(payload jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(payload -> 'data') = 'object' and (
    payload #>> '{data,status}' is distinct from 'pending'
    or clerk_sync.to_time(payload #> '{data,expires_at}') <= now()
    or exists (
      select
      from public.organization_invitations
      where id = payload #>> '{data,id}'
        and status <> 'pending'
    )
    or clerk_sync.is_deleted(payload #>> '{data,organization_id}')
  ) then
    return payload #- '{data,email_address}' #- '{data,url}';
  end if;

  return payload;
end
$$;

comment on function clerk_sync.without_stale_address(jsonb) is
  'The payload of an invitation; without the address and the link when it is no longer pending or its organization is deleted.';

create function clerk_sync.payload_left(payload jsonb, outcome text, deleted text[])
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  person text;
begin
  -- What is settled is not needed any more. What is no event about some object can never be applied, and
  -- does not say where it speaks of whom.
  if outcome not in ('failed', 'unreadable')
    or jsonb_typeof(payload -> 'type') is distinct from 'string'
    or coalesce(payload #>> '{data,id}', '') !~ '^[a-z_]+_[A-Za-z0-9]+$'
  then
    return null;
  end if;

  foreach person in array deleted loop
    payload := clerk_sync.without_person(payload, person);
  end loop;

  -- The membership's row, which may have told whose it is, goes with the person.
  return clerk_sync.without_unnamed_member(payload);
end
$$;

comment on function clerk_sync.payload_left(jsonb, text, text[]) is
  'What may be kept of a payload that mentions deleted users: nothing once the message is settled; before, all but what is said about them, so that one mention does not keep it from being tried again.';

create function clerk_sync.count_redelivery(message_id text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  update clerk_sync.inbox
  set
    deliveries = deliveries + 1,
    last_delivered_at = now()
  where inbox.message_id = count_redelivery.message_id
    and outcome not in ('failed', 'unreadable', 'discarded');

  return found;
end
$$;

comment on function clerk_sync.count_redelivery(text) is
  'Counts a delivery of a message that is done; false when the message is new or to be tried again.';

create function clerk_sync.keep_in_inbox(
  message_id text,
  reading clerk_sync.reading,
  result jsonb,
  is_delivery boolean default true
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  reason jsonb := nullif(result - 'outcome', '{}');
  deleted constant text[] := clerk_sync.deleted_among(reading.subjects);
begin
  if deleted <> '{}' then
    reading.payload := clerk_sync.payload_left(reading.payload, result ->> 'outcome', deleted);
    reading.subjects := clerk_sync.subjects_left(reading.subjects, reading.payload);
    reason := reason - '{message,issues}'::text[];
  end if;
  if reading.payload ->> 'type' ^@ 'organizationInvitation.' then
    reading.payload := clerk_sync.without_stale_address(reading.payload);
  end if;

  insert into clerk_sync.inbox as kept (
    message_id, type, object_id, subjects, instance_id, occurred_at, outcome, error, payload
  )
  values (
    keep_in_inbox.message_id, reading.type, reading.object_id, reading.subjects,
    reading.instance_id, reading.occurred_at, result ->> 'outcome', reason,
    reading.payload
  )
  on conflict on constraint inbox_pkey do update set
    type = excluded.type,
    object_id = excluded.object_id,
    subjects = excluded.subjects,
    instance_id = excluded.instance_id,
    occurred_at = excluded.occurred_at,
    last_delivered_at = case when is_delivery then now() else kept.last_delivered_at end,
    deliveries = kept.deliveries + is_delivery::integer,
    outcome = excluded.outcome,
    error = excluded.error,
    payload = excluded.payload
  where kept.outcome in ('failed', 'unreadable')
    or (kept.outcome = 'discarded' and excluded.outcome not in ('failed', 'unreadable'));

  if not found then
    -- Another delivery of the same message was done meanwhile; or it was discarded, and still cannot be
    -- applied.
    if is_delivery then
      update clerk_sync.inbox
      set
        deliveries = deliveries + 1,
        last_delivered_at = now()
      where inbox.message_id = keep_in_inbox.message_id;
    end if;
    return '{"outcome": "duplicate"}';
  end if;

  -- The message of an error can quote somebody's data: only its SQLSTATE leaves the database.
  return result - '{message,as_type}'::text[];
end
$$;

comment on function clerk_sync.keep_in_inbox(text, clerk_sync.reading, jsonb, boolean) is
  'Writes the inbox row of a message and its result ({outcome, sqlstate, message, as_type, issues}), and returns the answer to the webhook: duplicate when the message was done meanwhile, or is discarded and cannot be applied. Stores nothing about a deleted user but ids. is_delivery: false for a replay, which counts no delivery.';

create function clerk_sync.erase_from_inbox(user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Locked in one order, so that two deletions that share messages cannot deadlock.
  with mentioning as (
    select
      message_id,
      subjects,
      -- The next delivery of an event about the user, or about what belonged to the user, would find it
      -- stale. Not so the message that is being delivered: its outcome is still to come.
      case
        when outcome = 'failed' and message_id <> current_setting('clerk_sync.caused_by', true) and erase_from_inbox.user_id in (
          object_id,
          payload #>> '{data,public_user_data,user_id}',
          case coalesce(payload #>> '{data,payer,organization_id}', '')
            when '' then payload #>> '{data,payer,user_id}'
          end
        )
        then 'stale'
        else outcome
      end as outcome,
      payload
    from clerk_sync.inbox
    where (cardinality(subjects) = 1 and subjects[1] = erase_from_inbox.user_id)
      or (cardinality(subjects) > 1 and subjects @> array[erase_from_inbox.user_id])
    order by message_id
    for no key update
  ),
  erased as materialized (
    select
      message_id,
      subjects,
      outcome,
      clerk_sync.payload_left(payload, outcome, array[erase_from_inbox.user_id]) as payload
    from mentioning
  )
  update clerk_sync.inbox
  set
    payload = erased.payload,
    subjects = clerk_sync.subjects_left(erased.subjects, erased.payload),
    outcome = erased.outcome,
    error = case when erased.outcome <> 'stale' then error - '{message,issues}'::text[] end
  from erased
  where inbox.message_id = erased.message_id;
end
$$;

comment on function clerk_sync.erase_from_inbox(text) is
  'Erases payload and error text of every message that mentions the user, and settles failed events about the user as stale. Of other messages that are to be tried again, only what they say about the user goes. Ids, times, other outcomes and SQLSTATEs stay.';

create function clerk_sync.erase_addresses_from_inbox(invitation_ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  with mentioning as (
    select message_id
    from clerk_sync.inbox
    where type ^@ 'organizationInvitation.'
      and object_id = any (invitation_ids)
      and payload -> 'data' ?| '{email_address,url}'
    order by message_id
    for no key update
  )
  update clerk_sync.inbox
  set payload = payload #- '{data,email_address}' #- '{data,url}'
  from mentioning
  where inbox.message_id = mentioning.message_id;
end
$$;

comment on function clerk_sync.erase_addresses_from_inbox(text[]) is
  'Erases the address and the link from every message about these invitations.';
