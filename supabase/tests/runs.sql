-- Runs over Clerk's Backend API: one at a time, with a fence; and what Clerk did not list.

begin;
set local search_path = public, extensions;
select plan(69);


-- Begin, go on, finish ---------------------------------------------------------------------------

create function pg_temp.begin_run(kind text, restart boolean default false, options jsonb default '{}')
returns jsonb
language sql
return public.begin_clerk_run(kind, options, restart => restart)
  #- '{run,began_at}' #- '{run,polled_at}' #- '{run,instance_id}' #- '{busy,leased_until}';

create temp table numbers as
select public.begin_clerk_run('backfill', '{"quiet": true}') #>> '{run,id}' as backfill;
select is(
  (select (options, state, fence, finished_at)::text from clerk_sync.runs),
  row('{"quiet": true}'::jsonb, '{}'::jsonb, 1, null::timestamptz)::text, 'a run begins with its options'
);
select is(
  pg_temp.begin_run('reconcile'), '{"busy": {"kind": "backfill"}}', 'another one has to wait while it is leased'
);
select is(pg_temp.begin_run('backfill'), '{"busy": {"kind": "backfill"}}', 'one of the same kind, too');
select is(
  public.save_clerk_run(backfill::bigint, 1, '{"phase": "users"}', lease_seconds => 0), true, 'a lease can be given back'
)
from numbers;
select is(
  pg_temp.begin_run('backfill', options => '{"quiet": false}') -> 'run',
  jsonb_build_object('id', backfill::bigint, 'fence', 2, 'state', '{"phase": "users"}'::jsonb, 'options', '{"quiet": true}'::jsonb),
  'then a run goes on where it was, with its own options'
)
from numbers;
select is(
  public.save_clerk_run(backfill::bigint, 1, '{"phase": "lost"}'), false, 'whoever had it before cannot save any more'
)
from numbers;
select is(public.note_clerk_seen(backfill::bigint, 1, '{user_x}'), false, 'nor note what was seen') from numbers;
select is(
  public.delete_clerk_surplus(backfill::bigint, 1, 'user', '{user_x}'), '{"deleted": null}', 'nor delete'
)
from numbers;
select is(
  (select state from clerk_sync.runs), '{"phase": "users"}', 'control: the state is what the holder saved'
);
select is(public.note_clerk_seen(backfill::bigint, 2, '{user_x,user_x}'), true, 'the holder can note') from numbers;
select is(public.note_clerk_seen(backfill::bigint, 2, '{user_x}'), true, 'the same again') from numbers;
select is((select count(*) from clerk_sync.seen_objects), 1::bigint, 'which is noted once');
select is(public.save_clerk_run(backfill::bigint, 2, '{"done": 1}', is_finished => true), true, 'and finish') from numbers;
select is((select count(*) from clerk_sync.seen_objects), 0::bigint, 'what a finished run saw is forgotten');
select is(public.save_clerk_run(backfill::bigint, 2, '{}'), false, 'a finished run is not saved again') from numbers;
select is(
  (pg_temp.begin_run('backfill') #>> '{run,id}')::bigint > backfill::bigint, true, 'the next one is a new run'
)
from numbers;
select public.note_clerk_seen(max(id), 1, '{user_x}') is null as noted from clerk_sync.runs;
update clerk_sync.runs set leased_until = now() - interval '1 second';
select is((select count(*) from clerk_sync.seen_objects), 1::bigint, 'control: the next one saw something');
select is(
  pg_temp.begin_run('backfill', restart => true) #> '{run,state}', '{}', 'a restart begins anew'
);
select is((select count(*) from clerk_sync.seen_objects), 0::bigint, 'what the abandoned run saw is forgotten');
select is(
  (select array_agg(finished_at is null order by id) from clerk_sync.runs), '{f,f,t}', 'and ends the one before'
);
update clerk_sync.runs set finished_at = now();


-- Instances --------------------------------------------------------------------------------------

select is(
  array[
    public.begin_clerk_run('reconcile', '{}', 'ins_1', lease_seconds => 0) #> '{run,instance_id}',
    public.begin_clerk_run('poll', '{}', 'ins_1', lease_seconds => 0) #> '{run,instance_id}',
    public.begin_clerk_run('backfill', '{"dry_run": true}', 'ins_1', lease_seconds => 0) #> '{run,instance_id}'
  ],
  array_fill('null'::jsonb, '{3}'), 'what deletes or writes nothing does not tell the instance'
);
select is((select instance_id from clerk_sync.settings), null, 'so that the settings name none');
select is(
  public.begin_clerk_run('backfill', '{}', 'ins_1', lease_seconds => 0) #>> '{run,instance_id}', 'ins_1', 'a backfill does'
);
select is((select instance_id from clerk_sync.settings), 'ins_1', 'and the settings get it');
select is(
  public.begin_clerk_run('poll', '{}', 'ins_2'), '{"foreign": "ins_1"}', 'a key of another instance is refused'
);
select is((select instance_id from clerk_sync.settings), 'ins_1', 'control: the settings keep the first');
select is(public.begin_clerk_run('poll', '{}', null, lease_seconds => 0) ? 'run', true, 'no instance is none to refuse');
update clerk_sync.runs set finished_at = now();


-- Surplus ----------------------------------------------------------------------------------------

create function pg_temp.tell(type text, data jsonb)
returns text
language sql
return public.ingest_clerk_event('msg_' || gen_random_uuid(), jsonb_build_object(
  'type', type, 'timestamp', 1763000000000, 'data', data || '{"updated_at": 1763000000000, "created_at": 1763000000000}'))
  ->> 'outcome';

select is(
  array[
    pg_temp.tell('user.created', '{"id": "user_ada", "first_name": "Ada"}'),
    pg_temp.tell('user.created', '{"id": "user_bo", "first_name": "Bo"}'),
    pg_temp.tell('organization.created', '{"id": "org_lantern"}'),
    pg_temp.tell('organization.created', '{"id": "org_heron"}'),
    pg_temp.tell('organizationMembership.created', '{"id": "orgmem_1", "organization": {"id": "org_lantern"}, "public_user_data": {"user_id": "user_ada"}}'),
    pg_temp.tell('organizationMembership.created', '{"id": "orgmem_2", "organization": {"id": "org_lantern"}, "public_user_data": {"user_id": "user_bo"}}'),
    pg_temp.tell('organizationMembership.created', '{"id": "orgmem_3", "organization": {"id": "org_heron"}, "public_user_data": {"user_id": "user_ada"}}')
  ],
  array_fill('applied'::text, '{7}'), 'arrange: two people in two organizations'
);

create temp table run as
select (begun #>> '{run,id}')::bigint as id, (begun #>> '{run,fence}')::bigint as fence
from (select public.begin_clerk_run('reconcile', '{}') as begun) as one;
-- Everything here came in this transaction, which is no older than the run.
update clerk_sync.runs set began_at = now() + interval '1 second' where id = (select id from run);
select public.note_clerk_seen(id, fence, '{user_ada,org_lantern}') is not null as noted from run;

select is(
  public.list_clerk_surplus(id, 'user'), '{"living": 2, "surplus": 1, "objects": [{"id": "user_bo"}]}',
  'a user whom Clerk did not list is surplus'
)
from run;
select is(
  public.list_clerk_surplus(id, 'organization'), '{"living": 2, "surplus": 1, "objects": [{"id": "org_heron"}]}',
  'so is an organization'
)
from run;
select is(
  public.list_clerk_surplus(id, 'membership'),
  '{"living": 3, "surplus": 1, "objects": [{"id": "orgmem_1", "organization_id": "org_lantern", "user_id": "user_ada"}]}',
  'and a membership, but not one that goes with its user or its organization'
)
from run;
select is(
  public.list_clerk_surplus(id, 'user', after_id => 'user_bo') -> 'objects', '[]', 'it is listed page by page'
)
from run;
select throws_ok(
  $$ select public.list_clerk_surplus(1, 'role') $$, '22023', null, 'no other kind is compared'
);
update public.profiles set created_at = now() + interval '1 hour', synced_at = now() + interval '1 hour' where id = 'user_bo';
select is(
  public.list_clerk_surplus(id, 'user') -> 'objects', '[]', 'who came after the run began is no surplus'
)
from run;
update public.profiles set created_at = null, synced_at = now() where id = 'user_bo';

select is(
  public.delete_clerk_surplus(id, fence, 'user', '{user_bo,user_ada,user_nobody}'), '{"deleted": 1}',
  'of a list only what is surplus is deleted'
)
from run;
select is(
  (select (first_name, deleted_at is not null)::text from public.profiles where id = 'user_bo'),
  row(null::text, true)::text, 'as by Clerk''s own deletion'
);
select is_empty($$ select from public.organization_memberships where user_id = 'user_bo' $$, 'with the memberships');
select is(
  (select (type, object_id, outcome, payload)::text from clerk_sync.inbox where message_id ^@ 'reconcile_'),
  row('reconcile.deleted', 'user_bo', 'applied', null::jsonb)::text, 'the inbox tells which run did it'
);
select is(
  public.delete_clerk_surplus(id, fence, 'membership', '{orgmem_1}'), '{"deleted": 1}', 'a membership'
)
from run;
select results_eq(
  $$ select message ->> 'topic', message ->> 'id', message ->> 'caused_by' like 'reconcile_%' from pgmq.q_clerk_changes where message ->> 'via' = 'snapshot' order by msg_id $$,
  $$ values ('membership.deleted', 'orgmem_2', true), ('profile.deleted', 'user_bo', true), ('membership.deleted', 'orgmem_1', true) $$,
  'the deletions are announced'
);
select is(
  pg_temp.tell('user.updated', '{"id": "user_bo", "first_name": "Bo"}'), 'stale', 'nothing brings the user back'
);

update clerk_sync.runs set finished_at = now();


-- The schedule -----------------------------------------------------------------------------------

delete from clerk_sync.runs;
create function pg_temp.began(kind text, ago interval, scheduled boolean default true, finished boolean default true)
returns void
language sql
begin atomic
  insert into clerk_sync.runs (kind, options, began_at, leased_until, finished_at)
  values (kind, jsonb_build_object('scheduled', scheduled), now() - ago, now() - ago, case when finished then now() end);
end;
-- The last time that the clock showed a full ten minutes, and that it showed the time of the reconcile.
create temp view last (mark) as select date_bin('10 minutes', now(), '2000-01-01 00:00:00+00');
create function pg_temp.night(ago interval)
returns void
language sql
begin atomic
  update clerk_sync.settings set reconcile_at = ((now() - ago) at time zone 'UTC')::time;
end;

select is(public.due_clerk_run(), 'poll', 'first of all, a poll is due');
select pg_temp.began('poll', now() - mark + interval '1 second') is not null as began from last;
select is(public.due_clerk_run(), 'poll', 'it is due when the last one began before the last full ten minutes');
select pg_temp.began('poll', now() - mark) is not null as began from last;
select pg_temp.night('1 hour') is not null as night;
select is(public.due_clerk_run(), null, 'not when one has begun since; and the first reconcile waits for its time');
update clerk_sync.runs set began_at = now() - interval '2 hours' where id = (select min(id) from clerk_sync.runs);
select is(public.due_clerk_run(), 'reconcile', 'a reconcile is due when its time has come since the first run');
select pg_temp.night('-1 hour') is not null as night;
select is(public.due_clerk_run(), null, 'not before');
select pg_temp.began('reconcile', '30 hours', scheduled => false) is not null as began;
select is(public.due_clerk_run(), 'reconcile', 'the time of yesterday counts until today''s has come');
select pg_temp.began('reconcile', '22 hours') is not null as began;
select is(public.due_clerk_run(), null, 'once a day');
select pg_temp.began('reconcile', '26 hours', scheduled => false, finished => false) is not null as began;
select is(public.due_clerk_run(), null, 'what a command began, a command goes on with');
select pg_temp.began('reconcile', '25 hours', finished => false) is not null as began;
select is(public.due_clerk_run(), 'reconcile', 'what the schedule began, it goes on with');
select is(
  public.begin_clerk_run('reconcile', '{}', lease_seconds => 0) #> '{run,options}', '{"scheduled": false}',
  'a command goes on with the run of a command'
);
select is(
  public.begin_clerk_run('reconcile', '{"scheduled": true}', restart => true, lease_seconds => 0) #> '{run,options}', '{"scheduled": true}',
  'the schedule with the schedule''s'
);
select is(
  (select count(*) from clerk_sync.runs where finished_at is null and not clerk_sync.is_scheduled(options)), 1::bigint,
  'a restart leaves the other alone'
);
select pg_temp.began('poll', '3 hours', finished => false) is not null as began;
select is(public.due_clerk_run(), 'reconcile', 'an unfinished reconcile comes before a poll that fails for an hour');
update clerk_sync.runs set began_at = now() - interval '50 minutes' where kind = 'poll' and finished_at is null;
select is(public.due_clerk_run(), 'poll', 'a poll that is unfinished for less comes first');
update clerk_sync.runs set options = '{}' where kind = 'poll' and finished_at is null;
select is(public.due_clerk_run(), 'reconcile', 'a poll that nobody scheduled counts for nothing');
update clerk_sync.runs set options = '{"scheduled": true}' where kind = 'poll' and finished_at is null;
update clerk_sync.runs set leased_until = clock_timestamp() + interval '1 minute' where finished_at is null and not clerk_sync.is_scheduled(options);
select is(public.due_clerk_run(), null, 'nothing is due while another run is at work');
update clerk_sync.runs set finished_at = now(), leased_until = now();
update clerk_sync.settings set reconcile_at = null;
delete from clerk_sync.runs where kind = 'reconcile';
select is(public.due_clerk_run(), null, 'without a time, no reconcile is due');
update clerk_sync.runs set finished_at = null, began_at = now() - interval '2 hours' where id = (select max(id) from clerk_sync.runs where kind = 'poll');
select is(public.due_clerk_run(), 'poll', 'a poll that fails for an hour has its turn when no reconcile is due');
update clerk_sync.runs set finished_at = now(), began_at = now() - interval '50 minutes' where finished_at is null;
select is(
  (public.begin_clerk_run('poll', '{"scheduled": true}') #>> '{run,polled_at}')::bigint,
  (select trunc(1000 * extract(epoch from mark))::bigint from last),
  'a poll learns when the one before began'
);
delete from clerk_sync.runs;


-- What two scheduled runs found gone --------------------------------------------------------------

create function pg_temp.found(ids text[])
returns jsonb
language plpgsql
as $$
declare
  run constant jsonb := public.begin_clerk_run('reconcile', '{"scheduled": true}') -> 'run';
  ripe jsonb;
begin
  ripe := public.note_clerk_surplus((run ->> 'id')::bigint, (run ->> 'fence')::bigint, 'user', ids) -> 'ripe';
  perform public.save_clerk_run((run ->> 'id')::bigint, (run ->> 'fence')::bigint, '{}', is_finished => true);
  return ripe;
end
$$;
create function pg_temp.hours_pass(hours integer)
returns void
language sql
begin atomic
  update clerk_sync.surplus_objects set found_at = found_at - make_interval(hours => hours);
end;

update clerk_sync.settings set delete_surplus = true;
select is(pg_temp.found('{user_ada,user_bo}'), '[]', 'what one run found gone may not be deleted');
select pg_temp.hours_pass(5) is not null as passed;
select is(pg_temp.found('{user_ada,user_bo}'), '[]', 'nor what a second one found within 6 hours');
select pg_temp.hours_pass(1) is not null as passed;
select is(pg_temp.found('{user_ada,user_cy}'), '["user_ada"]', 'but after 6 hours');
select is(
  (select array_agg(id order by id) from clerk_sync.surplus_objects), '{user_ada,user_cy}',
  'what a run did not find gone is forgotten'
);
select pg_temp.hours_pass(6) is not null as passed;
select is(pg_temp.found('{user_bo}'), '[]', 'so that its time begins anew');
update clerk_sync.surplus_objects set found_at = now() - interval '1 day';
update clerk_sync.settings set delete_surplus = false;
select is(pg_temp.found('{user_bo}'), '[]', 'nothing may be deleted without the setting');
select is(
  public.note_clerk_surplus(-1, 1, 'user', '{user_bo}'), '{"ripe": null}', 'whoever does not hold the run notes nothing'
);
select is(
  (select delete_surplus from clerk_sync.settings), false, 'control: the setting is off'
);
select is(
  (select count(*) from clerk_sync.runs where kind = 'reconcile' and finished_at is not null), 5::bigint,
  'control: each was a run'
);

select * from finish();
rollback;
