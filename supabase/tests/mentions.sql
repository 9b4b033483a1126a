-- What a message is about, what its text merely mentions, and how it is handed over.

begin;
set local search_path = public, extensions;
select plan(43);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.event(type text, data jsonb, number integer default 0)
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'type', type, 'timestamp', 1760000000000 + number,
    'data', '{"updated_at": 1760000000000}'::jsonb || data,
    'event_attributes', '{"http_request": {"client_ip": "192.0.2.7", "user_agent": "Lynx"}}'::jsonb
  )
$$;

create function pg_temp.outcome(message_id text, event jsonb)
returns text
language sql
as $$ select public.ingest_clerk_event(message_id, event) ->> 'outcome' $$;

-- In how many rows of the inbox, the register and the profiles a text stands.
create function pg_temp.rows_with(piece text)
returns bigint
language sql
as $$
  select count(*)
  from (
    select inbox::text from clerk_sync.inbox
    union all
    select objects::text from clerk_sync.objects
    union all
    select profiles::text from public.profiles
  ) as rows (row)
  where strpos(row, piece) > 0
$$;


-- Names that look like ids -------------------------------------------------------------------

select is(
  pg_temp.outcome('msg_11', pg_temp.event('user.created', '{
    "id": "user_2adaMarlowe000000000000000000", "username": "user_adamarlowe77", "first_name": "user_2nameThatLooksLikeAnId00000",
    "primary_email_address_id": "idn_1",
    "email_addresses": [{"id": "idn_1", "email_address": "user_2addressThatLooksLikeAnId00@example.com"}]
  }')),
  'applied',
  'arrange: a person whose names and address look like ids'
);
select set_eq(
  $$ select id from clerk_sync.objects $$, array['user_2adaMarlowe000000000000000000'],
  'a name that looks like an id makes no row in the register'
);
select is(
  (select subjects from clerk_sync.inbox where message_id = 'msg_11'),
  array['user_2adaMarlowe000000000000000000', 'user_2addressThatLooksLikeAnId00', 'user_2nameThatLooksLikeAnId00000'],
  'in free text, only what has the length of a real id may be a subject'
);
select is(
  pg_temp.outcome('msg_12', pg_temp.event('user.deleted', '{"id": "user_2adaMarlowe000000000000000000"}')), 'applied',
  'arrange: the person is deleted'
);
select is(pg_temp.rows_with(piece), 0::bigint, format('%s is erased from every table', piece))
from unnest(array['adamarlowe77', '2nameThatLooksLikeAnId', '2addressThatLooksLikeAnId']) as piece;
select is(
  pg_temp.outcome('msg_13', pg_temp.event('user.updated', '{
    "id": "user_2adaMarlowe000000000000000000", "username": "user_2nameThatLooksLikeAnId00000"
  }')),
  'stale',
  'arrange: a late update'
);
select is(pg_temp.rows_with('2nameThatLooksLikeAnId'), 0::bigint, 'a late update does not bring such a name back');


-- Ids in places where Clerk has ids ----------------------------------------------------------

select is(
  clerk_sync.people_in(data), people,
  format('%s is about %s', data, coalesce(nullif(array_to_string(people, ' and '), ''), 'nobody'))
)
from (
  values
    ('{"id": "user_a", "user_id": "user_b", "inviter_id": "user_c", "created_by": "user_d"}'::jsonb,
      '{user_a,user_b,user_c,user_d}'::text[]),
    ('{"payer": {"user_id": "user_a"}, "public_user_data": {"user_id": "user_b"}}', '{user_b,user_a}'),
    ('{"user": {"id": "user_a"}, "user_id": "user_a", "actor": {"sub": "user_b"}}', '{user_a,user_b}'),
    ('{"public_inviter_data": {"user_id": "user_a"}, "organization": {"created_by": "user_b"}}', '{user_a,user_b}'),
    ('{"id": "org_1", "name": "user_a", "public_metadata": {"user_id": "user_b"}, "user_id": "user_-"}', '{}'),
    ('["user_a"]', '{}')
) as examples (data, people);

select is(
  pg_temp.outcome('msg_21', pg_temp.event('user.created', jsonb_build_object(
    'id', 'user_boss', 'unsafe_metadata', (
      select jsonb_agg('user_' || lpad(number::text, 27, '0')) from generate_series(1, 780) as number
    )))),
  'applied',
  'arrange: metadata with 780 ids'
);
select is(
  (select count(*) from clerk_sync.objects where id like 'user_0%'), 0::bigint,
  'ids in metadata make no rows in the register'
);

insert into clerk_sync.objects (id)
select 'user_1' || lpad(number::text, 26, '0') from generate_series(1, 60) as number;
select lives_ok(
  $$
    select clerk_sync.lock_objects(null, false, null, '{}', (
      select array_agg('user_' || kind || lpad(number::text, 26, '0'))
      from generate_series(1, 60) as number, unnest(array['1', '2']) as kind
    ))
  $$,
  'arrange: free text mentions 60 ids that have a row, and 60 that have none'
);
select is(
  (select count(*) from clerk_sync.objects where id like 'user_1%' and xmax <> 0), 50::bigint,
  'at most 50 rows of those that free text mentions are locked'
);
select is((select count(*) from clerk_sync.objects where id like 'user_20%'), 0::bigint, 'and no row is made for the others');


-- A mention does not empty what is to be tried again -----------------------------------------

create function pg_temp.refuse() returns trigger language plpgsql as $$
begin
  raise 'no room for founder@example.com';
end
$$;
create trigger refuse before insert or update on public.organizations for each row execute function pg_temp.refuse();

select is(
  pg_temp.outcome('msg_31', pg_temp.event('organization.created', '{
    "id": "org_1", "name": "Lantern Works", "created_by": "user_founder",
    "founder": {"id": "user_founder", "mail": "founder@example.com", "team": {"user_id": "user_founder", "mail": "founder@example.com"}}
  }')),
  'failed',
  'arrange: an event that mentions its founder fails'
);
select is(
  pg_temp.outcome('msg_32', pg_temp.event('user.deleted', '{"id": "user_founder"}')), 'applied',
  'arrange: the founder is deleted'
);
select is(
  (select (payload -> 'data') - 'updated_at' from clerk_sync.inbox where message_id = 'msg_31'),
  '{"id": "org_1", "name": "Lantern Works", "created_by": "user_founder", "founder": {"id": "user_founder"}}',
  'a failed message that mentions a deleted person loses what it says about the person, and keeps the rest'
);
select is(
  (select error from clerk_sync.inbox where message_id = 'msg_31'), '{"sqlstate": "P0001"}',
  'and the text of its error'
);
select is(
  pg_temp.outcome('msg_33', pg_temp.event('organization.updated', '{
    "id": "org_1", "name": "Lantern & Sons", "created_by": "user_founder",
    "founder": {"user_id": "user_founder", "mail": "founder@example.com"}
  }', 1)),
  'failed',
  'arrange: a later one fails, too'
);
select is(
  (select (payload -> 'data') - 'updated_at' from clerk_sync.inbox where message_id = 'msg_33'),
  '{"id": "org_1", "name": "Lantern & Sons", "created_by": "user_founder", "founder": {"user_id": "user_founder"}}',
  'a later one is kept the same way'
);
select is(pg_temp.rows_with('founder@example.com'), 0::bigint, 'the address is kept nowhere');
drop trigger refuse on public.organizations;
select is(
  pg_temp.outcome('msg_33', (select payload from clerk_sync.inbox where message_id = 'msg_33')), 'applied',
  'what was kept can be applied'
);
select is((select name from public.organizations where id = 'org_1'), 'Lantern & Sons', 'and makes the row');
select is(
  (select payload from clerk_sync.inbox where message_id = 'msg_33'), null,
  'once it is settled, a message that mentions a deleted person loses its payload'
);
select is(pg_temp.rows_with('192.0.2.7') + pg_temp.rows_with('Lynx'), 0::bigint, 'addresses and programs of clients are never stored');


-- How an event is handed over ----------------------------------------------------------------

select is(
  public.ingest_clerk_event('msg_41', to_jsonb(
    '{"type": "user.created", "timestamp": 1760000000000, "data": {"id": "user_eve", "updated_at": 1760000000000,'
    ' "locale": 7, "first_name": "Eve", "public_metadata": {"big": 1099511627776123457, "long": 0.12345678901234567890},'
    ' "unsafe_metadata": ' || repeat('{"a":', 4000) || '1e400' || repeat('}', 4000) || '}}'), array['data.locale']) ->> 'outcome',
  'applied',
  'an event can be handed over as its text'
);
select results_eq(
  $$ select public_metadata::text, locale, first_name from public.profiles where id = 'user_eve' $$,
  $$ values ('{"big": 1099511627776123457, "long": 0.12345678901234567890}', null, 'Eve') $$,
  'then every digit stays; a value that was dropped reads as absent'
);
select is(
  (select strpos(payload::text, '"locale"') = 0 and strpos(payload::text, '1099511627776123457') > 0 from clerk_sync.inbox where message_id = 'msg_41'),
  true,
  'the inbox has the same'
);
select is(
  public.ingest_clerk_event('msg_' || number, to_jsonb(body)), '{"outcome": "unreadable", "issues": [{"path": "", "code": "not_storable"}]}',
  format('%s… is unreadable', left(body, 20))
)
from (values (42, '{"type": "user.created"'), (43, '{"a": 1e200000}'), (44, repeat('[', 100000) || repeat(']', 100000))) as bodies (number, body);
select is(
  public.ingest_clerk_event('msg_51', pg_temp.event('user.rebranded', '{"id": "user_eve", "first_name": "Eva"}', 1), as_type => 'user.updated') ->> 'outcome',
  'applied',
  'an event can be read as if it had another type'
);
select results_eq(
  $$ select first_name, (select type from clerk_sync.inbox where message_id = 'msg_51') from public.profiles where id = 'user_eve' $$,
  $$ values ('Eva', 'user.rebranded') $$,
  'the inbox keeps its own type'
);


-- What could not be applied in time ----------------------------------------------------------

select is(
  public.keep_clerk_event('msg_61', to_jsonb(pg_temp.event('user.updated', '{"id": "user_eve", "first_name": "Late"}', 2)::text), '57014') ->> 'outcome',
  'failed',
  'an event is kept as failed'
);
select results_eq(
  $$ select type, outcome, error, payload -> 'data' ->> 'first_name' from clerk_sync.inbox where message_id = 'msg_61' $$,
  $$ values ('user.updated', 'failed', '{"sqlstate": "57014"}'::jsonb, 'Late') $$,
  'with its type, the reason and its payload'
);
select is(
  pg_temp.outcome('msg_61', pg_temp.event('user.updated', '{"id": "user_eve", "first_name": "Late"}', 2)), 'applied',
  'a later delivery applies it'
);
select is(
  public.keep_clerk_event('msg_61', '{}', '57014') ->> 'outcome', 'duplicate', 'a settled message is not overwritten'
);

select * from finish();
rollback;
