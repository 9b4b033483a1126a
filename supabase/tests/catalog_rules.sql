-- Rules for all our objects, checked against the catalog, so that no new table can miss them.
--
-- Each rule is a view that lists the objects that break it. The view must be empty. Then an offender
-- is made, the rule must name it, and the offender is removed.

begin;
set local search_path = public, extensions;
select plan(37);


-- Our objects --------------------------------------------------------------------------------

create temp view our_schemas as
select oid, nspname as name
from pg_namespace
where nspname in ('public', 'clerk', 'clerk_sync');

create temp view our_relations as
select
  relation.oid,
  relation.relname as name,
  relation.relkind as kind,
  relation.relrowsecurity as is_guarded,
  format('%I.%I', our_schemas.name, relation.relname) as label
from pg_class as relation
join our_schemas on our_schemas.oid = relation.relnamespace
where not exists (
  select from pg_depend
  where classid = 'pg_class'::regclass and objid = relation.oid and deptype = 'e'
);

create temp view our_columns as
select
  our_relations.oid as relation,
  attnum as number,
  atttypid as type,
  format('%s.%I', label, attname) as label
from our_relations
join pg_attribute on attrelid = our_relations.oid and attnum > 0 and not attisdropped
where kind in ('r', 'p', 'v', 'm', 'f');

create temp view our_functions as
select
  function.oid,
  our_schemas.name as schema,
  function.prosecdef as is_definer,
  function.proconfig as settings,
  format('%I.%I(%s)', our_schemas.name, proname, oidvectortypes(proargtypes)) as label
from pg_proc as function
join our_schemas on our_schemas.oid = function.pronamespace
where not exists (
  select from pg_depend
  where classid = 'pg_proc'::regclass and objid = function.oid and deptype = 'e'
);

create temp view our_policies as
select
  policy.oid,
  polname as name,
  polpermissive as is_permissive,
  our_relations.name as table_name,
  our_relations.label as table_label,
  case polcmd
    when 'r' then 'select'
    when 'a' then 'insert'
    when 'w' then 'update'
    when 'd' then 'delete'
    else 'all'
  end as action,
  polroles as roles,
  concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as expression,
  format('%I on %s', polname, our_relations.label) as label
from pg_policy as policy
join our_relations on our_relations.oid = policy.polrelid;

create temp view our_triggers as
select
  pg_trigger.oid,
  tgname as name,
  our_relations.name as table_name,
  proname as function_name,
  format('%I on %s', tgname, our_relations.label) as label
from pg_trigger
join our_relations on our_relations.oid = tgrelid
join pg_proc on pg_proc.oid = tgfoid
where not tgisinternal;

select set_has(
  'select label from our_relations',
  $$
    values
      ('public.profiles'), ('public.organizations'), ('public.organization_memberships'),
      ('public.organization_invitations'), ('public.subscription_items'),
      ('clerk_sync.inbox'), ('clerk_sync.objects')
  $$,
  'control: the rules see the tables that exist'
);


-- Row-level security -------------------------------------------------------------------------

create temp view unguarded_tables as
select label from our_relations where kind in ('r', 'p') and not is_guarded
union all
select format('pgmq.%I', relname) from pg_class
where relnamespace = 'pgmq'::regnamespace and relkind in ('r', 'p')
  and relname ~ '^[qa]_clerk_' and not relrowsecurity;

select is_empty('table unguarded_tables', 'every table has row-level security on');

create table clerk_sync.offender (id text primary key);
alter table pgmq.q_clerk_changes disable row level security;
select set_eq(
  'table unguarded_tables',
  array['clerk_sync.offender', 'pgmq.q_clerk_changes'],
  'control: a table without row-level security is found, even one of the queue'
);
alter table pgmq.q_clerk_changes enable row level security;
drop table clerk_sync.offender;


-- Comments -----------------------------------------------------------------------------------

create temp view uncommented as
select 'schema ' || name as label from our_schemas
where name <> 'public' and obj_description(oid, 'pg_namespace') is null
union all
select 'relation ' || label from our_relations
where kind in ('r', 'p', 'v', 'm', 'f') and obj_description(oid, 'pg_class') is null
union all
select 'column ' || label from our_columns where col_description(relation, number) is null
union all
select 'function ' || label from our_functions where obj_description(oid, 'pg_proc') is null
union all
select 'policy ' || label from our_policies where obj_description(oid, 'pg_policy') is null
union all
select 'trigger ' || label from our_triggers where obj_description(oid, 'pg_trigger') is null
union all
select 'role ' || rolname from pg_roles
where rolname ^@ 'clerk_' and shobj_description(oid, 'pg_authid') is null;

select is_empty(
  'table uncommented',
  'every schema, table, column, function, policy, trigger and role says what it is for'
);

create role clerk_offender;
create table clerk_sync.offender (id text primary key);
create function clerk_sync.offend() returns trigger language plpgsql as 'begin return new; end';
create policy offence on clerk_sync.offender using (true);
create trigger offend before insert on clerk_sync.offender execute function clerk_sync.offend();
do $$ begin execute 'comment on schema clerk is null'; end $$;
select set_eq(
  'table uncommented',
  array[
    'schema clerk',
    'relation clerk_sync.offender',
    'column clerk_sync.offender.id',
    'function clerk_sync.offend()',
    'policy offence on clerk_sync.offender',
    'trigger offend on clerk_sync.offender',
    'role clerk_offender'
  ],
  'control: every object without a comment is found'
);
drop table clerk_sync.offender;
drop function clerk_sync.offend();
drop role clerk_offender;


-- Functions ----------------------------------------------------------------------------------

create temp view functions_with_a_path as
select label from our_functions
where not coalesce('search_path=pg_catalog, pg_temp' = any (settings), false);

select is_empty(
  'table functions_with_a_path',
  'every function has search_path = pg_catalog, pg_temp: with an empty one, types of the session come first'
);

create function clerk_sync.offend() returns void language sql return null;
create function clerk_sync.offend_too() returns void language sql set search_path = public return null;
create function clerk_sync.offend_again() returns void language sql set search_path = '' return null;
select set_eq(
  'table functions_with_a_path',
  array['clerk_sync.offend()', 'clerk_sync.offend_too()', 'clerk_sync.offend_again()'],
  'control: a function that uses its caller''s search_path, another one or an empty one, is found'
);
drop function clerk_sync.offend(), clerk_sync.offend_too(), clerk_sync.offend_again();

-- An acknowledged event is durable: none of our code commits without waiting for the disk.
create temp view changed_settings (label) as
select label
from our_functions
cross join unnest(settings) as setting
where setting not in ('search_path=pg_catalog, pg_temp', 'lock_timeout=2s')
union all
select setting
from pg_db_role_setting
cross join unnest(setconfig) as setting
where setting ^@ 'synchronous_commit';

select is_empty('table changed_settings', 'no function has any other setting, and no role commits asynchronously');

create function clerk_sync.offend() returns void language sql
  set search_path = pg_catalog, pg_temp set synchronous_commit = off return null;
create role clerk_offender;
alter role clerk_offender set synchronous_commit = off;
select set_eq(
  'table changed_settings',
  array['clerk_sync.offend()', 'synchronous_commit=off'],
  'control: a function or a role that commits asynchronously is found'
);
drop function clerk_sync.offend();
drop role clerk_offender;

-- The reviewed functions that run with their owner's rights, each with the reason.
create temp view reviewed_definers (label, reason) as
values
  (
    'public.ingest_clerk_event(text, jsonb, text[], text, boolean)',
    'the webhook''s role can execute it and has no right on any table'
  ),
  (
    'public.keep_clerk_event(text, jsonb, text, text[], text)',
    'the same'
  ),
  (
    'public.record_clerk_rejection(text, text, jsonb, jsonb)',
    'the same'
  ),
  (
    'public.read_clerk_changes(integer, integer)',
    'the worker''s role can execute it and has no right on the queue or on any table'
  ),
  (
    'public.settle_clerk_changes(jsonb)',
    'the same'
  ),
  (
    'public.clerk_changes_status()',
    'the same'
  ),
  (
    'public.redrive_clerk_changes(integer)',
    'the same'
  ),
  (
    'public.claim_welcome_mail(text, uuid, integer, integer, text)',
    'the same'
  ),
  (
    'public.settle_welcome_mail(text, uuid, boolean)',
    'the same'
  ),
  (
    'public.ingest_clerk_snapshot(text, bigint, jsonb, boolean, boolean)',
    'the same'
  ),
  (
    'public.begin_clerk_run(text, jsonb, text, boolean, integer)',
    'the same'
  ),
  (
    'public.save_clerk_run(bigint, bigint, jsonb, boolean, integer)',
    'the same'
  ),
  (
    'public.note_clerk_seen(bigint, bigint, text[])',
    'the same'
  ),
  (
    'public.list_clerk_surplus(bigint, text, text, integer)',
    'the same'
  ),
  (
    'public.note_clerk_surplus(bigint, bigint, text, text[])',
    'the same'
  ),
  (
    'public.due_clerk_run()',
    'the same'
  ),
  (
    'public.clerk_sync_status(jsonb)',
    'the same'
  ),
  (
    'public.delete_clerk_surplus(bigint, bigint, text, text[])',
    'the same'
  ),
  (
    'public.list_clerk_messages(text[], text, timestamp with time zone, timestamp with time zone, text, text, jsonb, boolean, integer, boolean, text)',
    'operators call it by the API, whose roles have no right on the inbox'
  ),
  (
    'public.replay_clerk_message(text, text[], text, boolean)',
    'the same'
  ),
  (
    'public.discard_clerk_messages(text[])',
    'the same'
  ),
  (
    'public.explain_clerk_object(text)',
    'the operator''s role has no right on any table of clerk_sync'
  ),
  (
    'public.find_clerk_objects(text, integer)',
    'the operator need not know the prefix of the tables'
  ),
  (
    'public.list_clerk_changes(integer)',
    'the operator''s role has no right on the queue'
  ),
  (
    'public.list_clerk_runs(integer)',
    'the operator''s role has no right on any table of clerk_sync'
  ),
  (
    'public.clerk_sync_activity(integer)',
    'the same'
  ),
  (
    'public.maintain_clerk_sync(boolean, jsonb, integer)',
    'the same, for service_role'
  ),
  (
    'clerk_sync.tg__announce()',
    'a permitted edit of an application column must not fail for lack of rights on the queue'
  ),
  (
    'clerk_sync.tg__announce_deletions()',
    'the same'
  ),
  (
    'clerk_sync.tg_profiles__show_member()',
    'a role that may edit a profile may have no rights on memberships'
  ),
  (
    'clerk_sync.tg_organization_memberships__supersede()',
    'a role that may write memberships may have no right to update superseded'
  ),
  (
    'clerk_sync.tg_organization_memberships__restore()',
    'the same'
  ),
  (
    'clerk.my_organization_ids(text, text)',
    'the policy on memberships calls it: as invoker it would recurse without end'
  ),
  (
    'clerk.is_blocked()',
    'asked from the policy of any table; it takes no argument and tells about the caller'
  ),
  (
    'clerk.is_member_of(text)',
    'policies of any table call it; the argument names an organization, and the user is always the caller'
  ),
  (
    'clerk.has_org_role(text)',
    'the same; the argument names a role'
  ),
  (
    'clerk.has_org_permission(text)',
    'the same; the argument names a permission'
  ),
  (
    'clerk.has_plan(text)',
    'the same; the argument names a plan'
  ),
  (
    'clerk.make_my_profile()',
    'only the sync may insert into profiles; it takes no argument and makes only the caller''s own row'
  );

create temp view definers as
select label from our_functions where is_definer;

select set_eq(
  'table definers',
  'select label from reviewed_definers',
  'the functions that run with their owner''s rights are exactly the reviewed ones'
);

create function clerk.offend() returns void language sql security definer return null;
select set_ne(
  'table definers',
  'select label from reviewed_definers',
  'control: one more definer function is noticed'
);
drop function clerk.offend();

create temp view asking_about_others as
select label
from our_functions
join pg_proc on pg_proc.oid = our_functions.oid
where is_definer
  and exists (
    select from unnest(array['anon', 'authenticated']) as role
    where has_function_privilege(role, our_functions.oid, 'execute')
  )
  and exists (
    select from unnest(proargnames) as name where name ~ 'user|profile|person|member_id|email|sub'
  );

select is_empty(
  'table asking_about_others',
  'no function that clients can call runs with its owner''s rights and takes a user as an argument'
);

create function clerk.offend(user_id text) returns void language sql security definer return null;
select set_eq(
  'table asking_about_others',
  array['clerk.offend(text)'],
  'control: a definer function that takes a user is found'
);
drop function clerk.offend(text);


-- Foreign keys -------------------------------------------------------------------------------

create temp view unindexed_foreign_keys as
select format('%I on %s', conname, label) as label
from pg_constraint
join our_relations on our_relations.oid = conrelid
where contype = 'f'
  and not exists (
    select
    from pg_index
    cross join lateral (
      select (string_to_array(indkey::text, ' ')::int2[])[1:cardinality(conkey)] as first_columns
    ) as key
    where indrelid = conrelid
      and indisvalid
      and indpred is null
      and first_columns @> conkey
      and first_columns <@ conkey
  );

select is_empty('table unindexed_foreign_keys', 'every foreign key has an index');

create table clerk_sync.offender (
  id text primary key,
  profile_id text references public.profiles,
  object_id text references clerk_sync.objects
);
create index on clerk_sync.offender (id, profile_id);
create index on clerk_sync.offender (object_id, profile_id);
select set_eq(
  'table unindexed_foreign_keys',
  array['offender_profile_id_fkey on clerk_sync.offender'],
  'control: a foreign key without an index that begins with it is found'
);
drop table clerk_sync.offender;

select set_eq(
  $$
    select format('%s → %s', conrelid::regclass, confrelid::regclass)
    from pg_constraint
    where contype = 'f' and confdeltype = 'c' and convalidated and not condeferrable
      and connamespace = 'public'::regnamespace
  $$,
  array[
    'organization_memberships → organizations', 'organization_memberships → profiles',
    'organization_invitations → organizations'
  ],
  'a membership references its user and its organization, an invitation its organization, and both are deleted along with them'
);


-- Policies -----------------------------------------------------------------------------------

create temp view overlapping_policies as
select format('%s %s %s', table_label, each_action, each_role) as label
from our_policies
cross join unnest(
  case action when 'all' then array['select', 'insert', 'update', 'delete'] else array[action] end
) as each_action
join pg_roles on pg_roles.oid = any (roles)
  or (0 = any (roles) and rolname in ('anon', 'authenticated', 'service_role', 'clerk_ingest'))
cross join lateral (select rolname) as named (each_role)
where is_permissive
group by table_label, each_action, each_role
having count(*) > 1;

select is_empty(
  'table overlapping_policies',
  'a table has at most one permissive policy per action and role'
);

create policy profiles_all_offender on public.profiles to public using (false);
select set_eq(
  'table overlapping_policies',
  array['public.profiles select authenticated'],
  'control: a second permissive policy is found, even one for all actions and all roles'
);
drop policy profiles_all_offender on public.profiles;

create temp view misnamed_policies as
select label from our_policies
where name !~ format('^%s_%s_[a-z][a-z_]*$', table_name, action);

select is_empty('table misnamed_policies', 'a policy is named <table>_<action>_<who>');

create policy profiles_select_nothing on public.profiles for delete using (false);
create policy "People delete" on public.profiles for delete using (false);
select set_eq(
  'table misnamed_policies',
  array['profiles_select_nothing on public.profiles', '"People delete" on public.profiles'],
  'control: a policy with another name is found, even if it only names another action'
);
drop policy profiles_select_nothing on public.profiles;
drop policy "People delete" on public.profiles;

-- (select f()) is evaluated once per query, f() once per row.
create temp view policies_asking_every_row as
select distinct label
from our_policies
cross join lateral (
  select proname
  from pg_depend
  join pg_proc on pg_proc.oid = refobjid
  where classid = 'pg_policy'::regclass
    and objid = our_policies.oid
    and refclassid = 'pg_proc'::regclass
  union all
  select 'current_setting'
) as called (name)
where regexp_count(expression, '\m' || called.name || '\(')
  > regexp_count(expression, '\( SELECT (\w+\.)?' || called.name || '\(');

select is_empty(
  'table policies_asking_every_row',
  'a policy calls a function once per query: (select f()), never f()'
);

create policy profiles_delete_one on public.profiles for delete
  using (id = clerk.user_id());
create policy profiles_delete_two on public.profiles for delete
  using (id = (select auth.jwt() ->> 'sub'));
create policy profiles_delete_three on public.profiles for delete
  using ((select clerk.user_id()) = id and id = clerk.user_id());
create policy profiles_delete_four on public.profiles for delete
  using (id = current_setting('request.jwt.claim.sub'));
create policy profiles_insert_five on public.profiles for insert
  with check (id = clerk.user_id());
create policy profiles_delete_good on public.profiles for delete
  using (id = ((select auth.jwt()) ->> 'sub'));
select set_eq(
  'table policies_asking_every_row',
  array[
    'profiles_delete_one on public.profiles',
    'profiles_delete_two on public.profiles',
    'profiles_delete_three on public.profiles',
    'profiles_delete_four on public.profiles',
    'profiles_insert_five on public.profiles'
  ],
  'control: a policy that calls a function for every row is found, and no other'
);
drop policy profiles_delete_one on public.profiles;
drop policy profiles_delete_two on public.profiles;
drop policy profiles_delete_three on public.profiles;
drop policy profiles_delete_four on public.profiles;
drop policy profiles_insert_five on public.profiles;
drop policy profiles_delete_good on public.profiles;


-- Triggers -----------------------------------------------------------------------------------

create temp view misnamed_triggers as
select label from our_triggers
where name !~ '^_[1259]\d\d_[a-z][a-z_]*$'
  or function_name !~ format('^tg(_%s)?__[a-z][a-z_]*$', table_name);

select is_empty(
  'table misnamed_triggers',
  'a trigger is named _NNN_what (1 bookkeeping, 2 refusals, 5 derived rows, 9 announcements), its function tg_<table>__<task>, or tg__<task> for several tables'
);

create trigger _500_offend after insert on clerk_sync.objects
  for each row execute function clerk_sync.tg_profiles__show_member();
create trigger announce after delete on public.profiles
  for each row execute function clerk_sync.tg_profiles__show_member();
create trigger _300_announce after delete on public.profiles
  for each row execute function clerk_sync.tg_profiles__show_member();
create trigger _900_announce_more after delete on public.organizations
  for each row execute function clerk_sync.tg_profiles__show_member();
select set_eq(
  'table misnamed_triggers',
  array[
    '_500_offend on clerk_sync.objects',
    'announce on public.profiles',
    '_300_announce on public.profiles',
    '_900_announce_more on public.organizations'
  ],
  'control: a trigger with another name, or with another table''s function, is found'
);
drop trigger _500_offend on clerk_sync.objects;
drop trigger announce on public.profiles;
drop trigger _300_announce on public.profiles;
drop trigger _900_announce_more on public.organizations;


-- Types --------------------------------------------------------------------------------------

create temp view zoneless_times as
select label from our_columns
join pg_type on pg_type.oid = our_columns.type
where coalesce(nullif(typelem, 0), pg_type.oid) in (
  'timestamp'::regtype, 'date'::regtype, 'time'::regtype, 'timetz'::regtype
)
  -- A time of day, whose comment names the zone.
  and label <> 'clerk_sync.settings.reconcile_at';

select is_empty('table zoneless_times', 'every time is a timestamptz');

create table clerk_sync.offender (
  id text primary key,
  at timestamptz,
  happened_at timestamp,
  happened_on date,
  happened_ats timestamp[]
);
select set_eq(
  'table zoneless_times',
  array[
    'clerk_sync.offender.happened_at',
    'clerk_sync.offender.happened_on',
    'clerk_sync.offender.happened_ats'
  ],
  'control: a time without time zone is found'
);
drop table clerk_sync.offender;

-- Clerk owns the values of these columns and adds new ones without notice.
create temp view enums as
select format('%I.%I', our_schemas.name, typname) as label
from pg_type
join our_schemas on our_schemas.oid = typnamespace
where typtype = 'e'
union all
select our_columns.label
from our_columns
join pg_type on pg_type.oid = our_columns.type
where typtype = 'e';

select is_empty('table enums', 'no column is an enum');

create type clerk_sync.offence as enum ('one');
create table clerk_sync.offender (id clerk_sync.offence primary key);
select set_eq(
  'table enums',
  array['clerk_sync.offence', 'clerk_sync.offender.id'],
  'control: an enum is found, and the column that uses it'
);
drop table clerk_sync.offender;
drop type clerk_sync.offence;


-- Supabase's linter --------------------------------------------------------------------------
-- tests/deploy runs rules 0001 to 0024 with `supabase db advisors`. The later ones are checked here,
-- with queries of our own.

-- 0025: a public bucket whose files can be listed. We store no files, so a policy that checks only
-- the bucket would be the application's.
create temp view bucket_listings as
select format('%I on storage.objects', policyname) as label
from pg_policies
where schemaname = 'storage'
  and tablename = 'objects'
  and permissive = 'PERMISSIVE'
  and cmd in ('SELECT', 'ALL')
  and roles && array['public', 'anon', 'authenticated']::name[]
  and regexp_replace(qual, '\s', '', 'g') ~* '^\(*(true|1=1|bucket_id=''[^'']*''(::[a-z]+)?)\)*$';

select is_empty('table bucket_listings', 'linter 0025: nobody can list a storage bucket');

do $$
begin
  if to_regclass('storage.objects') is null then
    create schema if not exists storage;
    create table storage.objects (bucket_id text);
  end if;
end
$$;
create policy offence on storage.objects for select to anon using (bucket_id = 'avatars');
create policy decency on storage.objects for select to anon
  using (bucket_id = 'avatars' and clerk.user_id() is not null);
select set_eq(
  'table bucket_listings',
  array['offence on storage.objects'],
  'control: a policy that opens a whole bucket is found, one that checks more is not'
);

-- 0026 and 0027: with pg_graphql, a role can read the schema of every table that it can select from.
create temp view readable as
select role, our_relations.label
from unnest(array['anon', 'authenticated']) as role
cross join our_relations
where kind in ('r', 'p', 'v', 'm', 'f')
  and has_any_column_privilege(role, our_relations.oid, 'select');

select is_empty(
  $$ select label from readable where role = 'anon' $$,
  'linter 0026: an anonymous caller can read the schema of no table'
);
select set_eq(
  $$ select label from readable where role = 'authenticated' $$,
  array[
    'public.profiles', 'public.organizations', 'public.organization_memberships',
    'public.organization_invitations', 'public.organization_roles', 'public.subscription_items'
  ],
  'linter 0027: a signed-in caller can read the schema of the tables meant for frontends only'
);

create table public.offender (id text primary key);
create view public.offence as select 1 as one;
grant select on public.offender, public.offence to anon, authenticated;
create table clerk_sync.offender (id text, name text);
grant select (name) on clerk_sync.offender to anon;
select set_eq(
  $$ select role, label from readable where label ~ 'offen' or role = 'anon' $$,
  $$
    values
      ('anon', 'public.offender'),
      ('anon', 'public.offence'),
      ('anon', 'clerk_sync.offender'),
      ('authenticated', 'public.offender'),
      ('authenticated', 'public.offence')
  $$,
  'control: a table and a view that are granted are found, and a grant on one column'
);
drop table public.offender, clerk_sync.offender;
drop view public.offence;

-- 0028 and 0029: the exposed schemas are public and those that PostgREST is configured with.
create temp view exposed_definers as
select role, label
from unnest(array['anon', 'authenticated']) as role
cross join our_functions
where is_definer
  and has_function_privilege(role, our_functions.oid, 'execute')
  and schema in (
    select regexp_split_to_table(
      'public,' || coalesce(current_setting('pgrst.db_schemas', true), ''), '\s*,\s*'
    )
  );

select is_empty(
  $$ select label from exposed_definers where role = 'anon' $$,
  'linter 0028: an anonymous caller can call no API function that runs with its owner''s rights'
);
select is_empty(
  $$ select label from exposed_definers where role = 'authenticated' $$,
  'linter 0029: a signed-in caller can call no API function that runs with its owner''s rights'
);

create function public.offend() returns void language sql security definer return null;
create function clerk.offend() returns void language sql security definer return null;
select set_eq(
  'table exposed_definers',
  $$ values ('anon', 'public.offend()'), ('authenticated', 'public.offend()') $$,
  'control: a definer function in public is found, one in a schema that is not exposed is not'
);
set local pgrst.db_schemas = 'graphql_public, clerk';
select set_has(
  $$ select label from exposed_definers where role = 'anon' $$,
  $$ values ('public.offend()'), ('clerk.offend()'), ('clerk.has_plan(text)') $$,
  'control: once that schema is exposed, the function in it is found, too'
);
drop function public.offend(), clerk.offend();


select * from finish();
rollback;
