-- One row per Clerk organization, written by its own events alone: the copy nested in a membership
-- lacks fields, and would make the row depend on which event came first.
--
-- NOTE: no unique constraint on slug: it can be taken again once an organization is gone.

create table public.organizations (
  id text primary key,
  slug text,
  name text,
  image_url text,
  has_image boolean not null default false,
  members_count integer,
  max_allowed_memberships integer,
  public_metadata jsonb not null default '{}',
  created_by text,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint organizations_id_is_a_clerk_organization_id check (id ^@ 'org_'),
  constraint organizations_tombstone_holds_nothing check (
    deleted_at is null
    or (
      num_nonnulls(
        slug, name, image_url, members_count, max_allowed_memberships, created_by, created_at,
        updated_at
      ) = 0
      and not has_image
      and public_metadata = '{}'
    )
  )
);

comment on table public.organizations is
  'One row per Clerk organization, kept equal to Clerk by the sync and read by its members. A deleted one leaves a tombstone: the id and deleted_at. A row with nothing but the id waits for the organization''s own event.';
comment on column public.organizations.id is 'Clerk''s data.id (org_…).';
comment on column public.organizations.slug is 'Null when unset or blank. Not unique here.';
comment on column public.organizations.name is
  'Null until the organization''s own event has arrived.';
comment on column public.organizations.image_url is
  'Set even for organizations without a picture of their own (see has_image).';
comment on column public.organizations.has_image is 'Whether somebody chose a picture.';
comment on column public.organizations.members_count is
  'As of the newest event; null when the event had none. Count memberships for a number to rely on.';
comment on column public.organizations.max_allowed_memberships is
  'Null when unlimited, which Clerk writes as 0, or unknown.';
comment on column public.organizations.public_metadata is
  'Written by your backend, readable by the members.';
comment on column public.organizations.created_by is
  'Clerk id of the user who created it; null when unknown. Not a foreign key: that user may be gone.';
comment on column public.organizations.created_at is 'By Clerk''s clock; null in a tombstone.';
comment on column public.organizations.updated_at is
  'By Clerk''s clock, never ours; null in a tombstone.';
comment on column public.organizations.deleted_at is
  'When Clerk deleted the organization; everything else is then empty. Null for living ones.';
comment on column public.organizations.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create function clerk_sync.organization_from_clerk(data jsonb)
returns public.organizations
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  organization public.organizations;
begin
  organization.id := data ->> 'id';
  organization.slug := nullif(data ->> 'slug', '');
  organization.name := data ->> 'name';
  organization.image_url := data ->> 'image_url';
  organization.has_image := data @> '{"has_image": true}';
  organization.members_count := clerk_sync.to_count(data -> 'members_count');
  organization.max_allowed_memberships :=
    nullif(clerk_sync.to_count(data -> 'max_allowed_memberships'), 0);
  organization.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  organization.created_by := data ->> 'created_by';
  organization.created_at := clerk_sync.to_time(data -> 'created_at');
  organization.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return organization;
end
$$;

comment on function clerk_sync.organization_from_clerk(jsonb) is
  'The synced columns of an organization from Clerk''s; all other columns are null. NOTE: private_metadata is not among them and must never be.';

create function clerk_sync.upsert_organizations(objects jsonb[], deleted_at timestamptz default null)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.organizations as kept (
    id, slug, name, image_url, has_image, members_count, max_allowed_memberships,
    public_metadata, created_by, created_at, updated_at, deleted_at
  )
  select
    read.id, read.slug, read.name, read.image_url, read.has_image, read.members_count,
    read.max_allowed_memberships, read.public_metadata, read.created_by, read.created_at,
    read.updated_at, upsert_organizations.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.organization_from_clerk(object) as read
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
    deleted_at = excluded.deleted_at,
    synced_at = now()
  where (
    kept.slug, kept.name, kept.image_url, kept.has_image, kept.members_count,
    kept.max_allowed_memberships, kept.public_metadata, kept.created_by, kept.created_at,
    kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.slug, excluded.name, excluded.image_url, excluded.has_image,
    excluded.members_count, excluded.max_allowed_memberships, excluded.public_metadata,
    excluded.created_by, excluded.created_at, excluded.updated_at, excluded.deleted_at
  );
end
$$;

comment on function clerk_sync.upsert_organizations(jsonb[], timestamptz) is
  'Writes the synced columns of public.organizations, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the organizations and claimed the versions.';

create function clerk_sync.add_organization(id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.organizations (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = add_organization.id
    and objects.deleted_at is null
  on conflict on constraint organizations_pkey do nothing;
end
$$;

comment on function clerk_sync.add_organization(text) is
  'Inserts an organization with nothing but the id, for a child that came first; unless it is there or deleted. The caller has locked the organization.';

create function clerk_sync.erase_organization(organization_id text, deleted_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  invitation_ids text[];
begin
  -- Locked in one order, so that the deletion of a member at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.organization_id = erase_organization.organization_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.organization_id = erase_organization.organization_id;

  perform
  from public.subscription_items
  where subscription_items.organization_id = erase_organization.organization_id
  order by id
  for update;

  delete from public.subscription_items
  where subscription_items.organization_id = erase_organization.organization_id;

  with gone as (
    delete from public.organization_invitations
    where organization_invitations.organization_id = erase_organization.organization_id
    returning id
  )
  select array_agg(id) into invitation_ids from gone;

  perform clerk_sync.erase_addresses_from_inbox(invitation_ids);

  -- The tombstone is what the mapping makes of nothing but the id, and deleted_at.
  perform clerk_sync.upsert_organizations(array[jsonb_build_object('id', organization_id)], deleted_at);
end
$$;

comment on function clerk_sync.erase_organization(text, timestamptz) is
  'Leaves a tombstone in public.organizations, and deletes memberships, invitations with their addresses, and subscription items.';

-- Not compared: updated_at and synced_at, which move with every event.
create trigger _900_announce
  after insert or update on public.organizations
  for each row
  execute function clerk_sync.tg__announce(
    'organization', 'slug', 'name', 'image_url', 'has_image', 'members_count',
    'max_allowed_memberships', 'public_metadata', 'created_by', 'created_at', 'deleted_at'
  );

comment on trigger _900_announce on public.organizations is
  'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

alter table public.organizations enable row level security;

-- NOTE: its policy calls the policy toolkit, and stands in that file.
revoke all on table public.organizations from public, anon, authenticated, service_role;
grant select on table public.organizations to authenticated, service_role;
