-- One row per Clerk user. The sync is the only writer of the columns listed here; columns that
-- the application adds belong to the application, and the sync never touches them.
--
-- NOTE: no unique constraint on email, phone or username: a person who deletes the account and
-- signs up again has a new id and the same address.

create table public.profiles (
  id text primary key,
  external_id text,
  username text,
  first_name text,
  last_name text,
  full_name text generated always as (
    nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
  ) stored,
  locale text,
  image_url text,
  has_image boolean not null default false,
  email text,
  email_verified boolean not null default false,
  verified_emails text[] not null default '{}',
  phone text,
  phone_verified boolean not null default false,
  public_metadata jsonb not null default '{}',
  unsafe_metadata jsonb not null default '{}',
  banned boolean not null default false,
  locked boolean not null default false,
  deprovisioned boolean not null default false,
  two_factor_enabled boolean not null default false,
  last_sign_in_at timestamptz,
  last_active_at timestamptz,
  legal_accepted_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint profiles_id_is_a_clerk_user_id check (id ^@ 'user_'),
  constraint profiles_verified_email_exists check (email is not null or not email_verified),
  constraint profiles_verified_phone_exists check (phone is not null or not phone_verified),
  constraint profiles_tombstone_holds_no_person check (
    deleted_at is null
    or (
      num_nonnulls(
        external_id, username, first_name, last_name, locale, image_url, email, phone,
        last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at
      ) = 0
      and not (has_image or banned or locked or deprovisioned or two_factor_enabled)
      and verified_emails = '{}'
      and public_metadata = '{}'
      and unsafe_metadata = '{}'
    )
  )
);

comment on table public.profiles is
  'One row per Clerk user, kept equal to Clerk by the sync and read by its owner. A deleted user leaves a tombstone: the id and deleted_at.';
comment on column public.profiles.id is 'Clerk''s data.id (user_…). Text, not uuid.';
comment on column public.profiles.external_id is
  'Your own id for the user, as told to Clerk; null when unset.';
comment on column public.profiles.username is
  'Null when the instance uses none. Not unique here: a deleted user''s name can be taken again.';
comment on column public.profiles.first_name is 'Null when unset.';
comment on column public.profiles.last_name is 'Null when unset.';
comment on column public.profiles.full_name is
  'First and last name with a space between; null when both are missing. Generated.';
comment on column public.profiles.locale is 'Language tag; null when unset.';
comment on column public.profiles.image_url is
  'Set even for people without a picture of their own (see has_image).';
comment on column public.profiles.has_image is 'Whether the person chose a picture.';
comment on column public.profiles.email is
  'The address whose id is Clerk''s primary_email_address_id, never merely the first one; null for users without. Not unique.';
comment on column public.profiles.email_verified is
  'True only when that address has verification.status = verified.';
comment on column public.profiles.verified_emails is
  'Every address of the user with verification.status = verified, the primary one included: as Clerk spells it, sorted, each once. Without addresses longer than 320 characters. NOTE: for the user''s own eyes: a policy that opens profiles to others opens this column, too.';
comment on column public.profiles.phone is
  'The number whose id is Clerk''s primary_phone_number_id, E.164; null for users without. Not unique.';
comment on column public.profiles.phone_verified is
  'True only when that number has verification.status = verified.';
comment on column public.profiles.public_metadata is
  'Written by your backend, readable by the person.';
comment on column public.profiles.unsafe_metadata is
  'WRITTEN BY THE USER''S BROWSER. Never use it to decide what somebody may do.';
comment on column public.profiles.banned is 'Whether Clerk refuses the user to sign in.';
comment on column public.profiles.locked is 'Whether too many sign-ins failed.';
comment on column public.profiles.deprovisioned is
  'Whether Directory Sync removed the user, which is an update and not a deletion.';
comment on column public.profiles.two_factor_enabled is 'Whether a second factor is set up.';
comment on column public.profiles.last_sign_in_at is 'Null before the first sign-in.';
comment on column public.profiles.last_active_at is
  'As of the newest event. A change of it alone is not announced.';
comment on column public.profiles.legal_accepted_at is 'Null when consent was not asked for.';
comment on column public.profiles.created_at is 'By Clerk''s clock; null in a tombstone.';
comment on column public.profiles.updated_at is
  'By Clerk''s clock, never ours; null in a tombstone.';
comment on column public.profiles.deleted_at is
  'When Clerk deleted the user; all personal columns are then empty. Null for living users.';
comment on column public.profiles.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create function clerk_sync.profile_from_clerk(data jsonb)
returns public.profiles
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  profile public.profiles;
  primary_email jsonb;
  verified_emails jsonb;
  primary_phone jsonb;
begin
  -- The primary entry by its id, never by its place: it may stand last, or be missing.
  primary_email := jsonb_path_query_first(
    data,
    '$.email_addresses[*] ? (
      @.id == $primary && @.id.type() == "string" && @.email_address.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_email_address_id')
  );
  -- Strict, because lax would look into lists where Clerk has objects; silent, because of entries of
  -- another shape.
  verified_emails := jsonb_path_query_array(
    data,
    'strict $.email_addresses[*] ? (
      @.verification.status == "verified" && @.email_address.type() == "string"
    ).email_address',
    silent => true
  );
  primary_phone := jsonb_path_query_first(
    data,
    '$.phone_numbers[*] ? (
      @.id == $primary && @.id.type() == "string" && @.phone_number.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_phone_number_id')
  );

  profile.id := data ->> 'id';
  profile.external_id := data ->> 'external_id';
  profile.username := data ->> 'username';
  profile.first_name := data ->> 'first_name';
  profile.last_name := data ->> 'last_name';
  profile.locale := data ->> 'locale';
  profile.image_url := data ->> 'image_url';
  profile.has_image := data @> '{"has_image": true}';
  profile.email := primary_email ->> 'email_address';
  profile.email_verified := coalesce(primary_email #>> '{verification,status}' = 'verified', false);
  if jsonb_array_length(verified_emails) = 1 and length(verified_emails ->> 0) <= 320 then
    -- As below, without the cost of a query: most people have one.
    profile.verified_emails := array[verified_emails ->> 0];
  else
    profile.verified_emails := array(
      select distinct address collate "C"
      from jsonb_array_elements_text(verified_emails) as address
      -- No real address is longer.
      where length(address) <= 320
      order by 1
    );
  end if;
  profile.phone := primary_phone ->> 'phone_number';
  profile.phone_verified := coalesce(primary_phone #>> '{verification,status}' = 'verified', false);
  profile.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  profile.unsafe_metadata := coalesce(nullif(data -> 'unsafe_metadata', 'null'), '{}');
  profile.banned := data @> '{"banned": true}';
  profile.locked := data @> '{"locked": true}';
  profile.deprovisioned := data @> '{"deprovisioned": true}';
  profile.two_factor_enabled := data @> '{"two_factor_enabled": true}';
  profile.last_sign_in_at := clerk_sync.to_time(data -> 'last_sign_in_at');
  profile.last_active_at := clerk_sync.to_time(data -> 'last_active_at');
  profile.legal_accepted_at := clerk_sync.to_time(data -> 'legal_accepted_at');
  profile.created_at := clerk_sync.to_time(data -> 'created_at');
  profile.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return profile;
end
$$;

comment on function clerk_sync.profile_from_clerk(jsonb) is
  'The synced columns of a profile from a Clerk user, as in the webhook''s data or the Backend API; all other columns are null. NOTE: private_metadata is not among them and must never be.';

create function clerk_sync.upsert_profiles(objects jsonb[], deleted_at timestamptz default null)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.profiles as kept (
    id, external_id, username, first_name, last_name, locale, image_url, has_image,
    email, email_verified, verified_emails, phone, phone_verified, public_metadata,
    unsafe_metadata, banned, locked, deprovisioned, two_factor_enabled,
    last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at, deleted_at
  )
  select
    read.id, read.external_id, read.username, read.first_name, read.last_name, read.locale,
    read.image_url, read.has_image, read.email, read.email_verified, read.verified_emails,
    read.phone, read.phone_verified, read.public_metadata, read.unsafe_metadata, read.banned,
    read.locked, read.deprovisioned, read.two_factor_enabled, read.last_sign_in_at,
    read.last_active_at, read.legal_accepted_at, read.created_at, read.updated_at,
    upsert_profiles.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.profile_from_clerk(object) as read
  on conflict (id) do update set
    external_id = excluded.external_id,
    username = excluded.username,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    locale = excluded.locale,
    image_url = excluded.image_url,
    has_image = excluded.has_image,
    email = excluded.email,
    email_verified = excluded.email_verified,
    verified_emails = excluded.verified_emails,
    phone = excluded.phone,
    phone_verified = excluded.phone_verified,
    public_metadata = excluded.public_metadata,
    unsafe_metadata = excluded.unsafe_metadata,
    banned = excluded.banned,
    locked = excluded.locked,
    deprovisioned = excluded.deprovisioned,
    two_factor_enabled = excluded.two_factor_enabled,
    last_sign_in_at = excluded.last_sign_in_at,
    last_active_at = excluded.last_active_at,
    legal_accepted_at = excluded.legal_accepted_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    synced_at = now()
  -- A row that would not change is not written, so that no trigger fires for nothing.
  where (
    kept.external_id, kept.username, kept.first_name, kept.last_name, kept.locale,
    kept.image_url, kept.has_image, kept.email, kept.email_verified, kept.verified_emails,
    kept.phone, kept.phone_verified, kept.public_metadata, kept.unsafe_metadata, kept.banned,
    kept.locked, kept.deprovisioned, kept.two_factor_enabled, kept.last_sign_in_at,
    kept.last_active_at, kept.legal_accepted_at, kept.created_at, kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.external_id, excluded.username, excluded.first_name, excluded.last_name,
    excluded.locale, excluded.image_url, excluded.has_image, excluded.email,
    excluded.email_verified, excluded.verified_emails, excluded.phone, excluded.phone_verified,
    excluded.public_metadata, excluded.unsafe_metadata, excluded.banned, excluded.locked,
    excluded.deprovisioned, excluded.two_factor_enabled, excluded.last_sign_in_at,
    excluded.last_active_at, excluded.legal_accepted_at, excluded.created_at, excluded.updated_at,
    excluded.deleted_at
  );
end
$$;

comment on function clerk_sync.upsert_profiles(jsonb[], timestamptz) is
  'Writes the synced columns of public.profiles from Clerk users, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the users and claimed the versions.';

create function clerk_sync.add_profile(id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.profiles (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = add_profile.id
    and objects.deleted_at is null
  on conflict on constraint profiles_pkey do nothing;
end
$$;

comment on function clerk_sync.add_profile(text) is
  'Inserts a profile with nothing but the id, for a membership or a signed-in browser that came before the user''s own event; unless it is there or deleted. The caller has locked the user.';

create function clerk_sync.erase_profile(user_id text, deleted_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  perform clerk_sync.keep_plans_of_failed(erase_profile.user_id);

  -- Locked in one order, so that the deletion of an organization at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.user_id = erase_profile.user_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.user_id = erase_profile.user_id;

  perform
  from public.subscription_items
  where subscription_items.user_id = erase_profile.user_id
    and organization_id is null
  order by id
  for update;

  delete from public.subscription_items
  where subscription_items.user_id = erase_profile.user_id
    and organization_id is null;

  -- The tombstone is what the mapping makes of nothing but the id, and deleted_at.
  perform clerk_sync.upsert_profiles(array[jsonb_build_object('id', user_id)], deleted_at);

  perform clerk_sync.erase_from_inbox(erase_profile.user_id);
  perform clerk_sync.erase_from_register(erase_profile.user_id);
end
$$;

comment on function clerk_sync.erase_profile(text, timestamptz) is
  'Leaves a tombstone in public.profiles, deletes the person''s memberships and personal subscription items, and erases the person from the inbox and from the register''s data. Columns that the application added stay: erasing those is up to the application.';

-- Not compared: updated_at, last_active_at and synced_at, which move with every event, and full_name,
-- which follows from the names.
create trigger _900_announce
  after insert or update on public.profiles
  for each row
  execute function clerk_sync.tg__announce(
    'profile', 'external_id', 'username', 'first_name', 'last_name', 'locale', 'image_url',
    'has_image', 'email', 'email_verified', 'verified_emails', 'phone', 'phone_verified',
    'public_metadata', 'unsafe_metadata', 'banned', 'locked', 'deprovisioned', 'two_factor_enabled',
    'last_sign_in_at', 'legal_accepted_at', 'created_at', 'deleted_at'
  );

comment on trigger _900_announce on public.profiles is
  'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

alter table public.profiles enable row level security;

create policy profiles_select_own
  on public.profiles
  as permissive
  for select
  to authenticated
  using (id = (select clerk.user_id()) and deleted_at is null and not (banned or deprovisioned));

comment on policy profiles_select_own on public.profiles is
  'People read their own profile, unless they are banned or deprovisioned. NOTE: no insert, update or delete policy: the sync is the only writer.';

-- NOTE: nobody may insert, update or delete, here and on the other synced tables: only the sync writes
-- their columns. The application grants update of the columns that it adds.
revoke all on table public.profiles from public, anon, authenticated, service_role;
grant select on table public.profiles to authenticated, service_role;
