-- One message on the queue clerk_changes for each real change of a profile, and none for anything
-- else.

begin;
set local search_path = public, extensions;
select plan(78);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create function pg_temp.deliver(message_id text, type text, id text, at bigint, data jsonb default '{}')
returns text
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, jsonb_build_object(
    'object', 'event',
    'type', type,
    'timestamp', 1760000000030 + at,
    'data', case type
      when 'user.deleted' then jsonb_build_object('id', id, 'deleted', true) || data
      else jsonb_build_object('id', id, 'updated_at', 1760000000000 + at) || data
    end));
  reset role;
  return answer ->> 'outcome';
end
$$;

-- Takes everything off the queue.
create function pg_temp.announced()
returns jsonb
language sql
as $$
  with taken as (
    delete from pgmq.q_clerk_changes returning msg_id, message
  )
  select coalesce(jsonb_agg(message order by msg_id), '[]') from taken
$$;

create function pg_temp.alice(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "external_id": "crm-17",
      "username": "alice",
      "first_name": "Alice",
      "last_name": "Liddell",
      "locale": "en",
      "image_url": "https://img.clerk.com/alice",
      "has_image": true,
      "primary_email_address_id": "idn_1",
      "email_addresses": [
        {"id": "idn_1", "email_address": "alice@example.com", "verification": {"status": "verified"}},
        {"id": "idn_2", "email_address": "liddell@example.com", "verification": {"status": "verified"}}
      ],
      "primary_phone_number_id": "idn_3",
      "phone_numbers": [
        {"id": "idn_3", "phone_number": "+15555550100", "verification": {"status": "verified"}},
        {"id": "idn_4", "phone_number": "+15555550101", "verification": {"status": "verified"}}
      ],
      "public_metadata": {"plan": "gold"},
      "unsafe_metadata": {"theme": "dark"},
      "private_metadata": {"note": "secret"},
      "banned": false,
      "locked": false,
      "deprovisioned": false,
      "two_factor_enabled": false,
      "last_sign_in_at": 1760000000000,
      "last_active_at": 1760000000000,
      "legal_accepted_at": 1760000000000,
      "created_at": 1760000000000
    }
  $json$::jsonb || changes
$$;


-- Created ------------------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_1', 'user.created', 'user_alice', 0, pg_temp.alice()), 'applied',
  'arrange: alice exists'
);
select is(
  (select jsonb_agg(message - 'changed') from pgmq.q_clerk_changes),
  $$ [{"topic": "profile.created", "id": "user_alice", "caused_by": "msg_1", "via": "webhook"}] $$,
  'a new profile is announced once, with its topic, its id, the message that caused it, and the entry point'
);
select set_eq(
  $$ select jsonb_array_elements_text(message -> 'changed') from pgmq.q_clerk_changes $$,
  array[
    'external_id', 'username', 'first_name', 'last_name', 'locale', 'image_url', 'has_image',
    'email', 'email_verified', 'verified_emails', 'phone', 'phone_verified', 'public_metadata',
    'unsafe_metadata', 'banned', 'locked', 'deprovisioned', 'two_factor_enabled', 'last_sign_in_at',
    'legal_accepted_at', 'created_at'
  ],
  'a new profile is announced with the columns that are set'
);
select is_empty(
  $$
    select value
    from pgmq.q_clerk_changes
    cross join unnest(array[
      'crm-17', '"alice"', 'Alice', 'Liddell', 'img.clerk', '@', '15555550100', 'gold', 'dark', 'secret'
    ]) as value
    where to_jsonb(q_clerk_changes)::text like '%' || value || '%'
  $$,
  'a message holds ids and column names, nothing personal'
);
select isnt_empty(
  $$ select from pgmq.q_clerk_changes where to_jsonb(q_clerk_changes)::text like '%user_alice%' $$,
  'control: the search finds text that a message holds'
);
do $$ begin perform pg_temp.announced(); end $$;

select is(
  pg_temp.deliver('msg_2', 'user.updated', 'user_bob', 0, '{"first_name": "Bob"}'), 'applied',
  'arrange: an update that arrives before the creation makes a profile'
);
select is(
  pg_temp.announced() #>> '{0,topic}', 'profile.created',
  'the event that makes the profile is announced as its creation, whatever its type'
);


-- Updated ------------------------------------------------------------------------------------

-- Changes something about alice and returns what is announced. Her updated_at stays the same unless it
-- is among the changes, so that each field alone must be noticed.
create function pg_temp.announced_for(changes jsonb)
returns jsonb
language plpgsql
as $$
begin
  delete from public.profiles where id = 'user_alice';
  delete from clerk_sync.objects where id = 'user_alice';
  delete from clerk_sync.inbox where object_id = 'user_alice';
  perform pg_temp.deliver('msg_before', 'user.created', 'user_alice', 1000, pg_temp.alice());
  perform pg_temp.announced();

  perform pg_temp.deliver('msg_change', 'user.updated', 'user_alice', 1001,
    pg_temp.alice('{"updated_at": 1760000001000}' || changes));
  return pg_temp.announced();
end
$$;

select is(
  pg_temp.announced_for(changes),
  jsonb_build_array(jsonb_build_object(
    'topic', 'profile.updated',
    'id', 'user_alice',
    'changed', changed,
    'caused_by', 'msg_change',
    'via', 'webhook')),
  format('%s is announced as %s', changes, changed)
)
from (
  values
    ('{"external_id": null}'::jsonb, '["external_id"]'::jsonb),
    ('{"username": "ally"}', '["username"]'),
    ('{"first_name": "Ally"}', '["first_name"]'),
    ('{"last_name": null}', '["last_name"]'),
    ('{"locale": "de"}', '["locale"]'),
    ('{"image_url": "https://img.clerk.com/other"}', '["image_url"]'),
    ('{"has_image": false}', '["has_image"]'),
    ('{"primary_email_address_id": "idn_2"}', '["email"]'),
    ('{"email_addresses": [{"id": "idn_1", "email_address": "alice@example.com"}]}', '["email_verified", "verified_emails"]'),
    ('{"email_addresses": [
        {"id": "idn_1", "email_address": "alice@example.com", "verification": {"status": "verified"}}
      ]}', '["verified_emails"]'),
    ('{"primary_email_address_id": null}', '["email", "email_verified"]'),
    ('{"primary_phone_number_id": "idn_4"}', '["phone"]'),
    ('{"phone_numbers": [{"id": "idn_3", "phone_number": "+15555550100"}]}', '["phone_verified"]'),
    ('{"public_metadata": {"plan": "free"}}', '["public_metadata"]'),
    ('{"unsafe_metadata": {}}', '["unsafe_metadata"]'),
    ('{"banned": true}', '["banned"]'),
    ('{"locked": true}', '["locked"]'),
    ('{"deprovisioned": true}', '["deprovisioned"]'),
    ('{"two_factor_enabled": true}', '["two_factor_enabled"]'),
    ('{"last_sign_in_at": 1760000009000}', '["last_sign_in_at"]'),
    ('{"legal_accepted_at": null}', '["legal_accepted_at"]'),
    ('{"created_at": 1750000000000}', '["created_at"]'),
    (
      '{"first_name": "Ally", "username": "ally", "banned": true}',
      '["username", "first_name", "banned"]'
    )
) as examples (changes, changed);

select is(pg_temp.announced_for(changes), '[]', format('%s is not announced', description))
from (
  values
    ('{}'::jsonb, 'no change at all'),
    ('{"private_metadata": {"note": "other secret"}}', 'a change of private metadata'),
    ('{"email_addresses": [
        {"id": "idn_3", "email_address": "unproved@example.com", "verification": {"status": "unverified"}},
        {"id": "idn_2", "email_address": "liddell@example.com", "verification": {"status": "verified"}},
        {"id": "idn_1", "email_address": "alice@example.com", "verification": {"status": "verified"}}
      ]}', 'another order of the addresses, and one that is not verified'),
    ('{"a_field_of_tomorrow": 1}', 'a field that is not synced'),
    ('{"public_metadata": {"plan" : "gold"}}', 'the same metadata, written differently')
) as examples (changes, description);
select is(
  (select outcome from clerk_sync.inbox where message_id = 'msg_change'), 'applied',
  'control: these events are applied'
);
select is(
  pg_temp.announced_for('{"updated_at": 1760000001001}'), '[]',
  'a newer updated_at alone is not announced'
);
select is(
  (select updated_at from profiles where id = 'user_alice'), to_timestamp(1760000001.001),
  'control: a newer updated_at is written'
);
select is(
  pg_temp.announced_for('{"last_active_at": 1760000009000}'), '[]',
  'a newer last_active_at alone is not announced'
);
select is(
  (select last_active_at from profiles where id = 'user_alice'), to_timestamp(1760000009),
  'control: a newer last_active_at is written'
);
select set_eq(
  $$
    select column_name::text from information_schema.columns
    where table_schema = 'public' and table_name = 'profiles'
  $$,
  array[
    -- compared
    'external_id', 'username', 'first_name', 'last_name', 'locale', 'image_url', 'has_image',
    'email', 'email_verified', 'verified_emails', 'phone', 'phone_verified', 'public_metadata',
    'unsafe_metadata', 'banned', 'locked', 'deprovisioned', 'two_factor_enabled', 'last_sign_in_at',
    'legal_accepted_at', 'created_at', 'deleted_at',
    -- not compared
    'id', 'full_name', 'updated_at', 'last_active_at', 'synced_at'
  ],
  'every column of profiles is listed here as compared or not compared'
);


-- Nothing changed ----------------------------------------------------------------------------

do $$ begin perform pg_temp.announced_for('{"username": "ally"}'); end $$;

select is(
  pg_temp.deliver('msg_change', 'user.updated', 'user_alice', 1001, pg_temp.alice()), 'duplicate',
  'arrange: a duplicate'
);
select is(pg_temp.announced(), '[]', 'a duplicate announces nothing');
select is(
  pg_temp.deliver('msg_old', 'user.updated', 'user_alice', 5, pg_temp.alice()), 'stale',
  'arrange: a stale event'
);
select is(pg_temp.announced(), '[]', 'a stale event announces nothing');
select is(
  pg_temp.deliver('msg_same', 'user.updated', 'user_alice', 1001, pg_temp.alice('{"username": "ally"}')), 'applied',
  'arrange: a newer event that matches the row'
);
select is(pg_temp.announced(), '[]', 'an event that matches the row announces nothing');
select is(
  pg_temp.deliver('msg_session', 'session.created', 'sess_1', 2000, '{"user_id": "user_alice"}'), 'ignored',
  'arrange: an ignored event'
);
select is(pg_temp.announced(), '[]', 'an ignored event announces nothing');
select is(
  pg_temp.deliver('msg_bad', 'user.updated', 'user_alice', 2000, pg_temp.alice('{"id": 5}')), 'unreadable',
  'arrange: an unreadable event'
);
select is(pg_temp.announced(), '[]', 'an unreadable event announces nothing');

create function public.refuse() returns trigger language plpgsql
  as $$ begin raise exception 'refused'; end $$;
create trigger zzz_refuse after update on profiles for each row execute function refuse();
select is(
  pg_temp.deliver('msg_late', 'user.updated', 'user_alice', 3000, pg_temp.alice('{"username": "late"}')), 'failed',
  'arrange: an event that fails after it was announced'
);
select is(pg_temp.announced(), '[]', 'a failed event announces nothing');
drop trigger zzz_refuse on profiles;
select is(
  pg_temp.deliver('msg_late', 'user.updated', 'user_alice', 3000, pg_temp.alice('{"username": "late"}')), 'applied',
  'arrange: the same message, once the cause is gone'
);
select is(
  pg_temp.announced(),
  $$ [{"topic": "profile.updated", "id": "user_alice", "changed": ["username"], "caused_by": "msg_late", "via": "webhook"}] $$,
  'an event that failed at first is announced once, when it is applied'
);


-- Deleted ------------------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_gone', 'user.deleted', 'user_alice', 4000, '{"external_id": "crm-18"}'), 'applied',
  'arrange: alice is deleted'
);
select is(
  (select jsonb_agg(message - 'changed') from pgmq.q_clerk_changes),
  $$ [{"topic": "profile.deleted", "id": "user_alice", "caused_by": "msg_gone", "via": "webhook", "external_id": "crm-18"}] $$,
  'a deletion is announced once, with the external_id that it carried'
);
select ok(
  (select message -> 'changed' @> '["deleted_at", "email", "first_name"]' from pgmq.q_clerk_changes),
  'a deletion is announced with the columns that it emptied'
);
do $$ begin perform pg_temp.announced(); end $$;

select is(
  pg_temp.deliver('msg_gone2', 'user.deleted', 'user_alice', 5000), 'stale',
  'arrange: a second deletion'
);
select is(
  pg_temp.deliver('msg_zombie', 'user.updated', 'user_alice', 6000, pg_temp.alice()), 'stale',
  'arrange: a late update'
);
select is(pg_temp.announced(), '[]', 'nothing is announced after a deletion');

select is(
  pg_temp.deliver('msg_carl', 'user.deleted', 'user_carl', 0, '{"external_id": "crm-19"}'), 'applied',
  'arrange: the deletion of a user who was never synced'
);
select is(
  (pg_temp.announced() -> 0) - 'changed',
  '{"topic": "profile.deleted", "id": "user_carl", "caused_by": "msg_carl", "via": "webhook", "external_id": "crm-19"}',
  'the deletion of a user who was never synced is announced, because a consumer may know them'
);
select is(
  pg_temp.deliver('msg_dave', 'user.deleted', 'user_dave', 0), 'applied',
  'arrange: a deletion without external_id'
);
select is(
  (pg_temp.announced() -> 0) - 'changed',
  '{"topic": "profile.deleted", "id": "user_dave", "caused_by": "msg_dave", "via": "webhook"}',
  'a deletion without external_id is announced without one'
);

update profiles set synced_at = '2030-01-01' where id = 'user_alice';
select is(pg_temp.announced(), '[]', 'bookkeeping on a tombstone announces nothing');
delete from profiles where id = 'user_alice';
select is(pg_temp.announced(), '[]', 'the removal of a tombstone announces nothing');


-- Changes made by hand -----------------------------------------------------------------------

-- As in a transaction in which nothing was delivered.
set local clerk_sync.caused_by = '';
set local clerk_sync.via = '';

alter table profiles add bio text, add visits integer not null default 0;
update profiles set bio = 'I build things', visits = visits + 1 where id = 'user_bob';
select is(pg_temp.announced(), '[]', 'an edit of columns that the application added announces nothing');

update profiles set synced_at = '2030-01-01', last_active_at = now(), updated_at = now() where id = 'user_bob';
select is(pg_temp.announced(), '[]', 'bookkeeping announces nothing');

update profiles set bio = 'I break things', banned = true where id = 'user_bob';
select is(
  pg_temp.announced(),
  $$ [{"topic": "profile.updated", "id": "user_bob", "changed": ["banned"], "caused_by": null, "via": null}] $$,
  'a synced column changed by hand is announced with no cause, and without the application''s columns'
);

grant update (locked) on profiles to service_role;
set local role service_role;
select results_eq(
  $$ update profiles set locked = true where id = 'user_bob' returning locked $$,
  array[true],
  'a role that may change a column needs no right on the queue'
);
reset role;
select is(
  pg_temp.announced() #> '{0,changed}', '["locked"]',
  'control: that change is announced, too'
);

update profiles set locked = false;
select is(
  (select count(*) from jsonb_array_elements(pg_temp.announced())), 1::bigint,
  'when many rows are written, only those that changed are announced'
);

-- A column of the application that cannot be read as jsonb.
alter table profiles add column notes json;
insert into profiles (id, notes) values ('user_nadia', '{"text": "\u0000"}');
select is(
  pg_temp.announced(),
  $$ [{"topic": "profile.created", "id": "user_nadia", "changed": [
    "has_image", "email_verified", "verified_emails", "phone_verified", "public_metadata", "unsafe_metadata", "banned", "locked",
    "deprovisioned", "two_factor_enabled"
  ], "caused_by": null, "via": null}] $$,
  'a row is announced even if a column of the application does not become jsonb'
);
update profiles set notes = '{"text": "\u0000, again"}' where id = 'user_nadia';
select is(pg_temp.announced(), '[]', 'an edit of such a column announces nothing');
update profiles set first_name = 'Nadia', banned = true where id = 'user_nadia';
select is(
  pg_temp.announced() #> '{0,changed}', '["first_name", "banned"]',
  'a change of synced columns beside such a column is announced with those columns'
);
insert into organizations (id) values ('org_nadia');
alter table organization_memberships add column notes json;
insert into organization_memberships (id, organization_id, user_id, notes)
values ('orgmem_nadia', 'org_nadia', 'user_nadia', '{"text": "\u0000"}');
select is(
  pg_temp.announced() #> '{1,topic}', '"membership.created"',
  'a table without tombstones is announced likewise'
);
alter table organization_memberships drop column notes;
alter table profiles drop column notes;
update profiles set banned = false where id = 'user_nadia';

-- The announcement inserts the queue's row itself instead of calling pgmq.send.
select pgmq.send('clerk_changes', message)
from (select message from pgmq.q_clerk_changes order by msg_id desc limit 1) as announced;
select results_eq(
  $$
    select to_jsonb(queued) - '{msg_id,enqueued_at,vt}'::text[] || jsonb_build_object(
      'visible', vt <= clock_timestamp(), 'on time', vt between enqueued_at and clock_timestamp())
    from pgmq.q_clerk_changes as queued order by msg_id desc limit 1 offset 1
  $$,
  $$
    select to_jsonb(queued) - '{msg_id,enqueued_at,vt}'::text[] || jsonb_build_object(
      'visible', vt <= clock_timestamp(), 'on time', vt between enqueued_at and clock_timestamp())
    from pgmq.q_clerk_changes as queued order by msg_id desc limit 1
  $$,
  'an announcement is queued as pgmq.send would queue it'
);

select * from finish();
rollback;
