-- One row per Clerk invitation. The address is the organization's data while the invitation is
-- pending, and is erased as soon as it is not.

create table public.organization_invitations (
  id text primary key,
  organization_id text not null references public.organizations (id) on delete cascade,
  email_address text,
  role text,
  role_name text,
  status text not null,
  inviter_id text,
  public_metadata jsonb not null default '{}',
  expires_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint organization_invitations_id_is_a_clerk_invitation_id check (id ^@ 'orginv_'),
  constraint organization_invitations_address_only_while_pending check (
    status = 'pending' or email_address is null
  )
);

create index organization_invitations_by_organization
  on public.organization_invitations (organization_id);

create index organization_invitations_by_pending_address
  on public.organization_invitations (lower(email_address))
  where status = 'pending';

comment on table public.organization_invitations is
  'One row per Clerk invitation, read by members who may manage memberships and, while pending and unexpired, by whoever has proved the address.';
comment on column public.organization_invitations.id is 'Clerk''s data.id (orginv_…).';
comment on column public.organization_invitations.organization_id is
  'The organization (org_…) that invites.';
comment on column public.organization_invitations.email_address is
  'The invited address; null as soon as the invitation is not pending.';
comment on column public.organization_invitations.role is
  'The role to be given, with its prefix: org:member.';
comment on column public.organization_invitations.role_name is
  'For display; null in older events.';
comment on column public.organization_invitations.status is
  'Clerk''s status: pending, accepted, revoked, expired.';
comment on column public.organization_invitations.inviter_id is
  'Clerk id of the user who invited; null when unknown. Not a foreign key: that user may be gone.';
comment on column public.organization_invitations.public_metadata is
  'Of the invitation: written by your backend.';
comment on column public.organization_invitations.expires_at is 'Null when it does not expire.';
comment on column public.organization_invitations.created_at is 'By Clerk''s clock.';
comment on column public.organization_invitations.updated_at is 'By Clerk''s clock, never ours.';
comment on column public.organization_invitations.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create function clerk_sync.invitation_from_clerk(data jsonb)
returns public.organization_invitations
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  invitation public.organization_invitations;
begin
  invitation.id := data ->> 'id';
  invitation.organization_id := data ->> 'organization_id';
  invitation.status := data ->> 'status';
  -- An index entry holds 2,704 bytes at most, and no real address is longer than 320.
  if invitation.status = 'pending' and length(data ->> 'email_address') <= 320 then
    invitation.email_address := data ->> 'email_address';
  end if;
  invitation.role := clerk.org_key(data ->> 'role');
  invitation.role_name := data ->> 'role_name';
  invitation.inviter_id := data ->> 'inviter_id';
  invitation.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  invitation.expires_at := clerk_sync.to_time(data -> 'expires_at');
  invitation.created_at := clerk_sync.to_time(data -> 'created_at');
  invitation.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return invitation;
end
$$;

comment on function clerk_sync.invitation_from_clerk(jsonb) is
  'The synced columns of an invitation from Clerk''s, the address only while it is pending; all other columns are null.';

create function clerk_sync.upsert_invitation(data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  read constant public.organization_invitations := clerk_sync.invitation_from_clerk(data);
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

  if read.status <> 'pending' then
    perform clerk_sync.erase_addresses_from_inbox(array[read.id]);
  end if;
end
$$;

comment on function clerk_sync.upsert_invitation(jsonb) is
  'Writes the synced columns of one invitation, and erases its address from the inbox when it is not pending. Leaves every other column, and a row that would not change, alone. The caller has locked what it mentions and claimed the version.';

alter table public.organization_invitations enable row level security;

create policy organization_invitations_select_manager_or_invited
  on public.organization_invitations
  as permissive
  for select
  to authenticated
  using (
    organization_id = any (array(select clerk.my_organization_ids('admin', 'sys_memberships:manage')))
    or (
      status = 'pending'
      and lower(email_address) = (
        select lower(profiles.email)
        from public.profiles
        where profiles.id = (select clerk.user_id())
          and profiles.email_verified
          and profiles.deleted_at is null
          and not (profiles.banned or profiles.deprovisioned)
      )
      and (expires_at is null or expires_at > now())
    )
  );

comment on policy organization_invitations_select_manager_or_invited on public.organization_invitations is
  'Admins, and members with the permission org:sys_memberships:manage, read the invitations of their organizations; a person reads those to their own verified address while they can be accepted. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.organization_invitations from public, anon, authenticated, service_role;
grant select on table public.organization_invitations to authenticated, service_role;
