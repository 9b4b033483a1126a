-- The entry point of the webhook: one authentic event, one transaction, one outcome.

create function clerk_sync.event_kind(type text)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  case
    when type in ('user.created', 'user.updated', 'user.deleted')
    then
      return 'user';
    when type in ('organization.created', 'organization.updated', 'organization.deleted')
    then
      return 'organization';
    when type in (
      'organizationMembership.created', 'organizationMembership.updated',
      'organizationMembership.deleted'
    )
    then
      return 'membership';
    when type in (
      'organizationInvitation.created', 'organizationInvitation.accepted',
      'organizationInvitation.revoked'
    )
    then
      return 'invitation';
    when type in (
      'subscriptionItem.created', 'subscriptionItem.updated', 'subscriptionItem.active',
      'subscriptionItem.abandoned', 'subscriptionItem.canceled', 'subscriptionItem.ended',
      'subscriptionItem.freeTrialEnding', 'subscriptionItem.incomplete',
      'subscriptionItem.pastDue', 'subscriptionItem.upcoming'
    )
    then
      return 'subscription_item';
    when type in (
      'organizationDomain.created', 'organizationDomain.updated', 'organizationDomain.deleted',
      'role.created', 'role.updated', 'role.deleted',
      'permission.created', 'permission.updated', 'permission.deleted',
      'paymentAttempt.created', 'paymentAttempt.updated',
      'subscription.created', 'subscription.updated', 'subscription.active',
      'subscription.pastDue'
    )
    then
      return 'other';
    else
      -- NOTE: not session.* (a row per sign-in for ever), waitlistEntry.* (an address without an id to
      -- erase it by), email.* and sms.* (one-time codes), nor whatever Clerk invents next.
      return null;
  end case;
end
$$;

comment on function clerk_sync.event_kind(text) is
  'What events of this type write: the table of users, organizations, memberships, invitations or subscription items, or (other) the register''s data; null for types that the inbox alone keeps.';

create function clerk_sync.version_of(event jsonb, out version bigint, out observed_at bigint)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  updated_at constant timestamptz := clerk_sync.to_time(event #> '{data,updated_at}');
  envelope constant timestamptz := clerk_sync.to_time(event -> 'timestamp');
  created_at timestamptz;
begin
  if updated_at is null or envelope is null then
    created_at := clerk_sync.to_time(event #> '{data,created_at}');
  end if;

  version := extract(epoch from coalesce(updated_at, envelope, created_at)) * 1000;
  observed_at := extract(epoch from coalesce(envelope, updated_at, created_at)) * 1000;
end
$$;

comment on function clerk_sync.version_of(jsonb) is
  'What orders an event, ms since the epoch: data.updated_at first, because the envelope''s time trails it by a few ms and two quick updates can swap; then the envelope''s timestamp. Null when the event has no time at all.';

create function clerk_sync.is_id(value jsonb, prefix text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- What is no string does not begin as an id does.
  return coalesce(
    value #>> '{}' ~ ('^' || prefix || '_[A-Za-z0-9]+$') and length(value #>> '{}') <= 250,
    false
  );
end
$$;

comment on function clerk_sync.is_id(jsonb, text) is
  'Whether the value is a Clerk id with this prefix (a regular expression).';

create function clerk_sync.unreadable_because(kind text, event jsonb, version bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  id_prefix text;
begin
  if kind is null then
    if jsonb_typeof(event -> 'type') is distinct from 'string' then
      return '[{"path": "type", "code": "invalid_type"}]';
    end if;
    return null;
  end if;

  case kind
    when 'user' then id_prefix := 'user';
    when 'organization' then id_prefix := 'org';
    when 'membership' then id_prefix := 'orgmem';
    when 'invitation' then id_prefix := 'orginv';
    -- Any other kind, but none that has rows of its own: its deletion would be taken for theirs.
    else id_prefix := '(?!(?:user|org|orgmem|orginv)_)[a-z]{1,20}(?:_[a-z]{1,20})*';
  end case;
  if not clerk_sync.is_id(event #> '{data,id}', id_prefix) then
    return '[{"path": "data.id", "code": "invalid_format"}]';
  end if;

  if kind = 'membership' then
    if not clerk_sync.is_id(event #> '{data,organization,id}', 'org') then
      return '[{"path": "data.organization.id", "code": "invalid_format"}]';
    end if;
    if jsonb_typeof(event #> '{data,public_user_data,user_id}') <> 'null'
      and not clerk_sync.is_id(event #> '{data,public_user_data,user_id}', 'user')
    then
      return '[{"path": "data.public_user_data.user_id", "code": "invalid_format"}]';
    end if;
  elsif kind = 'invitation' then
    if not clerk_sync.is_id(event #> '{data,organization_id}', 'org') then
      return '[{"path": "data.organization_id", "code": "invalid_format"}]';
    end if;
    if jsonb_typeof(event #> '{data,status}') is distinct from 'string' then
      return '[{"path": "data.status", "code": "invalid_type"}]';
    end if;
  elsif kind = 'subscription_item' then
    if not clerk_sync.is_id(event #> '{data,payer,user_id}', 'user')
      and not clerk_sync.is_id(event #> '{data,payer,organization_id}', 'org')
    then
      return '[{"path": "data.payer", "code": "invalid_type"}]';
    end if;
    -- Both are locked in the register, so neither may be what is no id.
    if (coalesce(event #>> '{data,payer,user_id}', '') <> ''
        and not clerk_sync.is_id(event #> '{data,payer,user_id}', 'user'))
      or (coalesce(event #>> '{data,payer,organization_id}', '') <> ''
        and not clerk_sync.is_id(event #> '{data,payer,organization_id}', 'org'))
    then
      return '[{"path": "data.payer", "code": "invalid_format"}]';
    end if;
  end if;

  if version is null and event ->> 'type' not like '%.deleted' then
    return '[{"path": "data.updated_at", "code": "invalid_type"}]';
  end if;

  return null;
end
$$;

comment on function clerk_sync.unreadable_because(text, jsonb, bigint) is
  'The issues ([{path, code}]) for which an event of a known type cannot be applied; null when it can.';

create function clerk_sync.apply_event(
  message_id text,
  kind text,
  version bigint,
  observed_at bigint,
  organization_id text,
  user_id text,
  subjects text[],
  event jsonb
)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  own_id constant text := event #>> '{data,id}';
  deletes constant boolean := event ->> 'type' like '%.deleted';
begin
  -- A child may come before its parents. Every membership event makes their rows, also one that
  -- turns out to be stale, so that the rows do not depend on the order of arrival.
  if kind in ('membership', 'invitation') then
    perform clerk_sync.make_stubs(
      apply_event.organization_id, case kind when 'membership' then apply_event.user_id end);
  end if;

  if deletes then
    -- NOTE: no comparison of versions. A deletion carries no usable time; it is terminal.
    update clerk_sync.objects
    set
      deleted_at = coalesce(to_timestamp(apply_event.observed_at / 1000.0), now()),
      data = null,
      subjects = '{}'
    where id = own_id
      and deleted_at is null;

    if not found then
      return 'stale';
    end if;

    case kind
      when 'user' then
        perform clerk_sync.delete_user(own_id, deleted_at) from clerk_sync.objects where id = own_id;
      when 'organization' then
        perform clerk_sync.delete_organization(own_id, deleted_at) from clerk_sync.objects where id = own_id;
      when 'membership' then
        delete from public.organization_memberships where id = own_id;
      when 'other' then
        null;
    end case;
  else
    -- What belongs to somebody deleted went with them.
    if (apply_event.organization_id is not null and clerk_sync.is_deleted(apply_event.organization_id))
      or (kind = 'membership' and clerk_sync.is_deleted(apply_event.user_id))
      or (
        kind = 'subscription_item'
        and apply_event.organization_id is null
        and clerk_sync.is_deleted(apply_event.user_id)
      )
    then
      return 'stale';
    end if;

    update clerk_sync.objects
    set
      version = apply_event.version,
      observed_at = apply_event.observed_at,
      message_id = apply_event.message_id
    where id = own_id
      and deleted_at is null
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id);

    if not found then
      return 'stale';
    end if;

    case kind
      when 'user' then
        perform clerk_sync.upsert_user(event -> 'data');
      when 'organization' then
        perform clerk_sync.upsert_organization(event -> 'data');
      when 'membership' then
        perform clerk_sync.upsert_membership(event -> 'data', apply_event.user_id);
      when 'invitation' then
        perform clerk_sync.upsert_invitation(event -> 'data');
        if event #>> '{data,status}' <> 'pending' then
          perform clerk_sync.forget_addresses(array[own_id]);
        end if;
      when 'subscription_item' then
        perform clerk_sync.upsert_subscription_item(event -> 'data');
      when 'other' then
        perform clerk_sync.keep_data(
          own_id, subjects, clerk_sync.without_unerasable(event) -> 'data');
    end case;
  end if;

  return 'applied';
end
$$;

comment on function clerk_sync.apply_event(text, text, bigint, bigint, text, text, text[], jsonb) is
  'Claims the version and applies the event: applied, or stale when something newer or a deletion is already there. Raises whatever the application''s triggers and constraints raise.';

create function clerk_sync.keep_data(id text, subjects text[], data jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  any_deleted constant boolean := clerk_sync.any_deleted(keep_data.subjects);
begin
  update clerk_sync.objects
  set
    data = case when not any_deleted then keep_data.data end,
    subjects = case when not any_deleted then keep_data.subjects else '{}' end
  where objects.id = keep_data.id;
end
$$;

comment on function clerk_sync.keep_data(text, text[], jsonb) is
  'Keeps the newest data of an object without a table, unless it speaks of somebody deleted.';

create function clerk_sync.member_of(membership_id text, event jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce(
    event #>> '{data,public_user_data,user_id}',
    (
      select organization_memberships.user_id
      from public.organization_memberships
      where id = membership_id
    )
  );
end
$$;

comment on function clerk_sync.member_of(text, jsonb) is
  'Whose membership an event speaks of: public_user_data, which is not guaranteed, or else the row that is there; null when neither tells.';

revoke all on function
  clerk_sync.event_kind(text),
  clerk_sync.version_of(jsonb),
  clerk_sync.is_id(jsonb, text),
  clerk_sync.unreadable_because(text, jsonb, bigint),
  clerk_sync.apply_event(text, text, bigint, bigint, text, text, text[], jsonb),
  clerk_sync.keep_data(text, text[], jsonb),
  clerk_sync.member_of(text, jsonb)
  from public, anon, authenticated, service_role;

create function public.ingest_clerk_event(message_id text, event jsonb)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = ''
as $$
declare
  kind text := clerk_sync.event_kind(event ->> 'type');
  own_id constant text := event #>> '{data,id}';
  names_instance boolean;
  is_known boolean;
  own record;
  subjects text[];
  organization_id text;
  user_id text;
  payload jsonb := event;
  issues jsonb;
  outcome text;
  error jsonb;
  state text;
  reason text;
begin
  -- One look for two questions, which most deliveries answer with no.
  select
    settings.instance_id is not null,
    exists (select from clerk_sync.inbox where inbox.message_id = ingest_clerk_event.message_id)
  into names_instance, is_known
  from clerk_sync.settings;

  if is_known and clerk_sync.count_redelivery(ingest_clerk_event.message_id) then
    return jsonb_build_object('outcome', 'duplicate');
  end if;

  if names_instance and clerk_sync.is_foreign(event) then
    return jsonb_build_object('outcome', clerk_sync.keep_in_inbox(
      ingest_clerk_event.message_id, event ->> 'type', '{}', event, true, 'ignored', null));
  end if;

  subjects := clerk_sync.user_ids_in(event);
  own := clerk_sync.version_of(event);
  issues := clerk_sync.unreadable_because(kind, event, own.version);
  if kind = 'membership' then
    organization_id := event #>> '{data,organization,id}';
    user_id := clerk_sync.member_of(own_id, event);
    if clerk_sync.is_id(to_jsonb(user_id), 'user') then
      -- Whose membership it is may stand in its row alone.
      if user_id <> all (subjects) then
        subjects := subjects || user_id;
      end if;
    elsif jsonb_typeof(event -> 'data') = 'object' then
      -- What is said of a member stands beside no user id to erase it by.
      payload := event
        #- '{data,public_user_data}' #- '{data,public_metadata}' #- '{data,private_metadata}';
    end if;
  elsif kind = 'invitation' then
    organization_id := event #>> '{data,organization_id}';
  elsif kind = 'subscription_item' then
    organization_id := nullif(event #>> '{data,payer,organization_id}', '');
    user_id := nullif(event #>> '{data,payer,user_id}', '');
  end if;

  -- Before the savepoint below, so that the locks outlive an apply that fails.
  perform clerk_sync.lock_objects(
    case when kind is not null and issues is null then own_id end,
    event ->> 'type' like '%.deleted',
    case when issues is null then organization_id end,
    subjects);

  if kind = 'membership' and issues is null then
    -- The row may have come, or gone, while the locks were waited for.
    if clerk_sync.member_of(own_id, event) is distinct from user_id then
      raise exception using
        errcode = 'serialization_failure',
        message = 'The membership changed hands meanwhile: try again';
    end if;

    if user_id is null and event ->> 'type' not like '%.deleted' then
      if (select version > 0 or deleted_at is not null from clerk_sync.objects where id = own_id) then
        -- There was a row, and it went with its user, its organization or its deletion.
        kind := null;
        outcome := 'stale';
      else
        issues := '[{"path": "data.public_user_data", "code": "invalid_type"}]';
      end if;
    end if;
  end if;

  if issues is not null then
    outcome := 'unreadable';
    error := jsonb_build_object('issues', issues);
  elsif kind is null then
    outcome := coalesce(outcome, 'ignored');
  else
    perform
      set_config('clerk_sync.caused_by', ingest_clerk_event.message_id, true),
      set_config('clerk_sync.via', 'webhook', true);

    begin
      outcome := clerk_sync.apply_event(
        ingest_clerk_event.message_id, kind, own.version, own.observed_at, organization_id, user_id,
        subjects, event);

      -- Deferred constraints and constraint triggers of the application fail here, inside the
      -- savepoint, and not at commit, where the outcome could not be recorded any more. Also for a
      -- stale event: it may have made the rows of its parents.
      set constraints all immediate;
    exception
      -- others leaves assert_failure out; a failed assert in somebody's trigger is a failure too.
      when assert_failure or others then
        get stacked diagnostics
          state = returned_sqlstate,
          reason = message_text;

        -- The database could not, rather than the event: nothing to record, try again later.
        if state ~ '^(40|53|57)' or state = '55P03' then
          raise;
        end if;

        outcome := 'failed';
        error := jsonb_build_object('sqlstate', state, 'message', reason);
    end;
  end if;

  outcome := clerk_sync.keep_in_inbox(
    ingest_clerk_event.message_id, event ->> 'type', subjects, payload, false, outcome, error);

  if outcome = 'applied' then
    return jsonb_build_object('outcome', outcome);
  end if;

  -- The message of an error can quote somebody's data: only its SQLSTATE leaves the database.
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', outcome,
    'sqlstate', case outcome when 'failed' then state end,
    'issues', case outcome when 'unreadable' then issues end));
end
$$;

comment on function public.ingest_clerk_event(text, jsonb) is
  'Takes one authentic Clerk event (message id and parsed body) and returns {outcome, sqlstate?, issues?}: applied, stale, duplicate, ignored, unreadable or failed. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again.';

revoke all on function public.ingest_clerk_event(text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.ingest_clerk_event(text, jsonb) to clerk_ingest, service_role;
