-- One row per Clerk membership. Keyed by the membership's id, not by (organization, user): a person
-- who leaves and comes back has a new membership, and the late deletion of the old one must not touch
-- it. While an old deletion is late or lost, both rows exist, and only the newest by (created_at, id)
-- counts. The others are marked as superseded, so that a policy can exclude them without a search.

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
  superseded boolean not null default false,
  created_at timestamptz,
  updated_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint organization_memberships_id_is_a_clerk_membership_id check (id ^@ 'orgmem_')
);

create index organization_memberships_by_user
  on public.organization_memberships
  (user_id, organization_id, superseded);

create index organization_memberships_by_organization
  on public.organization_memberships
  (organization_id, user_id, superseded);

-- What a team page sorts by: without it, the first 50 names of a large team cost as much as all of them.
create index organization_memberships_by_name
  on public.organization_memberships
  (organization_id, member_name);

-- Nearly always empty, so that a deletion finds out at once that it restores nothing.
create index organization_memberships_superseded
  on public.organization_memberships
  (organization_id, user_id)
  where superseded;

comment on table public.organization_memberships is
  'One row per Clerk membership, read by all members of the organization. When a person has several in one organization, only the newest by (created_at, id) counts and is visible.';
comment on column public.organization_memberships.id is 'Clerk''s data.id (orgmem_…).';
comment on column public.organization_memberships.organization_id is 'The organization (org_…).';
comment on column public.organization_memberships.user_id is 'The member (user_…).';
comment on column public.organization_memberships.role is
  'Clerk''s role key with its prefix: org:admin, org:member, or one of your own.';
comment on column public.organization_memberships.role_name is
  'For display; null in older events.';
comment on column public.organization_memberships.permissions is
  'Clerk''s permission keys with their prefix (org:posts:create), as of the membership''s own newest event. Clerk sends none when a role changes: ask clerk.has_org_permission.';
comment on column public.organization_memberships.public_metadata is
  'Of the membership: written by your backend, readable by the members.';
comment on column public.organization_memberships.member_name is
  'The profile''s full_name, else username; null when there is neither. Never the address. Kept current by a trigger on public.profiles.';
comment on column public.organization_memberships.member_image_url is
  'The profile''s image_url. Kept current by a trigger on public.profiles.';
comment on column public.organization_memberships.superseded is
  'Whether the same person has a newer membership in the same organization, so that this one does not count: its deletion is late or lost. Kept by triggers on this table.';
comment on column public.organization_memberships.created_at is 'By Clerk''s clock.';
comment on column public.organization_memberships.updated_at is 'By Clerk''s clock, never ours.';
comment on column public.organization_memberships.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create table clerk_sync.membership_deletions (
  user_id text collate "C",
  organization_id text collate "C",
  observed_at bigint not null,

  primary key (user_id, organization_id)
);

comment on table clerk_sync.membership_deletions is
  'When a person last lost a membership of an organization, by every organizationMembership.deleted of which this or another event tells the person. A session token from before then proves nothing about that organization.';
comment on column clerk_sync.membership_deletions.user_id is 'The former member (user_…).';
comment on column clerk_sync.membership_deletions.organization_id is 'The organization (org_…).';
comment on column clerk_sync.membership_deletions.observed_at is
  'The envelope''s timestamp of the newest deletion, ms since the epoch; our clock when it has none.';

alter table clerk_sync.membership_deletions enable row level security;

create function clerk_sync.remember_membership_deletion(user_id text, organization_id text, occurred_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into clerk_sync.membership_deletions as known (user_id, organization_id, observed_at)
  values (
    remember_membership_deletion.user_id,
    remember_membership_deletion.organization_id,
    1000 * extract(epoch from coalesce(occurred_at, now()))
  )
  on conflict on constraint membership_deletions_pkey do update set
    observed_at = excluded.observed_at
  where known.observed_at < excluded.observed_at;
end
$$;

comment on function clerk_sync.remember_membership_deletion(text, text, timestamptz) is
  'Remembers that this person lost a membership of this organization, and when.';

create function clerk_sync.membership_from_clerk(data jsonb)
returns public.organization_memberships
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  membership public.organization_memberships;
begin
  membership.id := data ->> 'id';
  membership.organization_id := data #>> '{organization,id}';
  membership.user_id := data #>> '{public_user_data,user_id}';
  membership.role := clerk.org_key(data ->> 'role');
  membership.role_name := data ->> 'role_name';
  membership.permissions := array(
    select jsonb_array_elements_text(
      case jsonb_typeof(data -> 'permissions') when 'array' then data -> 'permissions' end
    )
  );
  membership.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  membership.created_at := clerk_sync.to_time(data -> 'created_at');
  membership.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return membership;
end
$$;

comment on function clerk_sync.membership_from_clerk(jsonb) is
  'The synced columns of a membership from Clerk''s; all other columns are null, and user_id when public_user_data is absent. NOTE: nothing is taken from the nested organization and user but their ids.';

create function clerk_sync.member_of(membership_id text, data jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(
    data #>> '{public_user_data,user_id}',
    (
      select organization_memberships.user_id
      from public.organization_memberships
      where id = membership_id
    )
  );
end
$$;

comment on function clerk_sync.member_of(text, jsonb) is
  'The user of a membership: by its public_user_data, which Clerk does not guarantee, or else by the row that is there; null when neither tells.';

create function clerk_sync.upsert_memberships(objects jsonb[], user_ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.organization_memberships as kept (
    id, organization_id, user_id, role, role_name, permissions, public_metadata, created_at,
    updated_at
  )
  select
    read.id, read.organization_id, given.user_id, read.role, read.role_name, read.permissions,
    read.public_metadata, read.created_at, read.updated_at
  from unnest(objects, user_ids) as given (object, user_id)
  cross join lateral clerk_sync.membership_from_clerk(given.object) as read
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

comment on function clerk_sync.upsert_memberships(jsonb[], text[]) is
  'Writes the synced columns of memberships, each given once, of these users. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and claimed the versions.';

create function clerk_sync.delete_membership(id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Locked already, unless the deletion names another user than the row.
  perform
  from clerk_sync.objects
  where objects.id = (
    select user_id
    from public.organization_memberships
    where organization_memberships.id = delete_membership.id
  )
  for no key update;

  delete from public.organization_memberships
  where organization_memberships.id = delete_membership.id;
end
$$;

comment on function clerk_sync.delete_membership(text) is
  'Deletes one membership. The caller has claimed the deletion.';

create function clerk_sync.supersede_memberships(organization_id text, user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.organization_memberships as membership
  set superseded = not superseded
  where membership.organization_id = supersede_memberships.organization_id
    and membership.user_id = supersede_memberships.user_id
    and superseded <> exists (
      select
      from public.organization_memberships as newer
      where newer.organization_id = membership.organization_id
        and newer.user_id = membership.user_id
        and (coalesce(newer.created_at, '-infinity'), newer.id collate "C")
          > (coalesce(membership.created_at, '-infinity'), membership.id collate "C")
    );
end
$$;

comment on function clerk_sync.supersede_memberships(text, text) is
  'Marks the person''s memberships of the organization that do not count: all but the newest. The caller has locked the user, so that no concurrent event adds or deletes one.';

create function clerk_sync.tg_organization_memberships__supersede()
returns trigger
language plpgsql
volatile
-- Definer, because a role that may write memberships need not have any right on other columns.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and (old.organization_id, old.user_id) is distinct from (new.organization_id, new.user_id) then
    -- The event locked its own user. Clerk never moves a membership, so the risk of a deadlock is small.
    perform from clerk_sync.objects where id = old.user_id for no key update;
    perform clerk_sync.supersede_memberships(old.organization_id, old.user_id);
  end if;

  perform clerk_sync.supersede_memberships(new.organization_id, new.user_id);

  return null;
end
$$;

comment on function clerk_sync.tg_organization_memberships__supersede() is
  'Finds out which memberships of the person do not count, and of the person who had this one before.';

create trigger _500_supersede
  after insert on public.organization_memberships
  for each row
  execute function clerk_sync.tg_organization_memberships__supersede();

comment on trigger _500_supersede on public.organization_memberships is
  'A newer membership supersedes an older one of the same person in the same organization.';

create trigger _500_supersede_anew
  after update on public.organization_memberships
  for each row
  when (
    (old.organization_id, old.user_id, old.created_at)
      is distinct from (new.organization_id, new.user_id, new.created_at)
  )
  execute function clerk_sync.tg_organization_memberships__supersede();

comment on trigger _500_supersede_anew on public.organization_memberships is
  'The same when a membership gets another time, or changes hands.';

create function clerk_sync.tg_organization_memberships__restore()
returns trigger
language plpgsql
volatile
-- Definer, because a role that may delete memberships need not have any right on their columns.
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from public.organization_memberships where superseded limit 1;
  if not found then
    return null;
  end if;

  perform clerk_sync.supersede_memberships(organization_id, user_id)
  from (
    select distinct organization_id, user_id
    from gone
    join public.organization_memberships as kept using (organization_id, user_id)
    where kept.superseded
  ) as pair;

  return null;
end
$$;

comment on function clerk_sync.tg_organization_memberships__restore() is
  'Lets superseded memberships count whose newer one was deleted.';

create trigger _500_restore
  after delete on public.organization_memberships
  referencing old table as gone
  for each statement
  execute function clerk_sync.tg_organization_memberships__restore();

comment on trigger _500_restore on public.organization_memberships is
  'When the newest membership is deleted, the next one counts. NOTE: for each statement, because an organization may have 150,000 members.';

create function clerk_sync.tg_organization_memberships__show_member()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
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
  'Copies the member''s display columns from the profile to a new membership, or to one that changed hands.';

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
-- Definer, because a role that may edit a profile need not have any right on memberships.
security definer
set search_path = pg_catalog, pg_temp
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
  'Copies a changed name or picture to the person''s memberships.';

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

-- Not compared: updated_at and synced_at, which move with every event, the member's display columns,
-- which follow from the profile, and superseded, which follows from another membership.
create trigger _900_announce
  after insert or update on public.organization_memberships
  for each row
  execute function clerk_sync.tg__announce(
    'membership', 'organization_id', 'user_id', 'role', 'role_name', 'permissions',
    'public_metadata', 'created_at'
  );

comment on trigger _900_announce on public.organization_memberships is
  'Last of all: tells the queue clerk_changes.';

create trigger _900_announce_deletions
  after delete on public.organization_memberships
  referencing old table as gone
  for each statement
  execute function clerk_sync.tg__announce_deletions('membership');

comment on trigger _900_announce_deletions on public.organization_memberships is
  'Last of all: tells the queue clerk_changes. Memberships leave no tombstone, so a deletion is a deletion here.';

alter table public.organization_memberships enable row level security;

-- NOTE: its policy calls the policy toolkit, and stands in that file.
revoke all on table public.organization_memberships from public, anon, authenticated, service_role;
grant select on table public.organization_memberships to authenticated, service_role;
