-- Replay: messages of the inbox that were not applied are put through the sync again, or given up. Their
-- payloads stay in the database.

create function public.list_clerk_messages(
  outcomes text[] default '{failed,unreadable}',
  type text default null,
  since timestamptz default null,
  until timestamptz default null,
  object_id text default null,
  message_id text default null,
  after jsonb default null,
  newest_first boolean default false,
  max_rows integer default 100,
  with_payload boolean default false,
  id_part text default null
)
returns jsonb
language plpgsql
stable
-- Definer, because service_role has no right on the inbox.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  listed jsonb;
begin
  -- Planned anew for every call, so that each filter can use its index.
  execute format(
    $query$
      with selection as not materialized (
        select *
        from clerk_sync.inbox
        where ($1 is null or outcome = any ($1))
          and ($2 is null or type = $2)
          and ($3 is null or received_at >= $3)
          and ($4 is null or received_at < $4)
          and (
            $5 is null
            or object_id = $5
            or (cardinality(subjects) = 1 and subjects[1] = $5)
            or (cardinality(subjects) > 1 and subjects @> array[$5])
          )
          and ($6 is null or message_id = $6)
          and ($11 is null or strpos(message_id, $11) > 0 or strpos(object_id, $11) > 0)
      ),
      page as (
        select *
        from selection
        where $7 is null or (received_at, message_id) %1$s ($7, $8)
        order by received_at %2$s, message_id %2$s
        limit $9
      )
      select jsonb_build_object(
        'messages', coalesce(
          jsonb_agg(
            jsonb_build_object(
              'message_id', message_id,
              'type', type,
              'object_id', object_id,
              'occurred_at', occurred_at,
              'received_at', received_at,
              'last_delivered_at', last_delivered_at,
              'deliveries', deliveries,
              'outcome', outcome,
              'error', error,
              'has_payload', payload is not null
            ) || case when $10 then jsonb_build_object('payload', payload::text) else '{}' end
            order by received_at %2$s, message_id %2$s
          ),
          '[]'
        ),
        'total', case when $7 is null then (
          select count(*) from (select from selection limit 10000) as counted
        ) end
      )
      from page
    $query$,
    case when newest_first then '<' else '>' end,
    case when newest_first then 'desc' else 'asc' end
  )
  into listed
  using
    outcomes, type, since, until, object_id, message_id,
    (after ->> 'received_at')::timestamptz, after ->> 'message_id',
    least(greatest(max_rows, 1), 500), with_payload, id_part;

  return listed;
end
$$;

comment on function public.list_clerk_messages(text[], text, timestamptz, timestamptz, text, text, jsonb, boolean, integer, boolean, text) is
  'Messages of the inbox, oldest first: {messages: [{message_id, type, object_id, occurred_at, received_at, last_delivered_at, deliveries, outcome, error, has_payload, payload? (JSON text)}], total: how many there are, 10,000 at most, on the first page only}. outcomes: null for any. since, until: of received_at. object_id: messages about this object and, of a user, those that mention the user. id_part: a part of the id of the message or of its object, which reads all messages until it has found enough. after: the last message of the page before. max_rows: 1 to 500.';

create function public.replay_clerk_message(
  message_id text,
  dropped text[] default null,
  as_type text default null,
  dry_run boolean default false
)
returns jsonb
language plpgsql
volatile
-- Definer, because service_role has no right on any table of the sync.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  stored clerk_sync.inbox;
  result jsonb;
begin
  select * into stored
  from clerk_sync.inbox
  where inbox.message_id = replay_clerk_message.message_id;

  if not found then
    return '{"outcome": "unknown"}';
  end if;
  if stored.outcome not in ('failed', 'unreadable') then
    return '{"outcome": "duplicate"}';
  end if;
  if stored.payload is null then
    return jsonb_build_object('outcome', stored.outcome, 'issues', '[{"path": "", "code": "no_payload"}]'::jsonb);
  end if;
  -- Only the schemas of the functions can tell whether it can be read by now.
  if stored.outcome = 'unreadable' and dropped is null then
    return jsonb_build_object('outcome', 'unreadable', 'issues', coalesce(stored.error -> 'issues', '[]'));
  end if;

  -- NOTE: the inbox row is not locked here: a delivery locks the register first. Whatever happens to the
  -- message meanwhile, happens to a delivery in flight, too.
  begin
    result := public.ingest_clerk_event(
      message_id,
      coalesce(stored.payload -> 'raw', stored.payload),
      coalesce(dropped, '{}'),
      coalesce(as_type, stored.error ->> 'as_type'),
      is_delivery => false);
    if result ->> 'outcome' = 'failed' then
      result := result || (
        select error - 'as_type'
        from clerk_sync.inbox
        where inbox.message_id = replay_clerk_message.message_id
      );
    end if;

    if dry_run then
      raise exception using errcode = 'CS001';
    end if;
  exception
    when sqlstate 'CS001' then null;
  end;

  return result;
end
$$;

comment on function public.replay_clerk_message(text, text[], text, boolean) is
  'Puts a failed or unreadable message of the inbox through the sync again, as a delivery would, but counts none. Returns {outcome, sqlstate?, message?, issues?}: what ingest_clerk_event returns (duplicate: settled already), or unknown. An unreadable message must have been read by the schemas of the functions first, and dropped and as_type are what they found, as for ingest_clerk_event; without dropped it stays unreadable. dry_run does it and rolls back. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again.';

create function public.discard_clerk_messages(message_ids text[])
returns text[]
language plpgsql
volatile
-- Definer, because service_role has no right on the inbox.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  discarded text[];
begin
  -- Locked in the order in which an erasure locks them.
  with waiting as (
    select message_id
    from clerk_sync.inbox
    where message_id = any (message_ids)
      and outcome in ('failed', 'unreadable')
    order by message_id
    for no key update
  ),
  settled as (
    update clerk_sync.inbox
    set
      outcome = 'discarded',
      payload = null
    from waiting
    where inbox.message_id = waiting.message_id
    returning inbox.message_id
  )
  select coalesce(array_agg(message_id order by message_id), '{}') into discarded
  from settled;

  return discarded;
end
$$;

comment on function public.discard_clerk_messages(text[]) is
  'Gives failed and unreadable messages up: their outcome becomes discarded and their payload is erased; the error stays. Returns the ids of those that were waiting. If Clerk delivers such a message again and it can be applied, it is; if not, it stays discarded and the delivery is a duplicate.';

revoke all on function
  public.list_clerk_messages(text[], text, timestamptz, timestamptz, text, text, jsonb, boolean, integer, boolean, text),
  public.replay_clerk_message(text, text[], text, boolean),
  public.discard_clerk_messages(text[])
  from public, anon, authenticated, service_role;

grant execute on function
  public.list_clerk_messages(text[], text, timestamptz, timestamptz, text, text, jsonb, boolean, integer, boolean, text),
  public.replay_clerk_message(text, text[], text, boolean),
  public.discard_clerk_messages(text[])
  to service_role;
