-- One thin message per real change, for whatever the application does next. Ids and column names
-- only: a consumer reads the current row.

create extension if not exists pgmq;

select pgmq.create('clerk_changes');

alter table pgmq.q_clerk_changes enable row level security;
alter table pgmq.a_clerk_changes enable row level security;
revoke all on table pgmq.q_clerk_changes, pgmq.a_clerk_changes from public, anon, authenticated;

create function clerk_sync.announce(topic text, id text, changed text[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform pgmq.send(
    'clerk_changes',
    jsonb_build_object(
      'topic', announce.topic,
      'id', announce.id,
      'changed', to_jsonb(announce.changed),
      'caused_by', nullif(current_setting('clerk_sync.caused_by', true), ''),
      'via', nullif(current_setting('clerk_sync.via', true), '')
    )
  );
end
$$;

comment on function clerk_sync.announce(text, text, text[]) is
  'Puts {topic, id, changed, caused_by, via} on the queue clerk_changes. caused_by (the message id) and via (webhook) come from settings that live as long as the transaction; both are null when somebody changes a row by hand.';

revoke all on function clerk_sync.announce(text, text, text[])
  from public, anon, authenticated, service_role;

create function clerk_sync.tg_profiles__announce()
returns trigger
language plpgsql
volatile
-- Definer, because a person's permitted edit of an application column must not fail for want of
-- rights on the queue.
security definer
set search_path = ''
as $$
declare
  changed text[] := '{}';
begin
  if tg_op = 'UPDATE' and new.deleted_at is not null and old.deleted_at is not null then
    return null;
  end if;

  -- Not compared: updated_at, last_active_at and synced_at, which move with every event;
  -- full_name, which follows from the names; and every column the application added.
  if new.external_id is distinct from old.external_id then changed := changed || 'external_id'::text; end if;
  if new.username is distinct from old.username then changed := changed || 'username'::text; end if;
  if new.first_name is distinct from old.first_name then changed := changed || 'first_name'::text; end if;
  if new.last_name is distinct from old.last_name then changed := changed || 'last_name'::text; end if;
  if new.locale is distinct from old.locale then changed := changed || 'locale'::text; end if;
  if new.image_url is distinct from old.image_url then changed := changed || 'image_url'::text; end if;
  if new.has_image is distinct from old.has_image then changed := changed || 'has_image'::text; end if;
  if new.email is distinct from old.email then changed := changed || 'email'::text; end if;
  if new.email_verified is distinct from old.email_verified then changed := changed || 'email_verified'::text; end if;
  if new.phone is distinct from old.phone then changed := changed || 'phone'::text; end if;
  if new.phone_verified is distinct from old.phone_verified then changed := changed || 'phone_verified'::text; end if;
  if new.public_metadata is distinct from old.public_metadata then changed := changed || 'public_metadata'::text; end if;
  if new.unsafe_metadata is distinct from old.unsafe_metadata then changed := changed || 'unsafe_metadata'::text; end if;
  if new.banned is distinct from old.banned then changed := changed || 'banned'::text; end if;
  if new.locked is distinct from old.locked then changed := changed || 'locked'::text; end if;
  if new.deprovisioned is distinct from old.deprovisioned then changed := changed || 'deprovisioned'::text; end if;
  if new.two_factor_enabled is distinct from old.two_factor_enabled then changed := changed || 'two_factor_enabled'::text; end if;
  if new.last_sign_in_at is distinct from old.last_sign_in_at then changed := changed || 'last_sign_in_at'::text; end if;
  if new.legal_accepted_at is distinct from old.legal_accepted_at then changed := changed || 'legal_accepted_at'::text; end if;
  if new.created_at is distinct from old.created_at then changed := changed || 'created_at'::text; end if;
  if new.deleted_at is distinct from old.deleted_at then changed := changed || 'deleted_at'::text; end if;

  if new.deleted_at is not null then
    perform clerk_sync.announce('profile.deleted', new.id, changed);
  elsif tg_op = 'INSERT' then
    perform clerk_sync.announce('profile.created', new.id, changed);
  elsif changed <> '{}' then
    perform clerk_sync.announce('profile.updated', new.id, changed);
  end if;

  return null;
end
$$;

comment on function clerk_sync.tg_profiles__announce() is
  'Announces profile.created, profile.updated and profile.deleted, with the synced columns that changed. Says nothing when none did.';

revoke all on function clerk_sync.tg_profiles__announce()
  from public, anon, authenticated, service_role;

create trigger _900_announce
  after insert or update on public.profiles
  for each row
  execute function clerk_sync.tg_profiles__announce();

comment on trigger _900_announce on public.profiles is
  'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

create function clerk_sync.tg_organizations__announce()
returns trigger
language plpgsql
volatile
-- Definer, because a backend's permitted edit of an application column must not fail for want of
-- rights on the queue.
security definer
set search_path = ''
as $$
declare
  changed text[] := '{}';
begin
  if tg_op = 'UPDATE' and new.deleted_at is not null and old.deleted_at is not null then
    return null;
  end if;

  -- Not compared: updated_at and synced_at, and every column the application added.
  if new.slug is distinct from old.slug then changed := changed || 'slug'::text; end if;
  if new.name is distinct from old.name then changed := changed || 'name'::text; end if;
  if new.image_url is distinct from old.image_url then changed := changed || 'image_url'::text; end if;
  if new.has_image is distinct from old.has_image then changed := changed || 'has_image'::text; end if;
  if new.members_count is distinct from old.members_count then changed := changed || 'members_count'::text; end if;
  if new.max_allowed_memberships is distinct from old.max_allowed_memberships then changed := changed || 'max_allowed_memberships'::text; end if;
  if new.public_metadata is distinct from old.public_metadata then changed := changed || 'public_metadata'::text; end if;
  if new.created_by is distinct from old.created_by then changed := changed || 'created_by'::text; end if;
  if new.created_at is distinct from old.created_at then changed := changed || 'created_at'::text; end if;
  if new.deleted_at is distinct from old.deleted_at then changed := changed || 'deleted_at'::text; end if;

  if new.deleted_at is not null then
    perform clerk_sync.announce('organization.deleted', new.id, changed);
  elsif tg_op = 'INSERT' then
    perform clerk_sync.announce('organization.created', new.id, changed);
  elsif changed <> '{}' then
    perform clerk_sync.announce('organization.updated', new.id, changed);
  end if;

  return null;
end
$$;

comment on function clerk_sync.tg_organizations__announce() is
  'Announces organization.created, organization.updated and organization.deleted, with the synced columns that changed. Says nothing when none did.';

create trigger _900_announce
  after insert or update on public.organizations
  for each row
  execute function clerk_sync.tg_organizations__announce();

comment on trigger _900_announce on public.organizations is
  'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

create function clerk_sync.tg_organization_memberships__announce()
returns trigger
language plpgsql
volatile
-- Definer, because a backend's permitted edit of an application column must not fail for want of
-- rights on the queue.
security definer
set search_path = ''
as $$
declare
  changed text[] := '{}';
begin
  if tg_op = 'DELETE' then
    perform clerk_sync.announce('membership.deleted', old.id, changed);
    return null;
  end if;

  -- Not compared: updated_at and synced_at, the member's display columns, which follow from the
  -- profile, and every column the application added.
  if new.organization_id is distinct from old.organization_id then changed := changed || 'organization_id'::text; end if;
  if new.user_id is distinct from old.user_id then changed := changed || 'user_id'::text; end if;
  if new.role is distinct from old.role then changed := changed || 'role'::text; end if;
  if new.role_name is distinct from old.role_name then changed := changed || 'role_name'::text; end if;
  if new.permissions is distinct from old.permissions then changed := changed || 'permissions'::text; end if;
  if new.public_metadata is distinct from old.public_metadata then changed := changed || 'public_metadata'::text; end if;
  if new.created_at is distinct from old.created_at then changed := changed || 'created_at'::text; end if;

  if tg_op = 'INSERT' then
    perform clerk_sync.announce('membership.created', new.id, changed);
  elsif changed <> '{}' then
    perform clerk_sync.announce('membership.updated', new.id, changed);
  end if;

  return null;
end
$$;

comment on function clerk_sync.tg_organization_memberships__announce() is
  'Announces membership.created, membership.updated and membership.deleted, with the synced columns that changed. Says nothing when none did.';

create trigger _900_announce
  after insert or update or delete on public.organization_memberships
  for each row
  execute function clerk_sync.tg_organization_memberships__announce();

comment on trigger _900_announce on public.organization_memberships is
  'Last of all: tells the queue clerk_changes. Memberships leave no tombstone, so a deletion is a deletion here.';

revoke all on function
  clerk_sync.tg_organizations__announce(),
  clerk_sync.tg_organization_memberships__announce()
  from public, anon, authenticated, service_role;
