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
$$;

comment on function clerk_sync.tg__announce() is
  'Puts {topic, id, changed, caused_by, via} on the queue clerk_changes: <kind>.created, <kind>.updated or <kind>.deleted, with the columns that changed. Trigger arguments: the kind, then the synced columns to compare; a change of any other column is not announced, nor one of last_sign_in_at or members_count by a snapshot. caused_by (the message id) and via (webhook, ensure_profile, snapshot) are settings of the transaction; both are null when somebody changes a row by hand. profile.deleted also has the external_id that Clerk''s deletion carried, likewise a setting: the tombstone has none.';

create function clerk_sync.tg__announce_deletions()
returns trigger
language plpgsql
volatile
-- Definer, because whoever may delete a row need not have any right on the queue.
security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function clerk_sync.tg__announce_deletions() is
  'Puts <kind>.deleted on the queue clerk_changes for each row of the transition table gone. Once per statement, because an organization can have very many members. Trigger argument: the kind.';
