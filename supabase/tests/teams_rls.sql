-- Who reads and writes teams, by threat, with named people:
--
--   alice    admin of acme
--   bob      member of acme, who pays for a plan of his own
--   ron      left acme as an admin and came back as a member; the old deletion is late
--   carol    former member of acme, with a token that still names it as active; once paid for its plan
--   dave     was a member; deleted, with a session token that is still valid
--   eve      admin of another organization
--   mallory  in no organization, with forged metadata and a token that claims to be acme's admin
--   ivan     invited to acme, at an address that he has verified
--   uma      invited to acme, at an address that she has not verified
--   vera     invited to acme, at several addresses
--   victor   has verified one of vera's addresses, too
--
-- Each acts as the real role, with the claims of a real token.

begin;
set local search_path = public, extensions;
select plan(209);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create temp sequence deliveries;

create function pg_temp.deliver(type text, data jsonb)
returns text
language plpgsql
as $$
declare
  number constant bigint := nextval('pg_temp.deliveries');
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event('msg_' || number, jsonb_build_object(
    'type', type,
    'timestamp', 1760000000000 + number,
    'data', '{"updated_at": 1760000000000}' || data));
  reset role;
  return answer ->> 'outcome';
end
$$;

create function pg_temp.join_team(id text, organization text, person text, role text, created_at bigint default 1760000000000)
returns text
language sql
as $$
  select pg_temp.deliver('organizationMembership.created', jsonb_build_object(
    'id', id,
    'organization', jsonb_build_object('id', organization),
    'public_user_data', jsonb_build_object('user_id', person),
    'role', role,
    'created_at', created_at))
$$;

create function pg_temp.invite(id text, address text, changes jsonb default '{}')
returns text
language sql
as $$
  select pg_temp.deliver('organizationInvitation.created', jsonb_build_object(
    'id', id,
    'organization_id', 'org_acme',
    'email_address', address,
    'role', 'org:member',
    'status', 'pending',
    'inviter_id', 'user_alice',
    'expires_at', 4070908800000) || changes)
$$;

create function pg_temp.pay(id text, payer jsonb)
returns text
language sql
as $$
  select pg_temp.deliver('subscriptionItem.active', jsonb_build_object(
    'id', id,
    'status', 'active',
    'plan', '{"id": "cplan_1", "slug": "pro", "name": "Pro"}'::jsonb,
    'payer', payer))
$$;

-- The ids of everything that the caller sees.
create function pg_temp.sights()
returns setof text
language sql
as $$
  select id from public.profiles
  union all
  select id from public.organizations
  union all
  select id from public.organization_memberships
  union all
  select id from public.organization_invitations
  union all
  select id from public.subscription_items
$$;

-- Statements that try to write.
create function pg_temp.attempts()
returns table (deed text, statement text)
language sql
as $$
  select
    format('%s %s', verb, replace(name, '_', ' ')),
    case verb
      when 'insert' then format('insert into public.%I (id) values (''forged'')', name)
      when 'update' then format('update public.%I set id = id', name)
      when 'delete' then format('delete from public.%I', name)
      when 'truncate' then format('truncate public.%I cascade', name)
    end
  from unnest(array[
    'organizations', 'organization_memberships', 'organization_invitations', 'subscription_items'
  ]) as name
  cross join unnest(array['insert', 'update', 'delete', 'truncate']) as verb
$$;

-- Runs a statement as the webhook, whose role cannot call pgTAP itself.
create function pg_temp.as_webhook(statement text)
returns void
language plpgsql
as $$
begin
  set local role clerk_ingest;
  execute statement;
  reset role;
end
$$;

create temp table arranged as
select outcome
from (
  select pg_temp.deliver('user.created', jsonb_build_object(
    'id', 'user_' || name,
    'first_name', initcap(name),
    'unsafe_metadata', case name when 'mallory' then '{"role": "admin", "org_role": "org:admin"}' else '{}' end::jsonb,
    'primary_email_address_id', 'idn_1',
    'email_addresses', jsonb_build_array(jsonb_build_object(
      'id', 'idn_1',
      'email_address', initcap(name) || '@Example.com',
      'verification', jsonb_build_object('status', case name when 'uma' then 'unverified' else 'verified' end)))))
  from unnest(array['alice', 'bob', 'ron', 'carol', 'dave', 'eve', 'mallory', 'ivan', 'uma']) as name
) as users (outcome)
union all
select unnest(array[
  pg_temp.deliver('organization.created', '{"id": "org_acme", "name": "Acme", "slug": "acme"}'),
  pg_temp.deliver('organization.created', '{"id": "org_other", "name": "Other"}'),

  pg_temp.join_team('orgmem_alice', 'org_acme', 'user_alice', 'org:admin'),
  pg_temp.join_team('orgmem_bob', 'org_acme', 'user_bob', 'org:member'),
  pg_temp.join_team('orgmem_ron1', 'org_acme', 'user_ron', 'org:admin', 1750000000000),
  pg_temp.join_team('orgmem_ron2', 'org_acme', 'user_ron', 'org:member', 1760000000000),
  pg_temp.join_team('orgmem_carol', 'org_acme', 'user_carol', 'org:admin'),
  pg_temp.join_team('orgmem_dave', 'org_acme', 'user_dave', 'org:admin'),
  pg_temp.join_team('orgmem_eve', 'org_other', 'user_eve', 'org:admin'),

  pg_temp.invite('orginv_ivan', 'iVAN@exAMPLE.com'),
  pg_temp.invite('orginv_ivanforever', 'ivan@example.com', '{"expires_at": null}'),
  pg_temp.invite('orginv_ivanexpired', 'ivan@example.com', '{"expires_at": 1700000000000}'),
  pg_temp.invite('orginv_ivanaccepted', 'ivan@example.com', '{"status": "accepted"}'),
  pg_temp.invite('orginv_uma', 'uma@example.com'),
  pg_temp.invite('orginv_dave', 'dave@example.com'),
  pg_temp.invite('orginv_stranger', 'stranger@example.com'),
  pg_temp.invite('orginv_other', 'stranger@example.com', '{"organization_id": "org_other"}'),

  pg_temp.pay('csub_item_acme', '{"organization_id": "org_acme", "user_id": "user_carol"}'),
  pg_temp.pay('csub_item_other', '{"organization_id": "org_other"}'),
  pg_temp.pay('csub_item_bob', '{"user_id": "user_bob", "organization_id": ""}'),
  pg_temp.pay('csub_item_dave', '{"user_id": "user_dave"}')
]);

select is(
  (select array_agg(distinct outcome) from arranged), array['applied'],
  'control: everything that the tests need was applied'
);

do $$
begin
  perform pg_temp.deliver('organizationMembership.deleted', '{
    "id": "orgmem_carol", "organization": {"id": "org_acme"}, "public_user_data": {"user_id": "user_carol"}
  }');
  perform pg_temp.deliver('user.deleted', '{"id": "user_dave"}');
end
$$;

-- Everything that exists, for the controls.
select set_eq(
  $$ select pg_temp.sights() $$,
  array[
    'user_alice', 'user_bob', 'user_ron', 'user_carol', 'user_dave', 'user_eve', 'user_mallory',
    'user_ivan', 'user_uma',
    'org_acme', 'org_other',
    'orgmem_alice', 'orgmem_bob', 'orgmem_ron1', 'orgmem_ron2', 'orgmem_eve',
    'orginv_ivan', 'orginv_ivanforever', 'orginv_ivanexpired', 'orginv_ivanaccepted', 'orginv_uma',
    'orginv_dave', 'orginv_stranger', 'orginv_other',
    'csub_item_acme', 'csub_item_other', 'csub_item_bob'
  ],
  'control: all of this exists'
);
select results_eq(
  $$
    select message ->> 'topic', message ->> 'id'
    from pgmq.q_clerk_changes
    where message ->> 'id' ^@ 'orgmem_ron'
    order by msg_id
  $$,
  $$ values ('membership.created', 'orgmem_ron1'), ('membership.created', 'orgmem_ron2') $$,
  'a membership that no longer counts is not announced: only its deletion is'
);
select hasnt_column(
  'public', name, 'private_metadata',
  format('there is no private metadata in %s', name)
)
from unnest(array[
  'organizations', 'organization_memberships', 'organization_invitations', 'subscription_items'
]::name[]) as name;


-- Alice, an admin ----------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated", "v": 2, "o": {"id": "org_acme", "rol": "admin"}}';

select results_eq(
  'select id, name, slug from organizations',
  $$ values ('org_acme', 'Acme', 'acme') $$,
  'a member reads her organization, and no other'
);
select set_eq(
  'select id, member_name from organization_memberships',
  $$ values ('orgmem_alice', 'Alice'), ('orgmem_bob', 'Bob'), ('orgmem_ron2', 'Ron') $$,
  'a member reads the members of her organization, by name'
);
select set_eq(
  'select id from organization_invitations',
  array[
    'orginv_ivan', 'orginv_ivanforever', 'orginv_ivanexpired', 'orginv_ivanaccepted', 'orginv_uma',
    'orginv_dave', 'orginv_stranger'
  ],
  'an admin reads every invitation of her organization, and none of another'
);
select set_eq(
  'select id from subscription_items',
  array['csub_item_acme'],
  'a member reads her organization''s items, and no personal item of another member'
);
select set_eq(
  'select id from profiles',
  array['user_alice'],
  'an admin reads her own profile, and not those of her members'
);
reset role;
update organizations set
  name = null, slug = null, updated_at = null, deleted_at = '2025-10-10'
where id = 'org_acme';
set local role authenticated;
select is_empty(
  'table organizations',
  'a member cannot read a deleted organization, even if a membership were left behind'
);
reset role;
update organizations set name = 'Acme', slug = 'acme', deleted_at = null where id = 'org_acme';
set local role authenticated;
select isnt_empty('table organizations', 'control: a member reads the organization while it is not deleted');
select is_empty(
  $$ select from organization_memberships where organization_id = 'org_other' $$,
  'an admin cannot read the members of another organization by its id'
);
select throws_ok(statement, '42501', null, 'an admin cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Bob, a member ------------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_bob", "role": "authenticated"}';

select set_eq(
  'select pg_temp.sights()',
  array[
    'user_bob', 'org_acme', 'orgmem_alice', 'orgmem_bob', 'orgmem_ron2', 'csub_item_acme',
    'csub_item_bob'
  ],
  'a member reads his team and his own items, whichever organization is active, but no invitations'
);
select is_empty(
  'table organization_invitations',
  'a member who is not an admin reads no invitation of his organization'
);
select is_empty(
  $$ select from organization_memberships where id = 'orgmem_ron1' $$,
  'other members see only the newest membership of a member who came back'
);
select throws_ok(statement, '42501', null, 'a member cannot ' || deed)
from pg_temp.attempts();

set local request.jwt.claims = '{"sub": "user_bob", "role": "authenticated", "v": 2, "o": {"id": "org_acme", "rol": "admin"}}';
select is_empty(
  'table organization_invitations',
  'a member whose token calls him admin reads no invitation: the table decides'
);

reset role;

-- A custom role that may manage memberships, whatever it is called.
update organization_memberships set role = 'org:owner', permissions = '{org:sys_memberships:manage}' where id = 'orgmem_bob';
set local role authenticated;
select set_eq(
  'select distinct organization_id from organization_invitations',
  array['org_acme'],
  'a member whose role may manage memberships reads the invitations of his organization, and of no other'
);
reset role;
update organization_memberships set permissions = '{org:sys_memberships:read}' where id = 'orgmem_bob';
set local role authenticated;
select is_empty(
  'table organization_invitations',
  'a member whose role may only read memberships reads no invitation'
);
reset role;
update organization_memberships set role = 'org:member', permissions = default where id = 'orgmem_bob';


-- Ron, who came back with less ---------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_ron", "role": "authenticated", "org_id": "org_acme", "org_role": "org:admin"}';

select set_eq(
  'select pg_temp.sights()',
  array[
    'user_ron', 'org_acme', 'orgmem_alice', 'orgmem_bob', 'orgmem_ron2', 'csub_item_acme'
  ],
  'a former admin who came back as a member reads by the newest membership, and sees only that one'
);
select ok(
  not clerk.has_org_role('admin') and clerk.has_org_role('member'),
  'the role of an old membership whose deletion is late does not count'
);

reset role;

-- The other way round: demoted first, then back as an admin.
update organization_memberships set created_at = '2026-01-01' where id = 'orgmem_ron1';
set local role authenticated;
select isnt_empty(
  'table organization_invitations',
  'control: the admin''s membership counts when it is the newer one'
);
reset role;
update organization_memberships set created_at = '2025-10-09 08:53:20+00' where id in ('orgmem_ron1', 'orgmem_ron2');
set local role authenticated;
select set_eq(
  $$ select id from organization_memberships where user_id = 'user_ron' $$,
  array['orgmem_ron2'],
  'of two memberships made at the same time, the one with the greater id counts'
);
select is_empty('table organization_invitations', 'the role of the membership with the greater id counts, too');
reset role;
update organization_memberships set created_at = null where id = 'orgmem_ron1';
set local role authenticated;
select set_eq(
  $$ select id from organization_memberships where user_id = 'user_ron' $$,
  array['orgmem_ron2'],
  'a membership without created_at counts as older than one with it'
);
reset role;


-- Memberships that do not count -----------------------------------------------------------------

-- Memberships that are wrongly marked, or wrongly not.
create function pg_temp.mistakes()
returns setof text
language sql
as $$
  select id
  from (
    select
      id,
      superseded,
      row_number() over (
        partition by organization_id, user_id order by created_at desc nulls last, id collate "C" desc
      ) as place
    from public.organization_memberships
  ) as membership
  where superseded <> (place > 1)
$$;

-- Runs a statement, which is undone; returns what is superseded afterwards, and the mistakes.
create function pg_temp.superseded_after(statement text)
returns text
language plpgsql
as $$
declare
  marked text;
begin
  begin
    execute statement;
    select format('%s, mistakes: %s',
      array(select id from public.organization_memberships where superseded order by id), array(select pg_temp.mistakes()))
    into marked;
    raise exception using errcode = 'P0999';
  exception
    when sqlstate 'P0999' then
      return marked;
  end;
end
$$;

select is(
  pg_temp.superseded_after(statement), format('%s, mistakes: {}', superseded),
  format('%s leaves %s superseded', what, superseded)
)
from (
  values
    ('a time that another event gives', $$ select pg_temp.join_team('orgmem_ron1', 'org_acme', 'user_ron', 'org:admin', 1770000000000) $$, '{orgmem_ron2}'),
    ('a third membership, older than both', $$ select pg_temp.join_team('orgmem_ron0', 'org_acme', 'user_ron', 'org:admin', 1740000000000) $$, '{orgmem_ron0,orgmem_ron1}'),
    ('the deletion of the newest of three', $$
      select pg_temp.join_team('orgmem_ron3', 'org_acme', 'user_ron', 'org:admin', 1770000000000);
      select pg_temp.deliver('organizationMembership.deleted', '{"id": "orgmem_ron3", "organization": {"id": "org_acme"}, "public_user_data": {"user_id": "user_ron"}}')
    $$, '{orgmem_ron1}'),
    ('the late deletion', $$ select pg_temp.deliver('organizationMembership.deleted', '{"id": "orgmem_ron1", "organization": {"id": "org_acme"}}') $$, '{}'),
    ('the newest membership, given to another member,', $$ select pg_temp.join_team('orgmem_ron2', 'org_acme', 'user_bob', 'org:member', 1770000000000) $$, '{orgmem_bob}'),
    ('the newest membership, moved to another organization,', $$ select pg_temp.join_team('orgmem_ron2', 'org_other', 'user_ron', 'org:member') $$, '{}'),
    ('the deletion of the person', $$ select pg_temp.deliver('user.deleted', '{"id": "user_ron"}') $$, '{}'),
    ('the deletion of the organization', $$ select pg_temp.deliver('organization.deleted', '{"id": "org_acme"}') $$, '{}'),
    ('an operator who deletes the profile', $$ delete from profiles where id = 'user_ron' $$, '{}'),
    ('an operator who deletes the organization', $$ delete from organizations where id = 'org_acme' $$, '{}')
) as changes (what, statement, superseded);


-- Carol, a former member ---------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_carol", "role": "authenticated", "v": 2, "o": {"id": "org_acme", "slg": "acme", "rol": "admin", "per": "posts:read"}}';

select is(clerk.org_id(), 'org_acme', 'control: the former member''s token still names the organization');
select set_eq(
  'select pg_temp.sights()',
  array['user_carol'],
  'a former member with a valid token reads her own profile and nothing of the organization'
);
select is_empty(
  $$ select from subscription_items where user_id = 'user_carol' $$,
  'an organization''s item is not personal, not even to the user who pays for it'
);
select throws_ok(statement, '42501', null, 'a former member cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Dave, deleted ------------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_dave", "role": "authenticated", "v": 2, "o": {"id": "org_acme", "rol": "admin"}}';

select is_empty(
  'select pg_temp.sights()',
  'a deleted user reads nothing: no team, no item of theirs, no invitation to their address'
);
select throws_ok(statement, '42501', null, 'a deleted user cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Eve, an outsider ---------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_eve", "role": "authenticated", "v": 2, "o": {"id": "org_other", "rol": "admin"}}';

select set_eq(
  'select pg_temp.sights()',
  array['user_eve', 'org_other', 'orgmem_eve', 'orginv_other', 'csub_item_other'],
  'the admin of another organization reads everything of that one, and nothing of this'
);
select throws_ok(statement, '42501', null, 'an outsider cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Mallory, a forger --------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{
  "sub": "user_mallory", "role": "authenticated", "v": 2,
  "o": {"id": "org_acme", "rol": "admin", "per": "posts:read"},
  "org_id": "org_acme", "org_role": "org:admin", "org_permissions": ["org:posts:read"],
  "user_metadata": {"role": "admin"}, "app_metadata": {"role": "admin"}, "unsafe_metadata": {"role": "admin"}
}';

select is(
  (select unsafe_metadata ->> 'role' from profiles where id = 'user_mallory'), 'admin',
  'control: a user who writes their own metadata can call themselves admin'
);
select set_eq(
  'select pg_temp.sights()',
  array['user_mallory'],
  'neither metadata nor organization claims make a user a member'
);
select ok(
  not clerk.has_org_role('admin') and not clerk.has_org_permission('posts:read')
    and not clerk.has_plan('pro') and not clerk.is_member_of('org_acme'),
  'neither metadata nor organization claims give a role, a permission or a plan'
);
select throws_ok(statement, '42501', null, 'a forger cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Ivan and Uma, invited ----------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_ivan", "role": "authenticated"}';

select set_eq(
  'select id from organization_invitations',
  array['orginv_ivan', 'orginv_ivanforever'],
  'an invited user reads pending invitations that have not expired, whatever the case of the address'
);
select set_eq(
  'select pg_temp.sights()',
  array['user_ivan', 'orginv_ivan', 'orginv_ivanforever'],
  'an invited user reads nothing else of the organization yet'
);

reset role;
update profiles set banned = true where id = 'user_ivan';
set local role authenticated;
select is_empty('select pg_temp.sights()', 'a banned user reads no invitation, nor anything else');
reset role;
update profiles set banned = false, deprovisioned = true where id = 'user_ivan';
set local role authenticated;
select is_empty('select pg_temp.sights()', 'a deprovisioned user reads no invitation, nor anything else');
reset role;
update profiles set deprovisioned = false where id = 'user_ivan';
set local role authenticated;

set local request.jwt.claims = '{"sub": "user_uma", "role": "authenticated"}';
select is_empty(
  'table organization_invitations',
  'an address that is not verified opens no invitation'
);

set local request.jwt.claims = '{"sub": "user_nobody", "role": "authenticated", "email": "ivan@example.com"}';
select is_empty(
  'table organization_invitations',
  'an address in the token opens no invitation: the profile decides'
);

reset role;

do $$
begin
  perform pg_temp.deliver('user.updated', '{
    "id": "user_uma", "first_name": "Uma", "primary_email_address_id": "idn_1", "email_addresses": [
      {"id": "idn_1", "email_address": "Uma@Example.com", "verification": {"status": "verified"}}
    ]
  }');
  perform pg_temp.deliver('organizationInvitation.revoked', '{
    "id": "orginv_ivan", "organization_id": "org_acme", "email_address": "ivan@example.com", "status": "revoked"
  }');
  perform pg_temp.deliver('user.deleted', '{"id": "user_ivan"}');
end
$$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_uma", "role": "authenticated"}';
select set_eq(
  'select id from organization_invitations',
  array['orginv_uma'],
  'control: once she has verified it, the address opens the invitation'
);
set local request.jwt.claims = '{"sub": "user_ivan", "role": "authenticated"}';
select is_empty(
  'select pg_temp.sights()',
  'a deleted user reads no invitation, even while one to their address is pending'
);
reset role;


-- Vera and Victor, with several addresses ----------------------------------------------------

-- What the user reads of these addresses, once Clerk has told of them.
create function pg_temp.opened_to(person text, verified text[], unverified text[] default '{}')
returns text[]
language plpgsql
as $$
declare
  opened text[];
begin
  perform pg_temp.deliver('user.updated', jsonb_build_object(
    'id', person,
    'updated_at', 1760000000000 + currval('pg_temp.deliveries'),
    'primary_email_address_id', 'idn_1',
    'email_addresses', (
      select jsonb_agg(jsonb_build_object(
        'id', 'idn_' || number,
        'email_address', address,
        'verification', jsonb_build_object('status', case when address = any (unverified) then 'unverified' else 'verified' end)))
      from unnest(verified || unverified) with ordinality as addresses (address, number))));

  perform set_config('request.jwt.claims', jsonb_build_object('sub', person, 'role', 'authenticated')::text, true);
  set local role authenticated;
  opened := array(select email_address from organization_invitations order by email_address collate "C");
  reset role;
  return opened;
end
$$;

do $$
begin
  perform pg_temp.invite('orginv_v' || number, address)
  from unnest(array[
    'vera@home.example', 'Vera@Work.example', 'vera@school.example', U&'dar\212A@example.com', U&'d\0131l@example.com',
    U&'D\0130L@example.com', U&'stra\00DFe@example.com'
  ]) with ordinality as invited (address, number);
end
$$;

select is(
  pg_temp.opened_to('user_vera', '{vera@home.example,vera@work.example}', '{vera@school.example}'),
  '{Vera@Work.example,vera@home.example}',
  'a secondary address opens an invitation once it is verified'
);
select is(
  pg_temp.opened_to('user_vera', '{vera@home.example,vera@school.example,vera@work.example}'),
  '{Vera@Work.example,vera@home.example,vera@school.example}',
  'so does one that is verified later'
);
select is(
  pg_temp.opened_to('user_victor', '{victor@example.com,VERA@WORK.EXAMPLE}'), '{Vera@Work.example}',
  'two users who have verified the same address both read the invitation'
);
select is(
  pg_temp.opened_to('user_vera', '{vera@work.example}', '{vera@school.example}'), '{Vera@Work.example}',
  'an address that is removed, or no longer verified, opens nothing any more'
);
select is(
  pg_temp.opened_to('user_vera', '{}', '{vera@home.example}'), '{}',
  'without a verified address there is no invitation'
);
select is(
  pg_temp.opened_to('user_vera', '{dark@example.com,dil@example.com,DIL@example.com,strasse@example.com}'), '{}',
  'only ASCII letters are folded: not the Kelvin sign to k, not dotless or dotted i to i, not sharp s to ss'
);
select is(
  pg_temp.opened_to('user_vera', array[U&'DAR\212A@EXAMPLE.COM', U&'D\0131L@example.com', U&'d\0130l@example.com', U&'STRA\00DFE@example.com']),
  array[U&'D\0130L@example.com', U&'dar\212A@example.com', U&'d\0131l@example.com', U&'stra\00DFe@example.com'],
  'control: each of these letters is the same as itself'
);
select is(
  pg_temp.opened_to('user_vera', array[U&'d\0130l@example.com', 'vera@home.example']),
  array[U&'D\0130L@example.com', 'vera@home.example'],
  'control: these invitations are there for whoever has verified the address'
);


-- Tokens that name no user -------------------------------------------------------------------

set local role authenticated;

set local request.jwt.claims = '{"role": "authenticated", "o": {"id": "org_acme", "rol": "admin"}}';
select is_empty('select pg_temp.sights()', 'a token without a sub reads nothing of the organization that it names');
set local request.jwt.claims = '{"sub": null, "role": "authenticated", "org_id": "org_acme"}';
select is_empty('select pg_temp.sights()', 'a token whose sub is null reads nothing');
set local request.jwt.claims = '{"sub": "org_acme", "role": "authenticated"}';
select is_empty('select pg_temp.sights()', 'a token whose sub is an organization reads nothing');
set local request.jwt.claims = '{"sub": "user_%", "role": "authenticated"}';
select is_empty('select pg_temp.sights()', 'a token whose sub is a pattern reads nothing');
set local request.jwt.claims = '';
select is_empty('select pg_temp.sights()', 'a request without a token reads nothing');
set local request.jwt.claims = '{"sub": "user_bob", "role": "authenticated"}';
select isnt_empty('select pg_temp.sights()', 'control: the same query reads something with a token that names a user');

reset role;


-- Anonymous callers --------------------------------------------------------------------------

set local role anon;
set local request.jwt.claims = '{"sub": "user_alice", "role": "anon", "org_id": "org_acme"}';

select throws_ok(
  format('table public.%I', name), '42501', null,
  format('an anonymous caller cannot read %s, whatever the claims say', replace(name, '_', ' '))
)
from unnest(array[
  'organizations', 'organization_memberships', 'organization_invitations', 'subscription_items'
]) as name;
select throws_ok(statement, '42501', null, 'an anonymous caller cannot ' || deed)
from pg_temp.attempts();

reset role;


-- The webhook and the backend ----------------------------------------------------------------

select throws_ok(
  format('select pg_temp.as_webhook(%L)', 'table public.' || name), '42501', null,
  format('the webhook cannot read %s', replace(name, '_', ' '))
)
from unnest(array[
  'organizations', 'organization_memberships', 'organization_invitations', 'subscription_items'
]) as name;

set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';

select is(
  (select count(*) from pg_temp.sights()), 36::bigint,
  'a backend reads everything, even tombstones and memberships that do not count'
);
select throws_ok(statement, '42501', null, 'a backend cannot ' || deed)
from pg_temp.attempts();

reset role;


-- A column of the application ----------------------------------------------------------------

alter table organization_memberships add title text;
grant update (title) on organization_memberships to service_role;
do $$ begin perform pgmq.purge_queue('clerk_changes'); end $$;

set local role service_role;
select results_eq(
  $$ update organization_memberships set title = 'Captain' where id = 'orgmem_bob' returning title $$,
  array['Captain'],
  'a backend can write a column that the application added to memberships and opened'
);
reset role;
select is_empty('table pgmq.q_clerk_changes', 'a write of the application''s column announces nothing');
set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';
select results_eq(
  $$ select title from organization_memberships where id = 'orgmem_bob' $$,
  array['Captain'],
  'control: the write succeeded, and the team reads the column'
);
select throws_ok(
  $$ update organization_memberships set title = 'Cook' $$, '42501', null,
  'the team cannot write the column unless the application allows it'
);
reset role;
do $$
begin
  perform pg_temp.join_team('orgmem_bob', 'org_acme', 'user_bob', 'org:admin');
end
$$;
select results_eq(
  $$ select role, title from organization_memberships where id = 'orgmem_bob' $$,
  $$ values ('org:admin', 'Captain') $$,
  'the sync writes its own columns and leaves the application''s alone'
);

select * from finish();
rollback;
