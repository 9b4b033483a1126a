-- Snapshots: pages of Clerk's objects, by the rules of events.

begin;
set local search_path = public, extensions;
select plan(86);


-- Arrange ------------------------------------------------------------------------------------

-- A time of Clerk's, ms: minutes after a day in November 2025.
create function pg_temp.at(minute numeric)
returns bigint
language sql
immutable
return 1763000000000 + (60000 * minute)::bigint;

create function pg_temp.ada(changes jsonb default '{}')
returns jsonb
language sql
immutable
return jsonb_build_object(
  'id', 'user_ada', 'first_name', 'Ada', 'last_name', 'Lark', 'username', 'ada', 'external_id', 'ext_1',
  'locale', 'en', 'image_url', 'https://example.com/ada.png', 'has_image', true, 'banned', true,
  'public_metadata', jsonb_build_object('big', 9007199254740993),
  'email_addresses', jsonb_build_array(
    jsonb_build_object('id', 'idn_1', 'email_address', 'old@example.com', 'verification', jsonb_build_object('status', 'verified')),
    jsonb_build_object('id', 'idn_2', 'email_address', 'ada@example.com', 'verification', jsonb_build_object('status', 'verified'))),
  'primary_email_address_id', 'idn_2',
  'phone_numbers', jsonb_build_array(
    jsonb_build_object('id', 'idn_3', 'phone_number', '+15550100', 'verification', jsonb_build_object('status', 'verified'))),
  'primary_phone_number_id', 'idn_3',
  'last_sign_in_at', pg_temp.at(0), 'legal_accepted_at', pg_temp.at(0), 'created_at', pg_temp.at(0),
  'updated_at', pg_temp.at(1)
) || changes;

create function pg_temp.page(kind text, minute numeric, variadic objects jsonb[])
returns jsonb
language plpgsql
as $$
begin
  return public.ingest_clerk_snapshot(kind, pg_temp.at(minute), to_jsonb(objects));
end
$$;

create function pg_temp.nothing()
returns jsonb
language sql
immutable
return '{"missing": [], "outdated": [], "unreadable": [], "unchanged": 0, "stale": 0, "gone": 0}'::jsonb;

-- What a page may write, by the places of the rows.
create function pg_temp.places()
returns text
language sql
return md5(concat(
  (select string_agg(ctid::text, ',' order by id) from public.profiles),
  (select string_agg(ctid::text, ',' order by id) from public.organizations),
  (select string_agg(ctid::text, ',' order by id) from public.organization_memberships),
  (select string_agg(ctid::text, ',' order by id) from public.organization_invitations),
  (select string_agg(ctid::text, ',' order by id) from public.organization_roles),
  (select string_agg(ctid::text, ',' order by message_id) from clerk_sync.inbox),
  (select string_agg(ctid::text, ',' order by id) from clerk_sync.objects)
));

-- What the queue was told since the last call.
create function pg_temp.announced()
returns text[]
language plpgsql
as $$
declare
  told text[];
begin
  select array_agg(concat_ws(' ', message ->> 'topic', message ->> 'id', message ->> 'via', message ->> 'changed') order by msg_id)
  into told
  from pgmq.q_clerk_changes;
  delete from pgmq.q_clerk_changes;
  return coalesce(told, '{}');
end
$$;


-- One object of each kind ---------------------------------------------------------------------

select is(
  pg_temp.page('user', 10, pg_temp.ada()),
  pg_temp.nothing() || '{"missing": ["user_ada"]}',
  'a user who is not here is missing'
);
select is(
  (select to_jsonb(profiles) - '{synced_at,deleted_at}'::text[] from public.profiles),
  (select to_jsonb(mapped) - '{synced_at,deleted_at}'::text[] || '{"full_name": "Ada Lark"}' from clerk_sync.profile_from_clerk(pg_temp.ada()) as mapped),
  'and is written by the mapping of events'
);
select is(
  (select row(version, observed_at, message_id)::text from clerk_sync.objects where id = 'user_ada'),
  row(pg_temp.at(1), pg_temp.at(10), '')::text,
  'its version is updated_at, the time of the response, and no message'
);
select is(
  pg_temp.announced(),
  array['profile.created user_ada snapshot ["external_id", "username", "first_name", "last_name", "locale", "image_url", "has_image", "email", "email_verified", "verified_emails", "phone", "phone_verified", "public_metadata", "unsafe_metadata", "banned", "locked", "deprovisioned", "two_factor_enabled", "legal_accepted_at", "created_at"]'],
  'it is announced as a snapshot''s'
);

select is(
  pg_temp.page('organization', 10, '{"id": "org_lantern", "name": "Lantern", "members_count": 1, "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["org_lantern"]}', 'an organization'
);
select is(
  pg_temp.page('membership', 10, '{"id": "orgmem_1", "organization": {"id": "org_lantern"}, "public_user_data": {"user_id": "user_ada"}, "role": "org:admin", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["orgmem_1"]}', 'a membership'
);
select is(
  pg_temp.page('membership', 10, '{"id": "orgmem_2", "organization": {"id": "org_heron"}, "public_user_data": {"user_id": "user_bo"}, "role": "org:admin", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["orgmem_2"]}', 'a membership that comes before its parents'
);
select results_eq(
  $$ select id from public.profiles union all select id from public.organizations order by 1 $$,
  $$ values ('org_heron'), ('org_lantern'), ('user_ada'), ('user_bo') $$,
  'makes their rows'
);
select is(
  pg_temp.page('invitation', 10, '{"id": "orginv_1", "organization_id": "org_lantern", "status": "pending", "email_address": "cy@example.com", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["orginv_1"]}', 'an invitation'
);
select is(
  pg_temp.page('permission', 10, '{"id": "perm_1", "key": "org:posts:create", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["perm_1"]}', 'a permission'
);
select is(
  pg_temp.page('role', 10, '{"id": "role_1", "key": "org:guide", "name": "Guide", "permissions": [{"id": "perm_1", "key": "org:posts:create"}], "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"missing": ["role_1"]}', 'a role'
);
select is(
  (select permission_keys from public.organization_roles), '{org:posts:create}', 'with its permissions'
);


-- Nothing new ---------------------------------------------------------------------------------

select pg_temp.announced() is not null as forgotten;
create temp table before_again as select pg_temp.places() as places;

select is(
  pg_temp.page('user', 20, pg_temp.ada(jsonb_build_object('last_sign_in_at', pg_temp.at(15), 'last_active_at', pg_temp.at(15)))),
  pg_temp.nothing() || '{"unchanged": 1}',
  'a user who only signed in is unchanged'
);
select is(
  pg_temp.page('organization', 20, '{"id": "org_lantern", "name": "Lantern", "members_count": 2, "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'so is an organization with another number of members'
);
select is(
  pg_temp.page('membership', 20, '{"id": "orgmem_1", "organization": {"id": "org_lantern"}, "public_user_data": {"user_id": "user_ada"}, "role": "org:admin", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'a membership'
);
select is(
  pg_temp.page('invitation', 20, '{"id": "orginv_1", "organization_id": "org_lantern", "status": "pending", "email_address": "cy@example.com", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'an invitation'
);
select is(
  pg_temp.page('role', 20, '{"id": "role_1", "key": "org:guide", "name": "Guide", "permissions": [{"id": "perm_1", "key": "org:posts:create"}], "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'and a role'
);
select is(pg_temp.places(), places, 'what is unchanged is written nowhere') from before_again;
select is(pg_temp.announced(), '{}', 'and not announced');


-- Properties that are absent -------------------------------------------------------------------

create temp table absent (property text, also text[] default '{}');
insert into absent
select key from jsonb_object_keys(pg_temp.ada()) as key where key not in ('id', 'updated_at');

select is(
  pg_temp.page('user', 30, pg_temp.ada() - property), pg_temp.nothing() || '{"unchanged": 1}',
  format('a user without %s leaves it alone', property)
)
from absent
order by property;
select is(
  pg_temp.page('user', 30, jsonb_build_object('id', 'user_ada', 'updated_at', pg_temp.at(1))),
  pg_temp.nothing() || '{"unchanged": 1}', 'so does one with nothing but the id'
);
select is(
  pg_temp.page('user', 30, pg_temp.ada() - 'phone_numbers' || jsonb_build_object('username', null, 'updated_at', pg_temp.at(25))),
  pg_temp.nothing() || '{"outdated": ["user_ada"]}', 'null is not absent'
);
select is(
  (select row(username, phone, phone_verified, last_sign_in_at)::text from public.profiles where id = 'user_ada'),
  row(null::text, '+15550100', true, to_timestamp(pg_temp.at(0) / 1000.0))::text,
  'and a row that is written keeps what is absent'
);
select is(
  pg_temp.announced(), array['profile.updated user_ada snapshot ["username"]'], 'only the difference is announced'
);

select is(
  pg_temp.page('organization', 30, '{"id": "org_lantern", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'an organization of which only the id is told'
);
select is(
  pg_temp.page('membership', 30, '{"id": "orgmem_1", "organization": {"id": "org_lantern"}, "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'a membership without its user and role'
);
select is(
  pg_temp.page('invitation', 30, '{"id": "orginv_1", "organization_id": "org_lantern", "status": "pending", "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unchanged": 1}', 'an invitation without its address'
);
select is(
  pg_temp.page('role', 30, jsonb_build_object('id', 'role_1', 'name', 'Lead', 'updated_at', pg_temp.at(25))),
  pg_temp.nothing() || '{"outdated": ["role_1"]}', 'arrange: a role with another name'
);
select is(
  (select row(key, name, permission_keys)::text from public.organization_roles),
  row('org:guide', 'Lead', '{org:posts:create}'::text[])::text, 'keeps its key and its permissions'
);


-- What moves by itself --------------------------------------------------------------------------

select is(
  pg_temp.page('user', 40, pg_temp.ada(jsonb_build_object('locale', 'de', 'username', null, 'last_sign_in_at', pg_temp.at(35), 'updated_at', pg_temp.at(36)))),
  pg_temp.nothing() || '{"outdated": ["user_ada"]}', 'arrange: another language, and a sign-in'
);
select is(
  (select last_sign_in_at from public.profiles where id = 'user_ada'), to_timestamp(pg_temp.at(35) / 1000.0),
  'a row that is written anyway gets the sign-in, too'
);
select is(
  pg_temp.announced(), array['profile.updated user_ada snapshot ["locale"]'], 'which is not announced'
);


-- Order ----------------------------------------------------------------------------------------

select is(
  public.ingest_clerk_event('msg_later', jsonb_build_object(
    'type', 'user.updated', 'timestamp', pg_temp.at(50), 'data', pg_temp.ada(jsonb_build_object('first_name', 'Adah', 'updated_at', pg_temp.at(50))))),
  '{"outcome": "applied"}', 'arrange: an event'
);
select is(
  pg_temp.page('user', 60, pg_temp.ada()), pg_temp.nothing() || '{"stale": 1}',
  'a page that was read before the event does not undo it'
);
select is(
  (select first_name from public.profiles where id = 'user_ada'), 'Adah', 'control: the event''s name stands'
);
select is(
  pg_temp.page('user', 60, pg_temp.ada(jsonb_build_object('first_name', 'Adah', 'updated_at', pg_temp.at(50)))),
  pg_temp.nothing() || '{"unchanged": 1}', 'a page with what the event told is unchanged'
);
update public.profiles set first_name = 'Tampered' where id = 'user_ada';
select is(
  pg_temp.page('user', 60, pg_temp.ada(jsonb_build_object('first_name', 'Adah', 'updated_at', pg_temp.at(50)))),
  pg_temp.nothing() || '{"outdated": ["user_ada"]}', 'a row that was changed by hand is put right'
);
select is(
  public.ingest_clerk_event('msg_between', jsonb_build_object(
    'type', 'user.updated', 'timestamp', pg_temp.at(55), 'data', pg_temp.ada(jsonb_build_object('updated_at', pg_temp.at(45))))),
  '{"outcome": "stale"}', 'an event older than the page is stale'
);
select is(
  pg_temp.page('user', 70,
    pg_temp.ada(jsonb_build_object('first_name', 'New', 'updated_at', pg_temp.at(62))),
    pg_temp.ada(jsonb_build_object('first_name', 'Old', 'updated_at', pg_temp.at(61)))),
  pg_temp.nothing() || '{"outdated": ["user_ada"]}', 'the same user twice in a page'
);
select is((select first_name from public.profiles where id = 'user_ada'), 'New', 'the greatest version counts');


-- Deleted ones ---------------------------------------------------------------------------------

select is(
  public.ingest_clerk_event('msg_gone', '{"type": "user.deleted", "timestamp": 1763009000000, "data": {"id": "user_bo"}}'),
  '{"outcome": "applied"}', 'arrange: a deletion'
);
select is(
  pg_temp.page('user', 200, '{"id": "user_bo", "first_name": "Bo", "updated_at": 1763010000000}'),
  pg_temp.nothing() || '{"gone": 1}', 'a deleted user in a page stays deleted'
);
select is(
  pg_temp.page('membership', 200, '{"id": "orgmem_2", "organization": {"id": "org_heron"}, "public_user_data": {"user_id": "user_bo"}, "updated_at": 1763010000000}'),
  pg_temp.nothing() || '{"gone": 1}', 'and so does the membership'
);
select is(
  (select row(first_name, deleted_at is not null)::text from public.profiles where id = 'user_bo'),
  row(null::text, true)::text, 'control: the tombstone holds nothing'
);


-- What a page tells beside its objects -------------------------------------------------------------

select is(
  pg_temp.page('membership', 200, '{"id": "orgmem_3", "organization": {"id": "org_owl"}, "public_user_data": {"user_id": "user_bo"}, "updated_at": 1763010000000}'),
  pg_temp.nothing() || '{"gone": 1}', 'arrange: a membership of a deleted user'
);
select is(
  (select name is null and deleted_at is null from public.organizations where id = 'org_owl'), true,
  'makes the row of its organization, as its event would'
);
select is(
  array[
    public.ingest_clerk_event('msg_left', '{"type": "organizationMembership.deleted", "timestamp": 1763009000000, "data": {"id": "orgmem_4", "organization": {"id": "org_lantern"}}}') ->> 'outcome',
    public.ingest_clerk_event('msg_no_role', '{"type": "role.deleted", "timestamp": 1763009000000, "data": {"id": "role_2"}}') ->> 'outcome'
  ],
  '{applied,applied}', 'arrange: deletions that tell no user and no key'
);
select is(
  pg_temp.page('membership', 200, '{"id": "orgmem_4", "organization": {"id": "org_lantern"}, "public_user_data": {"user_id": "user_ada"}, "updated_at": 1763008000000}'),
  pg_temp.nothing() || '{"gone": 1}', 'arrange: the membership in an older page'
);
select results_eq(
  $$ select user_id, organization_id, observed_at from clerk_sync.membership_deletions where organization_id = 'org_lantern' $$,
  $$ values ('user_ada' collate "C", 'org_lantern' collate "C", 1763009000000) $$,
  'which tells who left'
);
select is(
  pg_temp.page('role', 200, '{"id": "role_2", "key": "org:guard", "updated_at": 1763008000000}'),
  pg_temp.nothing() || '{"gone": 1}', 'arrange: the role in an older page'
);
select is(
  (select (key, name, deleted_at is not null)::text from public.organization_roles where id = 'role_2'),
  row('org:guard', null::text, true)::text, 'which tells the key of the tombstone'
);
select is(
  pg_temp.page('role', 200, jsonb_build_object('id', 'role_1', 'updated_at', pg_temp.at(25),
    'permissions', '[{"id": "perm_1", "key": "org:posts:write"}]'::jsonb)),
  pg_temp.nothing() || '{"unchanged": 1}', 'arrange: an unchanged role, whose permission has another key'
);
select is(
  (select permission_keys from public.organization_roles where id = 'role_1'), '{org:posts:write}',
  'which is the key from then on'
);
select is(
  pg_temp.page('role', 210, jsonb_build_object('id', 'role_1', 'name', 'Leader', 'updated_at', pg_temp.at(25))),
  pg_temp.nothing() || '{"outdated": ["role_1"]}', 'a role that was changed twice in a millisecond is put right'
);
select is(
  pg_temp.page('role', 205, jsonb_build_object('id', 'role_1', 'name', 'Lead', 'updated_at', pg_temp.at(25))),
  pg_temp.nothing() || '{"stale": 1}', 'and an older page does not undo that'
);


-- What cannot be read or is refused --------------------------------------------------------------

select is(
  pg_temp.page('user', 200, pg_temp.ada(), '{"id": "org_x"}', '{"id": 7}', '{}', '"text"', 'null'),
  pg_temp.nothing() || '{"stale": 1, "unreadable": ["org_x", "7", null, null, null]}',
  'what has no id of its kind is unreadable, and the rest of the page counts'
);
select is(
  pg_temp.page('membership', 200, '{"id": "orgmem_9", "organization": {"id": "org_lantern"}, "updated_at": 1763000060000}'),
  pg_temp.nothing() || '{"unreadable": ["orgmem_9"]}', 'a membership whose user nobody knows is unreadable'
);
select throws_ok(
  format($$ select public.ingest_clerk_snapshot('user', %s, '[]') $$, trunc(1000 * extract(epoch from clock_timestamp())) + 120000),
  '22023', null, 'a page from the future is refused'
);
select throws_ok(
  $$ select public.ingest_clerk_snapshot('planet', 1, '[]') $$, '22023',
  'Cannot take the page as its kind is unknown: planet', 'an unknown kind is refused'
);
select throws_ok(
  $$ select public.ingest_clerk_snapshot('user', 1, '{}') $$, '22023',
  'Cannot take the page as it is no array of at most 500 objects', 'so is anything but an array'
);
select throws_ok(
  $$ select public.ingest_clerk_snapshot('user', 1, (select jsonb_agg(n) from generate_series(1, 501) as n)) $$,
  '22023', null, 'and a page that is too large'
);

create function pg_temp.refuse() returns trigger language plpgsql as $$
begin
  raise exception 'refused' using errcode = 'P0001';
end
$$;
create trigger refuse before insert on public.profiles for each row when (new.id = 'user_no') execute function pg_temp.refuse();
select throws_ok(
  $$ select public.ingest_clerk_snapshot('user', 1763000600000, '[{"id": "user_yes", "updated_at": 1763000060000}, {"id": "user_no", "updated_at": 1763000060000}]') $$,
  'P0001', 'refused', 'what a trigger of the application refuses undoes the page'
);
select is_empty($$ select from public.profiles where id = 'user_yes' $$, 'control: nothing of the page is here');


-- Dry and quiet ---------------------------------------------------------------------------------

select pg_temp.announced() is not null as forgotten;
select is(
  public.ingest_clerk_snapshot('user', pg_temp.at(10), '[{"id": "user_cy", "updated_at": 1763000060000}]', dry_run => true),
  pg_temp.nothing() || '{"missing": ["user_cy"]}', 'a dry run tells what is missing'
);
select is_empty($$ select from public.profiles where id = 'user_cy' $$, 'and writes nothing');
select is_empty($$ select from clerk_sync.objects where id = 'user_cy' $$, 'not even in the register');
select is(
  public.ingest_clerk_snapshot('user', pg_temp.at(10), '[{"id": "user_cy", "updated_at": 1763000060000}]', quiet => true),
  pg_temp.nothing() || '{"missing": ["user_cy"]}', 'arrange: a quiet page'
);
select is(pg_temp.announced(), '{}', 'a quiet page announces nothing');
select is(
  public.ingest_clerk_snapshot('user', pg_temp.at(10), to_jsonb('[{"id": "user_di", "public_metadata": {"n": 90071992547409931234567890}, "updated_at": 1763000060000}]'::text)),
  pg_temp.nothing() || '{"missing": ["user_di"]}', 'a page may be the text of one'
);
select is(
  (select public_metadata ->> 'n' from public.profiles where id = 'user_di'), '90071992547409931234567890',
  'and keeps every digit'
);
select is(
  pg_temp.announced(), array['profile.created user_di snapshot ["has_image", "email_verified", "verified_emails", "phone_verified", "public_metadata", "unsafe_metadata", "banned", "locked", "deprovisioned", "two_factor_enabled"]'],
  'control: the next page is announced again'
);

select * from finish();
rollback;
