-- What each role may do with each of our objects, compared with a list. It is looked at in two ways,
-- because one alone could miss something: the grants as written, and what each role can actually reach.
--
-- Supabase's default privileges grant every new object of public to anon, authenticated and
-- service_role (since 30 October 2026 less than before, but still truncate), and Postgres grants every
-- new function to all roles: a missing revoke shows up here.

begin;
set local search_path = public, extensions;
select plan(31);


-- The grants as written ----------------------------------------------------------------------

-- A null ACL means the built-in default, so the default is read instead. Left out: the owner's own
-- rights, the platform's grants on schema public, and pgmq's grants to pg_monitor (to see how long a
-- queue is), which depend on how pgmq was installed.
create temp view grants as
select
  object,
  coalesce(nullif(grantee, 0)::regrole::text, 'public') as grantee,
  string_agg(privilege_type || case when is_grantable then '*' else '' end, ' ' order by privilege_type)
    as privileges
from (
  select
    'schema ' || nspname,
    nspowner,
    coalesce(nspacl, acldefault('n', nspowner))
  from pg_namespace
  where nspname in ('clerk', 'clerk_sync')

  union all
  select
    'schema public',
    nspowner,
    array(
      select acl from unnest(nspacl) as acl
      where acl::text ^@ 'clerk_'
    )
  from pg_namespace
  where nspname = 'public'

  union all
  select
    case relkind when 'S' then 'sequence ' else 'table ' end
      || format('%I.%I', relnamespace::regnamespace, relname),
    relowner,
    coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
  from pg_class
  where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and (
      relnamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)
      or (relnamespace = 'pgmq'::regnamespace and relname ~ '^[qa]_clerk_')
    )

  union all
  select
    'column ' || format('%I.%I.%I', relnamespace::regnamespace, relname, attname),
    relowner,
    attacl
  from pg_class
  join pg_attribute on attrelid = pg_class.oid
  where attacl is not null
    and (
      relnamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)
      or (relnamespace = 'pgmq'::regnamespace and relname ~ '^[qa]_clerk_')
    )

  union all
  select
    'function '
      || format('%I.%I(%s)', pronamespace::regnamespace, proname, oidvectortypes(proargtypes)),
    proowner,
    coalesce(proacl, acldefault('f', proowner))
  from pg_proc
  where pronamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)

  union all
  select
    'type ' || format('%I.%I', typnamespace::regnamespace, typname),
    typowner,
    coalesce(typacl, acldefault('T', typowner))
  from pg_type
  where typnamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)
    and typtype in ('d', 'e', 'r')
) as objects (object, owner, acl)
cross join aclexplode(acl)
where grantee <> owner
  and not (object ~ ' pgmq\.' and grantee <> 0 and grantee::regrole::text = 'pg_monitor')
group by object, grantee;

create temp view agreed_grants (object, grantee, privileges) as
values
  ('schema clerk', 'anon', 'USAGE'),
  ('schema clerk', 'authenticated', 'USAGE'),
  ('schema clerk', 'service_role', 'USAGE'),
  ('function clerk.make_my_profile()', 'authenticated', 'EXECUTE'),

  ('schema public', 'clerk_ingest', 'USAGE'),
  ('function public.ensure_profile()', 'authenticated', 'EXECUTE'),
  ('function public.ingest_clerk_event(text, jsonb, text[], text, boolean)', 'clerk_ingest', 'EXECUTE'),
  ('function public.ingest_clerk_event(text, jsonb, text[], text, boolean)', 'service_role', 'EXECUTE'),
  ('function public.keep_clerk_event(text, jsonb, text, text[], text)', 'clerk_ingest', 'EXECUTE'),
  ('function public.keep_clerk_event(text, jsonb, text, text[], text)', 'service_role', 'EXECUTE'),
  ('function public.record_clerk_rejection(text, text, jsonb, jsonb)', 'clerk_ingest', 'EXECUTE'),
  ('function public.record_clerk_rejection(text, text, jsonb, jsonb)', 'service_role', 'EXECUTE'),
  ('schema public', 'clerk_worker', 'USAGE')

-- The worker's functions, which a backend may call, too.
union all
select 'function public.' || function, role, 'EXECUTE'
from unnest(array[
  'read_clerk_changes(integer, integer)', 'settle_clerk_changes(jsonb)', 'clerk_changes_status()',
  'redrive_clerk_changes(integer)', 'claim_welcome_mail(text, uuid, integer, integer, text)', 'settle_welcome_mail(text, uuid, boolean)',
  'ingest_clerk_snapshot(text, bigint, jsonb, boolean, boolean)',
  'begin_clerk_run(text, jsonb, text, boolean, integer)',
  'save_clerk_run(bigint, bigint, jsonb, boolean, integer)',
  'note_clerk_seen(bigint, bigint, text[])',
  'list_clerk_surplus(bigint, text, text, integer)',
  'note_clerk_surplus(bigint, bigint, text, text[])',
  'due_clerk_run()',
  'clerk_sync_status(jsonb)',
  'delete_clerk_surplus(bigint, bigint, text, text[])'
]) as function
cross join unnest(array['clerk_worker', 'service_role']) as role

-- The functions for operators.
union all
select 'function public.' || function, 'service_role', 'EXECUTE'
from unnest(array[
  'list_clerk_messages(text[], text, timestamp with time zone, timestamp with time zone, text, text, jsonb, boolean, integer, boolean, text)',
  'replay_clerk_message(text, text[], text, boolean)', 'discard_clerk_messages(text[])',
  'explain_clerk_object(text)',
  'find_clerk_objects(text, integer)', 'list_clerk_changes(integer)', 'list_clerk_runs(integer)', 'clerk_sync_activity(integer)',
  'maintain_clerk_sync(boolean, jsonb, integer)'
]) as function

-- The functions for policies, which every role of the API may call.
union all
select 'function clerk.' || function, role, 'EXECUTE'
from unnest(array[
  'user_id()', 'org_id()', 'org_key(text)', 'org_role()', 'actor_id()', 'is_blocked()', 'my_organization_ids(text, text)',
  'is_member_of(text)', 'has_org_role(text)', 'has_org_permission(text)',
  'has_plan(text)'
]) as function
cross join unnest(array['anon', 'authenticated', 'service_role']) as role

-- The tables that frontends and backends read. No role updates a synced column: the sync is the only
-- writer.
union all
select 'table public.' || name, role, privileges
from unnest(array[
  'profiles', 'organizations', 'organization_memberships', 'organization_invitations',
  'organization_roles', 'subscription_items'
]) as name
cross join (
  values ('authenticated', 'SELECT'), ('service_role', 'SELECT')
) as meant (role, privileges);

select set_eq(
  'table grants',
  'table agreed_grants',
  'our objects and the queue''s are granted to exactly the roles on the list'
);

-- Controls, one after the other. Each is undone.
grant select (email) on public.profiles to anon;
select bag_eq(
  'table grants except table agreed_grants',
  $$ values ('column public.profiles.email', 'anon', 'SELECT') $$,
  'control: a grant on one column is noticed'
);
revoke select (email) on public.profiles from anon;

grant select on clerk_sync.inbox to service_role with grant option;
select bag_eq(
  'table grants except table agreed_grants',
  $$ values ('table clerk_sync.inbox', 'service_role', 'SELECT*') $$,
  'control: a grant on a table is noticed'
);
revoke all on clerk_sync.inbox from service_role;

grant create on schema clerk to authenticated;
select bag_eq(
  'table grants except table agreed_grants',
  $$ values ('schema clerk', 'authenticated', 'CREATE USAGE') $$,
  'control: a grant on a schema is noticed'
);
revoke create on schema clerk from authenticated;

grant usage on sequence pgmq.q_clerk_changes_msg_id_seq to anon;
grant delete on pgmq.a_clerk_changes to authenticated;
select bag_eq(
  'table grants except table agreed_grants',
  $$
    values
      ('sequence pgmq.q_clerk_changes_msg_id_seq', 'anon', 'USAGE'),
      ('table pgmq.a_clerk_changes', 'authenticated', 'DELETE')
  $$,
  'control: a grant on the queue is noticed'
);
revoke all on pgmq.a_clerk_changes from authenticated;
revoke all on sequence pgmq.q_clerk_changes_msg_id_seq from anon;

revoke execute on function clerk.user_id() from anon;
select bag_eq(
  'table agreed_grants except table grants',
  $$ values ('function clerk.user_id()', 'anon', 'EXECUTE') $$,
  'control: a missing grant is noticed'
);
grant execute on function clerk.user_id() to anon;

-- What a migration without a revoke would leave behind.
create function public.offend() returns void language sql return null;
create function clerk_sync.offend() returns void language sql return null;
create table public.offender (id text primary key);
create table clerk_sync.offender (id text primary key);
select bag_has(
  'table grants except table agreed_grants',
  $$
    values
      ('function public.offend()', 'public', 'EXECUTE'),
      ('function public.offend()', 'anon', 'EXECUTE'),
      ('function public.offend()', 'authenticated', 'EXECUTE'),
      ('function public.offend()', 'service_role', 'EXECUTE'),
      ('function clerk_sync.offend()', 'public', 'EXECUTE')
  $$,
  'control: every role can call a new function until that is revoked, which is noticed'
);
select set_eq(
  $$ select object, grantee from grants where object ~ 'offender' $$,
  $$
    values
      ('table public.offender', 'anon'),
      ('table public.offender', 'authenticated'),
      ('table public.offender', 'service_role')
  $$,
  'control: every API role can use a new table of public until that is revoked, which is noticed'
);
drop table public.offender, clerk_sync.offender;
drop function public.offend(), clerk_sync.offend();


-- What each role can reach -------------------------------------------------------------------

-- The privileges that a table has and its columns have not.
create temp view table_privileges as
select privilege
from unnest(case
  when current_setting('server_version_num')::integer < 170000 then array['delete', 'truncate', 'trigger']
  else array['delete', 'truncate', 'trigger', 'maintain']
end) as privilege;

-- Through grants to the role itself, to public, and to roles that it is a member of. A function or table
-- counts only if the role can use its schema.
create temp view reach as
select role, format('call %I.%I', nspname, proname) as deed
from unnest(array['anon', 'authenticated', 'service_role', 'clerk_ingest', 'clerk_worker']) as role
cross join pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where nspname in ('public', 'clerk', 'clerk_sync', 'pgmq')
  and has_schema_privilege(role, pronamespace, 'usage')
  and has_function_privilege(role, pg_proc.oid, 'execute')
union all
select role, format('%s %I.%I', privilege, nspname, relname)
from unnest(array['anon', 'authenticated', 'service_role', 'clerk_ingest', 'clerk_worker']) as role
cross join unnest(array['select', 'insert', 'update', 'references']) as privilege
cross join pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname in ('public', 'clerk', 'clerk_sync', 'pgmq')
  and relkind in ('r', 'p', 'v', 'm', 'f')
  and has_schema_privilege(role, relnamespace, 'usage')
  and has_any_column_privilege(role, pg_class.oid, privilege)
union all
select role, format('%s %I.%I', privilege, nspname, relname)
from unnest(array['anon', 'authenticated', 'service_role', 'clerk_ingest', 'clerk_worker']) as role
cross join table_privileges
cross join pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname in ('public', 'clerk', 'clerk_sync', 'pgmq')
  and relkind in ('r', 'p', 'v', 'm', 'f')
  and has_schema_privilege(role, relnamespace, 'usage')
  and has_table_privilege(role, pg_class.oid, privilege)
union all
select role, format('create in %I', nspname)
from unnest(array['anon', 'authenticated', 'service_role', 'clerk_ingest', 'clerk_worker']) as role
cross join pg_namespace
where nspname in ('public', 'clerk', 'clerk_sync', 'pgmq')
  and has_schema_privilege(role, pg_namespace.oid, 'create');

select set_eq(
  $$ select deed from reach where role = 'clerk_ingest' $$,
  array['call public.ingest_clerk_event', 'call public.keep_clerk_event', 'call public.record_clerk_rejection'],
  'the webhook''s role can call its entry points and do nothing else'
);
create temp view work (deed) as
select 'call public.' || name
from unnest(array[
  'read_clerk_changes', 'settle_clerk_changes', 'clerk_changes_status', 'redrive_clerk_changes',
  'claim_welcome_mail', 'settle_welcome_mail',
  'ingest_clerk_snapshot', 'begin_clerk_run', 'save_clerk_run', 'note_clerk_seen', 'list_clerk_surplus',
  'note_clerk_surplus', 'due_clerk_run', 'clerk_sync_status', 'delete_clerk_surplus'
]) as name;

select set_eq(
  $$ select deed from reach where role = 'clerk_worker' $$,
  'table work',
  'the worker''s role can call the entry points of the queue and do nothing else'
);

create temp view questions (deed) as
select 'call clerk.' || name
from unnest(array[
  'user_id', 'org_id', 'org_key', 'org_role', 'actor_id', 'is_blocked', 'my_organization_ids', 'is_member_of',
  'has_org_role', 'has_org_permission', 'has_plan'
]) as name;

create temp view synced_tables (name) as
select unnest(array[
  'public.profiles', 'public.organizations', 'public.organization_memberships',
  'public.organization_invitations', 'public.organization_roles', 'public.subscription_items'
]);

select set_eq(
  $$ select deed from reach where role = 'anon' $$,
  'table questions',
  'an anonymous caller can call the functions for policies and do nothing else'
);
select set_eq(
  $$ select deed from reach where role = 'authenticated' $$,
  $$
    table questions
    union all
    select 'select ' || name from synced_tables
    union all
    values ('call clerk.make_my_profile'), ('call public.ensure_profile')
  $$,
  'a signed-in caller can call the functions for policies, read the synced tables, make their own profile, and do nothing else'
);
select set_eq(
  $$ select deed from reach where role = 'service_role' $$,
  $$
    table questions
    union all
    select 'select ' || name from synced_tables
    union all
    table work
    union all
    values
      ('call public.ingest_clerk_event'), ('call public.keep_clerk_event'), ('call public.record_clerk_rejection'),
      ('call public.list_clerk_messages'), ('call public.replay_clerk_message'), ('call public.discard_clerk_messages'),
      ('call public.explain_clerk_object'), ('call public.list_clerk_changes'), ('call public.list_clerk_runs'),
      ('call public.clerk_sync_activity'), ('call public.find_clerk_objects'),
      ('call public.maintain_clerk_sync')
  $$,
  'a backend can also call the entry points, but writes no row of a synced table'
);

grant execute on function clerk_sync.upsert_profiles(jsonb[], timestamptz) to clerk_ingest;
select set_hasnt(
  $$ select deed from reach where role = 'clerk_ingest' $$,
  $$ values ('call clerk_sync.upsert_profiles') $$,
  'control: a function in a schema that the role cannot use is out of reach'
);
grant usage on schema clerk_sync to public;
do $$
begin
  execute (
    select format('grant %s on clerk_sync.objects to clerk_ingest', string_agg(privilege, ', '))
    from table_privileges);
end
$$;
grant insert (id) on public.profiles to public;
select set_eq(
  $$
    select deed from reach where role = 'clerk_ingest'
    except
    select 'call public.' || name from unnest(array['ingest_clerk_event', 'keep_clerk_event', 'record_clerk_rejection']) as name
  $$,
  $$
    values ('call clerk_sync.upsert_profiles'), ('insert public.profiles')
    union all
    select privilege || ' clerk_sync.objects' from table_privileges
  $$,
  'control: once the role can use the schema it reaches the function, and a grant to public or on one column counts'
);
revoke insert (id) on public.profiles from public;
revoke all on clerk_sync.objects from clerk_ingest;
revoke usage on schema clerk_sync from public;
revoke execute on function clerk_sync.upsert_profiles(jsonb[], timestamptz) from clerk_ingest;


-- The webhook's role -------------------------------------------------------------------------

select results_eq(
  $$
    select
      rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls
    from pg_roles
    where rolname = 'clerk_ingest'
  $$,
  'values (false, false, false, false, false, false)',
  'the webhook''s role has no special privilege and cannot log in'
);
select is_empty(
  $$ select from pg_auth_members where member = 'clerk_ingest'::regrole $$,
  'the webhook''s role is a member of no other role'
);
select isnt_empty(
  $$ select from pg_auth_members where roleid = 'clerk_ingest'::regrole $$,
  'control: memberships are seen'
);
select ok(
  pg_has_role(
    'authenticator', 'clerk_ingest',
    -- In Postgres 15, every member of a role can become it.
    case when current_setting('server_version_num')::integer < 160000 then 'member' else 'set' end
  ),
  'the API can become the webhook''s role'
);
select ok(
  not pg_has_role('authenticator', 'clerk_ingest', 'usage'),
  'the API has the rights of the webhook''s role only when it becomes it'
);
select is_empty(
  $$
    select role from unnest(array['anon', 'authenticated', 'service_role']) as role
    where pg_has_role(role, 'clerk_ingest', 'member')
  $$,
  'no client is a member of the webhook''s role'
);

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create function pg_temp.as_webhook(statement text)
returns void
language plpgsql
as $$
begin
  set local role clerk_ingest;
  execute statement;
  reset role;
end
$$;

select lives_ok(
  $test$ select pg_temp.as_webhook($$ select public.ingest_clerk_event('msg_1', '{}') $$) $test$,
  'control: the webhook can call ingest_clerk_event'
);
select lives_ok(
  $test$ select pg_temp.as_webhook($$ select public.record_clerk_rejection('msg_2', null, '[]', '{}') $$) $test$,
  'control: the webhook can call record_clerk_rejection'
);
select throws_ok(
  $test$ select pg_temp.as_webhook('table public.profiles') $test$, '42501', null,
  'the webhook cannot read profiles'
);
select throws_ok(
  $test$ select pg_temp.as_webhook('table clerk_sync.inbox') $test$, '42501', null,
  'the webhook cannot read the inbox'
);
select throws_ok(
  $test$ select pg_temp.as_webhook($$ select clerk_sync.erase_profile('user_alice', now()) $$) $test$,
  '42501', null,
  'the webhook cannot call the machinery past the entry points'
);
select throws_ok(
  $test$ select pg_temp.as_webhook($$ select pgmq.send('clerk_changes', '{}') $$) $test$,
  '42501', null,
  'the webhook cannot write to the queue'
);
select throws_ok(
  $test$ select pg_temp.as_webhook('select clerk.user_id()') $test$, '42501', null,
  'the webhook cannot call the functions for policies: it is not a user'
);
select throws_ok(
  $test$ select pg_temp.as_webhook('create table public.mine ()') $test$, '42501', null,
  'the webhook cannot make a table'
);


-- Ownership ----------------------------------------------------------------------------------

create temp view owners as
select 'schema ' || nspname as object, nspowner as owner from pg_namespace
where nspname in ('clerk', 'clerk_sync')
union all
select format('%I.%I', relnamespace::regnamespace, relname), relowner from pg_class
where relnamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace)
  or (relnamespace = 'pgmq'::regnamespace and relname ~ '^[qa]_clerk_')
union all
select pg_proc.oid::regprocedure::text, proowner from pg_proc
where pronamespace in ('public'::regnamespace, 'clerk'::regnamespace, 'clerk_sync'::regnamespace);

select is_empty(
  $$ select object from owners where owner <> 'postgres'::regrole $$,
  'all our objects belong to postgres, the role that runs the migrations'
);
select set_has(
  'select object from owners',
  $$ values ('schema clerk_sync'), ('public.subscription_items'), ('clerk.user_id()') $$,
  'control: schemas, tables and functions are checked'
);

select * from finish();
rollback;
