-- Snapshots: pages of objects as Clerk's Backend API lists them, for backfill and reconcile. The same
-- mapping, locks, order and announcements as an event, for many objects at once. A snapshot is an
-- observation like an event, ordered by (updated_at, time of the response, '').

create type clerk_sync.observation as (
  id text,
  version bigint,
  organization_id text,
  user_id text,
  data jsonb
);

comment on type clerk_sync.observation is
  'One object of a page as it was read: id, version (ms since the epoch; null when unreadable), organization_id and user_id of a membership or an invitation, and Clerk''s object itself.';

create function clerk_sync.observe(kind text, data jsonb, observed_at bigint)
returns clerk_sync.observation
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  observed constant timestamptz := to_timestamp(observe.observed_at / 1000.0);
  updated_at timestamptz := clerk_sync.to_time(data -> 'updated_at');
  reading clerk_sync.reading;
begin
  -- As clerk_sync.read_event does, with the response's time for the envelope's.
  if updated_at > observed + interval '10 minutes' then
    updated_at := observed;
  end if;

  reading.kind := observe.kind;
  reading.deletes := false;
  reading.own_id := data ->> 'id';
  reading.version := 1000 * extract(epoch from coalesce(updated_at, observed));
  if kind = 'membership' then
    reading.organization_id := data #>> '{organization,id}';
    reading.user_id := clerk_sync.member_of(reading.own_id, data);
  elsif kind = 'invitation' then
    reading.organization_id := data ->> 'organization_id';
  end if;

  return row(
    reading.own_id,
    case
      when clerk_sync.issue_in(reading) is null and (kind <> 'invitation' or data ->> 'status' is not null)
      then reading.version
    end,
    reading.organization_id,
    reading.user_id,
    data
  )::clerk_sync.observation;
end
$$;

comment on function clerk_sync.observe(text, jsonb, bigint) is
  'Reads one object of a page, by the rules for events.';

create function clerk_sync.lock_page(written_ids text[], organization_ids text[])
returns setof clerk_sync.objects
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  each_lock record;
  known clerk_sync.objects;
begin
  -- As clerk_sync.lock_objects does: in id order, and a missing row is inserted.
  for each_lock in
    select
      id collate "C" as id,
      bool_or(is_written) as is_written
    from (
      select unnest(written_ids), true
      union all
      select unnest(organization_ids), false
    ) as wanted (id, is_written)
    where id is not null
    group by id collate "C"
    order by id collate "C"
  loop
    loop
      if each_lock.is_written then
        select * into known from clerk_sync.objects where id = each_lock.id for no key update;
      else
        select * into known from clerk_sync.objects where id = each_lock.id for key share;
      end if;
      exit when found;

      insert into clerk_sync.objects (id)
      values (each_lock.id)
      on conflict (id) do nothing
      returning * into known;
      exit when found;
    end loop;

    return next known;
  end loop;
end
$$;

comment on function clerk_sync.lock_page(text[], text[]) is
  'Creates, locks and returns the register rows of the objects that a page writes, the users whose memberships it writes among them, and of their organizations.';

create function clerk_sync.with_kept(kind text, data jsonb, kept jsonb)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  filled jsonb := data;
begin
  if kept is null then
    return data;
  end if;

  if kind = 'user' then
    if not data ? 'email_addresses' then
      filled := filled || jsonb_build_object(
        'email_addresses', (
          select coalesce(jsonb_agg(jsonb_build_object(
            'id', address,
            'email_address', address,
            'verification', jsonb_build_object('status', case when is_verified then 'verified' end)
          )), '[]')
          from (
            select address, true
            from jsonb_array_elements_text(kept -> 'verified_emails') as address
            union
            select kept ->> 'email', (kept -> 'email_verified')::boolean
            where kept ->> 'email' is not null
          ) as known (address, is_verified)
        ),
        'primary_email_address_id', kept -> 'email'
      );
    elsif not data ? 'primary_email_address_id' then
      filled := filled || jsonb_build_object('primary_email_address_id', jsonb_path_query_first(
        data, '$.email_addresses[*] ? (@.email_address == $email).id', jsonb_build_object('email', kept -> 'email')));
    end if;

    if not data ? 'phone_numbers' then
      filled := filled || jsonb_build_object(
        'phone_numbers', jsonb_build_array(jsonb_build_object(
          'id', kept -> 'phone',
          'phone_number', kept -> 'phone',
          'verification', jsonb_build_object(
            'status', case when (kept -> 'phone_verified')::boolean then 'verified' end)
        )),
        'primary_phone_number_id', kept -> 'phone'
      );
    elsif not data ? 'primary_phone_number_id' then
      filled := filled || jsonb_build_object('primary_phone_number_id', jsonb_path_query_first(
        data, '$.phone_numbers[*] ? (@.phone_number == $phone).id', jsonb_build_object('phone', kept -> 'phone')));
    end if;
  end if;

  -- All other columns have the name of their property, and the mapping reads our times, too.
  return kept || filled;
end
$$;

comment on function clerk_sync.with_kept(text, jsonb, jsonb) is
  'Clerk''s object, in which every property that is absent has the value that is kept here, so that its column stays as it is.';

create function clerk_sync.upsert(kind text, page clerk_sync.observation[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  objects constant jsonb[] := array(select data from unnest(page) order by id collate "C");
begin
  case kind
    when 'user' then perform clerk_sync.upsert_profiles(objects);
    when 'organization' then perform clerk_sync.upsert_organizations(objects);
    when 'membership' then
      perform clerk_sync.upsert_memberships(
        objects, array(select user_id from unnest(page) order by id collate "C"));
    when 'invitation' then perform clerk_sync.upsert_invitations(objects);
  end case;
end
$$;

comment on function clerk_sync.upsert(text, clerk_sync.observation[]) is
  'Writes the rows of a page, in the order of their ids.';

create function clerk_sync.apply_page(kind text, page clerk_sync.observation[], observed_at bigint)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  -- What moves without a change of the object.
  volatile_properties constant text[] := '{last_sign_in_at,last_active_at,members_count}';
  fresh clerk_sync.observation[];
  before jsonb;
  written clerk_sync.observation[];
  each_one clerk_sync.observation;
  counts jsonb;
begin
  with known as materialized (
    select *
    from clerk_sync.lock_page(
      array(
        select id from unnest(page)
        union
        select user_id from unnest(page) where kind = 'membership'
      ),
      array(select organization_id from unnest(page))
    )
  ),
  judged as (
    select
      given,
      case
        when own.deleted_at is not null
          or organization.deleted_at is not null
          or member.deleted_at is not null
          then 'gone'
        when (own.version, own.observed_at, own.message_id) > (given.version, apply_page.observed_at, '') then 'stale'
        -- Its user, its organization or it itself went, and it came back without them.
        when kind = 'membership' and given.user_id is null then 'unreadable'
      end as verdict
    from unnest(page) as given
    join known as own on own.id = given.id
    left join known as organization on organization.id = given.organization_id
    left join known as member on member.id = given.user_id and kind = 'membership'
  )
  select
    coalesce(array_agg(given order by (given).id collate "C") filter (where verdict is null), '{}'),
    jsonb_build_object(
      'gone', count(*) filter (where verdict = 'gone'),
      'stale', count(*) filter (where verdict = 'stale'),
      'unreadable', coalesce(jsonb_agg((given).id) filter (where verdict = 'unreadable'), '[]')
    )
  into fresh, counts
  from judged;

  -- As every event of a child does: what is stale or gone adds the rows of its parents, too, so that the
  -- rows do not depend on the order of arrival.
  if kind = 'membership' then
    perform clerk_sync.add_profile(user_id)
    from (select distinct user_id from unnest(page) where user_id is not null order by user_id) as member;

    -- The deletion may have come first, and need not tell the user.
    perform clerk_sync.remember_membership_deletion(given.user_id, given.organization_id, objects.deleted_at)
    from unnest(page) as given
    join clerk_sync.objects on objects.id = given.id
    where objects.deleted_at is not null
      and given.user_id is not null;
  end if;
  if kind in ('membership', 'invitation') then
    perform clerk_sync.add_organization(organization_id)
    from (
      select distinct organization_id
      from unnest(page)
      where user_id is not null
        or kind = 'invitation'
      order by organization_id
    ) as parent;
  end if;

  if kind = 'user' then
    -- A changed name reaches the person's memberships. Locked for the whole page in one order, so that
    -- the deletion of an organization at the same time cannot deadlock.
    perform
    from public.organization_memberships
    where user_id = any (array(
      select given.id
      from unnest(fresh) as given
      join public.profiles as kept on kept.id = given.id
      where (kept.first_name, kept.last_name, kept.username, kept.image_url) is distinct from (
        given.data ->> 'first_name', given.data ->> 'last_name', given.data ->> 'username',
        given.data ->> 'image_url'
      )
    ))
    order by id
    for no key update;
  end if;

  before := (
    select coalesce(jsonb_object_agg(id, clerk_sync.kept_row(kind, id)), '{}')
    from unnest(fresh)
  );

  perform clerk_sync.upsert(kind, array(
    select row(
      id, version, organization_id, user_id,
      clerk_sync.with_kept(
        kind,
        case jsonb_typeof(before -> id) when 'object' then data - volatile_properties else data end,
        nullif(before -> id, 'null'))
    )::clerk_sync.observation
    from unnest(fresh)
  ));

  written := array(
    select given
    from unnest(fresh) as given
    where case jsonb_typeof(before -> given.id)
      when 'object' then clerk_sync.kept_row(kind, given.id) <> before -> given.id
      else true
    end
  );

  foreach each_one in array written loop
    perform clerk_sync.claim_version(each_one.id, each_one.version, apply_page.observed_at, '');
  end loop;

  -- Rows that are written anyway get what moves by itself, too.
  perform clerk_sync.upsert(kind, array(
    select row(id, version, organization_id, user_id, clerk_sync.with_kept(kind, data, before -> id))::clerk_sync.observation
    from unnest(written)
    where jsonb_typeof(before -> id) = 'object'
      and data ?| volatile_properties
  ));

  return counts || jsonb_build_object(
    'missing', (select coalesce(jsonb_agg(id), '[]') from unnest(written) where jsonb_typeof(before -> id) = 'null'),
    'outdated', (select coalesce(jsonb_agg(id), '[]') from unnest(written) where jsonb_typeof(before -> id) = 'object'),
    'unchanged', cardinality(fresh) - cardinality(written)
  );
end
$$;

comment on function clerk_sync.apply_page(text, clerk_sync.observation[], bigint) is
  'Locks everything that a page writes, and writes what is newer than what is known and differs from it, but for times and counts that move by themselves. Returns {missing, outdated, unreadable: [id], unchanged, stale, gone: counts}.';

create function clerk_sync.apply_page_of_roles(kind text, page clerk_sync.observation[], observed_at bigint)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  each_one record;
  reading clerk_sync.reading;
  counts jsonb := '{"missing": [], "outdated": [], "unreadable": [], "unchanged": 0, "stale": 0, "gone": 0}';
  kept jsonb;
  filled jsonb;
  verdict text;
begin
  reading.kind := apply_page_of_roles.kind;
  reading.deletes := false;
  reading.observed_at := apply_page_of_roles.observed_at;

  -- Few, so one by one, as events are.
  for each_one in
    select
      given.id,
      given.version,
      given.data,
      known.version as known_version,
      (known.version, known.observed_at, known.message_id)
        > (given.version, apply_page_of_roles.observed_at, '') as is_stale,
      known.deleted_at
    from clerk_sync.lock_page(array(select id from unnest(page)), '{}') as known
    join unnest(page) as given on given.id = known.id
    order by given.id collate "C"
  loop
    kept := (
      select to_jsonb(roles) - '{permission_keys,synced_at}'::text[]
      from public.organization_roles as roles
      where roles.id = each_one.id
    );
    filled := clerk_sync.with_kept(kind, each_one.data, kept || jsonb_build_object('permissions', (
      select coalesce(jsonb_agg(jsonb_build_object('id', permission_id)), '[]')
      from jsonb_array_elements(kept -> 'permission_ids') as permission_id
    )));
    verdict := case
      when each_one.deleted_at is not null then 'gone'
      when each_one.is_stale then 'stale'
      when each_one.known_version = 0 then 'missing'
      when kind = 'permission' and each_one.known_version = each_one.version then 'unchanged'
      when to_jsonb(clerk_sync.role_from_clerk(filled)) - '{permission_keys,synced_at}'::text[] = kept then 'unchanged'
      else 'outdated'
    end;

    -- What is unchanged, stale or gone tells keys, too, as every event does. Version 0 claims nothing.
    reading.own_id := each_one.id;
    reading.version := case verdict when 'unchanged' then 0 else each_one.version end;
    perform clerk_sync.apply_role_or_permission('', reading, filled);

    counts := jsonb_set(counts, array[verdict], case jsonb_typeof(counts -> verdict)
      when 'array' then (counts -> verdict) || to_jsonb(each_one.id)
      else to_jsonb((counts -> verdict)::integer + 1)
    end);
  end loop;

  return counts;
end
$$;

comment on function clerk_sync.apply_page_of_roles(text, clerk_sync.observation[], bigint) is
  'What clerk_sync.apply_page does, for roles and permissions.';

create function public.ingest_clerk_snapshot(
  kind text,
  observed_at bigint,
  objects jsonb,
  dry_run boolean default false,
  quiet boolean default false
)
returns jsonb
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  page clerk_sync.observation[];
  unreadable jsonb;
  counts jsonb;
begin
  if kind is null or kind not in ('user', 'organization', 'membership', 'invitation', 'role', 'permission') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('Cannot take the page as its kind is unknown: %s', coalesce(kind, 'null'));
  end if;
  if observed_at is null or observed_at > 1000 * extract(epoch from clock_timestamp() + interval '1 minute') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format(
        'Cannot take the page as it was observed in the future: %s ms since the epoch', coalesce(observed_at::text, 'null')),
      hint = 'Check the clocks of the database and of whoever gave the time. It should be the Date of Clerk''s response.';
  end if;
  if jsonb_typeof(objects) = 'string' then
    objects := (objects #>> '{}')::jsonb;
  end if;
  if jsonb_typeof(objects) is distinct from 'array' or jsonb_array_length(objects) > 500 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = 'Cannot take the page as it is no array of at most 500 objects';
  end if;

  with observed as (
    select clerk_sync.observe(ingest_clerk_snapshot.kind, object, ingest_clerk_snapshot.observed_at) as one
    from jsonb_array_elements(objects) as object
  ),
  -- A row can move from page to page while Clerk lists them, and within a page, too.
  newest as (
    select distinct on ((one).id collate "C") one
    from observed
    where (one).version is not null
    order by (one).id collate "C", (one).version desc
  )
  select
    coalesce((select array_agg(one) from newest), '{}'),
    (select coalesce(jsonb_agg((one).id), '[]') from observed where (one).version is null)
  into page, unreadable;

  perform
    set_config('clerk_sync.caused_by', '', true),
    set_config('clerk_sync.via', 'snapshot', true),
    set_config('clerk_sync.quiet', case when quiet then 'on' else '' end, true);

  begin
    if kind in ('role', 'permission') then
      counts := clerk_sync.apply_page_of_roles(kind, page, observed_at);
    else
      counts := clerk_sync.apply_page(kind, page, observed_at);
    end if;

    -- Deferred constraints of the application refuse here, and not at commit.
    set constraints all immediate;

    if dry_run then
      raise exception using errcode = 'CS001';
    end if;
  exception
    when sqlstate 'CS001' then null;
  end;

  return counts || jsonb_build_object('unreadable', unreadable || (counts -> 'unreadable'));
end
$$;

comment on function public.ingest_clerk_snapshot(text, bigint, jsonb, boolean, boolean) is
  'Takes a page of Clerk''s objects of one kind (user, organization, membership, invitation, role, permission), at most 500, as an array or as a JSON string with its text, as observed at a time (ms since the epoch; the Date of Clerk''s response). Returns {missing, outdated, unreadable: [id], unchanged, stale, gone: counts}. All or nothing: raises what the application''s triggers and constraints raise, and 22023 for bad arguments. dry_run applies the page and rolls it back. quiet announces nothing.';

revoke all on function public.ingest_clerk_snapshot(text, bigint, jsonb, boolean, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.ingest_clerk_snapshot(text, bigint, jsonb, boolean, boolean)
  to clerk_worker, service_role;
