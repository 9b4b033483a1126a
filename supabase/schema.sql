-- The schema as the migrations leave it, so that a reviewer reads what happened. Written by
-- `deno task types`. For reading, not for applying: roles, publications and rows are not in it.

SET local check_function_bodies = off;

CREATE SCHEMA "clerk_sync";

CREATE SCHEMA "clerk";

CREATE TABLE "clerk_sync"."inbox" (
  "message_id"        text                     COLLATE pg_catalog."C" NOT NULL,
  "type"              text,
  "object_id"         text,
  "subjects"          text[]                   NOT NULL DEFAULT '{}'::text[],
  "instance_id"       text,
  "occurred_at"       timestamp with time zone,
  "received_at"       timestamp with time zone NOT NULL DEFAULT now(),
  "last_delivered_at" timestamp with time zone NOT NULL DEFAULT now(),
  "deliveries"        integer                  NOT NULL DEFAULT 1,
  "outcome"           text                     NOT NULL,
  "error"             jsonb,
  "payload"           jsonb,
  CONSTRAINT "inbox_error_explains_what_was_not_done" CHECK (((error IS NULL) = (outcome = ANY (ARRAY['applied'::text, 'stale'::text, 'ignored'::text])))),
  CONSTRAINT "inbox_message_id_is_short" CHECK (((length(message_id) >= 1) AND (length(message_id) <= 255))),
  CONSTRAINT "inbox_pkey" PRIMARY KEY (message_id)
);

ALTER TABLE "clerk_sync"."inbox"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."keys" (
  "kind"        text   NOT NULL,
  "key"         text   NOT NULL,
  "id"          text   NOT NULL,
  "observed_at" bigint NOT NULL,
  CONSTRAINT "keys_pkey" PRIMARY KEY (kind, key, id)
);

ALTER TABLE "clerk_sync"."keys"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."membership_deletions" (
  "user_id"         text   COLLATE pg_catalog."C" NOT NULL,
  "organization_id" text   COLLATE pg_catalog."C" NOT NULL,
  "observed_at"     bigint NOT NULL,
  CONSTRAINT "membership_deletions_pkey" PRIMARY KEY (user_id, organization_id)
);

ALTER TABLE "clerk_sync"."membership_deletions"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."objects" (
  "id"          text                     COLLATE pg_catalog."C" NOT NULL,
  "version"     bigint                   NOT NULL DEFAULT 0,
  "observed_at" bigint                   NOT NULL DEFAULT 0,
  "message_id"  text                     COLLATE pg_catalog."C" NOT NULL DEFAULT ''::text,
  "deleted_at"  timestamp with time zone,
  "data"        jsonb,
  "subjects"    text[]                   NOT NULL DEFAULT '{}'::text[],
  CONSTRAINT "objects_only_living_ones_hold_data" CHECK (
CASE
    WHEN (data IS NULL) THEN (subjects = '{}'::text[])
    ELSE (deleted_at IS NULL)
END),
  CONSTRAINT "objects_pkey" PRIMARY KEY (id)
);

ALTER TABLE "clerk_sync"."objects"
  ENABLE ROW LEVEL SECURITY;

ALTER TABLE "clerk_sync"."objects"
  SET (fillfactor=90);

CREATE TABLE "clerk_sync"."plans" (
  "id"          text   COLLATE pg_catalog."C" NOT NULL,
  "slug"        text,
  "name"        text,
  "observed_at" bigint NOT NULL DEFAULT 0,
  "message_id"  text   COLLATE pg_catalog."C" NOT NULL DEFAULT ''::text,
  CONSTRAINT "plans_pkey" PRIMARY KEY (id)
);

ALTER TABLE "clerk_sync"."plans"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."runs" (
  "id"           bigint                   GENERATED ALWAYS AS IDENTITY NOT NULL,
  "kind"         text                     NOT NULL,
  "options"      jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "state"        jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "fence"        bigint                   NOT NULL DEFAULT 1,
  "began_at"     timestamp with time zone NOT NULL DEFAULT now(),
  "leased_until" timestamp with time zone NOT NULL,
  "finished_at"  timestamp with time zone,
  CONSTRAINT "runs_kind_is_known" CHECK ((kind = ANY (ARRAY['backfill'::text, 'reconcile'::text, 'poll'::text]))),
  CONSTRAINT "runs_pkey" PRIMARY KEY (id)
);

ALTER TABLE "clerk_sync"."runs"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."seen_objects" (
  "run_id" bigint NOT NULL,
  "id"     text   COLLATE pg_catalog."C" NOT NULL,
  CONSTRAINT "seen_objects_pkey" PRIMARY KEY (run_id, id)
);

ALTER TABLE "clerk_sync"."seen_objects"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."settings" (
  "is_only_row"       boolean                NOT NULL DEFAULT true,
  "instance_id"       text,
  "plan_grace"        interval               NOT NULL DEFAULT '3 days'::interval,
  "reconcile_at"      time without time zone DEFAULT '03:00:00'::time WITHOUT time zone,
  "delete_surplus"    boolean                NOT NULL DEFAULT false,
  "max_event_age"     interval               DEFAULT '3 days'::interval,
  "max_waiting_age"   interval               DEFAULT '7 days'::interval,
  "max_queue_age"     interval               DEFAULT '01:00:00'::interval,
  "max_reconcile_age" interval               DEFAULT '2 days'::interval,
  "payload_retention" interval               NOT NULL DEFAULT '30 days'::interval,
  "row_retention"     interval               NOT NULL DEFAULT '100 days'::interval,
  "archive_retention" interval               NOT NULL DEFAULT '30 days'::interval,
  "purge_after"       interval,
  CONSTRAINT "settings_ages_are_not_negative" CHECK ((LEAST(max_event_age, max_waiting_age, max_queue_age, max_reconcile_age) >= '00:00:00'::interval)),
  CONSTRAINT "settings_archive_retention_is_not_negative" CHECK ((archive_retention >= '00:00:00'::interval)),
  CONSTRAINT "settings_instance_id_is_a_clerk_instance_id" CHECK ((instance_id ^@ 'ins_'::text)),
  CONSTRAINT "settings_is_one_row" CHECK (is_only_row),
  CONSTRAINT "settings_payload_retention_is_not_negative" CHECK ((payload_retention >= '00:00:00'::interval)),
  CONSTRAINT "settings_pkey" PRIMARY KEY (is_only_row),
  CONSTRAINT "settings_plan_grace_is_not_negative" CHECK ((plan_grace >= '00:00:00'::interval)),
  CONSTRAINT "settings_purge_after_leaves_a_day" CHECK ((purge_after >= '1 day'::interval)),
  CONSTRAINT "settings_row_retention_outlives_resends" CHECK ((row_retention > '90 days'::interval))
);

ALTER TABLE "clerk_sync"."settings"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."surplus_objects" (
  "kind"     text                     NOT NULL,
  "id"       text                     COLLATE pg_catalog."C" NOT NULL,
  "found_at" timestamp with time zone NOT NULL DEFAULT now(),
  "run_id"   bigint                   NOT NULL,
  CONSTRAINT "surplus_objects_pkey" PRIMARY KEY (kind, id)
);

ALTER TABLE "clerk_sync"."surplus_objects"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "clerk_sync"."welcome_mails" (
  "user_id"    text                     NOT NULL,
  "claim"      uuid                     NOT NULL,
  "claimed_at" timestamp with time zone NOT NULL DEFAULT now(),
  "sent_at"    timestamp with time zone,
  "skipped_at" timestamp with time zone,
  CONSTRAINT "welcome_mails_pkey" PRIMARY KEY (user_id),
  CONSTRAINT "welcome_mails_user_id_is_a_clerk_user_id" CHECK ((user_id ^@ 'user_'::text))
);

ALTER TABLE "clerk_sync"."welcome_mails"
  ENABLE ROW LEVEL SECURITY;

CREATE TABLE "public"."organization_invitations" (
  "id"              text                     NOT NULL,
  "organization_id" text                     NOT NULL,
  "email_address"   text,
  "role"            text,
  "role_name"       text,
  "status"          text                     NOT NULL,
  "inviter_id"      text,
  "accepted_by"     text,
  "public_metadata" jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "expires_at"      timestamp with time zone,
  "created_at"      timestamp with time zone,
  "updated_at"      timestamp with time zone,
  "synced_at"       timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "organization_invitations_address_only_while_pending" CHECK (((status = 'pending'::text) OR (email_address IS NULL))),
  CONSTRAINT "organization_invitations_id_is_a_clerk_invitation_id" CHECK ((id ^@ 'orginv_'::text)),
  CONSTRAINT "organization_invitations_pkey" PRIMARY KEY (id)
);

ALTER TABLE "public"."organization_invitations"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."organization_invitations" FROM "anon";

CREATE TABLE "public"."organization_memberships" (
  "id"               text                     NOT NULL,
  "organization_id"  text                     NOT NULL,
  "user_id"          text                     NOT NULL,
  "role"             text,
  "role_name"        text,
  "permissions"      text[]                   NOT NULL DEFAULT '{}'::text[],
  "public_metadata"  jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "member_name"      text,
  "member_image_url" text,
  "superseded"       boolean                  NOT NULL DEFAULT false,
  "created_at"       timestamp with time zone,
  "updated_at"       timestamp with time zone,
  "synced_at"        timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "organization_memberships_id_is_a_clerk_membership_id" CHECK ((id ^@ 'orgmem_'::text)),
  CONSTRAINT "organization_memberships_pkey" PRIMARY KEY (id)
);

ALTER TABLE "public"."organization_memberships"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."organization_memberships" FROM "anon";

CREATE TABLE "public"."organization_roles" (
  "id"              text                     NOT NULL,
  "key"             text,
  "name"            text,
  "description"     text,
  "permission_ids"  text[]                   NOT NULL DEFAULT '{}'::text[],
  "permission_keys" text[]                   NOT NULL DEFAULT '{}'::text[],
  "created_at"      timestamp with time zone,
  "updated_at"      timestamp with time zone,
  "deleted_at"      timestamp with time zone,
  "synced_at"       timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "organization_roles_permissions_are_pairs" CHECK ((cardinality(permission_ids) = cardinality(permission_keys))),
  CONSTRAINT "organization_roles_pkey" PRIMARY KEY (id),
  CONSTRAINT "organization_roles_tombstone_holds_no_rights"
    CHECK (((deleted_at IS NULL) OR ((num_nonnulls(name, description, created_at, updated_at) = 0) AND (permission_ids = '{}'::text[]))))
);

ALTER TABLE "public"."organization_roles"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."organization_roles" FROM "anon";

CREATE TABLE "public"."organizations" (
  "id"                      text                     NOT NULL,
  "slug"                    text,
  "name"                    text,
  "image_url"               text,
  "has_image"               boolean                  NOT NULL DEFAULT false,
  "members_count"           integer,
  "max_allowed_memberships" integer,
  "public_metadata"         jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "created_by"              text,
  "created_at"              timestamp with time zone,
  "updated_at"              timestamp with time zone,
  "deleted_at"              timestamp with time zone,
  "synced_at"               timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "organizations_id_is_a_clerk_organization_id" CHECK ((id ^@ 'org_'::text)),
  CONSTRAINT "organizations_pkey" PRIMARY KEY (id),
  CONSTRAINT "organizations_tombstone_holds_nothing"
    CHECK
    (((deleted_at IS NULL) OR ((num_nonnulls(slug, name, image_url, members_count, max_allowed_memberships, created_by, created_at, updated_at) = 0) AND (NOT has_image) AND
    (public_metadata = '{}'::jsonb))))
);

ALTER TABLE "public"."organizations"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."organizations" FROM "anon";

CREATE TABLE "public"."profiles" (
  "id"                 text                     NOT NULL,
  "external_id"        text,
  "username"           text,
  "first_name"         text,
  "last_name"          text,
  "full_name"          text                     GENERATED ALWAYS AS (NULLIF(btrim(((COALESCE(first_name, ''::text) || ' '::text) || COALESCE(last_name, ''::text))), ''::text))
    STORED,
  "locale"             text,
  "image_url"          text,
  "has_image"          boolean                  NOT NULL DEFAULT false,
  "email"              text,
  "email_verified"     boolean                  NOT NULL DEFAULT false,
  "verified_emails"    text[]                   NOT NULL DEFAULT '{}'::text[],
  "phone"              text,
  "phone_verified"     boolean                  NOT NULL DEFAULT false,
  "public_metadata"    jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "unsafe_metadata"    jsonb                    NOT NULL DEFAULT '{}'::jsonb,
  "banned"             boolean                  NOT NULL DEFAULT false,
  "locked"             boolean                  NOT NULL DEFAULT false,
  "deprovisioned"      boolean                  NOT NULL DEFAULT false,
  "two_factor_enabled" boolean                  NOT NULL DEFAULT false,
  "last_sign_in_at"    timestamp with time zone,
  "last_active_at"     timestamp with time zone,
  "legal_accepted_at"  timestamp with time zone,
  "created_at"         timestamp with time zone,
  "updated_at"         timestamp with time zone,
  "deleted_at"         timestamp with time zone,
  "synced_at"          timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "profiles_id_is_a_clerk_user_id" CHECK ((id ^@ 'user_'::text)),
  CONSTRAINT "profiles_pkey" PRIMARY KEY (id),
  CONSTRAINT "profiles_tombstone_holds_no_person"
    CHECK
    (((deleted_at IS NULL) OR ((num_nonnulls(external_id, username, first_name, last_name, locale, image_url, email, phone, last_sign_in_at, last_active_at, legal_accepted_at,
    created_at,
    updated_at) = 0) AND (NOT (has_image OR banned OR locked OR deprovisioned OR two_factor_enabled)) AND (verified_emails = '{}'::text[]) AND (public_metadata = '{}'::jsonb) AND
    (unsafe_metadata = '{}'::jsonb)))),
  CONSTRAINT "profiles_verified_email_exists" CHECK (((email IS NOT NULL) OR (NOT email_verified))),
  CONSTRAINT "profiles_verified_phone_exists" CHECK (((phone IS NOT NULL) OR (NOT phone_verified)))
);

ALTER TABLE "public"."profiles"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."profiles" FROM "anon";

CREATE TABLE "public"."subscription_items" (
  "id"               text                     NOT NULL,
  "user_id"          text,
  "organization_id"  text,
  "plan_id"          text,
  "plan_slug"        text,
  "plan_name"        text,
  "seats"            integer,
  "billing_interval" text,
  "amount"           bigint,
  "currency"         text,
  "status"           text,
  "is_free_trial"    boolean                  NOT NULL DEFAULT false,
  "period_start"     timestamp with time zone,
  "period_end"       timestamp with time zone,
  "created_at"       timestamp with time zone,
  "updated_at"       timestamp with time zone,
  "synced_at"        timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT "subscription_items_has_a_payer" CHECK ((num_nonnulls(user_id, organization_id) >= 1)),
  CONSTRAINT "subscription_items_pkey" PRIMARY KEY (id)
);

ALTER TABLE "public"."subscription_items"
  ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON TABLE "public"."subscription_items" FROM "anon";

CREATE TYPE "clerk_sync"."observation" AS (
  "id"              text,
  "version"         bigint,
  "organization_id" text,
  "user_id"         text,
  "data"            jsonb
);

CREATE TYPE "clerk_sync"."reading" AS (
  "type"            text,
  "object_id"       text,
  "instance_id"     text,
  "occurred_at"     timestamp WITH time zone,
  "is_foreign"      boolean,
  "people"          text[],
  "subjects"        text[],
  "payload"         jsonb,
  "kind"            text,
  "own_id"          text,
  "organization_id" text,
  "user_id"         text,
  "deletes"         boolean,
  "version"         bigint,
  "observed_at"     bigint,
  "issues"          jsonb
);

CREATE TYPE "clerk_sync"."told_event" AS (
  "kind"         text,
  "id"           text,
  "message_id"   text,
  "type"         text,
  "outcome"      text,
  "error"        jsonb,
  "instance_id"  text,
  "deletes"      boolean,
  "parents"      text[],
  "next_id"      text,
  "next_deletes" boolean,
  "is_tie"       boolean,
  "registered"   clerk_sync.objects
);

CREATE OR REPLACE FUNCTION clerk.actor_id()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  token constant jsonb := auth.jwt();
begin
  return coalesce(token -> 'act' ->> 'sub', token ->> 'act');
end
$function$;

CREATE OR REPLACE FUNCTION clerk.has_org_permission (
  permission text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own record;
begin
  if clerk.is_blocked() then
    return false;
  end if;

  select
    id,
    role,
    permissions
  into own
  from public.organization_memberships
  where organization_id = (select clerk.org_id())
    and user_id = (select clerk.user_id())
    and not superseded;

  if found then
    return clerk_sync.membership_permits(own.id, own.role, own.permissions, permission);
  end if;

  return clerk_sync.claimed_organization_id() is not null and clerk_sync.claim_permits(permission);
end
$function$;

CREATE OR REPLACE FUNCTION clerk.has_org_role (
  role text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own_role text;
begin
  if clerk.is_blocked() then
    return false;
  end if;

  select organization_memberships.role
  into own_role
  from public.organization_memberships
  where organization_id = (select clerk.org_id())
    and user_id = (select clerk.user_id())
    and not superseded;

  if not found and clerk_sync.claimed_organization_id() is not null then
    own_role := clerk.org_role();
  end if;

  return coalesce(own_role = clerk.org_key(has_org_role.role), false);
end
$function$;

CREATE OR REPLACE FUNCTION clerk.has_plan (
  plan_slug text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk.is_blocked()
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return exists (
    select
    from public.profiles
    where id = clerk.user_id()
      and (banned or deprovisioned)
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk.is_member_of (
  organization_id text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if clerk.is_blocked() then
    return false;
  end if;

  return exists (
    select
    from public.organization_memberships
    where organization_memberships.organization_id = is_member_of.organization_id
      and user_id = (select clerk.user_id())
  ) or coalesce(organization_id = clerk_sync.claimed_organization_id(), false);
end
$function$;

CREATE OR REPLACE FUNCTION clerk.make_my_profile()
  RETURNS void
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own_id constant text := clerk.user_id();
  organization_id text;
begin
  -- Tokens of Supabase Auth (uuids), or of anyone else who signs for this project, add nothing.
  if own_id is null or own_id !~ '^user_[A-Za-z0-9]{1,200}$' then
    return;
  end if;

  if clerk.is_blocked() then
    return;
  end if;

  organization_id := clerk_sync.claimed_organization_id();

  if exists (select from public.profiles where id = own_id)
    and (organization_id is null or exists (select from public.organizations where id = organization_id))
  then
    return;
  end if;

  perform set_config('clerk_sync.caused_by', '', true);
  perform set_config('clerk_sync.via', 'ensure_profile', true);
  perform clerk_sync.lock_objects(null, false, organization_id, array[own_id], '{}');
  perform clerk_sync.add_profile(own_id);
  perform clerk_sync.add_organization(organization_id);
end
$function$;

CREATE OR REPLACE FUNCTION clerk.my_organization_ids (
  with_role       text DEFAULT NULL::text,
  with_permission text DEFAULT NULL::text
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  token constant jsonb := auth.jwt();
  own_id constant text := token ->> 'sub';
  own_ids text[];
  claimed_id text;
begin
  -- As clerk.user_id, but the token is parsed once. The policies ask in every statement.
  if own_id is null or coalesce(token -> 'sts', '"active"') <> '"active"' then
    return '{}';
  end if;

  own_ids := array(
    select organization_id
    from public.organization_memberships
    where user_id = own_id
      and not superseded
      -- As clerk.is_blocked.
      and not exists (select from public.profiles where id = own_id and (banned or deprovisioned))
  );

  -- Only for an organization just made, where the table does not know the caller yet. Which claim counts
  -- is decided there.
  if token -> 'o' ->> 'id' <> all (own_ids) or token ->> 'org_id' <> all (own_ids) then
    claimed_id := clerk_sync.claimed_organization_id();
  end if;

  if with_role is null and with_permission is null then
    return case when claimed_id is null then own_ids else own_ids || claimed_id end;
  end if;

  return array(
    select organization_id
    from public.organization_memberships
    where user_id = own_id
      and organization_id = any (own_ids)
      and not superseded
      and (
        role = clerk.org_key(with_role)
        or clerk_sync.membership_permits(id, role, permissions, with_permission)
      )
    union all
    select claimed_id
    where claimed_id is not null
      and (clerk.org_role() = clerk.org_key(with_role) or clerk_sync.claim_permits(with_permission))
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk.org_id()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  token constant jsonb := auth.jwt();
begin
  -- NOTE: never a mix of both versions. Next to o, an org_id is a claim of the application's own.
  return case
    when clerk.user_id() is null then null
    when token -> 'v' = '2' then token -> 'o' ->> 'id'
    when coalesce(token -> 'v', '1') = '1' then token ->> 'org_id'
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk.org_key (
  name text
)
  RETURNS text
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case when name ^@ 'org:' then name else 'org:' || name end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk.org_role()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  token constant jsonb := auth.jwt();
begin
  return case
    when clerk.user_id() is null then null
    when token -> 'v' = '2' then clerk.org_key(token -> 'o' ->> 'rol')
    when coalesce(token -> 'v', '1') = '1' then clerk.org_key(token ->> 'org_role')
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk.user_id()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  token constant jsonb := auth.jwt();
begin
  -- While a session has a task to finish (a second factor, a password reset), Clerk issues valid tokens
  -- with sts = pending, and means: signed out.
  if coalesce(token -> 'sts', '"active"') <> '"active"' then
    return null;
  end if;

  return token ->> 'sub';
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.add_organization (
  id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.organizations (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = add_organization.id
    and objects.deleted_at is null
  on conflict on constraint organizations_pkey do nothing;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.add_profile (
  id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.profiles (id)
  select objects.id
  from clerk_sync.objects
  where objects.id = add_profile.id
    and objects.deleted_at is null
  on conflict on constraint profiles_pkey do nothing;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.announced_changes (
  id text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    with kept as (
      select
        msg_id, enqueued_at, read_ct, message,
        case
          when vt <= clock_timestamp() then 'waiting'
          when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
          else 'in_flight'
        end as state,
        vt as next_at
      from pgmq.q_clerk_changes
      where message ->> 'id' = announced_changes.id

      union all
      select msg_id, enqueued_at, read_ct, message, 'done', archived_at
      from pgmq.a_clerk_changes
      where message ->> 'id' = announced_changes.id

      union all
      select msg_id, enqueued_at, read_ct, message, 'dead', null
      from pgmq.q_clerk_changes_dead
      where message ->> 'id' = announced_changes.id

      order by enqueued_at desc, msg_id desc
      limit 100
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'topic', message ->> 'topic',
      'changed', message -> 'changed',
      'caused_by', message ->> 'caused_by',
      'via', message ->> 'via',
      'enqueued_at', enqueued_at,
      'state', state,
      'at', next_at,
      'reads', read_ct,
      'handler', message #>> '{retry,handler}',
      'error_class', coalesce(message #>> '{retry,error_class}', message ->> 'error_class')
    ) order by enqueued_at, msg_id), '[]')
    from kept
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.apply_event (
  message_id text,
  reading    clerk_sync.reading,
  data       jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  kind constant text := reading.kind;
  deleted_at timestamptz;
begin
  if kind in ('role', 'permission') then
    return clerk_sync.apply_role_or_permission(message_id, reading, data);
  end if;

  if kind = 'subscription_item' then
    perform clerk_sync.keep_plan(data, reading.observed_at, message_id);
  end if;

  if kind in ('membership', 'subscription_item') then
    -- The row may have come, or gone, while this delivery waited for the locks.
    if (kind = 'membership' and clerk_sync.member_of(reading.own_id, data) is distinct from reading.user_id)
      or (
        kind = 'subscription_item'
        and clerk_sync.payer_of(reading.own_id, data) is distinct from (reading.user_id, reading.organization_id)
      )
    then
      raise exception using
        errcode = 'serialization_failure',
        message = 'Cannot apply the event as its row changed hands meanwhile: try again';
    end if;

    if not reading.deletes
      and reading.user_id is null
      and (kind = 'membership' or reading.organization_id is null)
    then
      if exists (
        select
        from clerk_sync.objects
        where id = reading.own_id
          and (version > 0 or objects.deleted_at is not null)
      ) then
        -- There was a row, and it went with its user, its organization or its deletion.
        return '{"outcome": "stale"}';
      end if;

      return jsonb_build_object('outcome', 'unreadable', 'issues', jsonb_build_array(jsonb_build_object(
        'path', case kind when 'membership' then 'data.public_user_data' else 'data.payer' end,
        'code', 'invalid_type')));
    end if;
  end if;

  if kind = 'membership' then
    perform clerk_sync.add_profile(reading.user_id);
  end if;

  -- A child may come before its parents. Every event of a child adds their rows, also one that turns
  -- out to be stale, so that the rows do not depend on the order of arrival.
  if kind in ('membership', 'invitation') then
    perform clerk_sync.add_organization(reading.organization_id);
  end if;

  if reading.deletes then
    if kind = 'membership' and reading.user_id is not null then
      perform clerk_sync.remember_membership_deletion(
        reading.user_id, reading.organization_id, reading.occurred_at);
    end if;

    deleted_at := clerk_sync.claim_deletion(reading.own_id, reading.observed_at);
    if deleted_at is null then
      return '{"outcome": "stale"}';
    end if;

    if kind = 'user' then
      -- For the announcement.
      perform set_config('clerk_sync.external_id', coalesce(data ->> 'external_id', ''), true);
      perform clerk_sync.erase_profile(reading.own_id, deleted_at);
    elsif kind = 'organization' then
      perform clerk_sync.erase_organization(reading.own_id, deleted_at);
    elsif kind = 'membership' then
      perform clerk_sync.delete_membership(reading.own_id);
    end if;

    return '{"outcome": "applied"}';
  end if;

  -- What belonged to a deleted user or organization was deleted with it.
  if kind in ('membership', 'invitation', 'subscription_item') then
    if clerk_sync.is_deleted(reading.organization_id) then
      return '{"outcome": "stale"}';
    end if;

    -- NOTE: an organization's item outlives the member who pays for it.
    if (kind = 'membership' or reading.organization_id is null)
      and clerk_sync.is_deleted(reading.user_id)
    then
      return '{"outcome": "stale"}';
    end if;
  end if;

  if not clerk_sync.claim_version(reading.own_id, reading.version, reading.observed_at, message_id) then
    if kind = 'membership' then
      -- The deletion may have come first, and need not tell the user.
      perform clerk_sync.remember_membership_deletion(
        reading.user_id, reading.organization_id, objects.deleted_at)
      from clerk_sync.objects
      where objects.id = reading.own_id
        and objects.deleted_at is not null;
    end if;

    return '{"outcome": "stale"}';
  end if;

  case kind
    when 'user' then perform clerk_sync.upsert_profiles(array[data]);
    when 'organization' then perform clerk_sync.upsert_organizations(array[data]);
    when 'membership' then perform clerk_sync.upsert_memberships(array[data], array[reading.user_id]);
    when 'invitation' then perform clerk_sync.upsert_invitations(array[data]);
    when 'subscription_item' then
      perform clerk_sync.upsert_subscription_items(
        array[data], array[reading.user_id], array[reading.organization_id]);
    when 'other' then
      perform clerk_sync.keep_data(reading.own_id, reading.subjects, reading.payload -> 'data');
  end case;

  return '{"outcome": "applied"}';
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.apply_page (
  kind        text,
  page        clerk_sync.observation[],
  observed_at bigint
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  -- What moves without a change of the object.
  volatile_properties constant text[] := '{last_sign_in_at,last_active_at,members_count}';
  fresh clerk_sync.observation[];
  before jsonb;
  written clerk_sync.observation[];
  each_one clerk_sync.observation;
  counts jsonb;
begin
  with known as materialized (
    select *
    from clerk_sync.lock_page(
      array(
        select id from unnest(page)
        union
        select user_id from unnest(page) where kind = 'membership'
      ),
      array(select organization_id from unnest(page))
    )
  ),
  judged as (
    select
      given,
      case
        when own.deleted_at is not null
          or organization.deleted_at is not null
          or member.deleted_at is not null
          then 'gone'
        when (own.version, own.observed_at, own.message_id) > (given.version, apply_page.observed_at, '') then 'stale'
        -- Its user, its organization or it itself went, and it came back without them.
        when kind = 'membership' and given.user_id is null then 'unreadable'
      end as verdict
    from unnest(page) as given
    join known as own on own.id = given.id
    left join known as organization on organization.id = given.organization_id
    left join known as member on member.id = given.user_id and kind = 'membership'
  )
  select
    coalesce(array_agg(given order by (given).id collate "C") filter (where verdict is null), '{}'),
    jsonb_build_object(
      'gone', count(*) filter (where verdict = 'gone'),
      'stale', count(*) filter (where verdict = 'stale'),
      'unreadable', coalesce(jsonb_agg((given).id) filter (where verdict = 'unreadable'), '[]')
    )
  into fresh, counts
  from judged;

  -- As every event of a child does: what is stale or gone adds the rows of its parents, too, so that the
  -- rows do not depend on the order of arrival.
  if kind = 'membership' then
    perform clerk_sync.add_profile(user_id)
    from (select distinct user_id from unnest(page) where user_id is not null order by user_id) as member;

    -- The deletion may have come first, and need not tell the user.
    perform clerk_sync.remember_membership_deletion(given.user_id, given.organization_id, objects.deleted_at)
    from unnest(page) as given
    join clerk_sync.objects on objects.id = given.id
    where objects.deleted_at is not null
      and given.user_id is not null;
  end if;
  if kind in ('membership', 'invitation') then
    perform clerk_sync.add_organization(organization_id)
    from (
      select distinct organization_id
      from unnest(page)
      where user_id is not null
        or kind = 'invitation'
      order by organization_id
    ) as parent;
  end if;

  if kind = 'user' then
    -- A changed name reaches the person's memberships. Locked for the whole page in one order, so that
    -- the deletion of an organization at the same time cannot deadlock.
    perform
    from public.organization_memberships
    where user_id = any (array(
      select given.id
      from unnest(fresh) as given
      join public.profiles as kept on kept.id = given.id
      where (kept.first_name, kept.last_name, kept.username, kept.image_url) is distinct from (
        given.data ->> 'first_name', given.data ->> 'last_name', given.data ->> 'username',
        given.data ->> 'image_url'
      )
    ))
    order by id
    for no key update;
  end if;

  before := (
    select coalesce(jsonb_object_agg(id, clerk_sync.kept_row(kind, id)), '{}')
    from unnest(fresh)
  );

  perform clerk_sync.upsert(kind, array(
    select row(
      id, version, organization_id, user_id,
      clerk_sync.with_kept(
        kind,
        case jsonb_typeof(before -> id) when 'object' then data - volatile_properties else data end,
        nullif(before -> id, 'null'))
    )::clerk_sync.observation
    from unnest(fresh)
  ));

  written := array(
    select given
    from unnest(fresh) as given
    where case jsonb_typeof(before -> given.id)
      when 'object' then clerk_sync.kept_row(kind, given.id) <> before -> given.id
      else true
    end
  );

  foreach each_one in array written loop
    perform clerk_sync.claim_version(each_one.id, each_one.version, apply_page.observed_at, '');
  end loop;

  -- Rows that are written anyway get what moves by itself, too.
  perform clerk_sync.upsert(kind, array(
    select row(id, version, organization_id, user_id, clerk_sync.with_kept(kind, data, before -> id))::clerk_sync.observation
    from unnest(written)
    where jsonb_typeof(before -> id) = 'object'
      and data ?| volatile_properties
  ));

  return counts || jsonb_build_object(
    'missing', (select coalesce(jsonb_agg(id), '[]') from unnest(written) where jsonb_typeof(before -> id) = 'null'),
    'outdated', (select coalesce(jsonb_agg(id), '[]') from unnest(written) where jsonb_typeof(before -> id) = 'object'),
    'unchanged', cardinality(fresh) - cardinality(written)
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.apply_page_of_roles (
  kind        text,
  page        clerk_sync.observation[],
  observed_at bigint
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  each_one record;
  reading clerk_sync.reading;
  counts jsonb := '{"missing": [], "outdated": [], "unreadable": [], "unchanged": 0, "stale": 0, "gone": 0}';
  kept jsonb;
  filled jsonb;
  verdict text;
begin
  reading.kind := apply_page_of_roles.kind;
  reading.deletes := false;
  reading.observed_at := apply_page_of_roles.observed_at;

  -- Few, so one by one, as events are.
  for each_one in
    select
      given.id,
      given.version,
      given.data,
      known.version as known_version,
      (known.version, known.observed_at, known.message_id)
        > (given.version, apply_page_of_roles.observed_at, '') as is_stale,
      known.deleted_at
    from clerk_sync.lock_page(array(select id from unnest(page)), '{}') as known
    join unnest(page) as given on given.id = known.id
    order by given.id collate "C"
  loop
    kept := (
      select to_jsonb(roles) - '{permission_keys,synced_at}'::text[]
      from public.organization_roles as roles
      where roles.id = each_one.id
    );
    filled := clerk_sync.with_kept(kind, each_one.data, kept || jsonb_build_object('permissions', (
      select coalesce(jsonb_agg(jsonb_build_object('id', permission_id)), '[]')
      from jsonb_array_elements(kept -> 'permission_ids') as permission_id
    )));
    verdict := case
      when each_one.deleted_at is not null then 'gone'
      when each_one.is_stale then 'stale'
      when each_one.known_version = 0 then 'missing'
      when kind = 'permission' and each_one.known_version = each_one.version then 'unchanged'
      when to_jsonb(clerk_sync.role_from_clerk(filled)) - '{permission_keys,synced_at}'::text[] = kept then 'unchanged'
      else 'outdated'
    end;

    -- What is unchanged, stale or gone tells keys, too, as every event does. Version 0 claims nothing.
    reading.own_id := each_one.id;
    reading.version := case verdict when 'unchanged' then 0 else each_one.version end;
    perform clerk_sync.apply_role_or_permission('', reading, filled);

    counts := jsonb_set(counts, array[verdict], case jsonb_typeof(counts -> verdict)
      when 'array' then (counts -> verdict) || to_jsonb(each_one.id)
      else to_jsonb((counts -> verdict)::integer + 1)
    end);
  end loop;

  return counts;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.apply_role_or_permission (
  message_id text,
  reading    clerk_sync.reading,
  data       jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  kind constant text := reading.kind;
  nested constant jsonb := clerk_sync.permissions_in(data);
  deletion timestamptz;
  is_news boolean;
begin
  -- One permission stands in many roles, and the roles' rows have no order of locks. These events are
  -- rare, so only one is applied at a time. Readers do not wait.
  lock table clerk_sync.keys in share row exclusive mode;

  perform
    clerk_sync.remember_keys(kind, jsonb_build_array(data), reading.observed_at),
    clerk_sync.remember_keys('permission', nested, reading.observed_at);

  if reading.deletes then
    deletion := clerk_sync.claim_deletion(reading.own_id, reading.observed_at);
    is_news := deletion is not null;
  else
    is_news := clerk_sync.claim_version(
      reading.own_id, reading.version, reading.observed_at, message_id);
  end if;

  if kind = 'role' then
    if is_news and not reading.deletes then
      perform clerk_sync.upsert_roles(array[data]);
    else
      -- Also after a stale event, which may be the first to tell a deleted role's key.
      select deleted_at into deletion from clerk_sync.objects where id = reading.own_id;

      if deletion is not null then
        perform clerk_sync.upsert_roles(
          array[jsonb_build_object(
            'id', reading.own_id, 'key', clerk_sync.newest_key('role', reading.own_id))],
          deletion);
      end if;
    end if;
  end if;

  perform clerk_sync.refresh_permissions(array(
    select reading.own_id
    where kind = 'permission'
    union all
    select permission ->> 'id'
    from jsonb_array_elements(nested) as permission
  ));

  return jsonb_build_object('outcome', case when is_news then 'applied' else 'stale' end);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.breach (
  code     text,
  sentence text,
  cure     text
)
  RETURNS jsonb
  LANGUAGE sql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN jsonb_build_object('code', code, 'sentence', sentence, 'cure', cure);

CREATE OR REPLACE FUNCTION clerk_sync.breaches (
  events jsonb,
  queue  jsonb,
  runs   jsonb,
  counts jsonb
)
  RETURNS SETOF jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  settings clerk_sync.settings;
  last_event constant bigint := events ->> 'last_seconds';
  last_applied constant bigint := events ->> 'last_applied_seconds';
  oldest_waiting constant bigint := events ->> 'oldest_waiting_seconds';
  waiting constant bigint :=
    coalesce((events #>> '{waiting,failed}')::bigint, 0) + coalesce((events #>> '{waiting,unreadable}')::bigint, 0);
  oldest_change constant bigint := queue ->> 'oldest_seconds';
  halted constant text := runs ->> 'halted';
  compared constant bigint := least((runs ->> 'backfill_seconds')::bigint, (runs ->> 'reconcile_seconds')::bigint);
  longest numeric;
  stopped jsonb;
  each_one record;
begin
  select * into settings from clerk_sync.settings;

  if current_setting('default_transaction_read_only')::boolean then
    return next clerk_sync.breach('read_only', 'The database is read-only, as Supabase makes it when its disk is full.',
      'Free or enlarge the disk in the Supabase dashboard, and resend what has failed meanwhile from the Clerk dashboard.');
  end if;

  if (events ->> 'failing')::bigint >= 3 then
    return next clerk_sync.breach('failing', format('The last %s events that change a table have all failed or could not be read, the newest one %s ago.',
        events ->> 'failing', clerk_sync.in_words((events ->> 'newest_waiting_seconds')::numeric)),
      'Run replay --dry-run, which says why; fix the cause, and run replay.');
  end if;

  if events ->> 'foreign_instance' is not null then
    return next clerk_sync.breach('foreign', format('The newest events are ignored: they are of Clerk instance %s, and settings.instance_id accepts only %s.',
        events ->> 'foreign_instance', settings.instance_id),
      format('Correct the endpoint in the Clerk dashboard, or the setting: update clerk_sync.settings set instance_id = %L;',
        events ->> 'foreign_instance'));
  end if;

  longest := extract(epoch from settings.max_event_age);
  if longest is null then
    null;
  elsif last_event is null then
    return next clerk_sync.breach('no_event', 'No event has arrived yet.',
      'Check the endpoint in the Clerk dashboard: its URL, its events, its deliveries.');
  elsif last_event > longest then
    return next clerk_sync.breach('silent', format('The last event arrived %s ago, and more than %s is too long.',
        clerk_sync.in_words(last_event), clerk_sync.in_words(longest)),
      'Check the endpoint in the Clerk dashboard: it may be disabled. If so little happens in your application, raise settings.max_event_age.');
  elsif coalesce(last_applied > longest, true) then
    return next clerk_sync.breach('nothing_applied', format('Events arrive, but none has been applied%s.',
        coalesce(' for ' || clerk_sync.in_words(last_applied), ' yet')),
      'Check settings.instance_id, and run replay --dry-run if messages have failed.');
  end if;

  if (runs ->> 'unheard')::bigint > 0 then
    return next clerk_sync.breach('unheard', format('Users have changed at Clerk, and no event has told of it for %s. Changes found: %s.',
        clerk_sync.in_words(last_event), runs ->> 'unheard'),
      'Check the endpoint in the Clerk dashboard: its URL, its events, its deliveries. The rows are repaired.');
  end if;

  longest := extract(epoch from settings.max_waiting_age);
  if oldest_waiting > longest then
    return next clerk_sync.breach('waiting', format('The oldest message that failed or could not be read has waited for %s. Messages in all: %s.',
        clerk_sync.in_words(oldest_waiting), waiting),
      'Run replay --dry-run, which says why; fix the cause, and run replay.');
  end if;

  longest := extract(epoch from settings.max_queue_age);
  if oldest_change > longest then
    return next clerk_sync.breach('queue', format('The oldest change on the queue has waited for %s. Changes in all: %s.',
        clerk_sync.in_words(oldest_change),
        (queue ->> 'waiting')::bigint + (queue ->> 'in_flight')::bigint + (queue ->> 'retrying')::bigint),
      'Check the log of clerk-worker and its schedule, and run work --status.');
  end if;

  if (queue ->> 'dead')::bigint > 0 then
    return next clerk_sync.breach('dead_letters', format('Dead letters on the queue: %s. Their handlers failed too often.',
        queue ->> 'dead'),
      'Run work --status, which says why; fix the cause, and run work --redrive.');
  end if;

  longest := extract(epoch from settings.max_reconcile_age);
  if longest is null then
    null;
  elsif compared is null then
    return next clerk_sync.breach('never_reconciled', 'Nothing reconciles: the tables have never been compared with Clerk.',
      'Run backfill, and set CLERK_SECRET_KEY among the secrets of clerk-worker.');
  elsif compared > longest then
    return next clerk_sync.breach('reconcile', format('Nothing reconciles: the tables were last compared with Clerk %s ago.',
        clerk_sync.in_words(compared)),
      'Check that CLERK_SECRET_KEY is among the secrets of clerk-worker, and read its log; or run reconcile.');
  end if;

  for stopped in select jsonb_array_elements(runs -> 'stopped') loop
    return next clerk_sync.breach('stopped', format('Run %s (%s) is unfinished, and stopped %s ago.',
        stopped ->> 'run', stopped ->> 'kind', clerk_sync.in_words((stopped ->> 'seconds')::numeric)),
      case
        when (stopped ->> 'is_scheduled')::boolean then 'Read the log of clerk-worker, and check its schedule.'
        else format('Run %s again, which goes on where it was.', stopped ->> 'kind')
      end);
  end loop;

  if (runs ->> 'surplus')::bigint > 0 then
    return next clerk_sync.breach('surplus', format('Objects here that Clerk no longer lists: %s.', runs ->> 'surplus')
        -- What the run advises, after the colon, is the cure.
        || coalesce(' ' || split_part(halted, ': ', 1) || '.', ''),
      case
        when halted is null then 'Run reconcile --dry-run, which lists them, and reconcile, which deletes them.'
        when halted like '%settings.instance_id%' then
          'Run backfill, which sets it, and reconcile, which deletes them.'
        when halted like '%--max-deletes%' then format(
          'Run reconcile --dry-run, which lists them. If Clerk is right, run reconcile %s.',
          substring(halted from '--max-deletes \d+'))
        else 'Check that CLERK_SECRET_KEY is of the right instance, and run reconcile, which tries again.'
      end);
  end if;

  if (runs ->> 'skipped')::bigint > 0 then
    return next clerk_sync.breach('skipped', format('Objects that the last reconcile had to skip: %s.', runs ->> 'skipped'),
      'Run reconcile, which says why for each.');
  end if;

  for each_one in
    select kind, (count ->> 'here')::bigint as here, (count ->> 'clerk')::bigint as clerk
    from jsonb_each(counts) as count (kind, count)
    where abs((count ->> 'here')::numeric - (count ->> 'clerk')::numeric)
      > greatest(1, (count ->> 'clerk')::numeric / 100)
  loop
    return next clerk_sync.breach('counts', format('Rows of kind %s: %s here, %s at Clerk.',
        each_one.kind, each_one.here, each_one.clerk),
      'Run reconcile --dry-run, which says what differs.');
  end loop;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.call_clerk_reconcile()
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Every minute while a run is unfinished, else every 10 minutes: without a key of Clerk's the worker can
  -- begin nothing, and is not asked more often than that.
  if extract(minute from now())::integer % 10 <> 0
    and not exists (
      select from clerk_sync.runs
      where finished_at is null
        and (kind = 'poll' or clerk_sync.is_scheduled(options))
    )
  then
    return null;
  end if;

  if public.due_clerk_run() is null then
    return null;
  end if;

  return clerk_sync.post_to_clerk_worker('/reconcile');
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.call_clerk_worker()
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  perform clerk_sync.expire_invitations();

  if not exists (select from pgmq.q_clerk_changes where vt <= clock_timestamp()) then
    return null;
  end if;

  return clerk_sync.post_to_clerk_worker('');
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.change_from (
  msg_id      bigint,
  read_ct     integer,
  enqueued_at timestamp with time zone,
  message     jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  kind constant text := split_part(message ->> 'topic', '.', 1);
begin
  return jsonb_build_object(
    'message_id', msg_id,
    'change_id', clerk_sync.change_id(message, msg_id, enqueued_at),
    'reads', read_ct,
    'enqueued_at', enqueued_at,
    'topic', message ->> 'topic',
    'id', message ->> 'id',
    'changed', message -> 'changed',
    'caused_by', message ->> 'caused_by',
    'via', message ->> 'via',
    'external_id', message ->> 'external_id',
    'version', (
      select version
      from clerk_sync.objects
      where id = message ->> 'id'
    ),
    'row', clerk_sync.kept_row(
      case kind when 'profile' then 'user' else kind end, message ->> 'id')
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.change_id (
  message     jsonb,
  msg_id      bigint,
  enqueued_at timestamp with time zone
)
  RETURNS text
  LANGUAGE sql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
  select coalesce(
    message ->> 'change_id',
    -- With the time, because numbers start again in another database, or after a reset.
    format('%s_%s', msg_id, trunc(extract(epoch from enqueued_at) * 1000000)))
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.claim_deletion (
  id          text,
  observed_at bigint
)
  RETURNS timestamp WITH time zone
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  deletion constant timestamptz :=
    coalesce(to_timestamp(claim_deletion.observed_at / 1000.0), now());
begin
  -- NOTE: no comparison of versions. A deletion carries no usable time; it is terminal.
  update clerk_sync.objects
  set
    deleted_at = deletion,
    data = null,
    subjects = '{}'
  where objects.id = claim_deletion.id
    and deleted_at is null;

  return case when found then deletion end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.claim_permits (
  permission text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return clerk_sync.permits(clerk.org_key(permission), clerk.org_role(), 0, '{}');
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.claim_version (
  id          text,
  version     bigint,
  observed_at bigint,
  message_id  text
)
  RETURNS boolean
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  update clerk_sync.objects
  set
    version = claim_version.version,
    observed_at = claim_version.observed_at,
    message_id = claim_version.message_id
  where objects.id = claim_version.id
    and deleted_at is null
    and (objects.version, objects.observed_at, objects.message_id)
      < (claim_version.version, claim_version.observed_at, claim_version.message_id);

  return found;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.claimed_organization_id()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  active_id constant text := clerk.org_id();
  own_id constant text := clerk.user_id();
  token jsonb;
begin
  if active_id is null or exists (
    select
    from public.organization_memberships
    where organization_id = active_id
      and user_id = own_id
  ) then
    return null;
  end if;

  token := auth.jwt();

  if not clerk_sync.is_id(active_id, 'org')
    or not clerk_sync.is_id(own_id, 'user')
    or jsonb_typeof(token -> 'iat') is distinct from 'number'
    or clerk.is_blocked()
    or clerk_sync.deleted_among(array[active_id, own_id]) <> '{}'
    or exists (select from public.organizations where id = active_id and deleted_at is not null)
    or exists (select from public.profiles where id = own_id and deleted_at is not null)
  then
    return null;
  end if;

  return case
    when not exists (
      select
      from clerk_sync.membership_deletions
      where user_id = own_id
        and organization_id = active_id
        and observed_at >= 1000 * (token ->> 'iat')::numeric
    )
    then active_id
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.column_changes (
  before jsonb,
  after  jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    select coalesce(
      jsonb_agg(jsonb_build_object('column', name, 'before', before -> name, 'after', value) order by name), '[]')
    from jsonb_each(after) as each_column (name, value)
    where value <> coalesce(before -> name, 'null')
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.count_redelivery (
  message_id text
)
  RETURNS boolean
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  update clerk_sync.inbox
  set
    deliveries = deliveries + 1,
    last_delivered_at = now()
  where inbox.message_id = count_redelivery.message_id
    and outcome not in ('failed', 'unreadable', 'discarded');

  return found;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.delete_membership (
  id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Locked already, unless the deletion names another user than the row.
  perform
  from clerk_sync.objects
  where objects.id = (
    select user_id
    from public.organization_memberships
    where organization_memberships.id = delete_membership.id
  )
  for no key update;

  delete from public.organization_memberships
  where organization_memberships.id = delete_membership.id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.deleted_among (
  ids text[]
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  each_id text;
  deleted text[] := '{}';
begin
  -- One by one: a plan for all ids at once, made while the register was small, would read all of it
  -- for as long as the connection lives.
  foreach each_id in array ids loop
    perform from clerk_sync.objects where id = each_id and deleted_at is not null;
    if found then
      deleted := deleted || each_id;
    end if;
  end loop;

  return deleted;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.erase_addresses_from_inbox (
  invitation_ids text[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  with mentioning as (
    select message_id
    from clerk_sync.inbox
    where type ^@ 'organizationInvitation.'
      and object_id = any (invitation_ids)
      and payload -> 'data' ?| '{email_address,url}'
    order by message_id
    for no key update
  )
  update clerk_sync.inbox
  set payload = payload #- '{data,email_address}' #- '{data,url}'
  from mentioning
  where inbox.message_id = mentioning.message_id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.erase_from_inbox (
  user_id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Locked in one order, so that two deletions that share messages cannot deadlock.
  with mentioning as (
    select
      message_id,
      subjects,
      -- The next delivery of an event about the user, or about what belonged to the user, would find it
      -- stale. Not so the message that is being delivered: its outcome is still to come.
      case
        when outcome = 'failed' and message_id <> current_setting('clerk_sync.caused_by', true) and erase_from_inbox.user_id in (
          object_id,
          payload #>> '{data,public_user_data,user_id}',
          case coalesce(payload #>> '{data,payer,organization_id}', '')
            when '' then payload #>> '{data,payer,user_id}'
          end
        )
        then 'stale'
        else outcome
      end as outcome,
      payload
    from clerk_sync.inbox
    where (cardinality(subjects) = 1 and subjects[1] = erase_from_inbox.user_id)
      or (cardinality(subjects) > 1 and subjects @> array[erase_from_inbox.user_id])
    order by message_id
    for no key update
  ),
  erased as materialized (
    select
      message_id,
      subjects,
      outcome,
      clerk_sync.payload_left(payload, outcome, array[erase_from_inbox.user_id]) as payload
    from mentioning
  )
  update clerk_sync.inbox
  set
    payload = erased.payload,
    subjects = clerk_sync.subjects_left(erased.subjects, erased.payload),
    outcome = erased.outcome,
    error = case when erased.outcome <> 'stale' then error - '{message,issues}'::text[] end
  from erased
  where inbox.message_id = erased.message_id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.erase_from_register (
  user_id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  with mentioning as materialized (
    select
      id,
      subjects,
      clerk_sync.without_person(data, user_id) as data
    from clerk_sync.objects
    where cardinality(subjects) > 0
      and subjects @> array[user_id]
  )
  update clerk_sync.objects
  set
    data = mentioning.data,
    subjects = case
      when mentioning.data is null then '{}'
      else clerk_sync.subjects_left(mentioning.subjects, mentioning.data)
    end
  from mentioning
  where objects.id = mentioning.id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.erase_organization (
  organization_id text,
  deleted_at      timestamp with time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  invitation_ids text[];
begin
  -- Locked in one order, so that the deletion of a member at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.organization_id = erase_organization.organization_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.organization_id = erase_organization.organization_id;

  perform
  from public.subscription_items
  where subscription_items.organization_id = erase_organization.organization_id
  order by id
  for update;

  delete from public.subscription_items
  where subscription_items.organization_id = erase_organization.organization_id;

  with gone as (
    delete from public.organization_invitations
    where organization_invitations.organization_id = erase_organization.organization_id
    returning id
  )
  select array_agg(id) into invitation_ids from gone;

  perform clerk_sync.erase_addresses_from_inbox(invitation_ids);

  -- The tombstone is what the mapping makes of nothing but the id, and deleted_at.
  perform clerk_sync.upsert_organizations(array[jsonb_build_object('id', organization_id)], deleted_at);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.erase_profile (
  user_id    text,
  deleted_at timestamp with time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  perform clerk_sync.keep_plans_of_failed(erase_profile.user_id);

  -- Locked in one order, so that the deletion of an organization at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where organization_memberships.user_id = erase_profile.user_id
  order by id
  for update;

  delete from public.organization_memberships
  where organization_memberships.user_id = erase_profile.user_id;

  perform
  from public.subscription_items
  where subscription_items.user_id = erase_profile.user_id
    and organization_id is null
  order by id
  for update;

  delete from public.subscription_items
  where subscription_items.user_id = erase_profile.user_id
    and organization_id is null;

  -- The tombstone is what the mapping makes of nothing but the id, and deleted_at.
  perform clerk_sync.upsert_profiles(array[jsonb_build_object('id', user_id)], deleted_at);

  perform clerk_sync.erase_from_inbox(erase_profile.user_id);
  perform clerk_sync.erase_from_register(erase_profile.user_id);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.event_from (
  message jsonb,
  dropped text[]
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  event jsonb := message;
  path text;
begin
  if jsonb_typeof(message) = 'string' then
    begin
      event := (message #>> '{}')::jsonb;
      if jsonb_typeof(event) <> 'object' then
        event := jsonb_build_object('raw', message);
      end if;
    exception
      -- No JSON; or a number or a depth beyond what jsonb takes.
      when others then
        event := jsonb_build_object('raw', message);
    end;
  end if;

  foreach path in array dropped loop
    event := event #- string_to_array(path, '.');
  end loop;

  return event;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.event_kind (
  type text
)
  RETURNS text
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if type in ('user.created', 'user.updated', 'user.deleted') then
    return 'user';
  end if;

  return case
    when type ~ '^organization\.(created|updated|deleted)$' then 'organization'
    when type ~ '^organizationMembership\.(created|updated|deleted)$' then 'membership'
    when type ~ '^organizationInvitation\.(created|accepted|revoked)$' then 'invitation'
    when type ~ '^subscriptionItem\.(created|updated|active|abandoned|canceled|ended|freeTrialEnding|incomplete|pastDue|upcoming)$'
      then 'subscription_item'
    when type ~ '^role\.(created|updated|deleted)$' then 'role'
    when type ~ '^permission\.(created|updated|deleted)$' then 'permission'
    when type ~ '^organizationDomain\.(created|updated|deleted)$'
      or type ~ '^paymentAttempt\.(created|updated)$'
      or type ~ '^subscription\.(created|updated|active|pastDue)$'
      then 'other'
    -- NOTE: not session.* (a row per sign-in for ever), waitlistEntry.* (an address without an id to
    -- erase it by), email.* and sms.* (one-time codes), nor types that Clerk adds later. The inbox stores
    -- their events, and of sessions the payload, too.
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.event_status()
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  -- So that a flood of events does not make the status slow.
  most constant integer := 20000;
begin
  return (
    with recent as materialized (
      select outcome, received_at
      from clerk_sync.inbox
      where received_at > now() - interval '1 day'
        and type is distinct from 'reconcile.deleted'
      order by received_at desc
      limit most
    ),
    counts as (
      select
        outcome,
        count(*) as day,
        count(*) filter (where received_at > now() - interval '1 hour') as hour
      from recent
      group by outcome
    ),
    waiting as (
      select outcome, count(*) as messages, min(received_at) as oldest, max(received_at) as newest
      from clerk_sync.inbox
      where outcome in ('failed', 'unreadable')
      group by outcome
    )
    select jsonb_build_object(
      'last_seconds', clerk_sync.seconds_since(clerk_sync.last_event_at()),
      'last_applied_seconds', (
        select clerk_sync.seconds_since(max(received_at))
        from clerk_sync.inbox
        where outcome = 'applied' and type is distinct from 'reconcile.deleted'
      ),
      'hour', (select coalesce(jsonb_object_agg(outcome, hour) filter (where hour > 0), '{}') from counts),
      'day', (select coalesce(jsonb_object_agg(outcome, day), '{}') from counts),
      'is_day_whole', (select count(*) < most from recent),
      'waiting', (select coalesce(jsonb_object_agg(outcome, messages), '{}') from waiting),
      'oldest_waiting_seconds', (select clerk_sync.seconds_since(min(oldest)) from waiting),
      'newest_waiting_seconds', (select clerk_sync.seconds_since(max(newest)) from waiting),
      'failing', (
        select count(*)
        from clerk_sync.inbox
        where outcome in ('failed', 'unreadable')
          and received_at > coalesce(
            (
              select max(received_at)
              from clerk_sync.inbox
              where outcome in ('applied', 'stale') and type is distinct from 'reconcile.deleted'
            ),
            '-infinity')
      ),
      'foreign_instance', clerk_sync.foreign_instance())
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.expire_invitations()
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.explained (
  id text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  kind constant text := clerk_sync.kind_of(id);
  most constant integer := 1000;
  current constant jsonb := clerk_sync.whole_row(kind, id);
  registered clerk_sync.objects;
  making clerk_sync.inbox;
  events jsonb;
  announced jsonb;
  total integer;
begin
  select * into registered from clerk_sync.objects where objects.id = explained.id;
  select count(*) into total
  from (select from clerk_sync.inbox where object_id = explained.id limit 100 + most) as bounded;

  if kind is null or (current is null and registered.id is null and total = 0) then
    return null;
  end if;

  events := clerk_sync.explained_events(kind, id, registered);
  announced := clerk_sync.announced_changes(id);
  select * into making from clerk_sync.inbox where message_id = registered.message_id and object_id = explained.id;

  return jsonb_build_object(
    'id', id,
    'kind', kind,
    'verdict', clerk_sync.verdict_on(kind, id, current, registered, announced),
    'row', current,
    'made_by', making.message_id,
    -- Somebody else than the sync wrote these.
    'differs', case when current is not null and jsonb_typeof(making.payload -> 'data') = 'object' then
      clerk_sync.column_changes(current, clerk_sync.mapped(kind, making.payload -> 'data'))
    end,
    'register', to_jsonb(registered) - '{data,subjects}'::text[],
    'events', events,
    'more_events', total - jsonb_array_length(events),
    'announced', announced,
    'left', case when registered.deleted_at is not null then clerk_sync.left_of(kind, id) end
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.explained_events (
  kind       text,
  id         text,
  registered clerk_sync.objects
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  -- Types that Clerk added later are read as one that is known, too.
  as_type constant text := case kind
    when 'user' then 'user.updated'
    when 'organization' then 'organization.updated'
    when 'membership' then 'organizationMembership.updated'
    when 'invitation' then 'organizationInvitation.created'
  end;
  event record;
  after jsonb;
  before jsonb;
  private_before jsonb;
  before_id text;
  changes jsonb;
  unknown text;
  told jsonb[] := '{}';
begin
  for event in
    with newest as (
      select message_id
      from clerk_sync.inbox
      where object_id = explained_events.id
      order by received_at desc
      limit 100
    ),
    read as materialized (
      select
        inbox.*,
        case jsonb_typeof(payload -> 'data') when 'object' then payload -> 'data' end as data,
        outcome = 'applied' as is_applied,
        coalesce(type like '%.deleted', false) as deletes,
        reading.version,
        reading.observed_at,
        case
          when reading.own_id is null then subjects
          else array_remove(array[reading.organization_id, reading.user_id], null)
        end as parents,
        (1000 * extract(epoch from coalesce(occurred_at, received_at)))::bigint as sent_at
      from clerk_sync.inbox
      left join lateral (
        select own_id, organization_id, user_id, version, observed_at
        from clerk_sync.read_event(inbox.payload, null, as_type)
        where jsonb_typeof(inbox.payload -> 'data') = 'object'
      ) as reading on true
      where message_id = any (array(select newest.message_id from newest))
        -- What made the row may have come before all of them.
        or (message_id = registered.message_id and object_id = explained_events.id)
    ),
    placed as materialized (
      select
        read.*,
        to_timestamp(place / 1000.0) as ordered_at,
        row_number() over (order by place, coalesce(observed_at, sent_at), message_id) as number
      from read
      -- The version of a deletion is older than the deletion.
      cross join lateral (select case when deletes then sent_at else coalesce(version, sent_at) end) as clerks (place)
    )
    select
      placed.*,
      row(
        explained_events.kind, explained_events.id, placed.message_id, placed.type, placed.outcome, placed.error,
        placed.instance_id, placed.deletes, placed.parents, next.message_id, next.deletes,
        (next.version, next.observed_at) is not distinct from (placed.version, placed.observed_at),
        explained_events.registered
      )::clerk_sync.told_event as told
    from placed
    left join placed as next on next.number = (
      select min(later.number)
      from placed as later
      where later.number > placed.number
        and later.is_applied
    )
    order by placed.number
  loop
    changes := null;
    unknown := null;

    if event.is_applied and not event.deletes then
      after := case when event.data is not null then clerk_sync.mapped(kind, event.data) end;
      if kind = 'invitation' then
        -- As it was, also when it has expired since.
        after := after || jsonb_build_object('status', event.data -> 'status');
      end if;

      if event.data is null then
        unknown := coalesce(
          'Its payload was erased with ' || array_to_string(
            nullif(clerk_sync.deleted_among(event.subjects), '{}'), ' and ') || '.',
          'Its payload is past retention.');
      elsif before_id is null and event.type like '%.created' then
        before := clerk_sync.mapped(kind, jsonb_build_object('id', explained_events.id));
      elsif before_id is null then
        unknown := 'The inbox has no payload that was applied before it.';
      elsif before is null then
        unknown := format('The payload of %s, which was applied before it, is gone.', before_id);
      end if;

      if unknown is null then
        changes := clerk_sync.column_changes(before, after);
        -- Never its value.
        if coalesce(event.data -> 'private_metadata', '{}') <> coalesce(private_before, '{}') then
          changes := changes || '[{"column": "private_metadata"}]';
        end if;
      end if;

      before_id := event.message_id;
      before := after;
      private_before := event.data -> 'private_metadata';
    end if;

    told := told || jsonb_build_object(
      'message_id', event.message_id,
      'type', event.type,
      'ordered_at', event.ordered_at,
      'occurred_at', event.occurred_at,
      'received_at', event.received_at,
      'last_delivered_at', event.last_delivered_at,
      'deliveries', event.deliveries,
      'outcome', event.outcome,
      'why', clerk_sync.why(event.told),
      'has_payload', event.payload is not null,
      'changes', changes,
      'changes_unknown', unknown
    );
  end loop;

  return to_jsonb(told);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.foreign_instance()
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    with newest as materialized (
      select inbox.instance_id, outcome, received_at
      from clerk_sync.inbox
      where coalesce(type, '') not in ('clerkSync.probe', 'reconcile.deleted')
      order by received_at desc
      limit 1000
    )
    select last.instance_id
    from (select * from newest order by received_at desc limit 1) as last
    join clerk_sync.settings on last.instance_id <> settings.instance_id
    where last.outcome = 'ignored'
      and not exists (select from newest where newest.instance_id = settings.instance_id)
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.grants_in (
  acl   aclitem[],
  kind  "char",
  owner oid
)
  RETURNS text
  LANGUAGE sql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN
  (SELECT COALESCE(string_agg(((granted.grantee || '='::text) || granted.privileges), ' '::text ORDER BY granted.grantee), ''::text) AS "coalesce" FROM (SELECT
  COALESCE(((NULLIF(aclexplode.grantee, (0)::oid))::regrole)::text, 'public'::text) AS grantee,
  string_agg((aclexplode.privilege_type || CASE WHEN aclexplode.is_grantable THEN '*'::text ELSE ''::text END), ','::text ORDER BY aclexplode.privilege_type) AS PRIVILEGES FROM
  aclexplode(COALESCE(grants_in.acl, acldefault(grants_in.kind, grants_in.owner))) aclexplode(grantor, grantee, privilege_type, is_grantable)
  WHERE (aclexplode.grantee <> grants_in.owner) GROUP BY aclexplode.grantee) granted);

CREATE OR REPLACE FUNCTION clerk_sync.holds_run (
  run_id bigint,
  fence  bigint
)
  RETURNS boolean
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Locked, so that nobody takes the run over before this transaction ends.
  perform
  from clerk_sync.runs
  where id = holds_run.run_id
    and runs.fence = holds_run.fence
    and finished_at is null
  for no key update;

  return found;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.in_words (
  at timestamp with time zone
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.in_words (
  seconds numeric
)
  RETURNS text
  LANGUAGE sql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN CASE WHEN (round(seconds) = (1)::numeric) THEN '1 second'::text WHEN (seconds < (120)::numeric) THEN (round(seconds) || ' seconds'::text) WHEN (seconds < (7200)::numeric)
  THEN (round((seconds / (60)::numeric)) || ' minutes'::text) WHEN (seconds < (172800)::numeric) THEN (round((seconds / (3600)::numeric)) || ' hours'::text) ELSE
  (round((seconds / (86400)::numeric)) || ' days'::text) END;

CREATE OR REPLACE FUNCTION clerk_sync.in_words (
  duration interval
)
  RETURNS text
  LANGUAGE sql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN clerk_sync.in_words(EXTRACT(epoch FROM duration));

CREATE OR REPLACE FUNCTION clerk_sync.invitation_from_clerk (
  data jsonb
)
  RETURNS public.organization_invitations
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.is_deleted (
  id text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return exists (
    select
    from clerk_sync.objects
    where objects.id = is_deleted.id
      and deleted_at is not null
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.is_id (
  id     text,
  prefix text
)
  RETURNS boolean
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return coalesce(length(id) <= 250 and id ~ ('^' || prefix || '_[A-Za-z0-9]+$'), false);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.is_scheduled (
  options jsonb
)
  RETURNS boolean
  LANGUAGE sql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN COALESCE(((OPTIONS ->> 'scheduled'::text))::boolean, false);

CREATE OR REPLACE FUNCTION clerk_sync.issue_in (
  reading clerk_sync.reading
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Any other kind of id, but none that has rows of its own: its deletion would be taken for theirs.
  if not clerk_sync.is_id(
    reading.own_id,
    case reading.kind
      when 'user' then 'user'
      when 'organization' then 'org'
      when 'membership' then 'orgmem'
      when 'invitation' then 'orginv'
      else '(?!(?:user|org|orgmem|orginv)_)[a-z]{1,20}(?:_[a-z]{1,20})*'
    end
  ) then
    return '[{"path": "data.id", "code": "invalid_format"}]';
  end if;

  if reading.version is null and not reading.deletes then
    return '[{"path": "data.updated_at", "code": "invalid_type"}]';
  end if;

  if reading.kind in ('user', 'organization', 'role', 'permission', 'other') then
    return null;
  end if;

  if reading.kind = 'subscription_item' then
    return case
      when (reading.user_id is not null and not clerk_sync.is_id(reading.user_id, 'user'))
        or (reading.organization_id is not null and not clerk_sync.is_id(reading.organization_id, 'org'))
      then '[{"path": "data.payer", "code": "invalid_format"}]'
    end;
  end if;

  if not clerk_sync.is_id(reading.organization_id, 'org') then
    return jsonb_build_array(jsonb_build_object(
      'path', case reading.kind when 'membership' then 'data.organization.id' else 'data.organization_id' end,
      'code', 'invalid_format'));
  end if;

  if reading.user_id is not null and not clerk_sync.is_id(reading.user_id, 'user') then
    return '[{"path": "data.public_user_data.user_id", "code": "invalid_format"}]';
  end if;

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.keep_data (
  id       text,
  subjects text[],
  data     jsonb
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  deleted constant text[] := clerk_sync.deleted_among(keep_data.subjects);
  person text;
begin
  if deleted <> '{}' then
    foreach person in array deleted loop
      keep_data.data := clerk_sync.without_person(keep_data.data, person);
    end loop;

    keep_data.subjects := clerk_sync.subjects_left(keep_data.subjects, keep_data.data);
  end if;

  update clerk_sync.objects
  set
    data = keep_data.data,
    subjects = case when keep_data.data is null then '{}' else keep_data.subjects end
  where objects.id = keep_data.id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.keep_in_inbox (
  message_id  text,
  reading     clerk_sync.reading,
  result      jsonb,
  is_delivery boolean            DEFAULT true
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  reason jsonb := nullif(result - 'outcome', '{}');
  deleted constant text[] := clerk_sync.deleted_among(reading.subjects);
begin
  if deleted <> '{}' then
    reading.payload := clerk_sync.payload_left(reading.payload, result ->> 'outcome', deleted);
    reading.subjects := clerk_sync.subjects_left(reading.subjects, reading.payload);
    reason := reason - '{message,issues}'::text[];
  end if;
  if reading.payload ->> 'type' ^@ 'organizationInvitation.' then
    reading.payload := clerk_sync.without_stale_address(reading.payload);
  end if;

  insert into clerk_sync.inbox as kept (
    message_id, type, object_id, subjects, instance_id, occurred_at, outcome, error, payload
  )
  values (
    keep_in_inbox.message_id, reading.type, reading.object_id, reading.subjects,
    reading.instance_id, reading.occurred_at, result ->> 'outcome', reason,
    reading.payload
  )
  on conflict on constraint inbox_pkey do update set
    type = excluded.type,
    object_id = excluded.object_id,
    subjects = excluded.subjects,
    instance_id = excluded.instance_id,
    occurred_at = excluded.occurred_at,
    last_delivered_at = case when is_delivery then now() else kept.last_delivered_at end,
    deliveries = kept.deliveries + is_delivery::integer,
    outcome = excluded.outcome,
    error = excluded.error,
    payload = excluded.payload
  where kept.outcome in ('failed', 'unreadable')
    or (kept.outcome = 'discarded' and excluded.outcome not in ('failed', 'unreadable'));

  if not found then
    -- Another delivery of the same message was done meanwhile; or it was discarded, and still cannot be
    -- applied.
    if is_delivery then
      update clerk_sync.inbox
      set
        deliveries = deliveries + 1,
        last_delivered_at = now()
      where inbox.message_id = keep_in_inbox.message_id;
    end if;
    return '{"outcome": "duplicate"}';
  end if;

  -- The message of an error can quote somebody's data: only its SQLSTATE leaves the database.
  return result - '{message,as_type}'::text[];
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.keep_message (
  message_id text,
  type       text,
  message    jsonb,
  result     jsonb,
  dropped    text[] DEFAULT '{}'::text[],
  as_type    text   DEFAULT NULL::text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  reading clerk_sync.reading;
begin
  if clerk_sync.count_redelivery(message_id) then
    return '{"outcome": "duplicate"}';
  end if;

  message := clerk_sync.event_from(message, dropped);
  reading := clerk_sync.read_message(
    coalesce(type, message ->> 'type'), message, (select instance_id from clerk_sync.settings), as_type);
  perform clerk_sync.lock_objects(reading.own_id, false, null, reading.people, reading.subjects);

  if reading.is_foreign then
    result := '{"outcome": "ignored"}';
  end if;

  return clerk_sync.keep_in_inbox(message_id, reading, result);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.keep_plan (
  data        jsonb,
  observed_at bigint,
  message_id  text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.keep_plans_of_failed (
  user_id text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.kept_row (
  kind text,
  id   text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  case kind
    when 'user' then
      return (select to_jsonb(kept) - 'synced_at' from public.profiles as kept where kept.id = kept_row.id);
    when 'organization' then
      return (select to_jsonb(kept) - 'synced_at' from public.organizations as kept where kept.id = kept_row.id);
    when 'membership' then
      return (
        select to_jsonb(kept) - 'synced_at' from public.organization_memberships as kept where kept.id = kept_row.id);
    when 'invitation' then
      return (
        select to_jsonb(kept) - 'synced_at' from public.organization_invitations as kept where kept.id = kept_row.id);
    else
      return null;
  end case;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.kind_of (
  id text
)
  RETURNS text
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case substring(id from '^[a-z]+_')
    when 'user_' then 'user'
    when 'org_' then 'organization'
    when 'orgmem_' then 'membership'
    when 'orginv_' then 'invitation'
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.last_event_at()
  RETURNS timestamp WITH time zone
  LANGUAGE sql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN (SELECT max(inbox.received_at) AS max FROM clerk_sync.inbox WHERE (COALESCE(inbox.type, ''::text) <> ALL (ARRAY['clerkSync.probe'::text, 'reconcile.deleted'::text])));

CREATE OR REPLACE FUNCTION clerk_sync.left_of (
  kind text,
  id   text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  is_user constant boolean := kind = 'user';
  is_organization constant boolean := kind = 'organization';
  tombstone constant text := 'the id, the time, and columns that your application added';
begin
  return (
    with counted (name, rows, holds) as (
      select 'public.profiles', count(*), tombstone
      from public.profiles where profiles.id = left_of.id having is_user
      union all
      select 'public.organizations', count(*), tombstone
      from public.organizations where organizations.id = left_of.id having is_organization
      union all
      select 'public.organizations', count(*), 'the id, as created_by'
      from public.organizations where created_by = left_of.id having is_user
      union all
      select 'public.organization_memberships', count(*), 'a membership'
      from public.organization_memberships where user_id = left_of.id having is_user
      union all
      select 'public.organization_memberships', count(*), 'a membership'
      from public.organization_memberships where organization_id = left_of.id having is_organization
      union all
      select 'public.organization_memberships', count(*), 'the row'
      from public.organization_memberships where organization_memberships.id = left_of.id having kind = 'membership'
      union all
      select 'public.organization_invitations', count(*), 'the id, as inviter_id or accepted_by'
      from public.organization_invitations where left_of.id in (inviter_id, accepted_by) having is_user
      union all
      select 'public.organization_invitations', count(*), 'an invitation'
      from public.organization_invitations where organization_id = left_of.id having is_organization
      union all
      select 'public.organization_invitations', count(*), 'the row'
      from public.organization_invitations where organization_invitations.id = left_of.id having kind = 'invitation'
      union all
      select 'public.subscription_items', count(*), 'the id, as the payer for an organization'
      from public.subscription_items where user_id = left_of.id having is_user
      union all
      select 'public.subscription_items', count(*), 'a plan'
      from public.subscription_items where organization_id = left_of.id having is_organization
      union all
      select
        'clerk_sync.objects', count(*),
        'the id, the time, and numbers of versions'
          || case when count(*) > 1 then '; of other objects, the id in their data' else '' end
      from clerk_sync.objects
      where objects.id = left_of.id
        or (is_user and cardinality(subjects) > 0 and subjects @> array[left_of.id])
      union all
      select
        'clerk_sync.inbox', count(*),
        'ids, times and outcomes; ' || case
          when count(payload) = 0 then 'no payloads'
          when is_user then format('%s of them with a payload, which says nothing about the person', count(payload))
          else format('%s of them with a payload', count(payload))
        end
      from clerk_sync.inbox
      where (not is_user and object_id = left_of.id)
        or (is_user and cardinality(subjects) = 1 and subjects[1] = left_of.id)
        or (is_user and cardinality(subjects) > 1 and subjects @> array[left_of.id])
      union all
      select 'clerk_sync.membership_deletions', count(*), 'ids and a time'
      from clerk_sync.membership_deletions where user_id = left_of.id having is_user
      union all
      select 'clerk_sync.welcome_mails', count(*), 'the id and times'
      from clerk_sync.welcome_mails where user_id = left_of.id having is_user
      union all
      select 'pgmq.q_clerk_changes', count(*), 'the id, names of columns, the external_id of a deleted user'
      from pgmq.q_clerk_changes where message ->> 'id' = left_of.id
      union all
      select 'pgmq.a_clerk_changes', count(*), 'the same as the queue, of changes that are done'
      from pgmq.a_clerk_changes where message ->> 'id' = left_of.id
      union all
      select 'pgmq.q_clerk_changes_dead', count(*), 'the same as the queue, of dead letters'
      from pgmq.q_clerk_changes_dead where message ->> 'id' = left_of.id
    )
    select jsonb_agg(jsonb_build_object('table', name, 'rows', rows, 'holds', holds))
    from counted
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.living_permissions (
  ids text[]
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return array(
    select id
    from unnest(ids) with ordinality as listed (id, place)
    where not clerk_sync.is_deleted(id)
    order by place
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.lock_objects (
  own_id          text,
  deletes         boolean,
  organization_id text,
  people          text[],
  mentioned       text[],
  member_id       text    DEFAULT NULL::text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  ids text[];
  rewritten_ids text[] := '{}';
  locked_id text;
  mentions_left integer := 50;
begin
  -- The deletion of a user also removes that user from the data of other objects. An object that
  -- arrives meanwhile is rewritten without waiting for its turn in the order: rare, and retried.
  if deletes and own_id ^@ 'user_' then
    rewritten_ids := array(
      select id
      from clerk_sync.objects
      where cardinality(subjects) > 0
        and subjects @> array[own_id]
    );
  end if;

  if lock_objects.organization_id is null
    and people = array[own_id] and mentioned = people and not deletes
  then
    -- Most events mention one user only.
    ids := people;
  else
    ids := array(
      select distinct id collate "C"
      from unnest(people || mentioned || rewritten_ids || array[own_id, lock_objects.organization_id])
        as every (id)
      where id is not null
      order by 1
    );
  end if;

  -- One after the other, in id order, so that no two deliveries can deadlock. A missing row is
  -- inserted, and nobody else passes it before this transaction ends.
  foreach locked_id in array ids loop
    loop
      if locked_id = own_id and deletes then
        perform from clerk_sync.objects where id = locked_id for update;
      elsif locked_id in (own_id, member_id) or locked_id = any (rewritten_ids) then
        perform from clerk_sync.objects where id = locked_id for no key update;
      elsif locked_id = lock_objects.organization_id then
        -- The weakest lock, so that a storm of joins does not starve an update of the organization.
        perform from clerk_sync.objects where id = locked_id for key share;
      elsif locked_id = any (people) then
        perform from clerk_sync.objects where id = locked_id for share;
      else
        -- What stands in free text may be no id at all, so it gets no row.
        perform from clerk_sync.objects where id = locked_id and mentions_left > 0 for share;
        mentions_left := mentions_left - found::integer;
        exit;
      end if;
      exit when found;

      insert into clerk_sync.objects (id)
      values (locked_id)
      on conflict (id) do nothing;
      exit when found;
    end loop;
  end loop;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.lock_page (
  written_ids      text[],
  organization_ids text[]
)
  RETURNS SETOF clerk_sync.objects
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  each_lock record;
  known clerk_sync.objects;
begin
  -- As clerk_sync.lock_objects does: in id order, and a missing row is inserted.
  for each_lock in
    select
      id collate "C" as id,
      bool_or(is_written) as is_written
    from (
      select unnest(written_ids), true
      union all
      select unnest(organization_ids), false
    ) as wanted (id, is_written)
    where id is not null
    group by id collate "C"
    order by id collate "C"
  loop
    loop
      if each_lock.is_written then
        select * into known from clerk_sync.objects where id = each_lock.id for no key update;
      else
        select * into known from clerk_sync.objects where id = each_lock.id for key share;
      end if;
      exit when found;

      insert into clerk_sync.objects (id)
      values (each_lock.id)
      on conflict (id) do nothing
      returning * into known;
      exit when found;
    end loop;

    return next known;
  end loop;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.mapped (
  kind text,
  data jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  columns jsonb := case kind
    when 'user' then to_jsonb(clerk_sync.profile_from_clerk(data))
    when 'organization' then to_jsonb(clerk_sync.organization_from_clerk(data))
    when 'membership' then to_jsonb(clerk_sync.membership_from_clerk(data))
    when 'invitation' then to_jsonb(clerk_sync.invitation_from_clerk(data))
  end;
begin
  -- Only the row tells the user of a membership that does not name one.
  if kind = 'membership' and columns ->> 'user_id' is null then
    columns := columns - 'user_id';
  end if;

  -- updated_at changes with every event, and the others do not come from Clerk's object.
  return columns
    - '{updated_at,synced_at,deleted_at,full_name,member_name,member_image_url,superseded}'::text[];
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.member_of (
  membership_id text,
  data          jsonb
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return coalesce(
    data #>> '{public_user_data,user_id}',
    (
      select organization_memberships.user_id
      from public.organization_memberships
      where id = membership_id
    )
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.membership_from_clerk (
  data jsonb
)
  RETURNS public.organization_memberships
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  membership public.organization_memberships;
begin
  membership.id := data ->> 'id';
  membership.organization_id := data #>> '{organization,id}';
  membership.user_id := data #>> '{public_user_data,user_id}';
  membership.role := clerk.org_key(data ->> 'role');
  membership.role_name := data ->> 'role_name';
  membership.permissions := array(
    select jsonb_array_elements_text(
      case jsonb_typeof(data -> 'permissions') when 'array' then data -> 'permissions' end
    )
  );
  membership.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  membership.created_at := clerk_sync.to_time(data -> 'created_at');
  membership.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return membership;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.membership_permits (
  id         text,
  role       text,
  copy       text[],
  permission text
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return clerk_sync.permits(
    clerk.org_key(permission),
    role,
    coalesce((select observed_at from clerk_sync.objects where objects.id = membership_permits.id), 0),
    copy);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.newest_key (
  kind text,
  id   text
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    select key
    from clerk_sync.keys
    where keys.kind = newest_key.kind
      and keys.id = newest_key.id
    order by observed_at desc, key collate "C" desc
    limit 1
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.object_facts()
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  owner constant oid := (select nspowner from pg_namespace where nspname = 'clerk_sync');
begin
  return (
    with ours as (
      select
        pg_class.*,
        relnamespace = to_regnamespace('pgmq') as is_queue,
        format('%I.%I', nspname, relname) as name
      from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
      where relkind in ('r', 'p', 'S', 'c')
        and (
          nspname in ('clerk', 'clerk_sync')
          or (nspname = 'pgmq' and relname ~ '^[qa]_clerk_')
          or pg_class.oid in (
            to_regclass('public.profiles'),
            to_regclass('public.organizations'),
            to_regclass('public.organization_memberships'),
            to_regclass('public.organization_roles'),
            to_regclass('public.organization_invitations'),
            to_regclass('public.subscription_items')
          )
        )
    ),
    functions as (
      select
        pg_proc.*,
        format('%I.%I(%s)', nspname, proname, oidvectortypes(proargtypes)) as name
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      where prokind in ('f', 'p')
        and (
          nspname in ('clerk', 'clerk_sync')
          or (nspname = 'public' and proname ~ 'clerk|welcome_mail')
          or pg_proc.oid = to_regprocedure('public.ensure_profile()')
        )
    )
    select jsonb_object_agg(fact, value)
    from (
      select 'grants on schema ' || nspname, clerk_sync.grants_in(nspacl, 'n', nspowner)
      from pg_namespace
      where nspname in ('clerk', 'clerk_sync')

      union all
      select
        'table ' || name,
        case when relrowsecurity then 'row-level security' else 'no row-level security' end
          || case when relforcerowsecurity then ', also for the owner' else '' end
          || case relpersistence when 'u' then ', unlogged' else '' end
      from ours
      where relkind in ('r', 'p')

      union all
      select
        'grants on ' || case relkind when 'S' then 'sequence ' else 'table ' end || name,
        -- How pgmq was installed decides about those of these two.
        case
          when is_queue then trim(regexp_replace(rights, ' ?\m(pg_monitor|postgres)=\S+', '', 'g'))
          else rights
        end
      from ours
      cross join lateral clerk_sync.grants_in(
        relacl, case relkind when 'S' then 's' else 'r' end::"char", relowner) as rights
      where relkind <> 'c'

      union all
      -- The tables of a queue are pgmq's, and versions of pgmq differ.
      select
        'column ' || name || '.' || quote_ident(attname),
        concat_ws(' ',
          format_type(atttypid, atttypmod),
          case when attnotnull then 'not null' end,
          'collate ' || nullif(attcollation, (select typcollation from pg_type where oid = atttypid))::regcollation,
          case when attidentity <> '' then 'identity ' || attidentity::text end,
          case attgenerated when '' then 'default ' else 'generated ' end || pg_get_expr(adbin, adrelid))
      from ours
      join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = ours.oid and adnum = attnum
      where relkind <> 'S' and not is_queue

      union all
      select
        'grants on column ' || name || '.' || quote_ident(attname),
        clerk_sync.grants_in(attacl, 'c', relowner)
      from ours
      join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
      where attacl is not null and not is_queue

      union all
      select
        'constraint ' || quote_ident(conname) || ' on ' || name,
        pg_get_constraintdef(pg_constraint.oid) || case when convalidated then '' else ' not valid' end
      from ours
      join pg_constraint on conrelid = ours.oid
      where contype in ('c', 'f', 'p', 'u', 'x') and not is_queue

      union all
      select
        'index ' || ours.relnamespace::regnamespace || '.' || quote_ident(index.relname),
        pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' invalid' end
      from ours
      join pg_index on indrelid = ours.oid
      join pg_class as index on index.oid = indexrelid
      where not is_queue or index.relname ~ '_by_object$'

      union all
      select
        'policy ' || quote_ident(polname) || ' on ' || name,
        concat_ws(' ',
          case when polpermissive then 'permissive' else 'restrictive' end,
          polcmd::text,
          (
            select string_agg(coalesce(nullif(role, 0)::regrole::text, 'public'), ',' order by role)
            from unnest(polroles) as role
          ),
          'using ' || pg_get_expr(polqual, polrelid),
          'check ' || pg_get_expr(polwithcheck, polrelid))
      from ours
      join pg_policy on polrelid = ours.oid

      union all
      select
        'trigger ' || quote_ident(tgname) || ' on ' || name,
        pg_get_triggerdef(pg_trigger.oid) || case tgenabled when 'O' then '' else ' fires ' || tgenabled::text end
      from ours
      join pg_trigger on tgrelid = ours.oid
      where not tgisinternal

      union all
      select 'function ' || name, pg_get_functiondef(functions.oid)
      from functions

      union all
      select 'grants on function ' || name, clerk_sync.grants_in(proacl, 'f', proowner)
      from functions

      union all
      select
        'role ' || rolname,
        concat_ws(' ',
          case when rolcanlogin then 'login' else 'nologin' end,
          case when rolsuper then 'superuser' end,
          case when rolcreaterole then 'createrole' end,
          case when rolcreatedb then 'createdb' end,
          case when rolreplication then 'replication' end,
          case when rolbypassrls then 'bypassrls' end,
          'set ' || (select string_agg(setting, ',' order by setting) from unnest(rolconfig) as setting),
          'member of ' || (
            select string_agg(roleid::regrole::text, ',' order by roleid::regrole::text)
            from pg_auth_members where member = pg_roles.oid
          ),
          -- Since Postgres 16, whoever creates a role is a member of it.
          'granted to ' || (
            select string_agg(distinct member::regrole::text, ',' order by member::regrole::text)
            from pg_auth_members
            where roleid = pg_roles.oid and member <> owner
          ))
      from pg_roles
      where rolname in ('clerk_ingest', 'clerk_worker')
    ) as facts (fact, value)
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.observe (
  kind        text,
  data        jsonb,
  observed_at bigint
)
  RETURNS clerk_sync.observation
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  observed constant timestamptz := to_timestamp(observe.observed_at / 1000.0);
  updated_at timestamptz := clerk_sync.to_time(data -> 'updated_at');
  reading clerk_sync.reading;
begin
  -- As clerk_sync.read_event does, with the response's time for the envelope's.
  if updated_at > observed + interval '10 minutes' then
    updated_at := observed;
  end if;

  reading.kind := observe.kind;
  reading.deletes := false;
  reading.own_id := data ->> 'id';
  reading.version := 1000 * extract(epoch from coalesce(updated_at, observed));
  if kind = 'membership' then
    reading.organization_id := data #>> '{organization,id}';
    reading.user_id := clerk_sync.member_of(reading.own_id, data);
  elsif kind = 'invitation' then
    reading.organization_id := data ->> 'organization_id';
  end if;

  return row(
    reading.own_id,
    case
      when clerk_sync.issue_in(reading) is null and (kind <> 'invitation' or data ->> 'status' is not null)
      then reading.version
    end,
    reading.organization_id,
    reading.user_id,
    data
  )::clerk_sync.observation;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.organization_from_clerk (
  data jsonb
)
  RETURNS public.organizations
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  organization public.organizations;
begin
  organization.id := data ->> 'id';
  organization.slug := nullif(data ->> 'slug', '');
  organization.name := data ->> 'name';
  organization.image_url := data ->> 'image_url';
  organization.has_image := data @> '{"has_image": true}';
  organization.members_count := clerk_sync.to_count(data -> 'members_count');
  organization.max_allowed_memberships :=
    nullif(clerk_sync.to_count(data -> 'max_allowed_memberships'), 0);
  organization.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  organization.created_by := data ->> 'created_by';
  organization.created_at := clerk_sync.to_time(data -> 'created_at');
  organization.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return organization;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.payer_of (
  item_id text,
  data    jsonb,
  OUT     user_id text,
  OUT     organization_id text
)
  RETURNS record
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.payload_left (
  payload jsonb,
  outcome text,
  deleted text[]
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  person text;
begin
  -- What is settled is not needed any more. What is no event about some object can never be applied, and
  -- does not say where it speaks of whom.
  if outcome not in ('failed', 'unreadable')
    or jsonb_typeof(payload -> 'type') is distinct from 'string'
    or coalesce(payload #>> '{data,id}', '') !~ '^[a-z_]+_[A-Za-z0-9]+$'
  then
    return null;
  end if;

  foreach person in array deleted loop
    payload := clerk_sync.without_person(payload, person);
  end loop;

  -- The membership's row, which may have told whose it is, goes with the person.
  return clerk_sync.without_unnamed_member(payload);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.people_in (
  data jsonb
)
  RETURNS text[]
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  id text;
  ids text[] := '{}';
begin
  foreach id in array array[
    data ->> 'id',
    data ->> 'user_id',
    data ->> 'inviter_id',
    data ->> 'created_by',
    data #>> '{public_user_data,user_id}',
    data #>> '{public_inviter_data,user_id}',
    data #>> '{payer,user_id}',
    data #>> '{user,id}',
    data #>> '{actor,id}',
    data #>> '{actor,sub}',
    data #>> '{organization,created_by}'
  ] loop
    continue when id is null or not id ^@ 'user_';

    if clerk_sync.is_id(id, 'user') and id <> all (ids) then
      ids := ids || id;
    end if;
  end loop;

  return ids;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.permission_keys_of (
  ids text[]
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return array(
    select clerk_sync.newest_key('permission', id)
    from unnest(ids) with ordinality as listed (id, place)
    order by place
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.permissions_in (
  data jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case jsonb_typeof(data -> 'permissions') when 'array' then data -> 'permissions' else '[]' end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.permits (
  permission text,
  role       text,
  copied_at  bigint,
  copy       text[]
)
  RETURNS boolean
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  newest record;
begin
  -- Of several roles that have or had the key, the one observed last: a living one as of its newest
  -- event, a deleted one as of its deletion, one with another key by now as of the last event with this key.
  select
    roles.permission_keys,
    seen.at as observed_at
  into newest
  from clerk_sync.keys
  join public.organization_roles as roles on roles.id = keys.id
  join clerk_sync.objects on objects.id = keys.id
  cross join lateral (
    select coalesce(1000 * extract(epoch from roles.deleted_at), objects.observed_at) as at
  ) as seen
  where keys.kind = 'role'
    and keys.key = permits.role
  order by
    case when roles.key = keys.key then seen.at else keys.observed_at end desc,
    roles.deleted_at is not null,
    keys.id collate "C"
  limit 1;

  -- A deleted role has no permissions.
  if newest.observed_at >= copied_at then
    return coalesce(permission = any (newest.permission_keys), false);
  end if;

  return coalesce(permission = any (copy), false) and not coalesce(
    (
      -- Whether the permission that had the key last was deleted since.
      select objects.deleted_at >= to_timestamp(copied_at / 1000.0)
      from clerk_sync.keys
      left join clerk_sync.objects on objects.id = keys.id
      where keys.kind = 'permission'
        and keys.key = permits.permission
      order by keys.observed_at desc, keys.id collate "C" desc
      limit 1
    ),
    false
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.plan_id_in (
  data jsonb
)
  RETURNS text
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  id constant text := coalesce(data ->> 'plan_id', data #>> '{plan,id}');
begin
  return case when length(id) <= 250 then id end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.post_to_clerk_worker (
  path text
)
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  url text;
  secret text;
  request_id bigint;
begin
  -- Dynamic, because neither Vault nor pg_net need exist where this is created.
  if to_regclass('vault.decrypted_secrets') is null then
    return null;
  end if;

  execute $vault$
    select
      max(decrypted_secret) filter (where name = 'clerk_worker_url'),
      max(decrypted_secret) filter (where name = 'clerk_worker_secret')
    from vault.decrypted_secrets
    where name in ('clerk_worker_url', 'clerk_worker_secret')
  $vault$ into url, secret;

  if url is null or secret is null then
    return null;
  end if;

  execute $net$
    select net.http_post(
      url := $1,
      body := '{}'::jsonb,
      headers := jsonb_build_object(
        'content-type', 'application/json',
        'authorization', 'Bearer ' || $2),
      timeout_milliseconds := 5000)
  $net$ into request_id using rtrim(url, '/') || path, secret;

  return request_id;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.profile_from_clerk (
  data jsonb
)
  RETURNS public.profiles
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  profile public.profiles;
  primary_email jsonb;
  verified_emails jsonb;
  primary_phone jsonb;
begin
  -- The primary entry by its id, never by its place: it may stand last, or be missing.
  primary_email := jsonb_path_query_first(
    data,
    '$.email_addresses[*] ? (
      @.id == $primary && @.id.type() == "string" && @.email_address.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_email_address_id')
  );
  -- Strict, because lax would look into lists where Clerk has objects; silent, because of entries of
  -- another shape.
  verified_emails := jsonb_path_query_array(
    data,
    'strict $.email_addresses[*] ? (
      @.verification.status == "verified" && @.email_address.type() == "string"
    ).email_address',
    silent => true
  );
  primary_phone := jsonb_path_query_first(
    data,
    '$.phone_numbers[*] ? (
      @.id == $primary && @.id.type() == "string" && @.phone_number.type() == "string"
    )',
    jsonb_build_object('primary', data -> 'primary_phone_number_id')
  );

  profile.id := data ->> 'id';
  profile.external_id := data ->> 'external_id';
  profile.username := data ->> 'username';
  profile.first_name := data ->> 'first_name';
  profile.last_name := data ->> 'last_name';
  profile.locale := data ->> 'locale';
  profile.image_url := data ->> 'image_url';
  profile.has_image := data @> '{"has_image": true}';
  profile.email := primary_email ->> 'email_address';
  profile.email_verified := coalesce(primary_email #>> '{verification,status}' = 'verified', false);
  if jsonb_array_length(verified_emails) = 1 and length(verified_emails ->> 0) <= 320 then
    -- As below, without the cost of a query: most people have one.
    profile.verified_emails := array[verified_emails ->> 0];
  else
    profile.verified_emails := array(
      select distinct address collate "C"
      from jsonb_array_elements_text(verified_emails) as address
      -- No real address is longer.
      where length(address) <= 320
      order by 1
    );
  end if;
  profile.phone := primary_phone ->> 'phone_number';
  profile.phone_verified := coalesce(primary_phone #>> '{verification,status}' = 'verified', false);
  profile.public_metadata := coalesce(nullif(data -> 'public_metadata', 'null'), '{}');
  profile.unsafe_metadata := coalesce(nullif(data -> 'unsafe_metadata', 'null'), '{}');
  profile.banned := data @> '{"banned": true}';
  profile.locked := data @> '{"locked": true}';
  profile.deprovisioned := data @> '{"deprovisioned": true}';
  profile.two_factor_enabled := data @> '{"two_factor_enabled": true}';
  profile.last_sign_in_at := clerk_sync.to_time(data -> 'last_sign_in_at');
  profile.last_active_at := clerk_sync.to_time(data -> 'last_active_at');
  profile.legal_accepted_at := clerk_sync.to_time(data -> 'legal_accepted_at');
  profile.created_at := clerk_sync.to_time(data -> 'created_at');
  profile.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return profile;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.purge_tombstones (
  source  text,
  ids     text[],
  dry_run boolean
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  started constant timestamptz := clock_timestamp();
  each_id text;
  is_there boolean;
  is_gone boolean;
  state text;
  purged text[] := '{}';
  refused jsonb := '[]';
begin
  foreach each_id in array ids loop
    is_gone := false;
    begin
      execute format(
        'select true from %s where id = $1 and deleted_at is not null for update skip locked', source)
      into is_there
      using each_id;

      if is_there then
        -- The application's foreign keys act here: cascade, set null or restrict. Strict, because a trigger
        -- may keep the row without an error.
        execute format('delete from %s where id = $1 returning true', source)
        into strict is_there
        using each_id;
        -- Deferred constraints of the application fail here, not at commit.
        set constraints all immediate;

        is_gone := true;
        if dry_run then
          raise exception 'Undone, because this is a dry run';
        end if;
      end if;
    exception
      when assert_failure or others then
        get stacked diagnostics state = returned_sqlstate;
        if not is_gone then
          refused := refused || jsonb_build_object('id', each_id, 'sqlstate', state);
        end if;
    end;

    if is_gone then
      purged := purged || each_id;
    end if;

    -- A cascade can be slow.
    exit when clock_timestamp() > started + interval '2 seconds';
  end loop;

  return jsonb_build_object('ids', purged, 'refused', refused, 'last', each_id);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.read_event (
  event        jsonb,
  own_instance text,
  as_type      text
)
  RETURNS clerk_sync.reading
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  reading clerk_sync.reading := clerk_sync.read_message(event ->> 'type', event, own_instance, as_type);
  data constant jsonb := event -> 'data';
  updated_at timestamptz;
begin
  if reading.is_foreign then
    return reading;
  end if;
  if jsonb_typeof(event -> 'type') is distinct from 'string' then
    reading.issues := case
      when event ? 'raw' then '[{"path": "", "code": "not_storable"}]'
      else '[{"path": "type", "code": "invalid_type"}]'
    end;
    return reading;
  end if;

  if reading.kind is null then
    return reading;
  end if;

  reading.own_id := data ->> 'id';
  reading.deletes := reading.type like '%.deleted';

  if reading.kind = 'invitation' then
    reading.organization_id := data ->> 'organization_id';
  elsif reading.kind in ('membership', 'subscription_item') then
    if reading.kind = 'membership' then
      reading.organization_id := data #>> '{organization,id}';
      reading.user_id := clerk_sync.member_of(reading.own_id, data);

      if data #>> '{public_user_data,user_id}' is null and clerk_sync.is_id(reading.user_id, 'user') then
        -- With the data of a member whom the membership's row tells.
        reading.payload := event - 'event_attributes';
      end if;
    else
      select payer.user_id, payer.organization_id
      into reading.user_id, reading.organization_id
      from clerk_sync.payer_of(reading.own_id, data) as payer;
    end if;

    -- Only the row that is there may tell the user.
    if reading.user_id <> all (reading.people) and clerk_sync.is_id(reading.user_id, 'user') then
      reading.people := reading.people || reading.user_id;
      reading.subjects := clerk_sync.sorted_ids(reading.subjects || reading.user_id);
    end if;
  end if;

  -- data.updated_at orders first, because the envelope's time trails it by a few ms, and two quick
  -- updates can swap; then the envelope's time.
  updated_at := clerk_sync.to_time(data -> 'updated_at');
  -- A time that cannot be true must not make all later events stale: the envelope's time is Clerk's clock.
  if updated_at > reading.occurred_at + interval '10 minutes' then
    updated_at := reading.occurred_at;
  end if;
  reading.version := 1000 * extract(epoch from
    coalesce(updated_at, reading.occurred_at, clerk_sync.to_time(data -> 'created_at')));
  -- The times in a deletion's data are older than the deletion.
  reading.observed_at := coalesce(
    1000 * extract(epoch from reading.occurred_at),
    case when not reading.deletes then reading.version end);

  reading.issues := clerk_sync.issue_in(reading);
  if reading.issues is null and reading.kind = 'invitation' and data ->> 'status' is null then
    reading.issues := '[{"path": "data.status", "code": "invalid_type"}]';
  end if;
  if coalesce(reading.occurred_at, updated_at) > now() + interval '1 day' then
    reading.issues := jsonb_build_array(jsonb_build_object(
      'path', case when reading.occurred_at is null then 'data.updated_at' else 'timestamp' end,
      'code', 'too_far_ahead'));
  end if;
  if reading.issues is not null then
    -- What does not look like an id gets no row in the register.
    reading.own_id := case
      when reading.kind = 'invitation' and clerk_sync.is_id(reading.own_id, 'orginv') then reading.own_id
    end;
    reading.organization_id := null;
  end if;

  return reading;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.read_message (
  type         text,
  message      jsonb,
  own_instance text,
  as_type      text  DEFAULT NULL::text
)
  RETURNS clerk_sync.reading
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  reading clerk_sync.reading;
begin
  -- These four outlive an erasure, so each is stored only when it looks like what it claims to be.
  reading.type := substring(left(read_message.type, 201) from '^[A-Za-z]+\.[A-Za-z]+$');
  reading.object_id := substring(left(message #>> '{data,id}', 251) from '^[a-z_]+_[A-Za-z0-9]+$');
  reading.instance_id := substring(left(message ->> 'instance_id', 205) from '^ins_[A-Za-z0-9]+$');
  reading.occurred_at := clerk_sync.to_time(message -> 'timestamp');
  reading.is_foreign := false;

  if own_instance is not null then
    reading.is_foreign := coalesce(
      own_instance <> coalesce(
        message ->> 'instance_id',
        substring(message ->> 'raw' from '"instance_id"\s*:\s*"(ins_[A-Za-z0-9]+)"')
      ),
      false
    );
  end if;

  reading.people := '{}';
  reading.subjects := '{}';
  if reading.is_foreign then
    return reading;
  end if;

  reading.kind := clerk_sync.event_kind(coalesce(as_type, reading.type));
  if reading.type ^@ 'user.' and jsonb_typeof(message) = 'object' then
    -- Most messages are about one user, and are stored whole.
    reading.payload := message - 'event_attributes';
    if clerk_sync.is_id(message #>> '{data,id}', 'user') then
      reading.people := array[message #>> '{data,id}'];
    end if;
  else
    reading.payload := clerk_sync.storable_payload(message);
    reading.people := clerk_sync.people_in(message -> 'data');
  end if;

  -- Nobody can tell of whom an unknown type speaks: an address in it, or a one-time code, could stand
  -- beside no user id, or beside another user's. A session belongs to its user.
  if reading.kind is null and jsonb_typeof(message -> 'type') = 'string' and not (
    coalesce(reading.type, '') ~ '^session\.(created|pending|ended|removed|revoked)$'
    and clerk_sync.is_id(message #>> '{data,user_id}', 'user')
  ) then
    reading.payload := null;
  end if;

  reading.subjects := clerk_sync.user_ids_in(reading.payload);
  if reading.subjects <> reading.people or cardinality(reading.people) > 1 then
    reading.subjects := clerk_sync.sorted_ids(reading.people || reading.subjects);
  end if;

  -- Whoever erases the address of an invitation waits for its events, also for those that are not applied.
  if reading.type ^@ 'organizationInvitation.' and reading.object_id ^@ 'orginv_' then
    reading.own_id := reading.object_id;
  end if;

  return reading;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.refresh_permissions (
  ids text[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  update public.organization_roles as kept
  set
    permission_ids = fresh.ids,
    permission_keys = clerk_sync.permission_keys_of(fresh.ids),
    synced_at = now()
  from (
    select
      organization_roles.id,
      clerk_sync.living_permissions(permission_ids) as ids
    from public.organization_roles
    where permission_ids && refresh_permissions.ids
  ) as fresh
  where kept.id = fresh.id
    and (kept.permission_ids, kept.permission_keys)
      is distinct from (fresh.ids, clerk_sync.permission_keys_of(fresh.ids));
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.remember_keys (
  kind        text,
  objects     jsonb,
  observed_at bigint
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- An index entry holds 2,704 bytes at most, and no real key is longer than 255 characters.
  insert into clerk_sync.keys as known (kind, key, id, observed_at)
  select distinct
    remember_keys.kind,
    clerk.org_key(object ->> 'key'),
    object ->> 'id',
    coalesce(remember_keys.observed_at, 0)
  from jsonb_array_elements(objects) as object
  where jsonb_typeof(object -> 'key') = 'string'
    and length(object ->> 'key') <= 255
    and jsonb_typeof(object -> 'id') = 'string'
    and length(object ->> 'id') <= 250
  on conflict on constraint keys_pkey do update set
    observed_at = excluded.observed_at
  where known.observed_at < excluded.observed_at;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.remember_membership_deletion (
  user_id         text,
  organization_id text,
  occurred_at     timestamp with time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into clerk_sync.membership_deletions as known (user_id, organization_id, observed_at)
  values (
    remember_membership_deletion.user_id,
    remember_membership_deletion.organization_id,
    1000 * extract(epoch from coalesce(occurred_at, now()))
  )
  on conflict on constraint membership_deletions_pkey do update set
    observed_at = excluded.observed_at
  where known.observed_at < excluded.observed_at;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.role_from_clerk (
  data jsonb
)
  RETURNS public.organization_roles
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  role public.organization_roles;
begin
  role.id := data ->> 'id';
  if length(data ->> 'key') <= 255 then
    role.key := clerk.org_key(data ->> 'key');
  end if;
  -- A note about a person could not be erased with the person: a role mentions nobody by structure.
  if data ->> 'name' !~ 'user_[A-Za-z0-9]{27}' then
    role.name := data ->> 'name';
  end if;
  if data ->> 'description' !~ 'user_[A-Za-z0-9]{27}' then
    role.description := data ->> 'description';
  end if;
  role.permission_ids := clerk_sync.living_permissions(array(
    select permission ->> 'id'
    from jsonb_array_elements(clerk_sync.permissions_in(data)) with ordinality as listed (permission, place)
    where permission ->> 'id' is not null
    order by place
  ));
  role.permission_keys := clerk_sync.permission_keys_of(role.permission_ids);
  role.created_at := clerk_sync.to_time(data -> 'created_at');
  role.updated_at := clerk_sync.to_time(data -> 'updated_at');

  return role;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.row_status (
  clerk_counts jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    select jsonb_object_agg(kind, jsonb_build_object('here', here, 'clerk', (clerk_counts ->> kind)::bigint))
    from (
      select 'user' as kind, (select count(*) from public.profiles where deleted_at is null) as here
      union all
      select 'organization', (select count(*) from public.organizations where deleted_at is null)
      union all
      select 'membership', (select count(*) from public.organization_memberships)
    ) as counts
    where clerk_counts ? kind
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.run_status()
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    with real as (
      select *
      from clerk_sync.runs
      where not coalesce((options ->> 'dry_run')::boolean, false)
        and not coalesce((state ->> 'abandoned')::boolean, false)
    ),
    counted as (
      select
        real.*,
        tallies.repaired,
        tallies.surplus,
        tallies.skipped
      from real
      cross join lateral (
        select
          coalesce(sum((tally ->> 'missing')::bigint + (tally ->> 'outdated')::bigint), 0) as repaired,
          coalesce(sum((tally ->> 'surplus')::bigint - (tally ->> 'kept')::bigint - (tally ->> 'deleted')::bigint), 0) as surplus,
          coalesce(sum((tally ->> 'unreadable')::bigint + (tally ->> 'refused')::bigint), 0) as skipped
        from jsonb_each(state -> 'tallies') as tallies (kind, tally)
      ) as tallies
    ),
    last_full as (
      select *
      from counted
      where kind = 'reconcile'
        and finished_at is not null
      order by id desc
      limit 1
    )
    select jsonb_build_object(
      'backfill_seconds', (
        select clerk_sync.seconds_since(max(finished_at)) from real where kind = 'backfill'
      ),
      'reconcile_seconds', (select clerk_sync.seconds_since(finished_at) from last_full),
      'poll_seconds', (select clerk_sync.seconds_since(max(finished_at)) from real where kind = 'poll'),
      'surplus', coalesce((select surplus from last_full), 0),
      'skipped', coalesce((select skipped from last_full), 0),
      'halted', (select state ->> 'halted' from last_full),
      -- What runs of the schedule had to repair although no event had come shortly before.
      'unheard', (
        select coalesce(sum(repaired), 0)
        from counted
        where clerk_sync.is_scheduled(options)
          -- The first run of all finds what was there before the webhook.
          and id > (select min(id) from real where finished_at is not null)
          and began_at > clerk_sync.last_event_at() + interval '10 minutes'
      ),
      'stopped', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'run', id, 'kind', kind, 'seconds', clerk_sync.seconds_since(leased_until),
          'is_scheduled', clerk_sync.is_scheduled(options)) order by id), '[]')
        from real
        where finished_at is null
          and leased_until < now() - interval '15 minutes'
      ))
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.seconds_since (
  moment timestamp with time zone
)
  RETURNS bigint
  LANGUAGE sql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN (EXTRACT(epoch FROM (clock_timestamp() - moment)))::bigint;

CREATE OR REPLACE FUNCTION clerk_sync.sorted_ids (
  ids text[]
)
  RETURNS text[]
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Most messages are about one user only.
  if ids[1] = all (ids) then
    return ids[:1];
  end if;

  return array(select distinct id collate "C" from unnest(ids) as given (id) order by 1);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.start_schedule()
  RETURNS text[]
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  job record;
  names text[] := '{}';
  -- A block, and no function, because only a block can commit after each batch and still be no risk to
  -- search_path. It ends before the 2 minutes after which Supabase cancels a statement, and goes on in the
  -- next night. The pause leaves the disk to others.
  nightly_maintenance constant text := $job$
    do $block$
    declare
      next jsonb;
    begin
      loop
        next := public.maintain_clerk_sync(next => next) -> 'next';
        exit when next is null or clock_timestamp() > statement_timestamp() + interval '90 seconds';
        commit;
        perform pg_sleep(0.1);
      end loop;
    end
    $block$
  $job$;
begin
  create extension if not exists pg_cron;
  -- The schema is named, because the default is public, which Supabase's advisors report. The
  -- extension's objects are in schema net either way.
  create extension if not exists pg_net with schema extensions;

  for job in
    select name, schedule, command
    from (
      values
        ('clerk-worker', '10 seconds', 'select clerk_sync.call_clerk_worker()'),
        ('clerk-reconcile', '* * * * *', 'select clerk_sync.call_clerk_reconcile()'),
        ('clerk-maintain', '17 2 * * *', nightly_maintenance)
    ) as jobs (name, schedule, command)
  loop
    begin
      perform cron.schedule(job.name, job.schedule, job.command);
    exception
      -- pg_cron before 1.5 cannot count seconds.
      when invalid_parameter_value then
        perform cron.schedule(job.name, '* * * * *', job.command);
    end;

    names := names || job.name;
  end loop;

  return names;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.stop_schedule()
  RETURNS text[]
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  job record;
  names text[] := '{}';
begin
  if to_regclass('cron.job') is null then
    return names;
  end if;

  -- By their prefix and what they call, so that jobs of an older version go, too.
  for job in
    select jobid, jobname
    from cron.job
    where jobname ^@ 'clerk-'
      and command ~ '\mclerk_sync\M|\mmaintain_clerk_sync\M'
      and database = current_database()
  loop
    perform cron.unschedule(job.jobid);
    names := names || job.jobname;
  end loop;

  return names;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.storable_payload (
  message jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  type constant text := coalesce(message ->> 'type', '');
  types text[];
begin
  -- Client addresses and user agents are of no use to anybody here.
  if message ? 'raw' then
    message := jsonb_build_object('raw', regexp_replace(
      message ->> 'raw', '"event_attributes"\s*:\s*\{[^{}]*(\{[^{}]*\}?)?[^{}]*\}?', '"event_attributes":{}', 'g'));
    -- The type of a raw body is unknown, so it is searched for types.
    types := array(
      select match[1]
      from regexp_matches(message ->> 'raw', '"type"\s*:\s*"([^"]*\.[^"]*)"', 'g') as match
    );
    if message ->> 'raw' ~ '"(email|sms|waitlistEntry)\.'
      or (types <> '{}' and not exists (
        select from unnest(types) as found (type) where clerk_sync.event_kind(found.type) is not null
      ))
    then
      return null;
    end if;
  elsif jsonb_typeof(message) = 'object' then
    message := message - 'event_attributes';
  end if;

  message := clerk_sync.without_unnamed_member(message);

  -- Addresses and names without a user id beside them: whoever proved a domain, and whoever pays for
  -- an organization when Clerk does not say which user that is.
  if type ~ '^(organizationDomain|subscription|subscriptionItem|paymentAttempt)\.'
    and jsonb_typeof(message -> 'data') = 'object'
  then
    message := message #- '{data,affiliation_email_address}';

    if jsonb_typeof(message #> '{data,payer}') = 'object'
      and coalesce(message #>> '{data,payer,user_id}', '') = ''
    then
      message := message
        #- '{data,payer,email}' #- '{data,payer,first_name}' #- '{data,payer,last_name}';
    end if;
  end if;

  return message;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.subjects_left (
  subjects text[],
  value    jsonb
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return array(
    select id
    from unnest(subjects_left.subjects) as subject (id)
    where exists (select from clerk_sync.objects where objects.id = subject.id)
      or strpos(value::text, id) > 0
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.subscription_item_from_clerk (
  data jsonb
)
  RETURNS public.subscription_items
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.supersede_memberships (
  organization_id text,
  user_id         text
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  update public.organization_memberships as membership
  set superseded = not superseded
  where membership.organization_id = supersede_memberships.organization_id
    and membership.user_id = supersede_memberships.user_id
    and superseded <> exists (
      select
      from public.organization_memberships as newer
      where newer.organization_id = membership.organization_id
        and newer.user_id = membership.user_id
        and (coalesce(newer.created_at, '-infinity'), newer.id collate "C")
          > (coalesce(membership.created_at, '-infinity'), membership.id collate "C")
    );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.surplus_of (
  run_id bigint,
  kind   text,
  OUT    id text,
  OUT    organization_id text,
  OUT    user_id text
)
  RETURNS SETOF record
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  began constant timestamptz := (select began_at from clerk_sync.runs where runs.id = surplus_of.run_id);
begin
  -- What has been here since before the run began, or was made before it, Clerk had to list.
  case kind
    when 'user' then
      return query
      select profiles.id, null::text, null::text
      from public.profiles
      where deleted_at is null
        and least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = profiles.id
        );
    when 'organization' then
      return query
      select organizations.id, null::text, null::text
      from public.organizations
      where deleted_at is null
        and least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = organizations.id
        );
    when 'membership' then
      -- Without those that go with their user or their organization.
      return query
      select membership.id, membership.organization_id, membership.user_id
      from public.organization_memberships as membership
      where least(created_at, synced_at) < began
        and not exists (
          select from clerk_sync.seen_objects as seen where seen.run_id = surplus_of.run_id and seen.id = membership.id
        )
        and exists (
          select from clerk_sync.seen_objects as seen
          where seen.run_id = surplus_of.run_id and seen.id = membership.organization_id
        )
        and exists (
          select from clerk_sync.seen_objects as seen
          where seen.run_id = surplus_of.run_id and seen.id = membership.user_id
        );
    else
      raise exception using
        errcode = 'invalid_parameter_value',
        message = format('Cannot find surplus of this kind, only of user, organization and membership: %s', kind);
  end case;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg__announce()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  before jsonb;
  after jsonb;
  changed text[] := '{}';
  watched text[] := tg_argv[1:];
  synced text;
  verb text := case tg_op when 'INSERT' then 'created' else 'updated' end;
  told_besides jsonb := '{}';
begin
  if current_setting('clerk_sync.via', true) = 'snapshot' then
    if current_setting('clerk_sync.quiet', true) = 'on' then
      return null;
    end if;
    watched := array_remove(array_remove(watched, 'last_sign_in_at'), 'members_count');
  end if;

  begin
    after := to_jsonb(new);
    before := case tg_op when 'UPDATE' then to_jsonb(old) else '{}' end;
    foreach synced in array watched loop
      if after -> synced is distinct from coalesce(before -> synced, 'null') then
        changed := changed || synced;
      end if;
    end loop;
  exception
    -- Not every column that the application adds becomes jsonb, such as a NUL in json. Slower, this
    -- reads the synced columns alone.
    when others then
      execute (
        select format('select array_remove(array[%s], null)', string_agg(
          format('case when ($1).%1$I is distinct from ($2).%1$I then %1$L end', name), ', '))
        from unnest(watched) as name
      ) into changed using new, old;
  end;

  if tg_op = 'UPDATE' and changed = '{}' then
    return null;
  end if;

  if 'deleted_at' = any (tg_argv) then
    -- An edit of a tombstone is no news.
    if new.deleted_at is not null and tg_op = 'UPDATE' and old.deleted_at is not null then
      return null;
    end if;

    if new.deleted_at is not null then
      verb := 'deleted';

      if tg_argv[0] = 'profile' and current_setting('clerk_sync.external_id', true) <> '' then
        told_besides := jsonb_build_object('external_id', current_setting('clerk_sync.external_id', true));
      end if;
    end if;
  end if;

  -- What pgmq.send does. pgmq.send plans its insert in every call, which took as long as all other
  -- writes of a delivery together.
  insert into pgmq.q_clerk_changes (vt, message)
  values (
    clock_timestamp(),
    jsonb_build_object(
      'topic', tg_argv[0] || '.' || verb,
      'id', new.id,
      'changed', changed,
      'caused_by', nullif(current_setting('clerk_sync.caused_by', true), ''),
      'via', nullif(current_setting('clerk_sync.via', true), '')
    ) || told_besides
  );

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg__announce_deletions()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into pgmq.q_clerk_changes (vt, message)
  select
    clock_timestamp(),
    jsonb_build_object(
      'topic', tg_argv[0] || '.deleted',
      'id', gone.id,
      'changed', '{}'::text[],
      'caused_by', nullif(current_setting('clerk_sync.caused_by', true), ''),
      'via', nullif(current_setting('clerk_sync.via', true), '')
    )
  from gone;

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg_organization_memberships__restore()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  perform from public.organization_memberships where superseded limit 1;
  if not found then
    return null;
  end if;

  perform clerk_sync.supersede_memberships(organization_id, user_id)
  from (
    select distinct organization_id, user_id
    from gone
    join public.organization_memberships as kept using (organization_id, user_id)
    where kept.superseded
  ) as pair;

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg_organization_memberships__show_member()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  select coalesce(profiles.full_name, profiles.username), profiles.image_url
  into new.member_name, new.member_image_url
  from public.profiles
  where profiles.id = new.user_id;

  return new;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg_organization_memberships__supersede()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if tg_op = 'UPDATE' and (old.organization_id, old.user_id) is distinct from (new.organization_id, new.user_id) then
    -- The event locked its own user. Clerk never moves a membership, so the risk of a deadlock is small.
    perform from clerk_sync.objects where id = old.user_id for no key update;
    perform clerk_sync.supersede_memberships(old.organization_id, old.user_id);
  end if;

  perform clerk_sync.supersede_memberships(new.organization_id, new.user_id);

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.tg_profiles__show_member()
  RETURNS TRIGGER
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  -- Locked in one order, so that the deletion of an organization at the same time cannot deadlock.
  perform
  from public.organization_memberships
  where user_id = new.id
  order by id
  for no key update;

  update public.organization_memberships
  set
    member_name = coalesce(new.full_name, new.username),
    member_image_url = new.image_url
  where user_id = new.id;

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.to_count (
  value jsonb
)
  RETURNS integer
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case
    when jsonb_typeof(value) = 'number' and value::numeric between 0 and 2147483647
    then trunc(value::numeric)::integer
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.to_time (
  value jsonb
)
  RETURNS timestamp WITH time zone
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
  then
    begin
      at := date_trunc('milliseconds', (value #>> '{}')::timestamptz);
    exception
      -- 30 February. NOTE: pg_input_is_valid() needs Postgres 16.
      when data_exception then
        return null;
    end;
    -- Go's zero time (year 1) is no time, and a version before it would never apply.
    return case when at > to_timestamp(0) then at end;
  end if;

  return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert (
  kind text,
  page clerk_sync.observation[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  objects constant jsonb[] := array(select data from unnest(page) order by id collate "C");
begin
  case kind
    when 'user' then perform clerk_sync.upsert_profiles(objects);
    when 'organization' then perform clerk_sync.upsert_organizations(objects);
    when 'membership' then
      perform clerk_sync.upsert_memberships(
        objects, array(select user_id from unnest(page) order by id collate "C"));
    when 'invitation' then perform clerk_sync.upsert_invitations(objects);
  end case;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_invitations (
  objects jsonb[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_memberships (
  objects  jsonb[],
  user_ids text[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.organization_memberships as kept (
    id, organization_id, user_id, role, role_name, permissions, public_metadata, created_at,
    updated_at
  )
  select
    read.id, read.organization_id, given.user_id, read.role, read.role_name, read.permissions,
    read.public_metadata, read.created_at, read.updated_at
  from unnest(objects, user_ids) as given (object, user_id)
  cross join lateral clerk_sync.membership_from_clerk(given.object) as read
  on conflict (id) do update set
    organization_id = excluded.organization_id,
    user_id = excluded.user_id,
    role = excluded.role,
    role_name = excluded.role_name,
    permissions = excluded.permissions,
    public_metadata = excluded.public_metadata,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    synced_at = now()
  where (
    kept.organization_id, kept.user_id, kept.role, kept.role_name, kept.permissions,
    kept.public_metadata, kept.created_at, kept.updated_at
  ) is distinct from (
    excluded.organization_id, excluded.user_id, excluded.role, excluded.role_name,
    excluded.permissions, excluded.public_metadata, excluded.created_at, excluded.updated_at
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_organizations (
  objects    jsonb[],
  deleted_at timestamp with time zone DEFAULT NULL::timestamp WITH time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.organizations as kept (
    id, slug, name, image_url, has_image, members_count, max_allowed_memberships,
    public_metadata, created_by, created_at, updated_at, deleted_at
  )
  select
    read.id, read.slug, read.name, read.image_url, read.has_image, read.members_count,
    read.max_allowed_memberships, read.public_metadata, read.created_by, read.created_at,
    read.updated_at, upsert_organizations.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.organization_from_clerk(object) as read
  on conflict (id) do update set
    slug = excluded.slug,
    name = excluded.name,
    image_url = excluded.image_url,
    has_image = excluded.has_image,
    members_count = excluded.members_count,
    max_allowed_memberships = excluded.max_allowed_memberships,
    public_metadata = excluded.public_metadata,
    created_by = excluded.created_by,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    synced_at = now()
  where (
    kept.slug, kept.name, kept.image_url, kept.has_image, kept.members_count,
    kept.max_allowed_memberships, kept.public_metadata, kept.created_by, kept.created_at,
    kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.slug, excluded.name, excluded.image_url, excluded.has_image,
    excluded.members_count, excluded.max_allowed_memberships, excluded.public_metadata,
    excluded.created_by, excluded.created_at, excluded.updated_at, excluded.deleted_at
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_profiles (
  objects    jsonb[],
  deleted_at timestamp with time zone DEFAULT NULL::timestamp WITH time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.profiles as kept (
    id, external_id, username, first_name, last_name, locale, image_url, has_image,
    email, email_verified, verified_emails, phone, phone_verified, public_metadata,
    unsafe_metadata, banned, locked, deprovisioned, two_factor_enabled,
    last_sign_in_at, last_active_at, legal_accepted_at, created_at, updated_at, deleted_at
  )
  select
    read.id, read.external_id, read.username, read.first_name, read.last_name, read.locale,
    read.image_url, read.has_image, read.email, read.email_verified, read.verified_emails,
    read.phone, read.phone_verified, read.public_metadata, read.unsafe_metadata, read.banned,
    read.locked, read.deprovisioned, read.two_factor_enabled, read.last_sign_in_at,
    read.last_active_at, read.legal_accepted_at, read.created_at, read.updated_at,
    upsert_profiles.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.profile_from_clerk(object) as read
  on conflict (id) do update set
    external_id = excluded.external_id,
    username = excluded.username,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    locale = excluded.locale,
    image_url = excluded.image_url,
    has_image = excluded.has_image,
    email = excluded.email,
    email_verified = excluded.email_verified,
    verified_emails = excluded.verified_emails,
    phone = excluded.phone,
    phone_verified = excluded.phone_verified,
    public_metadata = excluded.public_metadata,
    unsafe_metadata = excluded.unsafe_metadata,
    banned = excluded.banned,
    locked = excluded.locked,
    deprovisioned = excluded.deprovisioned,
    two_factor_enabled = excluded.two_factor_enabled,
    last_sign_in_at = excluded.last_sign_in_at,
    last_active_at = excluded.last_active_at,
    legal_accepted_at = excluded.legal_accepted_at,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    synced_at = now()
  -- A row that would not change is not written, so that no trigger fires for nothing.
  where (
    kept.external_id, kept.username, kept.first_name, kept.last_name, kept.locale,
    kept.image_url, kept.has_image, kept.email, kept.email_verified, kept.verified_emails,
    kept.phone, kept.phone_verified, kept.public_metadata, kept.unsafe_metadata, kept.banned,
    kept.locked, kept.deprovisioned, kept.two_factor_enabled, kept.last_sign_in_at,
    kept.last_active_at, kept.legal_accepted_at, kept.created_at, kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.external_id, excluded.username, excluded.first_name, excluded.last_name,
    excluded.locale, excluded.image_url, excluded.has_image, excluded.email,
    excluded.email_verified, excluded.verified_emails, excluded.phone, excluded.phone_verified,
    excluded.public_metadata, excluded.unsafe_metadata, excluded.banned, excluded.locked,
    excluded.deprovisioned, excluded.two_factor_enabled, excluded.last_sign_in_at,
    excluded.last_active_at, excluded.legal_accepted_at, excluded.created_at, excluded.updated_at,
    excluded.deleted_at
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_roles (
  objects    jsonb[],
  deleted_at timestamp with time zone DEFAULT NULL::timestamp WITH time zone
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  insert into public.organization_roles as kept (
    id, key, name, description, permission_ids, permission_keys, created_at, updated_at, deleted_at
  )
  select
    read.id, read.key, read.name, read.description, read.permission_ids, read.permission_keys,
    read.created_at, read.updated_at, upsert_roles.deleted_at
  from unnest(objects) as object
  cross join lateral clerk_sync.role_from_clerk(object) as read
  on conflict (id) do update set
    key = excluded.key,
    name = excluded.name,
    description = excluded.description,
    permission_ids = excluded.permission_ids,
    permission_keys = excluded.permission_keys,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    synced_at = now()
  where (
    kept.key, kept.name, kept.description, kept.permission_ids, kept.permission_keys,
    kept.created_at, kept.updated_at, kept.deleted_at
  ) is distinct from (
    excluded.key, excluded.name, excluded.description, excluded.permission_ids,
    excluded.permission_keys, excluded.created_at, excluded.updated_at, excluded.deleted_at
  );
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.upsert_subscription_items (
  objects          jsonb[],
  user_ids         text[],
  organization_ids text[]
)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.user_ids_in (
  payload jsonb
)
  RETURNS text[]
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  piece text;
  run text;
  id text;
  ids text[] := '{}';
begin
  -- The text after each user_, up to the next one or to the blank at the end.
  foreach piece in array (string_to_array(coalesce(payload::text, '') || ' ', 'user_'))[2:] loop
    piece := left(piece, 28);
    run := substring(piece from '^[A-Za-z0-9]+');

    -- A real id has 27 letters and digits. The text before it does not matter.
    if length(run) = 27 and substr(piece, 28) not in ('', '_') and 'user_' || run is distinct from id then
      id := 'user_' || run;
      ids := ids || id;
    end if;
  end loop;

  return ids;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.verdict_on (
  kind       text,
  id         text,
  current    jsonb,
  registered clerk_sync.objects,
  announced  jsonb
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  deletion record;
  making record;
  added jsonb;
  parents text[];
begin
  if registered.deleted_at is not null then
    select message_id, type into deletion
    from clerk_sync.inbox
    where object_id = verdict_on.id
      and type like '%.deleted'
      and outcome = 'applied'
    order by received_at desc
    limit 1;

    return format(
      'Deleted at %s by %s%s. %s',
      clerk_sync.in_words(registered.deleted_at),
      coalesce(deletion.message_id, 'a message that the inbox no longer has'),
      case deletion.type when 'reconcile.deleted' then ', because Clerk''s API no longer had it' else '' end,
      case
        when current is null then 'There is no row.'
        else 'The row is a tombstone: the id and the time, and what your application added.'
      end);
  end if;

  if registered.version > 0 then
    select message_id, subjects, payload into making
    from clerk_sync.inbox
    where message_id = registered.message_id;

    if current is not null then
      return case
        when current ->> 'status' = 'expired' and making.payload #>> '{data,status}' = 'pending' then format(
          '%s made the row what it is; it expired since, of which Clerk sends no event.', making.message_id)
        when registered.message_id = '' then format(
          'The snapshot of %s from Clerk''s API made the row what it is.',
          clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)))
        when making.message_id is null then format(
          '%s made the row what it is; the inbox no longer has it.', registered.message_id)
        else format('%s made the row what it is.', registered.message_id)
      end
      || case
        when jsonb_typeof(making.payload -> 'data') = 'object' then ''
        -- There is nothing to compare the row with.
        else ' Whether anything has changed it since is not known: run reconcile --dry-run, which compares it with Clerk.'
      end;
    end if;

    parents := clerk_sync.deleted_among(array_remove(
      making.subjects
        || (making.payload #>> '{data,organization,id}')
        || (making.payload #>> '{data,organization_id}'),
      null));
    return case
      when kind in ('membership', 'invitation') and parents <> '{}' then format(
        'There is no row: it was deleted with %s.', array_to_string(parents, ' and '))
      else 'There is no row, although no deletion is registered: something else than the sync deleted it.'
    end;
  end if;

  if current is null then
    return format('There is no row: no event of this %s was applied.', kind);
  end if;

  select announcement into added
  from jsonb_array_elements(announced) as announcement
  where announcement ->> 'topic' like '%.created'
  limit 1;

  return format(
    'The row has no data: no event of this %s was applied. %s',
    kind,
    case
      when added ->> 'via' = 'ensure_profile' then 'public.ensure_profile() added it for a signed-in browser.'
      when added ->> 'caused_by' is not null then format('%s added it, because it names the id.', added ->> 'caused_by')
      when added ->> 'via' = 'snapshot' then 'A snapshot of another object that names the id added it.'
      else 'Nothing tells any more what added it.'
    end);
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.version()
  RETURNS text
  LANGUAGE sql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
RETURN ((obj_description((to_regnamespace('clerk_sync'::text))::oid, 'pg_namespace'::name))::jsonb ->> 'version'::text);

CREATE OR REPLACE FUNCTION clerk_sync.whole_row (
  kind text,
  id   text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case kind
    when 'user' then (select to_jsonb(kept) from public.profiles as kept where kept.id = whole_row.id)
    when 'organization' then (select to_jsonb(kept) from public.organizations as kept where kept.id = whole_row.id)
    when 'membership' then (
      select to_jsonb(kept) from public.organization_memberships as kept where kept.id = whole_row.id)
    when 'invitation' then (
      select to_jsonb(kept) from public.organization_invitations as kept where kept.id = whole_row.id)
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.why (
  event clerk_sync.told_event
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  registered constant clerk_sync.objects := event.registered;
begin
  if event.outcome = 'stale' then
    return clerk_sync.why_stale(event);
  elsif event.outcome <> 'applied' then
    return clerk_sync.why_not_applied(event);
  end if;

  return case
    when event.deletes and event.type = 'reconcile.deleted' then
      format('Clerk''s API no longer had the %s, so reconcile deleted it.', event.kind)
    when event.deletes and event.kind = 'user' then 'It deleted the user and erased the personal data.'
    when event.deletes then format('It deleted the %s.', event.kind)
    when event.next_deletes then format('%s deleted the %s later.', event.next_id, event.kind)
    when event.next_id is not null then format('%s replaced it later.', event.next_id)
    when registered.deleted_at is not null then format('The %s was deleted later.', event.kind)
    when registered.message_id = event.message_id then 'It is the newest.'
    when registered.message_id = '' then format(
      'The snapshot of %s from Clerk''s API replaced it later.',
      clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)))
    else format('%s replaced it later.', registered.message_id)
  end;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.why_not_applied (
  event clerk_sync.told_event
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own_instance text;
begin
  case event.outcome
    when 'failed' then
      return case
        when event.error ->> 'sqlstate' ~ '^(40|53|57)' or event.error ->> 'sqlstate' = '55P03' then
          format('The database could not apply it in time: SQLSTATE %s.', event.error ->> 'sqlstate')
        else format(
          'A trigger or a constraint refused it: SQLSTATE %s%s.',
          event.error ->> 'sqlstate',
          coalesce(': ' || rtrim(event.error ->> 'message', '.'), ''))
      end || ' It can be tried again.';
    when 'unreadable' then
      return coalesce(
        'It does not have a shape that this version knows: ' || (
          select string_agg(format('%s: %s', coalesce(nullif(issue ->> 'path', ''), 'body'), issue ->> 'code'), ', ')
          from jsonb_array_elements(event.error -> 'issues') as issue
        ),
        'It does not have a shape that this version knows') || '. It can be tried again.';
    when 'ignored' then
      select instance_id into own_instance from clerk_sync.settings;

      return case
        when event.instance_id <> own_instance then format(
          'It is of Clerk instance %s, and clerk_sync.settings.instance_id accepts only %s.',
          event.instance_id, own_instance)
        else format('Events of type %s change no table.', coalesce(event.type, 'null'))
      end;
    else
      return event.outcome;
  end case;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.why_stale (
  event clerk_sync.told_event
)
  RETURNS text
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  registered constant clerk_sync.objects := event.registered;
  parents constant text[] := clerk_sync.deleted_among(event.parents);
begin
  if event.is_tie and not event.next_deletes then
    return format('As old as %s, which has the greater message id and wins.', event.next_id);
  elsif event.next_id is not null and not event.next_deletes then
    return format('Older than %s, which came first.', event.next_id);
  elsif registered.deleted_at is not null then
    return format('%s is deleted, which is final.', event.id);
  elsif event.kind in ('membership', 'invitation') and parents <> '{}' then
    return format('%s is deleted, which is final.', array_to_string(parents, ' and '));
  elsif registered.version > 0 and registered.message_id = '' then
    return format(
      'Older than the snapshot of %s from Clerk''s API, which came first.',
      clerk_sync.in_words(to_timestamp(registered.observed_at / 1000.0)));
  elsif registered.message_id not in ('', event.message_id) then
    return format('Older than %s, which came first.', registered.message_id);
  end if;

  return 'Something newer came first; nothing tells any more what it was.';
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.with_kept (
  kind text,
  data jsonb,
  kept jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  filled jsonb := data;
begin
  if kept is null then
    return data;
  end if;

  if kind = 'user' then
    if not data ? 'email_addresses' then
      filled := filled || jsonb_build_object(
        'email_addresses', (
          select coalesce(jsonb_agg(jsonb_build_object(
            'id', address,
            'email_address', address,
            'verification', jsonb_build_object('status', case when is_verified then 'verified' end)
          )), '[]')
          from (
            select address, true
            from jsonb_array_elements_text(kept -> 'verified_emails') as address
            union
            select kept ->> 'email', (kept -> 'email_verified')::boolean
            where kept ->> 'email' is not null
          ) as known (address, is_verified)
        ),
        'primary_email_address_id', kept -> 'email'
      );
    elsif not data ? 'primary_email_address_id' then
      filled := filled || jsonb_build_object('primary_email_address_id', jsonb_path_query_first(
        data, '$.email_addresses[*] ? (@.email_address == $email).id', jsonb_build_object('email', kept -> 'email')));
    end if;

    if not data ? 'phone_numbers' then
      filled := filled || jsonb_build_object(
        'phone_numbers', jsonb_build_array(jsonb_build_object(
          'id', kept -> 'phone',
          'phone_number', kept -> 'phone',
          'verification', jsonb_build_object(
            'status', case when (kept -> 'phone_verified')::boolean then 'verified' end)
        )),
        'primary_phone_number_id', kept -> 'phone'
      );
    elsif not data ? 'primary_phone_number_id' then
      filled := filled || jsonb_build_object('primary_phone_number_id', jsonb_path_query_first(
        data, '$.phone_numbers[*] ? (@.phone_number == $phone).id', jsonb_build_object('phone', kept -> 'phone')));
    end if;
  end if;

  -- All other columns have the name of their property, and the mapping reads our times, too.
  return kept || filled;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.without_person (
  value  jsonb,
  person text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  result text := value::text;
  about jsonb;
begin
  -- A part of a jsonb is written exactly as within the whole, and a text cannot look like one, because
  -- its quotes are escaped. So replacing texts needs no walk through the levels.
  for about in
    select jsonb_path_query(
      value,
      'strict $.** ? (@.id == $person || @.user_id == $person || @.public_user_data.user_id == $person)',
      jsonb_build_object('person', person)
    )
  loop
    result := replace(result, about::text, jsonb_strip_nulls(jsonb_build_object(
      'id', substring(about ->> 'id' from '^[a-z_]+_[A-Za-z0-9]+$'),
      'user_id', substring(about ->> 'user_id' from '^[a-z_]+_[A-Za-z0-9]+$')
    ))::text);
  end loop;

  return result::jsonb;
exception
  -- Nested too deep to search.
  when statement_too_complex then
    return null;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.without_stale_address (
  payload jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if jsonb_typeof(payload -> 'data') = 'object' and (
    payload #>> '{data,status}' is distinct from 'pending'
    or clerk_sync.to_time(payload #> '{data,expires_at}') <= now()
    or exists (
      select
      from public.organization_invitations
      where id = payload #>> '{data,id}'
        and status <> 'pending'
    )
    or clerk_sync.is_deleted(payload #>> '{data,organization_id}')
  ) then
    return payload #- '{data,email_address}' #- '{data,url}';
  end if;

  return payload;
end
$function$;

CREATE OR REPLACE FUNCTION clerk_sync.without_unnamed_member (
  message jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  IMMUTABLE
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return case
    when message ->> 'type' ^@ 'organizationMembership.'
      and jsonb_typeof(message -> 'data') = 'object'
      and not clerk_sync.is_id(message #>> '{data,public_user_data,user_id}', 'user')
    then message #- '{data,public_user_data}' #- '{data,public_metadata}' #- '{data,private_metadata}'
    else message
  end;
end
$function$;

CREATE OR REPLACE FUNCTION public.begin_clerk_run (
  kind          text,
  options       jsonb,
  instance_id   text    DEFAULT NULL::text,
  restart       boolean DEFAULT false,
  lease_seconds integer DEFAULT 90
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own_instance text;
  busy clerk_sync.runs;
  run clerk_sync.runs;
begin
  -- One after the other, so that two that begin at once see each other.
  lock table clerk_sync.runs in share row exclusive mode;

  select settings.instance_id into own_instance from clerk_sync.settings;
  if own_instance <> begin_clerk_run.instance_id then
    return jsonb_build_object('foreign', own_instance);
  end if;
  -- Only by a backfill: what is here already may be of another instance, and must not be deleted as surplus.
  if own_instance is null
    and begin_clerk_run.instance_id is not null
    and kind = 'backfill'
    and not coalesce((options ->> 'dry_run')::boolean, false)
  then
    update clerk_sync.settings set instance_id = begin_clerk_run.instance_id;
    own_instance := begin_clerk_run.instance_id;
  end if;

  select * into busy
  from clerk_sync.runs
  where finished_at is null
    and leased_until > clock_timestamp()
  limit 1;
  if found then
    return jsonb_build_object('busy', jsonb_build_object(
      'kind', busy.kind,
      'leased_until', (1000 * extract(epoch from busy.leased_until))::bigint));
  end if;

  if restart then
    with abandoned as (
      update clerk_sync.runs
      set
        finished_at = now(),
        state = state || '{"abandoned": true}',
        fence = fence + 1
      where runs.kind = begin_clerk_run.kind
        and clerk_sync.is_scheduled(runs.options) = clerk_sync.is_scheduled(begin_clerk_run.options)
        and finished_at is null
      returning id
    )
    delete from clerk_sync.seen_objects
    using abandoned
    where seen_objects.run_id = abandoned.id;
  end if;

  update clerk_sync.runs
  set
    fence = fence + 1,
    leased_until = clock_timestamp() + make_interval(secs => lease_seconds)
  where id = (
    select max(id)
    from clerk_sync.runs
    where runs.kind = begin_clerk_run.kind
      and clerk_sync.is_scheduled(runs.options) = clerk_sync.is_scheduled(begin_clerk_run.options)
      and finished_at is null
  )
  returning * into run;

  if not found then
    insert into clerk_sync.runs (kind, options, leased_until)
    values (
      begin_clerk_run.kind,
      coalesce(begin_clerk_run.options, '{}'),
      clock_timestamp() + make_interval(secs => lease_seconds)
    )
    returning * into run;
  end if;

  return jsonb_build_object('run', jsonb_build_object(
    'id', run.id,
    'fence', run.fence,
    'state', run.state,
    'options', run.options,
    'instance_id', own_instance,
    'began_at', trunc(1000 * extract(epoch from run.began_at))::bigint,
    'polled_at', (
      select trunc(1000 * extract(epoch from max(began_at)))::bigint
      from clerk_sync.runs
      where runs.kind = 'poll'
        and finished_at is not null
    )));
end
$function$;

REVOKE ALL ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.claim_welcome_mail (
  user_id       text,
  claim         uuid,
  lease_seconds integer,
  per_hour      integer DEFAULT 30,
  caused_by     text    DEFAULT NULL::text
)
  RETURNS text
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  kept record;
begin
  -- Waits for a deletion that is under way.
  perform from clerk_sync.objects where id = claim_welcome_mail.user_id for share;

  if clerk_sync.is_deleted(claim_welcome_mail.user_id)
    -- Clerk sends user.created at once: whoever was made before it was imported.
    or exists (
      select
      from clerk_sync.inbox
      join public.profiles on profiles.id = claim_welcome_mail.user_id
      where message_id = claim_welcome_mail.caused_by
        and type = 'user.created'
        and occurred_at > profiles.created_at + interval '10 minutes'
    )
  then
    return 'unwanted';
  end if;

  -- One claim at a time, so that the count is right.
  lock table clerk_sync.welcome_mails in share row exclusive mode;

  select * into kept
  from clerk_sync.welcome_mails
  where welcome_mails.user_id = claim_welcome_mail.user_id;

  if kept.sent_at is not null then
    return 'sent';
  elsif kept.skipped_at is not null then
    return 'over';
  elsif kept.claim <> claim_welcome_mail.claim
    and kept.claimed_at >= now() - make_interval(secs => lease_seconds)
  then
    return 'busy';
  end if;

  insert into clerk_sync.welcome_mails (user_id, claim, skipped_at)
  select
    claim_welcome_mail.user_id,
    claim_welcome_mail.claim,
    case when count(*) >= per_hour then now() end
  from clerk_sync.welcome_mails
  where claimed_at > now() - interval '1 hour'
    and skipped_at is null
    and welcome_mails.user_id <> claim_welcome_mail.user_id
  on conflict on constraint welcome_mails_pkey do update set
    claim = excluded.claim,
    claimed_at = now(),
    skipped_at = excluded.skipped_at
  returning * into kept;

  return case when kept.skipped_at is null then 'claimed' else 'over' end;
end
$function$;

REVOKE ALL ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.clerk_changes_status()
  RETURNS jsonb
  LANGUAGE sql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
  with changes as (
    select
      enqueued_at,
      case
        when vt <= clock_timestamp() then 'waiting'
        when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
        else 'in_flight'
      end as state,
      message #>> '{retry,handler}' as handler,
      message #>> '{retry,error_class}' as error_class
    from pgmq.q_clerk_changes
  ),
  failures as (
    select handler, error_class, count(*) as changes
    from changes
    where state = 'retrying'
    group by handler, error_class
  )
  select jsonb_build_object(
    'waiting', count(*) filter (where state = 'waiting'),
    'in_flight', count(*) filter (where state = 'in_flight'),
    'retrying', count(*) filter (where state = 'retrying'),
    'failures', (
      select coalesce(
        jsonb_agg(to_jsonb(failures) order by changes desc, handler, error_class), '[]')
      from failures
    ),
    'oldest_seconds', extract(epoch from clock_timestamp() - min(enqueued_at))::bigint,
    'dead', (select count(*) from pgmq.q_clerk_changes_dead)
  )
  from changes
$function$;

REVOKE ALL ON FUNCTION "public"."clerk_changes_status"() FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.clerk_sync_activity (
  minutes integer DEFAULT 60
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  -- So that a flood of events does not make it slow.
  most constant integer := 100000;
  beginning constant timestamptz := now() - make_interval(mins => least(greatest(minutes, 1), 1440));
begin
  return (
    with recent as materialized (
      select outcome, date_trunc('minute', received_at) as at, received_at - occurred_at as took
      from clerk_sync.inbox
      where received_at >= beginning
      order by received_at desc
      limit most
    ),
    counted as (
      select
        at,
        jsonb_build_object(
          'at', at,
          'applied', count(*) filter (where outcome = 'applied'),
          'stale', count(*) filter (where outcome = 'stale'),
          'ignored', count(*) filter (where outcome = 'ignored'),
          'failed', count(*) filter (where outcome = 'failed'),
          'unreadable', count(*) filter (where outcome = 'unreadable'),
          'discarded', count(*) filter (where outcome = 'discarded')
        ) as counts
      from recent
      group by at
    ),
    timed as (
      select
        at,
        percentile_cont(array[0.5, 0.95]) within group (order by greatest(extract(epoch from took), 0)) as seconds
      from recent
      where outcome = 'applied'
        and took <= interval '1 day'
      group by at
    )
    select jsonb_build_object(
      'from', beginning,
      'is_whole', (select count(*) < most from recent),
      'minutes', (select coalesce(jsonb_agg(counts order by at), '[]') from counted),
      'latency', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'at', at,
          'median_ms', round((1000 * seconds[1])::numeric),
          'p95_ms', round((1000 * seconds[2])::numeric)) order by at), '[]')
        from timed
      ))
  );
end
$function$;

REVOKE ALL ON FUNCTION "public"."clerk_sync_activity"(integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.clerk_sync_status (
  clerk_counts jsonb DEFAULT NULL::jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  events constant jsonb := clerk_sync.event_status();
  queue constant jsonb := public.clerk_changes_status();
  runs constant jsonb := clerk_sync.run_status();
  counts constant jsonb := clerk_sync.row_status(clerk_counts);
  breaches constant jsonb := (
    select coalesce(jsonb_agg(breach), '[]') from clerk_sync.breaches(events, queue, runs, counts) as breach
  );
begin
  return jsonb_build_object(
    'is_healthy', breaches = '[]',
    'verdict', case jsonb_array_length(breaches)
      when 0 then 'All is well: ' || coalesce(
        'the last event arrived ' || clerk_sync.in_words((events ->> 'last_seconds')::numeric) || ' ago.',
        'no event has arrived yet.')
      when 1 then breaches #>> '{0,sentence}'
      else format('%s And %s more.', breaches #>> '{0,sentence}', jsonb_array_length(breaches) - 1)
    end,
    'breaches', breaches,
    'events', events,
    'queue', queue,
    'runs', runs,
    'rows', counts,
    'version', clerk_sync.version(),
    'installation', obj_description(to_regnamespace('clerk_sync'), 'pg_namespace')::jsonb ->> 'status',
    'bytes', (
      select jsonb_object_agg(name, pg_total_relation_size(relation))
      from (
        values
          ('inbox', 'clerk_sync.inbox'),
          ('register', 'clerk_sync.objects'),
          ('profiles', 'public.profiles'),
          ('organizations', 'public.organizations'),
          ('memberships', 'public.organization_memberships'),
          ('queue', 'pgmq.q_clerk_changes'),
          ('archive', 'pgmq.a_clerk_changes')
      ) as sized (name, relation)
    ));
end
$function$;

REVOKE ALL ON FUNCTION "public"."clerk_sync_status"(jsonb) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.delete_clerk_surplus (
  run_id bigint,
  fence  bigint,
  kind   text,
  ids    text[]
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  gone record;
  message_id text;
  message jsonb;
  reading clerk_sync.reading;
  result jsonb;
  deleted integer := 0;
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return '{"deleted": null}';
  end if;

  perform set_config('clerk_sync.via', 'snapshot', true);

  for gone in
    -- Only what is surplus still, by this run's own list.
    select *
    from clerk_sync.surplus_of(delete_clerk_surplus.run_id, delete_clerk_surplus.kind)
    where id = any (ids)
    order by id collate "C"
  loop
    message_id := format('reconcile_%s_%s', run_id, gone.id);
    message := jsonb_build_object(
      'type', case kind when 'membership' then 'organizationMembership' else kind end || '.deleted',
      'timestamp', (1000 * extract(epoch from now()))::bigint,
      'data', jsonb_strip_nulls(jsonb_build_object(
        'id', gone.id,
        'organization', case when gone.organization_id is not null then jsonb_build_object('id', gone.organization_id) end,
        'public_user_data', case when gone.user_id is not null then jsonb_build_object('user_id', gone.user_id) end
      ))
    );
    -- From here on as an event of Clerk's, but that what is refused is raised.
    reading := clerk_sync.read_event(message, null, null);
    perform clerk_sync.lock_objects(
      reading.own_id, reading.deletes, reading.organization_id, reading.people, reading.subjects,
      case kind when 'membership' then reading.user_id end);
    perform set_config('clerk_sync.caused_by', message_id, true);
    result := clerk_sync.apply_event(message_id, reading, message -> 'data');

    reading.type := 'reconcile.deleted';
    reading.payload := jsonb_build_object(
      'type', 'reconcile.deleted', 'run_id', run_id, 'data', jsonb_build_object('id', gone.id));
    perform clerk_sync.keep_in_inbox(message_id, reading, result);
    deleted := deleted + ((result ->> 'outcome') = 'applied')::integer;
  end loop;

  set constraints all immediate;
  return jsonb_build_object('deleted', deleted);
end
$function$;

REVOKE ALL ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.discard_clerk_messages (
  message_ids text[]
)
  RETURNS text[]
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  discarded text[];
begin
  -- Locked in the order in which an erasure locks them.
  with waiting as (
    select message_id
    from clerk_sync.inbox
    where message_id = any (message_ids)
      and outcome in ('failed', 'unreadable')
    order by message_id
    for no key update
  ),
  settled as (
    update clerk_sync.inbox
    set
      outcome = 'discarded',
      payload = null
    from waiting
    where inbox.message_id = waiting.message_id
    returning inbox.message_id
  )
  select coalesce(array_agg(message_id order by message_id), '{}') into discarded
  from settled;

  return discarded;
end
$function$;

REVOKE ALL ON FUNCTION "public"."discard_clerk_messages"(text[]) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.due_clerk_run()
  RETURNS text
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  last_mark constant timestamptz := date_bin('10 minutes', now(), timestamptz '2000-01-01 00:00:00+00');
  last_night timestamptz;
  reconciled timestamptz;
  is_poll_due boolean;
  is_poll_stuck boolean;
begin
  if exists (
    select from clerk_sync.runs
    where finished_at is null
      and leased_until > clock_timestamp()
  ) then
    return null;
  end if;

  select
    coalesce(bool_or(finished_at is null) or max(began_at) < last_mark, true),
    coalesce(bool_or(finished_at is null and began_at < now() - interval '1 hour'), false)
  into is_poll_due, is_poll_stuck
  from clerk_sync.runs
  where kind = 'poll'
    and clerk_sync.is_scheduled(options);

  -- A poll comes first: it is short, and a full run may take hours. One that fails for an hour has to wait.
  if is_poll_due and not is_poll_stuck then
    return 'poll';
  end if;

  if exists (
    select from clerk_sync.runs
    where kind = 'reconcile'
      and clerk_sync.is_scheduled(options)
      and finished_at is null
  ) then
    return 'reconcile';
  end if;

  select (date_trunc('day', now() at time zone 'UTC') + reconcile_at) at time zone 'UTC' into last_night
  from clerk_sync.settings;
  if last_night > now() then
    last_night := last_night - interval '1 day';
  end if;
  -- The first one waits for its time, too.
  select coalesce(max(began_at) filter (where kind = 'reconcile' and clerk_sync.is_scheduled(options)), min(began_at))
  into reconciled
  from clerk_sync.runs;

  if reconciled < last_night then
    return 'reconcile';
  end if;

  return case when is_poll_due then 'poll' end;
end
$function$;

REVOKE ALL ON FUNCTION "public"."due_clerk_run"() FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.ensure_profile()
  RETURNS SETOF public.profiles
  LANGUAGE plpgsql
  ROWS 1
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  perform clerk.make_my_profile();

  return query
  select *
  from public.profiles
  where id = (select clerk.user_id());
end
$function$;

REVOKE ALL ON FUNCTION "public"."ensure_profile"() FROM PUBLIC, "anon", "service_role";

CREATE OR REPLACE FUNCTION public.explain_clerk_object (
  id_or_address text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  asked constant text := btrim(id_or_address, E' \t\r\n');
  ids text[] := array[asked];
  found jsonb;
begin
  if strpos(asked, '@') > 0 then
    ids := array(
      (select id from public.profiles where lower(email collate "C") = lower(asked collate "C") order by id limit 20)
      union all
      (
        select id
        from public.organization_invitations
        where status = 'pending'
          and lower(email_address collate "C") = lower(asked collate "C")
        order by id
        limit 20
      )
    );
  end if;

  select coalesce(jsonb_agg(object order by place), '[]') into found
  from unnest(ids) with ordinality as named (id, place)
  cross join lateral clerk_sync.explained(named.id) as object
  where object is not null;

  return jsonb_build_object('asked', asked, 'objects', found);
end
$function$;

REVOKE ALL ON FUNCTION "public"."explain_clerk_object"(text) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.find_clerk_objects (
  name_part text,
  max_rows  integer DEFAULT 20
)
  RETURNS text[]
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  part constant text := lower(btrim(name_part, E' \t\r\n'));
begin
  return array(
    select id
    from (
      select id, 1 as place, full_name as name
      from public.profiles
      where deleted_at is null
        and (strpos(lower(full_name), part) > 0 or strpos(lower(username), part) > 0)
      union all
      select id, 2, organizations.name
      from public.organizations
      where deleted_at is null
        and (strpos(lower(organizations.name), part) > 0 or strpos(lower(slug), part) > 0)
    ) as found
    where part <> ''
    order by place, name collate "C", id collate "C"
    limit least(greatest(max_rows, 1), 100)
  );
end
$function$;

REVOKE ALL ON FUNCTION "public"."find_clerk_objects"(text, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.ingest_clerk_event (
  message_id  text,
  event       jsonb,
  dropped     text[]  DEFAULT '{}'::text[],
  as_type     text    DEFAULT NULL::text,
  is_delivery boolean DEFAULT true
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  own_instance text;
  is_known boolean;
  reading clerk_sync.reading;
  cause text;
  result jsonb;
  state text;
  reason text;
begin
  select
    instance_id,
    is_delivery and exists (select from clerk_sync.inbox where inbox.message_id = ingest_clerk_event.message_id)
  into own_instance, is_known
  from clerk_sync.settings;

  if is_known and clerk_sync.count_redelivery(message_id) then
    return '{"outcome": "duplicate"}';
  end if;

  if jsonb_typeof(event) = 'string' or dropped <> '{}' then
    event := clerk_sync.event_from(event, dropped);
  end if;
  reading := clerk_sync.read_event(event, own_instance, as_type);

  -- Before the savepoint below, so that the locks outlive an apply that fails.
  perform clerk_sync.lock_objects(
    reading.own_id, reading.deletes, reading.organization_id, reading.people, reading.subjects,
    case reading.kind when 'membership' then reading.user_id end);

  if reading.issues is not null then
    result := jsonb_build_object('outcome', 'unreadable', 'issues', reading.issues);
  elsif reading.kind is null then
    result := '{"outcome": "ignored"}';
  else
    -- For the triggers. Assigned, which is quicker than a statement.
    cause := set_config('clerk_sync.caused_by', message_id, true);
    cause := set_config('clerk_sync.via', 'webhook', true);

    begin
      result := clerk_sync.apply_event(message_id, reading, event -> 'data');

      -- Deferred constraints and constraint triggers of the application fail here, inside the
      -- savepoint, and not at commit, where the outcome could not be recorded any more. Also for a
      -- stale event: it may have added the rows of its parents.
      set constraints all immediate;
    exception
      -- others leaves assert_failure out; a failed assert in an application's trigger counts, too.
      when assert_failure or others then
        get stacked diagnostics
          state = returned_sqlstate,
          reason = message_text;

        -- The fault is the database's and not the event's: nothing to record, try again later.
        if state ~ '^(40|53|57)' or state = '55P03' then
          raise;
        end if;

        result := jsonb_build_object('outcome', 'failed', 'sqlstate', state, 'message', reason)
          || jsonb_strip_nulls(jsonb_build_object('as_type', as_type));
    end;
  end if;

  return clerk_sync.keep_in_inbox(message_id, reading, result, is_delivery);
end
$function$;

REVOKE ALL ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.ingest_clerk_snapshot (
  kind        text,
  observed_at bigint,
  objects     jsonb,
  dry_run     boolean DEFAULT false,
  quiet       boolean DEFAULT false
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  page clerk_sync.observation[];
  unreadable jsonb;
  counts jsonb;
begin
  if kind is null or kind not in ('user', 'organization', 'membership', 'invitation', 'role', 'permission') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('Cannot take the page as its kind is unknown: %s', coalesce(kind, 'null'));
  end if;
  if observed_at is null or observed_at > 1000 * extract(epoch from clock_timestamp() + interval '1 minute') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format(
        'Cannot take the page as it was observed in the future: %s ms since the epoch', coalesce(observed_at::text, 'null')),
      hint = 'Check the clocks of the database and of whoever gave the time. It should be the Date of Clerk''s response.';
  end if;
  if jsonb_typeof(objects) = 'string' then
    objects := (objects #>> '{}')::jsonb;
  end if;
  if jsonb_typeof(objects) is distinct from 'array' or jsonb_array_length(objects) > 500 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = 'Cannot take the page as it is no array of at most 500 objects';
  end if;

  with observed as (
    select clerk_sync.observe(ingest_clerk_snapshot.kind, object, ingest_clerk_snapshot.observed_at) as one
    from jsonb_array_elements(objects) as object
  ),
  -- A row can move from page to page while Clerk lists them, and within a page, too.
  newest as (
    select distinct on ((one).id collate "C") one
    from observed
    where (one).version is not null
    order by (one).id collate "C", (one).version desc
  )
  select
    coalesce((select array_agg(one) from newest), '{}'),
    (select coalesce(jsonb_agg((one).id), '[]') from observed where (one).version is null)
  into page, unreadable;

  perform
    set_config('clerk_sync.caused_by', '', true),
    set_config('clerk_sync.via', 'snapshot', true),
    set_config('clerk_sync.quiet', case when quiet then 'on' else '' end, true);

  begin
    if kind in ('role', 'permission') then
      counts := clerk_sync.apply_page_of_roles(kind, page, observed_at);
    else
      counts := clerk_sync.apply_page(kind, page, observed_at);
    end if;

    -- Deferred constraints of the application refuse here, and not at commit.
    set constraints all immediate;

    if dry_run then
      raise exception using errcode = 'CS001';
    end if;
  exception
    when sqlstate 'CS001' then null;
  end;

  return counts || jsonb_build_object('unreadable', unreadable || (counts -> 'unreadable'));
end
$function$;

REVOKE ALL ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.inspect_clerk_sync()
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  vault_names jsonb;
  jobs jsonb;
  migrations jsonb;
begin
  -- Dynamic, because none of these need exist.
  if to_regclass('vault.decrypted_secrets') is not null then
    execute $sql$
      select coalesce(jsonb_agg(name order by name), '[]')
      from vault.decrypted_secrets
      where name in ('clerk_worker_url', 'clerk_worker_secret')
    $sql$ into vault_names;
  end if;

  if to_regclass('cron.job') is not null and to_regclass('cron.job_run_details') is not null then
    execute $sql$
      with recent as materialized (
        select jobid, status, coalesce(end_time, start_time) as at, runid
        from cron.job_run_details
        -- By the primary key, because nobody need prune this table.
        where runid > (select max(runid) from cron.job_run_details) - 20000
      )
      select coalesce(jsonb_object_agg(jobname, jsonb_build_object(
        'active', active,
        'last_status', (select status from recent where recent.jobid = job.jobid order by runid desc limit 1),
        'last_seconds', (
          select clerk_sync.seconds_since(at) from recent where recent.jobid = job.jobid order by runid desc limit 1
        ))), '{}')
      from cron.job
      where jobname ^@ 'clerk-'
        and command ~ '\mclerk_sync\M|\mmaintain_clerk_sync\M'
        and database = current_database()
    $sql$ into jobs;
  end if;

  if to_regclass('supabase_migrations.schema_migrations') is not null then
    execute $sql$
      select coalesce(jsonb_agg(version order by version), '[]') from supabase_migrations.schema_migrations
    $sql$ into migrations;
  end if;

  return jsonb_build_object(
    'now', extract(epoch from clock_timestamp()),
    'version', clerk_sync.version(),
    'installation', obj_description(to_regnamespace('clerk_sync'), 'pg_namespace')::jsonb ->> 'status',
    'profiles', 'public.profiles',
    'objects', clerk_sync.object_facts(),
    'extensions', (
      select jsonb_object_agg(name, installed_version)
      from pg_available_extensions
      where name in ('pgmq', 'pg_cron', 'pg_net', 'supabase_vault')
    ),
    'published', (
      select coalesce(
        jsonb_agg(format('%I.%I', schemaname, tablename) order by tablename) filter (where tablename is not null),
        '[]')
      from pg_publication
      left join pg_publication_tables using (pubname)
      where pubname = 'supabase_realtime'
      group by pubname
    ),
    'uuid_policies', (
      select coalesce(jsonb_agg(distinct format('%I on %s', polname, polrelid::regclass)), '[]')
      from pg_policy
      where concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ~ '\mauth\.uid\('
    ),
    'vault', vault_names,
    'jobs', jobs,
    'migrations', migrations,
    'settings', (select to_jsonb(settings) - 'is_only_row' from clerk_sync.settings),
    'instances', (
      select coalesce(jsonb_object_agg(instance_id, messages), '{}')
      from (
        select instance_id, count(*) as messages
        from (select instance_id from clerk_sync.inbox order by received_at desc limit 1000) as newest
        where instance_id is not null
        group by instance_id
      ) as seen
    ));
end
$function$;

REVOKE ALL ON FUNCTION "public"."inspect_clerk_sync"() FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.keep_clerk_event (
  message_id text,
  event      jsonb,
  sqlstate   text,
  dropped    text[] DEFAULT '{}'::text[],
  as_type    text   DEFAULT NULL::text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  SET lock_timeout TO '2s'
  AS $function$
begin
  return clerk_sync.keep_message(
    message_id, null, event,
    jsonb_build_object('outcome', 'failed', 'sqlstate', sqlstate)
      || jsonb_strip_nulls(jsonb_build_object('as_type', as_type)),
    dropped, as_type);
end
$function$;

REVOKE ALL ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.list_clerk_changes (
  max_rows integer DEFAULT 200
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    with kept as (
      (
        select
          1 as place,
          -msg_id as number,
          clerk_sync.change_id(message, msg_id, enqueued_at) as id,
          'dead' as state,
          message,
          enqueued_at,
          null::timestamptz as next_at,
          read_ct
        from pgmq.q_clerk_changes_dead
        order by msg_id desc
        limit least(greatest(max_rows, 1), 500)
      )
      union all
      select
        case state when 'retrying' then 2 when 'in_flight' then 3 else 4 end,
        msg_id,
        clerk_sync.change_id(message, msg_id, enqueued_at),
        state,
        message,
        enqueued_at,
        case when state <> 'waiting' then vt end,
        read_ct
      from pgmq.q_clerk_changes
      cross join lateral (
        select case
          when vt <= clock_timestamp() then 'waiting'
          when (message #>> '{retry,reads}')::integer = read_ct then 'retrying'
          else 'in_flight'
        end as state
      ) as states
      order by place, number
      limit least(greatest(max_rows, 1), 500)
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', id,
      'state', state,
      'topic', message ->> 'topic',
      'object_id', message ->> 'id',
      'changed', message -> 'changed',
      'caused_by', message ->> 'caused_by',
      'via', message ->> 'via',
      'enqueued_at', enqueued_at,
      'next_at', next_at,
      'reads', read_ct,
      'handler', case state when 'retrying' then message #>> '{retry,handler}' end,
      'error_class', case state
        when 'retrying' then message #>> '{retry,error_class}'
        when 'dead' then message ->> 'error_class'
      end
    ) order by place, number), '[]')
    from kept
  );
end
$function$;

REVOKE ALL ON FUNCTION "public"."list_clerk_changes"(integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.list_clerk_messages (
  outcomes     text[]                   DEFAULT '{failed,unreadable}'::text[],
  type         text                     DEFAULT NULL::text,
  since        timestamp with time zone DEFAULT NULL::timestamp WITH time zone,
  until        timestamp with time zone DEFAULT NULL::timestamp WITH time zone,
  object_id    text                     DEFAULT NULL::text,
  message_id   text                     DEFAULT NULL::text,
  after        jsonb                    DEFAULT NULL::jsonb,
  newest_first boolean                  DEFAULT false,
  max_rows     integer                  DEFAULT 100,
  with_payload boolean                  DEFAULT false,
  id_part      text                     DEFAULT NULL::text
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  listed jsonb;
begin
  -- Planned anew for every call, so that each filter can use its index.
  execute format(
    $query$
      with selection as not materialized (
        select *
        from clerk_sync.inbox
        where ($1 is null or outcome = any ($1))
          and ($2 is null or type = $2)
          and ($3 is null or received_at >= $3)
          and ($4 is null or received_at < $4)
          and (
            $5 is null
            or object_id = $5
            or (cardinality(subjects) = 1 and subjects[1] = $5)
            or (cardinality(subjects) > 1 and subjects @> array[$5])
          )
          and ($6 is null or message_id = $6)
          and ($11 is null or strpos(message_id, $11) > 0 or strpos(object_id, $11) > 0)
      ),
      page as (
        select *
        from selection
        where $7 is null or (received_at, message_id) %1$s ($7, $8)
        order by received_at %2$s, message_id %2$s
        limit $9
      )
      select jsonb_build_object(
        'messages', coalesce(
          jsonb_agg(
            jsonb_build_object(
              'message_id', message_id,
              'type', type,
              'object_id', object_id,
              'occurred_at', occurred_at,
              'received_at', received_at,
              'last_delivered_at', last_delivered_at,
              'deliveries', deliveries,
              'outcome', outcome,
              'error', error,
              'has_payload', payload is not null
            ) || case when $10 then jsonb_build_object('payload', payload::text) else '{}' end
            order by received_at %2$s, message_id %2$s
          ),
          '[]'
        ),
        'total', case when $7 is null then (
          select count(*) from (select from selection limit 10000) as counted
        ) end
      )
      from page
    $query$,
    case when newest_first then '<' else '>' end,
    case when newest_first then 'desc' else 'asc' end
  )
  into listed
  using
    outcomes, type, since, until, object_id, message_id,
    (after ->> 'received_at')::timestamptz, after ->> 'message_id',
    least(greatest(max_rows, 1), 500), with_payload, id_part;

  return listed;
end
$function$;

REVOKE ALL
  ON FUNCTION "public"."list_clerk_messages"(text[], text, timestamp WITH time zone, timestamp WITH time zone, text, text, jsonb, boolean, integer, boolean, text)
  FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.list_clerk_runs (
  max_rows integer DEFAULT 100
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return (
    with newest as (
      select *
      from clerk_sync.runs
      order by id desc
      limit least(greatest(max_rows, 1), 500)
    )
    select jsonb_build_object(
      'runs', coalesce(jsonb_agg(jsonb_build_object(
        'id', id,
        'kind', kind,
        'by', case when clerk_sync.is_scheduled(options) then 'schedule' else 'command' end,
        'started_at', began_at,
        'finished_at', finished_at,
        'leased_until', leased_until,
        'state', case
          when coalesce((state ->> 'abandoned')::boolean, false) then 'abandoned'
          when finished_at is not null then 'finished'
          when leased_until > clock_timestamp() then 'running'
          else 'stopped'
        end,
        'dry_run', coalesce((options ->> 'dry_run')::boolean, false),
        'tallies', coalesce(state -> 'tallies', '{}'),
        'problems', coalesce(jsonb_array_length(state -> 'problems'), 0),
        'halted', state ->> 'halted'
      ) order by id desc), '[]'),
      'surplus', (select count(*) from clerk_sync.surplus_objects))
    from newest
  );
end
$function$;

REVOKE ALL ON FUNCTION "public"."list_clerk_runs"(integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.list_clerk_surplus (
  run_id   bigint,
  kind     text,
  after_id text    DEFAULT ''::text,
  max_rows integer DEFAULT 500
)
  RETURNS jsonb
  LANGUAGE plpgsql
  STABLE
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  living bigint;
  listed jsonb;
begin
  case kind
    when 'user' then select count(*) into living from public.profiles where deleted_at is null;
    when 'organization' then select count(*) into living from public.organizations where deleted_at is null;
    else select count(*) into living from public.organization_memberships;
  end case;

  with surplus as materialized (
    select *
    from clerk_sync.surplus_of(list_clerk_surplus.run_id, list_clerk_surplus.kind)
  ),
  page as (
    select *
    from surplus
    where id collate "C" > coalesce(after_id, '')
    order by id collate "C"
    limit least(greatest(max_rows, 1), 500)
  )
  select jsonb_build_object(
    'living', living,
    'surplus', (select count(*) from surplus),
    'objects', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(page)) order by id collate "C"), '[]') from page)
  )
  into listed;

  return listed;
end
$function$;

REVOKE ALL ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.maintain_clerk_sync (
  dry_run boolean DEFAULT false,
  next    jsonb   DEFAULT NULL::jsonb,
  batch   integer DEFAULT 2000
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  SET lock_timeout TO '2s'
  AS $function$
declare
  parts constant text[] := '{messages,payloads,changes,runs,cron_records,profiles,organizations}';
  part constant text := coalesce(next ->> 'part', parts[1]);
  size constant integer := least(greatest(batch, 1), 10000);
  settings clerk_sync.settings;
  source text;
  key text;
  key_type text := 'bigint';
  since text;
  retention interval;
  condition text := 'true';
  due text[];
  times timestamptz[];
  last integer;
  pruned integer;
  report jsonb;
begin
  select * into settings from clerk_sync.settings;

  case part
    when 'messages' then
      source := 'clerk_sync.inbox';
      key := 'message_id';
      key_type := 'text';
      since := 'received_at';
      retention := settings.row_retention;
      -- What failed waits for a replay, however long.
      condition := $sql$ outcome not in ('failed', 'unreadable') $sql$;

    when 'payloads' then
      source := 'clerk_sync.inbox';
      key := 'message_id';
      key_type := 'text';
      since := 'received_at';
      retention := settings.payload_retention;
      condition := format(
        $sql$ payload is not null and outcome not in ('failed', 'unreadable') and received_at > %L $sql$,
        now() - settings.row_retention);

    when 'changes' then
      source := 'pgmq.a_clerk_changes';
      key := 'msg_id';
      since := 'archived_at';
      retention := settings.archive_retention;

    when 'runs' then
      source := 'clerk_sync.runs';
      key := 'id';
      since := 'finished_at';
      retention := '30 days';
      -- The newest of each sort stays, to tell when it was.
      condition := $sql$ exists (
        select
        from clerk_sync.runs as newer
        where newer.id > runs.id
          and newer.finished_at is not null
          and (newer.kind, newer.options, newer.state ? 'abandoned')
            = (runs.kind, runs.options, runs.state ? 'abandoned')
      ) $sql$;

    when 'cron_records' then
      -- Only where pg_cron exists, and lets this role do it.
      if exists (
        select
        from pg_catalog.pg_class
        where relnamespace = to_regnamespace('cron')
          and relname = 'job_run_details'
          and has_schema_privilege(relnamespace, 'usage')
          and has_table_privilege(oid, 'update')
          and has_table_privilege(oid, 'delete')
      ) then
        source := 'cron.job_run_details';
      end if;
      key := 'runid';
      since := 'coalesce(end_time, start_time)';
      retention := '7 days';
      condition := $sql$ jobid in (select jobid from cron.job where jobname ^@ 'clerk-') $sql$;

    when 'profiles', 'organizations' then
      source := case part when 'profiles' then 'public.profiles' else 'public.organizations' end;
      key := 'id';
      since := 'deleted_at';
      retention := settings.purge_after;
  end case;

  -- Read first and locked later, so that a dry run comes to the same rows without writing.
  if source is not null and retention is not null then
    execute format(
      $sql$
        select array_agg(%1$s::text order by %2$s, %1$s), array_agg(%2$s order by %2$s, %1$s)
        from (
          select *
          from %3$s
          where %2$s < $1
            and %4$s
            and %5$s
          order by %2$s, %1$s
          limit $2
        ) as %6$I
      $sql$,
      key, since, source, condition,
      case
        when next ? 'id' then format('(%s, %s) > (%L, %L)', since, key, next ->> 'time', next ->> 'id')
        else 'true'
      end,
      split_part(source, '.', 2))
    into due, times
    using now() - retention, size;
  end if;

  last := coalesce(cardinality(due), 0);
  report := jsonb_build_object('part', part, 'count', last);

  if last > 0 and part in ('profiles', 'organizations') then
    report := report || clerk_sync.purge_tombstones(source, due, coalesce(dry_run, false));
    last := array_position(due, report ->> 'last');
    report := report || jsonb_build_object('count', jsonb_array_length(report -> 'ids'));
  elsif last > 0 and not coalesce(dry_run, false) then
    -- Whatever somebody else is working on is left to the next night.
    execute format(
      case part when 'payloads' then 'update %1$s set payload = null' else 'delete from %1$s' end
      || ' where %2$s in (select %2$s from %1$s where %2$s = any ($1::%4$s[]) and %3$s for update skip locked)',
      source, key, condition, key_type)
    using due;
    get diagnostics pruned = row_count;
    report := report || jsonb_build_object('count', pruned);
  end if;

  return (report - 'last') || case
    when last = size or last < cardinality(due) then
      jsonb_build_object('next', jsonb_build_object('part', part, 'time', times[last], 'id', due[last]))
    when part <> parts[cardinality(parts)] then
      jsonb_build_object('next', jsonb_build_object('part', parts[array_position(parts, part) + 1]))
    else '{}'
  end;
end
$function$;

REVOKE ALL ON FUNCTION "public"."maintain_clerk_sync"(boolean, jsonb, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.note_clerk_seen (
  run_id bigint,
  fence  bigint,
  ids    text[]
)
  RETURNS boolean
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return false;
  end if;

  insert into clerk_sync.seen_objects (run_id, id)
  select distinct
    note_clerk_seen.run_id,
    listed.id
  from unnest(ids) as listed (id)
  where length(listed.id) <= 250
  on conflict on constraint seen_objects_pkey do nothing;

  return true;
end
$function$;

REVOKE ALL ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.note_clerk_surplus (
  run_id bigint,
  fence  bigint,
  kind   text,
  ids    text[]
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return '{"ripe": null}';
  end if;

  insert into clerk_sync.surplus_objects (kind, id, run_id)
  select note_clerk_surplus.kind, gone.id, note_clerk_surplus.run_id
  from unnest(ids) as gone (id)
  on conflict on constraint surplus_objects_pkey do update set run_id = excluded.run_id;

  return jsonb_build_object('ripe', (
    select coalesce(jsonb_agg(surplus.id order by surplus.id), '[]')
    from clerk_sync.surplus_objects as surplus
    where surplus.kind = note_clerk_surplus.kind
      and surplus.id = any (ids)
      and surplus.found_at <= now() - interval '6 hours'
      and (select delete_surplus from clerk_sync.settings)
  ));
end
$function$;

REVOKE ALL ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.read_clerk_changes (
  batch              integer,
  visibility_seconds integer
)
  RETURNS SETOF jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  seconds constant integer := least(greatest(visibility_seconds, 1), 3600);
  size constant integer := least(greatest(batch, 1), 500);
  live bigint;
  one record;
begin
  perform clerk_sync.expire_invitations();

  -- What pgmq.read does, but for the changes of a backfill: people who wait come first.
  return query
  with due as (
    select msg_id
    from pgmq.q_clerk_changes
    where vt <= clock_timestamp()
      and message ->> 'via' is distinct from 'snapshot'
    order by msg_id
    limit size
    for update skip locked
  ),
  taken as (
    update pgmq.q_clerk_changes as change
    set
      vt = clock_timestamp() + make_interval(secs => seconds),
      read_ct = read_ct + 1
    from due
    where change.msg_id = due.msg_id
    returning change.msg_id, change.read_ct, change.enqueued_at, change.message
  )
  select clerk_sync.change_from(msg_id, read_ct, enqueued_at, message)
  from taken
  order by msg_id;

  get diagnostics live = row_count;
  if live < size then
    for one in
      select msg_id, read_ct, enqueued_at, message
      from pgmq.read('clerk_changes', seconds, size - live::integer)
      order by msg_id
    loop
      -- Not in the query: pgmq.read also sees changes that were committed after the query began, and the
      -- query would not see their rows.
      return next clerk_sync.change_from(one.msg_id, one.read_ct, one.enqueued_at, one.message);
    end loop;
  end if;
end
$function$;

REVOKE ALL ON FUNCTION "public"."read_clerk_changes"(integer, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.record_clerk_rejection (
  message_id text,
  type       text,
  issues     jsonb,
  payload    jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  return clerk_sync.keep_message(
    message_id, type, payload,
    jsonb_build_object('outcome', 'unreadable', 'issues', coalesce(issues, '[]'))
  ) - 'issues';
end
$function$;

REVOKE ALL ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.redrive_clerk_changes (
  batch integer DEFAULT 5000
)
  RETURNS integer
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  redriven integer;
begin
  with taken as (
    select msg_id
    from pgmq.q_clerk_changes_dead
    order by msg_id
    limit least(greatest(batch, 1), 10000)
    for update skip locked
  ),
  dead as (
    delete from pgmq.q_clerk_changes_dead as letter
    using taken
    where letter.msg_id = taken.msg_id
    returning letter.msg_id, letter.message
  )
  -- What pgmq.send does, for all of them at once.
  insert into pgmq.q_clerk_changes (vt, message)
  select clock_timestamp(), message - 'error_class'
  from dead
  order by msg_id;

  get diagnostics redriven = row_count;
  return redriven;
end
$function$;

REVOKE ALL ON FUNCTION "public"."redrive_clerk_changes"(integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.replay_clerk_message (
  message_id text,
  dropped    text[]  DEFAULT NULL::text[],
  as_type    text    DEFAULT NULL::text,
  dry_run    boolean DEFAULT false
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  stored clerk_sync.inbox;
  result jsonb;
begin
  select * into stored
  from clerk_sync.inbox
  where inbox.message_id = replay_clerk_message.message_id;

  if not found then
    return '{"outcome": "unknown"}';
  end if;
  if stored.outcome not in ('failed', 'unreadable') then
    return '{"outcome": "duplicate"}';
  end if;
  if stored.payload is null then
    return jsonb_build_object('outcome', stored.outcome, 'issues', '[{"path": "", "code": "no_payload"}]'::jsonb);
  end if;
  -- Only the schemas of the functions can tell whether it can be read by now.
  if stored.outcome = 'unreadable' and dropped is null then
    return jsonb_build_object('outcome', 'unreadable', 'issues', coalesce(stored.error -> 'issues', '[]'));
  end if;

  -- NOTE: the inbox row is not locked here: a delivery locks the register first. Whatever happens to the
  -- message meanwhile, happens to a delivery in flight, too.
  begin
    result := public.ingest_clerk_event(
      message_id,
      coalesce(stored.payload -> 'raw', stored.payload),
      coalesce(dropped, '{}'),
      coalesce(as_type, stored.error ->> 'as_type'),
      is_delivery => false);
    if result ->> 'outcome' = 'failed' then
      result := result || (
        select error - 'as_type'
        from clerk_sync.inbox
        where inbox.message_id = replay_clerk_message.message_id
      );
    end if;

    if dry_run then
      raise exception using errcode = 'CS001';
    end if;
  exception
    when sqlstate 'CS001' then null;
  end;

  return result;
end
$function$;

REVOKE ALL ON FUNCTION "public"."replay_clerk_message"(text, text[], text, boolean) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.save_clerk_run (
  run_id        bigint,
  fence         bigint,
  state         jsonb,
  is_finished   boolean DEFAULT false,
  lease_seconds integer DEFAULT 90
)
  RETURNS boolean
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
begin
  if not clerk_sync.holds_run(run_id, fence) then
    return false;
  end if;

  update clerk_sync.runs
  set
    state = save_clerk_run.state,
    leased_until = clock_timestamp() + make_interval(secs => lease_seconds),
    finished_at = case when is_finished then now() end
  where id = run_id;

  if is_finished then
    delete from clerk_sync.seen_objects where seen_objects.run_id = save_clerk_run.run_id;
    -- What this full run did not find gone may have come back.
    delete from clerk_sync.surplus_objects
    where surplus_objects.run_id <> save_clerk_run.run_id
      and exists (
        select from clerk_sync.runs
        where id = save_clerk_run.run_id
          and kind = 'reconcile'
          and clerk_sync.is_scheduled(options)
      );
  end if;

  return true;
end
$function$;

REVOKE ALL ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.settle_clerk_changes (
  settlements jsonb
)
  RETURNS jsonb
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
declare
  one record;
  counts jsonb := '{"done": 0, "retry": 0, "dead": 0, "gone": 0}';
  verdict text;
  error_class text;
  held record;
begin
  for one in
    select *
    from jsonb_to_recordset(settlements) as settlement (
      message_id bigint, reads integer, verdict text, delay_seconds integer, handler text,
      error_class text)
    order by settlement.message_id
  loop
    verdict := one.verdict;
    -- A class, not a text: a text can quote an address.
    error_class := coalesce(substring(one.error_class from '^[a-z0-9_]{1,50}$'), 'unknown');

    case
      when verdict = 'done' then
        if not pgmq.archive('clerk_changes', one.message_id) then
          verdict := 'gone';
        end if;
      when verdict in ('retry', 'dead') then
        -- Locked, so that two workers cannot both dead-letter it. A worker that read it later holds it
        -- for a visibility timeout of its own, which a late verdict must not cut short.
        select message, enqueued_at, read_ct into held
        from pgmq.q_clerk_changes
        where msg_id = one.message_id
          and read_ct = coalesce(one.reads, read_ct)
        for update;

        if not found then
          verdict := 'gone';
        elsif verdict = 'retry' then
          -- What pgmq.set_vt does, and why it failed.
          update pgmq.q_clerk_changes
          set
            vt = clock_timestamp()
              + make_interval(secs => least(greatest(coalesce(one.delay_seconds, 0), 0), 86400)),
            message = message || jsonb_build_object('retry', jsonb_build_object(
              'reads', held.read_ct,
              'handler', coalesce(substring(one.handler from '^[A-Za-z0-9_-]{1,50}$'), 'unknown'),
              'error_class', error_class))
          where msg_id = one.message_id;
        else
          perform pgmq.send(
            'clerk_changes_dead',
            case jsonb_typeof(held.message)
              when 'object' then held.message - 'retry'
              else jsonb_build_object('message', held.message)
            end || jsonb_build_object(
              'change_id', clerk_sync.change_id(held.message, one.message_id, held.enqueued_at),
              'error_class', error_class));
          perform pgmq.delete('clerk_changes', one.message_id);
        end if;
      else
        raise exception using
          errcode = 'invalid_parameter_value',
          message = format('Cannot settle as the verdict is not done, retry or dead: %s', verdict);
    end case;

    counts := jsonb_set(counts, array[verdict], to_jsonb((counts ->> verdict)::integer + 1));
  end loop;

  return counts;
end
$function$;

REVOKE ALL ON FUNCTION "public"."settle_clerk_changes"(jsonb) FROM PUBLIC, "anon", "authenticated";

CREATE OR REPLACE FUNCTION public.settle_welcome_mail (
  user_id  text,
  claim    uuid,
  was_sent boolean
)
  RETURNS void
  LANGUAGE sql
  SECURITY DEFINER
  SET search_path TO 'pg_catalog', 'pg_temp'
  AS $function$
  -- An attempt that sent it says so, also when its lease was over and another one had claimed it.
  insert into clerk_sync.welcome_mails as kept (user_id, claim, sent_at)
  select settle_welcome_mail.user_id, settle_welcome_mail.claim, now()
  where was_sent
  on conflict on constraint welcome_mails_pkey do update set
    sent_at = coalesce(kept.sent_at, excluded.sent_at);

  -- An attempt that did not send it gives back its own claim only.
  delete from clerk_sync.welcome_mails
  where welcome_mails.user_id = settle_welcome_mail.user_id
    and welcome_mails.claim = settle_welcome_mail.claim
    and sent_at is null
    and not was_sent;
$function$;

REVOKE ALL ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) FROM PUBLIC, "anon", "authenticated";

ALTER TABLE "clerk_sync"."seen_objects"
  ADD CONSTRAINT "seen_objects_run_id_fkey" FOREIGN KEY (run_id) REFERENCES clerk_sync.runs(id) ON DELETE CASCADE;

ALTER TABLE "clerk_sync"."surplus_objects"
  ADD CONSTRAINT "surplus_objects_run_id_fkey" FOREIGN KEY (run_id) REFERENCES clerk_sync.runs(id) ON DELETE CASCADE;

ALTER TABLE "public"."organization_invitations"
  ADD CONSTRAINT "organization_invitations_organization_id_fkey" FOREIGN KEY (organization_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE "public"."organization_memberships"
  ADD CONSTRAINT "organization_memberships_organization_id_fkey" FOREIGN KEY (organization_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE "public"."organization_memberships"
  ADD CONSTRAINT "organization_memberships_user_id_fkey" FOREIGN KEY (user_id) REFERENCES public.profiles(id) ON DELETE CASCADE;

CREATE INDEX inbox_by_object ON clerk_sync.inbox USING btree (object_id, received_at);

CREATE INDEX inbox_not_applied ON clerk_sync.inbox USING btree (received_at, message_id)
  WHERE (outcome <> 'applied'::text);

CREATE INDEX inbox_only_subject ON clerk_sync.inbox USING btree ((subjects[1]))
  WHERE (cardinality(subjects) = 1);

CREATE INDEX inbox_prunable ON clerk_sync.inbox USING btree (received_at)
  WHERE ((payload IS NOT NULL) AND (outcome <> ALL (ARRAY['failed'::text, 'unreadable'::text])));

CREATE INDEX inbox_received_at ON clerk_sync.inbox USING btree (received_at);

CREATE INDEX inbox_several_subjects ON clerk_sync.inbox USING gin (subjects)
  WHERE (cardinality(subjects) > 1);

CREATE INDEX inbox_waiting ON clerk_sync.inbox USING btree (received_at, message_id)
  WHERE (outcome = ANY (ARRAY['failed'::text, 'unreadable'::text]));

CREATE INDEX objects_by_subject ON clerk_sync.objects USING gin (subjects)
  WHERE (cardinality(subjects) > 0);

CREATE INDEX runs_unfinished ON clerk_sync.runs USING btree (kind, id)
  WHERE (finished_at IS NULL);

CREATE INDEX surplus_objects_run_id ON clerk_sync.surplus_objects USING btree (run_id);

CREATE INDEX welcome_mails_by_time ON clerk_sync.welcome_mails USING btree (claimed_at)
  WHERE (skipped_at IS NULL);

CREATE INDEX organization_invitations_by_expiry ON public.organization_invitations USING btree (expires_at)
  WHERE (status = 'pending'::text);

CREATE INDEX organization_invitations_by_organization ON public.organization_invitations USING btree (organization_id);

CREATE INDEX organization_invitations_by_pending_address ON public.organization_invitations USING btree (lower((email_address COLLATE "C")))
  WHERE (status = 'pending'::text);

CREATE INDEX organization_memberships_by_name ON public.organization_memberships USING btree (organization_id, member_name);

CREATE INDEX organization_memberships_by_organization ON public.organization_memberships USING btree (organization_id, user_id, superseded);

CREATE INDEX organization_memberships_by_user ON public.organization_memberships USING btree (user_id, organization_id, superseded);

CREATE INDEX organization_memberships_superseded ON public.organization_memberships USING btree (organization_id, user_id)
  WHERE superseded;

CREATE INDEX organizations_tombstones ON public.organizations USING btree (deleted_at)
  WHERE (deleted_at IS NOT NULL);

CREATE INDEX profiles_blocked ON public.profiles USING btree (id)
  WHERE (banned OR deprovisioned);

CREATE INDEX profiles_by_email ON public.profiles USING hash (lower((email COLLATE "C")));

CREATE INDEX profiles_tombstones ON public.profiles USING btree (deleted_at)
  WHERE (deleted_at IS NOT NULL);

CREATE INDEX subscription_items_by_organization ON public.subscription_items USING btree (organization_id, plan_slug)
  WHERE (organization_id IS NOT NULL);

CREATE INDEX subscription_items_by_person ON public.subscription_items USING btree (user_id, plan_slug)
  WHERE (organization_id IS NULL);

CREATE INDEX subscription_items_by_plan ON public.subscription_items USING btree (plan_id);

CREATE TRIGGER _100_show_member
  BEFORE INSERT OR UPDATE OF user_id ON public.organization_memberships
  FOR EACH ROW
  EXECUTE FUNCTION clerk_sync.tg_organization_memberships__show_member();

CREATE TRIGGER _500_restore
  AFTER DELETE ON public.organization_memberships REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT
  EXECUTE FUNCTION clerk_sync.tg_organization_memberships__restore();

CREATE TRIGGER _500_supersede_anew
  AFTER UPDATE ON public.organization_memberships
  FOR EACH ROW
  WHEN ((((old.organization_id IS DISTINCT FROM new.organization_id) OR (old.user_id IS DISTINCT FROM new.user_id)) OR (old.created_at IS DISTINCT FROM new.created_at)))
  EXECUTE FUNCTION clerk_sync.tg_organization_memberships__supersede();

CREATE TRIGGER _500_supersede
  AFTER INSERT ON public.organization_memberships
  FOR EACH ROW
  EXECUTE FUNCTION clerk_sync.tg_organization_memberships__supersede();

CREATE TRIGGER _900_announce_deletions AFTER DELETE ON public.organization_memberships
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION clerk_sync.tg__announce_deletions (
  'membership'
);

CREATE TRIGGER _900_announce
  AFTER INSERT OR UPDATE ON public.organization_memberships
  FOR EACH ROW
  EXECUTE FUNCTION clerk_sync.tg__announce('membership', 'organization_id', 'user_id', 'role', 'role_name', 'permissions', 'public_metadata', 'created_at');

CREATE TRIGGER _900_announce
  AFTER INSERT OR UPDATE ON public.organizations
  FOR EACH ROW
  EXECUTE FUNCTION
    clerk_sync.tg__announce('organization', 'slug', 'name', 'image_url', 'has_image', 'members_count', 'max_allowed_memberships', 'public_metadata', 'created_by', 'created_at',
    'deleted_at');

CREATE TRIGGER _500_show_member
  AFTER UPDATE ON public.profiles
  FOR EACH ROW
  WHEN ((((old.full_name IS DISTINCT FROM new.full_name) OR (old.username IS DISTINCT FROM new.username)) OR (old.image_url IS DISTINCT FROM new.image_url)))
  EXECUTE FUNCTION clerk_sync.tg_profiles__show_member();

CREATE TRIGGER _900_announce
  AFTER INSERT OR UPDATE ON public.profiles
  FOR EACH ROW
  EXECUTE FUNCTION
    clerk_sync.tg__announce('profile', 'external_id', 'username', 'first_name', 'last_name', 'locale', 'image_url', 'has_image', 'email', 'email_verified', 'verified_emails',
    'phone',
    'phone_verified',
    'public_metadata', 'unsafe_metadata', 'banned', 'locked', 'deprovisioned', 'two_factor_enabled', 'last_sign_in_at', 'legal_accepted_at', 'created_at', 'deleted_at');

CREATE POLICY "organization_invitations_select_manager_or_invited" ON "public"."organization_invitations"
  FOR SELECT
  TO "authenticated"
  USING
    (((organization_id = ANY (( SELECT clerk.my_organization_ids('admin'::text, 'sys_memberships:manage'::text) AS my_organization_ids)::text[])) OR ((status = 'pending'::text) AND
    (lower((email_address COLLATE "C")) = ANY (ARRAY( SELECT lower((address.address COLLATE "C")) AS lower
   FROM (public.profiles
     CROSS JOIN LATERAL unnest(profiles.verified_emails) address(address))
  WHERE ((profiles.id = ( SELECT clerk.user_id() AS user_id)) AND (profiles.deleted_at IS NULL) AND (NOT (profiles.banned OR profiles.deprovisioned)))))) AND
    ((expires_at IS NULL) OR (expires_at > now())))));

CREATE POLICY "organization_memberships_select_member" ON "public"."organization_memberships"
  FOR SELECT
  TO "authenticated"
  USING (((organization_id = ANY (( SELECT clerk.my_organization_ids() AS my_organization_ids)::text[])) AND (NOT superseded)));

CREATE POLICY "organization_roles_select_signed_in" ON "public"."organization_roles"
  FOR SELECT
  TO "authenticated"
  USING (((deleted_at IS NULL) AND (( SELECT clerk.user_id() AS user_id) IS NOT NULL) AND (NOT ( SELECT clerk.is_blocked() AS is_blocked))));

CREATE POLICY "organizations_select_member" ON "public"."organizations"
  FOR SELECT
  TO "authenticated"
  USING (((id = ANY (( SELECT clerk.my_organization_ids() AS my_organization_ids)::text[])) AND (deleted_at IS NULL)));

CREATE POLICY "profiles_select_own" ON "public"."profiles"
  FOR SELECT
  TO "authenticated"
  USING (((id = ( SELECT clerk.user_id() AS user_id)) AND (deleted_at IS NULL) AND (NOT (banned OR deprovisioned))));

CREATE POLICY "subscription_items_select_payer" ON "public"."subscription_items"
  FOR SELECT
  TO "authenticated"
  USING
    ((((organization_id IS NULL) AND (user_id = ( SELECT clerk.user_id() AS user_id)) AND (NOT ( SELECT clerk.is_blocked() AS is_blocked))) OR (organization_id = ANY (( SELECT
    clerk.my_organization_ids() AS my_organization_ids)::text[]))));

COMMENT ON COLUMN "clerk_sync"."inbox"."deliveries" IS 'Number of deliveries of this message that the database answered.';

COMMENT ON COLUMN "clerk_sync"."inbox"."error" IS 'Why it was not applied: {sqlstate, message, as_type?} when failed, {issues: [{path, code}]} when unreadable, either when discarded. as_type is the type that it was read as, if not its own. Without message and issues once a subject is deleted.';

COMMENT ON COLUMN "clerk_sync"."inbox"."instance_id" IS 'Clerk instance (ins_…) that sent it; null in events from before April 2025.';

COMMENT ON COLUMN "clerk_sync"."inbox"."last_delivered_at" IS 'When the newest delivery arrived, by our clock.';

COMMENT ON COLUMN "clerk_sync"."inbox"."message_id" IS 'svix-id, the same on every retry and replay of a message.';

COMMENT ON COLUMN "clerk_sync"."inbox"."object_id" IS 'data.id of the event; null when there is none or it does not look like an id.';

COMMENT ON COLUMN "clerk_sync"."inbox"."occurred_at" IS 'The envelope''s timestamp; null when it has none.';

COMMENT ON COLUMN "clerk_sync"."inbox"."outcome" IS 'What became of the message. failed and unreadable are tried again by the next delivery or by a replay. discarded was given up by an operator: a delivery that can be applied still is. The others are final.';

COMMENT ON COLUMN "clerk_sync"."inbox"."payload" IS 'The event as it was handed over, or {"raw": text} when it is not storable JSON; without event_attributes. Null for types that this version does not know, email.*, sms.* and waitlistEntry.*, for events of another instance, once discarded, once the message is older than payload_retention, and once a subject is deleted; a message that is to be tried again then loses only what it says about that person. Never holds the address and link of an invitation that is no longer pending, nor a person''s address without a user id to erase it by.';

COMMENT ON COLUMN "clerk_sync"."inbox"."received_at" IS 'When the first delivery was stored, by our clock.';

COMMENT ON COLUMN "clerk_sync"."inbox"."subjects" IS 'Clerk user ids (user_…), sorted: those that the event is about, and whatever looks like a real id in the payload. Erasure finds the row by it.';

COMMENT ON COLUMN "clerk_sync"."inbox"."type" IS 'Clerk''s event type (user.created); null when it could not be read or does not look like one.';

COMMENT ON COLUMN "clerk_sync"."keys"."id" IS 'Clerk id of the role or permission that has or had the key.';

COMMENT ON COLUMN "clerk_sync"."keys"."key" IS 'With its prefix: org:admin, org:posts:create.';

COMMENT ON COLUMN "clerk_sync"."keys"."kind" IS 'role or permission.';

COMMENT ON COLUMN "clerk_sync"."keys"."observed_at" IS 'The envelope''s timestamp of the newest event that gave it this key, ms since the epoch.';

COMMENT ON COLUMN "clerk_sync"."membership_deletions"."observed_at" IS 'The envelope''s timestamp of the newest deletion, ms since the epoch; our clock when it has none.';

COMMENT ON COLUMN "clerk_sync"."membership_deletions"."organization_id" IS 'The organization (org_…).';

COMMENT ON COLUMN "clerk_sync"."membership_deletions"."user_id" IS 'The former member (user_…).';

COMMENT ON COLUMN "clerk_sync"."objects"."data" IS 'The newest data of kinds without a table of their own (domains, payment attempts, subscriptions), without what it says about deleted users; null for all others.';

COMMENT ON COLUMN "clerk_sync"."objects"."deleted_at" IS 'When Clerk deleted the object. Terminal: nothing is applied to this id any more.';

COMMENT ON COLUMN "clerk_sync"."objects"."id" IS 'Clerk id; its prefix tells the kind (user_…).';

COMMENT ON COLUMN "clerk_sync"."objects"."message_id" IS 'Message id (svix-id) of that event. Decides when both times are equal.';

COMMENT ON COLUMN "clerk_sync"."objects"."observed_at" IS 'The envelope''s timestamp of that event, ms since the epoch. Decides between equal versions.';

COMMENT ON COLUMN "clerk_sync"."objects"."subjects" IS 'Clerk user ids (user_…) of whom data may speak, sorted. Erasure finds the row by it.';

COMMENT ON COLUMN "clerk_sync"."objects"."version" IS 'data.updated_at of the newest event applied, ms since the epoch; 0 when none was.';

COMMENT ON COLUMN "clerk_sync"."plans"."id" IS 'Clerk''s plan id (cplan_…).';

COMMENT ON COLUMN "clerk_sync"."plans"."message_id" IS 'Message id (svix-id) of that event. Decides when the times are equal.';

COMMENT ON COLUMN "clerk_sync"."plans"."name" IS 'For display.';

COMMENT ON COLUMN "clerk_sync"."plans"."observed_at" IS 'The envelope''s timestamp of the event that told it, ms since the epoch; 0 when none did.';

COMMENT ON COLUMN "clerk_sync"."plans"."slug" IS 'Null until an event told it.';

COMMENT ON COLUMN "clerk_sync"."runs"."began_at" IS 'When the run began. What Clerk made later, the run need not have seen.';

COMMENT ON COLUMN "clerk_sync"."runs"."fence" IS 'Goes up whenever somebody takes the run over, so that whoever had it before cannot write any more.';

COMMENT ON COLUMN "clerk_sync"."runs"."finished_at" IS 'Null while unfinished.';

COMMENT ON COLUMN "clerk_sync"."runs"."id" IS 'Number of the run.';

COMMENT ON COLUMN "clerk_sync"."runs"."kind" IS 'backfill (everything from Clerk, nothing deleted), reconcile (the difference) or poll (the newest changes).';

COMMENT ON COLUMN "clerk_sync"."runs"."leased_until" IS 'Until when the run belongs to whoever saved it last.';

COMMENT ON COLUMN "clerk_sync"."runs"."options" IS 'What was asked for. A run goes on with its own options.';

COMMENT ON COLUMN "clerk_sync"."runs"."state" IS 'Phase, cursor, counts and errors, as the engine saved them; no personal data.';

COMMENT ON COLUMN "clerk_sync"."seen_objects"."id" IS 'Clerk id.';

COMMENT ON COLUMN "clerk_sync"."seen_objects"."run_id" IS 'The run.';

COMMENT ON COLUMN "clerk_sync"."settings"."archive_retention" IS 'How long the archive keeps changes that the worker is done with.';

COMMENT ON COLUMN "clerk_sync"."settings"."delete_surplus" IS 'Whether a scheduled reconcile deletes what Clerk no longer has, once two runs at least 6 hours apart found it gone. By default it only reports.';

COMMENT ON COLUMN "clerk_sync"."settings"."instance_id" IS 'Clerk instance (ins_…) whose events are accepted; events of any other are ignored. Null accepts any.';

COMMENT ON COLUMN "clerk_sync"."settings"."is_only_row" IS 'Always true. As the primary key, it keeps the table at one row.';

COMMENT ON COLUMN "clerk_sync"."settings"."max_event_age" IS 'The status is red when no event, or none that was applied, has arrived for longer. Null, here and in the other ages: never.';

COMMENT ON COLUMN "clerk_sync"."settings"."max_queue_age" IS 'The status is red when a change has been on the queue for longer.';

COMMENT ON COLUMN "clerk_sync"."settings"."max_reconcile_age" IS 'The status is red when the tables have not been compared with Clerk, by backfill or reconcile, for longer.';

COMMENT ON COLUMN "clerk_sync"."settings"."max_waiting_age" IS 'The status is red when a message that failed or could not be read has waited for longer.';

COMMENT ON COLUMN "clerk_sync"."settings"."payload_retention" IS 'How long the inbox keeps the payload of a message that is done. Failed and unreadable ones keep theirs.';

COMMENT ON COLUMN "clerk_sync"."settings"."plan_grace" IS 'How long an active or past due plan still counts after its period ended without news from Clerk.';

COMMENT ON COLUMN "clerk_sync"."settings"."purge_after" IS 'How long after the deletion of a user or an organization its tombstone is deleted, which is when on delete cascade of the application''s foreign keys acts. Null: never. NOTE: Realtime sends the id of a deleted row to everybody who listens to the table.';

COMMENT ON COLUMN "clerk_sync"."settings"."reconcile_at" IS 'When a full reconcile begins each day, UTC. Null: never. Polls for changes go on either way.';

COMMENT ON COLUMN "clerk_sync"."settings"."row_retention" IS 'How long the inbox keeps the row of a message that is done. More than 90 days: as long as Svix can send the message again, its id tells that it is a duplicate. Failed and unreadable ones stay.';

COMMENT ON COLUMN "clerk_sync"."surplus_objects"."found_at" IS 'When a run first found it gone. Each full run since has, too, or the row would not be here.';

COMMENT ON COLUMN "clerk_sync"."surplus_objects"."id" IS 'Clerk id.';

COMMENT ON COLUMN "clerk_sync"."surplus_objects"."kind" IS 'user, organization or membership.';

COMMENT ON COLUMN "clerk_sync"."surplus_objects"."run_id" IS 'The last run that found it gone.';

COMMENT ON COLUMN "clerk_sync"."welcome_mails"."claim" IS 'UUID of the attempt that claimed it, generated by the worker. A late attempt finds another one here.';

COMMENT ON COLUMN "clerk_sync"."welcome_mails"."claimed_at" IS 'When a worker last claimed it.';

COMMENT ON COLUMN "clerk_sync"."welcome_mails"."sent_at" IS 'When the mail server had accepted it, or had received it without an answer; null while a worker is sending it, or when one died doing so.';

COMMENT ON COLUMN "clerk_sync"."welcome_mails"."skipped_at" IS 'When it was skipped for good, because the hour had its number of mails; null otherwise.';

COMMENT ON COLUMN "clerk_sync"."welcome_mails"."user_id" IS 'Clerk id of the person.';

COMMENT ON COLUMN "public"."organization_invitations"."accepted_by" IS 'Clerk id of the user who accepted; null until then, or when unknown. Not a foreign key, likewise.';

COMMENT ON COLUMN "public"."organization_invitations"."created_at" IS 'By Clerk''s clock.';

COMMENT ON COLUMN "public"."organization_invitations"."email_address" IS 'The invited address, the organization''s data while the invitation is pending, even if a user with that address is deleted; null as soon as it is not.';

COMMENT ON COLUMN "public"."organization_invitations"."expires_at" IS 'Null when it does not expire.';

COMMENT ON COLUMN "public"."organization_invitations"."id" IS 'Clerk''s data.id (orginv_…).';

COMMENT ON COLUMN "public"."organization_invitations"."inviter_id" IS 'Clerk id of the user who invited; null when unknown. Not a foreign key: that user may be gone.';

COMMENT ON COLUMN "public"."organization_invitations"."organization_id" IS 'The organization (org_…) that invites.';

COMMENT ON COLUMN "public"."organization_invitations"."public_metadata" IS 'Of the invitation: written by your backend.';

COMMENT ON COLUMN "public"."organization_invitations"."role" IS 'The role to be given, with its prefix: org:member.';

COMMENT ON COLUMN "public"."organization_invitations"."role_name" IS 'For display; null in older events.';

COMMENT ON COLUMN "public"."organization_invitations"."status" IS 'Clerk''s status: pending, accepted, revoked, expired. Clerk sends no event when one expires: a pending row past its expires_at becomes expired here.';

COMMENT ON COLUMN "public"."organization_invitations"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."organization_invitations"."updated_at" IS 'By Clerk''s clock, never ours.';

COMMENT ON COLUMN "public"."organization_memberships"."created_at" IS 'By Clerk''s clock.';

COMMENT ON COLUMN "public"."organization_memberships"."id" IS 'Clerk''s data.id (orgmem_…).';

COMMENT ON COLUMN "public"."organization_memberships"."member_image_url" IS 'The profile''s image_url. Kept current by a trigger on public.profiles.';

COMMENT ON COLUMN "public"."organization_memberships"."member_name" IS 'The profile''s full_name, else username; null when there is neither. Never the address. Kept current by a trigger on public.profiles.';

COMMENT ON COLUMN "public"."organization_memberships"."organization_id" IS 'The organization (org_…).';

COMMENT ON COLUMN "public"."organization_memberships"."permissions" IS 'Clerk''s permission keys with their prefix (org:posts:create), as of the membership''s own newest event. Clerk sends none when a role changes: ask clerk.has_org_permission.';

COMMENT ON COLUMN "public"."organization_memberships"."public_metadata" IS 'Of the membership: written by your backend, readable by the members.';

COMMENT ON COLUMN "public"."organization_memberships"."role" IS 'Clerk''s role key with its prefix: org:admin, org:member, or one of your own.';

COMMENT ON COLUMN "public"."organization_memberships"."role_name" IS 'For display; null in older events.';

COMMENT ON COLUMN "public"."organization_memberships"."superseded" IS 'Whether the same person has a newer membership in the same organization, so that this one does not count: its deletion is late or lost. Kept by triggers on this table.';

COMMENT ON COLUMN "public"."organization_memberships"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."organization_memberships"."updated_at" IS 'By Clerk''s clock, never ours.';

COMMENT ON COLUMN "public"."organization_memberships"."user_id" IS 'The member (user_…).';

COMMENT ON COLUMN "public"."organization_roles"."created_at" IS 'By Clerk''s clock; null in a tombstone.';

COMMENT ON COLUMN "public"."organization_roles"."deleted_at" IS 'When Clerk deleted the role. Null for living ones.';

COMMENT ON COLUMN "public"."organization_roles"."description" IS 'For display; null when unset, or when it names a user id.';

COMMENT ON COLUMN "public"."organization_roles"."id" IS 'Clerk''s data.id (role_…).';

COMMENT ON COLUMN "public"."organization_roles"."key" IS 'With its prefix: org:admin, org:member, or one of your own. Not unique: a deleted role''s key can be taken again. Null in a tombstone whose key is not known.';

COMMENT ON COLUMN "public"."organization_roles"."name" IS 'For display; null in a tombstone, or when it names a user id.';

COMMENT ON COLUMN "public"."organization_roles"."permission_ids" IS 'Ids of the role''s permissions (perm_…), without deleted ones.';

COMMENT ON COLUMN "public"."organization_roles"."permission_keys" IS 'Their keys with the prefix (org:posts:create), in the same order. A key is null while it is not known.';

COMMENT ON COLUMN "public"."organization_roles"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."organization_roles"."updated_at" IS 'By Clerk''s clock, never ours; null in a tombstone.';

COMMENT ON COLUMN "public"."organizations"."created_at" IS 'By Clerk''s clock; null in a tombstone.';

COMMENT ON COLUMN "public"."organizations"."created_by" IS 'Clerk id of the user who created it; null when unknown. Not a foreign key: that user may be gone.';

COMMENT ON COLUMN "public"."organizations"."deleted_at" IS 'When Clerk deleted the organization; everything else is then empty. Null for living ones.';

COMMENT ON COLUMN "public"."organizations"."has_image" IS 'Whether somebody chose a picture.';

COMMENT ON COLUMN "public"."organizations"."id" IS 'Clerk''s data.id (org_…).';

COMMENT ON COLUMN "public"."organizations"."image_url" IS 'Set even for organizations without a picture of their own (see has_image).';

COMMENT ON COLUMN "public"."organizations"."max_allowed_memberships" IS 'Null when unlimited, which Clerk writes as 0, or unknown.';

COMMENT ON COLUMN "public"."organizations"."members_count" IS 'As of the newest event; null when the event had none. Count memberships for a number to rely on.';

COMMENT ON COLUMN "public"."organizations"."name" IS 'Null until the organization''s own event has arrived.';

COMMENT ON COLUMN "public"."organizations"."public_metadata" IS 'Written by your backend, readable by the members.';

COMMENT ON COLUMN "public"."organizations"."slug" IS 'Null when unset or blank. Not unique here.';

COMMENT ON COLUMN "public"."organizations"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."organizations"."updated_at" IS 'By Clerk''s clock, never ours; null in a tombstone.';

COMMENT ON COLUMN "public"."profiles"."banned" IS 'Whether Clerk refuses the user to sign in.';

COMMENT ON COLUMN "public"."profiles"."created_at" IS 'By Clerk''s clock; null in a tombstone.';

COMMENT ON COLUMN "public"."profiles"."deleted_at" IS 'When Clerk deleted the user; all personal columns are then empty. Null for living users.';

COMMENT ON COLUMN "public"."profiles"."deprovisioned" IS 'Whether Directory Sync removed the user, which is an update and not a deletion.';

COMMENT ON COLUMN "public"."profiles"."email" IS 'The address whose id is Clerk''s primary_email_address_id, never merely the first one; null for users without. Not unique.';

COMMENT ON COLUMN "public"."profiles"."email_verified" IS 'True only when that address has verification.status = verified.';

COMMENT ON COLUMN "public"."profiles"."external_id" IS 'Your own id for the user, as told to Clerk; null when unset.';

COMMENT ON COLUMN "public"."profiles"."first_name" IS 'Null when unset.';

COMMENT ON COLUMN "public"."profiles"."full_name" IS 'First and last name with a space between; null when both are missing. Generated.';

COMMENT ON COLUMN "public"."profiles"."has_image" IS 'Whether the person chose a picture.';

COMMENT ON COLUMN "public"."profiles"."id" IS 'Clerk''s data.id (user_…). Text, not uuid.';

COMMENT ON COLUMN "public"."profiles"."image_url" IS 'Set even for people without a picture of their own (see has_image).';

COMMENT ON COLUMN "public"."profiles"."last_active_at" IS 'As of the newest event. A change of it alone is not announced.';

COMMENT ON COLUMN "public"."profiles"."last_name" IS 'Null when unset.';

COMMENT ON COLUMN "public"."profiles"."last_sign_in_at" IS 'Null before the first sign-in.';

COMMENT ON COLUMN "public"."profiles"."legal_accepted_at" IS 'Null when consent was not asked for.';

COMMENT ON COLUMN "public"."profiles"."locale" IS 'Language tag; null when unset.';

COMMENT ON COLUMN "public"."profiles"."locked" IS 'Whether too many sign-ins failed.';

COMMENT ON COLUMN "public"."profiles"."phone" IS 'The number whose id is Clerk''s primary_phone_number_id, E.164; null for users without. Not unique.';

COMMENT ON COLUMN "public"."profiles"."phone_verified" IS 'True only when that number has verification.status = verified.';

COMMENT ON COLUMN "public"."profiles"."public_metadata" IS 'Written by your backend, readable by the person.';

COMMENT ON COLUMN "public"."profiles"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."profiles"."two_factor_enabled" IS 'Whether a second factor is set up.';

COMMENT ON COLUMN "public"."profiles"."unsafe_metadata" IS 'WRITTEN BY THE USER''S BROWSER. Never use it to decide what somebody may do.';

COMMENT ON COLUMN "public"."profiles"."updated_at" IS 'By Clerk''s clock, never ours; null in a tombstone.';

COMMENT ON COLUMN "public"."profiles"."username" IS 'Null when the instance uses none. Not unique here: a deleted user''s name can be taken again.';

COMMENT ON COLUMN "public"."profiles"."verified_emails" IS 'Every address of the user with verification.status = verified, the primary one included: as Clerk spells it, sorted, each once. Without addresses longer than 320 characters. NOTE: for the user''s own eyes: a policy that opens profiles to others opens this column, too.';

COMMENT ON COLUMN "public"."subscription_items"."amount" IS 'The price, in the currency''s minor unit (2000 is 20.00 EUR): the item''s own, or else the one that its plan has in the same event; null when the newest event has neither.';

COMMENT ON COLUMN "public"."subscription_items"."billing_interval" IS 'How often the payer pays: month, annual and others to come; null when the newest event does not say.';

COMMENT ON COLUMN "public"."subscription_items"."created_at" IS 'By Clerk''s clock.';

COMMENT ON COLUMN "public"."subscription_items"."currency" IS 'Of the amount: EUR, USD.';

COMMENT ON COLUMN "public"."subscription_items"."id" IS 'Clerk''s data.id (csub_item_…).';

COMMENT ON COLUMN "public"."subscription_items"."is_free_trial" IS 'Whether the item is a trial.';

COMMENT ON COLUMN "public"."subscription_items"."organization_id" IS 'Clerk id of the paying organization; null when a person pays. An organization''s item is nobody''s personal one.';

COMMENT ON COLUMN "public"."subscription_items"."period_end" IS 'End of the current period; null for plans without one. A canceled item runs until then.';

COMMENT ON COLUMN "public"."subscription_items"."period_start" IS 'Start of the current period.';

COMMENT ON COLUMN "public"."subscription_items"."plan_id" IS 'Clerk''s plan id (cplan_…).';

COMMENT ON COLUMN "public"."subscription_items"."plan_name" IS 'For display, likewise.';

COMMENT ON COLUMN "public"."subscription_items"."plan_slug" IS 'The plan''s slug, which clerk.has_plan compares: the newest that any item''s event told.';

COMMENT ON COLUMN "public"."subscription_items"."seats" IS 'How many seats are paid for; null when unlimited, or when the newest event does not say.';

COMMENT ON COLUMN "public"."subscription_items"."status" IS 'Clerk''s status: active, past_due, canceled, ended, upcoming, abandoned, incomplete and others to come.';

COMMENT ON COLUMN "public"."subscription_items"."synced_at" IS 'When the sync last wrote this row. Bookkeeping: nothing may depend on it.';

COMMENT ON COLUMN "public"."subscription_items"."updated_at" IS 'By Clerk''s clock, never ours.';

COMMENT ON COLUMN "public"."subscription_items"."user_id" IS 'Clerk id of the paying person; of an organization''s item, of whoever pays for it, if Clerk says. Not a foreign key: billing may know people before they have a profile.';

COMMENT ON FUNCTION "clerk"."actor_id"() IS 'Who acts as the caller: act.sub of the session token while somebody impersonates the user, such as support from Clerk''s dashboard; null otherwise. If act has no sub, the text of act: never null then, so a policy that refuses impersonators also refuses a claim of another shape.';

COMMENT ON FUNCTION "clerk"."has_org_permission"(text) IS 'Whether the caller''s newest membership in the active organization has this permission (posts:create or org:posts:create), by the newer of its own copy and the role''s permissions: the token only says which organization is active. While the table does not know the caller there, by the permissions of the token''s role.';

COMMENT ON FUNCTION "clerk"."has_org_role"(text) IS 'Whether the caller''s newest membership in the active organization has this role (admin or org:admin), by the membership table: the token only says which organization is active. While the table does not know the caller there, by the token''s role.';

COMMENT ON FUNCTION "clerk"."has_plan"(text) IS 'Whether the caller has this plan: as a person, or through the active organization when they are a member of it now. An item counts while active or past due, until plan_grace (see clerk_sync.settings) after the period''s end, so that a lost ended is not a plan for ever; and after a cancellation until the period''s end.';

COMMENT ON FUNCTION "clerk"."is_blocked"() IS 'Whether Clerk has banned or deprovisioned the caller, whose session token lives on for a minute or more. The other functions that read tables answer a blocked caller like an ex-member. locked does not count: it refuses sign-ins, and ends by itself.';

COMMENT ON FUNCTION "clerk"."is_member_of"(text) IS 'Whether the caller is a member of the organization now, by the membership table; while that does not know the caller there, by the token, if the organization is the active one.';

COMMENT ON FUNCTION "clerk"."make_my_profile"() IS 'Adds the caller''s profile row with nothing but the id, unless it is there or the register says that the user is deleted; likewise the row of the active organization, if the caller has just made it (clerk_sync.claimed_organization_id). Adds nothing for a blocked user, and never a membership. For public.ensure_profile.';

COMMENT ON FUNCTION "clerk"."my_organization_ids"(text, text) IS 'The organizations (org_…) that the caller is a member of now, by the membership table, and the active one if it was just made and the table does not know it yet; with a role or a permission, those where the newest membership has one of them. In policies write organization_id = any ((select clerk.my_organization_ids())::text[]), which can use an index.';

COMMENT ON FUNCTION "clerk"."org_id"() IS 'Clerk id (org_…) of the organization that is active in the caller''s session; null without one. READS THE TOKEN: says what is on the screen, not what is allowed. The token''s version v decides: 2 is o.id; 1 or none is org_id; any other is null.';

COMMENT ON FUNCTION "clerk"."org_key"(text) IS 'A role or permission key with Clerk''s prefix: admin and org:admin are both org:admin.';

COMMENT ON FUNCTION "clerk"."org_role"() IS 'The caller''s role (org:admin) in the active organization; null without one. READS THE TOKEN, which outlives the role by a minute: to guard data use clerk.has_org_role. The token''s version v decides: 2 is o.rol, which has no prefix; 1 or none is org_role; any other is null.';

COMMENT ON FUNCTION "clerk"."user_id"() IS 'Clerk id (user_…) of the caller, from the session token''s claim sub; null without a token, and while the session is pending. In policies write (select clerk.user_id()), so that it runs once per query and not once per row.';

COMMENT ON FUNCTION "clerk_sync"."add_organization"(text) IS 'Inserts an organization with nothing but the id, for a child that came first; unless it is there or deleted. The caller has locked the organization.';

COMMENT ON FUNCTION "clerk_sync"."add_profile"(text) IS 'Inserts a profile with nothing but the id, for a membership or a signed-in browser that came before the user''s own event; unless it is there or deleted. The caller has locked the user.';

COMMENT ON FUNCTION "clerk_sync"."announced_changes"(text) IS 'The 100 newest announcements about an object, oldest first: [{topic, changed, caused_by, via, enqueued_at, state (waiting, in_flight, retrying, done, dead), at (when it was done, or is tried next), reads, handler, error_class}]. enqueued_at of a dead one is the time of its death.';

COMMENT ON FUNCTION "clerk_sync"."apply_event"(text, clerk_sync.reading, jsonb) IS 'Claims the version and applies the event. Returns {outcome, issues?}: applied; stale when something newer or a deletion is already there; unreadable when the user of a membership or the payer of an item cannot be determined. Raises whatever the application''s triggers and constraints raise.';

COMMENT ON FUNCTION "clerk_sync"."apply_page"(text, clerk_sync.observation[], bigint) IS 'Locks everything that a page writes, and writes what is newer than what is known and differs from it, but for times and counts that move by themselves. Returns {missing, outdated, unreadable: [id], unchanged, stale, gone: counts}.';

COMMENT ON FUNCTION "clerk_sync"."apply_page_of_roles"(text, clerk_sync.observation[], bigint) IS 'What clerk_sync.apply_page does, for roles and permissions.';

COMMENT ON FUNCTION "clerk_sync"."apply_role_or_permission"(text, clerk_sync.reading, jsonb) IS 'Applies role.* and permission.*, and returns {outcome}: applied, or stale. The caller has locked the register.';

COMMENT ON FUNCTION "clerk_sync"."breach"(text, text, text) IS 'One thing that is wrong: a stable code, what is wrong, and what to do.';

COMMENT ON FUNCTION "clerk_sync"."breaches"(jsonb, jsonb, jsonb, jsonb) IS 'What is wrong, as clerk_sync.breach makes it, from the parts of the status and the thresholds in the settings.';

COMMENT ON FUNCTION "clerk_sync"."call_clerk_reconcile"() IS 'Calls the worker''s /reconcile when a run over Clerk''s API is due, and returns pg_net''s request id, or null.';

COMMENT ON FUNCTION "clerk_sync"."call_clerk_worker"() IS 'Expires invitations whose time has come; calls the worker when a change waits, and returns pg_net''s request id, or null.';

COMMENT ON FUNCTION "clerk_sync"."change_from"(bigint, integer, timestamp with time zone, jsonb) IS 'A change as a worker gets it, from a message of the queue.';

COMMENT ON FUNCTION "clerk_sync"."change_id"(jsonb, bigint, timestamp with time zone) IS 'Globally unique id of a change: the same on every read, also as a dead letter and after a redrive.';

COMMENT ON FUNCTION "clerk_sync"."claim_deletion"(text, bigint) IS 'Registers a deletion and returns its time; null when it is registered already.';

COMMENT ON FUNCTION "clerk_sync"."claim_permits"(text) IS 'Whether the token''s role has the permission, by the role''s row alone: a token''s own permissions lack Clerk''s system permissions.';

COMMENT ON FUNCTION "clerk_sync"."claim_version"(text, bigint, bigint, text) IS 'Registers a version; false when a newer one, or a deletion, is already there.';

COMMENT ON FUNCTION "clerk_sync"."claimed_organization_id"() IS 'The caller''s active organization, if the membership table does not know the caller there and nothing newer contradicts the token: the events about an organization or a membership just made are still on their way. A token is Clerk''s signed statement as of its iat; a deletion of that membership that is not older wins over it, and so does a deleted organization, and a deleted or blocked person.';

COMMENT ON FUNCTION "clerk_sync"."column_changes"(jsonb, jsonb) IS 'The columns that differ: [{column, before, after}].';

COMMENT ON FUNCTION "clerk_sync"."count_redelivery"(text) IS 'Counts a delivery of a message that is done; false when the message is new or to be tried again.';

COMMENT ON FUNCTION "clerk_sync"."delete_membership"(text) IS 'Deletes one membership. The caller has claimed the deletion.';

COMMENT ON FUNCTION "clerk_sync"."deleted_among"(text[]) IS 'Those of the objects that the register says are deleted.';

COMMENT ON FUNCTION "clerk_sync"."erase_addresses_from_inbox"(text[]) IS 'Erases the address and the link from every message about these invitations.';

COMMENT ON FUNCTION "clerk_sync"."erase_from_inbox"(text) IS 'Erases payload and error text of every message that mentions the user, and settles failed events about the user as stale. Of other messages that are to be tried again, only what they say about the user goes. Ids, times, other outcomes and SQLSTATEs stay.';

COMMENT ON FUNCTION "clerk_sync"."erase_from_register"(text) IS 'Erases what the data of other objects says about the user. The caller has locked them.';

COMMENT ON FUNCTION "clerk_sync"."erase_organization"(text, timestamp with time zone) IS 'Leaves a tombstone in public.organizations, and deletes memberships, invitations with their addresses, and subscription items.';

COMMENT ON FUNCTION "clerk_sync"."erase_profile"(text, timestamp with time zone) IS 'Leaves a tombstone in public.profiles, deletes the person''s memberships and personal subscription items, and erases the person from the inbox and from the register''s data. Columns that the application added stay: erasing those is up to the application.';

COMMENT ON FUNCTION "clerk_sync"."event_from"(jsonb, text[]) IS 'The event that a message holds: an object, or a JSON string with the text of one, which keeps every digit; {"raw": text} when the text is no object that jsonb takes. Without the values at the dropped paths (data.locale).';

COMMENT ON FUNCTION "clerk_sync"."event_kind"(text) IS 'What events of this type write: the table of users, organizations, memberships, invitations, subscription items or roles, the keys of permissions, or (other) the register''s data; null for types that only the inbox stores.';

COMMENT ON FUNCTION "clerk_sync"."event_status"() IS 'What arrived: {last_seconds and last_applied_seconds (ages; null if there is none), hour and day ({outcome: count}), is_day_whole (false if only the newest 20,000 were counted), waiting ({failed, unreadable: count}), oldest_waiting_seconds and newest_waiting_seconds, failing (how many failed or could not be read since the last one that was applied or stale), foreign_instance}.';

COMMENT ON FUNCTION "clerk_sync"."expire_invitations"() IS 'Makes pending invitations past their time expired, up to 100, and erases their addresses and links, here and in the inbox. Leaves those that are locked, or that the application refuses, to the next call. Never raises.';

COMMENT ON FUNCTION "clerk_sync"."explained"(text) IS 'Everything that is known about an object; null when nothing is.';

COMMENT ON FUNCTION "clerk_sync"."explained_events"(text, text, clerk_sync.objects) IS 'The 100 newest messages about an object, and the one that made its row, in Clerk''s order: [{message_id, type, ordered_at (the time that the order goes by), occurred_at, received_at, last_delivered_at, deliveries, outcome, why, has_payload, changes (of an applied one: [{column, before, after}], by the mapping, from the payload applied before; of private_metadata only that it changed), changes_unknown (why there are none)}].';

COMMENT ON FUNCTION "clerk_sync"."foreign_instance"() IS 'The Clerk instance whose events arrive and are ignored, while none of the newest 1000 is of the instance that the settings accept; null if that is not so.';

COMMENT ON FUNCTION "clerk_sync"."grants_in"(aclitem[], "char", oid) IS 'The rights on an object of a kind, as acldefault() calls it: anon=SELECT authenticated=INSERT,SELECT; * is the right to grant. Without the owner''s.';

COMMENT ON FUNCTION "clerk_sync"."holds_run"(bigint, bigint) IS 'Whether the run still belongs to whoever got this fence.';

COMMENT ON FUNCTION "clerk_sync"."in_words"(timestamp with time zone) IS 'A time as it stands in a sentence.';

COMMENT ON FUNCTION "clerk_sync"."in_words"(interval) IS 'The same of an interval.';

COMMENT ON FUNCTION "clerk_sync"."in_words"(numeric) IS 'A duration for people: 90 seconds, 5 hours, 3 days.';

COMMENT ON FUNCTION "clerk_sync"."invitation_from_clerk"(jsonb) IS 'The synced columns of an invitation from Clerk''s, the address only while it is pending; all other columns are null. A pending one past its time is expired.';

COMMENT ON FUNCTION "clerk_sync"."is_deleted"(text) IS 'Whether the register says that the object is deleted. Reliable only under its lock.';

COMMENT ON FUNCTION "clerk_sync"."is_id"(text, text) IS 'Whether a text is a Clerk id with this prefix (a regular expression).';

COMMENT ON FUNCTION "clerk_sync"."is_scheduled"(jsonb) IS 'Whether the schedule began a run with these options, and not a command. Neither goes on with a run of the other.';

COMMENT ON FUNCTION "clerk_sync"."issue_in"(clerk_sync.reading) IS 'Why an event cannot be applied, as [{path, code}]: ids that would become rows of the register, and a version. Null when it can. The function has checked the types of everything else.';

COMMENT ON FUNCTION "clerk_sync"."keep_data"(text, text[], jsonb) IS 'Stores the newest data of an object without a table, without what it says about deleted users.';

COMMENT ON FUNCTION "clerk_sync"."keep_in_inbox"(text, clerk_sync.reading, jsonb, boolean) IS 'Writes the inbox row of a message and its result ({outcome, sqlstate, message, as_type, issues}), and returns the answer to the webhook: duplicate when the message was done meanwhile, or is discarded and cannot be applied. Stores nothing about a deleted user but ids. is_delivery: false for a replay, which counts no delivery.';

COMMENT ON FUNCTION "clerk_sync"."keep_message"(text, text, jsonb, jsonb, text[], text) IS 'Stores one message, without applying it, with a result, and returns the answer to the webhook. dropped and as_type are those of public.ingest_clerk_event.';

COMMENT ON FUNCTION "clerk_sync"."keep_plan"(jsonb, bigint, text) IS 'Learns a plan''s slug and name from the event of an item, unless something newer is known, and writes them to all items with that plan. Locks the plan. The caller has locked the item.';

COMMENT ON FUNCTION "clerk_sync"."keep_plans_of_failed"(text) IS 'Learns the plans that failed events of the person''s items tell. An erasure settles these events, and the plan may be that of other items, too.';

COMMENT ON FUNCTION "clerk_sync"."kept_row"(text, text) IS 'The row of an object (user, organization, membership, invitation) as it is now, including the application''s columns, without synced_at; null when there is none.';

COMMENT ON FUNCTION "clerk_sync"."kind_of"(text) IS 'The kind of an object by the prefix of its id: user, organization, membership or invitation; null for all others.';

COMMENT ON FUNCTION "clerk_sync"."last_event_at"() IS 'When the last event of Clerk''s arrived; null if none has.';

COMMENT ON FUNCTION "clerk_sync"."left_of"(text, text) IS 'What is left of a deleted object, table by table: [{table, rows, holds}]. Reads organizations and invitations of a user without an index.';

COMMENT ON FUNCTION "clerk_sync"."living_permissions"(text[]) IS 'The ids without those of deleted permissions.';

COMMENT ON FUNCTION "clerk_sync"."lock_objects"(text, boolean, text, text[], text[], text) IS 'Creates and locks the register rows of everything that an event is about, and locks those of what its free text mentions, if they exist, at most 50. member_id: the user whose memberships the event writes, one event at a time. Must be called before any savepoint: the locks have to outlive an apply that fails, which is what lets an erasure win every race.';

COMMENT ON FUNCTION "clerk_sync"."lock_page"(text[], text[]) IS 'Creates, locks and returns the register rows of the objects that a page writes, the users whose memberships it writes among them, and of their organizations.';

COMMENT ON FUNCTION "clerk_sync"."mapped"(text, jsonb) IS 'The columns that the mapping makes of Clerk''s object, without updated_at.';

COMMENT ON FUNCTION "clerk_sync"."member_of"(text, jsonb) IS 'The user of a membership: by its public_user_data, which Clerk does not guarantee, or else by the row that is there; null when neither tells.';

COMMENT ON FUNCTION "clerk_sync"."membership_from_clerk"(jsonb) IS 'The synced columns of a membership from Clerk''s; all other columns are null, and user_id when public_user_data is absent. NOTE: nothing is taken from the nested organization and user but their ids.';

COMMENT ON FUNCTION "clerk_sync"."membership_permits"(text, text, text[], text) IS 'Whether this membership, with this role and copy of permissions, has the permission (posts:create or org:posts:create) now.';

COMMENT ON FUNCTION "clerk_sync"."newest_key"(text, text) IS 'The key that a role or a permission had last; null when it is not known.';

COMMENT ON FUNCTION "clerk_sync"."object_facts"() IS 'Every object that belongs to the sync, and those that the application added to its tables: {"policy p on public.t": definition, "grants on table public.t": rights, …}. Equal installations have equal facts, but for a prefix.';

COMMENT ON FUNCTION "clerk_sync"."observe"(text, jsonb, bigint) IS 'Reads one object of a page, by the rules for events.';

COMMENT ON FUNCTION "clerk_sync"."organization_from_clerk"(jsonb) IS 'The synced columns of an organization from Clerk''s; all other columns are null. NOTE: private_metadata is not among them and must never be.';

COMMENT ON FUNCTION "clerk_sync"."payer_of"(text, jsonb) IS 'Who pays for an item: by its payer, which Clerk does not guarantee, or else by the row that is there; nulls when neither tells.';

COMMENT ON FUNCTION "clerk_sync"."payload_left"(jsonb, text, text[]) IS 'What may be kept of a payload that mentions deleted users: nothing once the message is settled; before, all but what is said about them, so that one mention does not keep it from being tried again.';

COMMENT ON FUNCTION "clerk_sync"."people_in"(jsonb) IS 'The Clerk user ids (user_…) in the places of an event''s data where Clerk''s schema has an id, each once. Any well-formed id counts.';

COMMENT ON FUNCTION "clerk_sync"."permission_keys_of"(text[]) IS 'The newest keys of these permissions, in the same order.';

COMMENT ON FUNCTION "clerk_sync"."permissions_in"(jsonb) IS 'The permissions nested in a Clerk role; an empty list when there are none.';

COMMENT ON FUNCTION "clerk_sync"."permits"(text, text, bigint, text[]) IS 'Whether a member with this role has the permission, both as keys with prefix: by the role, if Clerk told it at the time of the member''s own copy (ms since the epoch) or later, else by the copy.';

COMMENT ON FUNCTION "clerk_sync"."plan_id_in"(jsonb) IS 'The id of the plan (cplan_…) of a Clerk subscription item; null when it has none, or one that is too long.';

COMMENT ON FUNCTION "clerk_sync"."post_to_clerk_worker"(text) IS 'Calls the worker by pg_net, with URL and secret from Vault (clerk_worker_url, clerk_worker_secret), and returns pg_net''s request id; null when Vault has no such secrets.';

COMMENT ON FUNCTION "clerk_sync"."profile_from_clerk"(jsonb) IS 'The synced columns of a profile from a Clerk user, as in the webhook''s data or the Backend API; all other columns are null. NOTE: private_metadata is not among them and must never be.';

COMMENT ON FUNCTION "clerk_sync"."purge_tombstones"(text, text[], boolean) IS 'Deletes tombstones of public.profiles or public.organizations, each within a savepoint, for about 2 s: {ids (deleted), refused: [{id, sqlstate}], last (the last id tried)}. Skips those that are locked. A dry run undoes each deletion.';

COMMENT ON FUNCTION "clerk_sync"."read_event"(jsonb, text, text) IS 'Reads one event into one record: what it is about, what it mentions, how it is ordered, and why it cannot be applied, if so. as_type: the type to read it as; null for its own.';

COMMENT ON FUNCTION "clerk_sync"."read_message"(text, jsonb, text, text) IS 'Reads what the inbox stores of a message, readable or not. Nothing of the payload when the type is unknown (as_type: the type to read it as, if not its own), or when there is an instance of our own (null accepts any) and the message names another one.';

COMMENT ON FUNCTION "clerk_sync"."refresh_permissions"(text[]) IS 'Takes deleted ones of these permissions out of every role, and writes the newest keys of the others. The caller has locked the keys.';

COMMENT ON FUNCTION "clerk_sync"."remember_keys"(text, jsonb, bigint) IS 'Remembers the keys of roles or permissions ([{id, key}]) as of this time.';

COMMENT ON FUNCTION "clerk_sync"."remember_membership_deletion"(text, text, timestamp with time zone) IS 'Remembers that this person lost a membership of this organization, and when.';

COMMENT ON FUNCTION "clerk_sync"."role_from_clerk"(jsonb) IS 'The synced columns of a role from Clerk''s; all other columns are null. Its permissions are the living ones, with their newest keys.';

COMMENT ON FUNCTION "clerk_sync"."row_status"(jsonb) IS 'Rows beside Clerk''s own counts, of the kinds that were given: {user, organization, membership: {here, clerk}}.';

COMMENT ON FUNCTION "clerk_sync"."run_status"() IS 'Runs over Clerk''s API, without dry runs: {backfill_seconds, reconcile_seconds, poll_seconds (since the last one finished; null if none did), surplus, skipped and halted (of the last reconcile), unheard (changes that the schedule found although no event had come), stopped ([{run, kind, seconds, is_scheduled}], unfinished for over 15 minutes)}.';

COMMENT ON FUNCTION "clerk_sync"."seconds_since"(timestamp with time zone) IS 'Age of a moment, s; null for null.';

COMMENT ON FUNCTION "clerk_sync"."sorted_ids"(text[]) IS 'The ids in order, each once.';

COMMENT ON FUNCTION "clerk_sync"."start_schedule"() IS 'Creates pg_cron and pg_net, unless they exist, schedules the calls of the worker, and returns the names of the jobs: clerk-worker, every 10 s, which also expires invitations, clerk-reconcile, every minute, and clerk-maintain, every night. Call it again after an upgrade: there may be new jobs.';

COMMENT ON FUNCTION "clerk_sync"."stop_schedule"() IS 'Removes the jobs of start_schedule(), and returns their names. Leaves pg_cron and pg_net, which others may use.';

COMMENT ON FUNCTION "clerk_sync"."storable_payload"(jsonb) IS 'The part of a message of a known type that may be stored: no event_attributes, and no person''s address or name that has no user id beside it to erase it by. Nothing of a raw body that seems to be of another type.';

COMMENT ON FUNCTION "clerk_sync"."subjects_left"(text[], jsonb) IS 'The subjects that remain when a person was erased from the value: those that are people, and those that still stand in it. The rest may have been a name that looks like an id.';

COMMENT ON FUNCTION "clerk_sync"."subscription_item_from_clerk"(jsonb) IS 'The synced columns of a subscription item from Clerk''s; all other columns are null. A blank payer is none.';

COMMENT ON FUNCTION "clerk_sync"."supersede_memberships"(text, text) IS 'Marks the person''s memberships of the organization that do not count: all but the newest. The caller has locked the user, so that no concurrent event adds or deletes one.';

COMMENT ON FUNCTION "clerk_sync"."surplus_of"(bigint, text) IS 'The rows of a kind (user, organization, membership) that Clerk should have listed during the run, and did not.';

COMMENT ON FUNCTION "clerk_sync"."tg__announce"() IS 'Puts {topic, id, changed, caused_by, via} on the queue clerk_changes: <kind>.created, <kind>.updated or <kind>.deleted, with the columns that changed. Trigger arguments: the kind, then the synced columns to compare; a change of any other column is not announced, nor one of last_sign_in_at or members_count by a snapshot. caused_by (the message id) and via (webhook, ensure_profile, snapshot) are settings of the transaction; both are null when somebody changes a row by hand. profile.deleted also has the external_id that Clerk''s deletion carried, likewise a setting: the tombstone has none.';

COMMENT ON FUNCTION "clerk_sync"."tg__announce_deletions"() IS 'Puts <kind>.deleted on the queue clerk_changes for each row of the transition table gone. Once per statement, because an organization can have very many members. Trigger argument: the kind.';

COMMENT ON FUNCTION "clerk_sync"."tg_organization_memberships__restore"() IS 'Lets superseded memberships count whose newer one was deleted.';

COMMENT ON FUNCTION "clerk_sync"."tg_organization_memberships__show_member"() IS 'Copies the member''s display columns from the profile to a new membership, or to one that changed hands.';

COMMENT ON FUNCTION "clerk_sync"."tg_organization_memberships__supersede"() IS 'Finds out which memberships of the person do not count, and of the person who had this one before.';

COMMENT ON FUNCTION "clerk_sync"."tg_profiles__show_member"() IS 'Copies a changed name or picture to the person''s memberships.';

COMMENT ON FUNCTION "clerk_sync"."to_count"(jsonb) IS 'A count of Clerk''s; null when it is not a number that a count can have.';

COMMENT ON FUNCTION "clerk_sync"."to_time"(jsonb) IS 'A time of Clerk''s, to the millisecond. Real deliveries carry ms since the epoch, examples and test sends seconds (below 1e11), very old data RFC 3339; anything else is null.';

COMMENT ON FUNCTION "clerk_sync"."upsert"(text, clerk_sync.observation[]) IS 'Writes the rows of a page, in the order of their ids.';

COMMENT ON FUNCTION "clerk_sync"."upsert_invitations"(jsonb[]) IS 'Writes the synced columns of invitations, each given once, and erases the addresses of those that are not pending from the inbox. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."upsert_memberships"(jsonb[], text[]) IS 'Writes the synced columns of memberships, each given once, of these users. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."upsert_organizations"(jsonb[], timestamp with time zone) IS 'Writes the synced columns of public.organizations, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the organizations and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."upsert_profiles"(jsonb[], timestamp with time zone) IS 'Writes the synced columns of public.profiles from Clerk users, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the users and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."upsert_roles"(jsonb[], timestamp with time zone) IS 'Writes the synced columns of roles, each given once, and deleted_at of tombstones. Leaves every other column, and a row that would not change, alone. The caller has locked the keys and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."upsert_subscription_items"(jsonb[], text[], text[]) IS 'Writes the synced columns of subscription items, each given once, of these payers, with what is known of their plans. Leaves every other column, and a row that would not change, alone. The caller has locked what they mention and their plans, and claimed the versions.';

COMMENT ON FUNCTION "clerk_sync"."user_ids_in"(jsonb) IS 'What looks like a real Clerk user id (user_ and 27 letters and digits) anywhere in the payload, also within a text or a key. Not sorted; may repeat.';

COMMENT ON FUNCTION "clerk_sync"."verdict_on"(text, text, jsonb, clerk_sync.objects, jsonb) IS 'What made an object''s row what it is, or why there is none, as a sentence.';

COMMENT ON FUNCTION "clerk_sync"."version"() IS 'Version of the schema, as the comment of schema clerk_sync says.';

COMMENT ON FUNCTION "clerk_sync"."whole_row"(text, text) IS 'The row of an object with all its columns, the application''s included; null when there is none.';

COMMENT ON FUNCTION "clerk_sync"."why"(clerk_sync.told_event) IS 'Why an event has its outcome, or what came after it, as a sentence.';

COMMENT ON FUNCTION "clerk_sync"."why_not_applied"(clerk_sync.told_event) IS 'Why an event failed, was unreadable or was ignored, as a sentence.';

COMMENT ON FUNCTION "clerk_sync"."why_stale"(clerk_sync.told_event) IS 'Why an event was stale, as a sentence.';

COMMENT ON FUNCTION "clerk_sync"."with_kept"(text, jsonb, jsonb) IS 'Clerk''s object, in which every property that is absent has the value that is kept here, so that its column stays as it is.';

COMMENT ON FUNCTION "clerk_sync"."without_person"(jsonb, text) IS 'The value, in which every object that names the person as its id, its user_id or its member has lost all other members.';

COMMENT ON FUNCTION "clerk_sync"."without_stale_address"(jsonb) IS 'The payload of an invitation; without the address and the link when it is no longer pending or its organization is deleted.';

COMMENT ON FUNCTION "clerk_sync"."without_unnamed_member"(jsonb) IS 'A message about a membership, without the member''s data if it does not name the member: that data could not be found to be erased. Any other message as it is.';

COMMENT ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) IS 'Begins a run (backfill, reconcile, poll), or goes on with an unfinished one unless restart is given, and leases it: {run: {id, fence, state, options, instance_id (of the settings), began_at (ms), polled_at (ms, when the last finished poll began)}}. Or {busy: {kind, leased_until (ms)}} while any run is leased, or {foreign: instance_id} when the settings name another Clerk instance than this one; when they name none, a backfill that is no dry run sets this one.';

COMMENT ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) IS 'Claims the one welcome mail of a person for lease_seconds, or renews this claim: claimed, sent (already), busy (claimed by another attempt), unwanted (the person is deleted, or the message caused_by says that an older user was imported) or over (per_hour others were claimed within the last hour: skipped for good).';

COMMENT ON FUNCTION "public"."clerk_changes_status"() IS 'State of the queue clerk_changes: {waiting, in_flight (read by a worker), retrying (failed, hidden until the next try), failures ([{handler, error_class, changes}] of the retrying ones), oldest_seconds (null when empty), dead}.';

COMMENT ON FUNCTION "public"."clerk_sync_activity"(integer) IS 'What arrived within the last minutes (1 to 1440), minute by minute, oldest first, without empty ones: {from, is_whole (false if only the newest 100,000 messages were counted), minutes ([{at, applied, stale, ignored, failed, unreadable, discarded}], first deliveries by their outcome now), latency ([{at, median_ms, p95_ms}], from Clerk''s event to the committed row, of the applied ones that were at most a day old)}.';

COMMENT ON FUNCTION "public"."clerk_sync_status"(jsonb) IS 'How the sync is: {is_healthy, verdict (a line), breaches ([{code, sentence, cure}]), events, queue, runs, rows, version (of the schema), installation (installing, installed, upgrading), bytes}. clerk_counts: Clerk''s own counts ({user, organization, membership}), to compare the rows with. Thresholds are in clerk_sync.settings.';

COMMENT ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) IS 'Deletes surplus objects of a run, as Clerk''s own deletion would: terminal, with the erasure of a user. Each leaves a message of type reconcile.deleted in the inbox. Returns {deleted: count}; null when somebody else has taken the run over. Raises what the application''s triggers raise.';

COMMENT ON FUNCTION "public"."discard_clerk_messages"(text[]) IS 'Gives failed and unreadable messages up: their outcome becomes discarded and their payload is erased; the error stays. Returns the ids of those that were waiting. If Clerk delivers such a message again and it can be applied, it is; if not, it stays discarded and the delivery is a duplicate.';

COMMENT ON FUNCTION "public"."due_clerk_run"() IS 'The kind of run (poll, reconcile) that the schedule should begin or go on with now; null when nothing is due or another run is at work. A poll every 10 minutes, a reconcile each day at settings.reconcile_at.';

COMMENT ON FUNCTION "public"."ensure_profile"() IS 'The caller''s profile row, added if missing; no row for a deleted or blocked user, and none for a subject that is not Clerk''s. Also adds the row of an organization that the caller has just made, so that rows of the application can refer to it. The row is complete as soon as the webhook has arrived.';

COMMENT ON FUNCTION "public"."explain_clerk_object"(text) IS 'Why the row of a user, organization, membership or invitation looks as it does; by its id, or by the primary address of users and of pending invitations (at most 20 each): {asked, objects: [{id, kind, verdict, row, made_by, differs, register, events, more_events (up to 1000), announced, left}]}. Events are in Clerk''s order, the newest 100. NOTE: holds personal data.';

COMMENT ON FUNCTION "public"."find_clerk_objects"(text, integer) IS 'The ids of users, then of organizations, whose name, username or slug contains this, in any case; max_rows (1 to 100) at most. Reads both tables whole.';

COMMENT ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) IS 'Takes one authentic Clerk event (message id and the event, as an object or as a JSON string with its text) and returns {outcome, sqlstate?, issues?}: applied, stale, duplicate, ignored, unreadable or failed. dropped: paths of values to leave out (data.locale). as_type: the type to read the event as, if not its own. is_delivery: false for a replay, which counts no delivery. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again, or keep it by keep_clerk_event.';

COMMENT ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) IS 'Takes a page of Clerk''s objects of one kind (user, organization, membership, invitation, role, permission), at most 500, as an array or as a JSON string with its text, as observed at a time (ms since the epoch; the Date of Clerk''s response). Returns {missing, outdated, unreadable: [id], unchanged, stale, gone: counts}. All or nothing: raises what the application''s triggers and constraints raise, and 22023 for bad arguments. dry_run applies the page and rolls it back. quiet announces nothing.';

COMMENT ON FUNCTION "public"."inspect_clerk_sync"() IS 'What the database knows about this installation: {now (epoch, s), version and installation (as in clerk_sync_status), profiles (the name of that table), objects (clerk_sync.object_facts), extensions ({name: version, or null if it is only available}), published (tables of Realtime; null without the publication), uuid_policies (policies that call auth.uid(), which fails for Clerk''s ids), vault (names of the entries that exist; null without Vault), jobs ({name: {active, last_status, last_seconds}}; null without pg_cron), migrations (applied versions; null without a record), settings, instances ({id: messages, of the newest 1000})}. Reads only, and returns neither payloads nor secrets.';

COMMENT ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) IS 'Stores one authentic event that ingest_clerk_event could not apply in time, with its other arguments and the SQLSTATE that it raised, and returns {outcome}: failed, ignored (another instance''s) or duplicate (applied meanwhile). Waits for a lock 2 s at most.';

COMMENT ON FUNCTION "public"."list_clerk_changes"(integer) IS 'Changes on the queue, max_rows (1 to 500) at most: dead ones, newest first, then those that are retried, in flight, waiting, oldest first: [{id (of the change), state (dead, retrying, in_flight, waiting), topic, object_id, changed, caused_by, via, enqueued_at (of a dead one: when it died), next_at (when it is tried next, or whoever has it loses it), reads, handler, error_class}].';

COMMENT ON FUNCTION "public"."list_clerk_messages"(text[], text, timestamp with time zone, timestamp
  with time zone, text, text, jsonb, boolean, integer, boolean, text) IS 'Messages of the inbox, oldest first: {messages: [{message_id, type, object_id, occurred_at, received_at, last_delivered_at, deliveries, outcome, error, has_payload, payload? (JSON text)}], total: how many there are, 10,000 at most, on the first page only}. outcomes: null for any. since, until: of received_at. object_id: messages about this object and, of a user, those that mention the user. id_part: a part of the id of the message or of its object, which reads all messages until it has found enough. after: the last message of the page before. max_rows: 1 to 500.';

COMMENT ON FUNCTION "public"."list_clerk_runs"(integer) IS 'The newest runs over Clerk''s API, max_rows (1 to 500) at most: {runs: [{id, kind, by (schedule, command), started_at, finished_at, leased_until, state (running, stopped, finished, abandoned), dry_run, tallies (by kind of object, as saved), problems (objects that were skipped), halted (why nothing was deleted)}], surplus (objects that scheduled runs found here and no longer at Clerk)}.';

COMMENT ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) IS 'What is here of a kind (user, organization, membership) and Clerk did not list during the run: {living: rows of the kind, surplus: count, objects: [{id, organization_id?, user_id?}], at most max_rows (1 to 500) after after_id, in id order}.';

COMMENT ON FUNCTION "public"."maintain_clerk_sync"(boolean, jsonb, integer) IS 'Prunes one batch (1 to 10,000 rows) of what clerk_sync.settings no longer keeps, and returns {part, count, ids? (of tombstones), refused? ([{id, sqlstate}]), next?}. Call it again with next until there is none. Parts: messages and payloads of the inbox, changes (archive of the queue), runs (30 days, and the newest of each sort), cron_records (of our jobs, 7 days), profiles and organizations (tombstones: only if purge_after is set). The register keeps every id, so nothing comes back. A dry run writes nothing, but it tries the deletion of each tombstone, with the application''s triggers, and undoes it.';

COMMENT ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) IS 'Remembers ids that Clerk listed during a run. False when somebody else has taken the run over.';

COMMENT ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) IS 'Remembers what a scheduled run found gone at Clerk. Returns {ripe: the ids among them that it may delete: an earlier run found them gone at least 6 hours ago, and settings.delete_surplus is on}; null when somebody else has taken the run over.';

COMMENT ON FUNCTION "public"."read_clerk_changes"(integer, integer) IS 'Takes up to batch (1 to 500) changes off the queue clerk_changes for visibility_seconds (1 to 3600): {message_id, change_id, reads, enqueued_at, topic, id, changed, caused_by, via, external_id, version, row}. The changes of snapshots come last. Nobody else gets them meanwhile; a change that is not settled becomes visible again. Also expires invitations whose time has come.';

COMMENT ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) IS 'Stores one authentic message that could not be read, with its issues ([{path, code}]) and its body (parsed, as a JSON string with its text, or {"raw": text}), and returns {outcome}: unreadable, ignored (another instance''s) or duplicate.';

COMMENT ON FUNCTION "public"."redrive_clerk_changes"(integer) IS 'Puts the oldest dead letters, up to batch (1 to 10000), back on the queue clerk_changes, with their reads at zero, and returns their number. Call it until that is 0.';

COMMENT ON FUNCTION "public"."replay_clerk_message"(text, text[], text, boolean) IS 'Puts a failed or unreadable message of the inbox through the sync again, as a delivery would, but counts none. Returns {outcome, sqlstate?, message?, issues?}: what ingest_clerk_event returns (duplicate: settled already), or unknown. An unreadable message must have been read by the schemas of the functions first, and dropped and as_type are what they found, as for ingest_clerk_event; without dropped it stays unreadable. dry_run does it and rolls back. Raises only SQLSTATE classes 40, 53 and 57, and 55P03: try again.';

COMMENT ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) IS 'Saves the state of a run and renews its lease (0 s gives it back), or finishes it. False when somebody else has taken the run over.';

COMMENT ON FUNCTION "public"."settle_clerk_changes"(jsonb) IS 'Settles changes that were read: [{message_id, reads?, verdict, delay_seconds?, handler?, error_class?}]. done archives, retry makes it visible again after the delay and remembers handler and class of the error, dead moves it to the queue clerk_changes_dead with the class of the error; the latter two only while reads is still what it was. Returns the count of each; gone ones were settled, or are held, by another worker.';

COMMENT ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) IS 'Records that the mail server accepted the welcome mail, or gives this claim back when it did not.';

COMMENT ON POLICY "organization_invitations_select_manager_or_invited" ON "public"."organization_invitations" IS 'Admins, and members with the permission org:sys_memberships:manage, read the invitations of their organizations; a person reads those to any of their own verified addresses while they can be accepted. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON POLICY "organization_memberships_select_member" ON "public"."organization_memberships" IS 'Members read who else is in their organizations: for each person, the newest membership. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON POLICY "organization_roles_select_signed_in" ON "public"."organization_roles" IS 'Everybody who is signed in reads the living roles: they belong to the instance, not to one organization. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON POLICY "organizations_select_member" ON "public"."organizations" IS 'Members read their organizations. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON POLICY "profiles_select_own" ON "public"."profiles" IS 'People read their own profile, unless they are banned or deprovisioned. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON POLICY "subscription_items_select_payer" ON "public"."subscription_items" IS 'People read the items that they pay for themselves; members read their organizations''. NOTE: no insert, update or delete policy: the sync is the only writer.';

COMMENT ON SCHEMA "clerk" IS 'Functions for row-level security policies, about the signed-in Clerk user. Callable by anon and authenticated.';

COMMENT ON SCHEMA "clerk_sync" IS '{"version": "1.0.0", "status": "installed", "about": "Machinery of the Clerk sync: register, inbox, mapping. Never add it to the exposed schemas of the API."}';

COMMENT ON TABLE "clerk_sync"."inbox" IS 'Every authentic event: payload, outcome, deliveries, error. Personal data of a deleted user is erased from it.';

COMMENT ON TABLE "clerk_sync"."keys" IS 'Every key that a role or a permission has or had. A deletion names only the id, while memberships name only keys. Also stale events are heard, so the rows do not depend on the order of arrival.';

COMMENT ON TABLE "clerk_sync"."membership_deletions" IS 'When a person last lost a membership of an organization, by every organizationMembership.deleted of which this or another event tells the person. A session token from before then proves nothing about that organization.';

COMMENT ON TABLE "clerk_sync"."objects" IS 'One row per Clerk id that any event mentioned: the newest version applied, or that it is deleted. (version, observed_at, message_id) is a total order, so the result never depends on the order of arrival.';

COMMENT ON TABLE "clerk_sync"."plans" IS 'One row per Clerk plan that an item named, stale events included: the newest observation by (observed_at, message_id).';

COMMENT ON TABLE "clerk_sync"."runs" IS 'One row per run over Clerk''s Backend API.';

COMMENT ON TABLE "clerk_sync"."seen_objects" IS 'The ids that Clerk listed during an unfinished run, readable or not.';

COMMENT ON TABLE "clerk_sync"."settings" IS 'Settings of the sync: always one row.';

COMMENT ON TABLE "clerk_sync"."surplus_objects" IS 'What scheduled runs found here and no longer at Clerk, so that a later one can delete it.';

COMMENT ON TABLE "clerk_sync"."welcome_mails" IS 'One row per person whose welcome mail was sent, is being sent, or was skipped. Ids and times only.';

COMMENT ON TABLE "public"."organization_invitations" IS 'One row per Clerk invitation, read by members who may manage memberships and, while pending and unexpired, by users who have verified the address, also as a secondary one.';

COMMENT ON TABLE "public"."organization_memberships" IS 'One row per Clerk membership, read by all members of the organization. When a person has several in one organization, only the newest by (created_at, id) counts and is visible.';

COMMENT ON TABLE "public"."organization_roles" IS 'One row per Clerk role, kept equal to Clerk by the sync and read by everybody who is signed in. A deleted role leaves a tombstone: id, key and deleted_at.';

COMMENT ON TABLE "public"."organizations" IS 'One row per Clerk organization, kept equal to Clerk by the sync and read by its members. A deleted one leaves a tombstone: the id and deleted_at. A row with nothing but the id waits for the organization''s own event.';

COMMENT ON TABLE "public"."profiles" IS 'One row per Clerk user, kept equal to Clerk by the sync and read by its owner. A deleted user leaves a tombstone: the id and deleted_at.';

COMMENT ON TABLE "public"."subscription_items" IS 'One row per item of a Clerk subscription, read by the paying person or by the members of the paying organization.';

COMMENT ON TRIGGER "_100_show_member" ON "public"."organization_memberships" IS 'Display columns of a new membership come from the profile.';

COMMENT ON TRIGGER "_500_restore" ON "public"."organization_memberships" IS 'When the newest membership is deleted, the next one counts. NOTE: for each statement, because an organization may have 150,000 members.';

COMMENT ON TRIGGER "_500_supersede" ON "public"."organization_memberships" IS 'A newer membership supersedes an older one of the same person in the same organization.';

COMMENT ON TRIGGER "_500_supersede_anew" ON "public"."organization_memberships" IS 'The same when a membership gets another time, or changes hands.';

COMMENT ON TRIGGER "_900_announce" ON "public"."organization_memberships" IS 'Last of all: tells the queue clerk_changes.';

COMMENT ON TRIGGER "_900_announce_deletions" ON "public"."organization_memberships" IS 'Last of all: tells the queue clerk_changes. Memberships leave no tombstone, so a deletion is a deletion here.';

COMMENT ON TRIGGER "_900_announce" ON "public"."organizations" IS 'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

COMMENT ON TRIGGER "_500_show_member" ON "public"."profiles" IS 'A changed name or picture reaches the team pages, without giving anybody access to the profile.';

COMMENT ON TRIGGER "_900_announce" ON "public"."profiles" IS 'Last of all: tells the queue clerk_changes. NOTE: not on delete: Clerk''s deletions are updates (tombstones), and removing a tombstone is no news.';

COMMENT ON TYPE "clerk_sync"."observation" IS 'One object of a page as it was read: id, version (ms since the epoch; null when unreadable), organization_id and user_id of a membership or an invitation, and Clerk''s object itself.';

COMMENT ON TYPE "clerk_sync"."reading" IS 'One message as it was read. For the inbox: type, object_id, instance_id (each null if it does not look like one), occurred_at, is_foreign (another instance''s), people (user ids where Clerk has ids), subjects (those and what else looks like one), payload (as far as it may be stored). For applying it: kind (the table it writes; null for none), own_id, organization_id, user_id, deletes, version and observed_at (ms since the epoch), issues ([{path, code}]; null when readable).';

COMMENT ON TYPE "clerk_sync"."told_event" IS 'What tells why a message about an object has its outcome: kind and id of the object; columns of the inbox; deletes; parents (ids of users and organizations that it is about); the applied event that follows it in Clerk''s order (next_id; next_deletes; is_tie: only the message id of that one is greater); registered (the object''s row of the register).';

REVOKE ALL ON FUNCTION "clerk"."actor_id"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."actor_id"() TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."has_org_permission"(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."has_org_permission"(text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."has_org_role"(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."has_org_role"(text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."has_plan"(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."has_plan"(text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."is_blocked"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."is_blocked"() TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."is_member_of"(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."is_member_of"(text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."make_my_profile"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."make_my_profile"() TO "authenticated";

REVOKE ALL ON FUNCTION "clerk"."my_organization_ids"(text, text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."my_organization_ids"(text, text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."org_id"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."org_id"() TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."org_key"(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."org_key"(text) TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."org_role"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."org_role"() TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk"."user_id"() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "clerk"."user_id"() TO "anon", "authenticated", "service_role";

REVOKE ALL ON FUNCTION "clerk_sync"."add_organization"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."add_profile"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."announced_changes"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."apply_event"(text, clerk_sync.reading, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."apply_page"(text, clerk_sync.observation[], bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."apply_page_of_roles"(text, clerk_sync.observation[], bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."apply_role_or_permission"(text, clerk_sync.reading, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."breach"(text, text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."breaches"(jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."call_clerk_reconcile"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."call_clerk_worker"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."change_from"(bigint, integer, timestamp WITH time zone, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."change_id"(jsonb, bigint, timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."claim_deletion"(text, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."claim_permits"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."claim_version"(text, bigint, bigint, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."claimed_organization_id"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."column_changes"(jsonb, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."count_redelivery"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."delete_membership"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."deleted_among"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."erase_addresses_from_inbox"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."erase_from_inbox"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."erase_from_register"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."erase_organization"(text, timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."erase_profile"(text, timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."event_from"(jsonb, text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."event_kind"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."event_status"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."expire_invitations"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."explained"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."explained_events"(text, text, clerk_sync.objects) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."foreign_instance"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."grants_in"(aclitem[], "char", oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."holds_run"(bigint, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."in_words"(timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."in_words"(interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."in_words"(numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."invitation_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."is_deleted"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."is_id"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."is_scheduled"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."issue_in"(clerk_sync.reading) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."keep_data"(text, text[], jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."keep_in_inbox"(text, clerk_sync.reading, jsonb, boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."keep_message"(text, text, jsonb, jsonb, text[], text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."keep_plan"(jsonb, bigint, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."keep_plans_of_failed"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."kept_row"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."kind_of"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."last_event_at"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."left_of"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."living_permissions"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."lock_objects"(text, boolean, text, text[], text[], text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."lock_page"(text[], text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."mapped"(text, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."member_of"(text, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."membership_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."membership_permits"(text, text, text[], text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."newest_key"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."object_facts"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."observe"(text, jsonb, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."organization_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."payer_of"(text, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."payload_left"(jsonb, text, text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."people_in"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."permission_keys_of"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."permissions_in"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."permits"(text, text, bigint, text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."plan_id_in"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."post_to_clerk_worker"(text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."profile_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."purge_tombstones"(text, text[], boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."read_event"(jsonb, text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."read_message"(text, jsonb, text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."refresh_permissions"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."remember_keys"(text, jsonb, bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."remember_membership_deletion"(text, text, timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."role_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."row_status"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."run_status"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."seconds_since"(timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."sorted_ids"(text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."start_schedule"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."stop_schedule"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."storable_payload"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."subjects_left"(text[], jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."subscription_item_from_clerk"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."supersede_memberships"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."surplus_of"(bigint, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg__announce"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg__announce_deletions"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg_organization_memberships__restore"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg_organization_memberships__show_member"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg_organization_memberships__supersede"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."tg_profiles__show_member"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."to_count"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."to_time"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert"(text, clerk_sync.observation[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_invitations"(jsonb[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_memberships"(jsonb[], text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_organizations"(jsonb[], timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_profiles"(jsonb[], timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_roles"(jsonb[], timestamp WITH time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."upsert_subscription_items"(jsonb[], text[], text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."user_ids_in"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."verdict_on"(text, text, jsonb, clerk_sync.objects, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."version"() FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."whole_row"(text, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."why"(clerk_sync.told_event) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."why_not_applied"(clerk_sync.told_event) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."why_stale"(clerk_sync.told_event) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."with_kept"(text, jsonb, jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."without_person"(jsonb, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."without_stale_address"(jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION "clerk_sync"."without_unnamed_member"(jsonb) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."begin_clerk_run"(text, jsonb, text, boolean, integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."claim_welcome_mail"(text, uuid, integer, integer, text) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."clerk_changes_status"() TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."clerk_changes_status"() FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_changes_status"() TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_changes_status"() TO "service_role";

REVOKE ALL ON FUNCTION "public"."clerk_sync_activity"(integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_sync_activity"(integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_sync_activity"(integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."clerk_sync_status"(jsonb) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."clerk_sync_status"(jsonb) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_sync_status"(jsonb) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."clerk_sync_status"(jsonb) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."delete_clerk_surplus"(bigint, bigint, text, text[]) TO "service_role";

REVOKE ALL ON FUNCTION "public"."discard_clerk_messages"(text[]) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."discard_clerk_messages"(text[]) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."discard_clerk_messages"(text[]) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."due_clerk_run"() TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."due_clerk_run"() FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."due_clerk_run"() TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."due_clerk_run"() TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."ensure_profile"() TO "authenticated";

REVOKE ALL ON FUNCTION "public"."ensure_profile"() FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."ensure_profile"() TO "postgres";

REVOKE ALL ON FUNCTION "public"."explain_clerk_object"(text) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."explain_clerk_object"(text) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."explain_clerk_object"(text) TO "service_role";

REVOKE ALL ON FUNCTION "public"."find_clerk_objects"(text, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."find_clerk_objects"(text, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."find_clerk_objects"(text, integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) TO "clerk_ingest";

REVOKE ALL ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_event"(text, jsonb, text[], text, boolean) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."ingest_clerk_snapshot"(text, bigint, jsonb, boolean, boolean) TO "service_role";

REVOKE ALL ON FUNCTION "public"."inspect_clerk_sync"() FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."inspect_clerk_sync"() TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."inspect_clerk_sync"() TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) TO "clerk_ingest";

REVOKE ALL ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."keep_clerk_event"(text, jsonb, text, text[], text) TO "service_role";

REVOKE ALL ON FUNCTION "public"."list_clerk_changes"(integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_changes"(integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_changes"(integer) TO "service_role";

REVOKE ALL
  ON FUNCTION "public"."list_clerk_messages"(text[], text, timestamp WITH time zone, timestamp WITH time zone, text, text, jsonb, boolean, integer, boolean, text)
  FROM "postgres";

GRANT EXECUTE
  ON FUNCTION "public"."list_clerk_messages"(text[], text, timestamp WITH time zone, timestamp WITH time zone, text, text, jsonb, boolean, integer, boolean, text)
  TO "postgres";

GRANT EXECUTE
  ON FUNCTION "public"."list_clerk_messages"(text[], text, timestamp WITH time zone, timestamp WITH time zone, text, text, jsonb, boolean, integer, boolean, text)
  TO "service_role";

REVOKE ALL ON FUNCTION "public"."list_clerk_runs"(integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_runs"(integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_runs"(integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."list_clerk_surplus"(bigint, text, text, integer) TO "service_role";

REVOKE ALL ON FUNCTION "public"."maintain_clerk_sync"(boolean, jsonb, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."maintain_clerk_sync"(boolean, jsonb, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."maintain_clerk_sync"(boolean, jsonb, integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_seen"(bigint, bigint, text[]) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."note_clerk_surplus"(bigint, bigint, text, text[]) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."read_clerk_changes"(integer, integer) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."read_clerk_changes"(integer, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."read_clerk_changes"(integer, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."read_clerk_changes"(integer, integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) TO "clerk_ingest";

REVOKE ALL ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."record_clerk_rejection"(text, text, jsonb, jsonb) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."redrive_clerk_changes"(integer) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."redrive_clerk_changes"(integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."redrive_clerk_changes"(integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."redrive_clerk_changes"(integer) TO "service_role";

REVOKE ALL ON FUNCTION "public"."replay_clerk_message"(text, text[], text, boolean) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."replay_clerk_message"(text, text[], text, boolean) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."replay_clerk_message"(text, text[], text, boolean) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."save_clerk_run"(bigint, bigint, jsonb, boolean, integer) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."settle_clerk_changes"(jsonb) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."settle_clerk_changes"(jsonb) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."settle_clerk_changes"(jsonb) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."settle_clerk_changes"(jsonb) TO "service_role";

GRANT EXECUTE ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) TO "clerk_worker";

REVOKE ALL ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) FROM "postgres";

GRANT EXECUTE ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) TO "postgres";

GRANT EXECUTE ON FUNCTION "public"."settle_welcome_mail"(text, uuid, boolean) TO "service_role";

GRANT USAGE ON SCHEMA "clerk" TO "anon", "authenticated", "service_role";

REVOKE ALL ON SCHEMA "public" FROM "clerk_ingest";

GRANT USAGE ON SCHEMA "public" TO "clerk_ingest";

REVOKE ALL ON SCHEMA "public" FROM "clerk_worker";

GRANT USAGE ON SCHEMA "public" TO "clerk_worker";

REVOKE ALL ON TABLE "public"."organization_invitations" FROM "authenticated";

GRANT SELECT ON TABLE "public"."organization_invitations" TO "authenticated";

REVOKE ALL ON TABLE "public"."organization_invitations" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."organization_invitations" TO "postgres";

REVOKE ALL ON TABLE "public"."organization_invitations" FROM "service_role";

GRANT SELECT ON TABLE "public"."organization_invitations" TO "service_role";

REVOKE ALL ON TABLE "public"."organization_memberships" FROM "authenticated";

GRANT SELECT ON TABLE "public"."organization_memberships" TO "authenticated";

REVOKE ALL ON TABLE "public"."organization_memberships" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."organization_memberships" TO "postgres";

REVOKE ALL ON TABLE "public"."organization_memberships" FROM "service_role";

GRANT SELECT ON TABLE "public"."organization_memberships" TO "service_role";

REVOKE ALL ON TABLE "public"."organization_roles" FROM "authenticated";

GRANT SELECT ON TABLE "public"."organization_roles" TO "authenticated";

REVOKE ALL ON TABLE "public"."organization_roles" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."organization_roles" TO "postgres";

REVOKE ALL ON TABLE "public"."organization_roles" FROM "service_role";

GRANT SELECT ON TABLE "public"."organization_roles" TO "service_role";

REVOKE ALL ON TABLE "public"."organizations" FROM "authenticated";

GRANT SELECT ON TABLE "public"."organizations" TO "authenticated";

REVOKE ALL ON TABLE "public"."organizations" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."organizations" TO "postgres";

REVOKE ALL ON TABLE "public"."organizations" FROM "service_role";

GRANT SELECT ON TABLE "public"."organizations" TO "service_role";

REVOKE ALL ON TABLE "public"."profiles" FROM "authenticated";

GRANT SELECT ON TABLE "public"."profiles" TO "authenticated";

REVOKE ALL ON TABLE "public"."profiles" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."profiles" TO "postgres";

REVOKE ALL ON TABLE "public"."profiles" FROM "service_role";

GRANT SELECT ON TABLE "public"."profiles" TO "service_role";

REVOKE ALL ON TABLE "public"."subscription_items" FROM "authenticated";

GRANT SELECT ON TABLE "public"."subscription_items" TO "authenticated";

REVOKE ALL ON TABLE "public"."subscription_items" FROM "postgres";

GRANT DELETE, INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE ON TABLE "public"."subscription_items" TO "postgres";

REVOKE ALL ON TABLE "public"."subscription_items" FROM "service_role";

GRANT SELECT ON TABLE "public"."subscription_items" TO "service_role";
