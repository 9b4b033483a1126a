-- How one object is written. Webhook, replay and backfill meet here, so that a row looks the same
-- whichever way it came. The caller holds the register locks and has claimed the version.

create function clerk_sync.upsert_user(data jsonb)
returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  insert into public.profiles as kept (
    id, external_id, username, first_name, last_name, locale, image_url, has_image,
    email, email_verified, phone, phone_verified, public_metadata, unsafe_metadata,
    banned, locked, deprovisioned, two_factor_enabled,
    last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at
  )
  select
    id, external_id, username, first_name, last_name, locale, image_url, has_image,
    email, email_verified, phone, phone_verified, public_metadata, unsafe_metadata,
    banned, locked, deprovisioned, two_factor_enabled,
    last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at
  from clerk_sync.profile_from_user(data)
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
    synced_at = now()
  -- A row that would not change is not written, so that no trigger fires for nothing.
  where (
    kept.external_id, kept.username, kept.first_name, kept.last_name, kept.locale,
    kept.image_url, kept.has_image, kept.email, kept.email_verified, kept.phone,
    kept.phone_verified, kept.public_metadata, kept.unsafe_metadata, kept.banned, kept.locked,
    kept.deprovisioned, kept.two_factor_enabled, kept.last_sign_in_at, kept.last_active_at,
    kept.legal_accepted_at, kept.created_at, kept.updated_at
  ) is distinct from (
    excluded.external_id, excluded.username, excluded.first_name, excluded.last_name,
    excluded.locale, excluded.image_url, excluded.has_image, excluded.email,
    excluded.email_verified, excluded.phone, excluded.phone_verified, excluded.public_metadata,
    excluded.unsafe_metadata, excluded.banned, excluded.locked, excluded.deprovisioned,
    excluded.two_factor_enabled, excluded.last_sign_in_at, excluded.last_active_at,
    excluded.legal_accepted_at, excluded.created_at, excluded.updated_at
  )
$$;

comment on function clerk_sync.upsert_user(jsonb) is
  'Writes the synced columns of one profile from a Clerk user; leaves every other column, and a row that would not change, alone.';

revoke all on function clerk_sync.upsert_user(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.delete_user(user_id text, deleted_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- The tombstone: the id and deleted_at, every other synced column back at its default.
  insert into public.profiles as kept (id, deleted_at)
  values (delete_user.user_id, delete_user.deleted_at)
  on conflict (id) do update set
    external_id = default,
    username = default,
    first_name = default,
    last_name = default,
    locale = default,
    image_url = default,
    has_image = default,
    email = default,
    email_verified = default,
    phone = default,
    phone_verified = default,
    public_metadata = default,
    unsafe_metadata = default,
    banned = default,
    locked = default,
    deprovisioned = default,
    two_factor_enabled = default,
    last_sign_in_at = default,
    last_active_at = default,
    legal_accepted_at = default,
    created_at = default,
    updated_at = default,
    deleted_at = excluded.deleted_at,
    synced_at = now();

  perform clerk_sync.erase_from_inbox(delete_user.user_id);
end
$$;

comment on function clerk_sync.delete_user(text, timestamptz) is
  'Leaves a tombstone in profiles and erases the person from the inbox. Columns that the application added stay: erasing those is the application''s part.';

revoke all on function clerk_sync.delete_user(text, timestamptz)
  from public, anon, authenticated, service_role;

create function clerk_sync.erase_from_inbox(user_id text)
returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  -- Locked in one order, so that two deletions that share messages cannot deadlock.
  with spoken_of as (
    select message_id
    from clerk_sync.inbox
    where (
        (cardinality(subjects) = 1 and subjects[1] = erase_from_inbox.user_id)
        or (cardinality(subjects) > 1 and subjects @> array[erase_from_inbox.user_id])
      )
      and (payload is not null or error is not null)
    order by message_id
    for no key update
  )
  update clerk_sync.inbox
  set
    payload = null,
    error = error - '{message,issues}'::text[]
  from spoken_of
  where inbox.message_id = spoken_of.message_id
$$;

comment on function clerk_sync.erase_from_inbox(text) is
  'Erases payload and error text of every message that speaks of the user. Ids, times, outcomes and SQLSTATEs stay.';

revoke all on function clerk_sync.erase_from_inbox(text)
  from public, anon, authenticated, service_role;
