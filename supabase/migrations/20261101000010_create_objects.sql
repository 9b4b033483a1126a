-- The register: one row per Clerk id. It makes ordering and erasure work. Its row locks serialize
-- whatever must be serialized; there are no advisory locks.

create table clerk_sync.objects (
  id text collate "C" primary key,
  version bigint not null default 0,
  observed_at bigint not null default 0,
  message_id text collate "C" not null default '',
  deleted_at timestamptz,
  data jsonb,
  subjects text[] not null default '{}',

  constraint objects_version_is_a_time check (version >= 0 and observed_at >= 0),
  constraint objects_deleted_holds_no_data check (deleted_at is null or data is null),
  constraint objects_subjects_are_of_data check (data is not null or subjects = '{}')
)
with (fillfactor = 90);

create index objects_by_subject
  on clerk_sync.objects using gin (subjects)
  where cardinality(subjects) > 0;

comment on table clerk_sync.objects is
  'One row per Clerk id that any event spoke of: the newest version applied, or that it is deleted. (version, observed_at, message_id) is a total order, so the result never depends on the order of arrival.';
comment on column clerk_sync.objects.id is
  'Clerk id; its prefix tells the kind (user_…).';
comment on column clerk_sync.objects.version is
  'data.updated_at of the newest event applied, ms since the epoch; 0 when none was.';
comment on column clerk_sync.objects.observed_at is
  'The envelope''s timestamp of that event, ms since the epoch. Decides between equal versions.';
comment on column clerk_sync.objects.message_id is
  'Message id (svix-id) of that event. Decides when both times are equal.';
comment on column clerk_sync.objects.deleted_at is
  'When Clerk deleted the object. Terminal: nothing is applied to this id any more.';

comment on column clerk_sync.objects.data is
  'The newest data of kinds without a table of their own (domains, roles, permissions, payment attempts, subscriptions); null for all others, and once one of its subjects is deleted.';
comment on column clerk_sync.objects.subjects is
  'Every Clerk user id (user_…) found in data, sorted. Tells erasure where to look.';

alter table clerk_sync.objects enable row level security;
revoke all on table clerk_sync.objects from public, anon, authenticated, service_role;
