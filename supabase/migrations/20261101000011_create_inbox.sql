-- Every authentic delivery, once per message id. Clerk has no list of past events: this is the
-- only log there is, and what a replay reads.

create table clerk_sync.inbox (
  message_id text collate "C" primary key,
  type text,
  object_id text,
  subjects text[] not null default '{}',
  instance_id text,
  occurred_at timestamptz,
  received_at timestamptz not null default now(),
  last_delivered_at timestamptz not null default now(),
  deliveries integer not null default 1,
  outcome text not null,
  error jsonb,
  payload jsonb,

  constraint inbox_message_id_is_short check (length(message_id) between 1 and 255),
  constraint inbox_deliveries_counts_from_one check (deliveries >= 1),
  constraint inbox_error_explains_what_was_not_done check (
    case
      when error is null then outcome in ('applied', 'stale', 'ignored')
      else outcome in ('unreadable', 'failed')
    end
  )
);

-- Erasure looks for a person in every payload. Most events speak of one person only, and for those
-- a b-tree is far cheaper to keep than a GIN index.
create index inbox_only_subject
  on clerk_sync.inbox ((subjects[1]))
  where cardinality(subjects) = 1;

create index inbox_several_subjects
  on clerk_sync.inbox using gin (subjects)
  where cardinality(subjects) > 1;

-- The address in an invitation is forgotten when the invitation is not pending any more.
create index inbox_invitations
  on clerk_sync.inbox (object_id)
  where type ^@ 'organizationInvitation.';

comment on table clerk_sync.inbox is
  'Every authentic event: payload, outcome, deliveries, error. Personal data of a deleted user is erased from it.';
comment on column clerk_sync.inbox.message_id is
  'svix-id, the same on every retry and replay of a message.';
comment on column clerk_sync.inbox.type is
  'Clerk''s event type (user.created); null when it could not be read or does not look like one.';
comment on column clerk_sync.inbox.object_id is
  'data.id of the event; null when there is none or it does not look like an id.';
comment on column clerk_sync.inbox.subjects is
  'Every Clerk user id (user_…) found anywhere in the payload, sorted. Tells erasure where to look.';
comment on column clerk_sync.inbox.instance_id is
  'Clerk instance (ins_…) that sent it; null in events from before April 2025.';
comment on column clerk_sync.inbox.occurred_at is
  'The envelope''s timestamp; null when it has none.';
comment on column clerk_sync.inbox.received_at is
  'When the first delivery was kept, by our clock.';
comment on column clerk_sync.inbox.last_delivered_at is
  'When the newest delivery arrived, by our clock.';
comment on column clerk_sync.inbox.deliveries is
  'How many deliveries of this message were answered by the database.';
comment on column clerk_sync.inbox.outcome is
  'What became of the message. failed and unreadable are tried again by the next delivery; the others are final.';
comment on column clerk_sync.inbox.error is
  'Why it was not done: {sqlstate, message} when failed, {issues: [{path, code}]} when unreadable. Without message and issues once a subject is deleted.';
comment on column clerk_sync.inbox.payload is
  'The event as it came, or {"raw": text} when that is not storable JSON. Null for email.*, sms.* and waitlistEntry.*, for another instance''s events, and once a subject is deleted. Of an invitation that is not pending, without address and link; never with a person''s address that stands beside no user id.';

alter table clerk_sync.inbox enable row level security;
revoke all on table clerk_sync.inbox from public, anon, authenticated, service_role;
