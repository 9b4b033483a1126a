-- Removes the sync, all of it or, when something still uses it, nothing: this is one statement.
-- Our tables in public stay with their rows, unless drop_tables is true. RLS stays on and our policies
-- go, so clients read nothing from them until you write policies of your own.

do $uninstall$
declare
  drop_tables constant boolean := {{drop_tables}};
  functions constant text[] := array[
    {{functions}}
  ];
  tables constant text[] := array[
    {{tables}}
  ];
  -- Columns of the tables in public; any other column is the application's.
  columns constant text[] := array[
    {{columns}}
  ];
  types constant text[] := array[{{types}}];
  policies constant text[] := array[
    {{policies}}
  ];
  queues constant text[] := array[{{queues}}];
  -- What a function or a job that uses the sync has in its text. Postgres records no dependencies of those.
  mention constant text := {{mention}};

  our_functions regprocedure[];
  gone_tables regclass[];
  kept_tables regclass[];
  dependants text[];
  each_name text;
  each_row record;
begin
  if to_regnamespace('clerk_sync') is null then
    raise notice 'clerk-sync is not in this database';
    return;
  end if;

  our_functions := array(
    select procedure from (select to_regprocedure(name) as procedure from unnest(functions) as name) as resolved
    where procedure is not null
  );
  gone_tables := array(
    select relation
    from (
      select to_regclass(name) as relation
      from unnest(tables) as name
      where drop_tables or name !~ '^public\.'

      union all
      select to_regclass('pgmq.' || kind || '_' || queue)
      from unnest(queues) as queue, unnest(array['q', 'a']) as kind
    ) as resolved
    where relation is not null
  );
  kept_tables := array(
    select to_regclass(name)
    from unnest(tables) as name
    where not drop_tables and name ~ '^public\.' and to_regclass(name) is not null
  );

  -- First look who uses it ------------------------------------------------------------------------

  with removed as (
    select 'pg_namespace'::regclass as classid, oid as objid
    from pg_namespace
    where nspname in ('clerk', 'clerk_sync')

    union all
    select 'pg_proc'::regclass, procedure::oid
    from unnest(our_functions) as procedure

    union all
    select 'pg_class'::regclass, relation::oid
    from unnest(gone_tables) as relation

    union all
    select 'pg_class'::regclass, indexrelid
    from pg_index
    where indrelid = any (gone_tables)

    -- A column with an identity or a serial has a sequence.
    union all
    select 'pg_class'::regclass, objid
    from pg_depend
    where classid = 'pg_class'::regclass
      and refclassid = 'pg_class'::regclass
      and refobjid = any (gone_tables::oid[])
      and deptype in ('a', 'i')

    union all
    select 'pg_type'::regclass, pg_type.oid
    from pg_type
    left join pg_type as element on element.typarray = pg_type.oid
    where greatest(pg_type.typrelid, element.typrelid) = any (gone_tables::oid[])
      or format('clerk_sync.%I', coalesce(element.typname, pg_type.typname)) = any (types)
        and pg_type.typnamespace = to_regnamespace('clerk_sync')

    -- The relation behind a composite type.
    union all
    select 'pg_class'::regclass, typrelid
    from pg_type
    where typnamespace = to_regnamespace('clerk_sync') and typrelid <> 0
      and format('clerk_sync.%I', typname) = any (types)

    union all
    select 'pg_constraint'::regclass, oid
    from pg_constraint
    where conrelid = any (gone_tables)

    union all
    select 'pg_attrdef'::regclass, oid
    from pg_attrdef
    where adrelid = any (gone_tables)

    union all
    select 'pg_trigger'::regclass, oid
    from pg_trigger
    where tgrelid = any (gone_tables)
      or tgrelid = any (kept_tables) and tgfoid = any (our_functions)

    union all
    select 'pg_policy'::regclass, oid
    from pg_policy
    where polrelid = any (gone_tables)
      or format('%s on %s.%I', polname, (
        select relnamespace::regnamespace from pg_class where pg_class.oid = polrelid
      ), (select relname from pg_class where pg_class.oid = polrelid)) = any (policies)
  ),
  using_them as (
    -- Exactly what restrict would refuse.
    select pg_depend.classid, pg_depend.objid, pg_depend.objsubid
    from pg_depend
    join removed on pg_depend.refclassid = removed.classid and pg_depend.refobjid = removed.objid
    where pg_depend.deptype = 'n'
      and not exists (
        select from removed as other
        where other.classid = pg_depend.classid and other.objid = pg_depend.objid
      )
  )
  select array_agg(distinct named.dependant order by named.dependant)
  into dependants
  from (
    select case
        when rule.oid is null then identity.type || ' ' || identity.identity
        else
          (pg_identify_object('pg_class'::regclass, rule.ev_class, 0)).type
          || ' ' || (pg_identify_object('pg_class'::regclass, rule.ev_class, 0)).identity
      end as dependant
    from using_them
    left join pg_rewrite as rule on using_them.classid = 'pg_rewrite'::regclass and rule.oid = using_them.objid
    cross join pg_identify_object(using_them.classid, using_them.objid, using_them.objsubid) as identity

    union all
    select 'function ' || (pg_identify_object('pg_proc'::regclass, oid, 0)).identity
    from pg_proc
    where prosrc ~ mention
      and oid <> all (our_functions)
      and pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      and not exists (
        select from pg_depend
        where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e'
      )

    union all
    select 'column ' || (pg_identify_object('pg_class'::regclass, attrelid, attnum)).identity
    from pg_attribute
    where attrelid = any (gone_tables)
      and attnum > 0
      and not attisdropped
      and (select relnamespace from pg_class where pg_class.oid = attrelid) = 'public'::regnamespace
      and format('%s.%s', (select relname from pg_class where pg_class.oid = attrelid), attname) <> all (columns)
  ) as named;

  if to_regclass('cron.job') is not null then
    for each_row in
      -- stop_schedule() removes those of the sync.
      execute $cron$select jobid, jobname from cron.job where command ~ $1 and coalesce(jobname !~ '^clerk-', true)$cron$
      using mention
    loop
      dependants := dependants || format('cron job %s', coalesce(each_row.jobname, each_row.jobid::text));
    end loop;
  end if;

  if dependants <> '{}' then
    raise exception using
      errcode = 'dependent_objects_still_exist',
      message = format(
        'Cannot remove clerk-sync as your application uses it: change or drop %s first; nothing was removed',
        array_to_string(dependants, ', ')),
      detail = to_jsonb(dependants)::text;
  end if;

  -- Then remove it --------------------------------------------------------------------------------

  perform clerk_sync.stop_schedule();

  if to_regclass('vault.secrets') is not null then
    execute $vault$
      delete from vault.secrets where name in ('clerk_worker_url', 'clerk_worker_secret')
    $vault$;
  end if;

  for each_row in
    select tgname, tgrelid::regclass as relation
    from pg_trigger
    where tgrelid = any (gone_tables || kept_tables) and tgfoid = any (our_functions)
  loop
    execute format('drop trigger %I on %s restrict', each_row.tgname, each_row.relation);
  end loop;

  foreach each_name in array policies loop
    if to_regclass(split_part(each_name, ' on ', 2)) is not null then
      execute 'drop policy if exists ' || each_name;
    end if;
  end loop;

  for each_row in
    select format('%I.%I', schemaname, tablename) as relation
    from pg_publication_tables
    where pubname = 'supabase_realtime'
      and not (select puballtables from pg_publication where pg_publication.pubname = 'supabase_realtime')
      and format('%I.%I', schemaname, tablename)::regclass = any (kept_tables)
  loop
    execute format('alter publication supabase_realtime drop table %s', each_row.relation);
  end loop;

  execute format('drop function %s restrict', array_to_string(our_functions, ', '));

  foreach each_name in array queues loop
    perform pgmq.drop_queue(each_name);
  end loop;

  -- Some have the rows of our tables for columns.
  execute format('drop type %s restrict', (
    select string_agg(name, ', ') from unnest(types) as name where to_regtype(name) is not null
  ));
  execute format('drop table %s restrict', (
    select string_agg(relation::text, ', ')
    from unnest(gone_tables) as relation
    where exists (select from pg_class where oid = relation)
  ));
  drop schema clerk_sync restrict;
  drop schema clerk restrict;

  -- The roles belong to the cluster: they stay if another database or the application uses them.
  foreach each_name in array array['clerk_ingest', 'clerk_worker'] loop
    continue when to_regrole(each_name) is null;
    execute format('revoke usage on schema public from %I', each_name);
    -- Not left to the drop: it fails with another error when such a database is dropped at that moment.
    if exists (
      select from pg_shdepend
      where refclassid = 'pg_authid'::regclass
        and refobjid = to_regrole(each_name)
        and dbid not in (0, (select oid from pg_database where datname = current_database()))
    ) then
      raise notice 'Role % stays: another database uses it', each_name;
      continue;
    end if;
    begin
      execute format('drop role %I', each_name);
    exception
      when dependent_objects_still_exist or insufficient_privilege then
        raise notice 'Role % stays: %', each_name, sqlerrm;
    end;
  end loop;
end
$uninstall$;
