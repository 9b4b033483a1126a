-- The values that Clerk sends: times, counts, ids. Only what would break a table, an index or a lock
-- is checked here; the function has checked the types of everything else.

create function clerk_sync.to_time(value jsonb)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  number numeric;
  at timestamptz;
begin
  if jsonb_typeof(value) = 'number' then
    number := value::numeric;
    return case
      when number < 1 or number > 8640000000000000 then null
      when number < 100000000000 then to_timestamp(trunc(number * 1000) / 1000)
      else to_timestamp(trunc(number) / 1000)
    end;
  end if;

  if jsonb_typeof(value) = 'string'
    and value #>> '{}' ~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$'
  then
    begin
      at := date_trunc('milliseconds', (value #>> '{}')::timestamptz);
    exception
      -- 30 February. NOTE: pg_input_is_valid() needs Postgres 16.
      when data_exception then
        return null;
    end;
    -- Go's zero time (year 1) is no time, and a version before it would never apply.
    return case when at > to_timestamp(0) then at end;
  end if;

  return null;
end
$$;

comment on function clerk_sync.to_time(jsonb) is
  'A time of Clerk''s, to the millisecond. Real deliveries carry ms since the epoch, examples and test sends seconds (below 1e11), very old data RFC 3339; anything else is null.';

create function clerk_sync.to_count(value jsonb)
returns integer
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when jsonb_typeof(value) = 'number' and value::numeric between 0 and 2147483647
    then trunc(value::numeric)::integer
  end;
end
$$;

comment on function clerk_sync.to_count(jsonb) is
  'A count of Clerk''s; null when it is not a number that a count can have.';

create function clerk_sync.is_id(id text, prefix text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(length(id) <= 250 and id ~ ('^' || prefix || '_[A-Za-z0-9]+$'), false);
end
$$;

comment on function clerk_sync.is_id(text, text) is
  'Whether a text is a Clerk id with this prefix (a regular expression).';

create function clerk_sync.people_in(data jsonb)
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  id text;
  ids text[] := '{}';
begin
  foreach id in array array[
    data ->> 'id',
    data ->> 'user_id',
    data ->> 'inviter_id',
    data ->> 'created_by',
    data #>> '{public_user_data,user_id}',
    data #>> '{public_inviter_data,user_id}',
    data #>> '{payer,user_id}',
    data #>> '{user,id}',
    data #>> '{actor,id}',
    data #>> '{actor,sub}',
    data #>> '{organization,created_by}'
  ] loop
    continue when id is null or not id ^@ 'user_';

    if clerk_sync.is_id(id, 'user') and id <> all (ids) then
      ids := ids || id;
    end if;
  end loop;

  return ids;
end
$$;

comment on function clerk_sync.people_in(jsonb) is
  'The Clerk user ids (user_…) in the places of an event''s data where Clerk''s schema has an id, each once. Any well-formed id counts.';

create function clerk_sync.user_ids_in(payload jsonb)
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  piece text;
  run text;
  id text;
  ids text[] := '{}';
begin
  -- The text after each user_, up to the next one or to the blank at the end.
  foreach piece in array (string_to_array(coalesce(payload::text, '') || ' ', 'user_'))[2:] loop
    piece := left(piece, 28);
    run := substring(piece from '^[A-Za-z0-9]+');

    -- A real id has 27 letters and digits. The text before it does not matter.
    if length(run) = 27 and substr(piece, 28) not in ('', '_') and 'user_' || run is distinct from id then
      id := 'user_' || run;
      ids := ids || id;
    end if;
  end loop;

  return ids;
end
$$;

comment on function clerk_sync.user_ids_in(jsonb) is
  'What looks like a real Clerk user id (user_ and 27 letters and digits) anywhere in the payload, also within a text or a key. Not sorted; may repeat.';

create function clerk_sync.sorted_ids(ids text[])
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Most messages are about one user only.
  if ids[1] = all (ids) then
    return ids[:1];
  end if;

  return array(select distinct id collate "C" from unnest(ids) as given (id) order by 1);
end
$$;

comment on function clerk_sync.sorted_ids(text[]) is 'The ids in order, each once.';
