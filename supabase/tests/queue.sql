-- The worker's entry points: how it reads changes and settles them. grants.sql tests who may call them;
-- tests/functions/clerk-worker tests that the worker's own role can.

begin;
set local search_path = public, extensions;
select plan(107);


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
  public.clerk_changes_status() - '{oldest_seconds,retrying,failures}'::text[],
  '{"waiting": 2, "in_flight": 0, "dead": 0}', 'two changes wait');

insert into held select * from public.read_clerk_changes(1, 60);

select is((select count(*) from held), 1::bigint, 'a batch of one returns one change');
select is(
  (select change - 'enqueued_at' - 'row' - 'changed' - 'message_id' - 'change_id' from held),
  '{"reads": 1, "topic": "profile.created", "id": "user_alice", "caused_by": "msg_1", "via": "webhook", "version": 1760000000000, "external_id": null}',
  'a change holds its topic, its object, its cause and the version');
select is((select change #>> '{row,first_name}' from held), 'Alice', 'a change comes with its row');
select ok((select not change -> 'row' ? 'synced_at' from held), 'the row leaves out bookkeeping columns');
select is(
  (select array_agg(change ->> 'id') from public.read_clerk_changes(10, 60) as change),
  '{user_bob}', 'a change that is in flight is not read again');
select is(
  (select count(*) from public.read_clerk_changes(10, 60)), 0::bigint, 'once all changes are in flight, none can be read');
select is(
  public.clerk_changes_status() - '{oldest_seconds,retrying,failures}'::text[],
  '{"waiting": 0, "in_flight": 2, "dead": 0}', 'both changes are in flight');


-- Settling -----------------------------------------------------------------------------------

select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "retry", "delay_seconds": 0}]', change ->> 'message_id')),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'a change can be retried')
from held;
select is(
  public.clerk_changes_status() -> 'retrying', '0', 'a change whose delay is over waits');
truncate held;
insert into held select * from public.read_clerk_changes(10, 60);
select is(
  (select array_agg((change ->> 'id') || ' ' || (change ->> 'reads')) from held),
  '{"user_alice 2"}', 'a retried change comes back, and its reads are counted');

select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "verdict": "retry", "delay_seconds": 60, "handler": "forward", "error_class": "http_503"}]',
    change ->> 'message_id')),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'arrange: it fails again, and is to be tried in a minute')
from held;
select is(
  public.clerk_changes_status() - 'oldest_seconds',
  '{
    "waiting": 0, "in_flight": 1, "retrying": 1, "dead": 0,
    "failures": [{"handler": "forward", "error_class": "http_503", "changes": 1}]
  }',
  'a change that waits for another try is not in flight, and tells its handler and the class of its error');
update pgmq.q_clerk_changes set vt = clock_timestamp() where msg_id = (select (change ->> 'message_id')::bigint from held);
truncate held;
insert into held select * from public.read_clerk_changes(10, 60);
select is(
  public.clerk_changes_status() - 'oldest_seconds',
  '{"waiting": 0, "in_flight": 2, "retrying": 0, "dead": 0, "failures": []}',
  'a change that is tried again is in flight');
select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "verdict": "retry", "delay_seconds": 60, "handler": "a b@c", "error_class": "no b@c"}]',
    change ->> 'message_id')),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'arrange: an error that quotes an address')
from held;
select is(
  public.clerk_changes_status() -> 'failures',
  '[{"handler": "unknown", "error_class": "unknown", "changes": 1}]', 'free text is not kept of an error');

select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "done"}]', change ->> 'message_id')),
  '{"done": 1, "retry": 0, "dead": 0, "gone": 0}', 'a change can be settled as done')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "done"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'a change that was settled before is gone')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "dead"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'a change that is gone cannot be dead-lettered')
from held;
select is(
  pg_temp.settled(format('[{"message_id": %s, "verdict": "retry"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'a change that is gone cannot be retried')
from held;

select is(
  (select array_agg(message ->> 'id') from pgmq.a_clerk_changes), '{user_alice}', 'a change that is done is archived');

select is(
  pg_temp.settled('[{"message_id": 2, "verdict": "retry", "delay_seconds": 60, "handler": "forward", "error_class": "http_500"}]'),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'arrange: another change has failed before');
select is(
  pg_temp.settled('[{"message_id": 2, "verdict": "dead", "error_class": "http_503"}]'),
  '{"done": 0, "retry": 0, "dead": 1, "gone": 0}', 'a change can be dead-lettered');
select is(
  (select message - 'changed' - 'change_id' from pgmq.q_clerk_changes_dead),
  '{"topic": "profile.created", "id": "user_bob", "caused_by": "msg_2", "via": "webhook", "error_class": "http_503"}',
  'a dead letter is the message and the class of its error');
select is(public.redrive_clerk_changes(), 1, 'dead letters can be redriven');
select is(
  public.clerk_changes_status() - '{oldest_seconds,retrying,failures}'::text[],
  '{"waiting": 1, "in_flight": 0, "dead": 0}', 'a redriven change waits again');

truncate held;
insert into held select * from public.read_clerk_changes(1, 60);
select is((select change ->> 'reads' from held), '1', 'the reads of a redriven change start over');
select throws_ok(
  format($$ select public.settle_clerk_changes('[{"message_id": %s, "verdict": "lost"}]') $$, change ->> 'message_id'),
  '22023', null, 'an unknown verdict is refused')
from held;
select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "verdict": "dead", "error_class": "no room for bob@example.com"}]', change ->> 'message_id')),
  '{"done": 0, "retry": 0, "dead": 1, "gone": 0}', 'arrange: an error that quotes an address')
from held;
select is(
  (select array_agg(message ->> 'error_class') from pgmq.q_clerk_changes_dead),
  '{unknown}', 'an error class that is free text is not kept');
select is(public.redrive_clerk_changes(), 1, 'arrange: bob''s change is redriven');
select is(
  (select array_agg(message ? 'error_class') from pgmq.q_clerk_changes),
  '{f}', 'a redriven change keeps no error class');
select throws_ok(
  format(
    $$ select public.settle_clerk_changes('[{"message_id": %s, "verdict": null}]') $$, min(msg_id)),
  '22023', null, 'a missing verdict is refused')
from pgmq.q_clerk_changes;

select is(
  (select array_agg(distinct message ? 'change_id') from pgmq.q_clerk_changes where message ->> 'id' = 'user_bob'),
  '{t}', 'arrange: bob''s change was a dead letter once');


-- Late settlements ---------------------------------------------------------------------------

update pgmq.q_clerk_changes set vt = clock_timestamp() - interval '1 second';
create temp table first_hand as select * from public.read_clerk_changes(1, 60) as read (change);
update pgmq.q_clerk_changes set vt = clock_timestamp() - interval '1 second';
create temp table second_hand as select * from public.read_clerk_changes(1, 60) as read (change);

select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "reads": %s, "verdict": "retry", "delay_seconds": 0}]',
    change ->> 'message_id', change ->> 'reads')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'a reader that is too late cannot retry a change that another reader holds')
from first_hand;
select is(
  (select count(*) from public.read_clerk_changes(1, 60)), 0::bigint, 'the change stays with the reader that holds it');
select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "reads": %s, "verdict": "dead"}]', change ->> 'message_id', change ->> 'reads')),
  '{"done": 0, "retry": 0, "dead": 0, "gone": 1}', 'a reader that is too late cannot dead-letter it either')
from first_hand;
select is(
  pg_temp.settled(format(
    '[{"message_id": %s, "reads": %s, "verdict": "retry", "delay_seconds": 0}]',
    change ->> 'message_id', change ->> 'reads')),
  '{"done": 0, "retry": 1, "dead": 0, "gone": 0}', 'control: the reader that holds the change can retry it')
from second_hand;


-- The id of a change -------------------------------------------------------------------------

select is(
  (select change ->> 'change_id' from first_hand),
  (select change ->> 'change_id' from second_hand),
  'a change has the same id on every read');
select is(
  (select change ->> 'change_id' from first_hand),
  (select message ->> 'change_id' from pgmq.q_clerk_changes where message ->> 'id' = 'user_bob'),
  'a change keeps its id after a redrive, which gives it another message number');
select matches(
  clerk_sync.change_id('{}', 7, '2026-11-01 10:00:00.123456+00'), '^7_1793527200123456$',
  'the id holds the time, because message numbers start over in another database');


-- Malformed messages -------------------------------------------------------------------------

create temp table kept as select * from pgmq.q_clerk_changes;
delete from pgmq.q_clerk_changes;
delete from pgmq.q_clerk_changes_dead;
select is(
  (
    select count(*)
    from (values ('"text"'), ('7'), ('null'), ('[1]'), ('{"topic": 1}'), (null)) as strange (message)
    cross join lateral pgmq.send('clerk_changes', strange.message::jsonb)
  ),
  6::bigint, 'arrange: malformed messages of every kind');
select is(
  pg_temp.settled((
    select jsonb_agg(jsonb_build_object(
      'message_id', change -> 'message_id', 'reads', change -> 'reads',
      'verdict', 'dead', 'error_class', 'unreadable'))::text
    from public.read_clerk_changes(10, 60) as change
  )),
  '{"done": 0, "retry": 0, "dead": 6, "gone": 0}', 'malformed messages can be read and dead-lettered');
select is(
  (select array_agg(distinct message ->> 'error_class') from pgmq.q_clerk_changes_dead),
  '{unreadable}', 'dead-lettered malformed messages hold the class of the error');
select is(public.redrive_clerk_changes(), 6, 'dead-lettered malformed messages can be redriven');
delete from pgmq.q_clerk_changes;
insert into pgmq.q_clerk_changes overriding system value select * from kept;



-- Limits: visibility, delay, size of a batch, age of the oldest ------------------------------

create function pg_temp.seconds_until_visible()
returns integer
language sql
as $$
  select round(extract(epoch from max(vt) - clock_timestamp()))::integer from pgmq.q_clerk_changes
$$;

create function pg_temp.read_for(visibility_seconds integer)
returns integer
language plpgsql
as $$
begin
  update pgmq.q_clerk_changes set vt = now() - interval '1 second';
  perform public.read_clerk_changes(1, visibility_seconds);
  return pg_temp.seconds_until_visible();
end
$$;

create function pg_temp.retry_in(delay_seconds text)
returns integer
language plpgsql
as $$
begin
  perform public.settle_clerk_changes(jsonb_build_array(
    jsonb_build_object('message_id', msg_id, 'verdict', 'retry', 'delay_seconds', delay_seconds)))
  from pgmq.q_clerk_changes;
  return pg_temp.seconds_until_visible();
end
$$;

select ok(
  pg_temp.read_for(asked) between meant - 2 and meant,
  format('a reader that asks for %s s holds a change for %s s', asked, meant))
from (values (60, 60), (3600, 3600), (100000, 3600), (0, 1), (-60, 1)) as cases (asked, meant);
select ok(
  pg_temp.retry_in(asked) between meant - 2 and meant,
  format('a retry in %s s comes back in %s s', coalesce(asked, 'no'), meant))
from (
  values ('40', 40), ('1000000', 86400), ('-40', 0), (null, 0)
) as cases (asked, meant);

select is(
  (
    select count(*)
    from generate_series(1, 501) as n
    cross join lateral pgmq.send('clerk_changes', jsonb_build_object('topic', 'none', 'n', n))
  ),
  501::bigint, 'arrange: a long queue');
select is((select count(*) from public.read_clerk_changes(0, 1)), 1::bigint, 'a batch has at least one change');
select is((select count(*) from public.read_clerk_changes(1000, 1)), 500::bigint, 'a batch has at most 500 changes');
delete from pgmq.q_clerk_changes where message ->> 'topic' = 'none';

update pgmq.q_clerk_changes set enqueued_at = now() - interval '90 seconds';
select is(
  (select count(*) from pgmq.send('clerk_changes', '{"topic": "none"}')), 1::bigint, 'arrange: a fresh one');
select ok(
  (public.clerk_changes_status() ->> 'oldest_seconds')::integer between 90 and 120,
  'the status says how long the oldest change has waited');
delete from pgmq.q_clerk_changes;
select is(
  public.clerk_changes_status() -> 'oldest_seconds', 'null', 'an empty queue has no oldest change');


-- The row that a change is about -------------------------------------------------------------

alter table public.profiles add column favourite_colour text;
update public.profiles set favourite_colour = 'teal' where id = 'user_alice';

select is(pg_temp.ingest('msg_' || n, event), 'applied', 'arrange: ' || (event ->> 'type'))
from (
  values
    (11, pg_temp.user_event('organization.created', 'org_acme', '{"name": "Acme"}')),
    (12, pg_temp.user_event('organizationMembership.created', 'orgmem_1',
      '{"organization": {"id": "org_acme"}, "public_user_data": {"user_id": "user_alice"}, "role": "org:admin"}')),
    (13, pg_temp.user_event('organizationMembership.created', 'orgmem_2',
      '{"organization": {"id": "org_acme"}, "public_user_data": {"user_id": "user_bob"}, "role": "org:member"}')),
    (14, pg_temp.user_event('organizationMembership.deleted', 'orgmem_2',
      '{"organization": {"id": "org_acme"}, "public_user_data": {"user_id": "user_bob"}}'))
) as arranged (n, event);
truncate held;
insert into held select * from public.read_clerk_changes(100, 60);

select is(
  clerk_sync.kept_row('user', 'user_alice') ->> 'favourite_colour', 'teal',
  'the row of a profile has the application''s columns');
select results_eq(
  $$
    select change ->> 'topic', change #>> '{row,id}', change #>> '{row,name}', change #>> '{row,role}'
    from held
    order by (change ->> 'message_id')::integer
  $$,
  $$
    values
      ('organization.created', 'org_acme', 'Acme', null::text),
      ('membership.created', 'orgmem_1', null, 'org:admin'),
      ('membership.created', null, null, null),
      ('membership.deleted', null, null, null)
  $$,
  'organizations and memberships come with their rows, and deleted memberships with none');
select ok(
  (select bool_and(not change -> 'row' ? 'synced_at') from held where change -> 'row' <> 'null'),
  'all rows leave out bookkeeping columns');
select is(
  pg_temp.ingest('msg_15', pg_temp.user_event('organization.deleted', 'org_acme')), 'applied',
  'arrange: acme is deleted');
select is(
  (
    select (change #>> '{row,name}') is null and (change #>> '{row,deleted_at}') is not null
    from public.read_clerk_changes(100, 60) as change
    where change ->> 'topic' = 'organization.deleted'
  ),
  true, 'a deleted organization comes as its tombstone');


-- Welcome mails ------------------------------------------------------------------------------

create function pg_temp.claim(user_id text, attempt text, lease_seconds integer default 60)
returns text
language sql
as $$
  select public.claim_welcome_mail(user_id, md5(attempt)::uuid, lease_seconds)
$$;

create function pg_temp.settle(user_id text, attempt text, was_sent boolean)
returns void
language sql
as $$
  select public.settle_welcome_mail(user_id, md5(attempt)::uuid, was_sent)
$$;

select is(pg_temp.claim('user_alice', 'one'), 'claimed', 'a welcome mail is claimed');
select is(pg_temp.claim('user_alice', 'two'), 'busy', 'a claimed mail cannot be claimed again');
select is(pg_temp.claim('user_alice', 'two', -1), 'claimed', 'a claim whose lease has expired can be taken over');
select lives_ok($$ select pg_temp.settle('user_alice', 'one', false) $$, 'arrange: the first gives up too late');
select is(pg_temp.claim('user_alice', 'three'), 'busy', 'an attempt cannot release the claim of another attempt');
select lives_ok($$ select pg_temp.settle('user_alice', 'two', false) $$, 'a claim can be released');
select is(pg_temp.claim('user_alice', 'three'), 'claimed', 'a released mail can be claimed at once');
select lives_ok($$ select pg_temp.settle('user_alice', 'three', true) $$, 'a mail can be recorded as sent');
select is(pg_temp.claim('user_alice', 'four', -1), 'sent', 'a mail that was sent is never claimed again');
select lives_ok($$ select pg_temp.settle('user_alice', 'three', false) $$, 'arrange: an attempt gives up too late');
select is(pg_temp.claim('user_alice', 'four', -1), 'sent', 'a mail that was sent stays sent');

select is(pg_temp.claim('user_bob', 'one'), 'claimed', 'each user has a mail of their own');
update clerk_sync.welcome_mails set claimed_at = now() - interval '61 seconds' where user_id = 'user_bob';
select is(pg_temp.claim('user_bob', 'two'), 'claimed', 'a claim older than the lease is taken over');
select is(pg_temp.claim('user_bob', 'three'), 'busy', 'a claim that was taken over has a new lease');
select is(pg_temp.claim('user_carl', 'one'), 'claimed', 'arrange: a third user''s mail is claimed');
select lives_ok($$ select pg_temp.settle('user_carl', 'one', true) $$, 'arrange: the third user''s mail is sent');
select is(pg_temp.claim('user_bob', 'three'), 'busy', 'a mail sent to one user leaves another''s claim alone');
select lives_ok($$ select pg_temp.settle('user_carl', 'two', false) $$, 'arrange: a claim on the third user''s mail is released');
select is(pg_temp.claim('user_bob', 'three'), 'busy', 'a claim released for one user leaves another''s claim alone');
select lives_ok($$ select pg_temp.settle('user_bob', 'one', true) $$, 'arrange: an attempt that lost its claim had sent the mail');
select is(pg_temp.claim('user_bob', 'three', -1), 'sent', 'a mail is recorded as sent whoever holds the claim');
select lives_ok($$ select pg_temp.settle('user_dora', 'one', true) $$, 'arrange: a mail was sent without a claim');
select is(pg_temp.claim('user_dora', 'two', -1), 'sent', 'a mail is recorded as sent even without a claim');
select throws_ok(
  $$ select pg_temp.claim('bob@example.com', 'one') $$, '23514', null,
  'a claim by address is refused');


-- Erasure ------------------------------------------------------------------------------------

select is(
  pg_temp.ingest('msg_3', pg_temp.user_event('user.deleted', 'user_bob')), 'applied', 'arrange: bob is deleted');
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
  0::bigint, 'neither the queue, its archive, the dead letters nor the claims of welcome mails hold a name or an address');

-- Many dead letters --------------------------------------------------------------------------

delete from pgmq.q_clerk_changes;
delete from pgmq.q_clerk_changes_dead;
insert into pgmq.q_clerk_changes_dead (vt, message)
select now(), jsonb_build_object('topic', 'profile.updated', 'id', 'user_' || n, 'change_id', n::text, 'error_class', 'http_503')
from generate_series(1, 5) as n;
select is(public.redrive_clerk_changes(2), 2, 'dead letters are redriven in batches');
select results_eq(
  $$ select message from pgmq.q_clerk_changes order by msg_id $$,
  $$
    select jsonb_build_object('topic', 'profile.updated', 'id', 'user_' || n, 'change_id', n::text)
    from generate_series(1, 2) as n
  $$,
  'the oldest dead letters come first, in their order, without their errors'
);
select is(public.redrive_clerk_changes(0), 1, 'a batch has at least one dead letter');
select is(public.redrive_clerk_changes(), 2, 'the last batch is a smaller one');
select is(public.redrive_clerk_changes(), 0, 'and then there is none');

-- A backfill ---------------------------------------------------------------------------------

delete from pgmq.q_clerk_changes;
select is(
  public.ingest_clerk_snapshot('user', 1760000000000, (
    select jsonb_agg(jsonb_build_object('id', 'user_found' || number, 'updated_at', 1760000000000))
    from generate_series(1, 3) as number
  )) -> 'missing' ->> 2, 'user_found3', 'arrange: a backfill finds three people');
select is(
  pg_temp.ingest('msg_live', pg_temp.user_event('user.created', 'user_live')), 'applied', 'arrange: then somebody signs up');
select results_eq(
  $$ select change ->> 'id' from public.read_clerk_changes(2, 60) as change $$,
  $$ values ('user_live'), ('user_found1') $$, 'who signs up is handled before those whom a backfill found');
select results_eq(
  $$ select change ->> 'id', (change -> 'reads')::integer from public.read_clerk_changes(5, 60) as change $$,
  $$ values ('user_found2', 1), ('user_found3', 1) $$, 'each change is handed out once');
select is(
  public.clerk_changes_status() -> 'in_flight', '4', 'and all are in flight');

select * from finish();
rollback;
