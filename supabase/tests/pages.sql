-- Many of Clerk's objects are written at once, by the same mapping as one.

begin;
set local search_path = public, extensions;
select plan(19);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.rows_of(kind text, out id text, out name text)
returns setof record
language plpgsql
as $$
begin
  return query execute case kind
    when 'profiles' then 'select id, first_name from public.profiles'
    when 'organizations' then 'select id, name from public.organizations'
    when 'memberships' then $q$ select id, user_id || ' ' || role from public.organization_memberships $q$
    when 'invitations' then 'select id, email_address from public.organization_invitations'
    when 'items' then $q$ select id, coalesce(user_id, organization_id) || ' ' || plan_slug from public.subscription_items $q$
    when 'roles' then 'select id, key from public.organization_roles'
  end;
end
$$;

create function pg_temp.write(kind text, objects jsonb[])
returns void
language plpgsql
as $$
begin
  case kind
    when 'profiles' then perform clerk_sync.upsert_profiles(objects);
    when 'organizations' then perform clerk_sync.upsert_organizations(objects);
    when 'memberships' then perform clerk_sync.upsert_memberships(objects, '{user_1,user_2}');
    when 'invitations' then perform clerk_sync.upsert_invitations(objects);
    when 'items' then perform clerk_sync.upsert_subscription_items(objects, '{user_1,null}', '{null,org_1}');
    when 'roles' then perform clerk_sync.upsert_roles(objects);
  end case;
end
$$;

-- The changes of rows, by any table's trigger.
create temp table written (id text);
create function pg_temp.note_writing() returns trigger language plpgsql as $$
begin
  insert into written values (new.id);
  return null;
end
$$;

do $do$
declare
  name text;
begin
  foreach name in array array[
    'profiles', 'organizations', 'organization_memberships', 'organization_invitations',
    'subscription_items', 'organization_roles'
  ] loop
    execute format(
      'create trigger note_writing after insert or update on public.%I for each row execute function pg_temp.note_writing()',
      name);
  end loop;
end
$do$;

-- Two objects of each kind, and how the second of them changes.
create temp table pages (place integer, kind text, objects jsonb[], changed jsonb);
insert into pages values
  (
    1, 'profiles',
    array['{"id": "user_1", "first_name": "Ada"}', '{"id": "user_2", "first_name": "Bo"}']::jsonb[],
    '{"first_name": "Bob"}'
  ),
  (
    2, 'organizations',
    array['{"id": "org_1", "name": "Lantern"}', '{"id": "org_2", "name": "Heron"}']::jsonb[],
    '{"name": "Egret"}'
  ),
  (
    3, 'memberships',
    array[
      '{"id": "orgmem_1", "organization": {"id": "org_1"}, "role": "org:admin"}',
      '{"id": "orgmem_2", "organization": {"id": "org_1"}, "role": "org:member"}'
    ]::jsonb[],
    '{"role": "org:guide"}'
  ),
  (
    4, 'invitations',
    array[
      '{"id": "orginv_1", "organization_id": "org_1", "status": "pending", "email_address": "cy@example.com"}',
      '{"id": "orginv_2", "organization_id": "org_1", "status": "pending", "email_address": "di@example.com"}'
    ]::jsonb[],
    '{"status": "revoked"}'
  ),
  (
    5, 'items',
    array['{"id": "csub_item_1", "plan": {"slug": "pro"}}', '{"id": "csub_item_2", "plan": {"slug": "team"}}']::jsonb[],
    '{"plan": {"slug": "club"}}'
  ),
  (
    6, 'roles',
    array['{"id": "role_1", "key": "org:admin"}', '{"id": "role_2", "key": "org:guide"}']::jsonb[],
    '{"key": "org:scout"}'
  );

create temp table outcomes (place integer, kind text, rows_before text[], unchanged text[], changed text[], rows_after text[]);


-- Act ----------------------------------------------------------------------------------------

do $do$
declare
  page record;
  outcome outcomes;
begin
  for page in select * from pages order by place loop
    outcome := row(page.place, page.kind, null, null, null, null);
    perform pg_temp.write(page.kind, page.objects);
    outcome.rows_before := array(select id || ': ' || name from pg_temp.rows_of(page.kind) order by id);

    truncate written;
    perform pg_temp.write(page.kind, page.objects);
    outcome.unchanged := array(select id from written);

    perform pg_temp.write(page.kind, array[page.objects[1], page.objects[2] || page.changed]);
    outcome.changed := array(select distinct id from written);
    outcome.rows_after := array(select concat_ws(': ', id, name) from pg_temp.rows_of(page.kind) order by id);
    insert into outcomes values (outcome.*);
  end loop;
end
$do$;


-- Assert -------------------------------------------------------------------------------------

select results_eq(
  'select kind, rows_before from outcomes order by place',
  $$
    values
      ('profiles', array['user_1: Ada', 'user_2: Bo']),
      ('organizations', array['org_1: Lantern', 'org_2: Heron']),
      ('memberships', array['orgmem_1: user_1 org:admin', 'orgmem_2: user_2 org:member']),
      ('invitations', array['orginv_1: cy@example.com', 'orginv_2: di@example.com']),
      ('items', array['csub_item_1: user_1 pro', 'csub_item_2: org_1 team']),
      ('roles', array['role_1: org:admin', 'role_2: org:guide'])
  $$,
  'one call writes several objects of each kind'
);

select is_empty(
  $$ select kind, unchanged from outcomes where unchanged <> '{}' $$,
  'what would not change is not written'
);

select results_eq(
  'select kind, rows_after from outcomes order by place',
  $$
    values
      ('profiles', array['user_1: Ada', 'user_2: Bob']),
      ('organizations', array['org_1: Lantern', 'org_2: Egret']),
      ('memberships', array['orgmem_1: user_1 org:admin', 'orgmem_2: user_2 org:guide']),
      ('invitations', array['orginv_1: cy@example.com', 'orginv_2']),
      ('items', array['csub_item_1: user_1 pro', 'csub_item_2: org_1 club']),
      ('roles', array['role_1: org:admin', 'role_2: org:scout'])
  $$,
  'one that changed is written'
);

select is(
  outcomes.changed, array[objects[2] ->> 'id'], format('of %s, the other one is not written', kind)
)
from outcomes
join pages using (place, kind)
order by place;

-- The erasure of addresses reaches each invitation of a page.
insert into clerk_sync.inbox (message_id, type, object_id, outcome, payload)
select
  'msg_' || number, 'organizationInvitation.created', 'orginv_' || number, 'applied',
  jsonb_build_object('data', jsonb_build_object('email_address', 'cy@example.com', 'url', 'https://example.com'))
from generate_series(1, 3) as number;
select clerk_sync.upsert_invitations(array[
  '{"id": "orginv_1", "organization_id": "org_1", "status": "accepted"}',
  '{"id": "orginv_2", "organization_id": "org_1", "status": "accepted"}',
  '{"id": "orginv_3", "organization_id": "org_1", "status": "pending", "email_address": "cy@example.com"}'
]::jsonb[]);
select results_eq(
  $$ select message_id, payload -> 'data' ? 'email_address' from clerk_sync.inbox order by message_id $$,
  $$ values ('msg_1' collate "C", false), ('msg_2', false), ('msg_3', true) $$,
  'the addresses of all invitations that are not pending are erased from the inbox'
);


-- A row is written when any one of the columns changes.
create function pg_temp.written_by(kind text, changes jsonb)
returns text[]
language plpgsql
as $$
begin
  perform pg_temp.write(pages.kind, objects) from pages where pages.kind = written_by.kind;
  truncate written;
  perform pg_temp.write(pages.kind, array[objects[1], objects[2] || changes]) from pages where pages.kind = written_by.kind;
  return array(select id from written);
end
$$;

select is(pg_temp.written_by(kind, changes), array[written], format('%s in %s are written', changes, kind))
from (
  values
    ('invitations', '{"user_id": "user_1"}'::jsonb, 'orginv_2'),
    ('invitations', '{"inviter_id": "user_1"}', 'orginv_2'),
    ('items', '{"seats": {"quantity": 5}}', 'csub_item_2'),
    ('items', '{"plan_period": "month"}', 'csub_item_2'),
    ('items', '{"amount": {"amount": 2000}}', 'csub_item_2'),
    ('items', '{"plan": {"slug": "team", "amount": 2000}}', 'csub_item_2'),
    ('items', '{"plan": {"slug": "team", "amount": null, "currency": "EUR"}}', 'csub_item_2'),
    ('items', '{"status": "ended"}', 'csub_item_2'),
    ('items', '{"period_end": 1750000000000}', 'csub_item_2')
) as told (kind, changes, written);

select * from finish();
rollback;
