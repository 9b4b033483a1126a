-- So that a frontend can wait for its row. Guarded, because the publication is Supabase's: it does not
-- exist on plain Postgres, or while Realtime is switched off.

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables) then
    alter publication supabase_realtime
      add table public.profiles, public.organization_memberships;
  end if;
end
$$;
