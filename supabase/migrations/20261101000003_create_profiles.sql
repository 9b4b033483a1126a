-- One row per Clerk user. The sync is the only writer of the columns listed here; columns that
-- the application adds are the application's, and the sync never touches them.
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
      and public_metadata = '{}'
      and unsafe_metadata = '{}'
    )
  )
);

comment on table public.profiles is
  'One row per Clerk user, kept equal to Clerk by the sync and read by its owner. A deleted user leaves a tombstone: the id and deleted_at.';
comment on column public.profiles.id is
  'Clerk''s data.id (user_…). Text, not uuid.';
comment on column public.profiles.external_id is
  'Clerk''s external_id; null when unset.';
comment on column public.profiles.username is
  'Clerk''s username; null when the instance uses none. Not unique here: a deleted user''s name can be taken again.';
comment on column public.profiles.first_name is
  'Clerk''s first_name; null when unset.';
comment on column public.profiles.last_name is
  'Clerk''s last_name; null when unset.';
comment on column public.profiles.full_name is
  'First and last name with a space between; null when both are missing. Generated.';
comment on column public.profiles.locale is
  'Clerk''s locale; null when unset.';
comment on column public.profiles.image_url is
  'Clerk''s image_url; set even for people without a picture of their own (see has_image).';
comment on column public.profiles.has_image is
  'Clerk''s has_image: the person chose a picture.';
comment on column public.profiles.email is
  'The address whose id is Clerk''s primary_email_address_id, never merely the first one; null for users without. Not unique.';
comment on column public.profiles.email_verified is
  'True only when that address has verification.status = verified.';
comment on column public.profiles.phone is
  'The number whose id is Clerk''s primary_phone_number_id, E.164; null for users without. Not unique.';
comment on column public.profiles.phone_verified is
  'True only when that number has verification.status = verified.';
comment on column public.profiles.public_metadata is
  'Clerk''s public_metadata: written by your backend, readable by the person.';
comment on column public.profiles.unsafe_metadata is
  'Clerk''s unsafe_metadata: WRITTEN BY THE USER''S BROWSER. Never decide by it what somebody may do.';
comment on column public.profiles.banned is
  'Clerk''s banned.';
comment on column public.profiles.locked is
  'Clerk''s locked: too many failed sign-ins.';
comment on column public.profiles.deprovisioned is
  'Clerk''s deprovisioned: removed by Directory Sync, which is an update and not a deletion.';
comment on column public.profiles.two_factor_enabled is
  'Clerk''s two_factor_enabled.';
comment on column public.profiles.last_sign_in_at is
  'Clerk''s last_sign_in_at; null before the first sign-in.';
comment on column public.profiles.last_active_at is
  'Clerk''s last_active_at, as of the newest event. A change of it alone is not announced.';
comment on column public.profiles.legal_accepted_at is
  'Clerk''s legal_accepted_at; null when consent was not asked for.';
comment on column public.profiles.created_at is
  'Clerk''s created_at; null in a tombstone.';
comment on column public.profiles.updated_at is
  'Clerk''s updated_at, never our clock; null in a tombstone.';
comment on column public.profiles.deleted_at is
  'When Clerk deleted the user; all personal columns are then empty. Null for living users.';
comment on column public.profiles.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

alter table public.profiles enable row level security;

create policy profiles_select_own
  on public.profiles
  as permissive
  for select
  to authenticated
  using (id = (select clerk.user_id()) and deleted_at is null);

comment on policy profiles_select_own on public.profiles is
  'People read their own profile. NOTE: no insert, update or delete policy: the sync is the only writer.';

-- service_role may update, so that a backend can fill columns that the application added. It may
-- neither insert nor delete: rows come and go with Clerk's users.
revoke all on table public.profiles from public, anon, authenticated, service_role;
grant select on table public.profiles to authenticated;
grant select, update on table public.profiles to service_role;
