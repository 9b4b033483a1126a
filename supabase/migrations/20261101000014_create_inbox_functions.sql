-- What the two entry points share: who an event speaks of, the locks, and the inbox row.

create function clerk_sync.user_ids_in(payload jsonb)
returns text[]
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  piece text;
  run text;
  id text;
  ids text[] := '{}';
begin
  -- What follows each user_, up to the next one or to the blank at the end.
  foreach piece in array (string_to_array(coalesce(payload::text, '') || ' ', 'user_'))[2:] loop
    -- Names of fields that most events have; below they would be found to be no ids.
    continue when piece ^@ 'id": ' or piece ^@ 'agent": ';

    piece := left(piece, 300);
    run := substring(piece from '^[A-Za-z0-9]+');

    -- Finding too much is harmless, so nothing is asked of what stands before.
    if length(run) <= 250
      and substr(piece, length(run) + 1, 1) not in ('', '_')
      -- Names of fields look like ids (user_id, user_agent): a key counts only when it has the 27
      -- characters of a real id. In a raw body the quote after a key is escaped.
      and (length(run) = 27 or substr(piece, length(run) + 1) !~ '^\\?"\s*:')
      and 'user_' || run is distinct from id
    then
      id := 'user_' || run;
      ids := ids || id;
    end if;
  end loop;

  if cardinality(ids) > 1 then
    ids := array(select distinct found.id collate "C" from unnest(ids) as found (id) order by 1);
  end if;

  return ids;
end
$$;

comment on function clerk_sync.user_ids_in(jsonb) is
  'Every Clerk user id (user_…) that stands anywhere in the payload, also within a text or a key: sorted, each once.';

revoke all on function clerk_sync.user_ids_in(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.is_foreign(payload jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  own_instance constant text := (select instance_id from clerk_sync.settings);
begin
  if own_instance is null then
    return false;
  end if;

  return coalesce(
    coalesce(
      payload ->> 'instance_id',
      substring(payload ->> 'raw' from '"instance_id"\s*:\s*"(ins_[A-Za-z0-9]+)"')
    ) <> own_instance,
    false
  );
end
$$;

comment on function clerk_sync.is_foreign(jsonb) is
  'True when the settings name an instance and the payload names another one.';

create function clerk_sync.may_keep_payload(payload jsonb)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- One-time codes, and addresses without an id to erase them by. A body that could not be read is
  -- searched for the words, because its type is not known.
  return coalesce(payload ->> 'type', '') !~ '^(email|sms|waitlistEntry)\.'
    and coalesce(payload ->> 'raw', '') !~ '"(email|sms|waitlistEntry)\.';
end
$$;

comment on function clerk_sync.may_keep_payload(jsonb) is
  'False for email.*, sms.* and waitlistEntry.*, readable or not.';

revoke all on function clerk_sync.may_keep_payload(jsonb), clerk_sync.is_foreign(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.is_deleted(id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if is_deleted.id is null then
    return false;
  end if;

  return exists (
    select
    from clerk_sync.objects
    where objects.id = is_deleted.id
      and deleted_at is not null
  );
end
$$;

comment on function clerk_sync.is_deleted(text) is
  'Whether the register says that the object is deleted. To be relied on only under its lock.';

create function clerk_sync.any_deleted(ids text[])
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  each_id text;
begin
  -- One by one: a plan for all at once that was made while the register was small would read all of
  -- it, for as long as the connection lives.
  foreach each_id in array ids loop
    if clerk_sync.is_deleted(each_id) then
      return true;
    end if;
  end loop;

  return false;
end
$$;

comment on function clerk_sync.any_deleted(text[]) is
  'Whether the register says that any of the objects is deleted.';

revoke all on function clerk_sync.is_deleted(text), clerk_sync.any_deleted(text[])
  from public, anon, authenticated, service_role;

create function clerk_sync.without_stale_address(payload jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Two questions, so that the common answer needs no query.
  if not coalesce(payload ->> 'type' ^@ 'organizationInvitation.', false)
    or jsonb_typeof(payload -> 'data') is distinct from 'object'
  then
    return payload;
  end if;

  if payload #>> '{data,status}' is distinct from 'pending'
    or exists (
      select
      from public.organization_invitations
      where id = payload #>> '{data,id}'
        and status <> 'pending'
    )
    or clerk_sync.is_deleted(payload #>> '{data,organization_id}')
  then
    return payload #- '{data,email_address}' #- '{data,url}';
  end if;

  return payload;
end
$$;

comment on function clerk_sync.without_stale_address(jsonb) is
  'The payload; of an invitation that is not pending any more, or whose organization is deleted, without the address and the link.';

revoke all on function clerk_sync.without_stale_address(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.without_unerasable(payload jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- Asked first, so that the common answer is quick.
  if coalesce(payload ->> 'type', '') !~ '^(organizationDomain|subscription|subscriptionItem|paymentAttempt)\.'
    or jsonb_typeof(payload -> 'data') is distinct from 'object'
  then
    return payload;
  end if;

  if payload ->> 'type' ^@ 'organizationDomain.' then
    return payload #- '{data,affiliation_email_address}';
  end if;

  if jsonb_typeof(payload #> '{data,payer}') = 'object'
    and coalesce(payload #>> '{data,payer,user_id}', '') = ''
  then
    return payload #- '{data,payer,email}' #- '{data,payer,first_name}' #- '{data,payer,last_name}';
  end if;

  return payload;
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

  -- One after the other, in one order for everybody, so that no two deliveries can deadlock. A row
  -- that is missing is made, and nobody else gets past it before this transaction ends.
  if lock_objects.organization_id is null and others = array[own_id] and not deletes then
    -- Most events speak of one user only.
    ids := others;
  else
    ids := array(
      select distinct id collate "C"
      from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id]) as spoken_of (id)
      where id is not null
      order by 1
    );
  end if;

  foreach locked_id in array ids loop
    loop
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
      exit when found;

      insert into clerk_sync.objects (id)
      values (locked_id)
      on conflict (id) do nothing;
      exit when found;
    end loop;
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
  is_foreign boolean,
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
  speaks_of_deleted constant boolean := clerk_sync.any_deleted(keep_in_inbox.subjects);
begin
  insert into clerk_sync.inbox as kept (
    message_id, type, object_id, subjects, instance_id, occurred_at, outcome, error, payload
  )
  values (
    keep_in_inbox.message_id,
    -- These outlive an erasure, so they are taken only when they look like what they are named.
    substring(left(keep_in_inbox.type, 201) from '^[A-Za-z]+\.[A-Za-z]+$'),
    substring(left(keep_in_inbox.payload #>> '{data,id}', 251) from '^[a-z_]+_[A-Za-z0-9]+$'),
    keep_in_inbox.subjects,
    substring(left(keep_in_inbox.payload ->> 'instance_id', 205) from '^ins_[A-Za-z0-9]+$'),
    clerk_sync.to_time(keep_in_inbox.payload -> 'timestamp'),
    keep_in_inbox.outcome,
    case when speaks_of_deleted
      then keep_in_inbox.error - '{message,issues}'::text[]
      else keep_in_inbox.error end,
    case
      when speaks_of_deleted or is_foreign then null
      -- Most events are users', which are kept whole.
      when keep_in_inbox.payload ->> 'type' ^@ 'user.' then keep_in_inbox.payload
      when clerk_sync.may_keep_payload(keep_in_inbox.payload)
      then clerk_sync.without_stale_address(clerk_sync.without_unerasable(keep_in_inbox.payload))
    end
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

comment on function clerk_sync.keep_in_inbox(text, text, text[], jsonb, boolean, text, jsonb) is
  'Writes the inbox row and returns the outcome, or duplicate when the message was done meanwhile. Keeps no payload of another instance, and neither payload nor error text that speaks of a deleted user.';

revoke all on function clerk_sync.keep_in_inbox(text, text, text[], jsonb, boolean, text, jsonb)
  from public, anon, authenticated, service_role;
