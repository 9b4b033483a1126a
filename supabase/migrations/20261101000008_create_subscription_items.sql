-- One row per item of a Clerk subscription: who pays, for which plan, and whether it runs. Written by
-- subscriptionItem.* alone: the items nested in subscription.* lack a payer.

create table public.subscription_items (
  id text primary key,
  user_id text,
  organization_id text,
  plan_id text,
  plan_slug text,
  plan_name text,
  status text,
  is_free_trial boolean not null default false,
  period_start timestamptz,
  period_end timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  synced_at timestamptz not null default now(),

  constraint subscription_items_has_a_payer check (num_nonnulls(user_id, organization_id) >= 1)
);

create index subscription_items_by_person
  on public.subscription_items (user_id, plan_slug)
  where organization_id is null;

create index subscription_items_by_organization
  on public.subscription_items (organization_id, plan_slug)
  where organization_id is not null;

comment on table public.subscription_items is
  'One row per item of a Clerk subscription, read by the paying person or by the members of the paying organization.';
comment on column public.subscription_items.id is
  'Clerk''s data.id (csub_item_…).';
comment on column public.subscription_items.user_id is
  'Clerk id of the paying person; of an organization''s item, of who pays for it, if Clerk says. Not a foreign key: billing may know people before they have a profile.';
comment on column public.subscription_items.organization_id is
  'Clerk id of the paying organization; null when a person pays. An organization''s item is nobody''s personal one.';
comment on column public.subscription_items.plan_id is
  'Clerk''s plan id (cplan_…).';
comment on column public.subscription_items.plan_slug is
  'Clerk''s slug of the plan: what clerk.has_plan asks for.';
comment on column public.subscription_items.plan_name is
  'Clerk''s name of the plan, for display.';
comment on column public.subscription_items.status is
  'Clerk''s status: active, past_due, canceled, ended, upcoming, abandoned, incomplete and whatever comes.';
comment on column public.subscription_items.is_free_trial is
  'Clerk''s is_free_trial.';
comment on column public.subscription_items.period_start is
  'Start of the current period.';
comment on column public.subscription_items.period_end is
  'End of the current period; null for plans without one. A canceled item runs until then.';
comment on column public.subscription_items.created_at is
  'Clerk''s created_at.';
comment on column public.subscription_items.updated_at is
  'Clerk''s updated_at, never our clock.';
comment on column public.subscription_items.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create function clerk.has_plan(plan_slug text)
returns boolean
language sql
stable
-- Definer, so that it can be asked from the policy of any table. It only ever speaks of the caller.
security definer
set search_path = ''
as $$
  select exists (
    select
    from public.subscription_items
    where subscription_items.plan_slug = has_plan.plan_slug
      and (
        (organization_id is null and user_id = (select clerk.user_id()))
        or (
          organization_id = (select clerk.org_id())
          and (select clerk.is_member_of(clerk.org_id()))
        )
      )
      and (
        status in ('active', 'past_due')
        or (status = 'canceled' and period_end > now())
      )
  )
$$;

comment on function clerk.has_plan(text) is
  'Whether the caller has this plan: as a person, or through the active organization when they are a member of it now. An item counts while active or past due (Clerk ends it when it gives up), and after a cancellation until the period''s end.';

revoke all on function clerk.has_plan(text) from public, anon, authenticated, service_role;
grant execute on function clerk.has_plan(text) to anon, authenticated, service_role;

alter table public.subscription_items enable row level security;

create policy subscription_items_select_payer
  on public.subscription_items
  as permissive
  for select
  to authenticated
  using (
    (organization_id is null and user_id = (select clerk.user_id()))
    or organization_id = any (array(select clerk.my_organization_ids()))
  );

comment on policy subscription_items_select_payer on public.subscription_items is
  'People read the items that they pay for themselves; members read their organizations''. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.subscription_items from public, anon, authenticated, service_role;
grant select on table public.subscription_items to authenticated;
grant select, update on table public.subscription_items to service_role;
