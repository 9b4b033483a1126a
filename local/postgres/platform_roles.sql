-- A stand-in, for this machine only, for what hosted Supabase provides before any
-- migration: the roles of a cluster. Applied by the bootstrap superuser supabase_admin,
-- as often as one likes. Never deployed.

do $$
declare
  role_name text;
  -- Roles that log in have the password of the bootstrap superuser, who runs this.
  superuser_password constant text := (
    select rolpassword from pg_catalog.pg_authid where rolname = current_user
  );
begin
  -- Several databases of one cluster may be prepared at once. These two tables belong to the cluster, unlike
  -- an advisory lock.
  lock table pg_catalog.pg_authid, pg_catalog.pg_db_role_setting in share row exclusive mode;
  foreach role_name in array array[
    'anon', 'authenticated', 'service_role', 'authenticator', 'postgres', 'supabase_auth_admin'
  ]
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      execute format('create role %I', role_name);
    end if;
  end loop;

  -- What API requests run as. The claims of the request say which.
  alter role anon nologin noinherit;
  alter role authenticated nologin noinherit;
  alter role service_role nologin noinherit bypassrls;

  -- What the API logs in as; it owns nothing and can only become one of the above.
  execute format('alter role authenticator login noinherit password %L', superuser_password);
  alter role authenticator set statement_timeout = '8s';
  alter role authenticator set lock_timeout = '8s';
  grant anon, authenticated, service_role to authenticator;

  -- The owner of schema auth.
  alter role supabase_auth_admin nologin noinherit createrole;

  -- What migrations and people log in as: an owner of databases, but no superuser.
  execute format(
    'alter role postgres login nosuperuser createrole createdb replication bypassrls password %L',
    superuser_password
  );
  grant anon, authenticated, service_role, authenticator to postgres with admin option;
  grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
end
$$;
