-- Retention: what is pruned and when, what is never pruned, and that nothing comes back.

begin;
set local search_path = public, extensions;
select plan(41);


-- Arrange ------------------------------------------------------------------------------------

create function pg_temp.deliver(message_id text, type text, id text, at bigint default 0, data jsonb default '{}')
returns text
language sql
return public.ingest_clerk_event(message_id, jsonb_build_object(
  'type', type,
  'timestamp', 1760000000000 + at,
  'data', jsonb_build_object('id', id, 'updated_at', 1760000000000 + at) || data)) ->> 'outcome';

-- All batches of a maintenance, summed up: the counts that are not 0, the ids and what was refused.
create function pg_temp.maintain(dry_run boolean default false, batch integer default 2000)
returns jsonb
language plpgsql
as $$
declare
  answer jsonb := '{"next": null}';
  counts jsonb := '{}';
  ids jsonb := '[]';
  refused jsonb := '[]';
begin
  while answer ? 'next' loop
    answer := public.maintain_clerk_sync(dry_run, nullif(answer -> 'next', 'null'), batch);
    if (answer ->> 'count')::integer > 0 then
      counts := counts || jsonb_build_object(
        answer ->> 'part',
        coalesce((counts ->> (answer ->> 'part'))::integer, 0) + (answer ->> 'count')::integer);
    end if;
    ids := ids || coalesce(answer -> 'ids', '[]');
    refused := refused || coalesce(answer -> 'refused', '[]');
  end loop;

  return counts
    || case when ids = '[]' then '{}' else jsonb_build_object('ids', ids) end
    || case when refused = '[]' then '{}' else jsonb_build_object('refused', refused) end;
end
$$;

create function pg_temp.is_there(message_id text)
returns text
language sql
return coalesce(
  (
    select case when payload is null then 'pruned' else 'whole' end
    from clerk_sync.inbox
    where inbox.message_id = is_there.message_id
  ),
  'gone');

select is(pg_temp.maintain(), '{}', 'a new database has nothing to prune');


-- Messages -----------------------------------------------------------------------------------

-- Half an hour from each limit, in hours.
create temp table ages (name text, age interval, left_over text);
insert into ages values
  ('new', '29 days 23:30', 'whole'),
  ('old', '30 days 00:30', 'pruned'),
  ('older', '99 days 23:30', 'pruned'),
  ('ancient', '100 days 00:30', 'gone');

do $$
begin
  perform
    pg_temp.deliver('msg_' || name, 'user.created', 'user_' || name, 0, '{"first_name": "Ada"}'),
    -- Stale, and ignored.
    pg_temp.deliver('msg_stale_' || name, 'user.updated', 'user_' || name, -5),
    pg_temp.deliver('msg_ignored_' || name, 'session.created', 'sess_' || name, 0, '{"user_id": "user_ada"}')
  from ages;

  alter table public.profiles add constraint no_bo check (id !~ '^user_bo') not valid;
  perform
    pg_temp.deliver('msg_failed_' || name, 'user.created', 'user_bo' || name),
    pg_temp.deliver('msg_unreadable_' || name, 'user.created', 'none')
  from ages;
  update clerk_sync.inbox set received_at = now() - age from ages where message_id ~ ('_' || name || '$');
end
$$;

select is(
  (select jsonb_object_agg(outcome, messages) from (select outcome, count(*) as messages from clerk_sync.inbox group by 1) as by_outcome),
  '{"applied": 4, "stale": 4, "ignored": 4, "failed": 4, "unreadable": 4}', 'control: there are messages with each outcome'
);
select is(
  pg_temp.maintain(dry_run => true), '{"messages": 3, "payloads": 6}',
  'a dry run counts the rows that are past their time, and the payloads of younger ones'
);
select is(
  pg_temp.maintain(dry_run => true, batch => 1), pg_temp.maintain(dry_run => true), 'in batches of any size'
);
select is(
  (select count(*) from clerk_sync.inbox where payload is not null), 20::bigint, 'and writes nothing'
);
select is(
  pg_temp.maintain(batch => 1), '{"messages": 3, "payloads": 6}', 'a maintenance prunes what the dry run counted'
);
select is(pg_temp.maintain(dry_run => true), '{}', 'and then nothing is left to do');
select results_eq(
  $$
    select sort || name, pg_temp.is_there('msg_' || sort || name)
    from ages, unnest('{"",stale_,ignored_}'::text[]) as sort order by 1
  $$,
  $$ select sort || name, left_over from ages, unnest('{"",stale_,ignored_}'::text[]) as sort order by 1 $$,
  'payloads of messages that are done go after 30 days, their rows after 100'
);
select is(
  (select count(*) from clerk_sync.inbox where outcome in ('failed', 'unreadable') and payload is not null), 8::bigint,
  'failed and unreadable ones stay whole, however old'
);
select is(
  pg_temp.deliver('msg_old', 'user.created', 'user_old', 9, '{"first_name": "Eve"}'), 'duplicate',
  'a message without its payload is still a duplicate when it is delivered again'
);
select is(
  pg_temp.deliver('msg_ancient', 'user.created', 'user_ancient', 0, '{"first_name": "Ada"}'), 'stale',
  'one whose row is gone is stale'
);
select is(
  (select array_agg(first_name) from public.profiles where id in ('user_old', 'user_ancient')), '{Ada,Ada}',
  'and neither changes the row'
);

do $$ begin perform pg_temp.deliver('msg_delete', 'user.deleted', 'user_older'); end $$;
select is(
  (
    select jsonb_agg(to_jsonb(inbox) - '{received_at,last_delivered_at,deliveries,occurred_at,instance_id}'::text[])
    from clerk_sync.inbox where message_id = 'msg_older'
  ),
  '[{"message_id": "msg_older", "type": "user.created", "object_id": "user_older", "subjects": ["user_older"], "outcome": "applied", "error": null, "payload": null}]',
  'an erasure leaves a message without its payload as it is: ids and times'
);

alter table public.profiles drop constraint no_bo;
select is(
  pg_temp.deliver('msg_failed_ancient', 'user.created', 'user_boancient'), 'applied',
  'a failed message can be delivered again after any time'
);
select is(pg_temp.maintain(), '{"messages": 1}', 'and then it is pruned like all others');

update clerk_sync.settings set payload_retention = '200 days';
update clerk_sync.inbox set received_at = now() - interval '99 days' where message_id = 'msg_new';
select is(pg_temp.maintain(), '{}', 'the payload can be kept as long as the row');
update clerk_sync.settings set payload_retention = '1 day', row_retention = '91 days';
select is(
  pg_temp.maintain(), '{"messages": 4, "payloads": 2}', 'the settings are read by each maintenance'
);


-- The archive, runs, and records of pg_cron ------------------------------------------------------

delete from pgmq.a_clerk_changes;
insert into pgmq.a_clerk_changes (msg_id, read_ct, enqueued_at, archived_at, vt, message)
select days, 1, now() - interval '99 days', now() - make_interval(days => days, mins => 5), now(), '{}'
from unnest('{29,30,31}'::integer[]) as days;
insert into pgmq.q_clerk_changes_dead (vt, enqueued_at, message) values (now(), now() - interval '9 years', '{}');
insert into pgmq.q_clerk_changes (vt, enqueued_at, message) values (now(), now() - interval '9 years', '{}');

select is(pg_temp.maintain(batch => 1), '{"changes": 2}', 'finished changes leave the archive after 30 days');
select is((select array_agg(msg_id) from pgmq.a_clerk_changes), '{29}', 'younger ones stay');
select is(
  (
    select count(*) from (
      table pgmq.q_clerk_changes_dead union all table pgmq.q_clerk_changes
    ) as waiting where enqueued_at < now() - interval '8 years'
  ),
  2::bigint, 'dead letters and waiting changes stay, however old'
);

insert into clerk_sync.runs (kind, options, state, leased_until, finished_at)
select kind, options::jsonb, state::jsonb || jsonb_build_object('number', number), now(), now() - ago::interval
from (
  values
    (1, 'backfill', '{}', '{}', '400 days'),
    (2, 'reconcile', '{}', '{}', '90 days'),
    (3, 'reconcile', '{}', '{"step": 9}', '80 days'),
    (4, 'reconcile', '{"dry_run": true}', '{}', '70 days'),
    (5, 'reconcile', '{}', '{"abandoned": true}', '60 days'),
    (6, 'reconcile', '{}', '{"abandoned": true}', '50 days'),
    (7, 'poll', '{}', '{}', '40 days'),
    (8, 'poll', '{}', '{}', '29 days'),
    (9, 'poll', '{}', '{}', '1 day'),
    (10, 'poll', '{}', '{}', null),
    (11, 'backfill', '{}', '{}', null)
) as old (number, kind, options, state, ago)
order by number;
insert into clerk_sync.seen_objects (run_id, id) select id, 'user_seen' from clerk_sync.runs;

select is(pg_temp.maintain(dry_run => true, batch => 1), '{"runs": 3}', 'runs that finished 30 days ago are pruned');
select is(pg_temp.maintain(batch => 1), '{"runs": 3}', 'by a maintenance, too');
select is(
  (select array_agg((state ->> 'number')::integer order by id) from clerk_sync.runs), '{1,3,4,6,8,9,10,11}',
  'the newest finished one of each kind stays, of dry runs and of abandoned ones, too, and every unfinished one'
);
select is((select count(*) from clerk_sync.seen_objects), 8::bigint, 'what a pruned run had seen goes with it');

create schema cron;
create table cron.job (jobid bigint, jobname text);
create table cron.job_run_details (
  jobid bigint, runid bigint primary key, start_time timestamptz, end_time timestamptz);
insert into cron.job values (1, 'clerk-worker'), (2, 'mine');
insert into cron.job_run_details values
  (1, 1, now() - interval '8 days', now() - interval '8 days'),
  (2, 2, now() - interval '8 days', now() - interval '8 days'),
  (1, 3, now() - interval '8 days', null),
  (1, 4, null, now() - interval '8 days'),
  (1, 5, now() - interval '8 days', now() - interval '6 days');

select is(
  pg_temp.maintain(batch => 1), '{"cron_records": 3}', 'pg_cron''s records of the sync''s jobs go after 7 days'
);
select is((select array_agg(runid) from cron.job_run_details), '{2,5}', 'those of other jobs stay');
update cron.job_run_details set end_time = now() - interval '9 days';
do $$
begin
  execute format('revoke delete on cron.job_run_details from %I', current_user);
end
$$;
select is(pg_temp.maintain(), '{}', 'where this role may not delete them, they are left alone');
drop schema cron cascade;


-- Tombstones ---------------------------------------------------------------------------------

-- What the application might have, with each sort of foreign key.
create table notes (user_id text references public.profiles on delete cascade);
create table orders (user_id text references public.profiles on delete restrict);
create table audits (user_id text references public.profiles deferrable initially deferred);
create table hints (user_id text references public.profiles on delete set null);
create table rooms (organization_id text references public.organizations on delete cascade);
create function pg_temp.keep() returns trigger language plpgsql as 'begin return null; end';
create trigger keep before delete on public.profiles
  for each row when (old.id = 'user_kept') execute function pg_temp.keep();
create function pg_temp.refuse() returns trigger language plpgsql as $$
begin
  assert false;
end
$$;
create trigger refuse before delete on public.profiles
  for each row when (old.id = 'user_asserted') execute function pg_temp.refuse();

do $$
declare
  person text;
begin
  foreach person in array '{ann,cascaded,restricted,deferred,kept,asserted,unset,recent,living}'::text[] loop
    perform pg_temp.deliver('msg_c_' || person, 'user.created', 'user_' || person);
  end loop;
  perform
    pg_temp.deliver('msg_o_' || organization, 'organization.created', 'org_' || organization)
  from unnest('{gone,living}'::text[]) as organization;
  insert into notes values ('user_cascaded'), ('user_cascaded'), ('user_living');
  insert into orders values ('user_restricted');
  insert into audits values ('user_deferred');
  insert into hints values ('user_unset');
  insert into rooms values ('org_gone'), ('org_living');
  perform pg_temp.deliver('msg_d_' || split_part(id, '_', 2), 'user.deleted', id) from public.profiles where id <> 'user_living';
  perform pg_temp.deliver('msg_d_gone', 'organization.deleted', 'org_gone');
  update public.profiles set deleted_at = now() - interval '91 days' where id not in ('user_living', 'user_recent');
  update public.profiles set deleted_at = now() - interval '89 days' where id = 'user_recent';
  update public.organizations set deleted_at = now() - interval '91 days' where id = 'org_gone';
  delete from public.profiles where id !~ '_(ann|cascaded|restricted|deferred|kept|asserted|unset|recent|living)$';
  delete from pgmq.q_clerk_changes;
end
$$;

-- Each delivery has made them immediate.
set constraints all deferred;

select is(pg_temp.maintain(), '{}', 'tombstones stay forever by default');
update clerk_sync.settings set purge_after = '90 days';

create temp table expected as
select '{
  "profiles": 3, "organizations": 1,
  "ids": ["user_ann", "user_cascaded", "user_unset", "org_gone"],
  "refused": [
    {"id": "user_asserted", "sqlstate": "P0004"}, {"id": "user_deferred", "sqlstate": "23503"},
    {"id": "user_kept", "sqlstate": "P0002"}, {"id": "user_restricted", "sqlstate": "23503"}
  ]
}'::jsonb as report;
select is(
  pg_temp.maintain(dry_run => true), report,
  'a dry run lists the tombstones that are past the hold-back, and which of them the application refuses to give up'
) from expected;
select is(
  (select jsonb_build_array(count(*), (select count(*) from notes), (select count(*) from rooms)) from public.profiles),
  '[9, 3, 2]', 'and deletes none'
);
set constraints all deferred;
select is(pg_temp.maintain(batch => 1), report, 'a maintenance does what the dry run said') from expected;
select is(
  (select array_agg(id order by id) from public.profiles),
  '{user_asserted,user_deferred,user_kept,user_living,user_recent,user_restricted}',
  'the living stay, those within the hold-back, and those that are refused'
);
select is(
  jsonb_build_array((select jsonb_agg(user_id) from notes), (select jsonb_agg(user_id) from hints), (select jsonb_agg(organization_id) from rooms)),
  '[["user_living"], [null], ["org_living"]]', 'the application''s foreign keys have acted'
);
select is((select count(*) from pgmq.q_clerk_changes), 0::bigint, 'nothing is announced');
delete from orders;
select is(
  pg_temp.maintain() - 'refused', '{"profiles": 1, "ids": ["user_restricted"]}', 'what was refused is tried again by the next one'
);


-- Nothing comes back -------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_late', 'user.updated', 'user_ann', 1000000), 'stale', 'an update of a purged user is stale'
);
select is(
  pg_temp.deliver(
    'msg_late_member', 'organizationMembership.created', 'orgmem_late', 1000000,
    '{"organization": {"id": "org_gone"}, "public_user_data": {"user_id": "user_ann"}}'),
  'stale', 'so is a membership'
);
select is(
  public.ingest_clerk_snapshot('user', 1760000009000, '[{"id": "user_ann", "updated_at": 1760000009000}]') ->> 'gone', '1',
  'a page of Clerk''s API finds a purged user gone'
);
select is(
  public.ingest_clerk_snapshot('organization', 1760000009000, '[{"id": "org_gone", "updated_at": 1760000009000}]') ->> 'gone', '1',
  'and a purged organization'
);

do $$
begin
  perform set_config('request.jwt.claims', '{"sub": "user_ann", "role": "authenticated", "iat": 1860000000, "org_id": "org_gone"}', true);
  set local role authenticated;
  perform public.ensure_profile();
  reset role;
end
$$;
select is_empty(
  $$
    select id from public.profiles where id = 'user_ann'
    union all
    select id from public.organizations where id = 'org_gone'
    union all
    select id from public.organization_memberships
  $$,
  'neither brings a row back, nor does a browser that is still signed in'
);
select is(
  (select array_agg(id order by id) from clerk_sync.objects where id in ('user_ann', 'org_gone') and deleted_at is not null),
  '{org_gone,user_ann}', 'because the register keeps the ids'
);

select * from finish();
rollback;
