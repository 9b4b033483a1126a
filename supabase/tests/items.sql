-- Subscription items whose events lack their plan or their payer, and what they say of seats and price.

begin;
set local search_path = public, extensions;
select plan(36);

create function pg_temp.deliver(message_id text, type text, data jsonb, after integer)
returns text
language sql
as $$
  select public.ingest_clerk_event(message_id, jsonb_build_object(
    'type', 'subscriptionItem.' || type, 'timestamp', 1760000000000 + after,
    'data', jsonb_build_object('updated_at', 1760000000000 + after) || data
  )) ->> 'outcome'
$$;
create function pg_temp.item(id text, slug text default 'pro')
returns jsonb
language sql
as $$
  select jsonb_build_object(
    'id', id, 'status', 'active', 'payer', '{"user_id": "user_a", "organization_id": ""}'::jsonb,
    'plan_id', 'cplan_1', 'plan', jsonb_build_object('id', 'cplan_1', 'slug', slug, 'name', initcap(slug))
  )
$$;


-- Without a plan -----------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_11', 'active', pg_temp.item('csub_item_1') || '{"plan": null}', 10), 'applied',
  'arrange: an item whose event has no plan'
);
select results_eq(
  $$ select plan_id, plan_slug, plan_name from subscription_items where id = 'csub_item_1' $$,
  $$ values ('cplan_1', null, null) $$,
  'nothing is known of its plan but the id'
);
select is(pg_temp.deliver('msg_12', 'active', pg_temp.item('csub_item_2'), 5), 'applied', 'arrange: another item tells the plan');
select results_eq(
  $$ select id, plan_slug, plan_name from subscription_items order by id $$,
  $$ values ('csub_item_1', 'pro', 'Pro'), ('csub_item_2', 'pro', 'Pro') $$,
  'the first item learns slug and name'
);
select is(
  pg_temp.deliver('msg_13', 'updated', pg_temp.item('csub_item_2') || '{"plan": null}', 20), 'applied',
  'arrange: a later event without the plan'
);
select is(
  (select plan_slug from subscription_items where id = 'csub_item_2'), 'pro',
  'an event without a plan keeps slug and name'
);
select is(
  pg_temp.deliver('msg_14', 'updated', pg_temp.item('csub_item_1', 'team') || '{"updated_at": 1760000000001}', 8), 'stale',
  'arrange: a stale event with another slug, observed later than the first'
);
select set_eq(
  $$ select plan_slug from subscription_items $$, array['team'],
  'the newest observation counts, of a stale event, too, for all items of the plan'
);
select is(
  pg_temp.deliver('msg_15', 'updated', pg_temp.item('csub_item_1', 'old') || '{"updated_at": 1760000000030}', 4), 'applied',
  'arrange: an event of the item with an older observation of the plan'
);
select set_eq(
  $$ select plan_slug from subscription_items $$, array['team'], 'an older observation changes no slug'
);


-- Without a payer ----------------------------------------------------------------------------

select is(
  pg_temp.deliver('msg_21', 'ended', pg_temp.item('csub_item_9') - 'payer' || '{"status": "ended"}', 40), 'unreadable',
  'an item that nobody is known to pay for is unreadable, and tried again'
);
select is(
  pg_temp.deliver('msg_22', 'ended', pg_temp.item('csub_item_2') - 'payer' || '{"status": "ended"}', 40), 'applied',
  'an item without a payer is applied if its row tells the payer'
);
select results_eq(
  $$ select status, user_id, organization_id from subscription_items where id = 'csub_item_2' $$,
  $$ values ('ended', 'user_a', null) $$,
  'it keeps its payer'
);
select is(
  public.ingest_clerk_event('msg_23', '{"type": "user.deleted", "timestamp": 1760000000050, "data": {"id": "user_a"}}') ->> 'outcome',
  'applied',
  'arrange: the payer is deleted'
);
select is(
  pg_temp.deliver('msg_24', 'ended', pg_temp.item('csub_item_2') - 'payer', 60), 'stale',
  'an item that went with its payer does not come back'
);


-- An event that fails, and is settled by the deletion of its payer ---------------------------

create function pg_temp.refuse() returns trigger language plpgsql as $$
begin
  raise 'no room';
end
$$;
create trigger refuse before insert on subscription_items for each row execute function pg_temp.refuse();
select is(
  pg_temp.deliver('msg_31', 'active', pg_temp.item('csub_item_31') || '{
    "plan_id": "cplan_3", "plan": {"id": "cplan_3", "slug": "gold", "name": "Gold"}, "payer": {"user_id": "user_b"}
  }', 70),
  'failed',
  'arrange: an item that tells its plan fails'
);
drop trigger refuse on subscription_items;
select is(
  pg_temp.deliver('msg_32', 'active', pg_temp.item('csub_item_32') || '{
    "plan_id": "cplan_3", "plan": null, "payer": {"organization_id": "org_c"}
  }', 71),
  'applied',
  'arrange: an item of the same plan'
);
select is(
  public.ingest_clerk_event('msg_33', '{"type": "user.deleted", "timestamp": 1760000000080, "data": {"id": "user_b"}}') ->> 'outcome',
  'applied',
  'arrange: who pays for the first is deleted'
);
select results_eq(
  $$ select plan_slug, plan_name from subscription_items where id = 'csub_item_32' $$,
  $$ values ('gold', 'Gold') $$,
  'the second item learns slug and name all the same'
);



-- Seats and price ----------------------------------------------------------------------------

select is(
  (
    select jsonb_build_array(seats, billing_interval, amount, currency)
    from clerk_sync.subscription_item_from_clerk(data)
  ),
  terms, format('%s is read as %s', data, terms)
)
from (
  values
    ('{}'::jsonb, '[null, null, null, null]'::jsonb),
    ('{"seats": {"quantity": 5}}', '[5, null, null, null]'),
    ('{"seats": {"quantity": 0}}', '[0, null, null, null]'),
    ('{"seats": {"quantity": null}}', '[null, null, null, null]'),
    ('{"seats": {"quantity": 1e300}}', '[null, null, null, null]'),
    ('{"interval": "month"}', '[null, "month", null, null]'),
    ('{"interval": "month", "plan_period": "annual"}', '[null, "annual", null, null]'),
    ('{"plan": {"amount": 2000, "currency": "USD"}}', '[null, null, 2000, "USD"]'),
    ('{"plan": {"amount": 2000, "currency": "USD"}, "amount": {"amount": 0, "currency": "EUR"}}', '[null, null, 0, "EUR"]'),
    ('{"plan": {"amount": 2000, "currency": "USD"}, "amount": {"amount": 1500}}', '[null, null, 1500, null]'),
    ('{"plan": {"amount": 2000, "currency": "USD"}, "amount": {"currency": "EUR"}}', '[null, null, 2000, "USD"]'),
    ('{"plan": {"amount": 2000, "currency": "USD"}, "amount": null}', '[null, null, 2000, "USD"]'),
    ('{"amount": {"amount": 9007199254740991, "currency": "IDR"}}', '[null, null, 9007199254740991, "IDR"]'),
    ('{"amount": {"amount": 9007199254740992, "currency": "IDR"}}', '[null, null, null, "IDR"]'),
    ('{"amount": {"amount": -1, "currency": "EUR"}}', '[null, null, null, "EUR"]'),
    ('{"amount": {"amount": "2000", "currency": "EUR"}}', '[null, null, null, "EUR"]'),
    ('{"amount": {"amount": 1e300, "currency": "EUR"}}', '[null, null, null, "EUR"]')
) as told (data, terms);

select * from finish();
rollback;
