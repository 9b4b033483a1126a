-- Who was greeted. A welcome mail goes out once per person, however often its change is run.

create table clerk_sync.welcome_mails (
  user_id text primary key,
  claim uuid not null,
  claimed_at timestamptz not null default now(),
  sent_at timestamptz,

  constraint welcome_mails_user_id_is_a_clerk_user_id check (user_id ^@ 'user_')
);

comment on table clerk_sync.welcome_mails is
  'One row per person who was greeted, or is being greeted. Ids and times only.';
comment on column clerk_sync.welcome_mails.user_id is
  'Clerk id of the person.';
comment on column clerk_sync.welcome_mails.claim is
  'Which attempt it is claimed by, made up by the worker. One that comes too late finds another one here.';
comment on column clerk_sync.welcome_mails.claimed_at is
  'When a worker last set out to send it.';
comment on column clerk_sync.welcome_mails.sent_at is
  'When the mail server had accepted it, or had taken it and never said; null while a worker is at it, or died at it.';

alter table clerk_sync.welcome_mails enable row level security;
revoke all on table clerk_sync.welcome_mails from public, anon, authenticated, service_role;

create function public.claim_welcome_mail(user_id text, claim uuid, lease_seconds integer)
returns text
language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = ''
as $$
begin
  insert into clerk_sync.welcome_mails as kept (user_id, claim)
  values (claim_welcome_mail.user_id, claim_welcome_mail.claim)
  on conflict on constraint welcome_mails_pkey do update set
    claim = excluded.claim,
    claimed_at = now()
  where kept.sent_at is null
    and kept.claimed_at < now() - make_interval(secs => claim_welcome_mail.lease_seconds);

  if found then
    return 'claimed';
  end if;

  return case
    when (
      select sent_at is not null
      from clerk_sync.welcome_mails
      where welcome_mails.user_id = claim_welcome_mail.user_id
    ) then 'sent'
    else 'busy'
  end;
end
$$;

comment on function public.claim_welcome_mail(text, uuid, integer) is
  'Claims the one welcome mail of a person for lease_seconds: claimed, sent (it went out already) or busy (somebody else is at it).';

create function public.settle_welcome_mail(user_id text, claim uuid, was_sent boolean)
returns void
language sql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = ''
as $$
  -- Whoever sent it notes it, also when the lease was over and somebody else had it meanwhile.
  insert into clerk_sync.welcome_mails as kept (user_id, claim, sent_at)
  select settle_welcome_mail.user_id, settle_welcome_mail.claim, now()
  where was_sent
  on conflict on constraint welcome_mails_pkey do update set
    sent_at = coalesce(kept.sent_at, excluded.sent_at);

  -- Whoever did not send it gives back its own claim only.
  delete from clerk_sync.welcome_mails
  where welcome_mails.user_id = settle_welcome_mail.user_id
    and welcome_mails.claim = settle_welcome_mail.claim
    and sent_at is null
    and not was_sent;
$$;

comment on function public.settle_welcome_mail(text, uuid, boolean) is
  'Notes that the mail server took the welcome mail, or gives this claim back when it did not.';

revoke all on function
  public.claim_welcome_mail(text, uuid, integer),
  public.settle_welcome_mail(text, uuid, boolean)
  from public, anon, authenticated, service_role;

grant execute on function
  public.claim_welcome_mail(text, uuid, integer),
  public.settle_welcome_mail(text, uuid, boolean)
  to clerk_worker, service_role;
