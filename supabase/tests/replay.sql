-- A replay puts a message of the inbox through the sync again: with the effect of one delivery, and
-- counted as none.

begin;
set local search_path = public, extensions;
select plan(60);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.event(type text, data jsonb, at bigint default 0)
returns jsonb
language sql
return jsonb_build_object(
  'type', type, 'timestamp', 1763000000030 + at, 'data', '{"updated_at": 1763000000000}'::jsonb || data);

create function pg_temp.deliver(message_id text, type text, data jsonb, at bigint default 0)
returns text
language sql
return public.ingest_clerk_event(message_id, pg_temp.event(type, data, at)) ->> 'outcome';

create function pg_temp.reject(message_id text, event jsonb)
returns text
language sql
return public.record_clerk_rejection(
  message_id, event ->> 'type', '[{"path": "data.id", "code": "invalid_format"}]', event) ->> 'outcome';

-- As if it had come before.
create function pg_temp.received(message_id text, minutes integer)
returns void
language sql
begin atomic
  update clerk_sync.inbox
  set
    received_at = now() - make_interval(mins => minutes),
    last_delivered_at = now() - make_interval(mins => minutes)
  where inbox.message_id = received.message_id;
end;

create function pg_temp.stored(message_id text)
returns text
language sql
return (
  select concat_ws(' ', outcome, error, deliveries, last_delivered_at < now(), payload is not null)
  from clerk_sync.inbox
  where inbox.message_id = stored.message_id
);

-- The application refuses people without a name.
create function pg_temp.refuse()
returns trigger
language plpgsql
as $$
begin
  if new.deleted_at is null and new.first_name is null then
    raise exception 'No name: %', new.id;
  end if;
  return new;
end
$$;
create trigger refuse before insert or update on public.profiles for each row execute function pg_temp.refuse();


-- What is failed is replayed from what is stored -------------------------------------------

select is(pg_temp.deliver('msg_1', 'user.created', '{"id": "user_ada"}'), 'failed', 'arrange: a trigger refuses');
select lives_ok($$ select pg_temp.received('msg_1', 10) $$, 'arrange: some time ago');
select is(
  public.replay_clerk_message('msg_1'),
  '{"outcome": "failed", "sqlstate": "P0001", "message": "No name: user_ada"}',
  'while the cause is there it fails again, and the operator is told why'
);
select is(
  pg_temp.stored('msg_1'), 'failed {"message": "No name: user_ada", "sqlstate": "P0001"} 1 t t', 'which counts no delivery'
);

alter table public.profiles disable trigger refuse;
select is(public.replay_clerk_message('msg_1', dry_run => true), '{"outcome": "applied"}', 'a dry run says what would be');
select is(
  pg_temp.stored('msg_1'), 'failed {"message": "No name: user_ada", "sqlstate": "P0001"} 1 t t', 'and changes no message'
);
select is_empty('select from public.profiles', 'no table');
select is_empty('select from clerk_sync.objects where version > 0', 'no version');
select is_empty('select from pgmq.q_clerk_changes', 'and announces nothing');

select is(public.replay_clerk_message('msg_1'), '{"outcome": "applied"}', 'without the cause it is applied');
select is(pg_temp.stored('msg_1'), 'applied 1 t t', 'it is settled, and still delivered once, and then');
select results_eq(
  $$ select message ->> 'topic', message ->> 'caused_by', message ->> 'via' from pgmq.q_clerk_changes $$,
  $$ values ('profile.created', 'msg_1', 'webhook') $$,
  'it is announced as the delivery would have been'
);
select is(public.replay_clerk_message('msg_1'), '{"outcome": "duplicate"}', 'a settled message is not replayed');
select is(pg_temp.deliver('msg_1', 'user.created', '{"id": "user_ada"}'), 'duplicate', 'nor delivered again');
select is(pg_temp.stored('msg_1'), 'applied 2 f t', 'control: a delivery is counted');
select is(public.replay_clerk_message('msg_0'), '{"outcome": "unknown"}', 'one that does not exist is unknown');

alter table public.profiles enable trigger refuse;
select is(
  array[
    pg_temp.deliver('msg_2', 'user.updated', '{"id": "user_ada", "updated_at": 1763000001000}'),
    pg_temp.deliver('msg_3', 'user.updated', '{"id": "user_ada", "updated_at": 1763000002000, "first_name": "Ada"}')
  ],
  '{failed,applied}', 'arrange: something newer came meanwhile'
);
alter table public.profiles disable trigger refuse;
select is(public.replay_clerk_message('msg_2'), '{"outcome": "stale"}', 'a replay keeps the order of versions');
select is((select first_name from public.profiles where id = 'user_ada'), 'Ada', 'the newest stays');


-- Read as another type, and without odd values -----------------------------------------------

alter table public.profiles enable trigger refuse;
select is(
  public.ingest_clerk_event(
    'msg_4', pg_temp.event('user.renamed', '{"id": "user_bo", "locale": 5, "username": "bo"}'), '{data.locale}', 'user.updated'),
  '{"outcome": "failed", "sqlstate": "P0001"}',
  'the webhook is told no text and no type'
);
select is(
  public.keep_clerk_event(
    'msg_5', pg_temp.event('user.renamed', '{"id": "user_cy", "locale": 5, "username": "cy"}'), '57014', '{data.locale}', 'user.updated'),
  '{"outcome": "failed", "sqlstate": "57014"}',
  'nor when the event could only be kept'
);
select is(
  (select error from clerk_sync.inbox where message_id = 'msg_5'),
  '{"sqlstate": "57014", "as_type": "user.updated"}', 'but the type that it is read as is stored'
);
alter table public.profiles disable trigger refuse;
select is(
  array[public.replay_clerk_message('msg_4'), public.replay_clerk_message('msg_5')] ,
  array['{"outcome": "applied"}', '{"outcome": "applied"}']::jsonb[], 'a replay reads both as that type'
);
select results_eq(
  $$ select id, username, locale from public.profiles where id in ('user_bo', 'user_cy') order by id $$,
  $$ values ('user_bo', 'bo', null), ('user_cy', 'cy', null) $$,
  'and without the odd values'
);
select set_eq(
  $$ select type, outcome, error from clerk_sync.inbox where message_id in ('msg_4', 'msg_5') $$,
  $$ values ('user.renamed', 'applied', null::jsonb) $$,
  'the messages keep their own type'
);


-- What was unreadable has to be read first ---------------------------------------------------

select is(
  pg_temp.reject('msg_6', pg_temp.event('user.created', '{"id": "user_di", "locale": 5, "first_name": "Di", "big": 12345678901234567890.10}')),
  'unreadable', 'arrange: older schemas could not read it'
);
select pg_temp.received('msg_6', 10);
select is(
  public.replay_clerk_message('msg_6'),
  '{"outcome": "unreadable", "issues": [{"path": "data.id", "code": "invalid_format"}]}',
  'as long as nobody has read it, it stays unreadable'
);
select is_empty($$ select from public.profiles where id = 'user_di' $$, 'and is not applied');
select is(
  public.list_clerk_messages(message_id => 'msg_6', with_payload => true) #>> '{messages,0,payload}',
  (select payload::text from clerk_sync.inbox where message_id = 'msg_6'),
  'a reader gets the payload as text, with every digit'
);
select is(public.replay_clerk_message('msg_6', '{data.locale}'), '{"outcome": "applied"}', 'once it is read it is applied');
select results_eq(
  $$ select first_name, locale from public.profiles where id = 'user_di' $$, $$ values ('Di', null) $$,
  'without what the reader dropped'
);
select is(pg_temp.stored('msg_6'), 'applied 1 t t', 'and settled, and counted as no delivery');

select is(
  public.record_clerk_rejection('msg_7', null, '[{"path": "", "code": "too_deep"}]', jsonb_build_object(
    'raw', pg_temp.event('user.created', '{"id": "user_ed", "first_name": "Ed"}')::text)) ->> 'outcome',
  'unreadable', 'arrange: a body that was kept as text'
);
select is(public.replay_clerk_message('msg_7', '{}'), '{"outcome": "applied"}', 'is parsed when it is replayed');
select is((select first_name from public.profiles where id = 'user_ed'), 'Ed', 'and applied');
select is(
  public.record_clerk_rejection('msg_8', null, '[]', '{"raw": "{\"type\": \"user.created\", \"data\": {\"id\": \"\\u0000\"}}"}') ->> 'outcome',
  'unreadable', 'arrange: a body that jsonb cannot hold'
);
select is(
  public.replay_clerk_message('msg_8', '{}'),
  '{"outcome": "unreadable", "issues": [{"path": "", "code": "not_storable"}]}', 'stays unreadable'
);


-- Erasure and deletion -----------------------------------------------------------------------

alter table public.profiles enable trigger refuse;
select is(
  array[
    pg_temp.deliver('msg_11', 'user.updated', '{"id": "user_di", "updated_at": 1763000001000, "username": "queen"}'),
    pg_temp.reject('msg_12', pg_temp.event('user.updated', '{"id": "user_di", "username": "queen", "banned": "no"}')),
    pg_temp.deliver('msg_13', 'user.deleted', '{"id": "user_di"}')
  ],
  '{failed,unreadable,applied}', 'arrange: a person is erased'
);
alter table public.profiles disable trigger refuse;
select is(public.replay_clerk_message('msg_11'), '{"outcome": "duplicate"}', 'the deletion has settled what was failed');
select is(public.replay_clerk_message('msg_12', '{}'), '{"outcome": "stale"}', 'what was unreadable settles as stale');
select results_eq(
  $$ select deleted_at is not null, username from public.profiles where id = 'user_di' $$, $$ values (true, null) $$,
  'nothing brings the person back'
);
select is_empty(
  $$ select from clerk_sync.inbox where inbox::text like '%queen%' $$, 'and nothing of what was said is left'
);
select is(
  public.record_clerk_rejection('msg_14', 'user.updated', '[{"path": "", "code": "not_json"}]', '{"raw": "{user_di is the queen"}') ->> 'outcome',
  'unreadable', 'arrange: a broken body about that person'
);
update clerk_sync.inbox set payload = null where message_id = 'msg_14';
select is(
  public.replay_clerk_message('msg_14', '{}'), '{"outcome": "unreadable", "issues": [{"path": "", "code": "no_payload"}]}',
  'what has no payload cannot be replayed'
);


-- Giving up ----------------------------------------------------------------------------------

alter table public.profiles enable trigger refuse;
select is(pg_temp.deliver('msg_21', 'user.updated', '{"id": "user_flo"}'), 'failed', 'arrange: a failed message');
select is(
  public.discard_clerk_messages('{msg_21,msg_14,msg_1,msg_0}'), '{msg_14,msg_21}',
  'messages that wait are discarded, and no others'
);
select is(
  pg_temp.stored('msg_21'), 'discarded {"message": "No name: user_flo", "sqlstate": "P0001"} 1 f f',
  'the reason stays, the payload goes'
);
select is(public.replay_clerk_message('msg_21'), '{"outcome": "duplicate"}', 'a discarded message is not replayed');
select pg_temp.received('msg_21', 10);
select is(
  pg_temp.deliver('msg_21', 'user.updated', '{"id": "user_flo"}'), 'duplicate',
  'Clerk may deliver it again: if it still cannot be applied, Clerk need not try again'
);
select is(
  pg_temp.stored('msg_21'), 'discarded {"message": "No name: user_flo", "sqlstate": "P0001"} 2 f f',
  'it stays discarded, without a payload, and the delivery is counted'
);
select is(
  public.record_clerk_rejection('msg_21', 'user.updated', '[]', '{}') ->> 'outcome', 'duplicate', 'the same if it cannot be read'
);
alter table public.profiles disable trigger refuse;
select is(pg_temp.deliver('msg_21', 'user.updated', '{"id": "user_flo"}'), 'applied', 'if it can be applied, it is');
select is(pg_temp.stored('msg_21'), 'applied 4 f t', 'and its outcome says so');

alter table public.profiles enable trigger refuse;
select is(
  array[pg_temp.deliver('msg_22', 'user.updated', '{"id": "user_gus"}'), pg_temp.deliver('msg_23', 'user.created', '{"id": "user_hal", "first_name": "Hal"}')],
  '{failed,applied}', 'arrange: a message that fails'
);
select is(public.discard_clerk_messages('{msg_22}'), '{msg_22}', 'arrange: and is discarded');
select is(pg_temp.deliver('msg_24', 'user.deleted', '{"id": "user_gus"}'), 'applied', 'a discarded message does not keep a person from being erased');
select is(pg_temp.stored('msg_22'), 'discarded {"sqlstate": "P0001"} 1 f f', 'its error loses its text');


-- Listing ------------------------------------------------------------------------------------

update clerk_sync.inbox set received_at = now() - interval '1 year';
select is(
  array[
    pg_temp.deliver('msg_31', 'user.updated', '{"id": "user_ivy"}'),
    pg_temp.deliver('msg_32', 'user.created', '{"id": "user_joe"}'),
    pg_temp.reject('msg_33', pg_temp.event('organizationMembership.created', '{"id": "orgmem_1", "public_user_data": {"user_id": "user_ivy"}}')),
    pg_temp.deliver('msg_34', 'user.updated', '{"id": "user_kim", "first_name": "Kim"}')
  ],
  '{failed,failed,unreadable,applied}', 'arrange: messages of four minutes'
);
select pg_temp.received('msg_' || 30 + number, 5 - number) from generate_series(1, 4) as number;

create temp table listings (what text, listed jsonb, ids text, total integer);
insert into listings values
  ('failed and unreadable ones by default', public.list_clerk_messages(since => now() - interval '1 hour'), 'msg_31 msg_32 msg_33', 3),
  ('of any outcome', public.list_clerk_messages(null, since => now() - interval '1 hour'), 'msg_31 msg_32 msg_33 msg_34', 4),
  ('of one outcome', public.list_clerk_messages('{failed}', since => now() - interval '1 hour'), 'msg_31 msg_32', 2),
  ('of a type', public.list_clerk_messages(type => 'user.created', since => now() - interval '1 hour'), 'msg_32', 1),
  ('of a range of time', public.list_clerk_messages(since => now() - interval '3 minutes', until => now() - interval '2 minutes'), 'msg_32', 1),
  ('about a user, or that mention the user', public.list_clerk_messages(object_id => 'user_ivy'), 'msg_31 msg_33', 2),
  ('about another object', public.list_clerk_messages(object_id => 'orgmem_1'), 'msg_33', 1),
  ('with an id', public.list_clerk_messages(null, message_id => 'msg_34'), 'msg_34', 1),
  ('the newest first', public.list_clerk_messages(since => now() - interval '1 hour', newest_first => true), 'msg_33 msg_32 msg_31', 3),
  ('a page', public.list_clerk_messages(since => now() - interval '1 hour', max_rows => 2), 'msg_31 msg_32', 3),
  ('the page after it', public.list_clerk_messages(since => now() - interval '1 hour', max_rows => 2, after =>
    public.list_clerk_messages(since => now() - interval '1 hour', max_rows => 2) #> '{messages,1}'), 'msg_33', null),
  ('the page before it', public.list_clerk_messages(since => now() - interval '1 hour', newest_first => true, after =>
    public.list_clerk_messages(message_id => 'msg_33') #> '{messages,0}'), 'msg_32 msg_31', null);
select results_eq(
  $$
    select what, (select string_agg(message ->> 'message_id', ' ' order by number) from jsonb_array_elements(listed -> 'messages') with ordinality as one (message, number)), (listed ->> 'total')::integer
    from listings
    order by what
  $$,
  'select what, ids, total from listings order by what',
  'messages are listed by what is asked for, in pages'
);
select is(
  (public.list_clerk_messages(message_id => 'msg_31') #> '{messages,0}') - '{received_at,last_delivered_at}'::text[],
  jsonb_build_object(
    'message_id', 'msg_31', 'type', 'user.updated', 'object_id', 'user_ivy', 'occurred_at', to_timestamp(1763000000.03),
    'deliveries', 1, 'outcome', 'failed', 'error', '{"sqlstate": "P0001", "message": "No name: user_ivy"}'::jsonb, 'has_payload', true),
  'a message is listed with its reason and without its payload'
);

select * from finish();
rollback;
