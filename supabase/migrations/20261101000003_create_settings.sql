-- One row, changed by an operator with SQL.

create table clerk_sync.settings (
  is_only_row boolean primary key default true,
  instance_id text,
  plan_grace interval not null default '3 days',
  reconcile_at time default '03:00',
  delete_surplus boolean not null default false,
  max_event_age interval default '3 days',
  max_waiting_age interval default '7 days',
  max_queue_age interval default '1 hour',
  max_reconcile_age interval default '2 days',
  payload_retention interval not null default '30 days',
  row_retention interval not null default '100 days',
  archive_retention interval not null default '30 days',
  purge_after interval,

  constraint settings_is_one_row check (is_only_row),
  constraint settings_instance_id_is_a_clerk_instance_id check (instance_id ^@ 'ins_'),
  constraint settings_plan_grace_is_not_negative check (plan_grace >= '0'),
  constraint settings_ages_are_not_negative check (
    least(max_event_age, max_waiting_age, max_queue_age, max_reconcile_age) >= '0'
  ),
  constraint settings_payload_retention_is_not_negative check (payload_retention >= '0'),
  -- Svix can send a message again for 90 days.
  constraint settings_row_retention_outlives_resends check (row_retention > '90 days'),
  constraint settings_archive_retention_is_not_negative check (archive_retention >= '0'),
  -- Whoever hears of a deletion can still find the row.
  constraint settings_purge_after_leaves_a_day check (purge_after >= '1 day')
);

comment on table clerk_sync.settings is 'Settings of the sync: always one row.';
comment on column clerk_sync.settings.is_only_row is
  'Always true. As the primary key, it keeps the table at one row.';
comment on column clerk_sync.settings.instance_id is
  'Clerk instance (ins_…) whose events are accepted; events of any other are ignored. Null accepts any.';
comment on column clerk_sync.settings.plan_grace is
  'How long an active or past due plan still counts after its period ended without news from Clerk.';
comment on column clerk_sync.settings.reconcile_at is
  'When a full reconcile begins each day, UTC. Null: never. Polls for changes go on either way.';
comment on column clerk_sync.settings.delete_surplus is
  'Whether a scheduled reconcile deletes what Clerk no longer has, once two runs at least 6 hours apart found it gone. By default it only reports.';
comment on column clerk_sync.settings.max_event_age is
  'The status is red when no event, or none that was applied, has arrived for longer. Null, here and in the other ages: never.';
comment on column clerk_sync.settings.max_waiting_age is
  'The status is red when a message that failed or could not be read has waited for longer.';
comment on column clerk_sync.settings.max_queue_age is
  'The status is red when a change has been on the queue for longer.';
comment on column clerk_sync.settings.max_reconcile_age is
  'The status is red when the tables have not been compared with Clerk, by backfill or reconcile, for longer.';
comment on column clerk_sync.settings.payload_retention is
  'How long the inbox keeps the payload of a message that is done. Failed and unreadable ones keep theirs.';
comment on column clerk_sync.settings.row_retention is
  'How long the inbox keeps the row of a message that is done. More than 90 days: as long as Svix can send the message again, its id tells that it is a duplicate. Failed and unreadable ones stay.';
comment on column clerk_sync.settings.archive_retention is
  'How long the archive keeps changes that the worker is done with.';
comment on column clerk_sync.settings.purge_after is
  'How long after the deletion of a user or an organization its tombstone is deleted, which is when on delete cascade of the application''s foreign keys acts. Null: never. NOTE: Realtime sends the id of a deleted row to everybody who listens to the table.';

insert into clerk_sync.settings default values;

-- NOTE: no policy and no grant, here and on every table of clerk_sync: only the owner and the definer
-- functions of the sync use these tables.
alter table clerk_sync.settings enable row level security;
