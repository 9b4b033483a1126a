-- One row per Clerk membership. Keyed by the membership's id, not by (organization, user): who leaves
-- and comes back has a new membership, and the late deletion of the old one must not touch it. While
-- an old deletion is late or lost, both rows exist, and only the newest by (created_at, id) counts.

create table public.organization_memberships (
  id text primary key,
  organization_id text not null references public.organizations (id) on delete cascade,
  user_id text not null references public.profiles (id) on delete cascade,
  role text,
  role_name text,
  permissions text[] not null default '{}',
  public_metadata jsonb not null default '{}',
  member_name text,
  member_image_url text,
  created_at timestamptz,
  updated_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint organization_memberships_id_is_a_clerk_membership_id check (id ^@ 'orgmem_')
);

-- The order within a pair is the order in which the newest is looked for.
create index organization_memberships_by_user
  on public.organization_memberships
  (user_id, organization_id, created_at desc nulls last, id collate "C" desc);

create index organization_memberships_by_organization
  on public.organization_memberships
  (organization_id, user_id, created_at desc nulls last, id collate "C" desc);

comment on table public.organization_memberships is
  'One row per Clerk membership, read by all members of the organization. When a person has several in one organization, only the newest by (created_at, id) counts and is seen.';
comment on column public.organization_memberships.id is
  'Clerk''s data.id (orgmem_…).';
comment on column public.organization_memberships.organization_id is
  'The organization (org_…).';
comment on column public.organization_memberships.user_id is
  'The member (user_…).';
comment on column public.organization_memberships.role is
  'Clerk''s role key with its prefix: org:admin, org:member, or one of your own.';
comment on column public.organization_memberships.role_name is
  'Clerk''s role_name, for display; null in older events.';
comment on column public.organization_memberships.permissions is
  'Clerk''s permission keys with their prefix: org:posts:create.';
comment on column public.organization_memberships.public_metadata is
  'Clerk''s public_metadata of the membership: written by your backend, readable by the members.';
comment on column public.organization_memberships.member_name is
  'The profile''s full_name, else username; null when there is neither. Never the address. Kept current by a trigger on profiles.';
comment on column public.organization_memberships.member_image_url is
  'The profile''s image_url. Kept current by a trigger on profiles.';
comment on column public.organization_memberships.created_at is
  'Clerk''s created_at.';
comment on column public.organization_memberships.updated_at is
  'Clerk''s updated_at, never our clock.';
comment on column public.organization_memberships.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

-- How the member is shown to others. It derives from the profile alone: names from the copy that is
-- nested in the event would depend on which event came first.
create function clerk_sync.tg_organization_memberships__show_member()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  select coalesce(profiles.full_name, profiles.username), profiles.image_url
  into new.member_name, new.member_image_url
  from public.profiles
  where profiles.id = new.user_id;

  return new;
end
$$;

comment on function clerk_sync.tg_organization_memberships__show_member() is
  'Fills the member''s display columns of a new membership, or of one that changed hands, from the profile.';

create trigger _100_show_member
  before insert or update of user_id on public.organization_memberships
  for each row
  execute function clerk_sync.tg_organization_memberships__show_member();

comment on trigger _100_show_member on public.organization_memberships is
  'Display columns of a new membership come from the profile.';

create function clerk_sync.tg_profiles__show_member()
returns trigger
language plpgsql
volatile
-- Definer, because whoever may edit a profile need not have any right on memberships.
security definer
set search_path = ''
as $$
begin
  -- Locked in one order, so that the deletion of an organization at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where user_id = new.id
  order by id
  for no key update;

  update public.organization_memberships
  set
    member_name = coalesce(new.full_name, new.username),
    member_image_url = new.image_url
  where user_id = new.id;

  return null;
end
$$;

comment on function clerk_sync.tg_profiles__show_member() is
  'Carries a changed name or picture on to the person''s memberships.';

create trigger _500_show_member
  after update on public.profiles
  for each row
  when (
    (old.full_name, old.username, old.image_url)
      is distinct from (new.full_name, new.username, new.image_url)
  )
  execute function clerk_sync.tg_profiles__show_member();

comment on trigger _500_show_member on public.profiles is
  'A changed name or picture reaches the team pages, without giving anybody access to the profile.';

revoke all on function
  clerk_sync.tg_organization_memberships__show_member(),
  clerk_sync.tg_profiles__show_member()
  from public, anon, authenticated, service_role;

alter table public.organization_memberships enable row level security;

-- NOTE: its policy asks the functions of the next file, and stands there.
revoke all on table public.organization_memberships from public, anon, authenticated, service_role;
grant select on table public.organization_memberships to authenticated;
grant select, update on table public.organization_memberships to service_role;
