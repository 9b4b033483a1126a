-- The queue worker's entry points: what it takes, and how it settles. Who may call them is in
-- grants.sql; that the worker's own role can, in tests/functions/queue-worker.

begin;
set local search_path = public, extensions;
select plan(34);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.ingest(message_id text, event jsonb)
returns text
language sql
as $$
  select public.ingest_clerk_event(message_id, event) ->> 'outcome'
$$;

create function pg_temp.user_event(type text, id text, fields jsonb default '{}')
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'type', type,
    'timestamp', 1760000000000,
    'data', jsonb_build_object('id', id, 'updated_at', 1760000000000) || fields)
$$;

create function pg_temp.settled(settlements text)
returns jsonb
language sql
as $$
  select public.settle_clerk_changes(settlements::jsonb)
$$;

select is(
  pg_temp.ingest('msg_1', pg_temp.user_event('user.created', 'user_alice', '{"first_name": "Alice"}')),
  'applied', 'arrange: alice');
select is(
  pg_temp.ingest('msg_2', pg_temp.user_event('user.created', 'user_bob', '{"first_name": "Bob"}')),
  'applied', 'arrange: bob');

create temp table held (change jsonb);


-- Reading ------------------------------------------------------------------------------------

select is(
  public.clerk_changes_status() - 'oldest_seconds',
  '{"waiting": 2, "in_flight": 0, "dead": 0}', 'two changes wait');

insert into held select * from public.read_clerk_changes(1, 60);

select is((select count(*) from held), 1::bigint, 'a batch of one hands out one change');
select is(
  (select change - 'enqueued_at' - 'row' - 'changed' - 'message_id' from held),
  '{"reads": 1, "topic": "profile.created", "id": "user_alice", "caused_by": "msg_1", "via": "webhook", "version": 1760000000000}',
  'a change says what, whom, why and which version');
select is((select change #>> '{row,first_name}' from held), 'Alice', 'a change comes with its row');
select ok((select not change -> 'row' ? 'synced_at' from held), 'bookkeeping is not in the row');
select is(
  (select array_agg(change ->> 'id') from public.read_clerk_changes(10, 60) as change),
  '{user_bob}', 'what is in somebody''s hands is not handed out again');
select is(
  (select count(*) from public.read_clerk_changes(10, 60)), 0::bigint, 'then there is nothing left');
select is(
  public.clerk_changes_status() - 'oldest_seconds',
  '{"waiting": 0, "in_flight": 2, "dead": 0}', 'both are in flight');


-- Settling -----------------------------------------------------------------------------------

select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "retry", "delay_seconds": 0}]', change ->> 'message_id')),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'a change can be tried again')
from held;
truncate held;
insert into held select * from public.read_clerk_changes(10, 60);
select is(
  (select array_agg((change ->> 'id') || ' ' || (change ->> 'reads')) from held),
  '{"user_alice 2"}', 'a change to be tried again comes back, and its reads are counted');

select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "done"}]', change ->> 'message_id')),
  '{"done": 1, "retry": 0, "dead": 0, "gone": 0}', 'a change can be done')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "done"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'what somebody else settled is gone')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "dead"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'what is gone cannot be buried')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "retry"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'what is gone cannot be tried again')
from held;

select is(
  (select array_agg(message ->> 'id') from pgmq.a_clerk_changes), '{user_alice}', 'what is done is archived');

select is(
  pg_temp.settled('[{"message_id": 2, "verdict": "dead", "error_class": "http_503"}]'),
  '{"done": 0, "retry": 0, "dead": 1, "gone": 0}', 'a change can be given up');
select is(
  (select message - 'changed' from pgmq.q_clerk_changes_dead),
  '{"topic": "profile.created", "id": "user_bob", "caused_by": "msg_2", "via": "webhook", "error_class": "http_503"}',
  'a dead letter is the message and the class of its error');
select is(public.redrive_clerk_changes(), 1, 'dead letters are put back');
select is(
  public.clerk_changes_status() - 'oldest_seconds',
  '{"waiting": 1, "in_flight": 0, "dead": 0}', 'a redriven change waits again');

truncate held;
insert into held select * from public.read_clerk_changes(1, 60);
select is((select change ->> 'reads' from held), '1', 'the reads of a redriven change begin anew');
select throws_ok(
  format($$ select public.settle_clerk_changes('[{"message_id": %s, "verdict": "lost"}]') $$, change ->> 'message_id'),
  '22023', null, 'a verdict that is none is refused')
from held;
select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "verdict": "dead", "error_class": "no room for bob@example.com"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 1, "gone": 0}', 'arrange: an error that quotes an address')
from held;
select is(
  (select array_agg(message ->> 'error_class') from pgmq.q_clerk_changes_dead),
  '{unknown}', 'a text in place of a class is not kept');


-- Welcome mails ------------------------------------------------------------------------------

select is(public.claim_welcome_mail('user_alice', 60), 'claimed', 'a welcome mail is claimed');
select is(public.claim_welcome_mail('user_alice', 60), 'busy', 'it is claimed by one only');
select is(public.claim_welcome_mail('user_alice', -1), 'claimed', 'a claim whose lease is over can be taken');
select lives_ok($$ select public.settle_welcome_mail('user_alice', false) $$, 'a claim is given back');
select is(public.claim_welcome_mail('user_alice', 60), 'claimed', 'then it can be claimed at once');
select lives_ok($$ select public.settle_welcome_mail('user_alice', true) $$, 'a mail is noted as sent');
select is(public.claim_welcome_mail('user_alice', -1), 'sent', 'what was sent is never claimed again');


-- Erasure ------------------------------------------------------------------------------------

select is(
  pg_temp.ingest('msg_3', pg_temp.user_event('user.deleted', 'user_bob')), 'applied', 'arrange: bob goes');
select is(
  (
    select count(*)
    from (
      select message from pgmq.q_clerk_changes
      union all
      select message from pgmq.a_clerk_changes
      union all
      select message from pgmq.q_clerk_changes_dead
      union all
      select to_jsonb(welcome_mails) from clerk_sync.welcome_mails
    ) as everything (message)
    where message::text ~* '(bob@|alice@|"bob"|"alice")'
  ),
  0::bigint, 'neither queue, archive, dead letters nor the book of welcomes hold a name or an address');

select * from finish();
rollback;
