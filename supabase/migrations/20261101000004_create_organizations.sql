-- One row per Clerk organization. Its own events alone write it: the copy that is nested in a
-- membership lacks fields, and would make the row depend on which event came first.
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
comment on column public.organizations.id is
  'Clerk''s data.id (org_…).';
comment on column public.organizations.slug is
  'Clerk''s slug; null when unset or blank. Not unique here.';
comment on column public.organizations.name is
  'Clerk''s name; null until the organization''s own event has come.';
comment on column public.organizations.image_url is
  'Clerk''s image_url; set even for organizations without a picture of their own (see has_image).';
comment on column public.organizations.has_image is
  'Clerk''s has_image: somebody chose a picture.';
comment on column public.organizations.members_count is
  'Clerk''s members_count, as of the newest event; null when the event had none. Count memberships for a number to rely on.';
comment on column public.organizations.max_allowed_memberships is
  'Clerk''s max_allowed_memberships; null when unlimited, which Clerk writes as 0, or unknown.';
comment on column public.organizations.public_metadata is
  'Clerk''s public_metadata: written by your backend, readable by the members.';
comment on column public.organizations.created_by is
  'Clerk id of the user who made it; null when unknown. Not a foreign key: that user may be gone.';
comment on column public.organizations.created_at is
  'Clerk''s created_at; null in a tombstone.';
comment on column public.organizations.updated_at is
  'Clerk''s updated_at, never our clock; null in a tombstone.';
comment on column public.organizations.deleted_at is
  'When Clerk deleted the organization; everything else is then empty. Null for living ones.';
comment on column public.organizations.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

alter table public.organizations enable row level security;

-- NOTE: its policy asks the memberships, and stands in their file.
revoke all on table public.organizations from public, anon, authenticated, service_role;
grant select on table public.organizations to authenticated;
grant select, update on table public.organizations to service_role;
