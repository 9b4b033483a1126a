-- What the database knows about this installation, for `doctor`: facts, and no verdict. Reads only.

create function clerk_sync.grants_in(acl aclitem[], kind "char", owner oid)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
return (
  -- A null ACL means the built-in default. The owner has all rights, and versions of Postgres differ in which.
  select coalesce(string_agg(grantee || '=' || privileges, ' ' order by grantee), '')
  from (
    select
      coalesce(nullif(grantee, 0)::regrole::text, 'public') as grantee,
      string_agg(privilege_type || case when is_grantable then '*' else '' end, ',' order by privilege_type) as privileges
    from aclexplode(coalesce(acl, acldefault(kind, owner)))
    where grantee <> owner
    group by grantee
  ) as granted
);

comment on function clerk_sync.grants_in(aclitem[], "char", oid) is
  'The rights on an object of a kind, as acldefault() calls it: anon=SELECT authenticated=INSERT,SELECT; * is the right to grant. Without the owner''s.';

create function clerk_sync.object_facts()
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  owner constant oid := (select nspowner from pg_namespace where nspname = 'clerk_sync');
begin
  return (
    with ours as (
      select
        pg_class.*,
        relnamespace = to_regnamespace('pgmq') as is_queue,
        format('%I.%I', nspname, relname) as name
      from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
      where relkind in ('r', 'p', 'S', 'c')
        and (
          nspname in ('clerk', 'clerk_sync')
          or (nspname = 'pgmq' and relname ~ '^[qa]_clerk_')
          or pg_class.oid in (
            to_regclass('public.profiles'),
            to_regclass('public.organizations'),
            to_regclass('public.organization_memberships'),
            to_regclass('public.organization_roles'),
            to_regclass('public.organization_invitations'),
            to_regclass('public.subscription_items')
          )
        )
    ),
    functions as (
      select
        pg_proc.*,
        format('%I.%I(%s)', nspname, proname, oidvectortypes(proargtypes)) as name
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      where prokind in ('f', 'p')
        and (
          nspname in ('clerk', 'clerk_sync')
          or (nspname = 'public' and proname ~ 'clerk|welcome_mail')
          or pg_proc.oid = to_regprocedure('public.ensure_profile()')
        )
    )
    select jsonb_object_agg(fact, value)
    from (
      select 'grants on schema ' || nspname, clerk_sync.grants_in(nspacl, 'n', nspowner)
      from pg_namespace
      where nspname in ('clerk', 'clerk_sync')

      union all
      select
        'table ' || name,
        case when relrowsecurity then 'row-level security' else 'no row-level security' end
          || case when relforcerowsecurity then ', also for the owner' else '' end
          || case relpersistence when 'u' then ', unlogged' else '' end
      from ours
      where relkind in ('r', 'p')

      union all
      select
        'grants on ' || case relkind when 'S' then 'sequence ' else 'table ' end || name,
        -- How pgmq was installed decides about those of these two.
        case
          when is_queue then trim(regexp_replace(rights, ' ?\m(pg_monitor|postgres)=\S+', '', 'g'))
          else rights
        end
      from ours
      cross join lateral clerk_sync.grants_in(
        relacl, case relkind when 'S' then 's' else 'r' end::"char", relowner) as rights
      where relkind <> 'c'

      union all
      -- The tables of a queue are pgmq's, and versions of pgmq differ.
      select
        'column ' || name || '.' || quote_ident(attname),
        concat_ws(' ',
          format_type(atttypid, atttypmod),
          case when attnotnull then 'not null' end,
          'collate ' || nullif(attcollation, (select typcollation from pg_type where oid = atttypid))::regcollation,
          case when attidentity <> '' then 'identity ' || attidentity::text end,
          case attgenerated when '' then 'default ' else 'generated ' end || pg_get_expr(adbin, adrelid))
      from ours
      join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = ours.oid and adnum = attnum
      where relkind <> 'S' and not is_queue

      union all
      select
        'grants on column ' || name || '.' || quote_ident(attname),
        clerk_sync.grants_in(attacl, 'c', relowner)
      from ours
      join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
      where attacl is not null and not is_queue

      union all
      select
        'constraint ' || quote_ident(conname) || ' on ' || name,
        pg_get_constraintdef(pg_constraint.oid) || case when convalidated then '' else ' not valid' end
      from ours
      join pg_constraint on conrelid = ours.oid
      where contype in ('c', 'f', 'p', 'u', 'x') and not is_queue

      union all
      select
        'index ' || ours.relnamespace::regnamespace || '.' || quote_ident(index.relname),
        pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' invalid' end
      from ours
      join pg_index on indrelid = ours.oid
      join pg_class as index on index.oid = indexrelid
      where not is_queue or index.relname ~ '_by_object$'

      union all
      select
        'policy ' || quote_ident(polname) || ' on ' || name,
        concat_ws(' ',
          case when polpermissive then 'permissive' else 'restrictive' end,
          polcmd::text,
          (
            select string_agg(coalesce(nullif(role, 0)::regrole::text, 'public'), ',' order by role)
            from unnest(polroles) as role
          ),
          'using ' || pg_get_expr(polqual, polrelid),
          'check ' || pg_get_expr(polwithcheck, polrelid))
      from ours
      join pg_policy on polrelid = ours.oid

      union all
      select
        'trigger ' || quote_ident(tgname) || ' on ' || name,
        pg_get_triggerdef(pg_trigger.oid) || case tgenabled when 'O' then '' else ' fires ' || tgenabled::text end
      from ours
      join pg_trigger on tgrelid = ours.oid
      where not tgisinternal

      union all
      select 'function ' || name, pg_get_functiondef(functions.oid)
      from functions

      union all
      select 'grants on function ' || name, clerk_sync.grants_in(proacl, 'f', proowner)
      from functions

      union all
      select
        'role ' || rolname,
        concat_ws(' ',
          case when rolcanlogin then 'login' else 'nologin' end,
          case when rolsuper then 'superuser' end,
          case when rolcreaterole then 'createrole' end,
          case when rolcreatedb then 'createdb' end,
          case when rolreplication then 'replication' end,
          case when rolbypassrls then 'bypassrls' end,
          'set ' || (select string_agg(setting, ',' order by setting) from unnest(rolconfig) as setting),
          'member of ' || (
            select string_agg(roleid::regrole::text, ',' order by roleid::regrole::text)
            from pg_auth_members where member = pg_roles.oid
          ),
          -- Since Postgres 16, whoever creates a role is a member of it.
          'granted to ' || (
            select string_agg(distinct member::regrole::text, ',' order by member::regrole::text)
            from pg_auth_members
            where roleid = pg_roles.oid and member <> owner
          ))
      from pg_roles
      where rolname in ('clerk_ingest', 'clerk_worker')
    ) as facts (fact, value)
  );
end
$$;

comment on function clerk_sync.object_facts() is
  'Every object that belongs to the sync, and those that the application added to its tables: {"policy p on public.t": definition, "grants on table public.t": rights, …}. Equal installations have equal facts, but for a prefix.';

create function public.inspect_clerk_sync()
returns jsonb
language plpgsql
stable
-- Definer, because service_role may not read all of this.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  vault_names jsonb;
  jobs jsonb;
  migrations jsonb;
begin
  -- Dynamic, because none of these need exist.
  if to_regclass('vault.decrypted_secrets') is not null then
    execute $sql$
      select coalesce(jsonb_agg(name order by name), '[]')
      from vault.decrypted_secrets
      where name in ('clerk_worker_url', 'clerk_worker_secret')
    $sql$ into vault_names;
  end if;

  if to_regclass('cron.job') is not null and to_regclass('cron.job_run_details') is not null then
    execute $sql$
      with recent as materialized (
        select jobid, status, coalesce(end_time, start_time) as at, runid
        from cron.job_run_details
        -- By the primary key, because nobody need prune this table.
        where runid > (select max(runid) from cron.job_run_details) - 20000
      )
      select coalesce(jsonb_object_agg(jobname, jsonb_build_object(
        'active', active,
        'last_status', (select status from recent where recent.jobid = job.jobid order by runid desc limit 1),
        'last_seconds', (
          select clerk_sync.seconds_since(at) from recent where recent.jobid = job.jobid order by runid desc limit 1
        ))), '{}')
      from cron.job
      where jobname ^@ 'clerk-'
        and command ~ '\mclerk_sync\M|\mmaintain_clerk_sync\M'
        and database = current_database()
    $sql$ into jobs;
  end if;

  if to_regclass('supabase_migrations.schema_migrations') is not null then
    execute $sql$
      select coalesce(jsonb_agg(version order by version), '[]') from supabase_migrations.schema_migrations
    $sql$ into migrations;
  end if;

  return jsonb_build_object(
    'now', extract(epoch from clock_timestamp()),
    'version', clerk_sync.version(),
    'installation', obj_description(to_regnamespace('clerk_sync'), 'pg_namespace')::jsonb ->> 'status',
    'profiles', 'public.profiles',
    'objects', clerk_sync.object_facts(),
    'extensions', (
      select jsonb_object_agg(name, installed_version)
      from pg_available_extensions
      where name in ('pgmq', 'pg_cron', 'pg_net', 'supabase_vault')
    ),
    'published', (
      select coalesce(
        jsonb_agg(format('%I.%I', schemaname, tablename) order by tablename) filter (where tablename is not null),
        '[]')
      from pg_publication
      left join pg_publication_tables using (pubname)
      where pubname = 'supabase_realtime'
      group by pubname
    ),
    'uuid_policies', (
      select coalesce(jsonb_agg(distinct format('%I on %s', polname, polrelid::regclass)), '[]')
      from pg_policy
      where concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ~ '\mauth\.uid\('
    ),
    'vault', vault_names,
    'jobs', jobs,
    'migrations', migrations,
    'settings', (select to_jsonb(settings) - 'is_only_row' from clerk_sync.settings),
    'instances', (
      select coalesce(jsonb_object_agg(instance_id, messages), '{}')
      from (
        select instance_id, count(*) as messages
        from (select instance_id from clerk_sync.inbox order by received_at desc limit 1000) as newest
        where instance_id is not null
        group by instance_id
      ) as seen
    ));
end
$$;

comment on function public.inspect_clerk_sync() is
  'What the database knows about this installation: {now (epoch, s), version and installation (as in clerk_sync_status), profiles (the name of that table), objects (clerk_sync.object_facts), extensions ({name: version, or null if it is only available}), published (tables of Realtime; null without the publication), uuid_policies (policies that call auth.uid(), which fails for Clerk''s ids), vault (names of the entries that exist; null without Vault), jobs ({name: {active, last_status, last_seconds}}; null without pg_cron), migrations (applied versions; null without a record), settings, instances ({id: messages, of the newest 1000})}. Reads only, and returns neither payloads nor secrets.';

revoke all on function public.inspect_clerk_sync() from public, anon, authenticated, service_role;
grant execute on function public.inspect_clerk_sync() to service_role;
