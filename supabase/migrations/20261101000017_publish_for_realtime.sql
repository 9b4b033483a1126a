-- So that a frontend can wait for its row. Guarded, because the publication is Supabase's: it does not
-- exist on plain Postgres, or while Realtime is switched off.
--
-- NOTE: only tables whose deletions are updates. Realtime sends the id of a deleted row to everybody who
-- listens, because there is no row left for row-level security to decide about.

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables) then
    alter publication supabase_realtime add table public.profiles, public.organizations;
  end if;
end
$$;
