-- Why a row looks as it does, and what an erasure left.

begin;
set local search_path = public, extensions;
select plan(51);


-- Builders ------------------------------------------------------------------------------------

create function pg_temp.send(message_id text, type text, minute numeric, data jsonb)
returns text
language sql
return public.ingest_clerk_event(message_id, jsonb_build_object(
  'type', type, 'timestamp', 1763000000000 + (minute * 60000)::bigint,
  'data', case when type like '%.deleted' then '{}' else jsonb_build_object('updated_at', 1763000000000 + (minute * 60000)::bigint) end || data
)) ->> 'outcome';

-- The explanation of the only object that is found.
create function pg_temp.explained(id_or_address text)
returns jsonb
language sql
return public.explain_clerk_object(id_or_address) #> '{objects,0}';

create function pg_temp.events(id text)
returns table (line text)
language sql
begin atomic
  select concat_ws(' ', event ->> 'message_id', event ->> 'outcome', event ->> 'why')
  from jsonb_array_elements(pg_temp.explained(id) -> 'events') with ordinality as told (event, place)
  order by place;
end;

create function pg_temp.changes(id text, message_id text)
returns jsonb
language sql
return (
  select coalesce(nullif(event -> 'changes', 'null'), nullif(event -> 'changes_unknown', 'null'))
  from jsonb_array_elements(pg_temp.explained(id) -> 'events') as event
  where event ->> 'message_id' = message_id
);

create function pg_temp.verdict(id text)
returns text
language sql
return pg_temp.explained(id) ->> 'verdict';

-- As time passes between deliveries.
create function pg_temp.age()
returns void
language sql
begin atomic
  update clerk_sync.inbox set received_at = received_at - interval '1 minute';
end;


-- A user --------------------------------------------------------------------------------------

select is(
  public.explain_clerk_object(' user_ada '), '{"asked": "user_ada", "objects": []}', 'nothing is known of a user who never came'
);

select pg_temp.send('msg_1', 'user.created', 1, '{"id": "user_ada", "first_name": "Ada", "private_metadata": {"salary": 1}}');
select pg_temp.age();
select pg_temp.send('msg_3', 'user.updated', 3, '{"id": "user_ada", "first_name": "Grace", "last_name": "Lark", "private_metadata": {"salary": 2}}');
select pg_temp.age();
select pg_temp.send('msg_2', 'user.updated', 2, '{"id": "user_ada", "first_name": "Late"}');
select pg_temp.send('msg_2', 'user.updated', 2, '{"id": "user_ada", "first_name": "Late"}');
select pg_temp.send('msg_0', 'user.updated', 3, '{"id": "user_ada", "first_name": "Tie"}');

select results_eq(
  $$ select * from pg_temp.events('user_ada') $$,
  $$ values
    ('msg_1 applied msg_3 replaced it later.'),
    ('msg_2 stale Older than msg_3, which came first.'),
    ('msg_0 stale As old as msg_3, which has the greater message id and wins.'),
    ('msg_3 applied It is the newest.') $$,
  'events stand in Clerk''s order, each with the reason of its outcome'
);
select is(pg_temp.verdict('user_ada'), 'msg_3 made the row what it is.', 'the event that made the row is named');
select is(pg_temp.explained('user_ada') ->> 'made_by', 'msg_3', 'also by its id alone');
select is(pg_temp.explained('user_ada') #>> '{row,first_name}', 'Grace', 'with the row');
select is(
  (pg_temp.explained('user_ada') #>> '{events,1,ordered_at}')::timestamptz, to_timestamp(1763000120), 'and the time that orders it'
);
select is(pg_temp.explained('user_ada') #>> '{events,1,deliveries}', '2', 'duplicate deliveries are counted');
select is(
  pg_temp.changes('user_ada', 'msg_1'),
  '[{"column": "first_name", "before": null, "after": "Ada"}, {"column": "private_metadata"}]',
  'user.created changed an empty row'
);
select is(
  pg_temp.changes('user_ada', 'msg_3'),
  '[{"column": "first_name", "before": "Ada", "after": "Grace"}, {"column": "last_name", "before": null, "after": "Lark"}, {"column": "private_metadata"}]',
  'an update is compared with what was applied before, and private_metadata only said to have changed'
);
select is(pg_temp.changes('user_ada', 'msg_2'), null, 'a stale event changed nothing');
select is(pg_temp.explained('user_ada')::text like '%salary%', false, 'private_metadata is nowhere in it');

update public.profiles set last_name = 'Edited' where id = 'user_ada';
select is(
  pg_temp.explained('user_ada') -> 'differs', '[{"column": "last_name", "before": "Edited", "after": "Lark"}]',
  'an edit by hand is found'
);
update public.profiles set last_name = 'Lark' where id = 'user_ada';
select is(pg_temp.explained('user_ada') -> 'differs', '[]', 'a row as its event made it differs in nothing');


-- What was not applied ------------------------------------------------------------------------

create function pg_temp.refuse() returns trigger language plpgsql as $$ begin raise 'no Bo here.'; end $$;
create trigger refuse before update on public.profiles for each row when (new.first_name = 'Bo') execute function pg_temp.refuse();
select pg_temp.send('msg_4', 'user.updated', 4, '{"id": "user_ada", "first_name": "Bo"}');
drop trigger refuse on public.profiles;
select public.record_clerk_rejection(
  'msg_5', 'user.updated', '[{"path": "data.locked", "code": "invalid_type"}, {"path": "", "code": "odd"}]',
  '{"type": "user.updated", "timestamp": 1763000300000, "data": {"id": "user_ada", "locked": "x"}}');
select pg_temp.send('msg_6', 'user.praised', 6, '{"id": "user_ada"}');
update clerk_sync.settings set instance_id = 'ins_ours';
select public.ingest_clerk_event(
  'msg_7', '{"type": "user.updated", "timestamp": 1763000420000, "instance_id": "ins_other", "data": {"id": "user_ada"}}');
select results_eq(
  $$ select * from pg_temp.events('user_ada') offset 4 $$,
  $$ values
    ('msg_4 failed A trigger or a constraint refused it: SQLSTATE P0001: no Bo here. It can be tried again.'),
    ('msg_5 unreadable It does not have a shape that this version knows: data.locked: invalid_type, body: odd. It can be tried again.'),
    ('msg_6 ignored Events of type user.praised change no table.'),
    ('msg_7 ignored It is of Clerk instance ins_other, and clerk_sync.settings.instance_id accepts only ins_ours.') $$,
  'what failed, was unreadable or was ignored says why'
);
update clerk_sync.settings set instance_id = null;
select public.keep_clerk_event('msg_8', '{"type": "user.updated", "timestamp": 1763000480000, "data": {"id": "user_ada"}}', '55P03');
select is(
  (select line from pg_temp.events('user_ada') offset 8),
  'msg_8 failed The database could not apply it in time: SQLSTATE 55P03. It can be tried again.',
  'as does what the database was too busy for'
);


-- Announcements -------------------------------------------------------------------------------

select results_eq(
  $$ select event ->> 'topic' as topic, event ->> 'caused_by' as cause, event ->> 'state' as state
     from jsonb_array_elements(pg_temp.explained('user_ada') -> 'announced') as event offset 1 limit 1 $$,
  $$ values ('profile.updated', 'msg_3', 'waiting') $$,
  'what was announced says which event caused it'
);
create temp table read as select * from public.read_clerk_changes(3, 60) as change;
select is(pg_temp.explained('user_ada') #>> '{announced,0,state}', 'in_flight', 'a worker has it');
select public.settle_clerk_changes(jsonb_build_array(
  jsonb_build_object('message_id', (select change -> 'message_id' from read order by change ->> 'message_id' limit 1), 'verdict', 'done'),
  jsonb_build_object('message_id', (select change -> 'message_id' from read order by change ->> 'message_id' offset 1 limit 1), 'verdict', 'retry', 'delay_seconds', 60, 'handler', 'forward', 'error_class', 'http_503'),
  jsonb_build_object('message_id', (select change -> 'message_id' from read order by change ->> 'message_id' offset 2 limit 1), 'verdict', 'dead', 'error_class', 'http_410')
));
select set_eq(
  $$ select event ->> 'state' as state, event ->> 'handler' as handler, event ->> 'error_class' as error
     from jsonb_array_elements(pg_temp.explained('user_ada') -> 'announced') as event
     where event ->> 'state' <> 'waiting' $$,
  $$ values ('done', null, null), ('retrying', 'forward', 'http_503'), ('dead', null, 'http_410') $$,
  'it is done, failed and is tried again, or dead, with the class of the error'
);


-- By address ----------------------------------------------------------------------------------

select pg_temp.send('msg_e1', 'user.created', 1, '{"id": "user_eve", "email_addresses": [{"id": "idn_1", "email_address": "Eve@Example.com"}], "primary_email_address_id": "idn_1"}');
select pg_temp.send('msg_e2', 'user.created', 1, '{"id": "user_eva", "email_addresses": [{"id": "idn_1", "email_address": "eve@example.com"}], "primary_email_address_id": "idn_1"}');
select pg_temp.send('msg_e3', 'organizationInvitation.created', 1, '{"id": "orginv_eve", "organization_id": "org_lantern", "status": "pending", "email_address": "Eve@example.com", "expires_at": 4102444800000}');
select is(
  array(select object ->> 'id' from jsonb_array_elements(public.explain_clerk_object('EVE@example.com') -> 'objects') as object),
  '{user_eva,user_eve,orginv_eve}', 'an address finds everybody who has it, and invitations to it'
);
select pg_temp.send('msg_e4', 'user.updated', 2, '{"id": "user_eva", "email_addresses": [{"id": "idn_1", "email_address": "eva@example.com"}], "primary_email_address_id": "idn_1"}');
select is(
  array(select object ->> 'id' from jsonb_array_elements(public.explain_clerk_object('eve@example.com') -> 'objects') as object),
  '{user_eve,orginv_eve}', 'but nobody who had it once'
);
select is(
  public.explain_clerk_object(odd) -> 'objects', '[]', format('odd input finds nothing: %s', left(odd, 20))
)
from unnest(array['', '@', '''; drop table x --', 'role_1', repeat('user_x', 10000), repeat('a', 5000) || '@', '%', 'USER_ADA']) as odd;
select is(public.explain_clerk_object(null) -> 'objects', '[]', 'as does null');


-- Stubs ---------------------------------------------------------------------------------------

delete from pgmq.q_clerk_changes;
select pg_temp.send('msg_m1', 'organizationMembership.created', 1, '{"id": "orgmem_1", "role": "org:admin", "organization": {"id": "org_1"}, "public_user_data": {"user_id": "user_bo"}}');
select is(
  array[pg_temp.verdict('user_bo'), pg_temp.verdict('org_1')],
  array[
    'The row has no data: no event of this user was applied. msg_m1 added it, because it names the id.',
    'The row has no data: no event of this organization was applied. msg_m1 added it, because it names the id.'
  ],
  'a row that a membership added says so'
);
set local request.jwt.claims = '{"sub": "user_cy", "role": "authenticated"}';
select count(*) from public.ensure_profile();
select is(
  pg_temp.verdict('user_cy'),
  'The row has no data: no event of this user was applied. public.ensure_profile() added it for a signed-in browser.',
  'as does one that ensure_profile() added'
);


-- Snapshots -----------------------------------------------------------------------------------

select public.ingest_clerk_snapshot('user', 1763000600000, '[{"id": "user_bo", "first_name": "Bo", "updated_at": 1763000540000}]');
select is(
  pg_temp.verdict('user_bo'), 'The snapshot of 2025-11-13 02:23:20 UTC from Clerk''s API made the row what it is. Whether anything has changed it since is not known: run reconcile --dry-run, which compares it with Clerk.',
  'a row that a snapshot made says so, and that an edit by hand would not be found'
);
select pg_temp.send('msg_b1', 'user.updated', 2, '{"id": "user_bo", "first_name": "Old"}');
select is(
  (select line from pg_temp.events('user_bo')),
  'msg_b1 stale Older than the snapshot of 2025-11-13 02:23:20 UTC from Clerk''s API, which came first.',
  'an event can be older than a snapshot'
);


-- Deleted parents -----------------------------------------------------------------------------

select is(pg_temp.verdict('orgmem_1'), 'msg_m1 made the row what it is.', 'a membership');
select pg_temp.send('msg_b2', 'user.deleted', 20, '{"id": "user_bo", "deleted": true}');
select pg_temp.send('msg_m2', 'organizationMembership.updated', 21, '{"id": "orgmem_1", "role": "org:admin", "organization": {"id": "org_1"}, "public_user_data": {"user_id": "user_bo"}}');
select is(pg_temp.verdict('orgmem_1'), 'There is no row: it was deleted with user_bo.', 'goes with its user');
select results_eq(
  $$ select * from pg_temp.events('orgmem_1') $$,
  $$ values ('msg_m1 applied It is the newest.'), ('msg_m2 stale user_bo is deleted, which is final.') $$,
  'and its later events are stale'
);
select is(
  pg_temp.changes('orgmem_1', 'msg_m1'), '"Its payload was erased with user_bo."', 'their payloads are gone, which is said'
);


-- Invitations ---------------------------------------------------------------------------------

select is(pg_temp.verdict('orginv_eve'), 'msg_e3 made the row what it is.', 'an invitation');
select pg_temp.send('msg_i2', 'organizationInvitation.revoked', 2, '{"id": "orginv_eve", "organization_id": "org_lantern", "status": "revoked"}');
select is(
  pg_temp.changes('orginv_eve', 'msg_i2') @> '[{"column": "status", "before": "pending", "after": "revoked"}]', true,
  'its status changes'
);
select pg_temp.send('msg_i3', 'organizationInvitation.created', 1, '{"id": "orginv_fay", "organization_id": "org_lantern", "status": "pending", "expires_at": 1763000060001}');
select is(
  pg_temp.verdict('orginv_fay'), 'msg_i3 made the row what it is; it expired since, of which Clerk sends no event.',
  'and expires without an event'
);


-- Erasure and retention -----------------------------------------------------------------------

update clerk_sync.inbox set payload = null where message_id = 'msg_1';
select is(
  array[pg_temp.changes('user_ada', 'msg_1'), pg_temp.changes('user_ada', 'msg_3')],
  array['"Its payload is past retention."', '"The payload of msg_1, which was applied before it, is gone."']::jsonb[],
  'retention takes payloads, and it is said'
);
update clerk_sync.inbox set payload = null where message_id = 'msg_3';
select is(
  pg_temp.verdict('user_ada'),
  'msg_3 made the row what it is. Whether anything has changed it since is not known: run reconcile --dry-run, which compares it with Clerk.',
  'then an edit by hand would not be found, and it is said, too'
);
delete from clerk_sync.inbox where message_id in ('msg_1', 'msg_3');
select is(
  array[pg_temp.verdict('user_ada'), (select line from pg_temp.events('user_ada') limit 1)],
  array['msg_3 made the row what it is; the inbox no longer has it. Whether anything has changed it since is not known: run reconcile --dry-run, which compares it with Clerk.', 'msg_2 stale Older than msg_3, which came first.'],
  'and rows, too'
);
select pg_temp.send('msg_9', 'user.deleted', 30, '{"id": "user_ada", "deleted": true}');
select is(
  pg_temp.verdict('user_ada'),
  'Deleted at 2025-11-13 02:43:20 UTC by msg_9. The row is a tombstone: the id and the time, and what your application added.',
  'a deletion says when, and by which event'
);
select results_eq(
  $$ select * from pg_temp.events('user_ada') offset 7 $$,
  $$ values ('msg_9 applied It deleted the user and erased the personal data.') $$,
  'and is the last event'
);
select is(
  (select jsonb_object_agg(piece ->> 'table', piece -> 'rows')
   from jsonb_array_elements(pg_temp.explained('user_ada') -> 'left') as piece
   where piece -> 'rows' <> '0'),
  '{}'::jsonb || (
    select jsonb_build_object(
      'public.profiles', 1, 'clerk_sync.objects', 1,
      'clerk_sync.inbox', (select count(*) from clerk_sync.inbox where 'user_ada' = any (subjects)),
      'pgmq.q_clerk_changes', (select count(*) from pgmq.q_clerk_changes where message ->> 'id' = 'user_ada'),
      'pgmq.a_clerk_changes', 1, 'pgmq.q_clerk_changes_dead', (select count(*) from pgmq.q_clerk_changes_dead where message ->> 'id' = 'user_ada')
    )
  ) - array(select 'pgmq.q_clerk_changes_dead' where not exists (select from pgmq.q_clerk_changes_dead where message ->> 'id' = 'user_ada')),
  'what is left of a deleted user is counted, table by table'
);
insert into clerk_sync.objects (id, version, observed_at, message_id, data, subjects)
values ('orgdmn_1', 1, 1, 'msg_1', '{}', '{user_ada}');
select results_eq(
  $$ select piece ->> 'rows' as rows, piece ->> 'holds' as holds
     from jsonb_array_elements(pg_temp.explained('user_ada') -> 'left') as piece
     where piece ->> 'table' = 'clerk_sync.objects' $$,
  $$ values ('2', 'the id, the time, and numbers of versions; of other objects, the id in their data') $$,
  'the register is counted once, with objects whose data name the user'
);
select is(pg_temp.explained('user_eve') ->> 'left', null, 'of a living one nothing is counted');


-- Bounds --------------------------------------------------------------------------------------

insert into clerk_sync.inbox (message_id, type, object_id, received_at, outcome)
select 'msg_many_' || n, 'organization.updated', 'org_many', now() - make_interval(secs => n), 'stale'
from generate_series(1, 130) as n;
select is(
  array[
    jsonb_array_length(pg_temp.explained('org_many') -> 'events'),
    (pg_temp.explained('org_many') -> 'more_events')::integer
  ],
  '{100,30}', 'of many events the newest 100 are told, and how many more there are'
);
select is(pg_temp.explained('org_many') #>> '{events,99,message_id}', 'msg_many_1', 'the newest is the last');

insert into clerk_sync.inbox (message_id, type, object_id, received_at, outcome)
values ('msg_made_it', 'organization.created', 'org_many', now() - interval '1 hour', 'applied');
insert into clerk_sync.objects (id, version, observed_at, message_id) values ('org_many', 1, 1, 'msg_made_it');
select is(
  array[
    pg_temp.explained('org_many') #>> '{events,0,message_id}',
    pg_temp.explained('org_many') ->> 'more_events'
  ],
  '{msg_made_it,30}', 'besides them, the one that made the row is told'
);

select * from finish();
rollback;
