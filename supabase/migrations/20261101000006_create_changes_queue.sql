-- One thin message per real change, for whatever the application does next. Ids and column names
-- only: a consumer reads the current row.

create extension if not exists pgmq;

select pgmq.create('clerk_changes');

alter table pgmq.q_clerk_changes enable row level security;
alter table pgmq.a_clerk_changes enable row level security;
revoke all on table pgmq.q_clerk_changes, pgmq.a_clerk_changes from public, anon, authenticated;

create function clerk_sync.tg__announce()
returns trigger
language plpgsql
volatile
-- Definer, because a permitted edit of an application column must not fail for want of rights on the
-- queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before jsonb := '{}';
  after jsonb;
  changed text[] := '{}';
  verb text;
begin
  if tg_op = 'DELETE' then
    after := to_jsonb(old);
    verb := 'deleted';
  else
    if tg_op = 'UPDATE' then
      before := to_jsonb(old);
    end if;
    after := to_jsonb(new);
    changed := array(
      select name
      from unnest(tg_argv[1:]) as name
      where after -> name is distinct from coalesce(before -> name, 'null')
    );

    if after ->> 'deleted_at' is null then
      verb := case when tg_op = 'INSERT' then 'created' when changed <> '{}' then 'updated' end;
    elsif before ->> 'deleted_at' is null then
      verb := 'deleted';
    end if;
  end if;

  -- No synced column changed, or a tombstone was edited.
  if verb is null then
    return null;
  end if;

  -- What pgmq.send does. pgmq.send plans its insert in every call, which took as long as all other
  -- writes of a delivery together.
  insert into pgmq.q_clerk_changes (vt, message)
  values (
    clock_timestamp(),
    jsonb_build_object(
      'topic', tg_argv[0] || '.' || verb,
      'id', after ->> 'id',
      'changed', changed,
      'caused_by', nullif(current_setting('clerk_sync.caused_by', true), ''),
      'via', nullif(current_setting('clerk_sync.via', true), '')
    )
  );

  return null;
end
$$;

comment on function clerk_sync.tg__announce() is
  'Puts {topic, id, changed, caused_by, via} on the queue clerk_changes: <kind>.created, <kind>.updated or <kind>.deleted, with the columns that changed. Trigger arguments: the kind, then the synced columns to compare; a change of any other column is not announced. caused_by (the message id) and via (webhook, ensure_profile) are settings of the transaction; both are null when somebody changes a row by hand.';
