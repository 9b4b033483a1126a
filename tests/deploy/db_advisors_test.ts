import { assertEquals, assertMatch } from "@std/assert";
import { runSupabase, type SupabaseAnswer } from "../../cli/supabase_cli.ts";
import { databaseTest } from "../test_database.ts";
import { copyCheckout } from "./checkout_copy.ts";

databaseTest("db advisors finds nothing at warn or above", async ({ server, name }) => {
  const { code, stderr } = await advise(server.url(name));

  assertEquals(code, 0, stderr);
  assertEquals(stderr.split("\n").filter((line) => !line.startsWith("Target: ")), [
    "No issues found",
    "",
  ]);
});

databaseTest(
  "db advisors reports planted flaws, and fails",
  async ({ server, name, sql }) => {
    await sql.unsafe(`
    create table public.open_to_all (id text primary key);

    create table public.slow (id text primary key);
    alter table public.slow enable row level security;
    create policy slow_select_own on public.slow for select to authenticated
      using (id = (auth.jwt() ->> 'sub'));
    create policy slow_select_own_again on public.slow for select to authenticated
      using (id = (select clerk.user_id()));

    create function public.any_path() returns int language sql as 'select 1';

    create view public.behind_the_policies as select * from public.profiles;

    grant select on public.open_to_all, public.slow, public.behind_the_policies
      to anon, authenticated;
  `).simple();

    const { code, stdout, stderr } = await advise(server.url(name));

    assertEquals(code, 1);
    assertMatch(stderr, /fail-on is set to warn, non-zero exit/);
    const found: { name: string; metadata: { name: string } }[] = JSON.parse(stdout);
    assertEquals(found.map(({ name, metadata }) => `${name} ${metadata.name}`).sort(), [
      "auth_rls_initplan slow",
      "function_search_path_mutable any_path",
      "multiple_permissive_policies slow",
      "rls_disabled_in_public open_to_all",
      "security_definer_view behind_the_policies",
    ]);
  },
);

async function advise(databaseUrl: string): Promise<SupabaseAnswer> {
  await using checkout = await copyCheckout();
  return await runSupabase(["db", "advisors", "--fail-on", "warn"], {
    cwd: checkout.folder,
    remote: databaseUrl,
  });
}
