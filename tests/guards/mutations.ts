import type { Mutation } from "./mutation.ts";

// Every guard of docs/architecture.md's promises that `deno task guards` takes away, one at a time. An
// entry whose text is no longer found, or whose test does not notice, fails loudly: when the code
// changes, change its entry here.

const MIGRATION = "supabase/migrations/202611010000";
const SCHEMAS = `${MIGRATION}01_create_schemas_and_roles.sql`;
const PROFILES = `${MIGRATION}03_create_profiles.sql`;
const MEMBERSHIPS = `${MIGRATION}05_create_organization_memberships.sql`;
const POLICIES = `${MIGRATION}06_create_policy_toolkit.sql`;
const INBOX = `${MIGRATION}11_create_inbox.sql`;
const QUEUE = `${MIGRATION}12_create_changes_queue.sql`;
const MAPPINGS = `${MIGRATION}13_create_mappings.sql`;
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const APPLY = `${MIGRATION}15_create_apply_functions.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const WORKER_FUNCTIONS = `${MIGRATION}20_create_queue_worker_functions.sql`;
const WELCOME_MAILS = `${MIGRATION}21_create_welcome_mails.sql`;

const VERIFY = "functions/_shared/verify.ts";
const BODY = "functions/_shared/body.ts";
const EVENT = "functions/_shared/clerk/event.ts";
const WEBHOOK = "functions/clerk-webhook/handler.ts";
const CALLS = "functions/_shared/inbox.ts";
const WORKER = "functions/queue-worker/worker.ts";
const WORKER_HTTP = "functions/queue-worker/handler.ts";

const PGTAP = "tests/supabase/pgtap_test.ts";
const CONCURRENCY = "tests/supabase/concurrency_test.ts";
const WEBHOOK_TEST = "tests/functions/clerk-webhook/handler_test.ts";
const OUTCOMES = "tests/functions/clerk-webhook/outcomes_test.ts";
const WORKER_TEST = "tests/functions/queue-worker/worker_test.ts";

export const MUTATIONS: readonly Mutation[] = [
  // Authentic or nothing.
  {
    invariant: "I1",
    what: "a signature that does not match is taken for one that does",
    file: VERIFY,
    from: "if (error instanceof WebhookVerificationError) return false;",
    to: "if (error instanceof WebhookVerificationError) return true;",
    test: "tests/functions/_shared/verify_test.ts",
  },
  {
    invariant: "I1",
    what: "the webhook does not ask whether the message is authentic",
    file: WEBHOOK,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: "",
    test: WEBHOOK_TEST,
    filter: "a body changed after signing",
  },
  {
    invariant: "I1",
    what: "the database hears of a message before its signature is checked",
    file: WEBHOOK,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: `const early = readEvent(body.text);
      if (early.kind === "readable") await deps.inbox.ingest(headers.id, early.event);
      if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };`,
    test: OUTCOMES,
    filter: "unauthentic requests are 401",
  },
  {
    invariant: "I1",
    what: "bytes are verified as what they look like, not as they came",
    file: BODY,
    from: "fatal: true",
    to: "fatal: false",
    test: WEBHOOK_TEST,
    filter: "bytes that only look alike",
  },
  {
    invariant: "I1",
    what: "a set of signature headers counts though it is not whole",
    file: VERIFY,
    from: "id && timestamp && signature &&",
    to: "id &&",
    test: "tests/functions/_shared/verify_test.ts",
  },

  // Acknowledged means durable.
  {
    invariant: "I2",
    what: "the webhook answers before the database has committed",
    file: WEBHOOK,
    from: "? await deps.inbox.ingest(messageId, reading.event)",
    to: '? (deps.inbox.ingest(messageId, reading.event), { outcome: "applied" as const })',
    test: WEBHOOK_TEST,
    filter: "an unavailable database is 503",
  },
  {
    invariant: "I2",
    what: "a database that cannot be reached is acknowledged",
    file: WEBHOOK,
    from: "unavailable: 503",
    to: "unavailable: 200",
    test: WEBHOOK_TEST,
    filter: "an unavailable database is 503",
  },
  {
    invariant: "I2",
    what: "a refusal of the database passes for an answer",
    file: CALLS,
    from: 'return { outcome: "unavailable", code };\n',
    to: 'return { outcome: "applied" };\n',
    test: OUTCOMES,
    filter: "a role without the right is 503",
  },
  {
    invariant: "I2",
    what: "an answer that is none of ours passes for one",
    file: CALLS,
    from:
      'return answer.success ? answer.data : { outcome: "unavailable", code: "strange_answer" };',
    to: 'return answer.success ? answer.data : { outcome: "applied" };',
    test: "tests/functions/_shared/inbox_test.ts",
    filter: "none of ours",
  },
  {
    invariant: "I2",
    what: "the entry point commits without waiting for the disk",
    file: INGEST,
    from: "-- Definer, so that the webhook's role needs no right on any table.\nsecurity definer",
    to: "security definer\nset synchronous_commit = off",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },

  // Once.
  {
    invariant: "I3",
    what: "a message that was done by another delivery meanwhile is written again",
    file: INBOX_FUNCTIONS,
    from: "where kept.outcome in ('failed', 'unreadable');",
    to: ";",
    test: CONCURRENCY,
    filter: "20 times at once",
  },
  {
    invariant: "I3",
    what: "nobody asks whether a message is done already",
    file: INGEST,
    from: "if clerk_sync.count_redelivery(ingest_clerk_event.message_id) then",
    to: "if false then",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I3",
    what: "a change that a worker holds is handed to another one",
    file: WORKER_FUNCTIONS,
    from: "least(greatest(visibility_seconds, 1), 3600)",
    to: "0",
    test: "tests/functions/queue-worker/two_workers_test.ts",
    filter: "no change is handed to two workers",
  },
  {
    invariant: "I3",
    what: "two workers bury one change twice",
    file: WORKER_FUNCTIONS,
    from: "read_ct = coalesce(one.reads, read_ct)\n        for update;",
    to: "read_ct = coalesce(one.reads, read_ct);",
    test: "tests/functions/queue-worker/two_workers_test.ts",
    filter: "of two workers that bury one change",
  },
  {
    invariant: "I3",
    what: "a verdict that comes too late cuts short the time of whoever holds the change now",
    file: WORKER_FUNCTIONS,
    from: "          and read_ct = coalesce(one.reads, read_ct)\n",
    to: "",
    test: PGTAP,
    filter: "queue.sql",
  },
  {
    invariant: "I3",
    what: "the time that a change is held begins when the answer comes",
    file: WORKER,
    from: " - (started - asked)",
    to: "",
    test: WORKER_TEST,
    filter: "not when the answer comes",
  },
  {
    invariant: "I3",
    what: "who gives up too late gives back the claim of another to the welcome mail",
    file: WELCOME_MAILS,
    from: "    and welcome_mails.claim = settle_welcome_mail.claim\n",
    to: "",
    test: PGTAP,
    filter: "queue.sql",
  },
  {
    invariant: "I3",
    what: "a mail server that took the welcome mail and never said so gets it again",
    file: "functions/queue-worker/handlers/smtp.ts",
    from: "throw isHandedOver",
    to: "throw false",
    test: "tests/functions/queue-worker/welcome_email_test.ts",
    filter: "never said so",
  },
  {
    invariant: "I3",
    what: "a welcome mail that somebody is about to send can be claimed",
    file: WELCOME_MAILS,
    from:
      "\n    and kept.claimed_at < now() - make_interval(secs => claim_welcome_mail.lease_seconds)",
    to: "",
    test: "tests/functions/queue-worker/welcome_email_test.ts",
    filter: "while one greets",
  },

  // Convergent.
  {
    invariant: "I4",
    what: "versions are not compared: what comes last wins",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: "",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I4",
    what: "of two events with one updated_at the one that comes first wins",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: "\n      and objects.version < apply_event.version",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I4",
    what: "of two events with equal times the one that comes first wins",
    file: INGEST,
    from: `
      and (objects.version, objects.observed_at, objects.message_id)
        < (apply_event.version, apply_event.observed_at, apply_event.message_id)`,
    to: `
      and (objects.version, objects.observed_at) < (apply_event.version, apply_event.observed_at)`,
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I4",
    what: "the envelope's time decides before updated_at",
    file: INGEST,
    from: "coalesce(updated_at, envelope, created_at)",
    to: "coalesce(envelope, updated_at, created_at)",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I4",
    what: "seconds are taken for milliseconds",
    file: MAPPINGS,
    from: "then to_timestamp(trunc(number * 1000) / 1000)",
    to: "then to_timestamp(trunc(number) / 1000)",
    test: PGTAP,
    filter: "/ordering.sql|mapping.sql/",
  },
  {
    invariant: "I4",
    what: "register rows are locked in any order",
    file: INBOX_FUNCTIONS,
    from: `select distinct id collate "C"
      from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id]) as spoken_of (id)
      where id is not null
      order by 1`,
    to: `select id
      from unnest(others || rewritten_ids || array[own_id, lock_objects.organization_id]) as spoken_of (id)
      where id is not null
      group by id
      order by random()`,
    test: CONCURRENCY,
    filter: "in any order do not deadlock",
  },
  {
    invariant: "I4",
    what: "of several memberships of one person the oldest counts",
    file: POLICIES,
    from: 'order by organization_id, created_at desc nulls last, id collate "C" desc',
    to: 'order by organization_id, created_at, id collate "C"',
    test: PGTAP,
    filter: "toolkit.sql",
  },

  // Deletion is terminal.
  {
    invariant: "I5",
    what: "an update is applied to what is deleted",
    file: INGEST,
    from: "      and deleted_at is null\n      and (objects.version",
    to: "      and (objects.version",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I5",
    what: "a signed-in browser makes the row of a deleted user",
    file: APPLY,
    from: "where objects.id = make_stubs.user_id\n    and objects.deleted_at is null",
    to: "where objects.id = make_stubs.user_id",
    test: "tests/supabase/ensure_profile_test.ts",
    filter: "a deleted user whose tombstone was purged",
  },
  {
    invariant: "I5",
    what: "a membership comes back to a deleted organization",
    file: INGEST,
    from:
      "(apply_event.organization_id is not null and clerk_sync.is_deleted(apply_event.organization_id))",
    to: "false",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    invariant: "I5",
    what: "a membership comes back to a deleted user",
    file: INGEST,
    from: "(kind = 'membership' and clerk_sync.is_deleted(apply_event.user_id))",
    to: "false",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    invariant: "I9",
    what: "a deletion does not wait for what speaks of its person",
    file: INBOX_FUNCTIONS,
    from: "perform from clerk_sync.objects where id = locked_id for share;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "in flight, and erases it",
  },
  {
    invariant: "I5",
    what: "a deletion is compared with what is there, and can be late",
    file: INGEST,
    from: "where id = own_id\n      and deleted_at is null;",
    to:
      "where id = own_id\n      and deleted_at is null\n      and objects.version < apply_event.version;",
    test: PGTAP,
    filter: "ordering.sql",
  },

  // Children may come first.
  {
    invariant: "I6",
    what: "a membership makes no rows for its parents",
    file: INGEST,
    from: "if kind in ('membership', 'invitation') then",
    to: "if kind = 'invitation' then",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    invariant: "I6",
    what: "a membership makes no row for its user",
    file: INGEST,
    from: "case kind when 'membership' then apply_event.user_id end",
    to: "null",
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    invariant: "I6",
    what: "only a membership that is applied makes rows for its parents",
    file: INGEST,
    from: "if kind in ('membership', 'invitation') then",
    to: `if kind in ('membership', 'invitation')
      and not exists (select from clerk_sync.objects where id = own_id and (objects.version >= apply_event.version or deleted_at is not null))
      and not deletes
    then`,
    test: PGTAP,
    filter: "teams.sql",
  },
  {
    invariant: "I6",
    what: "a membership needs no organization",
    file: MEMBERSHIPS,
    from: "organization_id text not null references public.organizations (id) on delete cascade,",
    to: "organization_id text not null,",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },

  // One downstream message per real change.
  {
    invariant: "I7",
    what: "an update that changes nothing is announced",
    file: QUEUE,
    from: "elsif changed <> '{}' then\n    perform clerk_sync.announce('profile.updated'",
    to: "else\n    perform clerk_sync.announce('profile.updated'",
    test: PGTAP,
    filter: "announcements.sql",
  },
  {
    invariant: "I7",
    what: "a row that would not change is written all the same",
    file: APPLY,
    from: "where (\n    kept.external_id",
    to: "where true or (\n    kept.external_id",
    test: PGTAP,
    filter: "/announcements.sql|ordering.sql/",
  },
  {
    invariant: "I7",
    what: "a changed address is not announced",
    file: QUEUE,
    from: "    case when new.email is distinct from old.email then 'email' end,\n",
    to: "",
    test: PGTAP,
    filter: "announcements.sql",
  },
  {
    invariant: "I7",
    what: "every sign of activity is announced",
    file: QUEUE,
    from: "    case when new.email is distinct from old.email then 'email' end,\n",
    to: `    case when new.email is distinct from old.email then 'email' end,
    case when new.last_active_at is distinct from old.last_active_at then 'last_active_at' end,
`,
    test: PGTAP,
    filter: "announcements.sql",
  },
  {
    invariant: "I7",
    what: "a new name announces every membership of the person",
    file: QUEUE,
    from: "    case when new.role_name is distinct from old.role_name then 'role_name' end,\n",
    to: `    case when new.role_name is distinct from old.role_name then 'role_name' end,
    case when new.member_name is distinct from old.member_name then 'member_name' end,
`,
    test: PGTAP,
    filter: "/announcements.sql|teams.sql/",
  },

  // No secrets where clients read.
  {
    invariant: "I8",
    what: "private metadata reaches the profile",
    file: MAPPINGS,
    from: `public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  unsafe_metadata`,
    to:
      `public_metadata := coalesce(data -> 'public_metadata', '{}') || coalesce(data -> 'private_metadata', '{}');
  unsafe_metadata`,
    test: PGTAP,
    filter: "mapping.sql",
  },
  {
    invariant: "I8",
    what: "the answer tells what the log tells",
    file: WEBHOOK,
    from:
      "function respond({ outcome, messageId }: Receipt): Response {\n  return Response.json(\n    { outcome,",
    to:
      "function respond({ outcome, messageId, context }: Receipt): Response {\n  return Response.json(\n    { outcome, ...context,",
    test: WEBHOOK_TEST,
  },
  {
    invariant: "I8",
    what: "whatever a sender calls a type is logged",
    file: WEBHOOK,
    from: 'return /^[A-Za-z]{1,64}\\.[A-Za-z]{1,64}$/.test(type) ? type : "(unusual)";',
    to: "return type;",
    test: WEBHOOK_TEST,
    filter: "no log line and no answer quotes",
  },
  {
    invariant: "I8",
    what: "the database's own words about a row leave the database",
    file: INGEST,
    from: "'sqlstate', case outcome when 'failed' then state end,",
    to: "'sqlstate', case outcome when 'failed' then state end, 'message', reason,",
    test: PGTAP,
    filter: "/ordering.sql|erasure.sql/",
  },
  {
    invariant: "I8",
    what: "an issue quotes the value that it is about",
    file: EVENT,
    from: "    code,\n  }));",
    to: "    code: String(error.message) + JSON.stringify(error.issues),\n  }));",
    test: "tests/functions/_shared/clerk/event_test.ts",
  },
  {
    invariant: "I8",
    what: "the worker logs what a handler's error says",
    file: WORKER,
    from: 'error instanceof HandlerError ? error.errorClass : "handler_crashed"',
    to: "String((error as Error).message)",
    test: WORKER_TEST,
    filter: "its text goes nowhere",
  },

  // Erasure.
  {
    invariant: "I9",
    what: "the inbox keeps the messages of a deleted user",
    file: APPLY,
    from: "  perform clerk_sync.erase_from_inbox(delete_user.user_id);\n",
    to: "",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    invariant: "I9",
    what: "the register keeps data that speaks of a deleted user",
    file: APPLY,
    from: "    data = null,\n    subjects = '{}'\n  where cardinality(subjects) > 0",
    to: "    data = data\n  where cardinality(subjects) > 0",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    invariant: "I9",
    what: "what speaks of a deleted user later is kept whole",
    file: INBOX_FUNCTIONS,
    from: "case when not (speaks_of_deleted or is_foreign)",
    to: "case when not is_foreign",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    invariant: "I9",
    what: "the text of an error outlives its person",
    file: APPLY,
    from: "    payload = null,\n    error = error - '{message,issues}'::text[]\n",
    to: "    payload = null\n",
    test: PGTAP,
    filter: "erasure.sql",
  },
  {
    invariant: "I9",
    what: "an apply that fails while its person is deleted keeps what it read",
    file: INBOX_FUNCTIONS,
    from: "perform from clerk_sync.objects where id = locked_id for no key update;",
    to: "perform from clerk_sync.objects where id = locked_id;",
    test: CONCURRENCY,
    filter: "erasure also erases an apply",
  },
  {
    invariant: "I9",
    what: "one-time codes and addresses without an id are kept",
    file: INBOX_FUNCTIONS,
    from: "!~ '^(email|sms|waitlistEntry)\\.'",
    to: "!~ '^(email)\\.'",
    test: PGTAP,
    filter: "/ordering.sql|erasure.sql|mapping.sql/",
  },
  {
    invariant: "I9",
    what: "the queue carries the address",
    file: QUEUE,
    from: "perform clerk_sync.announce('profile.updated', new.id, changed);",
    to: "perform clerk_sync.announce('profile.updated', new.id, changed || new.email);",
    test: PGTAP,
    filter: "/announcements.sql|erasure.sql/",
  },
  {
    invariant: "I9",
    what: "a dead letter quotes the error of its handler",
    file: WORKER_FUNCTIONS,
    from: "coalesce(substring(one.error_class from '^[a-z0-9_]{1,50}$'), 'unknown')",
    to: "one.error_class",
    test: "tests/functions/queue-worker/erasure_test.ts",
  },

  // Least privilege.
  {
    invariant: "I10",
    what: "the webhook's role may read the profiles",
    file: PROFILES,
    from: "grant select on table public.profiles to authenticated;",
    to: "grant select on table public.profiles to authenticated, clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    invariant: "I10",
    what: "the webhook's role may become another one",
    file: SCHEMAS,
    from: "grant usage on schema public to clerk_ingest;",
    to: "grant usage on schema public to clerk_ingest; grant service_role to clerk_ingest;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    invariant: "I10",
    what: "who is signed in may call the webhook's entry point",
    file: INGEST,
    from:
      "revoke all on function public.ingest_clerk_event(text, jsonb)\n  from public, anon, authenticated, service_role;",
    to: "",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    invariant: "I10",
    what: "who is signed in may call the worker's entry points",
    file: WORKER_FUNCTIONS,
    from: "  to clerk_worker, service_role;",
    to: "  to clerk_worker, service_role, authenticated;",
    test: PGTAP,
    filter: "grants.sql",
  },
  {
    invariant: "I10",
    what: "people read each other's profiles",
    file: PROFILES,
    from: "using (id = (select clerk.user_id()) and deleted_at is null)",
    to: "using (deleted_at is null)",
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    invariant: "I10",
    what: "outsiders read who is in a team",
    file: POLICIES,
    from: `organization_id = any (array(select clerk.my_organization_ids()))
    and id <> all`,
    to: "id <> all",
    test: PGTAP,
    filter: "teams_rls.sql",
  },
  {
    invariant: "I10",
    what: "row-level security is off",
    file: INBOX,
    from: "alter table clerk_sync.inbox enable row level security;",
    to: "",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    invariant: "I10",
    what: "a caller's search path reaches a definer function",
    file: WELCOME_MAILS,
    from: `language plpgsql
volatile
-- Definer, so that the worker's role needs no right on any table.
security definer
set search_path = ''`,
    to: "language plpgsql\nvolatile\nsecurity definer",
    test: PGTAP,
    filter: "catalog_rules.sql",
  },
  {
    invariant: "I10",
    what: "of the worker's secret only the last byte of its digest is compared",
    file: WORKER_HTTP,
    from: "difference |=",
    to: "difference =",
    test: "tests/functions/queue-worker/handler_test.ts",
    filter: "no other secret opens the worker",
  },
  {
    invariant: "I10",
    what: "the worker's secret is compared only as far as it goes",
    file: WORKER_HTTP,
    from: "if (!await isSame(bearerOf(request), deps.secret)) {",
    to: "if (!deps.secret.startsWith(bearerOf(request))) {",
    test: "tests/functions/queue-worker/handler_test.ts",
    filter: "without its secret",
  },

  // Yours stays yours.
  {
    invariant: "I11",
    what: "a deletion makes the row anew, without the application's columns",
    file: APPLY,
    from: `  insert into public.profiles as kept (id, deleted_at)`,
    to: `  delete from public.profiles where id = delete_user.user_id;
  insert into public.profiles as kept (id, deleted_at)`,
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    invariant: "I11",
    what: "an update makes the row anew, without the application's columns",
    file: APPLY,
    from: "  insert into public.profiles as kept (\n    id, external_id",
    to: `  delete from public.profiles where id = data ->> 'id'
    and not exists (select from public.organization_memberships where user_id = data ->> 'id');
  insert into public.profiles as kept (
    id, external_id`,
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    invariant: "I11",
    what: "an edit of an application's column is announced",
    file: QUEUE,
    from: "elsif changed <> '{}' then\n    perform clerk_sync.announce('profile.updated'",
    to: "elsif old is distinct from new then\n    perform clerk_sync.announce('profile.updated'",
    test: PGTAP,
    filter: "profiles_rls.sql",
  },
  {
    invariant: "I11",
    what: "who edits an application's column needs a right on the queue",
    file: QUEUE,
    from:
      `-- Definer, because a person's permitted edit of an application column must not fail for want of
-- rights on the queue.
security definer`,
    to: "security invoker",
    test: PGTAP,
    filter: "announcements.sql",
  },

  // Nothing is lost.
  {
    invariant: "I12",
    what: "what cannot be read is answered, and not kept",
    file: WEBHOOK,
    from: ": await deps.inbox.reject(messageId, reading.type, reading.issues, reading.payload);",
    to: ': { outcome: "unreadable" as const };',
    test: WEBHOOK_TEST,
    filter: "a readable event is ingested",
  },
  {
    invariant: "I12",
    what: "what fails to apply is not kept",
    file: INGEST,
    from: "if state ~ '^(40|53|57)' or state = '55P03' then",
    to: "if true then",
    test: OUTCOMES,
    filter: "a trigger that raises",
  },
  {
    invariant: "I12",
    what: "a constraint that waits for the commit takes the message with it",
    file: INGEST,
    from: "      set constraints all immediate;\n",
    to: "",
    test: OUTCOMES,
    filter: "a deferred trigger that raises",
  },
  {
    invariant: "I12",
    what: "a message that failed is never tried again",
    file: INBOX_FUNCTIONS,
    from: "    and outcome not in ('failed', 'unreadable');",
    to: ";",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I12",
    what: "a database in trouble is taken for an event that fails",
    file: INGEST,
    from: "if state ~ '^(40|53|57)' or state = '55P03' then",
    to: "if state = '55P03' then",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    invariant: "I12",
    what: "the worker settles a change as done before its handlers have run",
    file: WORKER,
    from: "    const work = runOne(change,",
    to: `    settler.add({ message_id: change.message_id, reads: change.reads, verdict: "done" });
    const work = runOne(change,`,
    test: WORKER_TEST,
    filter: "settled after its handlers",
  },
  {
    invariant: "I12",
    what: "a change whose handler fails is done",
    file: WORKER,
    from: 'if (errorClass === undefined) return { message_id, reads, verdict: "done" };',
    to: 'if (errorClass !== "never_settled") return { message_id, reads, verdict: "done" };',
    test: WORKER_TEST,
    filter: "is tried again",
  },
  {
    invariant: "I12",
    what: "a change that is given up leaves no dead letter",
    file: WORKER_FUNCTIONS,
    from: "          perform pgmq.send(\n            'clerk_changes_dead',",
    to: "          perform row(\n            'nowhere',",
    test: PGTAP,
    filter: "queue.sql",
  },
];
