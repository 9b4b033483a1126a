-- A deletion erases the user's data from the tables, the inbox, the queue and its archive at once, and
-- later events that mention the user bring none of it back. Every table of the database is searched.
--
--   alice  is deleted
--   bob    stays, and some of his events mention alice, too
--   acme   their organization, which stays

begin;
set local search_path = public, extensions;
select plan(116);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create function pg_temp.deliver(message_id text, event jsonb)
returns text
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, event);
  reset role;
  return answer ->> 'outcome';
end
$$;

create function pg_temp.reject(message_id text, payload jsonb, issues jsonb default '[]')
returns text
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.record_clerk_rejection(message_id, null, issues, payload);
  reset role;
  return answer ->> 'outcome';
end
$$;

create function pg_temp.event(type text, data jsonb, at bigint default 0)
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'object', 'event', 'type', type, 'timestamp', 1760000000030 + at, 'data', data)
$$;

create function pg_temp.alice(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "id": "user_2aliceWonderlandLiddell0000",
      "updated_at": 1760000000000,
      "external_id": "crm-4711",
      "username": "whiterabbit",
      "first_name": "Pleasance",
      "last_name": "Hargreaves",
      "locale": "en-GB",
      "image_url": "https://img.clerk.com/looking-glass",
      "has_image": true,
      "primary_email_address_id": "idn_1",
      "email_addresses": [
        {"id": "idn_1", "email_address": "a.liddell@example.com", "verification": {"status": "verified"}},
        {"id": "idn_3", "email_address": "pleasance@wonderland.example", "verification": {"status": "verified"}}
      ],
      "primary_phone_number_id": "idn_2",
      "phone_numbers": [
        {"id": "idn_2", "phone_number": "+15555550100", "verification": {"status": "verified"}}
      ],
      "public_metadata": {"seat": "tea-party"},
      "unsafe_metadata": {"mood": "curiouser"},
      "private_metadata": {"note": "vorpal"},
      "banned": true,
      "locked": true,
      "deprovisioned": true,
      "two_factor_enabled": true,
      "last_sign_in_at": 1760000000001,
      "last_active_at": 1760000000002,
      "legal_accepted_at": 1760000000003,
      "created_at": 1760000000004
    }
  $json$::jsonb || changes
$$;

create function pg_temp.bob(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "id": "user_2bobTheBuilderOfThings00000",
      "updated_at": 1760000000000,
      "first_name": "Bob",
      "primary_email_address_id": "idn_9",
      "email_addresses": [{"id": "idn_9", "email_address": "bob@example.com"}]
    }
  $json$::jsonb || changes
$$;

-- Alice's membership of acme, with her name and address in its copy.
create function pg_temp.membership(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "id": "orgmem_1",
      "updated_at": 1760000000000,
      "role": "org:admin",
      "organization": {"id": "org_acme", "name": "Acme", "created_by": "user_2aliceWonderlandLiddell0000"},
      "public_metadata": {"seat": "tea-party"},
      "private_metadata": {"note": "vorpal"},
      "public_user_data": {
        "user_id": "user_2aliceWonderlandLiddell0000",
        "first_name": "Pleasance",
        "last_name": "Hargreaves",
        "image_url": "https://img.clerk.com/looking-glass",
        "identifier": "a.liddell@example.com"
      }
    }
  $json$::jsonb || changes
$$;

-- Alice as a payer, with or without her id.
create function pg_temp.payer(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "user_id": "user_2aliceWonderlandLiddell0000",
      "first_name": "Pleasance",
      "last_name": "Hargreaves",
      "email": "a.liddell@example.com",
      "image_url": "https://img.clerk.com/payer",
      "organization_id": ""
    }
  $json$::jsonb || changes
$$;

create function pg_temp.invitation(changes jsonb)
returns jsonb
language sql
as $$
  select $json$
    {
      "organization_id": "org_acme",
      "updated_at": 1760000000000,
      "role": "org:member",
      "status": "pending"
    }
  $json$::jsonb || changes
$$;

-- Every table and materialized view with a row that contains the text.
create function pg_temp.places_of(what text)
returns setof text
language plpgsql
as $$
declare
  place text;
  found_there boolean;
begin
  for place in
    select format('%I.%I', nspname, relname)
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'm')
      and nspname not in ('pg_catalog', 'information_schema')
      and nspname !~ '^pg_(toast|temp)'
      and has_schema_privilege(pg_namespace.oid, 'usage')
      and has_table_privilege(pg_class.oid, 'select')
  loop
    execute format(
      'select exists (select from %s as searched where strpos(to_jsonb(searched)::text, %L) > 0)',
      place, what
    ) into found_there;
    if found_there then
      return next place;
    end if;
  end loop;
end
$$;

-- Alice's personal data. Each text is unique to her, and part of no id.
create temp view personal as
select what
from unnest(array[
  'crm-4711', 'whiterabbit', 'Pleasance', 'Hargreaves', 'en-GB', 'looking-glass',
  'a.liddell@example.com', 'old.liddell@example.com', '@wonderland.example', '15555550100', 'tea-party', 'curiouser', 'vorpal'
]) as what;

create temp view traces as
select what, place
from personal
cross join pg_temp.places_of(what) as place;


-- Everything that can mention a user ---------------------------------------------------------

select is(pg_temp.deliver(message_id, event), outcome, 'arrange: ' || description)
from (
  values
    (
      'msg_01', 'applied', 'alice exists, with another address',
      pg_temp.event('user.created', pg_temp.alice('{"email_addresses": [{"id": "idn_1", "email_address": "old.liddell@example.com"}]}'))
    ),
    (
      'msg_02', 'applied', 'alice has changed her address',
      pg_temp.event('user.updated', pg_temp.alice('{"updated_at": 1760000000010}'))
    ),
    (
      'msg_03', 'stale', 'a late update',
      pg_temp.event('user.updated', pg_temp.alice('{"updated_at": 1760000000005}'))
    ),
    (
      'msg_04', 'applied', 'bob exists',
      pg_temp.event('user.created', pg_temp.bob())
    ),
    (
      'msg_05', 'ignored', 'a session, with the whole user',
      pg_temp.event('session.created', jsonb_build_object(
        'id', 'sess_1', 'user_id', 'user_2aliceWonderlandLiddell0000', 'user', pg_temp.alice()))
    ),
    (
      'msg_06', 'applied', 'a membership, whose identifier is the address',
      pg_temp.event('organizationMembership.created', pg_temp.membership())
    ),
    (
      'msg_07', 'applied', 'an event of bob''s that mentions alice in a text',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000020,
        "private_metadata": {"note": "works with user_2aliceWonderlandLiddell0000 (a.liddell@example.com)"}
      }'))
    ),
    (
      'msg_08', 'applied', 'an event of bob''s that mentions alice on a line of her own',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000021,
        "private_metadata": {"note": "a.liddell@example.com\nuser_2aliceWonderlandLiddell0000\n"}
      }'))
    ),
    (
      'msg_09', 'applied', 'an event of bob''s that mentions alice after a tab',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000022,
        "private_metadata": {"note": "a.liddell@example.com\tuser_2aliceWonderlandLiddell0000"}
      }'))
    ),
    (
      'msg_10', 'applied', 'an event of bob''s that mentions alice after a control character',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000023,
        "private_metadata": {"note": "a.liddell@example.com\u001euser_2aliceWonderlandLiddell0000"}
      }'))
    ),
    (
      'msg_11', 'applied', 'an event of bob''s that mentions alice amid text in another script',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000024,
        "private_metadata": {"note": "友達user_2aliceWonderlandLiddell0000さん a.liddell@example.com"}
      }'))
    ),
    (
      'msg_12', 'applied', 'an event of bob''s that has alice''s id as a key',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000025,
        "private_metadata": {"friends": {"user_2aliceWonderlandLiddell0000": "a.liddell@example.com"}}
      }'))
    ),
    (
      'msg_13', 'applied', 'an event of bob''s that has alice''s id in an address',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000000026,
        "private_metadata": {"at": "https://example.com/u/user_2aliceWonderlandLiddell0000?as=a.liddell@example.com"}
      }'))
    ),
    (
      'msg_14', 'applied', 'bob''s newest event, which does not mention alice',
      pg_temp.event('user.updated', pg_temp.bob('{"updated_at": 1760000000030}'))
    ),
    (
      'msg_a1', 'applied', 'her organization',
      pg_temp.event('organization.created', '{
        "id": "org_acme", "updated_at": 1760000000000, "name": "Acme",
        "created_by": "user_2aliceWonderlandLiddell0000",
        "private_metadata": {"owner": "a.liddell@example.com"}
      }')
    ),
    (
      'msg_a2', 'applied', 'an invitation to her',
      pg_temp.event('organizationInvitation.created', pg_temp.invitation('{
        "id": "orginv_1", "email_address": "a.liddell@example.com", "url": "https://accept/a.liddell@example.com"
      }'))
    ),
    (
      'msg_a3', 'applied', 'her acceptance of it',
      pg_temp.event('organizationInvitation.accepted', pg_temp.invitation('{
        "id": "orginv_1", "email_address": "a.liddell@example.com", "url": "https://accept/a.liddell@example.com",
        "status": "accepted", "updated_at": 1760000000001, "user_id": "user_2aliceWonderlandLiddell0000",
        "private_metadata": {"note": "vorpal"}
      }'))
    ),
    (
      'msg_a4', 'applied', 'an invitation that she sent',
      pg_temp.event('organizationInvitation.created', pg_temp.invitation('{
        "id": "orginv_2", "email_address": "carl@example.com", "inviter_id": "user_2aliceWonderlandLiddell0000",
        "public_inviter_data": {"user_id": "user_2aliceWonderlandLiddell0000", "identifier": "a.liddell@example.com"}
      }'))
    ),
    (
      'msg_a5', 'applied', 'a payment of hers',
      pg_temp.event('paymentAttempt.created', jsonb_build_object(
        'id', 'pa_1', 'updated_at', 1760000000000, 'payer', pg_temp.payer()))
    ),
    (
      'msg_a6', 'applied', 'a payment for her organization, by her',
      pg_temp.event('paymentAttempt.created', jsonb_build_object(
        'id', 'pa_2', 'updated_at', 1760000000000, 'payer', pg_temp.payer('{"organization_id": "org_acme"}')))
    ),
    (
      'msg_a7', 'applied', 'a payment for her organization that does not say whose address it holds',
      pg_temp.event('paymentAttempt.created', jsonb_build_object(
        'id', 'pa_3', 'updated_at', 1760000000000,
        'payer', pg_temp.payer('{"organization_id": "org_acme", "user_id": null, "image_url": null}')))
    ),
    (
      'msg_a8', 'applied', 'a subscription of hers',
      pg_temp.event('subscription.created', jsonb_build_object(
        'id', 'csub_1', 'updated_at', 1760000000000, 'payer', pg_temp.payer()))
    ),
    (
      'msg_a9', 'applied', 'an item of hers',
      pg_temp.event('subscriptionItem.active', jsonb_build_object(
        'id', 'csub_item_1', 'updated_at', 1760000000000, 'status', 'active', 'payer', pg_temp.payer()))
    ),
    (
      'msg_b1', 'applied', 'an item of her organization, paid for by her',
      pg_temp.event('subscriptionItem.active', jsonb_build_object(
        'id', 'csub_item_2', 'updated_at', 1760000000000, 'status', 'active', 'plan', '{"slug": "pro"}'::jsonb,
        'payer', pg_temp.payer('{"organization_id": "org_acme"}')))
    ),
    (
      'msg_b2', 'applied', 'a domain, verified by her address',
      pg_temp.event('organizationDomain.created', '{
        "id": "orgdmn_1", "updated_at": 1760000000000, "name": "example.com",
        "organization_id": "org_acme", "affiliation_email_address": "a.liddell@example.com"
      }')
    ),
    (
      'msg_b3', 'applied', 'a role with a note about her',
      pg_temp.event('role.created', '{
        "id": "role_1", "updated_at": 1760000000000, "key": "org:editor",
        "description": "for a.liddell@example.com (user_2aliceWonderlandLiddell0000)"
      }')
    ),
    (
      'msg_b4', 'applied', 'bob''s membership, with a note by her',
      pg_temp.event('organizationMembership.created', '{
        "id": "orgmem_2", "updated_at": 1760000000000, "role": "org:member", "organization": {"id": "org_acme"},
        "public_user_data": {"user_id": "user_2bobTheBuilderOfThings00000", "identifier": "bob@example.com"},
        "private_metadata": {"by": "user_2aliceWonderlandLiddell0000", "mail": "a.liddell@example.com"}
      }')
    ),
    (
      'msg_15', 'unreadable', 'an event of a known type whose id is a list',
      pg_temp.event('user.updated', pg_temp.alice('{"id": ["user_2aliceWonderlandLiddell0000"]}'))
    ),
    (
      'msg_16', 'unreadable', 'an event whose type and id are objects',
      '{
        "type": {"of": "user_2aliceWonderlandLiddell0000", "mail": "a.liddell@example.com"},
        "data": {"id": {"of": "user_2aliceWonderlandLiddell0000", "mail": "a.liddell@example.com"}},
        "instance_id": ["a.liddell@example.com"]
      }'
    ),
    (
      'msg_17', 'unreadable', 'an event that is a list',
      '["user_2aliceWonderlandLiddell0000", "a.liddell@example.com"]'
    )
) as deliveries (message_id, outcome, description, event);

select is(pg_temp.reject(message_id, payload, issues), 'unreadable', 'arrange: ' || description)
from (
  values
    (
      'msg_21', 'an event that the webhook could not read, with an issue that quotes',
      pg_temp.event('user.updated', pg_temp.alice()),
      '[{"path": "data.unsafe_metadata.a.liddell@example.com", "code": "invalid_type"}]'::jsonb
    ),
    (
      'msg_22', 'a body that is not JSON',
      '{"raw": "{\"data\": {\"id\": \"user_2aliceWonderlandLiddell0000\", \"mail\": \"a.liddell@example.com\""}',
      '[]'
    ),
    (
      'msg_23', 'a body that is not JSON, with the id on a line of its own',
      '{"raw": "a.liddell@example.com\r\nuser_2aliceWonderlandLiddell0000\r\n"}',
      '[]'
    ),
    (
      'msg_24', 'a body that is not JSON, with an escaped line break before the id',
      '{"raw": "{\"note\": \"a.liddell@example.com\\nuser_2aliceWonderlandLiddell0000\""}',
      '[]'
    ),
    (
      'msg_25', 'a body that is not JSON, with the id as a key',
      '{"raw": "{\"user_2aliceWonderlandLiddell0000\": \"a.liddell@example.com\""}',
      '[]'
    ),
    (
      'msg_26', 'a body of bob''s that is not JSON',
      '{"raw": "{\"id\": \"user_2bobTheBuilderOfThings00000\", \"mail\": \"bob@example.com\""}',
      '[]'
    )
) as rejections (message_id, description, payload, issues);

create function public.quote()
returns trigger
language plpgsql
as $$
begin
  raise exception 'no room for %', new.email;
end
$$;
create function public.quote_text()
returns trigger
language plpgsql
as $$
begin
  raise exception 'no room for a.liddell@example.com';
end
$$;
create trigger quote before update on profiles for each row execute function quote();
select is(
  pg_temp.deliver('msg_31', pg_temp.event('user.updated', pg_temp.alice('{"updated_at": 1760000000040}'))),
  'failed',
  'arrange: an event that failed, with an error that quotes the address'
);
drop trigger quote on profiles;
create trigger quote before insert on organization_memberships for each row execute function quote_text();
create trigger quote before insert on subscription_items for each row execute function quote_text();
select is(
  pg_temp.deliver('msg_31b', pg_temp.event('organizationMembership.created', pg_temp.membership('{"id": "orgmem_failed"}'))),
  'failed',
  'arrange: a membership of hers that failed'
);
select is(
  pg_temp.deliver('msg_31c', pg_temp.event('subscriptionItem.active', jsonb_build_object(
    'id', 'csub_item_failed', 'updated_at', 1760000000000, 'status', 'active', 'payer', pg_temp.payer()))),
  'failed',
  'arrange: a personal item of hers that failed'
);
drop trigger quote on organization_memberships;
drop trigger quote on subscription_items;
create trigger quote before update on profiles for each row execute function quote_text();
select is(
  pg_temp.deliver('msg_32', pg_temp.event('user.updated', pg_temp.bob('{
    "updated_at": 1760000000040, "private_metadata": {"friend": "user_2aliceWonderlandLiddell0000"}
  }'))),
  'failed',
  'arrange: an event of bob''s that mentions her and failed'
);
drop trigger quote on profiles;

-- Some of the messages about alice have been processed already.
do $$
begin
  perform pgmq.archive('clerk_changes', (select min(msg_id) from pgmq.q_clerk_changes));
end
$$;


-- Before -------------------------------------------------------------------------------------

create materialized view public.copied as select email from profiles;
select set_eq(
  $$ select place from pg_temp.places_of('a.liddell@example.com') as place $$,
  array['public.profiles', 'public.copied', 'clerk_sync.inbox', 'clerk_sync.objects'],
  'control: the search finds the address in every table that has it, even in a materialized view'
);
drop materialized view public.copied;

select set_eq(
  $$ select place from pg_temp.places_of('user_2aliceWonderlandLiddell0000') as place $$,
  array[
    'public.profiles', 'public.organizations', 'public.organization_memberships',
    'public.organization_invitations', 'public.subscription_items', 'clerk_sync.inbox',
    'clerk_sync.objects', 'pgmq.q_clerk_changes', 'pgmq.a_clerk_changes'
  ],
  'control: the search covers the register, the queue and its archive'
);
select set_eq(
  'select distinct what from traces', 'table personal',
  'control: each of these texts is stored somewhere'
);
select is(
  (select count(*) from clerk_sync.inbox where strpos(payload::text, 'a.liddell@example.com') > 0),
  31::bigint,
  'control: the expected number of messages holds her address'
);
select is(
  (select error ->> 'message' from clerk_sync.inbox where message_id = 'msg_31'),
  'no room for a.liddell@example.com',
  'control: the error quotes the address'
);
select results_eq(
  $$ select member_name, member_image_url from organization_memberships where id = 'orgmem_1' $$,
  $$ values ('Pleasance Hargreaves', 'https://img.clerk.com/looking-glass') $$,
  'control: the team page shows her name'
);
select set_eq(
  $$ select id from clerk_sync.objects where data is not null $$,
  array['pa_1', 'pa_2', 'pa_3', 'csub_1', 'orgdmn_1'],
  'control: the register has data that mentions her'
);
create temp table bobs as
select to_jsonb(profiles) as row from profiles where first_name = 'Bob'
union all
select to_jsonb(inbox) from clerk_sync.inbox where message_id in ('msg_04', 'msg_14', 'msg_26');
create temp table inbox_before as table clerk_sync.inbox;


-- The deletion -------------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_41', pg_temp.event('user.deleted', '{"id": "user_2aliceWonderlandLiddell0000", "deleted": true, "external_id": "crm-4711"}', 100)),
  'applied',
  'alice is deleted'
);

select results_eq(
  $$ select message ->> 'topic', message ->> 'id' from pgmq.q_clerk_changes where message ? 'external_id' $$,
  $$ values ('profile.deleted', 'user_2aliceWonderlandLiddell0000') $$,
  'the announcement of her deletion carries her external_id, by which the application finds her'
);
update pgmq.q_clerk_changes set message = message - 'external_id';
select is_empty(
  'table traces',
  'no table holds personal data of a deleted user: not profiles, the inbox, the queue or its archive'
);
select set_eq(
  $$ select id from clerk_sync.objects where data is not null $$,
  array['pa_1', 'pa_2', 'pa_3', 'csub_1', 'orgdmn_1'],
  'register data that mentioned her stays, without what it said about her'
);
select results_eq(
  $$
    select id from organization_memberships
    union all select id from subscription_items
    union all select id from organization_invitations
    order by id
  $$,
  array['csub_item_2', 'orginv_1', 'orginv_2', 'orgmem_2'],
  'her membership and her item are gone; her organization''s item, members and invitations stay'
);
select is(
  (select array[email_address, inviter_id] from organization_invitations where id = 'orginv_2'),
  array['carl@example.com', 'user_2aliceWonderlandLiddell0000'],
  'an invitation that she sent keeps her id and the address: it belongs to the organization'
);
select is(
  (select accepted_by from organization_invitations where id = 'orginv_1'),
  'user_2aliceWonderlandLiddell0000',
  'an invitation that she accepted keeps her id, too'
);
select is(
  (select to_jsonb(profiles) from profiles where id = 'user_2aliceWonderlandLiddell0000'),
  jsonb_build_object(
    'id', 'user_2aliceWonderlandLiddell0000',
    'external_id', null,
    'username', null,
    'first_name', null,
    'last_name', null,
    'full_name', null,
    'locale', null,
    'image_url', null,
    'has_image', false,
    'email', null,
    'email_verified', false,
    'verified_emails', '[]'::jsonb,
    'phone', null,
    'phone_verified', false,
    'public_metadata', '{}'::jsonb,
    'unsafe_metadata', '{}'::jsonb,
    'banned', false,
    'locked', false,
    'deprovisioned', false,
    'two_factor_enabled', false,
    'last_sign_in_at', null,
    'last_active_at', null,
    'legal_accepted_at', null,
    'created_at', null,
    'updated_at', null,
    'deleted_at', to_timestamp(1760000000.130),
    'synced_at', now()),
  'the tombstone holds the id and the time of the deletion; everything else is at its default'
);
select set_eq(
  $$
    select message_id from clerk_sync.inbox
    where 'user_2aliceWonderlandLiddell0000' = any (subjects) and payload is null
  $$,
  $$
    select message_id from inbox_before
    where strpos(payload::text, 'user_2aliceWonderlandLiddell0000') > 0
      and message_id not in ('msg_21', 'msg_32')
    union all
    select 'msg_41'
  $$,
  'every settled message that mentioned her has lost its payload, and so has the deletion itself'
);
select results_eq(
  $$
    select message_id, received_at, last_delivered_at, deliveries, outcome
    from clerk_sync.inbox where message_id <> 'msg_41' order by message_id
  $$,
  $$
    select message_id, received_at, last_delivered_at, deliveries,
      case when message_id like 'msg_31%' then 'stale' else outcome end
    from inbox_before order by message_id
  $$,
  'the inbox keeps when and how often each message arrived, and its outcome; failed events about her are settled'
);
select results_eq(
  $$
    select message_id, error from clerk_sync.inbox
    where error is not null and 'user_2aliceWonderlandLiddell0000' = any (subjects) order by message_id
  $$,
  $$
    values
      ('msg_15' collate "C", '{}'::jsonb), ('msg_16', '{}'), ('msg_17', '{}'), ('msg_21', '{}'),
      ('msg_22', '{}'), ('msg_23', '{}'), ('msg_24', '{}'), ('msg_25', '{}'),
      ('msg_32', '{"sqlstate": "P0001"}')
  $$,
  'of an error about her, only the SQLSTATE stays'
);

select bag_eq(
  $$
    select to_jsonb(profiles) from profiles where first_name = 'Bob'
    union all
    select to_jsonb(inbox) from clerk_sync.inbox where message_id in ('msg_04', 'msg_14', 'msg_26')
  $$,
  'table bobs',
  'another user''s profile and messages are unchanged'
);
select set_eq(
  $$ select place from pg_temp.places_of('bob@example.com') as place $$,
  array['public.profiles', 'clerk_sync.inbox'],
  'control: the search still finds another user''s address'
);


-- Events that mention her later --------------------------------------------------------------

select is(pg_temp.deliver(message_id, event), outcome, 'arrange: later, ' || description)
from (
  values
    (
      'msg_51', 'stale', 'a late update',
      pg_temp.event('user.updated', pg_temp.alice('{"updated_at": 1760000001000}'))
    ),
    (
      'msg_52', 'ignored', 'the end of her session',
      pg_temp.event('session.ended', jsonb_build_object(
        'id', 'sess_1', 'user_id', 'user_2aliceWonderlandLiddell0000', 'user', pg_temp.alice()))
    ),
    (
      'msg_53', 'applied', 'an event of bob''s that mentions her',
      pg_temp.event('user.updated', pg_temp.bob('{
        "updated_at": 1760000001000,
        "last_name": "Builder",
        "private_metadata": {"note": "misses\nuser_2aliceWonderlandLiddell0000 (a.liddell@example.com)"}
      }'))
    ),
    (
      'msg_54', 'unreadable', 'an event that is a list',
      '["user_2aliceWonderlandLiddell0000", "a.liddell@example.com"]'
    ),
    (
      'msg_31', 'duplicate', 'the event that had failed, and is settled',
      pg_temp.event('user.updated', pg_temp.alice('{"updated_at": 1760000000040}'))
    ),
    (
      'msg_c1', 'stale', 'her membership, again',
      pg_temp.event('organizationMembership.updated', pg_temp.membership('{"updated_at": 1760000001000}'))
    ),
    (
      'msg_c2', 'stale', 'another membership of hers',
      pg_temp.event('organizationMembership.created', pg_temp.membership('{"id": "orgmem_9"}'))
    ),
    (
      'msg_c3', 'applied', 'the deletion of her membership',
      pg_temp.event('organizationMembership.deleted', pg_temp.membership())
    ),
    (
      'msg_c4', 'applied', 'a payment of hers, newer',
      pg_temp.event('paymentAttempt.updated', jsonb_build_object(
        'id', 'pa_1', 'updated_at', 1760000001000, 'payer', pg_temp.payer()))
    ),
    (
      'msg_c5', 'applied', 'a payment of hers, new',
      pg_temp.event('paymentAttempt.created', jsonb_build_object(
        'id', 'pa_9', 'updated_at', 1760000001000, 'payer', pg_temp.payer()))
    ),
    (
      'msg_c6', 'stale', 'an item of hers, newer',
      pg_temp.event('subscriptionItem.canceled', jsonb_build_object(
        'id', 'csub_item_1', 'updated_at', 1760000001000, 'status', 'canceled', 'payer', pg_temp.payer()))
    ),
    (
      'msg_c7', 'stale', 'the invitation that she accepted, late',
      pg_temp.event('organizationInvitation.created', pg_temp.invitation('{
        "id": "orginv_1", "updated_at": 1759999999999, "email_address": "a.liddell@example.com",
        "url": "https://accept/a.liddell@example.com"
      }'))
    ),
    (
      'msg_c8', 'applied', 'her organization, with her in it',
      pg_temp.event('organization.updated', '{
        "id": "org_acme", "updated_at": 1760000001000, "name": "Acme & Co",
        "created_by": "user_2aliceWonderlandLiddell0000", "private_metadata": {"owner": "a.liddell@example.com"}
      }')
    ),
    (
      'msg_01', 'duplicate', 'her first event again',
      pg_temp.event('user.created', pg_temp.alice())
    )
) as deliveries (message_id, outcome, description, event);
select is(
  pg_temp.reject('msg_55', pg_temp.event('user.updated', pg_temp.alice()),
    '[{"path": "data.unsafe_metadata.a.liddell@example.com", "code": "invalid_type"}]'),
  'unreadable',
  'arrange: later, an event that the webhook could not read'
);
select is(
  pg_temp.reject('msg_22', '{"raw": "user_2aliceWonderlandLiddell0000 a.liddell@example.com"}'),
  'unreadable',
  'arrange: later, a body that is not JSON, again'
);

create function public.quote_neighbour()
returns trigger
language plpgsql
as $$
begin
  raise exception 'no room beside a.liddell@example.com';
end
$$;
create trigger quote before update on profiles for each row execute function quote_neighbour();
select is(
  pg_temp.deliver('msg_56', pg_temp.event('user.updated', pg_temp.bob('{
    "updated_at": 1760000002000,
    "private_metadata": {"friend": "user_2aliceWonderlandLiddell0000"}
  }'))),
  'failed',
  'arrange: later, an event of bob''s that mentions her and fails'
);
drop trigger quote on profiles;

select is_empty(
  'table traces',
  'later messages that mention a deleted user are kept without what they say about that user'
);
select results_eq(
  $$
    select message_id, outcome, error, payload -> 'data' -> 'id' from clerk_sync.inbox
    where message_id between 'msg_51' and 'msg_56' order by message_id
  $$,
  $$
    values
      ('msg_51' collate "C", 'stale', null::jsonb, null::jsonb),
      ('msg_52', 'ignored', null, null),
      ('msg_53', 'applied', null, null),
      ('msg_54', 'unreadable', '{}', null),
      ('msg_55', 'unreadable', '{}', '"user_2aliceWonderlandLiddell0000"'),
      ('msg_56', 'failed', '{"sqlstate": "P0001"}', '"user_2bobTheBuilderOfThings00000"')
  $$,
  'control: all these messages are kept'
);
select is(
  (select full_name from profiles where id = 'user_2bobTheBuilderOfThings00000'), 'Bob Builder',
  'control: an event that mentions a deleted user is still applied'
);
select results_eq(
  $$
    select id, deleted_at, num_nonnulls(external_id, username, first_name, last_name, email, phone)
    from profiles where id = 'user_2aliceWonderlandLiddell0000'
  $$,
  $$ values ('user_2aliceWonderlandLiddell0000', to_timestamp(1760000000.130), 0) $$,
  'the tombstone is unchanged'
);


-- A deletion that arrives first --------------------------------------------------------------

select is(
  pg_temp.deliver('msg_61', pg_temp.event('user.deleted', '{"id": "user_2carolComesTooLate000000000"}')), 'applied',
  'arrange: carol''s deletion arrives first'
);
select is(
  pg_temp.deliver('msg_62', pg_temp.event('user.created', '{
    "id": "user_2carolComesTooLate000000000", "updated_at": 1760000000000, "first_name": "Cheshire"
  }')),
  'stale',
  'arrange: then her creation'
);
select is_empty(
  $$ select place from pg_temp.places_of('Cheshire') as place $$,
  'an event that arrives after its user''s deletion leaves nothing personal'
);


-- Events that do not name their user ---------------------------------------------------------

create function pg_temp.doras(changes jsonb default '{}')
returns jsonb
language sql
as $$
  select $json$
    {
      "id": "orgmem_dora",
      "updated_at": 1760000000000,
      "organization": {"id": "org_tea"},
      "public_metadata": {"nickname": "Dormouse"},
      "private_metadata": {"note": "the Dormouse sleeps"}
    }
  $json$::jsonb || changes
$$;

select is(
  pg_temp.deliver('msg_71', pg_temp.event('organizationMembership.updated', pg_temp.doras())),
  'unreadable',
  'arrange: a membership whose user is not known yet'
);
select is(
  pg_temp.deliver('msg_70', pg_temp.event('organizationMembership.updated', pg_temp.doras() - 'organization')),
  'unreadable',
  'arrange: the same without its organization'
);
select is(
  pg_temp.deliver('msg_72', pg_temp.event('organizationMembership.created', pg_temp.doras('{
    "public_user_data": {"user_id": "user_dora", "first_name": "Dormouse"}
  }'))),
  'applied',
  'arrange: it is dora''s'
);
select is(
  pg_temp.deliver('msg_73', pg_temp.event('organizationMembership.updated', pg_temp.doras('{"updated_at": 1760000000001}'))),
  'applied',
  'arrange: an update of it that does not name her'
);
select results_eq(
  $$
    select subjects, payload #>> '{data,public_metadata,nickname}' from clerk_sync.inbox
    where message_id in ('msg_70', 'msg_71', 'msg_73') order by message_id
  $$,
  $$ values ('{}'::text[], null), ('{}', null), ('{user_dora}', 'Dormouse') $$,
  'data about a member is kept only once the member''s id is known'
);

select is(
  pg_temp.deliver('msg_74', pg_temp.event('user.deleted', '{"id": "user_dora"}')), 'applied',
  'arrange: dora is deleted'
);
select is(
  pg_temp.deliver('msg_75', pg_temp.event('organizationMembership.updated', pg_temp.doras('{"updated_at": 1760000000002}'))),
  'stale',
  'arrange: later, an event that does not name her'
);

select is_empty(
  $$ select place from pg_temp.places_of('Dormouse') as place $$,
  'data that does not name its user is erased with her'
);


-- Users that an event mentions ---------------------------------------------------------------

select is(
  clerk_sync.sorted_ids(clerk_sync.user_ids_in(payload)), subjects,
  format('%s mentions %s', payload, coalesce(nullif(array_to_string(subjects, ' and '), ''), 'nobody'))
)
from (
  values
    ('{"by": ["user_2aliceWonderlandLiddell0000", {"user": "user_2bobTheBuilderOfThings00000"}, "user_2aliceWonderlandLiddell0000"]}'::jsonb, '{user_2aliceWonderlandLiddell0000,user_2bobTheBuilderOfThings00000}'::text[]),
    ('{"user_id": null, "user_agent": "x", "user_data": {"user_adamarlowe77": 1}}', '{}'),
    ('{"user_2aliceWonderlandLiddell0000": 1}', '{user_2aliceWonderlandLiddell0000}'),
    ('"user_2aliceWonderlandLiddell0000"', '{user_2aliceWonderlandLiddell0000}'),
    ('"user_2aliceWonderlandLiddell0000, user_2bobTheBuilderOfThings00000; (user_2aliceWonderlandLiddell0000)"', '{user_2aliceWonderlandLiddell0000,user_2bobTheBuilderOfThings00000}'),
    ('"user_ user_-"', '{}'),
    ('"user_adamarlowe77@example.com"', '{}'),
    ('"user_2aliceWonderlandLiddell00000"', '{}'),
    ('"user_2aliceWonderlandLiddell0000_x"', '{}'),
    ('"by_user_2aliceWonderlandLiddell0000"', '{user_2aliceWonderlandLiddell0000}'),
    ('"a\nuser_2aliceWonderlandLiddell0000"', '{user_2aliceWonderlandLiddell0000}'),
    ('{"raw": "{\"user_id\" : \"user_2aliceWonderlandLiddell0000\", \"user_agent\":"}', '{user_2aliceWonderlandLiddell0000}'),
    ('null', '{}')
) as examples (payload, subjects);
select is(clerk_sync.user_ids_in(null), '{}', 'a missing payload mentions nobody');

-- Memberships that are not applied -------------------------------------------------------------

-- What a membership's event says about carol, with or without naming her.
create function pg_temp.carols(id text, changes jsonb default '{}')
returns jsonb
language sql
as $$
  select pg_temp.membership(jsonb_build_object(
    'id', id, 'organization', '{"id": "org_acme"}'::jsonb, 'public_metadata', '{"seat": "croquet-lawn"}'::jsonb,
    'private_metadata', '{"note": "croquet-lawn"}'::jsonb,
    'public_user_data', '{"user_id": "user_2carolTheCroquetPlayer0000"}'::jsonb
  ) || changes)
$$;

select is(
  pg_temp.deliver('msg_80', pg_temp.event('organizationMembership.moved', pg_temp.carols('orgmem_80') - 'public_user_data')),
  'ignored',
  'arrange: an event of an unknown type that does not name the member'
);
select is(
  (select array[object_id, payload::text] from clerk_sync.inbox where message_id = 'msg_80'),
  array['orgmem_80', null],
  'it is stored without its payload'
);
select is(
  pg_temp.deliver('msg_81', pg_temp.event('organizationMembership.created', pg_temp.carols('orgmem_81')) || '{"timestamp": 4000000000000}'),
  'unreadable',
  'arrange: a membership of hers of the far future'
);
select is(
  pg_temp.deliver('msg_82', pg_temp.event('organizationMembership.created', pg_temp.carols('orgmem_82'))),
  'applied',
  'arrange: a membership of hers'
);
create trigger quote before update on organization_memberships for each row execute function quote_text();
select is(
  pg_temp.deliver('msg_83', pg_temp.event(
    'organizationMembership.updated',
    pg_temp.carols('orgmem_82', '{"updated_at": 1760000000040, "role": "org:member"}') - 'public_user_data')),
  'failed',
  'arrange: an update of it that does not name her, and failed'
);
drop trigger quote on organization_memberships;
select set_eq(
  $$ select message_id from clerk_sync.inbox where payload::text ~ 'croquet' $$,
  $$ values ('msg_81'), ('msg_82'), ('msg_83') $$,
  'control: what names her, and what may be tried again, is stored with the member''s data'
);
select is(
  pg_temp.deliver('msg_84', pg_temp.event('user.deleted', '{"id": "user_2carolTheCroquetPlayer0000"}')),
  'applied',
  'arrange: she is deleted'
);
select is_empty(
  $$ select message_id from clerk_sync.inbox where payload::text ~ 'croquet' $$,
  'her deletion erases a membership''s metadata, too, before the message is tried again'
);
select is(
  pg_temp.deliver('msg_81', pg_temp.event('organizationMembership.created', pg_temp.carols('orgmem_81')) || '{"timestamp": 4000000000000}'),
  'unreadable',
  'arrange: the one of the far future comes again'
);
select is_empty(
  $$ select message_id from clerk_sync.inbox where payload::text ~ 'croquet' $$,
  'nor does its next delivery bring it back'
);


select * from finish();
rollback;
