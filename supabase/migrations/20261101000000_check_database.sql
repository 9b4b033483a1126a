-- Looks for everything in this database that would break a later statement, and reports all of it at once.
-- Changes nothing.

do $$
declare
  -- The tables and indexes of ours in public, and the functions. Qualified, as everywhere else.
  relations constant text[] := array[
    'public.profiles',
    'public.profiles_blocked',
    'public.profiles_by_email',
    'public.profiles_pkey',
    'public.profiles_tombstones',
    'public.organizations',
    'public.organizations_pkey',
    'public.organizations_tombstones',
    'public.organization_memberships',
    'public.organization_memberships_by_name',
    'public.organization_memberships_by_organization',
    'public.organization_memberships_by_user',
    'public.organization_memberships_pkey',
    'public.organization_memberships_superseded',
    'public.organization_roles',
    'public.organization_roles_pkey',
    'public.organization_invitations',
    'public.organization_invitations_by_expiry',
    'public.organization_invitations_by_organization',
    'public.organization_invitations_by_pending_address',
    'public.organization_invitations_pkey',
    'public.subscription_items',
    'public.subscription_items_by_organization',
    'public.subscription_items_by_person',
    'public.subscription_items_by_plan',
    'public.subscription_items_pkey'
  ];
  functions constant text[] := array[
    'public.begin_clerk_run',
    'public.claim_welcome_mail',
    'public.clerk_changes_status',
    'public.clerk_sync_activity',
    'public.clerk_sync_status',
    'public.delete_clerk_surplus',
    'public.discard_clerk_messages',
    'public.due_clerk_run',
    'public.ensure_profile',
    'public.explain_clerk_object',
    'public.find_clerk_objects',
    'public.ingest_clerk_event',
    'public.ingest_clerk_snapshot',
    'public.keep_clerk_event',
    'public.list_clerk_changes',
    'public.list_clerk_messages',
    'public.list_clerk_runs',
    'public.list_clerk_surplus',
    'public.maintain_clerk_sync',
    'public.note_clerk_seen',
    'public.note_clerk_surplus',
    'public.read_clerk_changes',
    'public.record_clerk_rejection',
    'public.redrive_clerk_changes',
    'public.replay_clerk_message',
    'public.save_clerk_run',
    'public.settle_clerk_changes',
    'public.settle_welcome_mail'
  ];
  version constant integer := current_setting('server_version_num')::integer;
  installed constant text := (
    select coalesce(' ' || substring(obj_description(oid, 'pg_namespace') from '"version": "([^"]+)"'), '')
    from pg_catalog.pg_namespace
    where nspname = 'clerk_sync'
  );
  problems text[] := '{}';
begin
  if version < 150000 then
    problems := problems || format(
      'The database is Postgres %s, which lacks features that clerk-sync needs: upgrade it to Postgres 15 or newer.',
      current_setting('server_version'));
  end if;

  if installed is not null then
    -- All other names are taken by clerk-sync itself.
    problems := problems || format(
      'The schema clerk_sync exists, so clerk-sync%s is installed already: upgrade it, or uninstall it first.',
      installed);
  else
    -- Names ------------------------------------------------------------------------------------

    problems := problems || array(
      select format(
        '%s %s exists, and clerk-sync creates something of that name: rename yours, or install clerk-sync with a prefix (init --prefix clerk_).',
        case relkind
          when 'v' then 'The view' when 'm' then 'The materialized view' when 'f' then 'The foreign table'
          when 'S' then 'The sequence' when 'c' then 'The type' when 'i' then 'The index' when 'I' then 'The index'
          else 'The table'
        end,
        name)
      from unnest(relations) with ordinality as ours (name, number)
      join pg_catalog.pg_class on pg_class.oid = to_regclass(name)
      left join pg_catalog.pg_index on indexrelid = pg_class.oid
      -- An index is renamed with its table.
      where indrelid is null
        or not exists (select from unnest(relations) as other where to_regclass(other) = indrelid)
      order by number
    );

    problems := problems || array(
      select format(
        'The type %s exists, and a table of clerk-sync has that name: rename yours, or install clerk-sync with a prefix (init --prefix clerk_).',
        name)
      from unnest(relations) with ordinality as ours (name, number)
      join pg_catalog.pg_type
        on typname = split_part(name, '.', 2)
        and typnamespace = to_regnamespace(split_part(name, '.', 1))
      -- Neither the type of a table's rows nor an array, for which Postgres finds another name.
      where typrelid = 0 and typelem = 0
      order by number
    );

    problems := problems || array(
      select format(
        'The function %s exists, and the API cannot tell it from the one of clerk-sync: rename yours.', name)
      from unnest(functions) with ordinality as ours (name, number)
      where exists (
        select from pg_catalog.pg_proc
        where proname = split_part(name, '.', 2)
          and pronamespace = to_regnamespace(split_part(name, '.', 1))
      )
      order by number
    );

    if to_regnamespace('clerk') is not null then
      problems := problems ||
        'The schema clerk exists, perhaps for Supabase''s Clerk wrapper, and clerk-sync creates one of that name: rename yours (alter schema clerk rename to clerk_api).'::text;
    end if;

    -- A reset of the database by the Supabase CLI drops pgmq and leaves its queues.
    problems := problems || array(
      select format(
        'The queue %s exists%s, and clerk-sync creates one of that name: drop it (%s).',
        substr(relname::text, 3),
        case when bool_or(relpersistence = 'u') then ' (unlogged: a crash empties it)' else '' end,
        case
          when exists (select from pg_catalog.pg_extension where extname = 'pgmq')
          then format('select pgmq.drop_queue(%L)', substr(relname::text, 3))
          else format('drop table %s', string_agg('pgmq.' || relname, ', ' order by relname))
        end)
      from pg_catalog.pg_class
      where relnamespace = to_regnamespace('pgmq')
        and relname in ('q_clerk_changes', 'a_clerk_changes', 'q_clerk_changes_dead', 'a_clerk_changes_dead')
      group by substr(relname::text, 3)
      order by substr(relname::text, 3)
    );

    -- Roles ------------------------------------------------------------------------------------

    -- Those of an earlier installation are fine: they outlive a reset of the database, as does USAGE of public.
    problems := problems || array(
      select format(
        'The role %s exists and %s, so somebody else made it, and clerk-sync would get its rights: drop or rename it.',
        rolname, trait)
      from pg_catalog.pg_roles as ours
      cross join lateral (
        values
          (1, case when rolcanlogin then 'can log in' end),
          (2, case
            when rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
            then 'has special attributes'
          end),
          (3, (
            select format('is a member of %s', string_agg(roleid::regrole::text, ', ' order by roleid))
            from pg_catalog.pg_auth_members
            where member = ours.oid
            having count(*) > 0
          )),
          (4, (
            select format('is granted to %s', string_agg(member::regrole::text, ', ' order by member))
            from pg_catalog.pg_auth_members
            where roleid = ours.oid
              and member::regrole::text in ('anon', 'authenticated', 'service_role')
            having count(*) > 0
          )),
          (5, (
            select format('owns or may use %s', string_agg(
              distinct pg_describe_object(classid, objid, objsubid), ', '))
            from pg_catalog.pg_shdepend
            where refclassid = 'pg_catalog.pg_authid'::regclass
              and refobjid = ours.oid
              and dbid in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
              and (classid, objid) <> ('pg_catalog.pg_namespace'::regclass, to_regnamespace('public'))
              and (dbid <> 0 or classid <> 'pg_catalog.pg_auth_members'::regclass)
            having count(*) > 0
          ))
      ) as traits (number, trait)
      where rolname in ('clerk_ingest', 'clerk_worker')
        and trait is not null
      order by rolname, number
    );

    problems := problems || array(
      select format(
        'The role %s exists, and %s may not alter it: let its owner grant it (grant %s to %s with admin option).',
        rolname, current_user, rolname, quote_ident(current_user))
      from pg_catalog.pg_roles
      where rolname in ('clerk_ingest', 'clerk_worker')
        -- Until Postgres 15, whoever creates roles may alter them all.
        and version >= 160000
        and not pg_has_role(current_user, oid, 'member with admin option')
      order by rolname
    );

    problems := problems || array(
      select format(
        'There is no role %s, which Supabase provides and clerk-sync revokes from: install it in a Supabase project.', name)
      from unnest(array['anon', 'authenticated', 'service_role']) with ordinality as needed (name, number)
      where to_regrole(name) is null
      order by number
    );
  end if;

  -- Rights -------------------------------------------------------------------------------------

  if not exists (
    select from pg_catalog.pg_roles where rolname = current_user and (rolsuper or rolcreaterole)
  ) then
    problems := problems || format(
      'The role %s may not create roles, and clerk-sync needs two: install it as postgres, or grant CREATEROLE.',
      current_user);
  end if;

  if not has_database_privilege(current_database(), 'create')
    or not coalesce(has_schema_privilege(to_regnamespace('public'), 'create'), false)
  then
    problems := problems || format(
      'The role %s may not create schemas, or tables in public, and clerk-sync needs both: install it as postgres, or grant CREATE on the database and on public.',
      current_user);
  end if;

  if not exists (select from pg_catalog.pg_available_extensions where name = 'pgmq') then
    problems := problems ||
      'The extension pgmq is not available, and clerk-sync queues changes in it: upgrade the project to a version of Postgres that has it.'::text;
  elsif installed is null then
    -- Whether the role may use it is tried, because there are too many ways in which it may not.
    begin
      create extension if not exists pgmq;
      perform pgmq.create('clerk_trial');
      execute 'alter table pgmq.q_clerk_trial enable row level security';
      raise exception using errcode = 'CLKOK';
    exception
      -- Either way, what was tried is undone.
      when sqlstate 'CLKOK' then
        null;
      when others then
        problems := problems || format(
          'The role %s cannot use the extension pgmq, in which clerk-sync queues changes (%s): install clerk-sync as the role that owns pgmq.',
          current_user, sqlerrm);
    end;
  end if;

  if problems <> '{}' then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = E'Cannot install clerk-sync, and nothing was changed:\n- ' || array_to_string(problems, E'\n- ');
  end if;
end
$$;
