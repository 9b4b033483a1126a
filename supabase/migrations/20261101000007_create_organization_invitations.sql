-- One row per Clerk invitation. The address is the organization's data while the invitation is
-- pending, and is forgotten as soon as it is not.

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
  'One row per Clerk invitation, read by the organization''s admins and, while pending and unexpired, by whoever has proved the address.';
comment on column public.organization_invitations.id is
  'Clerk''s data.id (orginv_…).';
comment on column public.organization_invitations.organization_id is
  'The organization (org_…) that invites.';
comment on column public.organization_invitations.email_address is
  'Whom it invites; null as soon as the invitation is not pending.';
comment on column public.organization_invitations.role is
  'The role to be given, with its prefix: org:member.';
comment on column public.organization_invitations.role_name is
  'Clerk''s role_name, for display; null in older events.';
comment on column public.organization_invitations.status is
  'Clerk''s status: pending, accepted, revoked, expired.';
comment on column public.organization_invitations.inviter_id is
  'Clerk id of who invited; null when unknown. Not a foreign key: that user may be gone.';
comment on column public.organization_invitations.public_metadata is
  'Clerk''s public_metadata of the invitation.';
comment on column public.organization_invitations.expires_at is
  'Clerk''s expires_at; null when it does not expire.';
comment on column public.organization_invitations.created_at is
  'Clerk''s created_at.';
comment on column public.organization_invitations.updated_at is
  'Clerk''s updated_at, never our clock.';
comment on column public.organization_invitations.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

alter table public.organization_invitations enable row level security;

create policy organization_invitations_select_admin_or_invited
  on public.organization_invitations
  as permissive
  for select
  to authenticated
  using (
    organization_id = any (array(select clerk.my_organization_ids('admin')))
    or (
      status = 'pending'
      and lower(email_address) = (
        select lower(profiles.email)
        from public.profiles
        where profiles.id = (select clerk.user_id())
          and profiles.email_verified
          and profiles.deleted_at is null
      )
      and (expires_at is null or expires_at > now())
    )
  );

comment on policy organization_invitations_select_admin_or_invited on public.organization_invitations is
  'Admins read the invitations of their organizations; a person reads those to their own verified address while they can be accepted. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.organization_invitations from public, anon, authenticated, service_role;
grant select on table public.organization_invitations to authenticated;
grant select, update on table public.organization_invitations to service_role;
