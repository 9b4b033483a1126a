-- How Clerk's payloads become profiles, trap by trap.

begin;
set local search_path = public, extensions;
select plan(160);

create function pg_temp.profile(data jsonb)
returns jsonb
language sql
as $$
  select to_jsonb(profile) - array['full_name', 'deleted_at', 'synced_at']
  from clerk_sync.profile_from_clerk('{"id": "user_alice"}' || data) as profile
$$;


-- A whole user -------------------------------------------------------------------------------

select is(
  pg_temp.profile($$
    {
      "id": "user_alice",
      "object": "user",
      "external_id": "crm-17",
      "username": "alice",
      "first_name": "Alice",
      "last_name": "Liddell",
      "locale": "en-GB",
      "image_url": "https://img.clerk.com/alice",
      "profile_image_url": "https://images.clerk.dev/old",
      "has_image": true,
      "primary_email_address_id": "idn_1",
      "email_addresses": [
        {
          "id": "idn_1",
          "object": "email_address",
          "email_address": "alice@example.com",
          "verification": {"status": "verified", "strategy": "email_code"},
          "linked_to": []
        }
      ],
      "primary_phone_number_id": "idn_2",
      "phone_numbers": [
        {"id": "idn_2", "phone_number": "+15555550100", "verification": {"status": "verified"}}
      ],
      "web3_wallets": [],
      "external_accounts": [{"id": "eac_1"}, {"id": "idn_3"}],
      "public_metadata": {"plan": "pro"},
      "unsafe_metadata": {"theme": "dark"},
      "private_metadata": {"note": "a secret of the backend"},
      "banned": true,
      "locked": true,
      "deprovisioned": true,
      "two_factor_enabled": true,
      "last_sign_in_at": 1760000000111,
      "last_active_at": 1760000000222,
      "legal_accepted_at": 1760000000333,
      "created_at": 1760000000444,
      "updated_at": 1760000000555,
      "a_field_of_tomorrow": {"deep": [1, 2, 3]}
    }
  $$) - array['last_sign_in_at', 'last_active_at', 'legal_accepted_at', 'created_at', 'updated_at'],
  $$
    {
      "id": "user_alice",
      "external_id": "crm-17",
      "username": "alice",
      "first_name": "Alice",
      "last_name": "Liddell",
      "locale": "en-GB",
      "image_url": "https://img.clerk.com/alice",
      "has_image": true,
      "email": "alice@example.com",
      "email_verified": true,
      "verified_emails": ["alice@example.com"],
      "phone": "+15555550100",
      "phone_verified": true,
      "public_metadata": {"plan": "pro"},
      "unsafe_metadata": {"theme": "dark"},
      "banned": true,
      "locked": true,
      "deprovisioned": true,
      "two_factor_enabled": true
    }
  $$::jsonb,
  'a Clerk user becomes a profile, and unknown fields are ignored'
);
select is_empty(
  $$
    select column_name::text from information_schema.columns
    where table_schema = 'public' and table_name = 'profiles'
      and column_name not in ('full_name', 'deleted_at', 'synced_at')
    except
    select jsonb_object_keys(jsonb_strip_nulls(pg_temp.profile('{
      "external_id": "x", "username": "x", "first_name": "x", "last_name": "x", "locale": "x", "image_url": "x",
      "primary_email_address_id": "idn_1", "email_addresses": [{"id": "idn_1", "email_address": "x@example.com"}],
      "primary_phone_number_id": "idn_2", "phone_numbers": [{"id": "idn_2", "phone_number": "+15555550100"}],
      "last_sign_in_at": 1760000000000, "last_active_at": 1760000000000, "legal_accepted_at": 1760000000000,
      "created_at": 1760000000000, "updated_at": 1760000000000
    }')))
  $$,
  'the mapping fills every synced column of profiles'
);
select results_eq(
  $$
    select last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at
    from clerk_sync.profile_from_clerk('{
      "last_sign_in_at": 1760000000111,
      "last_active_at": 1760000000222,
      "legal_accepted_at": 1760000000333,
      "created_at": 1760000000444,
      "updated_at": 1760000000555
    }')
  $$,
  $$
    values (
      timestamptz '2025-10-09 08:53:20.111+00',
      timestamptz '2025-10-09 08:53:20.222+00',
      timestamptz '2025-10-09 08:53:20.333+00',
      timestamptz '2025-10-09 08:53:20.444+00',
      timestamptz '2025-10-09 08:53:20.555+00'
    )
  $$,
  'each time goes to its own column and keeps its milliseconds'
);

select is(
  pg_temp.profile('{}'),
  $$
    {
      "id": "user_alice",
      "external_id": null,
      "username": null,
      "first_name": null,
      "last_name": null,
      "locale": null,
      "image_url": null,
      "has_image": false,
      "email": null,
      "email_verified": false,
      "verified_emails": [],
      "phone": null,
      "phone_verified": false,
      "public_metadata": {},
      "unsafe_metadata": {},
      "banned": false,
      "locked": false,
      "deprovisioned": false,
      "two_factor_enabled": false,
      "last_sign_in_at": null,
      "last_active_at": null,
      "legal_accepted_at": null,
      "created_at": null,
      "updated_at": null
    }
  $$::jsonb,
  'a user with nothing but an id is a profile with nothing but an id'
);
select is(
  pg_temp.profile((
    select jsonb_object_agg(key, null)
    from jsonb_object_keys(pg_temp.profile('{}')) as key
    where key <> 'id'
  ) || '{"email_addresses": null, "phone_numbers": null, "private_metadata": null}'),
  pg_temp.profile('{}'),
  'null reads as absent in every field'
);

-- The primary address ------------------------------------------------------------------------

-- email and email_verified of a user with these addresses.
create function pg_temp.email(primary_id jsonb, addresses jsonb)
returns jsonb
language sql
as $$
  select jsonb_build_array(profile -> 'email', profile -> 'email_verified')
  from pg_temp.profile(jsonb_build_object(
    'primary_email_address_id', primary_id,
    'email_addresses', addresses)) as profile
$$;

select is(
  pg_temp.email('"idn_2"', $$ [
    {"id": "idn_1", "email_address": "old@example.com", "verification": {"status": "verified"}},
    {"id": "idn_2", "email_address": "new@example.com", "verification": {"status": "verified"}}
  ] $$),
  '["new@example.com", true]'::jsonb,
  'the address is the primary one, even if it comes last'
);
select is(
  pg_temp.email('"idn_2"', $$ [
    {"id": "idn_1", "email_address": "old@example.com", "verification": {"status": "verified"}},
    {"id": "idn_2", "email_address": "new@example.com", "verification": {"status": "unverified"}}
  ] $$),
  '["new@example.com", false]'::jsonb,
  'email_verified is that of the primary address, not of another'
);
select is(
  pg_temp.email('null', $$ [
    {"id": "idn_1", "email_address": "some@example.com", "verification": {"status": "verified"}}
  ] $$),
  '[null, false]'::jsonb,
  'if none of the addresses is primary, there is no address'
);
select is(
  pg_temp.email('null', $$ [
    {"id": null, "email_address": "some@example.com", "verification": {"status": "verified"}},
    {"email_address": "some@example.com", "verification": {"status": "verified"}}
  ] $$),
  '[null, false]'::jsonb,
  'an entry without an id is not the primary one, even if there is no primary id'
);
select is(
  pg_temp.email('"idn_9"', $$ [
    {"id": "idn_1", "email_address": "some@example.com", "verification": {"status": "verified"}}
  ] $$),
  '[null, false]'::jsonb,
  'if the primary address is not in the list, there is no address'
);
select is(
  pg_temp.email('"idn_1"', $$ [
    {"id": "idn_1", "email_address": "a@example.com", "reserved": true, "verification": null}
  ] $$),
  '["a@example.com", false]'::jsonb,
  'a reserved address without a verification is not verified'
);
select is(
  pg_temp.email('"idn_1"', $$ [{"id": "idn_1", "email_address": "a@example.com"}] $$),
  '["a@example.com", false]'::jsonb,
  'an address whose verification is absent is not verified'
);
select is(
  pg_temp.email('"idn_1"', jsonb_build_array(jsonb_build_object(
    'id', 'idn_1', 'email_address', 'a@example.com', 'verification', verification))),
  '["a@example.com", false]'::jsonb,
  format('verification %s is not verified', verification)
)
from unnest(array[
  '{"status": "unverified"}', '{"status": "transferable"}', '{"status": "failed"}',
  '{"status": "expired"}', '{"status": "VERIFIED"}', '{"status": true}', '{"status": null}',
  '{"state": "verified"}', '{}', 'true', '"verified"', '["verified"]'
]::jsonb[]) as verification;
select is(
  pg_temp.email('"idn_1"', $$ [
    {"id": "idn_1", "verification": {"status": "verified"}}
  ] $$),
  '[null, false]'::jsonb,
  'an entry without an address is not a verified address'
);
select is(
  pg_temp.email('"idn_1"', '[]'), '[null, false]'::jsonb,
  'a user with an empty list of addresses has no address'
);
select is(
  pg_temp.email('"idn_1"', addresses), '[null, false]'::jsonb,
  format('addresses %s give no address', addresses)
)
from unnest(array[
  'null', '{}', '"idn_1"', 'true', '5', '[null]', '["idn_1"]', '[5]', '[[]]', '[{}]'
]::jsonb[]) as addresses;
select is(
  pg_temp.email('5', '[{"id": 5, "email_address": "a@example.com"}]'), '[null, false]'::jsonb,
  'an id that is not text is ignored'
);
select is(
  pg_temp.email('"idn_1"', '[{"id": "idn_1", "email_address": {"at": "a@example.com"}}]'),
  '[null, false]'::jsonb,
  'an address that is not text is ignored'
);
select is(
  pg_temp.email('"idn_1"', $$ [null, 5, {"id": "idn_1", "email_address": "a@example.com"}] $$),
  '["a@example.com", false]'::jsonb,
  'a malformed entry does not hide the one after it'
);
select is(
  pg_temp.email('"idn_1\" || true || \""', $$ [{"id": "idn_1", "email_address": "a@example.com"}] $$),
  '[null, false]'::jsonb,
  'an id is compared, never read as a path'
);


-- The verified addresses ---------------------------------------------------------------------

create function pg_temp.verified_emails(addresses jsonb)
returns jsonb
language sql
as $$
  select profile -> 'verified_emails'
  from pg_temp.profile(jsonb_build_object('primary_email_address_id', 'idn_1', 'email_addresses', addresses)) as profile
$$;

select is(
  pg_temp.verified_emails($$ [
    {"id": "idn_1", "email_address": "work@example.com", "verification": {"status": "verified"}},
    {"id": "idn_2", "email_address": "old@example.com", "verification": {"status": "unverified"}},
    {"id": "idn_3", "email_address": "home@example.com", "verification": {"status": "verified"}},
    {"id": "idn_4", "email_address": "Work@example.com", "verification": {"status": "verified"}},
    {"id": "idn_5", "email_address": "home@example.com", "verification": {"status": "verified"}}
  ] $$),
  '["Work@example.com", "home@example.com", "work@example.com"]',
  'every verified address counts, as Clerk spells it, sorted by bytes, each once'
);
select is(
  pg_temp.verified_emails(jsonb_build_array(
    jsonb_build_object('id', 'idn_1', 'email_address', 'a@example.com', 'verification', verification),
    '{"email_address": "b@example.com", "verification": {"status": "verified"}}'::jsonb)),
  '["b@example.com"]',
  format('verification %s does not count, and does not hide the next entry', verification)
)
from unnest(array[
  '{"status": "unverified"}', '{"status": "transferable"}', '{"status": "failed"}',
  '{"status": "expired"}', '{"status": "VERIFIED"}', '{"status": true}', '{"status": null}',
  '{"status": ["verified"]}', '{"state": "verified"}', '{}', 'true', 'null', '"verified"', '["verified"]',
  '[{"status": "verified"}]'
]::jsonb[]) as verification;
select is(
  pg_temp.verified_emails(jsonb_build_array(
    entry, '{"email_address": "b@example.com", "verification": {"status": "verified"}}'::jsonb)),
  '["b@example.com"]',
  format('entry %s does not count, and does not hide the next one', entry)
)
from unnest(array[
  'null', '5', '"a@example.com"', '[]', '{}', '{"verification": {"status": "verified"}}',
  '{"email_address": null, "verification": {"status": "verified"}}',
  '{"email_address": 5, "verification": {"status": "verified"}}',
  '{"email_address": ["a@example.com"], "verification": {"status": "verified"}}',
  '[{"email_address": "a@example.com", "verification": {"status": "verified"}}]'
]::jsonb[]) as entry;
select is(
  pg_temp.verified_emails(addresses), '[]',
  format('addresses %s give no verified address', addresses)
)
from unnest(array[
  'null', '{}', '"idn_1"', 'true', '5', '[]',
  '{"email_address": "a@example.com", "verification": {"status": "verified"}}'
]::jsonb[]) as addresses;
select is(
  pg_temp.verified_emails(jsonb_build_array(
    jsonb_build_object('email_address', repeat('a', 309) || '@example.com', 'verification', '{"status": "verified"}'::jsonb),
    jsonb_build_object('email_address', repeat('b', 308) || '@example.com', 'verification', '{"status": "verified"}'::jsonb))),
  jsonb_build_array(repeat('b', 308) || '@example.com'),
  'an address of 321 characters is left out, one of 320 is kept'
);
select is(
  pg_temp.verified_emails(jsonb_build_array(
    jsonb_build_object('email_address', repeat('a', length) || '@example.com', 'verification', '{"status": "verified"}'::jsonb))),
  kept,
  format('an only address of %s characters gives %s', length + 12, left(kept::text, 5))
)
from (values (309, '[]'::jsonb), (308, jsonb_build_array(repeat('a', 308) || '@example.com'))) as lengths (length, kept);
select throws_ok(
  $$ insert into public.profiles (id, deleted_at, verified_emails) values ('user_alice', now(), '{a@example.com}') $$,
  '23514', null,
  'profiles refuses a tombstone with a verified address'
);


-- The primary number -------------------------------------------------------------------------

create function pg_temp.phone(primary_id jsonb, numbers jsonb)
returns jsonb
language sql
as $$
  select jsonb_build_array(profile -> 'phone', profile -> 'phone_verified')
  from pg_temp.profile(jsonb_build_object(
    'primary_phone_number_id', primary_id,
    'phone_numbers', numbers)) as profile
$$;

select is(
  pg_temp.phone('"idn_2"', $$ [
    {"id": "idn_1", "phone_number": "+15555550100", "verification": {"status": "unverified"}},
    {"id": "idn_2", "phone_number": "+15555550101", "verification": {"status": "verified"}}
  ] $$),
  '["+15555550101", true]'::jsonb,
  'the number is the primary one, even if it comes last'
);
select is(
  pg_temp.phone('null', $$ [
    {"id": null, "phone_number": "+15555550100", "verification": {"status": "verified"}},
    {"id": "idn_1", "phone_number": "+15555550100", "verification": {"status": "verified"}}
  ] $$),
  '[null, false]'::jsonb,
  'if none of the numbers is primary, there is no number'
);
select is(
  pg_temp.phone('"idn_1"', $$ [
    {"id": "idn_1", "phone_number": "+15555550100", "reserved_for_second_factor": true, "verification": null}
  ] $$),
  '["+15555550100", false]'::jsonb,
  'a number without a verification is not verified'
);
select is(
  pg_temp.phone('"idn_1"', $$ [{"id": "idn_1", "phone_number": 15555550100}] $$),
  '[null, false]'::jsonb,
  'a number that is not text is ignored'
);
select is(
  pg_temp.profile($$
    {
      "primary_email_address_id": null,
      "email_addresses": [],
      "primary_phone_number_id": "idn_1",
      "phone_numbers": [
        {"id": "idn_1", "phone_number": "+15555550100", "verification": {"status": "verified"}}
      ]
    }
  $$),
  pg_temp.profile('{}') || '{"phone": "+15555550100", "phone_verified": true}',
  'a user with only a number has no address'
);
select is(
  pg_temp.profile('{"username": "alice", "email_addresses": [], "phone_numbers": []}'),
  pg_temp.profile('{}') || '{"username": "alice"}',
  'a user with only a username has neither address nor number'
);
select is(
  pg_temp.profile($$
    {
      "web3_wallets": [{"id": "idn_1", "web3_wallet": "0x00", "verification": {"status": "verified"}}],
      "primary_web3_wallet_id": "idn_1",
      "primary_email_address_id": null
    }
  $$),
  pg_temp.profile('{}'),
  'a user with only a wallet has neither address nor number'
);


-- Flags and metadata -------------------------------------------------------------------------

-- What a field becomes for each of these values.
create function pg_temp.readings(field text, variadic field_values jsonb[])
returns jsonb
language sql
as $$
  select jsonb_agg(pg_temp.profile(jsonb_build_object(field, value)) -> field)
  from unnest(field_values) as value
$$;

select is(
  pg_temp.readings(field, '"true"', '1', 'null', '[true]', 'true'),
  '[false, false, false, false, true]'::jsonb,
  format('%s is true only for JSON''s true', field)
)
from unnest(array['has_image', 'banned', 'locked', 'deprovisioned', 'two_factor_enabled']) as field;
select is(
  pg_temp.readings(field, 'null', '{"a": {"b": [null, 1]}}'),
  '[{}, {"a": {"b": [null, 1]}}]'::jsonb,
  format('%s is stored as it is, and as {} when it is null', field)
)
from unnest(array['public_metadata', 'unsafe_metadata']) as field;

select is(
  pg_temp.profile('{"deprovisioned": true}') - 'deprovisioned',
  pg_temp.profile('{}') - 'deprovisioned',
  'a user whom Directory Sync removed keeps a profile, marked as deprovisioned'
);


-- Private metadata ---------------------------------------------------------------------------

select unalike(
  to_jsonb(profile)::text, '%secret%',
  'no private metadata is in the row'
)
from clerk_sync.profile_from_clerk($$
  {
    "id": "user_alice",
    "first_name": "Alice",
    "private_metadata": {"secret": "secret"},
    "public_metadata": {"plan": "pro"}
  }
$$) as profile;
select alike(
  to_jsonb(profile)::text, '%secret%',
  'control: public metadata is in the row'
)
from clerk_sync.profile_from_clerk('{"id": "user_alice", "public_metadata": {"secret": "secret"}}') as profile;


-- Times --------------------------------------------------------------------------------------

select is(
  (extract(epoch from clerk_sync.to_time(value)) * 1000)::bigint, ms,
  format('%s is %s', value, coalesce(ms::text, 'no time'))
)
from (
  values
    -- ms, as in deliveries
    ('1760000000123'::jsonb, 1760000000123),
    ('1760000000123.9', 1760000000123),
    ('100000000000', 100000000000),
    ('8640000000000000', 8640000000000000),
    -- seconds, as in examples and test sends
    ('1760000000', 1760000000000),
    ('1760000000.123', 1760000000123),
    ('99999999999', 99999999999000),
    ('1', 1000),
    -- RFC 3339, as in very old data
    ('"2025-10-09T08:53:20Z"', 1760000000000),
    ('"2025-10-09T08:53:20.123456Z"', 1760000000123),
    ('"2025-10-09t08:53:20z"', 1760000000000),
    ('"2025-10-09 08:53:20+00:00"', 1760000000000),
    ('"2025-10-09T10:53:20+02:00"', 1760000000000),
    ('"2025-10-09T03:23:20-0530"', 1760000000000),
    -- anything else
    ('0', null),
    ('-1', null),
    ('0.5', null),
    ('8640000000000001', null),
    ('1e300', null),
    ('"1969-12-31T23:59:59Z"', null),
    ('"0001-01-01T00:00:00Z"', null),
    ('"2025-10-09T08:53:20"', null),
    ('"2025-10-09"', null),
    ('"2025-02-30T00:00:00Z"', null),
    ('"2025-10-09T25:00:00Z"', null),
    ('"12025-10-09T08:53:20Z"', null),
    ('"1760000000123"', null),
    ('"now"', null),
    ('"infinity"', null),
    ('"yesterday"', null),
    ('""', null),
    ('null', null),
    ('true', null),
    ('[1760000000123]', null),
    ('{"at": 1760000000123}', null)
) as examples (value, ms);
select is(clerk_sync.to_time(null), null, 'a missing time is no time');

set local timezone = 'Asia/Tokyo';
set local datestyle = 'SQL, DMY';
select is(
  clerk_sync.to_time('"2025-10-09T08:53:20Z"'), to_timestamp(1760000000),
  'times are read the same whatever the session''s settings'
);
reset timezone;
reset datestyle;

select is(
  pg_temp.profile('{"updated_at": 1760000000, "created_at": "2025-10-09T08:53:20Z", "last_sign_in_at": 1760000000000}')
    - array['updated_at', 'created_at', 'last_sign_in_at'],
  pg_temp.profile('{}') - array['updated_at', 'created_at', 'last_sign_in_at'],
  'a time in any format goes to its own column only'
);
select results_eq(
  $$
    select created_at = updated_at and updated_at = last_sign_in_at
    from clerk_sync.profile_from_clerk(
      '{"updated_at": 1760000000, "created_at": "2025-10-09T08:53:20Z", "last_sign_in_at": 1760000000000}'
    )
  $$,
  array[true],
  'seconds, milliseconds and RFC 3339 give the same time'
);
select is(
  pg_temp.profile('{"last_active_at": "never", "created_at": 0, "updated_at": null}'),
  pg_temp.profile('{}'),
  'a time that cannot be read is absent, not an error'
);


-- The full name ------------------------------------------------------------------------------

insert into public.profiles (id, first_name, last_name)
values
  ('user_both', 'Alice', 'Liddell'),
  ('user_first', 'Alice', null),
  ('user_last', null, 'Liddell'),
  ('user_neither', null, null),
  ('user_empty', '', ''),
  ('user_blank', ' ', null);
select results_eq(
  'select id, full_name from public.profiles order by id',
  $$
    values
      ('user_blank', null),
      ('user_both', 'Alice Liddell'),
      ('user_empty', null),
      ('user_first', 'Alice'),
      ('user_last', 'Liddell'),
      ('user_neither', null)
  $$,
  'the full name joins the names that are set, and is null if neither is'
);


-- Rows that the table refuses ----------------------------------------------------------------

select throws_ok(
  $$ insert into public.profiles (id) values ('org_acme') $$, '23514', null,
  'profiles refuses an id that is not a user''s'
);
select throws_ok(
  $$ insert into public.profiles (id, email_verified) values ('user_alice', true) $$, '23514', null,
  'profiles refuses email_verified without an address'
);
select throws_ok(
  $$ insert into public.profiles (id, phone_verified) values ('user_alice', true) $$, '23514', null,
  'profiles refuses phone_verified without a number'
);
select throws_ok(
  format(
    'insert into public.profiles (id, deleted_at, %1$s) values (''user_alice'', now(), %2$L)',
    field, value
  ),
  '23514', null,
  format('profiles refuses a tombstone with %s', field)
)
from (
  values
    ('external_id', 'x'), ('username', 'x'), ('first_name', 'x'), ('last_name', 'x'),
    ('locale', 'x'), ('image_url', 'x'), ('has_image', 'true'), ('email', 'x'), ('phone', 'x'),
    ('public_metadata', '{"a": 1}'), ('unsafe_metadata', '{"a": 1}'), ('banned', 'true'),
    ('locked', 'true'), ('deprovisioned', 'true'), ('two_factor_enabled', 'true'),
    ('last_sign_in_at', '2025-10-09'), ('last_active_at', '2025-10-09'),
    ('legal_accepted_at', '2025-10-09'), ('created_at', '2025-10-09'), ('updated_at', '2025-10-09')
) as personal (field, value);
select lives_ok(
  $$ insert into public.profiles (id, deleted_at) values ('user_alice', now()) $$,
  'control: profiles accepts a tombstone'
);
select lives_ok(
  $$
    insert into public.profiles (id, email)
    values ('user_eve', 'same@example.com'), ('user_bob', 'same@example.com')
  $$,
  'two users may have the same address, as when one comes back under a new id'
);

select * from finish();
rollback;
