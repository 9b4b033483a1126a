-- What the status says: each breach is provoked, and its sentence read.

begin;
set local search_path = public, extensions;
select plan(50);

create function pg_temp.status(counts jsonb default null)
returns jsonb
language sql
return public.clerk_sync_status(counts);

create function pg_temp.codes(counts jsonb default null)
returns text
language sql
begin atomic
  select coalesce(string_agg(breach ->> 'code', ' ' order by breach ->> 'code'), '')
  from jsonb_array_elements(pg_temp.status(counts) -> 'breaches') as breach;
end;

create function pg_temp.sentence(code text, counts jsonb default null)
returns text
language sql
begin atomic
  select breach ->> 'sentence'
  from jsonb_array_elements(pg_temp.status(counts) -> 'breaches') as breach
  where breach ->> 'code' = sentence.code
    and length(breach ->> 'cure') > 20;
end;

create function pg_temp.received(message_id text, outcome text, ago interval)
returns void
language sql
begin atomic
  insert into clerk_sync.inbox (message_id, outcome, error, received_at)
  values (message_id, outcome, case when outcome in ('failed', 'unreadable') then '{}'::jsonb end, now() - ago);
end;

create function pg_temp.ran(kind text, ago interval, state jsonb default '{}', options jsonb default '{}', is_finished boolean default true)
returns void
language sql
begin atomic
  insert into clerk_sync.runs (kind, options, state, began_at, leased_until, finished_at)
  values (kind, options, state, now() - ago, now() - ago, case when is_finished then now() - ago end);
end;

create function pg_temp.tally(name text, number integer)
returns jsonb
language sql
return jsonb_build_object('tallies', jsonb_build_object('user',
  '{"missing": 0, "outdated": 0, "unreadable": 0, "refused": 0, "surplus": 0, "kept": 0, "deleted": 0}'::jsonb
  || jsonb_build_object(name, number)));


-- From nothing to all is well --------------------------------------------------------------------

select is(pg_temp.codes(), 'never_reconciled no_event', 'an empty database has had no event, and nothing reconciles');
insert into clerk_sync.inbox (message_id, type, outcome)
values ('msg_clerk_sync_probe_1', 'clerkSync.probe', 'ignored');
select is(pg_temp.codes(), 'never_reconciled no_event', 'a probe is no event of Clerk''s');
insert into clerk_sync.inbox (message_id, type, outcome) values ('msg_surplus', 'reconcile.deleted', 'applied');
select is(pg_temp.codes(), 'never_reconciled no_event', 'nor is a deletion by reconcile');
select is(pg_temp.status() #>> '{events,last_applied_seconds}', null, 'which applied none');
delete from clerk_sync.inbox;
select is(pg_temp.status() ->> 'verdict', 'No event has arrived yet. And 1 more.', 'the verdict is a line');
select is(pg_temp.status() -> 'is_healthy', 'false', 'and not healthy');
select pg_temp.ran('backfill', '1 day', options => '{"dry_run": true}') is null as ran;
select is(pg_temp.sentence('never_reconciled'), 'Nothing reconciles: the tables have never been compared with Clerk.', 'a dry run does not count');
select pg_temp.ran('backfill', '1 day') is null as ran;
update clerk_sync.settings set max_event_age = null;
select is(pg_temp.status() ->> 'verdict', 'All is well: no event has arrived yet.', 'where nothing needs to arrive, all is well without an event');
update clerk_sync.settings set max_event_age = '3 days';
select pg_temp.received('msg_1', 'ignored', '10 minutes') is null as received;
select is(pg_temp.sentence('nothing_applied'), 'Events arrive, but none has been applied yet.', 'an event that is ignored is not applied');
select pg_temp.received('msg_2', 'applied', '20 minutes') is null as received;
select is(pg_temp.codes(), '', 'after a backfill and an event, nothing is wrong');
select is(pg_temp.status() ->> 'verdict', 'All is well: the last event arrived 10 minutes ago.', 'and the verdict says so');
select is(pg_temp.status() -> 'is_healthy', 'true', 'healthy');
select is(
  pg_temp.status() -> 'events' #- '{last_seconds}' #- '{last_applied_seconds}',
  '{"hour": {"applied": 1, "ignored": 1}, "day": {"applied": 1, "ignored": 1}, "is_day_whole": true, "waiting": {}, "oldest_waiting_seconds": null, "newest_waiting_seconds": null, "failing": 0, "foreign_instance": null}',
  'events are counted by outcome'
);
select is(
  (pg_temp.status() #>> '{events,last_applied_seconds}')::integer between 1200 and 1260, true, 'ages are in seconds'
);
select matches(pg_temp.status() ->> 'version', '^\d+\.\d+\.\d+$', 'the schema has a version');
select is(pg_temp.status() ->> 'installation', 'installed', 'and its last migration was applied');
select is(
  (select count(*) from jsonb_each_text(pg_temp.status() -> 'bytes') as size where size.value::bigint > 0), 7::bigint,
  'and each table a size'
);


-- Events -----------------------------------------------------------------------------------------

update clerk_sync.inbox set received_at = received_at - interval '5 days' where message_id = 'msg_2';
select is(pg_temp.sentence('nothing_applied'), 'Events arrive, but none has been applied for 5 days.', 'events arrive, and none is applied');
update clerk_sync.inbox set received_at = received_at - interval '5 days' where message_id = 'msg_1';
select is(pg_temp.sentence('silent'), 'The last event arrived 5 days ago, and more than 3 days is too long.', 'no event for too long');
update clerk_sync.settings set max_event_age = '10 days';
select is(pg_temp.codes(), '', 'the threshold is a setting');
update clerk_sync.runs set finished_at = null where not clerk_sync.is_scheduled(options);
select pg_temp.ran('poll', '4 days', pg_temp.tally('missing', 9), '{"scheduled": true}') is null as ran;
select is(pg_temp.sentence('unheard'), null, 'what the first run of all finds was there before the webhook');
update clerk_sync.runs set finished_at = now() where not clerk_sync.is_scheduled(options);
delete from clerk_sync.runs where kind = 'poll';
select pg_temp.ran('poll', '5 days', pg_temp.tally('outdated', 2), '{"scheduled": true}') is null as ran;
select is(pg_temp.codes(), '', 'what a poll repaired right after an event may have been on its way');
select pg_temp.ran('poll', '4 days', pg_temp.tally('missing', 3), '{"scheduled": true}') is null as ran;
select is(
  pg_temp.sentence('unheard'), 'Users have changed at Clerk, and no event has told of it for 5 days. Changes found: 3.',
  'what a poll had to repair, and no event told of'
);
select pg_temp.received('msg_3', 'applied', '1 minute') is null as received;
select is(pg_temp.codes(), '', 'until the next event');
select pg_temp.received('msg_4', 'failed', '6 days') is null, pg_temp.received('msg_5', 'unreadable', '3 days') is null;
select is(pg_temp.codes(), '', 'a message that failed may wait');
select is(pg_temp.status() #> '{events,waiting}', '{"failed": 1, "unreadable": 1}', 'and is counted');
update clerk_sync.inbox set received_at = received_at - interval '2 days' where message_id = 'msg_4';
select is(
  pg_temp.sentence('waiting'), 'The oldest message that failed or could not be read has waited for 8 days. Messages in all: 2.', 'but not for too long'
);
delete from clerk_sync.inbox where message_id in ('msg_4', 'msg_5');

select pg_temp.received('msg_6', 'failed', '30 seconds') is null, pg_temp.received('msg_7', 'unreadable', '20 seconds') is null;
select is(pg_temp.codes(), '', 'two that failed may be unlucky');
select pg_temp.received('msg_8', 'failed', '10 seconds') is null, pg_temp.received('msg_9', 'ignored', '5 seconds') is null;
select matches(
  pg_temp.sentence('failing'),
  '^The last 3 events that change a table have all failed or could not be read, the newest one 1\d seconds ago\.$',
  'three, and none that was applied since'
);
select is((pg_temp.status() #>> '{events,newest_waiting_seconds}')::integer between 10 and 19, true, 'and how old the newest is');
insert into clerk_sync.inbox (message_id, type, outcome) values ('msg_surplus', 'reconcile.deleted', 'applied');
select is(pg_temp.codes(), 'failing', 'also after a deletion by reconcile');
select pg_temp.received('msg_10', 'stale', '1 second') is null as received;
select is(pg_temp.codes(), '', 'until one comes through');
delete from clerk_sync.inbox where message_id in ('msg_6', 'msg_7', 'msg_8', 'msg_9', 'msg_surplus');

update clerk_sync.settings set instance_id = 'ins_ours';
update clerk_sync.inbox set instance_id = 'ins_other';
select is(pg_temp.codes(), '', 'what was applied before the setting does not count as ignored');
insert into clerk_sync.inbox (message_id, type, outcome, instance_id) values ('msg_11', 'user.created', 'ignored', 'ins_other');
select is(
  pg_temp.sentence('foreign'),
  'The newest events are ignored: they are of Clerk instance ins_other, and settings.instance_id accepts only ins_ours.',
  'only another instance sends'
);
insert into clerk_sync.inbox (message_id, type, outcome, instance_id, received_at)
values ('msg_12', 'session.created', 'ignored', 'ins_ours', now() - interval '1 hour');
select is(pg_temp.codes(), '', 'another one besides our own is left alone');
update clerk_sync.settings set instance_id = null;
delete from clerk_sync.inbox where message_id in ('msg_11', 'msg_12');

set local default_transaction_read_only = on;
select is(
  pg_temp.sentence('read_only'), 'The database is read-only, as Supabase makes it when its disk is full.', 'a read-only database'
);
set local default_transaction_read_only = off;


-- Queue ------------------------------------------------------------------------------------------

select is(pgmq.send('clerk_changes', '{}') is null, false, 'arrange: a change');
select is(pg_temp.codes(), '', 'a change may wait');
update pgmq.q_clerk_changes set enqueued_at = now() - interval '3 hours';
select is(pg_temp.sentence('queue'), 'The oldest change on the queue has waited for 3 hours. Changes in all: 1.', 'but not for too long');
delete from pgmq.q_clerk_changes;
select is(pgmq.send('clerk_changes_dead', '{}') is null, false, 'arrange: a dead letter');
select is(pg_temp.sentence('dead_letters'), 'Dead letters on the queue: 1. Their handlers failed too often.', 'dead letters are told at once');
delete from pgmq.q_clerk_changes_dead;


-- Runs and rows ----------------------------------------------------------------------------------

select pg_temp.ran('reconcile', '1 hour', pg_temp.tally('surplus', 4) || '{"halted": "Nothing is deleted as 4 of 9 are not at Clerk"}') is null as ran;
select is(
  pg_temp.sentence('surplus'), 'Objects here that Clerk no longer lists: 4. Nothing is deleted as 4 of 9 are not at Clerk.',
  'surplus, and why it was not deleted'
);
create function pg_temp.told_of_surplus(halted text)
returns text
language sql
begin atomic
  select (breach ->> 'sentence') || ' ' || (breach ->> 'cure')
  from clerk_sync.breaches(
    '{}', '{}', jsonb_build_object('surplus', 4, 'halted', halted, 'backfill_seconds', 0, 'reconcile_seconds', 0), '{}') as breach
  where breach ->> 'code' = 'surplus';
end;
select results_eq(
  $$ select pg_temp.told_of_surplus(halted) as told
     from unnest(array[
       null,
       'Nothing is deleted as clerk_sync.settings.instance_id is not set: run a backfill first',
       'Nothing is deleted as 4 of 9 users are not at Clerk, and the limit is 1: allow it with --max-deletes 4',
       'Nothing is deleted as Clerk lists no users, and 4 are here'
     ]) with ordinality as run (halted, place) order by place $$,
  $$ values
    ('Objects here that Clerk no longer lists: 4. Run reconcile --dry-run, which lists them, and reconcile, which deletes them.'),
    ('Objects here that Clerk no longer lists: 4. Nothing is deleted as clerk_sync.settings.instance_id is not set. Run backfill, which sets it, and reconcile, which deletes them.'),
    ('Objects here that Clerk no longer lists: 4. Nothing is deleted as 4 of 9 users are not at Clerk, and the limit is 1. Run reconcile --dry-run, which lists them. If Clerk is right, run reconcile --max-deletes 4.'),
    ('Objects here that Clerk no longer lists: 4. Nothing is deleted as Clerk lists no users, and 4 are here. Check that CLERK_SECRET_KEY is of the right instance, and run reconcile, which tries again.') $$,
  'the cure fits what keeps reconcile from deleting'
);
select pg_temp.ran('reconcile', '50 minutes', pg_temp.tally('refused', 2)) is null as ran;
select is(
  pg_temp.codes() || ': ' || pg_temp.sentence('skipped'), 'skipped: Objects that the last reconcile had to skip: 2.',
  'the last reconcile counts'
);
select pg_temp.ran('reconcile', '40 minutes') is null, pg_temp.ran('reconcile', '20 minutes', is_finished => false) is null;
select is(
  pg_temp.codes() || ': ' || regexp_replace(pg_temp.sentence('stopped'), '\d+', 'N'), 'stopped: Run N (reconcile) is unfinished, and stopped 20 minutes ago.',
  'a run that stopped'
);
update clerk_sync.runs set finished_at = now() - interval '3 days', leased_until = now() - interval '3 days';
select is(
  pg_temp.sentence('reconcile'), 'Nothing reconciles: the tables were last compared with Clerk 3 days ago.', 'no reconcile for too long'
);
update clerk_sync.settings set max_reconcile_age = null;
select is(pg_temp.codes(), '', 'null turns a threshold off');
insert into public.profiles (id) select 'user_' || n from generate_series(1, 99) as n;
select is(
  pg_temp.status('{"user": 100}') #> '{rows,user}' || to_jsonb(pg_temp.codes('{"user": 100}')), '[{"here": 99, "clerk": 100}, ""]',
  'one in a hundred rows may be on its way'
);
select is(pg_temp.codes('{"organization": 1}'), '', 'nor is one row in a small project an alarm');
select is(
  pg_temp.sentence('counts', '{"user": 102}'), 'Rows of kind user: 99 here, 102 at Clerk.', 'more may not'
);

select * from finish();
rollback;
