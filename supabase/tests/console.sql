-- What the console shows: the changes on the queue, the runs over Clerk's API, what arrived when, messages by
-- a part of an id, and people by name.

begin;
set local search_path = public, extensions;
select plan(26);


-- The queue ----------------------------------------------------------------------------------

select is(public.list_clerk_changes(), '[]', 'an empty queue has no changes');

insert into pgmq.q_clerk_changes (vt, read_ct, enqueued_at, message)
values
  (now() - interval '1 minute', 0, '2026-01-01T00:00:01Z', '{"topic": "profile.created", "id": "user_1", "changed": ["email"], "caused_by": "msg_1", "via": "webhook"}'),
  (clock_timestamp() + interval '1 hour', 1, '2026-01-01T00:00:02Z', '{"topic": "profile.updated", "id": "user_2", "changed": []}'),
  (clock_timestamp() + interval '1 hour', 3, '2026-01-01T00:00:03Z', '{"topic": "profile.updated", "id": "user_3", "changed": ["email"], "retry": {"reads": 3, "handler": "forward", "error_class": "http_500"}}'),
  (now() - interval '1 minute', 3, '2026-01-01T00:00:04Z', '{"topic": "profile.updated", "id": "user_4", "changed": ["email"], "retry": {"reads": 3, "handler": "forward", "error_class": "http_500"}}'),
  (now() - interval '1 minute', 0, '2026-01-01T00:00:05Z', '"no change"');
insert into pgmq.q_clerk_changes_dead (vt, enqueued_at, message)
values
  (now(), '2026-01-01T00:00:06Z', '{"topic": "profile.updated", "id": "user_6", "changed": ["email"], "change_id": "1_1", "error_class": "http_410"}'),
  (now(), '2026-01-01T00:00:07Z', '{"topic": "profile.updated", "id": "user_7", "changed": ["email"], "change_id": "2_2", "error_class": "http_410"}');

select results_eq(
  $$
    select change ->> 'state', change ->> 'object_id', change ->> 'handler', change ->> 'error_class', change -> 'next_at' <> 'null'
    from jsonb_array_elements(public.list_clerk_changes()) as change
  $$,
  $$
    values
      ('dead', 'user_7', null, 'http_410', false),
      ('dead', 'user_6', null, 'http_410', false),
      ('retrying', 'user_3', 'forward', 'http_500', true),
      ('in_flight', 'user_2', null, null, true),
      ('waiting', 'user_1', null, null, false),
      ('waiting', 'user_4', null, null, false),
      ('waiting', null, null, null, false)
  $$,
  'dead letters come first, then what failed, what a worker has, and what waits, with who failed and why'
);
select is(
  (public.list_clerk_changes() -> 4) - '{id,reads,state,object_id,next_at,handler,error_class}'::text[],
  '{"topic": "profile.created", "changed": ["email"], "caused_by": "msg_1", "via": "webhook", "enqueued_at": "2026-01-01T00:00:01+00:00"}',
  'a change says what it is, and what caused it'
);
select is(public.list_clerk_changes() #>> '{0,id}', '2_2', 'a dead letter keeps the id of its change');
select is(
  (select array_agg(change ->> 'object_id') from jsonb_array_elements(public.list_clerk_changes(3)) as change),
  '{user_7,user_6,user_3}', 'as many as were asked for'
);
select is(
  (select count(*) from pgmq.q_clerk_changes where vt > now() - interval '30 seconds'), 2::bigint, 'listing takes no change off the queue'
);


-- Runs ---------------------------------------------------------------------------------------

select is(public.list_clerk_runs(), '{"runs": [], "surplus": 0}', 'before the first run there are none');

insert into clerk_sync.runs (kind, options, state, began_at, leased_until, finished_at)
values
  ('backfill', '{"dry_run": true}', '{"problems": [{"kind": "user", "code": "23505"}], "tallies": {"user": {"listed": 3}}}', '2026-01-01T00:00:00Z', now(), '2026-01-01T01:00:00Z'),
  ('reconcile', '{"scheduled": true}', '{"halted": "Nothing is deleted"}', now(), clock_timestamp() + interval '1 minute', null),
  ('poll', '{"scheduled": true}', '{}', now(), now() - interval '1 hour', null),
  ('reconcile', '{}', '{"abandoned": true}', now(), now(), now());
insert into clerk_sync.surplus_objects (kind, id, run_id)
select 'user', 'user_gone', min(id) from clerk_sync.runs;

select results_eq(
  $$
    select run ->> 'kind', run ->> 'by', run ->> 'state', (run ->> 'dry_run')::boolean, (run ->> 'problems')::integer, run ->> 'halted'
    from jsonb_array_elements(public.list_clerk_runs() -> 'runs') as run
  $$,
  $$
    values
      ('reconcile', 'command', 'abandoned', false, 0, null),
      ('poll', 'schedule', 'stopped', false, 0, null),
      ('reconcile', 'schedule', 'running', false, 0, 'Nothing is deleted'),
      ('backfill', 'command', 'finished', true, 1, null)
  $$,
  'runs are listed newest first, with who began them and how they are'
);
select is(
  (public.list_clerk_runs() #> '{runs,3}') - '{id,kind,by,state,dry_run,problems,halted,leased_until}'::text[],
  '{"tallies": {"user": {"listed": 3}}, "started_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T01:00:00+00:00"}',
  'with what they found, and when'
);
select is(public.list_clerk_runs() -> 'surplus', '1', 'and how much is here that Clerk no longer has');
select is(jsonb_array_length(public.list_clerk_runs(2) -> 'runs'), 2, 'as many as were asked for');


-- What arrived when --------------------------------------------------------------------------

select is(
  public.clerk_sync_activity() - 'from', '{"is_whole": true, "minutes": [], "latency": []}', 'without events there is nothing to show'
);

insert into clerk_sync.inbox (message_id, type, object_id, outcome, error, received_at, occurred_at)
select
  'msg_' || n, 'user.updated', 'user_' || n, outcome,
  case when outcome in ('failed', 'discarded') then '{"sqlstate": "P0001"}'::jsonb end,
  date_trunc('minute', now()) - make_interval(mins => ago), date_trunc('minute', now()) - make_interval(mins => ago) - took
from (
  values
    (1, 'applied', 5, interval '1 second'), (2, 'applied', 5, '2 seconds'), (3, 'applied', 5, '3 seconds'),
    -- A clock that is ahead, and a replay from Clerk's dashboard.
    (4, 'applied', 4, '-1 second'), (5, 'applied', 4, '3 days'),
    (6, 'stale', 5, '9 seconds'), (7, 'failed', 5, '9 seconds'), (8, 'discarded', 4, '9 seconds'),
    (9, 'applied', 90, '1 second'), (10, 'applied', 3, null)
) as arrived (n, outcome, ago, took);

select results_eq(
  $$
    select (one ->> 'applied')::integer, (one ->> 'stale')::integer, (one ->> 'failed')::integer, (one ->> 'discarded')::integer,
      (one ->> 'at')::timestamptz = date_trunc('minute', now()) - make_interval(mins => 6 - place::integer)
    from jsonb_array_elements(public.clerk_sync_activity() -> 'minutes') with ordinality as minutes (one, place)
  $$,
  $$ values (3, 1, 1, 0, true), (2, 0, 0, 1, true), (1, 0, 0, 0, true) $$,
  'events are counted by the minute in which they arrived, and by outcome'
);
select results_eq(
  $$
    select (one ->> 'median_ms')::integer, (one ->> 'p95_ms')::integer
    from jsonb_array_elements(public.clerk_sync_activity() -> 'latency') as one
  $$,
  $$ values (2000, 2900), (0, 0) $$,
  'the time to the row leaves out what was not applied, what was old already, and what has no time of its own'
);
select is(
  jsonb_array_length(public.clerk_sync_activity(120) -> 'minutes'), 4, 'control: a longer span has what came earlier'
);
select is(
  (public.clerk_sync_activity(5000) ->> 'from')::timestamptz, now() - interval '1 day', 'a day is the longest'
);


-- Messages by a part of an id ----------------------------------------------------------------

create function pg_temp.found(part text)
returns text[]
language sql
return array(
  select message ->> 'message_id'
  from jsonb_array_elements(
    public.list_clerk_messages(null, id_part => part, newest_first => true) -> 'messages') as message
);

select is(pg_temp.found('sg_9'), '{msg_9}', 'a part of the id of a message finds it');
select is(pg_temp.found('er_10'), '{msg_10}', 'a part of the id of its object does, too');
select is(pg_temp.found('%'), '{}', 'it is no pattern');
select is(cardinality(pg_temp.found('_')), 10, 'control: what all have finds all');
select is(
  public.list_clerk_messages(null, id_part => '_1') -> 'total', '2', 'they are counted like any selection'
);


-- People and teams by name -------------------------------------------------------------------

insert into public.profiles (id, first_name, last_name, username, deleted_at)
values
  ('user_ada', 'Ada', 'Marlowe', 'ada', null),
  ('user_bo', 'Bo', 'Marlowe', null, null),
  ('user_gone', null, null, null, now());
insert into public.organizations (id, name, slug)
values ('org_marl', 'Marlowe & Daughters', 'the-marlowes'), ('org_other', 'Others', 'others');

select is(public.find_clerk_objects(' marLOWE '), '{user_ada,user_bo,org_marl}', 'a part of a name finds people, then teams');
select is(public.find_clerk_objects('Ada Mar', 1), '{user_ada}', 'also across first and last name');
select is(public.find_clerk_objects('the-marl'), '{org_marl}', 'or a slug');
select is(public.find_clerk_objects('%'), '{}', 'a name is no pattern');
select is(public.find_clerk_objects(' '), '{}', 'and nothing finds nothing');

select * from finish();
rollback;
