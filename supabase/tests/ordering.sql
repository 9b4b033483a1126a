-- What happens to an event: every outcome in the database, and which of two events wins.
--
-- Each delivery is made as the webhook's role. Each part has users of its own, so that no part
-- depends on another.

begin;
set local search_path = public, extensions;
select plan(238);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

-- An event as Clerk sends it, the given ms after a fixed time; the envelope's time trails by 30 ms.
create function pg_temp.event(type text, id text, at bigint, data jsonb default '{}')
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'object', 'event',
    'type', type,
    'timestamp', 1760000000030 + at,
    'instance_id', 'ins_ours',
    'data', case type
      when 'user.deleted' then jsonb_build_object('object', 'user', 'id', id, 'deleted', true)
      else jsonb_build_object('object', 'user', 'id', id, 'updated_at', 1760000000000 + at) || data
    end)
$$;

create function pg_temp.deliver(message_id text, event jsonb)
returns jsonb
language plpgsql
as $$
declare
  answer jsonb;
begin
  -- As in a transaction of its own: all deliveries of this file share one.
  set constraints all deferred;

  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, event);
  reset role;
  return answer;
end
$$;

create function pg_temp.outcome(message_id text, event jsonb)
returns text
language sql
as $$
  select pg_temp.deliver(message_id, event) ->> 'outcome'
$$;

create function pg_temp.reject(message_id text, type text, issues jsonb, payload jsonb)
returns jsonb
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.record_clerk_rejection(message_id, type, issues, payload);
  reset role;
  return answer;
end
$$;

create function pg_temp.first_name(id text)
returns text
language sql
as $$
  select first_name from public.profiles where profiles.id = first_name.id
$$;

-- What an event may change: the user's row, the register and the queue.
create function pg_temp.state(id text)
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'profile', (select to_jsonb(profiles) from public.profiles where profiles.id = state.id),
    'register', (select to_jsonb(objects) from clerk_sync.objects where objects.id = state.id),
    'queue', (select count(*) from pgmq.q_clerk_changes),
    'inbox', (select count(*) from clerk_sync.inbox where object_id = state.id and payload is not null))
$$;

create temp table remembered (name text primary key, state jsonb);


-- Applied and duplicate ----------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_ada1', pg_temp.event('user.created', 'user_ada', 0, '{"first_name": "Ada"}')),
  '{"outcome": "applied"}',
  'a first event is applied, and the answer holds nothing else'
);
select is(pg_temp.first_name('user_ada'), 'Ada', 'an applied event is a row in profiles');
select results_eq(
  $$ select version, observed_at, message_id, deleted_at from clerk_sync.objects where id = 'user_ada' $$,
  $$ values (1760000000000, 1760000000030, 'msg_ada1' collate "C", null::timestamptz) $$,
  'the register holds the version applied: updated_at, the envelope''s time, the message'
);
select is(
  (select to_jsonb(inbox) from clerk_sync.inbox where message_id = 'msg_ada1'),
  jsonb_build_object(
    'message_id', 'msg_ada1',
    'type', 'user.created',
    'object_id', 'user_ada',
    'subjects', '["user_ada"]'::jsonb,
    'instance_id', 'ins_ours',
    'occurred_at', to_timestamp(1760000000.030),
    'received_at', now(),
    'last_delivered_at', now(),
    'deliveries', 1,
    'outcome', 'applied',
    'error', null,
    'payload', pg_temp.event('user.created', 'user_ada', 0, '{"first_name": "Ada"}')),
  'the inbox keeps the event as it arrived'
);

insert into remembered values ('ada', pg_temp.state('user_ada'));
update clerk_sync.inbox
set received_at = '2025-01-01', last_delivered_at = '2025-01-01'
where message_id = 'msg_ada1';
select is(
  pg_temp.deliver('msg_ada1', pg_temp.event('user.created', 'user_ada', 0, '{"first_name": "Ada"}')),
  '{"outcome": "duplicate"}',
  'the same message again is a duplicate'
);
select is(
  pg_temp.deliver('msg_ada1', pg_temp.event('user.updated', 'user_ada', 9, '{"first_name": "Eva"}')),
  '{"outcome": "duplicate"}',
  'a message is recognized by its id alone'
);
select is(
  pg_temp.state('user_ada'), (select state from remembered where name = 'ada'),
  'a duplicate changes nothing'
);
select results_eq(
  $$
    select outcome, deliveries, received_at, last_delivered_at from clerk_sync.inbox
    where message_id = 'msg_ada1'
  $$,
  $$ values ('applied', 3, timestamptz '2025-01-01', now()) $$,
  'a duplicate is counted'
);

select is(
  pg_temp.outcome('msg_ada2', pg_temp.event('user.updated', 'user_ada', 1, '{"first_name": "Augusta"}')),
  'applied',
  'a newer event is applied'
);
select is(pg_temp.first_name('user_ada'), 'Augusta', 'a newer event changes the row');


-- Stale --------------------------------------------------------------------------------------

insert into remembered values ('augusta', pg_temp.state('user_ada') - 'inbox');
select is(
  pg_temp.deliver('msg_ada3', pg_temp.event('user.updated', 'user_ada', -1, '{"first_name": "Old"}')),
  '{"outcome": "stale"}',
  'an event older than the stored version is stale'
);
select is(
  pg_temp.state('user_ada') - 'inbox', (select state from remembered where name = 'augusta'),
  'a stale event changes nothing'
);
select results_eq(
  $$
    select outcome, error, payload #>> '{data,first_name}' from clerk_sync.inbox
    where message_id = 'msg_ada3'
  $$,
  $$ values ('stale', null::jsonb, 'Old') $$,
  'a stale event is kept with its payload'
);
select is(
  pg_temp.outcome('msg_ada3', pg_temp.event('user.updated', 'user_ada', -1)), 'duplicate',
  'a stale event delivered again is a duplicate'
);

select is(
  pg_temp.outcome('msg_bo2', pg_temp.event('user.updated', 'user_bo', 1, '{"first_name": "Bob"}')),
  'applied',
  'an update that arrives before the creation makes the row'
);
select is(
  pg_temp.outcome('msg_bo1', pg_temp.event('user.created', 'user_bo', 0, '{"first_name": "Bo"}')),
  'stale',
  'a creation that arrives after the update is stale'
);
select is(pg_temp.first_name('user_bo'), 'Bob', 'control: the row still holds the update');


-- Which event is newer -----------------------------------------------------------------------

-- Delivers two events about one user, in this order, and returns the outcome of the second.
create function pg_temp.second_outcome(id text, first jsonb, second jsonb)
returns text
language plpgsql
as $$
declare
  base constant jsonb := pg_temp.event('user.updated', 'user_' || id, 0);
begin
  perform pg_temp.deliver(
    coalesce(first ->> 'message', 'msg_' || id || '1'),
    jsonb_strip_nulls((base - 'timestamp') || jsonb_build_object(
      'timestamp', first -> 'timestamp',
      'data', (base -> 'data') - 'updated_at' || jsonb_build_object(
        'updated_at', first -> 'updated_at', 'created_at', first -> 'created_at'))));
  return pg_temp.outcome(
    coalesce(second ->> 'message', 'msg_' || id || '2'),
    jsonb_strip_nulls((base - 'timestamp') || jsonb_build_object(
      'timestamp', second -> 'timestamp',
      'data', (base -> 'data') - 'updated_at' || jsonb_build_object(
        'updated_at', second -> 'updated_at', 'created_at', second -> 'created_at'))));
end
$$;

select is(pg_temp.second_outcome(id, first, second), outcome, description)
from (
  values
    (
      'c01', 'applied', 'updated_at decides, though the envelope of the newer is older',
      '{"updated_at": 1760000000000, "timestamp": 1760000000060}'::jsonb,
      '{"updated_at": 1760000000001, "timestamp": 1760000000005}'::jsonb
    ),
    (
      'c02', 'stale', 'updated_at decides, though the envelope of the older is newer',
      '{"updated_at": 1760000000001, "timestamp": 1760000000005}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000060}'
    ),
    (
      'c03', 'applied', 'the envelope''s time decides between equal updated_at',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000006}'
    ),
    (
      'c04', 'stale', 'the envelope''s time decides between equal updated_at, the other way round',
      '{"updated_at": 1760000000000, "timestamp": 1760000000006}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005}'
    ),
    (
      'c05', 'applied', 'the message id decides between equal times',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c05a"}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c05b"}'
    ),
    (
      'c06', 'stale', 'the message id decides between equal times, the other way round',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c06b"}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c06a"}'
    ),
    (
      'c07', 'stale', 'message ids are compared byte by byte, whatever the collation of the database',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c07_a"}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005, "message": "msg_c07_B"}'
    ),
    (
      'c08', 'applied', 'without updated_at, the envelope''s time is the version',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005}',
      '{"timestamp": 1760000000001}'
    ),
    (
      'c09', 'stale', 'without updated_at, the envelope''s time is the version, the other way round',
      '{"timestamp": 1760000000001}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000005}'
    ),
    (
      'c10', 'applied', 'without updated_at and timestamp, created_at is the version',
      '{"created_at": 1760000000000}',
      '{"created_at": 1760000000001}'
    ),
    (
      'c11', 'stale', 'without updated_at and timestamp, created_at is the version, the other way round',
      '{"updated_at": 1760000000001, "timestamp": 1760000000005}',
      '{"created_at": 1760000000000}'
    ),
    (
      'c12', 'stale', 'without timestamp, the version takes its place',
      '{"updated_at": 1760000000000, "timestamp": 1760000000001}',
      '{"updated_at": 1760000000000}'
    ),
    (
      'c13', 'applied', 'without timestamp, the version takes its place, the other way round',
      '{"updated_at": 1760000000000}',
      '{"updated_at": 1760000000000, "timestamp": 1760000000001}'
    ),
    (
      'c14', 'applied', 'seconds are older than the milliseconds after them',
      '{"updated_at": 1760000000, "timestamp": 1760000000}',
      '{"updated_at": 1760000000001, "timestamp": 1760000000001}'
    ),
    (
      'c15', 'stale', 'seconds are older than the milliseconds after them, the other way round',
      '{"updated_at": 1760000000001, "timestamp": 1760000000001}',
      '{"updated_at": 1760000000, "timestamp": 1760000000}'
    ),
    (
      'c16', 'applied', 'seconds are newer than the milliseconds before them',
      '{"updated_at": 1759999999999, "timestamp": 1759999999999}',
      '{"updated_at": 1760000000, "timestamp": 1760000000}'
    ),
    (
      'c17', 'stale', 'a time in RFC 3339 equals the same time in milliseconds',
      '{"updated_at": 1760000000001}',
      '{"updated_at": "2025-10-09T08:53:20Z"}'
    ),
    (
      'c18', 'applied', 'a version may be later than its envelope, as in Clerk''s examples',
      '{"updated_at": 1760000000000, "timestamp": 1760000000000}',
      '{"updated_at": 1760000300000, "timestamp": 1760000000000}'
    ),
    (
      'c19', 'applied', 'an updated_at that is not a time counts as absent',
      '{"updated_at": 1760000000000, "timestamp": 1760000000000}',
      '{"updated_at": "soon", "timestamp": 1760000000001}'
    ),
    (
      'c20', 'applied', 'the year 1 counts as absent, not as an old time',
      '{"updated_at": 1760000000000, "timestamp": 1760000000000}',
      '{"updated_at": "0001-01-01T00:00:00Z", "timestamp": 1760000000001}'
    )
) as pairs (id, outcome, description, first, second);

select results_eq(
  $$
    select id, version, observed_at from clerk_sync.objects
    where id in ('user_c08', 'user_c10', 'user_c13', 'user_c14', 'user_c16', 'user_c18')
    order by id
  $$,
  $$
    values
      ('user_c08' collate "C", 1760000000001, 1760000000001),
      ('user_c10', 1760000000001, 1760000000001),
      ('user_c13', 1760000000000, 1760000000001),
      ('user_c14', 1760000000001, 1760000000001),
      ('user_c16', 1760000000000, 1760000000000),
      ('user_c18', 1760000300000, 1760000000000)
  $$,
  'the register holds milliseconds, whatever format arrived'
);


-- Deletions ----------------------------------------------------------------------------------

select is(
  pg_temp.outcome('msg_dee1', pg_temp.event('user.created', 'user_dee', 100, '{"first_name": "Dee"}')),
  'applied',
  'arrange: dee exists'
);
select is(
  pg_temp.outcome('msg_dee2', pg_temp.event('user.deleted', 'user_dee', 0)), 'applied',
  'a deletion is applied whatever its time, because it carries no usable one'
);
select results_eq(
  $$ select deleted_at, first_name, updated_at from public.profiles where id = 'user_dee' $$,
  $$ values (to_timestamp(1760000000.030), null, null::timestamptz) $$,
  'a deletion leaves a tombstone'
);
select is(
  (select deleted_at from clerk_sync.objects where id = 'user_dee'), to_timestamp(1760000000.030),
  'the register holds the deletion'
);

insert into remembered values ('dee', pg_temp.state('user_dee'));
select is(
  pg_temp.outcome('msg_dee3', pg_temp.event('user.updated', 'user_dee', 200, '{"first_name": "Back"}')),
  'stale',
  'a late update does not bring a deleted user back'
);
select is(
  pg_temp.outcome('msg_dee4', pg_temp.event('user.created', 'user_dee', 300, '{"first_name": "Back"}')),
  'stale',
  'a late creation does not bring a deleted user back'
);
select is(
  pg_temp.outcome('msg_dee5', pg_temp.event('user.deleted', 'user_dee', 400)), 'stale',
  'a second deletion is stale'
);
select is(
  pg_temp.outcome('msg_dee2', pg_temp.event('user.deleted', 'user_dee', 0)), 'duplicate',
  'the deletion delivered again is a duplicate'
);
select is(
  pg_temp.state('user_dee'), (select state from remembered where name = 'dee'),
  'none of them changes the tombstone, the register or the queue'
);

delete from public.profiles where id = 'user_dee';
select is(
  pg_temp.outcome('msg_dee6', pg_temp.event('user.updated', 'user_dee', 500, '{"first_name": "Back"}')),
  'stale',
  'a late update does not bring a deleted user back even after the tombstone is purged'
);
select is(
  pg_temp.outcome('msg_dee7', pg_temp.event('user.deleted', 'user_dee', 600)), 'stale',
  'a deletion does not bring a purged tombstone back'
);
select is_empty(
  $$ select from public.profiles where id = 'user_dee' $$,
  'control: there is no row'
);

select is(
  pg_temp.outcome('msg_eli2', pg_temp.event('user.deleted', 'user_eli', 1)), 'applied',
  'a deletion may arrive first'
);
select is(
  pg_temp.outcome('msg_eli1', pg_temp.event('user.created', 'user_eli', 0, '{"first_name": "Eli"}')),
  'stale',
  'a creation that arrives after the deletion is stale'
);
select results_eq(
  $$ select first_name, deleted_at is not null from public.profiles where id = 'user_eli' $$,
  $$ values (null::text, true) $$,
  'a deletion that arrives first leaves a tombstone, too'
);
select is(
  pg_temp.outcome('msg_fay1', pg_temp.event('user.deleted', 'user_fay', 0) - 'timestamp'), 'applied',
  'a deletion without any time is applied'
);
select is(
  (select deleted_at from public.profiles where id = 'user_fay'), now(),
  'a deletion without any time is dated now'
);
select is(
  pg_temp.outcome('msg_gus1', pg_temp.event('user.created', 'user_gus', 0, '{"username": "dee"}')),
  'applied',
  'control: another user with the deleted user''s name is made'
);


-- Unchanged ----------------------------------------------------------------------------------

create temp table places as
select ctid as place from public.profiles where id = 'user_gus';
select is(
  pg_temp.outcome('msg_gus2', pg_temp.event('user.updated', 'user_gus', 0, '{"username": "dee"}')),
  'applied',
  'an event that changes nothing is applied'
);
select is(
  (select ctid from public.profiles where id = 'user_gus'), (select place from places),
  'an event that changes nothing does not write the row'
);
select is(
  (select message_id from clerk_sync.objects where id = 'user_gus'), 'msg_gus2' collate "C",
  'control: the register holds its version'
);
do $$ begin perform pg_temp.deliver('msg_gus3', pg_temp.event('user.updated', 'user_gus', 1, '{"username": "gus"}')); end $$;
select isnt(
  (select ctid from public.profiles where id = 'user_gus'), (select place from places),
  'control: an event that changes something writes the row'
);


-- Ignored ------------------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_' || type, pg_temp.event(type, 'other_1', 0, '{"user_id": "user_ada"}')),
  '{"outcome": "ignored"}',
  format('%s is ignored, because no table is made from its type', type)
)
from unnest(array[
  'planet.discovered', 'session.created', 'session.pending', 'session.ended', 'session.removed',
  'session.revoked', 'organization.renamed', 'user.renamed', 'users.created', 'USER.CREATED', ''
]) as type;
select is(
  (
    select jsonb_agg(jsonb_build_array(outcome, error, payload #> '{data,user_id}', subjects))
    from clerk_sync.inbox
    where message_id in ('msg_planet.discovered', 'msg_session.created')
  ),
  $$ [
    ["ignored", null, null, ["user_ada"]],
    ["ignored", null, "user_ada", ["user_ada"]]
  ] $$,
  'an ignored event is kept: an unknown type without its payload, a session with it'
);
select results_eq(
  $$ select id, message_id from clerk_sync.objects where id in ('other_1', 'user_ada') $$,
  $$ values ('user_ada' collate "C", 'msg_ada2' collate "C") $$,
  'an ignored event claims no version, neither its own nor that of a user it mentions'
);
select is(
  pg_temp.outcome('msg_session.created', pg_temp.event('session.created', 'other_1', 0)), 'duplicate',
  'an ignored event delivered again is a duplicate'
);


-- Payloads that are never kept ---------------------------------------------------------------

select is(
  pg_temp.deliver('msg_' || type, pg_temp.event(type, 'other_2', 0, '{"user_id": "user_ada", "body": "Your code is 424242"}')),
  '{"outcome": "ignored"}',
  format('%s is ignored', type)
)
from unnest(array['email.created', 'sms.created', 'waitlistEntry.created', 'waitlistEntry.updated']) as type;
select results_eq(
  $$
    select message_id, type, object_id, outcome, payload from clerk_sync.inbox
    where object_id = 'other_2' order by message_id
  $$,
  $$
    values
      ('msg_email.created' collate "C", 'email.created', 'other_2', 'ignored', null::jsonb),
      ('msg_sms.created', 'sms.created', 'other_2', 'ignored', null),
      ('msg_waitlistEntry.created', 'waitlistEntry.created', 'other_2', 'ignored', null),
      ('msg_waitlistEntry.updated', 'waitlistEntry.updated', 'other_2', 'ignored', null)
  $$,
  'messages with codes, and the waiting list, are kept without their payload'
);
select is(
  pg_temp.reject('msg_sms_rejected', 'sms.created', '[]', '{"type": "sms.created", "data": "Your code is 424242"}'),
  '{"outcome": "unreadable"}',
  'a message with a code that could not be read is unreadable'
);
select is(
  pg_temp.reject('msg_sms_raw', null, '[]', jsonb_build_object('raw', '{"data": {"body": "Your code is 424242\u0000"}, "type": "sms.created"}')),
  '{"outcome": "unreadable"}',
  'a message with a code that is not even storable JSON is unreadable'
);
select is_empty(
  $$ select from clerk_sync.inbox where to_jsonb(inbox)::text like '%424242%' $$,
  'no code is kept, readable or not'
);
select is(
  pg_temp.outcome('msg_sessx', pg_temp.event('session.created', 'other_3', 0, '{"user_id": "user_ada", "body": "424242"}')), 'ignored',
  'arrange: a session'
);
select isnt_empty(
  $$ select from clerk_sync.inbox where to_jsonb(inbox)::text like '%424242%' $$,
  'control: the search finds a payload that is kept'
);

-- Bodies that are no JSON, of types that nobody knows, as Clerk might name them.
select is(
  pg_temp.reject('msg_odd_raw_' || number, null, '[]', jsonb_build_object('raw', format('{"type": "%s", "data": {"email": "mia@example.com"', odd))),
  '{"outcome": "unreadable"}', format('arrange: a broken body of type %s', odd)
)
from unnest(array['planet.discovered', 'passkey2.created', 'pass_key.created', 'pass\u006bey.created', 'ключ.created'])
  with ordinality as types (odd, number);
select is_empty(
  $$ select from clerk_sync.inbox where payload::text like '%mia@%' $$,
  'a broken body of an unknown type is kept without its payload, however the type is spelled'
);
select is(
  pg_temp.reject('msg_user_raw', null, '[]', '{"raw": "{\"type\": \"user.created\", \"data\": {\"email\": \"mia@example.com\""}'),
  '{"outcome": "unreadable"}', 'arrange: a broken body of a known type'
);
select isnt_empty(
  $$ select from clerk_sync.inbox where payload::text like '%mia@%' $$,
  'control: its payload is kept until it is delivered again'
);


-- Unreadable ---------------------------------------------------------------------------------

select is(
  pg_temp.deliver(message_id, event),
  jsonb_build_object('outcome', 'unreadable', 'issues', issues),
  description
)
from (
  values
    (
      'msg_h01', '[{"path": "type", "code": "invalid_type"}]'::jsonb, 'an event without a type is unreadable',
      pg_temp.event('user.created', 'user_hal', 0) - 'type'
    ),
    (
      'msg_h02', '[{"path": "type", "code": "invalid_type"}]', 'an event whose type is not text is unreadable',
      pg_temp.event('user.created', 'user_hal', 0) || '{"type": ["user.created"]}'
    ),
    (
      'msg_h03', '[{"path": "type", "code": "invalid_type"}]', 'an empty object is unreadable',
      '{}'
    ),
    (
      'msg_h04', '[{"path": "type", "code": "invalid_type"}]', 'a list is unreadable',
      '["user.created", {"id": "user_hal"}]'
    ),
    (
      'msg_h05', '[{"path": "", "code": "not_storable"}]', 'a text that holds no event is unreadable',
      '"user.created"'
    ),
    (
      'msg_h06', '[{"path": "type", "code": "invalid_type"}]', 'a JSON null is unreadable',
      'null'
    ),
    (
      'msg_h07', '[{"path": "data.id", "code": "invalid_format"}]', 'a user without an id is unreadable',
      pg_temp.event('user.created', 'user_hal', 0) #- '{data,id}'
    ),
    (
      'msg_h08', '[{"path": "data.id", "code": "invalid_format"}]', 'a deletion without an id is unreadable',
      pg_temp.event('user.deleted', 'user_hal', 0) #- '{data,id}'
    ),
    (
      'msg_h09', '[{"path": "data.id", "code": "invalid_format"}]', 'a user whose id is a number is unreadable',
      pg_temp.event('user.created', 'user_hal', 0, '{"id": 5}')
    ),
    (
      'msg_h10', '[{"path": "data.id", "code": "invalid_format"}]', 'a user with another kind''s id is unreadable',
      pg_temp.event('user.created', 'org_hal', 0)
    ),
    (
      'msg_h11', '[{"path": "data.id", "code": "invalid_format"}]', 'a user whose id is only the prefix is unreadable',
      pg_temp.event('user.created', 'user_', 0)
    ),
    (
      'msg_h12', '[{"path": "data.id", "code": "invalid_format"}]', 'a user whose id ends in a line break is unreadable',
      pg_temp.event('user.created', E'user_hal\n', 0)
    ),
    (
      'msg_h13', '[{"path": "data.id", "code": "invalid_format"}]', 'a user with an overlong id is unreadable',
      pg_temp.event('user.created', 'user_' || repeat('a', 300), 0)
    ),
    (
      'msg_h14', '[{"path": "data.id", "code": "invalid_format"}]', 'a user without data is unreadable',
      pg_temp.event('user.created', 'user_hal', 0) - 'data'
    ),
    (
      'msg_h15', '[{"path": "data.id", "code": "invalid_format"}]', 'a user whose data is a list is unreadable',
      pg_temp.event('user.created', 'user_hal', 0) || '{"data": [{"id": "user_hal"}]}'
    ),
    (
      'msg_h16', '[{"path": "data.updated_at", "code": "invalid_type"}]', 'a user without any time is unreadable',
      (pg_temp.event('user.created', 'user_hal', 0) - 'timestamp') #- '{data,updated_at}'
    ),
    (
      'msg_h17', '[{"path": "data.updated_at", "code": "invalid_type"}]', 'a user whose times are not times is unreadable',
      pg_temp.event('user.created', 'user_hal', 0, '{"updated_at": "soon", "created_at": {}}') || '{"timestamp": -1}'
    )
) as examples (message_id, issues, description, event);
select is_empty(
  $$ select from public.profiles where id ~ 'hal' $$,
  'an unreadable event makes no profile'
);
select is_empty(
  $$ select from clerk_sync.objects where id ~ 'hal' and (version > 0 or deleted_at is not null) $$,
  'an unreadable event claims no version and deletes nothing'
);
select is(
  (select count(*) from clerk_sync.inbox where message_id ^@ 'msg_h' and outcome = 'unreadable' and payload is not null),
  17::bigint,
  'an unreadable event is kept with its payload'
);
select is(
  (select error from clerk_sync.inbox where message_id = 'msg_h16'),
  '{"issues": [{"path": "data.updated_at", "code": "invalid_type"}]}',
  'an unreadable event is kept with the reason'
);
select is(
  pg_temp.outcome('msg_hnull', null), 'unreadable',
  'a missing event is unreadable'
);

select is(
  pg_temp.outcome('msg_h16', (pg_temp.event('user.created', 'user_hal', 0) - 'timestamp') #- '{data,updated_at}'),
  'unreadable',
  'an unreadable event delivered again is tried again'
);
select is(
  (select deliveries from clerk_sync.inbox where message_id = 'msg_h16'), 2,
  'an unreadable event delivered again is counted'
);

-- The webhook passes an event that it cannot read to the other entry point.
select is(
  pg_temp.reject('msg_ivy', 'user.created', '[{"path": "data.email_addresses.0", "code": "invalid_type"}]',
    pg_temp.event('user.created', 'user_ivy', 0, '{"first_name": "Ivy"}')),
  '{"outcome": "unreadable"}',
  'an event that the webhook cannot read is unreadable'
);
select is(
  (select to_jsonb(inbox) - '{received_at,last_delivered_at,instance_id,occurred_at}'::text[]
   from clerk_sync.inbox where message_id = 'msg_ivy'),
  jsonb_build_object(
    'message_id', 'msg_ivy',
    'type', 'user.created',
    'object_id', 'user_ivy',
    'subjects', '["user_ivy"]'::jsonb,
    'deliveries', 1,
    'outcome', 'unreadable',
    'error', '{"issues": [{"path": "data.email_addresses.0", "code": "invalid_type"}]}'::jsonb,
    'payload', pg_temp.event('user.created', 'user_ivy', 0, '{"first_name": "Ivy"}')),
  'an event that the webhook cannot read is kept, with the reason'
);
select is(
  pg_temp.reject('msg_ivy', 'user.created', null, pg_temp.event('user.created', 'user_ivy', 0, '{"first_name": "Ivy"}')),
  '{"outcome": "unreadable"}',
  'an event that the webhook still cannot read is unreadable again, even without issues'
);
select results_eq(
  $$ select deliveries, error from clerk_sync.inbox where message_id = 'msg_ivy' $$,
  $$ values (2, '{"issues": []}'::jsonb) $$,
  'control: the second delivery took the place of the first'
);
select is(
  pg_temp.outcome('msg_ivy', pg_temp.event('user.created', 'user_ivy', 0, '{"first_name": "Ivy"}')),
  'applied',
  'once the webhook can read it, the same message is applied'
);
select results_eq(
  $$ select outcome, deliveries, error from clerk_sync.inbox where message_id = 'msg_ivy' $$,
  $$ values ('applied', 3, null::jsonb) $$,
  'a message that is applied in the end keeps no error'
);
select is(
  pg_temp.reject('msg_ivy', 'user.created', '[]', '{}'), '{"outcome": "duplicate"}',
  'an applied message can no longer be rejected'
);
select is(
  pg_temp.reject('msg_raw', null, '[{"path": "", "code": "invalid_json"}]', '{"raw": "{\"data\": "}'),
  '{"outcome": "unreadable"}',
  'a body that is not JSON is unreadable'
);
select results_eq(
  $$ select type, object_id, payload from clerk_sync.inbox where message_id = 'msg_raw' $$,
  $$ values (null, null, '{"raw": "{\"data\": "}'::jsonb) $$,
  'a body that is not JSON is kept as text'
);
select is_empty(
  $$ select from clerk_sync.objects where id = 'user_uma' $$,
  'control: nothing has mentioned uma yet'
);
select is(
  pg_temp.reject('msg_uma', null, '[]', '{"data": {"id": "user_uma", "first_name": ["U"]}}'),
  '{"outcome": "unreadable"}',
  'arrange: uma''s event cannot be read'
);
select results_eq(
  $$ select version, message_id, deleted_at from clerk_sync.objects where id = 'user_uma' $$,
  $$ values (0::bigint, '' collate "C", null::timestamptz) $$,
  'an unreadable event makes the register row that an erasure of its user would lock'
);
select is(
  pg_temp.outcome('msg_uma', pg_temp.event('user.created', 'user_uma', 0, '{"external_id": "user_kin"}')),
  'applied',
  'arrange: the same message arrives whole'
);
select is(
  (select to_jsonb(inbox) - '{received_at,last_delivered_at}'::text[]
   from clerk_sync.inbox where message_id = 'msg_uma'),
  jsonb_build_object(
    'message_id', 'msg_uma',
    'type', 'user.created',
    'object_id', 'user_uma',
    'subjects', '["user_uma"]'::jsonb,
    'instance_id', 'ins_ours',
    'occurred_at', to_timestamp(1760000000.030),
    'deliveries', 2,
    'outcome', 'applied',
    'error', null,
    'payload', pg_temp.event('user.created', 'user_uma', 0, '{"external_id": "user_kin"}')),
  'a message that becomes readable is kept as it arrived then'
);


-- Another instance ---------------------------------------------------------------------------

update clerk_sync.settings set instance_id = 'ins_ours';
insert into remembered
select 'register', jsonb_build_object('register', count(*)) from clerk_sync.objects;

select is(
  pg_temp.deliver('msg_foreign1', pg_temp.event('user.created', 'user_jon', 0, '{"first_name": "Jon"}') || '{"instance_id": "ins_theirs"}'),
  '{"outcome": "ignored"}',
  'another instance''s event is ignored once the settings name ours'
);
select is(
  pg_temp.deliver('msg_foreign2', pg_temp.event('user.deleted', 'user_ada', 0) || '{"instance_id": "ins_theirs"}'),
  '{"outcome": "ignored"}',
  'another instance''s deletion deletes no user'
);
select is(
  pg_temp.deliver('msg_foreign3', '{"instance_id": "ins_theirs", "data": {"id": "user_jon"}}'),
  '{"outcome": "ignored"}',
  'another instance''s event is ignored, readable or not'
);
select is(
  pg_temp.reject('msg_foreign4', 'user.created', '[]', '{"instance_id": "ins_theirs", "data": {"id": "user_jon"}}'),
  '{"outcome": "ignored"}',
  'another instance''s event that the webhook could not read is ignored'
);
select is(
  pg_temp.reject('msg_foreign5', null, '[]', '{"raw": "{\"instance_id\" : \"ins_theirs\", \"id\": \"user_jon\", "}'),
  '{"outcome": "ignored"}',
  'another instance''s body that is not JSON is ignored'
);
select results_eq(
  $$
    select message_id, outcome, error, payload, subjects from clerk_sync.inbox
    where message_id ^@ 'msg_foreign' order by message_id
  $$,
  $$
    select format('msg_foreign%s', number) collate "C", 'ignored', null::jsonb, null::jsonb, '{}'::text[]
    from generate_series(1, 5) as number
  $$,
  'another instance''s events are kept without payload'
);
select is(pg_temp.first_name('user_ada'), 'Augusta', 'control: no user was deleted');
select is_empty($$ select from public.profiles where id = 'user_jon' $$, 'control: no user was made');
select is(
  (select count(*) from clerk_sync.objects),
  (select (state -> 'register')::bigint from remembered where name = 'register'),
  'another instance''s events leave the register alone'
);
select is(
  pg_temp.outcome('msg_foreign1', pg_temp.event('user.created', 'user_jon', 0) || '{"instance_id": "ins_theirs"}'),
  'duplicate',
  'another instance''s event delivered again is a duplicate'
);
select is(
  pg_temp.outcome('msg_kim1', pg_temp.event('user.created', 'user_kim', 0)), 'applied',
  'control: our instance''s event is applied'
);
select is(
  pg_temp.outcome('msg_kim2', pg_temp.event('user.updated', 'user_kim', 1) - 'instance_id'), 'applied',
  'an event that names no instance, as before April 2025, is applied'
);
update clerk_sync.settings set instance_id = null;
select is(
  pg_temp.outcome('msg_kim3', pg_temp.event('user.updated', 'user_kim', 2) || '{"instance_id": "ins_theirs"}'),
  'applied',
  'while the settings name no instance, any is accepted'
);
select throws_ok(
  $$ update clerk_sync.settings set instance_id = 'production' $$, '23514', null,
  'the settings accept only an instance id'
);
select throws_ok(
  $$ insert into clerk_sync.settings (is_only_row) values (false) $$, '23514', null,
  'there is one row of settings'
);


-- Failed -------------------------------------------------------------------------------------

create schema application;
create table application.teams (id text primary key);

create function application.refuse()
returns trigger
language plpgsql
as $$
begin
  raise exception 'no room for %', new.email using errcode = tg_argv[0];
end
$$;

create function application.assert_nothing()
returns trigger
language plpgsql
as $$
begin
  assert false, 'this cannot be';
end
$$;

create function application.divide()
returns trigger
language plpgsql
as $$
begin
  perform 1 / (length(new.email) - length(new.email));
  return new;
end
$$;

-- A cause of failure that lasts for an update and a redelivery, and is then removed.
create function pg_temp.it_fails(name text, sqlstate text, what text, cause text, remedy text)
returns setof text
language plpgsql
as $$
declare
  user_id constant text := 'user_' || name;
  created constant jsonb := pg_temp.event('user.created', user_id, 0, '{
    "first_name": "Before",
    "primary_email_address_id": "idn_1",
    "email_addresses": [{"id": "idn_1", "email_address": "before@example.com"}]
  }');
  updated constant jsonb := pg_temp.event('user.updated', user_id, 1, '{
    "first_name": "After",
    "primary_email_address_id": "idn_1",
    "email_addresses": [{"id": "idn_1", "email_address": "after@example.com"}]
  }');
  before jsonb;
begin
  perform pg_temp.deliver('msg_1' || name, created);
  execute cause;
  before := pg_temp.state(user_id) - 'inbox';

  return next is(
    pg_temp.deliver('msg_2' || name, updated),
    jsonb_build_object('outcome', 'failed', 'sqlstate', sqlstate),
    format('%s: the outcome is failed, with the SQLSTATE and nothing else', what));
  return next is(
    pg_temp.state(user_id) - 'inbox', before,
    format('%s: row, register and queue are unchanged', what));
  return next is(
    (
      select jsonb_build_array(outcome, error -> 'sqlstate', error ? 'message', payload, deliveries)
      from clerk_sync.inbox where message_id = 'msg_2' || name
    ),
    jsonb_build_array('failed', sqlstate, true, updated, 1),
    format('%s: the event is in the inbox, with the reason', what));

  perform pg_temp.deliver('msg_2' || name, updated);
  execute remedy;
  return next is(
    pg_temp.deliver('msg_2' || name, updated), '{"outcome": "applied"}',
    format('%s: once the cause is gone, the same message is applied', what));
  return next is(
    (
      select jsonb_build_array(outcome, error, deliveries, first_name)
      from clerk_sync.inbox
      join public.profiles on profiles.id = object_id
      where message_id = 'msg_2' || name
    ),
    '["applied", null, 3, "After"]',
    format('%s: every delivery was counted, and the error is gone', what));
end
$$;

select pg_temp.it_fails(
  'lea', 'P0001', 'a trigger raises',
  $$ create trigger refuse before insert or update on public.profiles
     for each row execute function application.refuse('P0001') $$,
  'drop trigger refuse on public.profiles'
);
select pg_temp.it_fails(
  'max', 'P0001', 'a trigger raises after the row was written and announced',
  $$ create trigger zzz_refuse after insert or update on public.profiles
     for each row execute function application.refuse('P0001') $$,
  'drop trigger zzz_refuse on public.profiles'
);
select pg_temp.it_fails(
  'ned', 'P0001', 'a deferred constraint trigger raises',
  $$ create constraint trigger refuse after insert or update on public.profiles
     deferrable initially deferred
     for each row execute function application.refuse('P0001') $$,
  'drop trigger refuse on public.profiles'
);
select pg_temp.it_fails(
  'oda', 'P0004', 'an assert fails',
  $$ create trigger refuse before insert or update on public.profiles
     for each row execute function application.assert_nothing() $$,
  'drop trigger refuse on public.profiles'
);
select pg_temp.it_fails(
  'pia', '22012', 'a trigger divides by zero',
  $$ create trigger refuse before insert or update on public.profiles
     for each row execute function application.divide() $$,
  'drop trigger refuse on public.profiles'
);
select pg_temp.it_fails(
  'ray', '23514', 'a check constraint refuses the row',
  $$ alter table public.profiles add constraint nobody_after check (first_name <> 'After') not valid $$,
  'alter table public.profiles drop constraint nobody_after'
);
select pg_temp.it_fails(
  'sue', '23505', 'an address is taken',
  $$ insert into public.profiles (id, email) values ('user_taken', 'after@example.com');
     create unique index taken on public.profiles (email) where id in ('user_taken', 'user_sue') $$,
  $$ drop index public.taken $$
);
select pg_temp.it_fails(
  'tim', '23503', 'a deferred foreign key of the application is violated',
  $$ alter table public.profiles add team_id text references application.teams
       deferrable initially deferred;
     create function application.join_team() returns trigger language plpgsql
       as 'begin new.team_id := ''nowhere''; return new; end';
     create trigger join_team before insert or update on public.profiles
       for each row execute function application.join_team() $$,
  $$ drop trigger join_team on public.profiles;
     alter table public.profiles drop team_id $$
);
select pg_temp.it_fails(
  'una', '55000', 'a trigger raises another SQLSTATE of class 55',
  $$ create trigger refuse before insert or update on public.profiles
     for each row execute function application.refuse('55000') $$,
  'drop trigger refuse on public.profiles'
);
select pg_temp.it_fails(
  'vic', '58030', 'a trigger raises an I/O error',
  $$ create trigger refuse before insert or update on public.profiles
     for each row execute function application.refuse('58030') $$,
  'drop trigger refuse on public.profiles'
);

create trigger refuse before insert or update on public.profiles
  for each row execute function application.refuse('P0001');
select is(
  pg_temp.deliver('msg_wes1', pg_temp.event('user.created', 'user_wes', 0, '{
    "primary_email_address_id": "idn_1",
    "email_addresses": [{"id": "idn_1", "email_address": "wes@example.com"}]
  }')),
  '{"outcome": "failed", "sqlstate": "P0001"}',
  'the answer does not hold the error''s message, which can quote personal data'
);
select is(
  (select error from clerk_sync.inbox where message_id = 'msg_wes1'),
  '{"sqlstate": "P0001", "message": "no room for wes@example.com"}',
  'control: the inbox holds the error''s message'
);
select is(
  (select version from clerk_sync.objects where id = 'user_wes'), 0::bigint,
  'a first event that fails claims no version'
);
drop trigger refuse on public.profiles;

select is(
  pg_temp.outcome('msg_wes2', pg_temp.event('user.updated', 'user_wes', 1)), 'applied',
  'an event that fails does not hold up the next'
);
select is(
  pg_temp.outcome('msg_wes1', pg_temp.event('user.created', 'user_wes', 0)), 'stale',
  'an event that failed is stale once something newer has arrived'
);

create trigger refuse before update on public.profiles
  for each row execute function application.refuse('P0001');
insert into remembered values ('wes', pg_temp.state('user_wes'));
select is(
  pg_temp.outcome('msg_wes3', pg_temp.event('user.deleted', 'user_wes', 2)), 'failed',
  'a deletion can fail, too'
);
select is(
  pg_temp.state('user_wes') - 'inbox', (select state - 'inbox' from remembered where name = 'wes'),
  'a deletion that fails deletes nothing'
);
select is(
  pg_temp.state('user_wes') -> 'inbox',
  to_jsonb((select (state -> 'inbox')::bigint + 1 from remembered where name = 'wes')),
  'a deletion that fails erases nothing'
);
drop trigger refuse on public.profiles;
select is(
  pg_temp.outcome('msg_wes3', pg_temp.event('user.deleted', 'user_wes', 2)), 'applied',
  'a deletion that failed is applied once the cause is gone'
);


-- Errors that are raised to the caller -------------------------------------------------------

-- The SQLSTATE that a delivery raises; throws_ok() lets query_canceled (57014) through.
create function pg_temp.raised(message_id text, event jsonb)
returns text
language plpgsql
as $$
begin
  return pg_temp.outcome(message_id, event);
exception
  when query_canceled or others then
    return sqlstate;
end
$$;

-- The fault is the database's, not the event's: nothing is kept, and the sender tries again.
create function pg_temp.it_is_raised_on(code text)
returns setof text
language plpgsql
as $$
declare
  name constant text := lower(code);
begin
  execute format(
    'create trigger refuse before insert or update on public.profiles
     for each row execute function application.refuse(%L)', code);

  return next is(
    pg_temp.raised('msg_' || name, pg_temp.event('user.created', 'user_' || name, 0)), code,
    format('SQLSTATE %s is raised to the caller', code));
  return next is_empty(
    format(
      $query$
        select from clerk_sync.inbox where message_id = %L
        union all select from clerk_sync.objects where id = %L
        union all select from public.profiles where id = %2$L
      $query$,
      'msg_' || name, 'user_' || name),
    format('SQLSTATE %s leaves nothing behind', code));

  drop trigger refuse on public.profiles;
  return next is(
    pg_temp.outcome('msg_' || name, pg_temp.event('user.created', 'user_' || name, 0)), 'applied',
    format('control: after SQLSTATE %s the same message is applied', code));
end
$$;

select pg_temp.it_is_raised_on(code)
from unnest(array['40001', '40P01', '53100', '53300', '57014', '57P01', '55P03']) as code;

-- Times ahead of the clock -------------------------------------------------------------------

-- An event of frank's, whose updated_at is this far from the envelope's time (ms).
create function pg_temp.frank(message_id text, at bigint, ahead bigint, name text)
returns text
language sql
as $$
  select pg_temp.outcome(message_id, jsonb_set(
    pg_temp.event('user.updated', 'user_frank', at, jsonb_build_object('first_name', name)),
    '{data,updated_at}', to_jsonb(1760000000030 + at + ahead)))
$$;

select is(pg_temp.frank('msg_frank_1', 0, 0, 'Frank'), 'applied', 'arrange: frank is there');
select is(
  pg_temp.frank('msg_frank_2', 1000, 86400000, 'Franky'), 'applied',
  'an updated_at a day after the envelope is applied, with the envelope''s time as its version'
);
select is(
  pg_temp.frank('msg_frank_3', 2000, 0, 'Francis'), 'applied',
  'and does not make the next event stale'
);
select is(
  pg_temp.frank('msg_frank_4', 3000, 1760000000030 * 999, 'Frankie'), 'applied',
  'an updated_at a thousand times too large is applied likewise'
);
select is(pg_temp.frank('msg_frank_5', 4000, 0, 'Franz'), 'applied', 'and does not make the next event stale, either');
select is(pg_temp.first_name('user_frank'), 'Franz', 'control: the newest event by Clerk''s clock wins');
select is(
  pg_temp.frank('msg_frank_6', 5000, 600000, 'Ten minutes'), 'applied',
  'an updated_at ten minutes after the envelope is taken as it is'
);
select is(
  pg_temp.frank('msg_frank_7', 6000, 0, 'Late'), 'stale',
  'control: it is the version, so that an event with a smaller updated_at is stale'
);
select is(
  pg_temp.deliver('msg_ahead_' || what, event),
  jsonb_build_object('outcome', 'unreadable', 'issues', jsonb_build_array(jsonb_build_object('path', path, 'code', 'too_far_ahead'))),
  format('%s is unreadable', what)
)
from (values
  (
    'an envelope two days ahead of the clock', 'timestamp',
    jsonb_set(pg_temp.event('user.updated', 'user_gina', 0), '{timestamp}', to_jsonb((extract(epoch from now() + interval '2 days') * 1000)::bigint))
  ),
  (
    'a deletion two days ahead of the clock', 'timestamp',
    jsonb_set(pg_temp.event('user.deleted', 'user_gina', 0), '{timestamp}', to_jsonb((extract(epoch from now() + interval '2 days') * 1000)::bigint))
  ),
  (
    'without an envelope''s time, an updated_at two days ahead', 'data.updated_at',
    jsonb_set(pg_temp.event('user.updated', 'user_gina', 0), '{data,updated_at}', to_jsonb((extract(epoch from now() + interval '2 days') * 1000)::bigint)) - 'timestamp'
  )
) as events (what, path, event);
select is_empty($$ select from public.profiles where id = 'user_gina' $$, 'an event that is too far ahead writes nothing');
select is(
  pg_temp.outcome('msg_gina', jsonb_set(
    pg_temp.event('user.updated', 'user_gina', 0), '{timestamp}', to_jsonb((extract(epoch from now() + interval '23 hours') * 1000)::bigint))),
  'applied',
  'control: an envelope less than a day ahead is applied'
);

select * from finish();
rollback;
