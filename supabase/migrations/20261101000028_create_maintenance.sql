-- Retention: prunes what would grow without bound, in batches, so that no transaction takes long. pg_cron
-- does it every night, where it exists; elsewhere, `deno task maintain` does the same from outside.

-- Without it, every batch would read all rows whose payload is gone already.
create index inbox_prunable
  on clerk_sync.inbox (received_at)
  where payload is not null and outcome not in ('failed', 'unreadable');

create index profiles_tombstones
  on public.profiles (deleted_at)
  where deleted_at is not null;

create index organizations_tombstones
  on public.organizations (deleted_at)
  where deleted_at is not null;

create function clerk_sync.purge_tombstones(source text, ids text[], dry_run boolean)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  started constant timestamptz := clock_timestamp();
  each_id text;
  is_there boolean;
  is_gone boolean;
  state text;
  purged text[] := '{}';
  refused jsonb := '[]';
begin
  foreach each_id in array ids loop
    is_gone := false;
    begin
      execute format(
        'select true from %s where id = $1 and deleted_at is not null for update skip locked', source)
      into is_there
      using each_id;

      if is_there then
        -- The application's foreign keys act here: cascade, set null or restrict. Strict, because a trigger
        -- may keep the row without an error.
        execute format('delete from %s where id = $1 returning true', source)
        into strict is_there
        using each_id;
        -- Deferred constraints of the application fail here, not at commit.
        set constraints all immediate;

        is_gone := true;
        if dry_run then
          raise exception 'Undone, because this is a dry run';
        end if;
      end if;
    exception
      when assert_failure or others then
        get stacked diagnostics state = returned_sqlstate;
        if not is_gone then
          refused := refused || jsonb_build_object('id', each_id, 'sqlstate', state);
        end if;
    end;

    if is_gone then
      purged := purged || each_id;
    end if;

    -- A cascade can be slow.
    exit when clock_timestamp() > started + interval '2 seconds';
  end loop;

  return jsonb_build_object('ids', purged, 'refused', refused, 'last', each_id);
end
$$;

comment on function clerk_sync.purge_tombstones(text, text[], boolean) is
  'Deletes tombstones of public.profiles or public.organizations, each within a savepoint, for about 2 s: {ids (deleted), refused: [{id, sqlstate}], last (the last id tried)}. Skips those that are locked. A dry run undoes each deletion.';

create function public.maintain_clerk_sync(
  dry_run boolean default false,
  next jsonb default null,
  batch integer default 2000
)
returns jsonb
language plpgsql
volatile
-- Definer, so that the caller's role needs no right on any table.
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  parts constant text[] := '{messages,payloads,changes,runs,cron_records,profiles,organizations}';
  part constant text := coalesce(next ->> 'part', parts[1]);
  size constant integer := least(greatest(batch, 1), 10000);
  settings clerk_sync.settings;
  source text;
  key text;
  key_type text := 'bigint';
  since text;
  retention interval;
  condition text := 'true';
  due text[];
  times timestamptz[];
  last integer;
  pruned integer;
  report jsonb;
begin
  select * into settings from clerk_sync.settings;

  case part
    when 'messages' then
      source := 'clerk_sync.inbox';
      key := 'message_id';
      key_type := 'text';
      since := 'received_at';
      retention := settings.row_retention;
      -- What failed waits for a replay, however long.
      condition := $sql$ outcome not in ('failed', 'unreadable') $sql$;

    when 'payloads' then
      source := 'clerk_sync.inbox';
      key := 'message_id';
      key_type := 'text';
      since := 'received_at';
      retention := settings.payload_retention;
      condition := format(
        $sql$ payload is not null and outcome not in ('failed', 'unreadable') and received_at > %L $sql$,
        now() - settings.row_retention);

    when 'changes' then
      source := 'pgmq.a_clerk_changes';
      key := 'msg_id';
      since := 'archived_at';
      retention := settings.archive_retention;

    when 'runs' then
      source := 'clerk_sync.runs';
      key := 'id';
      since := 'finished_at';
      retention := '30 days';
      -- The newest of each sort stays, to tell when it was.
      condition := $sql$ exists (
        select
        from clerk_sync.runs as newer
        where newer.id > runs.id
          and newer.finished_at is not null
          and (newer.kind, newer.options, newer.state ? 'abandoned')
            = (runs.kind, runs.options, runs.state ? 'abandoned')
      ) $sql$;

    when 'cron_records' then
      -- Only where pg_cron exists, and lets this role do it.
      if exists (
        select
        from pg_catalog.pg_class
        where relnamespace = to_regnamespace('cron')
          and relname = 'job_run_details'
          and has_schema_privilege(relnamespace, 'usage')
          and has_table_privilege(oid, 'update')
          and has_table_privilege(oid, 'delete')
      ) then
        source := 'cron.job_run_details';
      end if;
      key := 'runid';
      since := 'coalesce(end_time, start_time)';
      retention := '7 days';
      condition := $sql$ jobid in (select jobid from cron.job where jobname ^@ 'clerk-') $sql$;

    when 'profiles', 'organizations' then
      source := case part when 'profiles' then 'public.profiles' else 'public.organizations' end;
      key := 'id';
      since := 'deleted_at';
      retention := settings.purge_after;
  end case;

  -- Read first and locked later, so that a dry run comes to the same rows without writing.
  if source is not null and retention is not null then
    execute format(
      $sql$
        select array_agg(%1$s::text order by %2$s, %1$s), array_agg(%2$s order by %2$s, %1$s)
        from (
          select *
          from %3$s
          where %2$s < $1
            and %4$s
            and %5$s
          order by %2$s, %1$s
          limit $2
        ) as %6$I
      $sql$,
      key, since, source, condition,
      case
        when next ? 'id' then format('(%s, %s) > (%L, %L)', since, key, next ->> 'time', next ->> 'id')
        else 'true'
      end,
      split_part(source, '.', 2))
    into due, times
    using now() - retention, size;
  end if;

  last := coalesce(cardinality(due), 0);
  report := jsonb_build_object('part', part, 'count', last);

  if last > 0 and part in ('profiles', 'organizations') then
    report := report || clerk_sync.purge_tombstones(source, due, coalesce(dry_run, false));
    last := array_position(due, report ->> 'last');
    report := report || jsonb_build_object('count', jsonb_array_length(report -> 'ids'));
  elsif last > 0 and not coalesce(dry_run, false) then
    -- Whatever somebody else is working on is left to the next night.
    execute format(
      case part when 'payloads' then 'update %1$s set payload = null' else 'delete from %1$s' end
      || ' where %2$s in (select %2$s from %1$s where %2$s = any ($1::%4$s[]) and %3$s for update skip locked)',
      source, key, condition, key_type)
    using due;
    get diagnostics pruned = row_count;
    report := report || jsonb_build_object('count', pruned);
  end if;

  return (report - 'last') || case
    when last = size or last < cardinality(due) then
      jsonb_build_object('next', jsonb_build_object('part', part, 'time', times[last], 'id', due[last]))
    when part <> parts[cardinality(parts)] then
      jsonb_build_object('next', jsonb_build_object('part', parts[array_position(parts, part) + 1]))
    else '{}'
  end;
end
$$;

comment on function public.maintain_clerk_sync(boolean, jsonb, integer) is
  'Prunes one batch (1 to 10,000 rows) of what clerk_sync.settings no longer keeps, and returns {part, count, ids? (of tombstones), refused? ([{id, sqlstate}]), next?}. Call it again with next until there is none. Parts: messages and payloads of the inbox, changes (archive of the queue), runs (30 days, and the newest of each sort), cron_records (of our jobs, 7 days), profiles and organizations (tombstones: only if purge_after is set). The register keeps every id, so nothing comes back. A dry run writes nothing, but it tries the deletion of each tombstone, with the application''s triggers, and undoes it.';

revoke all on function public.maintain_clerk_sync(boolean, jsonb, integer)
  from public, anon, authenticated, service_role;

grant execute on function public.maintain_clerk_sync(boolean, jsonb, integer) to service_role;
