-- Who reads and writes profiles, by threat, with named people:
--
--   alice  the owner
--   eve    another user, with a profile of her own
--   dora   deleted, with a session token that is still valid
--   nora   signed in before her first event arrived: no profile yet
--
-- Each acts as the real role, with the claims of a real token.

begin;
set local search_path = public, extensions;
select plan(89);


-- Arrange ------------------------------------------------------------------------------------

-- Since Postgres 16, the creator of a role may grant it, but not become it.
grant clerk_ingest to current_user;

create function pg_temp.deliver(message_id text, type text, id text, at bigint, data jsonb default '{}')
returns jsonb
language plpgsql
as $$
declare
  answer jsonb;
begin
  set local role clerk_ingest;
  answer := public.ingest_clerk_event(message_id, jsonb_build_object(
    'type', type,
    'timestamp', at,
    'data', jsonb_build_object('id', id, 'updated_at', at) || data));
  reset role;
  return answer;
end
$$;

-- Runs a statement as the webhook, whose role cannot call pgTAP itself.
create function pg_temp.as_webhook(statement text)
returns void
language plpgsql
as $$
begin
  set local role clerk_ingest;
  execute statement;
  reset role;
end
$$;

-- Statements that try to write.
create function pg_temp.attempts()
returns table (deed text, statement text)
language sql
as $$
  values
    ('insert a profile', 'insert into public.profiles (id) values (''user_mallory'')'),
    ('insert a profile of their own', 'insert into public.profiles (id) values (clerk.user_id())'),
    ('update any profile', 'update public.profiles set first_name = ''Mallory'''),
    ('update their own profile', 'update public.profiles set first_name = ''Mallory'' where id = clerk.user_id()'),
    ('lift a ban', 'update public.profiles set banned = false'),
    ('delete any profile', 'delete from public.profiles'),
    ('truncate profiles', 'truncate public.profiles'),
    ('lock profiles', 'lock table public.profiles in share mode')
$$;

do $$
begin
  perform pg_temp.deliver('msg_1', 'user.created', 'user_alice', 1760000000000, '{"first_name": "Alice"}');
  perform pg_temp.deliver('msg_2', 'user.created', 'user_eve', 1760000000000, '{"first_name": "Eve"}');
  perform pg_temp.deliver('msg_3', 'user.created', 'user_dora', 1760000000000, '{"first_name": "Dora"}');
  perform pg_temp.deliver('msg_4', 'user.deleted', 'user_dora', 1760000000000);
end
$$;

select results_eq(
  'select id, first_name from profiles order by id',
  $$ values ('user_alice', 'Alice'), ('user_dora', null), ('user_eve', 'Eve') $$,
  'control: alice and eve have profiles, dora a tombstone'
);
select hasnt_column(
  'public', 'profiles', 'private_metadata',
  'clients can read no private metadata'
);


-- Alice, the owner ---------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';

select is(clerk.user_id(), 'user_alice', 'the user is the sub of the token');
select results_eq(
  'select id, first_name from profiles',
  $$ values ('user_alice', 'Alice') $$,
  'the owner reads her own profile, and no other'
);
select is_empty(
  $$ select from profiles where id = 'user_eve' $$,
  'the owner cannot read another profile by its id'
);
select is(
  (select count(*) from profiles where id in ('user_alice', 'user_eve', 'user_dora')), 1::bigint,
  'the owner''s count of profiles leaves out all others'
);
select throws_ok(statement, '42501', null, 'the owner cannot ' || deed)
from pg_temp.attempts();
select throws_ok(
  'table clerk_sync.inbox', '42501', null,
  'the owner cannot read what Clerk sent about her'
);
select throws_ok(
  'table pgmq.q_clerk_changes', '42501', null,
  'the owner cannot read the queue'
);
select throws_ok(
  $$ select public.ingest_clerk_event('msg_forged', '{}') $$, '42501', null,
  'the owner cannot call the webhook''s function'
);
select throws_ok(
  $$ select public.record_clerk_rejection('msg_forged', null, '[]', '{}') $$, '42501', null,
  'the owner cannot call the webhook''s other function'
);

reset role;


-- Eve, another user --------------------------------------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_eve", "role": "authenticated"}';

select results_eq(
  'select id from profiles',
  array['user_eve'],
  'another user reads her own profile, and not the owner''s'
);
select is_empty(
  $$ select from profiles where first_name = 'Alice' $$,
  'another user finds no profile by name'
);
select throws_ok(statement, '42501', null, 'another user cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Dora, deleted, with a token that is still valid --------------------------------------------

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_dora", "role": "authenticated"}';

select is_empty('table profiles', 'a deleted user reads nothing, not even their own tombstone');
select throws_ok(statement, '42501', null, 'a deleted user cannot ' || deed)
from pg_temp.attempts();

reset role;


-- Tokens that name no user -------------------------------------------------------------------

set local role authenticated;

set local request.jwt.claims = '{"sub": "user_nora", "role": "authenticated"}';
select is_empty('table profiles', 'a user whose profile has not arrived reads nothing');

set local request.jwt.claims = '{"role": "authenticated"}';
select is(clerk.user_id(), null, 'a token without a sub names no user');
select is_empty('table profiles', 'a token without a sub reads nothing');

set local request.jwt.claims = '{"sub": null, "role": "authenticated"}';
select is_empty('table profiles', 'a token whose sub is null reads nothing');

set local request.jwt.claims = '{"sub": "", "role": "authenticated"}';
select is_empty('table profiles', 'a token whose sub is empty reads nothing');

set local request.jwt.claims = '{"sub": ["user_alice"], "role": "authenticated"}';
select is_empty('table profiles', 'a token whose sub is a list reads nothing');

set local request.jwt.claims = '{"sub": "user_%", "role": "authenticated"}';
select is_empty('table profiles', 'a token whose sub is a pattern reads nothing');

set local request.jwt.claims = '{"sub": "USER_ALICE", "role": "authenticated"}';
select is_empty('table profiles', 'a token whose sub differs in case reads nothing');

set local request.jwt.claims = '{"sub": "0c1f8f6e-7d8b-4a8e-9d57-1f6f0a9b2c3d", "role": "authenticated"}';
select is_empty('table profiles', 'a token of Supabase Auth, whose sub is a uuid, reads nothing and breaks nothing');

set local request.jwt.claims = '{"user_id": "user_alice", "role": "authenticated"}';
select is_empty('table profiles', 'a claim with another name does not count');

set local request.jwt.claims = '';
select is_empty('table profiles', 'a request without a token reads nothing');

set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';
select isnt_empty('table profiles', 'control: the same query reads something with a token that names a user');

reset role;


-- Anonymous callers --------------------------------------------------------------------------

set local role anon;

set local request.jwt.claims = '{"role": "anon"}';
select throws_ok('table profiles', '42501', null, 'an anonymous caller cannot read profiles');
select throws_ok(statement, '42501', null, 'an anonymous caller cannot ' || deed)
from pg_temp.attempts();
select throws_ok(
  $$ select public.ingest_clerk_event('msg_forged', '{}') $$, '42501', null,
  'an anonymous caller cannot call the webhook''s function'
);

set local request.jwt.claims = '{"sub": "user_alice", "role": "anon"}';
select throws_ok(
  'table profiles', '42501', null,
  'the role counts, not the claims: anon reads nothing with the owner''s sub'
);

reset role;


-- The webhook and the backend ----------------------------------------------------------------

set local request.jwt.claims = '{"sub": "user_alice", "role": "clerk_ingest"}';

select throws_ok(
  $test$ select pg_temp.as_webhook('table public.profiles') $test$, '42501', null,
  'the webhook cannot read profiles'
);
select throws_ok(
  format('select pg_temp.as_webhook(%L)', replace(statement, 'clerk.user_id()', '''user_mallory''')),
  '42501', null,
  'the webhook cannot ' || deed
)
from pg_temp.attempts();

set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';

select set_eq(
  'select id from profiles',
  array['user_alice', 'user_dora', 'user_eve'],
  'a backend reads every profile and tombstone'
);
select throws_ok(
  'insert into profiles (id) values (''user_mallory'')', '42501', null,
  'a backend cannot make a profile: the sync is the only writer'
);
select throws_ok(
  'update profiles set banned = false', '42501', null,
  'a backend cannot write a synced column: the sync is the only writer'
);
select throws_ok('delete from profiles', '42501', null, 'a backend cannot delete a profile');
select throws_ok('truncate profiles', '42501', null, 'a backend cannot truncate profiles');
select throws_ok('table clerk_sync.inbox', '42501', null, 'a backend cannot read the inbox');

reset role;

select results_eq(
  'select id, first_name, banned from profiles order by id',
  $$ values ('user_alice', 'Alice', false), ('user_dora', null, false), ('user_eve', 'Eve', false) $$,
  'control: after all these attempts the profiles are unchanged'
);


-- A column of the application ----------------------------------------------------------------

alter table profiles add bio text;
create policy profiles_update_own on profiles for update to authenticated
  using (id = (select clerk.user_id()) and deleted_at is null)
  with check (id = (select clerk.user_id()));
grant update (bio) on profiles to authenticated, service_role;
do $$ begin perform pgmq.purge_queue('clerk_changes'); end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';

select results_eq(
  $$ update profiles set bio = 'I like tea' returning id, bio $$,
  $$ values ('user_alice', 'I like tea') $$,
  'the owner can edit a column that the application added and opened, on her own row only'
);
select throws_ok(
  $$ update profiles set bio = '', email = 'mallory@example.com' $$, '42501', null,
  'the owner cannot write a synced column along with it'
);
select throws_ok(
  $$ update profiles set bio = '', deleted_at = null $$, '42501', null,
  'the owner cannot write deleted_at along with it'
);

set local request.jwt.claims = '{"sub": "user_eve", "role": "authenticated"}';
select is_empty(
  $$ update profiles set bio = 'I like gin' where id = 'user_alice' returning id $$,
  'another user can edit no column of the owner''s row'
);

set local request.jwt.claims = '{"sub": "user_dora", "role": "authenticated"}';
select is_empty(
  $$ update profiles set bio = 'I am back' returning id $$,
  'a deleted user can edit nothing'
);

reset role;
set local role service_role;

select results_eq(
  $$ update profiles set bio = 'I liked gin' where id = 'user_eve' returning bio $$,
  array['I liked gin'],
  'a backend can write a column that the application added and opened'
);
select throws_ok(
  $$ update profiles set bio = '', banned = false $$, '42501', null,
  'a backend cannot write a synced column along with it'
);

reset role;

select results_eq(
  'select id, bio from profiles order by id',
  $$ values ('user_alice', 'I like tea'), ('user_dora', null), ('user_eve', 'I liked gin') $$,
  'control: exactly these edits were written'
);
select is_empty('table pgmq.q_clerk_changes', 'an edit of the application''s column announces nothing');

do $$ begin perform pg_temp.deliver('msg_5', 'user.updated', 'user_alice', 1760000001000, '{"first_name": "Alicia"}'); end $$;
select results_eq(
  $$ select first_name, bio from profiles where id = 'user_alice' $$,
  $$ values ('Alicia', 'I like tea') $$,
  'the sync writes its own columns and leaves the application''s alone'
);
select isnt_empty('table pgmq.q_clerk_changes', 'control: a real change is announced');

do $$ begin perform pg_temp.deliver('msg_6', 'user.deleted', 'user_alice', 1760000002000); end $$;
select results_eq(
  $$ select first_name, bio from profiles where id = 'user_alice' $$,
  $$ values (null, 'I like tea') $$,
  'a deletion leaves the application''s column alone, too'
);

set local role authenticated;
set local request.jwt.claims = '{"sub": "user_alice", "role": "authenticated"}';

select is_empty('table profiles', 'after the deletion, the owner''s token reads nothing');

reset role;

select * from finish();
rollback;
