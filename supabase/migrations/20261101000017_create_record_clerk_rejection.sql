-- The other entry point: what is authentic but cannot be read is kept, never lost.

create function public.record_clerk_rejection(message_id text, type text, issues jsonb, payload jsonb)
returns jsonb
language plpgsql
volatile
-- Definer, so that the webhook's role needs no right on any table.
security definer
set search_path = ''
as $$
declare
  subjects text[];
begin
  if clerk_sync.count_redelivery(record_clerk_rejection.message_id) then
    return jsonb_build_object('outcome', 'duplicate');
  end if;

  if clerk_sync.is_foreign(payload) then
    return jsonb_build_object('outcome', clerk_sync.keep_in_inbox(
      record_clerk_rejection.message_id, record_clerk_rejection.type, '{}', payload, true, 'ignored', null));
  end if;

  subjects := clerk_sync.user_ids_in(payload);
  perform clerk_sync.lock_objects(null, false, null, subjects);

  return jsonb_build_object('outcome', clerk_sync.keep_in_inbox(
    record_clerk_rejection.message_id,
    record_clerk_rejection.type,
    subjects,
    payload,
    false,
    'unreadable',
    jsonb_build_object('issues', coalesce(record_clerk_rejection.issues, '[]'))));
end
$$;

comment on function public.record_clerk_rejection(text, text, jsonb, jsonb) is
  'Keeps one authentic message that could not be read, with its issues ([{path, code}]) and its body (or {"raw": text}), and returns {outcome}: unreadable, ignored (another instance''s) or duplicate.';

revoke all on function public.record_clerk_rejection(text, text, jsonb, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.record_clerk_rejection(text, text, jsonb, jsonb)
  to clerk_ingest, service_role;
