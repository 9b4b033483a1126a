-- One row per Clerk invitation. The address is the organization's data while the invitation is
-- pending, and is erased as soon as it is not: accepted, revoked or expired.

create table public.organization_invitations (
  id text primary key,
  organization_id text not null references public.organizations (id) on delete cascade,
  email_address text,
  role text,
  role_name text,
  status text not null,
  inviter_id text,
  accepted_by text,
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
  on public.organization_invitations (lower(email_address collate "C"))
  where status = 'pending';

create index organization_invitations_by_expiry
  on public.organization_invitations (expires_at)
  where status = 'pending';

comment on table public.organization_invitations is
  'One row per Clerk invitation, read by members who may manage memberships and, while pending and unexpired, by users who have verified the address, also as a secondary one.';
comment on column public.organization_invitations.id is 'Clerk''s data.id (orginv_…).';
comment on column public.organization_invitations.organization_id is
  'The organization (org_…) that invites.';
comment on column public.organization_invitations.email_address is
  'The invited address, the organization''s data while the invitation is pending, even if a user with that address is deleted; null as soon as it is not.';
comment on column public.organization_invitations.role is
  'The role to be given, with its prefix: org:member.';
comment on column public.organization_invitations.role_name is
  'For display; null in older events.';
comment on column public.organization_invitations.status is
  'Clerk''s status: pending, accepted, revoked, expired. Clerk sends no event when one expires: a pending row past its expires_at becomes expired here.';
comment on column public.organization_invitations.inviter_id is
  'Clerk id of the user who invited; null when unknown. Not a foreign key: that user may be gone.';
comment on column public.organization_invitations.accepted_by is
  'Clerk id of the user who accepted; null until then, or when unknown. Not a foreign key, likewise.';
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
  invitation.expires_at := clerk_sync.to_time(data -> 'expires_at');
  if invitation.status = 'pending' and invitation.expires_at <= now() then
    invitation.status := 'expired';
  end if;
  -- An index entry holds 2,704 bytes at most, and no real address is longer than 320.
  if invitation.status = 'pending' and length(data ->> 'email_address') <= 320 then
    invitation.email_address := data ->> 'email_address';
  end if;
  invitation.role := clerk.org_key(data ->> 'role');
  invitation.role_name := data ->> 'role_name';
  invitation.inviter_id := data ->> 'inviter_id';
  invitation.accepted_by := data ->> 'user_id';
  invitation.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  invitation.created_at := clerk_sync.to_time(data -> 'created_at');
  invitation.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return invitation;
end
$$;

comment on function clerk_sync.invitation_from_clerk(jsonb) is
  'The synced columns of an invitation from Clerk''s, the address only while it is pending; all other columns are null. A pending one past its time is expired.';

create function clerk_sync.upsert_invitations(objects jsonb[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  read constant public.organization_invitations[] := array(
    select clerk_sync.invitation_from_clerk(object)
    from unnest(objects) as object
  );
begin
  insert into public.organization_invitations as kept (
    id, organization_id, email_address, role, role_name, status, inviter_id, accepted_by,
    public_metadata, expires_at, created_at, updated_at
  )
  select
    id, organization_id, email_address, role, role_name, status, inviter_id, accepted_by,
    public_metadata, expires_at, created_at, updated_at
  from unnest(read)
  on conflict (id) do update set
    organization_id = excluded.organization_id,
    email_address = excluded.email_address,
    role = excluded.role,
    role_name = excluded.role_name,
    status = excluded.status,
    inviter_id = excluded.inviter_id,
    accepted_by = excluded.accepted_by,
    public_metadata = excluded.public_metadata,
    expires_at = excluded.expires_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.organization_id, kept.email_address, kept.role, kept.role_name, kept.status,
    kept.inviter_id, kept.accepted_by, kept.public_metadata, kept.expires_at, kept.created_at,
    kept.updated_at
  ) is distinct from (
    excluded.organization_id, excluded.email_address, excluded.role, excluded.role_name,
    excluded.status, excluded.inviter_id, excluded.accepted_by, excluded.public_metadata,
    excluded.expires_at, excluded.created_at, excluded.updated_at
  );

  perform clerk_sync.erase_addresses_from_inbox(array(
    select id
    from unnest(read)
    where status <> 'pending'
  ));
end
$$;

comment on function clerk_sync.upsert_invitations(jsonb[]) is
  'Writes the synced columns of invitations, each given once, and erases the addresses of those that are not pending from the inbox. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and claimed the versions.';

create function clerk_sync.expire_invitations()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  started constant timestamptz := clock_timestamp();
  due_id text;
begin
  foreach due_id in array array(
    select id
    from public.organization_invitations
    where status = 'pending'
      and expires_at <= now()
    order by expires_at
    limit 100
  ) loop
    -- One by one, and none for long: a trigger of the application can refuse one, or be slow.
    exit when clock_timestamp() > started + interval '1 second';

    begin
      -- Hardly waits for anybody: the next call is near.
      set local lock_timeout = '200ms';

      -- The lock that a delivery about the invitation holds.
      perform from clerk_sync.objects where id = due_id for no key update skip locked;
      continue when not found;

      update public.organization_invitations
      set
        status = 'expired',
        email_address = null,
        synced_at = now()
      where id = due_id
        and status = 'pending'
        and expires_at <= now();
      continue when not found;

      perform clerk_sync.erase_addresses_from_inbox(array[due_id]);
      -- Deferred constraints of the application fail here, not in the caller's commit.
      set constraints all immediate;
    exception
      when assert_failure or others then
        raise warning 'Cannot expire the invitation % as %', due_id, sqlstate;
    end;
  end loop;
end
$$;

comment on function clerk_sync.expire_invitations() is
  'Makes pending invitations past their time expired, up to 100, and erases their addresses and links, here and in the inbox. Leaves those that are locked, or that the application refuses, to the next call. Never raises.';

alter table public.organization_invitations enable row level security;

create policy organization_invitations_select_manager_or_invited
  on public.organization_invitations
  as permissive
  for select
  to authenticated
  using (
    organization_id = any ((select clerk.my_organization_ids('admin', 'sys_memberships:manage'))::text[])
    or (
      status = 'pending'
      -- Only ASCII letters are folded: other folding takes the Kelvin sign for a k.
      and lower(email_address collate "C") = any (array(
        select lower(address collate "C")
        from public.profiles
        cross join unnest(profiles.verified_emails) as address
        where profiles.id = (select clerk.user_id())
          and profiles.deleted_at is null
          and not (profiles.banned or profiles.deprovisioned)
      ))
      and (expires_at is null or expires_at > now())
    )
  );

comment on policy organization_invitations_select_manager_or_invited on public.organization_invitations is
  'Admins, and members with the permission org:sys_memberships:manage, read the invitations of their organizations; a person reads those to any of their own verified addresses while they can be accepted. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.organization_invitations from public, anon, authenticated, service_role;
grant select on table public.organization_invitations to authenticated, service_role;
