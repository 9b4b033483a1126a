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
  -- What pgmq.send does. It plans its insert anew in every call, which took as long as all other
  -- writes of a delivery together.
  insert into pgmq.q_clerk_changes (vt, message)
  values (
    clock_timestamp(),
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
  changed := array_remove(array[
    case when new.external_id is distinct from old.external_id then 'external_id' end,
    case when new.username is distinct from old.username then 'username' end,
    case when new.first_name is distinct from old.first_name then 'first_name' end,
    case when new.last_name is distinct from old.last_name then 'last_name' end,
    case when new.locale is distinct from old.locale then 'locale' end,
    case when new.image_url is distinct from old.image_url then 'image_url' end,
    case when new.has_image is distinct from old.has_image then 'has_image' end,
    case when new.email is distinct from old.email then 'email' end,
    case when new.email_verified is distinct from old.email_verified then 'email_verified' end,
    case when new.phone is distinct from old.phone then 'phone' end,
    case when new.phone_verified is distinct from old.phone_verified then 'phone_verified' end,
    case when new.public_metadata is distinct from old.public_metadata then 'public_metadata' end,
    case when new.unsafe_metadata is distinct from old.unsafe_metadata then 'unsafe_metadata' end,
    case when new.banned is distinct from old.banned then 'banned' end,
    case when new.locked is distinct from old.locked then 'locked' end,
    case when new.deprovisioned is distinct from old.deprovisioned then 'deprovisioned' end,
    case when new.two_factor_enabled is distinct from old.two_factor_enabled then 'two_factor_enabled' end,
    case when new.last_sign_in_at is distinct from old.last_sign_in_at then 'last_sign_in_at' end,
    case when new.legal_accepted_at is distinct from old.legal_accepted_at then 'legal_accepted_at' end,
    case when new.created_at is distinct from old.created_at then 'created_at' end,
    case when new.deleted_at is distinct from old.deleted_at then 'deleted_at' end
  ], null);

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
  changed := array_remove(array[
    case when new.slug is distinct from old.slug then 'slug' end,
    case when new.name is distinct from old.name then 'name' end,
    case when new.image_url is distinct from old.image_url then 'image_url' end,
    case when new.has_image is distinct from old.has_image then 'has_image' end,
    case when new.members_count is distinct from old.members_count then 'members_count' end,
    case when new.max_allowed_memberships is distinct from old.max_allowed_memberships then 'max_allowed_memberships' end,
    case when new.public_metadata is distinct from old.public_metadata then 'public_metadata' end,
    case when new.created_by is distinct from old.created_by then 'created_by' end,
    case when new.created_at is distinct from old.created_at then 'created_at' end,
    case when new.deleted_at is distinct from old.deleted_at then 'deleted_at' end
  ], null);

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
  changed := array_remove(array[
    case when new.organization_id is distinct from old.organization_id then 'organization_id' end,
    case when new.user_id is distinct from old.user_id then 'user_id' end,
    case when new.role is distinct from old.role then 'role' end,
    case when new.role_name is distinct from old.role_name then 'role_name' end,
    case when new.permissions is distinct from old.permissions then 'permissions' end,
    case when new.public_metadata is distinct from old.public_metadata then 'public_metadata' end,
    case when new.created_at is distinct from old.created_at then 'created_at' end
  ], null);

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
