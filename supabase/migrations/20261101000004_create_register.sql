-- The register: one row per Clerk id. It makes ordering and erasure work. Its row locks serialize
-- whatever must be serialized; there are no advisory locks.

create table clerk_sync.objects (
  id text collate "C" primary key,
  version bigint not null default 0,
  observed_at bigint not null default 0,
  message_id text collate "C" not null default '',
  deleted_at timestamptz,
  data jsonb,
  subjects text[] not null default '{}',

  -- NOTE: Postgres reads the text of a table's checks anew in each statement that writes, here up to
  -- twice in each delivery.
  constraint objects_only_living_ones_hold_data check (
    case when data is null then subjects = '{}' else deleted_at is null end
  )
)
with (fillfactor = 90);

create index objects_by_subject
  on clerk_sync.objects using gin (subjects)
  where cardinality(subjects) > 0;

comment on table clerk_sync.objects is
  'One row per Clerk id that any event mentioned: the newest version applied, or that it is deleted. (version, observed_at, message_id) is a total order, so the result never depends on the order of arrival.';
comment on column clerk_sync.objects.id is 'Clerk id; its prefix tells the kind (user_…).';
comment on column clerk_sync.objects.version is
  'data.updated_at of the newest event applied, ms since the epoch; 0 when none was.';
comment on column clerk_sync.objects.observed_at is
  'The envelope''s timestamp of that event, ms since the epoch. Decides between equal versions.';
comment on column clerk_sync.objects.message_id is
  'Message id (svix-id) of that event. Decides when both times are equal.';
comment on column clerk_sync.objects.deleted_at is
  'When Clerk deleted the object. Terminal: nothing is applied to this id any more.';
comment on column clerk_sync.objects.data is
  'The newest data of kinds without a table of their own (domains, payment attempts, subscriptions), without what it says about deleted users; null for all others.';
comment on column clerk_sync.objects.subjects is
  'Clerk user ids (user_…) of whom data may speak, sorted. Erasure finds the row by it.';

alter table clerk_sync.objects enable row level security;

create function clerk_sync.is_deleted(id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select
    from clerk_sync.objects
    where objects.id = is_deleted.id
      and deleted_at is not null
  );
end
$$;

comment on function clerk_sync.is_deleted(text) is
  'Whether the register says that the object is deleted. Reliable only under its lock.';

create function clerk_sync.deleted_among(ids text[])
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  each_id text;
  deleted text[] := '{}';
begin
  -- One by one: a plan for all ids at once, made while the register was small, would read all of it
  -- for as long as the connection lives.
  foreach each_id in array ids loop
    perform from clerk_sync.objects where id = each_id and deleted_at is not null;
    if found then
      deleted := deleted || each_id;
    end if;
  end loop;

  return deleted;
end
$$;

comment on function clerk_sync.deleted_among(text[]) is
  'Those of the objects that the register says are deleted.';

create function clerk_sync.lock_objects(
  own_id text,
  deletes boolean,
  organization_id text,
  people text[],
  mentioned text[],
  member_id text default null
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  ids text[];
  rewritten_ids text[] := '{}';
  locked_id text;
  mentions_left integer := 50;
begin
  -- The deletion of a user also removes that user from the data of other objects. An object that
  -- arrives meanwhile is rewritten without waiting for its turn in the order: rare, and retried.
  if deletes and own_id ^@ 'user_' then
    rewritten_ids := array(
      select id
      from clerk_sync.objects
      where cardinality(subjects) > 0
        and subjects @> array[own_id]
    );
  end if;

  if lock_objects.organization_id is null
    and people = array[own_id] and mentioned = people and not deletes
  then
    -- Most events mention one user only.
    ids := people;
  else
    ids := array(
      select distinct id collate "C"
      from unnest(people || mentioned || rewritten_ids || array[own_id, lock_objects.organization_id])
        as every (id)
      where id is not null
      order by 1
    );
  end if;

  -- One after the other, in id order, so that no two deliveries can deadlock. A missing row is
  -- inserted, and nobody else passes it before this transaction ends.
  foreach locked_id in array ids loop
    loop
      if locked_id = own_id and deletes then
        perform from clerk_sync.objects where id = locked_id for update;
      elsif locked_id in (own_id, member_id) or locked_id = any (rewritten_ids) then
        perform from clerk_sync.objects where id = locked_id for no key update;
      elsif locked_id = lock_objects.organization_id then
        -- The weakest lock, so that a storm of joins does not starve an update of the organization.
        perform from clerk_sync.objects where id = locked_id for key share;
      elsif locked_id = any (people) then
        perform from clerk_sync.objects where id = locked_id for share;
      else
        -- What stands in free text may be no id at all, so it gets no row.
        perform from clerk_sync.objects where id = locked_id and mentions_left > 0 for share;
        mentions_left := mentions_left - found::integer;
        exit;
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

comment on function clerk_sync.lock_objects(text, boolean, text, text[], text[], text) is
  'Creates and locks the register rows of everything that an event is about, and locks those of what its free text mentions, if they exist, at most 50. member_id: the user whose memberships the event writes, one event at a time. Must be called before any savepoint: the locks have to outlive an apply that fails, which is what lets an erasure win every race.';

create function clerk_sync.claim_version(id text, version bigint, observed_at bigint, message_id text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  update clerk_sync.objects
  set
    version = claim_version.version,
    observed_at = claim_version.observed_at,
    message_id = claim_version.message_id
  where objects.id = claim_version.id
    and deleted_at is null
    and (objects.version, objects.observed_at, objects.message_id)
      < (claim_version.version, claim_version.observed_at, claim_version.message_id);

  return found;
end
$$;

comment on function clerk_sync.claim_version(text, bigint, bigint, text) is
  'Registers a version; false when a newer one, or a deletion, is already there.';

create function clerk_sync.claim_deletion(id text, observed_at bigint)
returns timestamptz
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  deletion constant timestamptz :=
    coalesce(to_timestamp(claim_deletion.observed_at / 1000.0), now());
begin
  -- NOTE: no comparison of versions. A deletion carries no usable time; it is terminal.
  update clerk_sync.objects
  set
    deleted_at = deletion,
    data = null,
    subjects = '{}'
  where objects.id = claim_deletion.id
    and deleted_at is null;

  return case when found then deletion end;
end
$$;

comment on function clerk_sync.claim_deletion(text, bigint) is
  'Registers a deletion and returns its time; null when it is registered already.';

create function clerk_sync.without_person(value jsonb, person text)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  result text := value::text;
  about jsonb;
begin
  -- A part of a jsonb is written exactly as within the whole, and a text cannot look like one, because
  -- its quotes are escaped. So replacing texts needs no walk through the levels.
  for about in
    select jsonb_path_query(
      value,
      'strict $.** ? (@.id == $person || @.user_id == $person || @.public_user_data.user_id == $person)',
      jsonb_build_object('person', person)
    )
  loop
    result := replace(result, about::text, jsonb_strip_nulls(jsonb_build_object(
      'id', substring(about ->> 'id' from '^[a-z_]+_[A-Za-z0-9]+$'),
      'user_id', substring(about ->> 'user_id' from '^[a-z_]+_[A-Za-z0-9]+$')
    ))::text);
  end loop;

  return result::jsonb;
exception
  -- Nested too deep to search.
  when statement_too_complex then
    return null;
end
$$;

comment on function clerk_sync.without_person(jsonb, text) is
  'The value, in which every object that names the person as its id, its user_id or its member has lost all other members.';

create function clerk_sync.subjects_left(subjects text[], value jsonb)
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select id
    from unnest(subjects_left.subjects) as subject (id)
    where exists (select from clerk_sync.objects where objects.id = subject.id)
      or strpos(value::text, id) > 0
  );
end
$$;

comment on function clerk_sync.subjects_left(text[], jsonb) is
  'The subjects that remain when a person was erased from the value: those that are people, and those that still stand in it. The rest may have been a name that looks like an id.';

create function clerk_sync.keep_data(id text, subjects text[], data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  deleted constant text[] := clerk_sync.deleted_among(keep_data.subjects);
  person text;
begin
  if deleted <> '{}' then
    foreach person in array deleted loop
      keep_data.data := clerk_sync.without_person(keep_data.data, person);
    end loop;

    keep_data.subjects := clerk_sync.subjects_left(keep_data.subjects, keep_data.data);
  end if;

  update clerk_sync.objects
  set
    data = keep_data.data,
    subjects = case when keep_data.data is null then '{}' else keep_data.subjects end
  where objects.id = keep_data.id;
end
$$;

comment on function clerk_sync.keep_data(text, text[], jsonb) is
  'Stores the newest data of an object without a table, without what it says about deleted users.';

create function clerk_sync.erase_from_register(user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  with mentioning as materialized (
    select
      id,
      subjects,
      clerk_sync.without_person(data, user_id) as data
    from clerk_sync.objects
    where cardinality(subjects) > 0
      and subjects @> array[user_id]
  )
  update clerk_sync.objects
  set
    data = mentioning.data,
    subjects = case
      when mentioning.data is null then '{}'
      else clerk_sync.subjects_left(mentioning.subjects, mentioning.data)
    end
  from mentioning
  where objects.id = mentioning.id;
end
$$;

comment on function clerk_sync.erase_from_register(text) is
  'Erases what the data of other objects says about the user. The caller has locked them.';
