-- From what Clerk sends to what the tables hold. The one place that knows.
--
-- Lenient on purpose: received bodies often break Clerk's own published schema. A value of the
-- wrong type reads as absent, never as an error. So does a text in an indexed column that is longer
-- than any real one: an index entry holds no more than 2704 bytes.
--
-- Everything that a delivery calls is plpgsql, also where one statement of SQL would do: its plans
-- live as long as the connection. An SQL function with a search_path of its own is planned anew in
-- every delivery, which cost most of its time (docs/benchmarks.md).

create function clerk_sync.to_time(value jsonb)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  number numeric;
  at timestamptz;
begin
  if jsonb_typeof(value) = 'number' then
    number := value::numeric;
    return case
      when number < 1 or number > 8640000000000000 then null
      when number < 100000000000 then to_timestamp(trunc(number * 1000) / 1000)
      else to_timestamp(trunc(number) / 1000)
    end;
  end if;

  if jsonb_typeof(value) = 'string'
    and value #>> '{}' ~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$'
    and pg_input_is_valid(value #>> '{}', 'timestamptz')
  then
    at := date_trunc('milliseconds', (value #>> '{}')::timestamptz);
    -- Go's zero time (year 1) is no time, and a version before it would never apply.
    return case when at > to_timestamp(0) then at end;
  end if;

  return null;
end
$$;

comment on function clerk_sync.to_time(jsonb) is
  'A time of Clerk''s, to the millisecond. Real deliveries carry ms since the epoch, examples and test sends seconds (below 1e11), very old data RFC 3339; anything else is null.';

revoke all on function clerk_sync.to_time(jsonb) from public, anon, authenticated, service_role;

create function clerk_sync.to_count(value jsonb)
returns integer
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case
    when jsonb_typeof(value) = 'number' and value::numeric between 0 and 2147483647
    then trunc(value::numeric)::integer
  end;
end
$$;

comment on function clerk_sync.to_count(jsonb) is
  'A count of Clerk''s; null when it is none.';

revoke all on function clerk_sync.to_count(jsonb) from public, anon, authenticated, service_role;

create function clerk_sync.profile_from_user(
  data jsonb,
  out id text,
  out external_id text,
  out username text,
  out first_name text,
  out last_name text,
  out locale text,
  out image_url text,
  out has_image boolean,
  out email text,
  out email_verified boolean,
  out phone text,
  out phone_verified boolean,
  out public_metadata jsonb,
  out unsafe_metadata jsonb,
  out banned boolean,
  out locked boolean,
  out deprovisioned boolean,
  out two_factor_enabled boolean,
  out last_sign_in_at timestamptz,
  out last_active_at timestamptz,
  out legal_accepted_at timestamptz,
  out created_at timestamptz,
  out updated_at timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  primary_email jsonb;
  primary_phone jsonb;
begin
  -- The primary entry by its id, never by its place: it may stand last, or not at all.
  primary_email := jsonb_path_query_first(
    data,
    '$.email_addresses[*] ? (
      @.id == $primary && @.id.type() == "string" && @.email_address.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_email_address_id')
  );
  primary_phone := jsonb_path_query_first(
    data,
    '$.phone_numbers[*] ? (
      @.id == $primary && @.id.type() == "string" && @.phone_number.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_phone_number_id')
  );

  id := data ->> 'id';
  external_id := case jsonb_typeof(data -> 'external_id') when 'string' then data ->> 'external_id' end;
  username := case jsonb_typeof(data -> 'username') when 'string' then data ->> 'username' end;
  first_name := case jsonb_typeof(data -> 'first_name') when 'string' then data ->> 'first_name' end;
  last_name := case jsonb_typeof(data -> 'last_name') when 'string' then data ->> 'last_name' end;
  locale := case jsonb_typeof(data -> 'locale') when 'string' then data ->> 'locale' end;
  image_url := case jsonb_typeof(data -> 'image_url') when 'string' then data ->> 'image_url' end;
  has_image := data @> '{"has_image": true}';
  email := primary_email ->> 'email_address';
  email_verified := coalesce(primary_email #>> '{verification,status}' = 'verified', false);
  phone := primary_phone ->> 'phone_number';
  phone_verified := coalesce(primary_phone #>> '{verification,status}' = 'verified', false);
  public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  unsafe_metadata := case jsonb_typeof(data -> 'unsafe_metadata')
    when 'object' then data -> 'unsafe_metadata'
    else '{}'
  end;
  banned := data @> '{"banned": true}';
  locked := data @> '{"locked": true}';
  deprovisioned := data @> '{"deprovisioned": true}';
  two_factor_enabled := data @> '{"two_factor_enabled": true}';
  last_sign_in_at := clerk_sync.to_time(data -> 'last_sign_in_at');
  last_active_at := clerk_sync.to_time(data -> 'last_active_at');
  legal_accepted_at := clerk_sync.to_time(data -> 'legal_accepted_at');
  created_at := clerk_sync.to_time(data -> 'created_at');
  updated_at := clerk_sync.to_time(data -> 'updated_at');
end
$$;

comment on function clerk_sync.profile_from_user(jsonb) is
  'The synced columns of public.profiles from a Clerk user, as in the webhook''s data or the Backend API. NOTE: private_metadata is not among them and must never be.';

revoke all on function clerk_sync.profile_from_user(jsonb)
  from public, anon, authenticated, service_role;

create function clerk_sync.organization_from_data(
  data jsonb,
  out id text,
  out slug text,
  out name text,
  out image_url text,
  out has_image boolean,
  out members_count integer,
  out max_allowed_memberships integer,
  out public_metadata jsonb,
  out created_by text,
  out created_at timestamptz,
  out updated_at timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  id := data ->> 'id';
  slug := nullif(case jsonb_typeof(data -> 'slug') when 'string' then data -> 'slug' #>> '{}' end, '');
  name := case jsonb_typeof(data -> 'name') when 'string' then data -> 'name' #>> '{}' end;
  image_url := case jsonb_typeof(data -> 'image_url') when 'string' then data -> 'image_url' #>> '{}' end;
  has_image := data @> '{"has_image": true}';
  members_count := clerk_sync.to_count(data -> 'members_count');
  max_allowed_memberships := nullif(clerk_sync.to_count(data -> 'max_allowed_memberships'), 0);
  public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  created_by := case jsonb_typeof(data -> 'created_by') when 'string' then data -> 'created_by' #>> '{}' end;
  created_at := clerk_sync.to_time(data -> 'created_at');
  updated_at := clerk_sync.to_time(data -> 'updated_at');
end
$$;

comment on function clerk_sync.organization_from_data(jsonb) is
  'The synced columns of public.organizations from a Clerk organization. NOTE: private_metadata is not among them and must never be.';

create function clerk_sync.membership_from_data(
  data jsonb,
  out id text,
  out organization_id text,
  out user_id text,
  out role text,
  out role_name text,
  out permissions text[],
  out public_metadata jsonb,
  out created_at timestamptz,
  out updated_at timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  id := data ->> 'id';
  organization_id := data #>> '{organization,id}';
  user_id := data #>> '{public_user_data,user_id}';
  role := clerk.org_key(case jsonb_typeof(data -> 'role') when 'string' then data -> 'role' #>> '{}' end);
  role_name := case jsonb_typeof(data -> 'role_name') when 'string' then data -> 'role_name' #>> '{}' end;
  permissions := array(
    select permission #>> '{}'
    from jsonb_path_query(
      case jsonb_typeof(data -> 'permissions') when 'array' then data -> 'permissions' end,
      '$[*] ? (@.type() == "string")'
    ) as permission
  );
  public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  created_at := clerk_sync.to_time(data -> 'created_at');
  updated_at := clerk_sync.to_time(data -> 'updated_at');
end
$$;

comment on function clerk_sync.membership_from_data(jsonb) is
  'The synced columns of public.organization_memberships from a Clerk membership; user_id is null when public_user_data is absent. NOTE: nothing is taken from the nested organization and user but their ids.';

create function clerk_sync.invitation_from_data(
  data jsonb,
  out id text,
  out organization_id text,
  out email_address text,
  out role text,
  out role_name text,
  out status text,
  out inviter_id text,
  out public_metadata jsonb,
  out expires_at timestamptz,
  out created_at timestamptz,
  out updated_at timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  id := data ->> 'id';
  organization_id := data ->> 'organization_id';
  email_address := case
    when data ->> 'status' = 'pending'
      and jsonb_typeof(data -> 'email_address') = 'string'
      and length(data ->> 'email_address') <= 320
    then data ->> 'email_address'
  end;
  role := clerk.org_key(case jsonb_typeof(data -> 'role') when 'string' then data -> 'role' #>> '{}' end);
  role_name := case jsonb_typeof(data -> 'role_name') when 'string' then data -> 'role_name' #>> '{}' end;
  status := case jsonb_typeof(data -> 'status') when 'string' then data -> 'status' #>> '{}' end;
  inviter_id := case jsonb_typeof(data -> 'inviter_id') when 'string' then data -> 'inviter_id' #>> '{}' end;
  public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  expires_at := clerk_sync.to_time(data -> 'expires_at');
  created_at := clerk_sync.to_time(data -> 'created_at');
  updated_at := clerk_sync.to_time(data -> 'updated_at');
end
$$;

comment on function clerk_sync.invitation_from_data(jsonb) is
  'The synced columns of public.organization_invitations from a Clerk invitation; the address only while it is pending.';

create function clerk_sync.subscription_item_from_data(
  data jsonb,
  out id text,
  out user_id text,
  out organization_id text,
  out plan_id text,
  out plan_slug text,
  out plan_name text,
  out status text,
  out is_free_trial boolean,
  out period_start timestamptz,
  out period_end timestamptz,
  out created_at timestamptz,
  out updated_at timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  id := data ->> 'id';
  user_id := nullif(case jsonb_typeof(data #> '{payer,user_id}') when 'string' then data #> '{payer,user_id}' #>> '{}' end, '');
  organization_id := nullif(case jsonb_typeof(data #> '{payer,organization_id}') when 'string' then data #> '{payer,organization_id}' #>> '{}' end, '');
  plan_id := coalesce(case jsonb_typeof(data -> 'plan_id') when 'string' then data -> 'plan_id' #>> '{}' end, case jsonb_typeof(data #> '{plan,id}') when 'string' then data #> '{plan,id}' #>> '{}' end);
  plan_slug := case
    when jsonb_typeof(data #> '{plan,slug}') = 'string'
      and length(data #>> '{plan,slug}') <= 255
    then data #>> '{plan,slug}'
  end;
  plan_name := case jsonb_typeof(data #> '{plan,name}') when 'string' then data #> '{plan,name}' #>> '{}' end;
  status := case jsonb_typeof(data -> 'status') when 'string' then data -> 'status' #>> '{}' end;
  is_free_trial := data @> '{"is_free_trial": true}';
  period_start := clerk_sync.to_time(data -> 'period_start');
  period_end := clerk_sync.to_time(data -> 'period_end');
  created_at := clerk_sync.to_time(data -> 'created_at');
  updated_at := clerk_sync.to_time(data -> 'updated_at');
end
$$;

comment on function clerk_sync.subscription_item_from_data(jsonb) is
  'The synced columns of public.subscription_items from a Clerk subscription item. A blank organization is none.';

revoke all on function
  clerk_sync.organization_from_data(jsonb),
  clerk_sync.membership_from_data(jsonb),
  clerk_sync.invitation_from_data(jsonb),
  clerk_sync.subscription_item_from_data(jsonb)
  from public, anon, authenticated, service_role;
