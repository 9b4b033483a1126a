-- What the two entry points share: who an event speaks of, the locks, and the inbox row.

create function clerk_sync.user_ids_in(payload jsonb)
returns text[]
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(array_agg(distinct found.match[1] collate "C" order by found.match[1] collate "C"), '{}')
  from regexp_matches(
    payload::text,
    -- Finding too much is harmless, so nothing is asked of what stands before. Names of fields
    -- look like ids (user_id, user_agent): a key counts only when it has the 27 characters of a
    -- real id. In a raw body the quote after a key is escaped.
    'user_(?:[A-Za-z0-9]{27}(?![A-Za-z0-9_])|[A-Za-z0-9]{1,250}(?![A-Za-z0-9_]|\\?"\s*:))',
    'g'
  ) as found (match)
$$;

comment on function clerk_sync.user_ids_in(jsonb) is
  'Every Clerk user id (user_…) that stands anywhere in the payload, also within a text or a key: sorted, each once.';

revoke all on function clerk_sync.user_ids_in(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.is_foreign(payload jsonb)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    (
      select
        coalesce(
          payload ->> 'instance_id',
          substring(payload ->> 'raw' from '"instance_id"\s*:\s*"(ins_[A-Za-z0-9]+)"')
        ) <> settings.instance_id
      from clerk_sync.settings
    ),
    false
  )
$$;

comment on function clerk_sync.is_foreign(jsonb) is
  'True when the settings name an instance and the payload names another one.';

create function clerk_sync.may_keep_payload(payload jsonb)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select
    -- One-time codes, and addresses without an id to erase them by. A body that could not be
    -- read is searched for the words, because its type is not known.
    coalesce(payload ->> 'type', '') !~ '^(email|sms|waitlistEntry)\.'
    and coalesce(payload ->> 'raw', '') !~ '"(email|sms|waitlistEntry)\.'
    and not clerk_sync.is_foreign(payload)
$$;

comment on function clerk_sync.may_keep_payload(jsonb) is
  'False for email.*, sms.* and waitlistEntry.*, and for events of another instance, readable or not.';

revoke all on function clerk_sync.may_keep_payload(jsonb), clerk_sync.is_foreign(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.without_stale_address(payload jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when payload ->> 'type' ^@ 'organizationInvitation.'
      and jsonb_typeof(payload -> 'data') = 'object'
      and (
        payload #>> '{data,status}' is distinct from 'pending'
        or exists (
          select
          from public.organization_invitations
          where id = payload #>> '{data,id}'
            and status <> 'pending'
        )
        or exists (
          select
          from clerk_sync.objects
          where id = payload #>> '{data,organization_id}'
            and deleted_at is not null
        )
      )
    then payload #- '{data,email_address}' #- '{data,url}'
    else payload
  end
$$;

comment on function clerk_sync.without_stale_address(jsonb) is
  'The payload; of an invitation that is not pending any more, or whose organization is deleted, without the address and the link.';

revoke all on function clerk_sync.without_stale_address(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.without_unerasable(payload jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when jsonb_typeof(payload -> 'data') is distinct from 'object' then payload
    when payload ->> 'type' ^@ 'organizationDomain.'
    then payload #- '{data,affiliation_email_address}'
    when payload ->> 'type' ~ '^(subscription|subscriptionItem|paymentAttempt)\.'
      and jsonb_typeof(payload #> '{data,payer}') = 'object'
      and coalesce(payload #>> '{data,payer,user_id}', '') = ''
    then payload #- '{data,payer,email}' #- '{data,payer,first_name}' #- '{data,payer,last_name}'
    else payload
  end
$$;

comment on function clerk_sync.without_unerasable(jsonb) is
  'The payload without a person''s address and name that stand beside no user id to erase them by: the address that proved a domain, and whoever pays for an organization when Clerk does not say which user that is.';

revoke all on function clerk_sync.without_unerasable(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.count_redelivery(message_id text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update clerk_sync.inbox
  set
    deliveries = deliveries + 1,
    last_delivered_at = now()
  where inbox.message_id = count_redelivery.message_id
    and outcome not in ('failed', 'unreadable');

  return found;
end
$$;

comment on function clerk_sync.count_redelivery(text) is
  'Counts a delivery of a message that is done already; false when it is new or to be tried again.';

revoke all on function clerk_sync.count_redelivery(text)
  from public, anon, authenticated, service_role;

create function clerk_sync.lock_objects(
  own_id text,
  deletes boolean,
  organization_id text,
  others text[]
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  ids text[];
  rewritten_ids text[] := '{}';
  locked_id text;
begin
  -- The deletion of a user also takes what speaks of them out of the register's data. What is not
  -- there yet and comes meanwhile is rewritten without waiting in order: rare, and tried again.
  if deletes and own_id ^@ 'user_' then
    rewritten_ids := array(
      select id
      from clerk_sync.objects
      where cardinality(subjects) > 0
        and subjects @> array[own_id]
    );
  end if;

  -- In one order for everybody, so that no two deliveries can deadlock: first missing rows are
  -- made, in id order; then all are locked, in id order. Whoever waits while locking has made
  -- all its rows, so the two passes cannot wait for each other in a circle.
  select array_agg(distinct id collate "C" order by id collate "C")
  into ids
  from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id])
    as spoken_of (id)
  where id is not null;

  if ids is null then
    return;
  end if;

  insert into clerk_sync.objects (id)
  select unnest(ids)
  on conflict (id) do nothing;

  foreach locked_id in array ids loop
    if locked_id = own_id and deletes then
      perform from clerk_sync.objects where id = locked_id for update;
    elsif locked_id = own_id or locked_id = any (rewritten_ids) then
      perform from clerk_sync.objects where id = locked_id for no key update;
    elsif locked_id = lock_objects.organization_id then
      -- The weakest lock, so that a storm of joins does not starve an update of the organization.
      perform from clerk_sync.objects where id = locked_id for key share;
    else
      perform from clerk_sync.objects where id = locked_id for share;
    end if;
  end loop;
end
$$;

comment on function clerk_sync.lock_objects(text, boolean, text, text[]) is
  'Makes and locks the register rows of all that an event speaks of. Must be called before any savepoint: the locks have to outlive an apply that fails, which is what lets an erasure win every race.';

revoke all on function clerk_sync.lock_objects(text, boolean, text, text[])
  from public, anon, authenticated, service_role;

create function clerk_sync.keep_in_inbox(
  message_id text,
  type text,
  subjects text[],
  payload jsonb,
  outcome text,
  error jsonb
)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  speaks_of_deleted constant boolean := exists (
    select from clerk_sync.objects
    where id = any (keep_in_inbox.subjects) and deleted_at is not null
  );
begin
  insert into clerk_sync.inbox as kept (
    message_id, type, object_id, subjects, instance_id, occurred_at, outcome, error, payload
  )
  values (
    keep_in_inbox.message_id,
    -- These outlive an erasure, so they are taken only when they look like what they are named.
    substring(keep_in_inbox.type from '^[A-Za-z]{1,100}\.[A-Za-z]{1,100}$'),
    substring(keep_in_inbox.payload #>> '{data,id}' from '^[a-z_]{1,50}_[A-Za-z0-9]{1,200}$'),
    keep_in_inbox.subjects,
    substring(keep_in_inbox.payload ->> 'instance_id' from '^ins_[A-Za-z0-9]{1,200}$'),
    clerk_sync.to_time(keep_in_inbox.payload -> 'timestamp'),
    keep_in_inbox.outcome,
    case when speaks_of_deleted
      then keep_in_inbox.error - '{message,issues}'::text[]
      else keep_in_inbox.error end,
    case when not speaks_of_deleted and clerk_sync.may_keep_payload(keep_in_inbox.payload)
      then clerk_sync.without_stale_address(clerk_sync.without_unerasable(keep_in_inbox.payload)) end
  )
  on conflict on constraint inbox_pkey do update set
    type = excluded.type,
    object_id = excluded.object_id,
    subjects = excluded.subjects,
    instance_id = excluded.instance_id,
    occurred_at = excluded.occurred_at,
    last_delivered_at = now(),
    deliveries = kept.deliveries + 1,
    outcome = excluded.outcome,
    error = excluded.error,
    payload = excluded.payload
  where kept.outcome in ('failed', 'unreadable');

  if found then
    return keep_in_inbox.outcome;
  end if;

  -- Somebody finished the same message meanwhile.
  perform clerk_sync.count_redelivery(keep_in_inbox.message_id);
  return 'duplicate';
end
$$;

comment on function clerk_sync.keep_in_inbox(text, text, text[], jsonb, text, jsonb) is
  'Writes the inbox row and returns the outcome, or duplicate when the message was done meanwhile. Keeps no payload and no error text that speaks of a deleted user.';

revoke all on function clerk_sync.keep_in_inbox(text, text, text[], jsonb, text, jsonb)
  from public, anon, authenticated, service_role;
