-- One row per item of a Clerk subscription: who pays, for which plan, and whether it runs. Written by
-- subscriptionItem.* alone: the items nested in subscription.* lack a payer.

-- What the events of items say about plans. An item's event can lack its plan.
create table clerk_sync.plans (
  id text collate "C" primary key,
  slug text,
  name text,
  observed_at bigint not null default 0,
  message_id text collate "C" not null default ''
);

comment on table clerk_sync.plans is
  'One row per Clerk plan that an item named, stale events included: the newest observation by (observed_at, message_id).';
comment on column clerk_sync.plans.id is 'Clerk''s plan id (cplan_…).';
comment on column clerk_sync.plans.slug is 'Null until an event told it.';
comment on column clerk_sync.plans.name is 'For display.';
comment on column clerk_sync.plans.observed_at is
  'The envelope''s timestamp of the event that told it, ms since the epoch; 0 when none did.';
comment on column clerk_sync.plans.message_id is
  'Message id (svix-id) of that event. Decides when the times are equal.';

alter table clerk_sync.plans enable row level security;

create table public.subscription_items (
  id text primary key,
  user_id text,
  organization_id text,
  plan_id text,
  plan_slug text,
  plan_name text,
  seats integer,
  billing_interval text,
  amount bigint,
  currency text,
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

create index subscription_items_by_plan
  on public.subscription_items (plan_id);

comment on table public.subscription_items is
  'One row per item of a Clerk subscription, read by the paying person or by the members of the paying organization.';
comment on column public.subscription_items.id is 'Clerk''s data.id (csub_item_…).';
comment on column public.subscription_items.user_id is
  'Clerk id of the paying person; of an organization''s item, of whoever pays for it, if Clerk says. Not a foreign key: billing may know people before they have a profile.';
comment on column public.subscription_items.organization_id is
  'Clerk id of the paying organization; null when a person pays. An organization''s item is nobody''s personal one.';
comment on column public.subscription_items.plan_id is 'Clerk''s plan id (cplan_…).';
comment on column public.subscription_items.plan_slug is
  'The plan''s slug, which clerk.has_plan compares: the newest that any item''s event told.';
comment on column public.subscription_items.plan_name is 'For display, likewise.';
comment on column public.subscription_items.seats is
  'How many seats are paid for; null when unlimited, or when the newest event does not say.';
comment on column public.subscription_items.billing_interval is
  'How often the payer pays: month, annual and others to come; null when the newest event does not say.';
comment on column public.subscription_items.amount is
  'The price, in the currency''s minor unit (2000 is 20.00 EUR): the item''s own, or else the one that its plan has in the same event; null when the newest event has neither.';
comment on column public.subscription_items.currency is 'Of the amount: EUR, USD.';
comment on column public.subscription_items.status is
  'Clerk''s status: active, past_due, canceled, ended, upcoming, abandoned, incomplete and others to come.';
comment on column public.subscription_items.is_free_trial is 'Whether the item is a trial.';
comment on column public.subscription_items.period_start is 'Start of the current period.';
comment on column public.subscription_items.period_end is
  'End of the current period; null for plans without one. A canceled item runs until then.';
comment on column public.subscription_items.created_at is 'By Clerk''s clock.';
comment on column public.subscription_items.updated_at is 'By Clerk''s clock, never ours.';
comment on column public.subscription_items.synced_at is
  'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

create function clerk_sync.plan_id_in(data jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  id constant text := coalesce(data ->> 'plan_id', data #>> '{plan,id}');
begin
  return case when length(id) <= 250 then id end;
end
$$;

comment on function clerk_sync.plan_id_in(jsonb) is
  'The id of the plan (cplan_…) of a Clerk subscription item; null when it has none, or one that is too long.';

create function clerk_sync.subscription_item_from_clerk(data jsonb)
returns public.subscription_items
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  item public.subscription_items;
  price constant jsonb := case
    when data #>> '{amount,amount}' is null then data -> 'plan'
    else data -> 'amount'
  end;
begin
  item.id := data ->> 'id';
  item.user_id := nullif(data #>> '{payer,user_id}', '');
  item.organization_id := nullif(data #>> '{payer,organization_id}', '');
  -- An index entry holds 2,704 bytes at most. No real id is longer than 250 characters, no real slug
  -- longer than 255.
  item.plan_id := clerk_sync.plan_id_in(data);
  if length(data #>> '{plan,slug}') <= 255 then
    item.plan_slug := data #>> '{plan,slug}';
  end if;
  item.plan_name := data #>> '{plan,name}';
  item.seats := clerk_sync.to_count(data #> '{seats,quantity}');
  item.billing_interval := coalesce(data ->> 'plan_period', data ->> 'interval');
  -- JavaScript reads larger numbers inexactly.
  if jsonb_typeof(price -> 'amount') = 'number'
    and (price ->> 'amount')::numeric between 0 and 9007199254740991
  then
    item.amount := (price ->> 'amount')::numeric;
  end if;
  item.currency := price ->> 'currency';
  item.status := data ->> 'status';
  item.is_free_trial := data @> '{"is_free_trial": true}';
  item.period_start := clerk_sync.to_time(data -> 'period_start');
  item.period_end := clerk_sync.to_time(data -> 'period_end');
  item.created_at := clerk_sync.to_time(data -> 'created_at');
  item.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return item;
end
$$;

comment on function clerk_sync.subscription_item_from_clerk(jsonb) is
  'The synced columns of a subscription item from Clerk''s; all other columns are null. A blank payer is none.';

create function clerk_sync.payer_of(item_id text, data jsonb, out user_id text, out organization_id text)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  user_id := nullif(data #>> '{payer,user_id}', '');
  organization_id := nullif(data #>> '{payer,organization_id}', '');

  if num_nonnulls(user_id, organization_id) = 0 then
    select subscription_items.user_id, subscription_items.organization_id
    into user_id, organization_id
    from public.subscription_items
    where id = item_id;
  end if;
end
$$;

comment on function clerk_sync.payer_of(text, jsonb) is
  'Who pays for an item: by its payer, which Clerk does not guarantee, or else by the row that is there; nulls when neither tells.';

create function clerk_sync.keep_plan(data jsonb, observed_at bigint, message_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  plan constant jsonb := data -> 'plan';
  own_id constant text := clerk_sync.plan_id_in(data);
  is_named constant boolean := coalesce(num_nonnulls(plan ->> 'slug', plan ->> 'name') > 0, false);
begin
  if own_id is null then
    return;
  end if;

  insert into clerk_sync.plans (id)
  values (own_id)
  on conflict (id) do nothing;

  -- Also where nothing changes: whoever names the plan differently waits until this item is there.
  perform
  from clerk_sync.plans
  where id = own_id
  for no key update;

  update clerk_sync.plans
  set
    slug = case when length(plan ->> 'slug') <= 255 then plan ->> 'slug' end,
    name = plan ->> 'name',
    observed_at = keep_plan.observed_at,
    message_id = keep_plan.message_id
  where id = own_id
    and is_named
    and (plans.observed_at, plans.message_id) < (keep_plan.observed_at, keep_plan.message_id);

  if found then
    -- Locked in one order, so that the deletion of a payer at the same time cannot deadlock.
    with renamed as (
      select
        item.id,
        plans.slug,
        plans.name
      from clerk_sync.plans
      join public.subscription_items as item on item.plan_id = plans.id
      where plans.id = own_id
        and (item.plan_slug, item.plan_name) is distinct from (plans.slug, plans.name)
      order by item.id
      for no key update of item
    )
    update public.subscription_items
    set
      plan_slug = renamed.slug,
      plan_name = renamed.name,
      synced_at = now()
    from renamed
    where subscription_items.id = renamed.id;
  end if;
end
$$;

comment on function clerk_sync.keep_plan(jsonb, bigint, text) is
  'Learns a plan''s slug and name from the event of an item, unless something newer is known, and writes them to all items with that plan. Locks the plan. The caller has locked the item.';

create function clerk_sync.keep_plans_of_failed(user_id text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  perform clerk_sync.keep_plan(
    payload -> 'data',
    (1000 * extract(epoch from coalesce(
      occurred_at,
      clerk_sync.to_time(payload #> '{data,updated_at}'),
      clerk_sync.to_time(payload #> '{data,created_at}')
    )))::bigint,
    message_id
  )
  from (
    select
      message_id,
      occurred_at,
      payload
    from clerk_sync.inbox
    where type ^@ 'subscriptionItem.'
      and outcome = 'failed'
      and (
        (cardinality(subjects) = 1 and subjects[1] = keep_plans_of_failed.user_id)
        or (cardinality(subjects) > 1 and subjects @> array[keep_plans_of_failed.user_id])
      )
    -- Plans are locked in one order.
    order by clerk_sync.plan_id_in(payload -> 'data'), message_id
  ) as failed;
end
$$;

comment on function clerk_sync.keep_plans_of_failed(text) is
  'Learns the plans that failed events of the person''s items tell. An erasure settles these events, and the plan may be that of other items, too.';

create function clerk_sync.upsert_subscription_items(
  objects jsonb[],
  user_ids text[],
  organization_ids text[]
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.subscription_items as kept (
    id, user_id, organization_id, plan_id, plan_slug, plan_name, seats, billing_interval, amount,
    currency, status, is_free_trial, period_start, period_end, created_at, updated_at
  )
  select
    read.id, given.user_id, given.organization_id, read.plan_id,
    case when plans.id is null then read.plan_slug else plans.slug end,
    case when plans.id is null then read.plan_name else plans.name end,
    read.seats, read.billing_interval, read.amount, read.currency, read.status,
    read.is_free_trial, read.period_start, read.period_end, read.created_at, read.updated_at
  from unnest(objects, user_ids, organization_ids) as given (object, user_id, organization_id)
  cross join lateral clerk_sync.subscription_item_from_clerk(given.object) as read
  left join clerk_sync.plans on plans.id = read.plan_id
  on conflict (id) do update set
    user_id = excluded.user_id,
    organization_id = excluded.organization_id,
    plan_id = excluded.plan_id,
    plan_slug = excluded.plan_slug,
    plan_name = excluded.plan_name,
    seats = excluded.seats,
    billing_interval = excluded.billing_interval,
    amount = excluded.amount,
    currency = excluded.currency,
    status = excluded.status,
    is_free_trial = excluded.is_free_trial,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.user_id, kept.organization_id, kept.plan_id, kept.plan_slug, kept.plan_name, kept.seats,
    kept.billing_interval, kept.amount, kept.currency, kept.status, kept.is_free_trial,
    kept.period_start, kept.period_end, kept.created_at, kept.updated_at
  ) is distinct from (
    excluded.user_id, excluded.organization_id, excluded.plan_id, excluded.plan_slug,
    excluded.plan_name, excluded.seats, excluded.billing_interval, excluded.amount,
    excluded.currency, excluded.status, excluded.is_free_trial, excluded.period_start,
    excluded.period_end, excluded.created_at, excluded.updated_at
  );
end
$$;

comment on function clerk_sync.upsert_subscription_items(jsonb[], text[], text[]) is
  'Writes the synced columns of subscription items, each given once, of these payers, with what is known of their plans. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and their plans, and claimed the versions.';

create function clerk.has_plan(plan_slug text)
returns boolean
language plpgsql
stable
-- Definer, so that the policy of any table can call it. It only ever tells about the caller.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  grace constant interval := (select plan_grace from clerk_sync.settings);
begin
  return not clerk.is_blocked() and exists (
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
        (status in ('active', 'past_due') and (period_end is null or period_end > now() - grace))
        or (status = 'canceled' and period_end > now())
      )
  );
end
$$;

comment on function clerk.has_plan(text) is
  'Whether the caller has this plan: as a person, or through the active organization when they are a member of it now. An item counts while active or past due, until plan_grace (see clerk_sync.settings) after the period''s end, so that a lost ended is not a plan for ever; and after a cancellation until the period''s end.';

revoke all on function clerk.has_plan(text) from public, anon, authenticated, service_role;
grant execute on function clerk.has_plan(text) to anon, authenticated, service_role;

alter table public.subscription_items enable row level security;

create policy subscription_items_select_payer
  on public.subscription_items
  as permissive
  for select
  to authenticated
  using (
    (organization_id is null and user_id = (select clerk.user_id()) and not (select clerk.is_blocked()))
    or organization_id = any ((select clerk.my_organization_ids())::text[])
  );

comment on policy subscription_items_select_payer on public.subscription_items is
  'People read the items that they pay for themselves; members read their organizations''. NOTE: no insert, update or delete policy: the sync is the only writer.';

revoke all on table public.subscription_items from public, anon, authenticated, service_role;
grant select on table public.subscription_items to authenticated, service_role;
