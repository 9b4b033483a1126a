import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { withConnection } from "../local/postgres/databases.ts";
import { copyOurs } from "../local/postgres/our_migrations.ts";
import { startTestServer, TEMPLATE, WHOLE_TEMPLATE } from "./test_server.ts";

// What somebody adds to their clone does not turn our tests red: they speak of our objects only, and
// functions type-check with the compiler's defaults.

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** It breaks the rules of supabase/tests/catalog_rules.sql, and has the name of a table of the docs. */
const NOTES = `
  create table public.notes (id int primary key, owner_id text references public.profiles);
  alter table public.profiles add column favourite_colour text not null default 'blue';
  create function public.welcome() returns trigger language plpgsql security definer as $$
  begin
    insert into public.notes select count(*), new.id from public.notes;
    return new;
  end $$;
  create trigger on_profile_created after insert on public.profiles
    for each row execute function public.welcome();
`;

/** The tables, columns and triggers of profiles that a migration of ours does not make. */
async function additionsIn(databaseUrl: string): Promise<string[]> {
  return await withConnection(databaseUrl, async (sql) => {
    const rows = await sql<{ name: string }[]>`
      select relname as name from pg_class where relname = 'notes'
      union all
      select attname from pg_attribute where attname = 'favourite_colour'
      union all
      select tgname from pg_trigger where tgname = 'on_profile_created'
      order by name
    `;
    return rows.map(({ name }) => name);
  });
}

Deno.test("tests have a database without what a clone added, and one with it for types and its own tests", async () => {
  const migrations = await Deno.makeTempDir();
  // This clone may have a table of the same name.
  await copyOurs(migrations);
  await Deno.writeTextFile(`${migrations}/20270101000000_create_notes.sql`, NOTES);
  await using server = await startTestServer(migrations);
  await Deno.remove(migrations, { recursive: true });

  const ours = await additionsIn(server.url(TEMPLATE));
  const whole = await additionsIn(server.url(WHOLE_TEMPLATE));

  assertEquals(ours, []);
  assertEquals(whole, ["favourite_colour", "notes", "on_profile_created"]);
});

Deno.test("functions type-check with the options that a new project has", async () => {
  const folder = await Deno.makeTempDir();
  const imports = JSON.parse(await Deno.readTextFile(`${ROOT}import_map.json`));
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(imports));

  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["check", "--config", `${folder}/deno.json`],
      ...["clerk-webhook", "clerk-worker", "_shared/clerk_sync"],
    ],
    cwd: `${ROOT}functions`,
    env: { NO_COLOR: "1" },
  }).output();

  await Deno.remove(folder, { recursive: true });
  assert(success, new TextDecoder().decode(stderr));
});
