-- How one object is written. Webhook, replay and backfill meet here, so that a row looks the same
-- whichever way it came. The caller holds the register locks and has claimed the version.

create function clerk_sync.upsert_user(data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  read constant record := clerk_sync.profile_from_user(data);
begin
  insert into public.profiles as kept (
    id, external_id, username, first_name, last_name, locale, image_url, has_image,
    email, email_verified, phone, phone_verified, public_metadata, unsafe_metadata,
    banned, locked, deprovisioned, two_factor_enabled,
    last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at
  )
  values (
    read.id, read.external_id, read.username, read.first_name, read.last_name, read.locale,
    read.image_url, read.has_image, read.email, read.email_verified, read.phone,
    read.phone_verified, read.public_metadata, read.unsafe_metadata, read.banned, read.locked,
    read.deprovisioned, read.two_factor_enabled, read.last_sign_in_at, read.last_active_at,
    read.legal_accepted_at, read.created_at, read.updated_at
  )
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
  );
end
$$;

comment on function clerk_sync.upsert_user(jsonb) is
  'Writes the synced columns of one profile from a Clerk user; leaves every other column, and a row that would not change, alone.';

revoke all on function clerk_sync.upsert_user(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.erase_from_inbox(user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
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
  where inbox.message_id = spoken_of.message_id;
end
$$;

comment on function clerk_sync.erase_from_inbox(text) is
  'Erases payload and error text of every message that speaks of the user. Ids, times, outcomes and SQLSTATEs stay.';

revoke all on function clerk_sync.erase_from_inbox(text)
  from public, anon, authenticated, service_role;

create function clerk_sync.delete_user(user_id text, deleted_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- Locked in one order, so that the deletion of an organization at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.user_id = delete_user.user_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.user_id = delete_user.user_id;

  delete from public.subscription_items
  where subscription_items.user_id = delete_user.user_id
    and organization_id is null;

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

  update clerk_sync.objects
  set
    data = null,
    subjects = '{}'
  where cardinality(subjects) > 0
    and subjects @> array[delete_user.user_id];
end
$$;

comment on function clerk_sync.delete_user(text, timestamptz) is
  'Leaves a tombstone in profiles, takes the person''s memberships and personal subscription items along, and erases the person from the inbox and from the register''s data. Columns that the application added stay: erasing those is the application''s part.';

revoke all on function clerk_sync.delete_user(text, timestamptz)
  from public, anon, authenticated, service_role;

create function clerk_sync.upsert_organization(data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  read constant record := clerk_sync.organization_from_data(data);
begin
  insert into public.organizations as kept (
    id, slug, name, image_url, has_image, members_count, max_allowed_memberships,
    public_metadata, created_by, created_at, updated_at
  )
  values (
    read.id, read.slug, read.name, read.image_url, read.has_image, read.members_count,
    read.max_allowed_memberships, read.public_metadata, read.created_by, read.created_at,
    read.updated_at
  )
  on conflict (id) do update set
    slug = excluded.slug,
    name = excluded.name,
    image_url = excluded.image_url,
    has_image = excluded.has_image,
    members_count = excluded.members_count,
    max_allowed_memberships = excluded.max_allowed_memberships,
    public_metadata = excluded.public_metadata,
    created_by = excluded.created_by,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.slug, kept.name, kept.image_url, kept.has_image, kept.members_count,
    kept.max_allowed_memberships, kept.public_metadata, kept.created_by, kept.created_at,
    kept.updated_at
  ) is distinct from (
    excluded.slug, excluded.name, excluded.image_url, excluded.has_image,
    excluded.members_count, excluded.max_allowed_memberships, excluded.public_metadata,
    excluded.created_by, excluded.created_at, excluded.updated_at
  );
end
$$;

comment on function clerk_sync.upsert_organization(jsonb) is
  'Writes the synced columns of one organization; leaves every other column, and a row that would not change, alone.';

create function clerk_sync.upsert_membership(data jsonb, user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  read constant record := clerk_sync.membership_from_data(data);
begin
  insert into public.organization_memberships as kept (
    id, organization_id, user_id, role, role_name, permissions, public_metadata, created_at,
    updated_at
  )
  values (
    read.id, read.organization_id, upsert_membership.user_id, read.role, read.role_name,
    read.permissions, read.public_metadata, read.created_at, read.updated_at
  )
  on conflict (id) do update set
    organization_id = excluded.organization_id,
    user_id = excluded.user_id,
    role = excluded.role,
    role_name = excluded.role_name,
    permissions = excluded.permissions,
    public_metadata = excluded.public_metadata,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.organization_id, kept.user_id, kept.role, kept.role_name, kept.permissions,
    kept.public_metadata, kept.created_at, kept.updated_at
  ) is distinct from (
    excluded.organization_id, excluded.user_id, excluded.role, excluded.role_name,
    excluded.permissions, excluded.public_metadata, excluded.created_at, excluded.updated_at
  );
end
$$;

comment on function clerk_sync.upsert_membership(jsonb, text) is
  'Writes the synced columns of one membership of this user; leaves every other column, and a row that would not change, alone.';

create function clerk_sync.upsert_invitation(data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  read constant record := clerk_sync.invitation_from_data(data);
begin
  insert into public.organization_invitations as kept (
    id, organization_id, email_address, role, role_name, status, inviter_id, public_metadata,
    expires_at, created_at, updated_at
  )
  values (
    read.id, read.organization_id, read.email_address, read.role, read.role_name, read.status,
    read.inviter_id, read.public_metadata, read.expires_at, read.created_at, read.updated_at
  )
  on conflict (id) do update set
    organization_id = excluded.organization_id,
    email_address = excluded.email_address,
    role = excluded.role,
    role_name = excluded.role_name,
    status = excluded.status,
    inviter_id = excluded.inviter_id,
    public_metadata = excluded.public_metadata,
    expires_at = excluded.expires_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.organization_id, kept.email_address, kept.role, kept.role_name, kept.status,
    kept.inviter_id, kept.public_metadata, kept.expires_at, kept.created_at, kept.updated_at
  ) is distinct from (
    excluded.organization_id, excluded.email_address, excluded.role, excluded.role_name,
    excluded.status, excluded.inviter_id, excluded.public_metadata, excluded.expires_at,
    excluded.created_at, excluded.updated_at
  );
end
$$;

comment on function clerk_sync.upsert_invitation(jsonb) is
  'Writes the synced columns of one invitation; leaves every other column, and a row that would not change, alone.';

create function clerk_sync.upsert_subscription_item(data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  read constant record := clerk_sync.subscription_item_from_data(data);
begin
  insert into public.subscription_items as kept (
    id, user_id, organization_id, plan_id, plan_slug, plan_name, status, is_free_trial,
    period_start, period_end, created_at, updated_at
  )
  values (
    read.id, read.user_id, read.organization_id, read.plan_id, read.plan_slug, read.plan_name,
    read.status, read.is_free_trial, read.period_start, read.period_end, read.created_at,
    read.updated_at
  )
  on conflict (id) do update set
    user_id = excluded.user_id,
    organization_id = excluded.organization_id,
    plan_id = excluded.plan_id,
    plan_slug = excluded.plan_slug,
    plan_name = excluded.plan_name,
    status = excluded.status,
    is_free_trial = excluded.is_free_trial,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.user_id, kept.organization_id, kept.plan_id, kept.plan_slug, kept.plan_name,
    kept.status, kept.is_free_trial, kept.period_start, kept.period_end, kept.created_at,
    kept.updated_at
  ) is distinct from (
    excluded.user_id, excluded.organization_id, excluded.plan_id, excluded.plan_slug,
    excluded.plan_name, excluded.status, excluded.is_free_trial, excluded.period_start,
    excluded.period_end, excluded.created_at, excluded.updated_at
  );
end
$$;

comment on function clerk_sync.upsert_subscription_item(jsonb) is
  'Writes the synced columns of one subscription item; leaves every other column, and a row that would not change, alone.';

create function clerk_sync.make_stubs(organization_id text, user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into public.organizations (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = make_stubs.organization_id
    and objects.deleted_at is null
  on conflict (id) do nothing;

  insert into public.profiles (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = make_stubs.user_id
    and objects.deleted_at is null
  on conflict (id) do nothing;
end
$$;

comment on function clerk_sync.make_stubs(text, text) is
  'Makes the rows that a child needs, with nothing but the id, unless they are there or deleted. Their names come with their own events.';

create function clerk_sync.delete_organization(organization_id text, deleted_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  invitation_ids text[];
begin
  -- Locked in one order, so that the deletion of a member at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.organization_id = delete_organization.organization_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.organization_id = delete_organization.organization_id;

  delete from public.subscription_items
  where subscription_items.organization_id = delete_organization.organization_id;

  with gone as (
    delete from public.organization_invitations
    where organization_invitations.organization_id = delete_organization.organization_id
    returning id
  )
  select array_agg(id) into invitation_ids from gone;

  perform clerk_sync.forget_addresses(invitation_ids);

  -- The tombstone: the id and deleted_at, every other synced column back at its default.
  insert into public.organizations as kept (id, deleted_at)
  values (delete_organization.organization_id, delete_organization.deleted_at)
  on conflict (id) do update set
    slug = default,
    name = default,
    image_url = default,
    has_image = default,
    members_count = default,
    max_allowed_memberships = default,
    public_metadata = default,
    created_by = default,
    created_at = default,
    updated_at = default,
    deleted_at = excluded.deleted_at,
    synced_at = now();
end
$$;

comment on function clerk_sync.delete_organization(text, timestamptz) is
  'Leaves a tombstone in organizations, and takes memberships, invitations with their addresses, and subscription items along.';

create function clerk_sync.forget_addresses(invitation_ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  with spoken_of as (
    select message_id
    from clerk_sync.inbox
    where type ^@ 'organizationInvitation.'
      and object_id = any (invitation_ids)
      and payload is not null
    order by message_id
    for no key update
  )
  update clerk_sync.inbox
  set payload = payload #- '{data,email_address}' #- '{data,url}'
  from spoken_of
  where inbox.message_id = spoken_of.message_id;
end
$$;

comment on function clerk_sync.forget_addresses(text[]) is
  'Takes the address and the link out of every message about these invitations.';

revoke all on function
  clerk_sync.upsert_organization(jsonb),
  clerk_sync.upsert_membership(jsonb, text),
  clerk_sync.upsert_invitation(jsonb),
  clerk_sync.upsert_subscription_item(jsonb),
  clerk_sync.make_stubs(text, text),
  clerk_sync.delete_organization(text, timestamptz),
  clerk_sync.forget_addresses(text[])
  from public, anon, authenticated, service_role;
