import { assertEquals } from "@std/assert";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../local/postgres/ephemeral.ts";
import { databaseTest } from "../test_database.ts";
import { applyOurs } from "../clerk/our_migrations.ts";

// The migrations work with and without Supabase's publication for Realtime.

interface Publishing {
  /** SQL that makes the publication before any migration runs. */
  readonly publication: string;
  /** The role that makes it; a publication of all tables needs a superuser. */
  readonly as?: "postgres" | "supabase_admin";
}

/** The tables of the publication after all migrations have run. */
async function published({ publication, as = "postgres" }: Publishing): Promise<string[]> {
  // A server of its own: a database made without the template touches the roles of the cluster.
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "fresh");
  const owner = as === "postgres" ? server.url("fresh") : server.superuserUrl("fresh");
  await withConnection(owner, (sql) => sql.unsafe(publication).simple());

  await applyOurs(server.url("fresh"));

  return await withConnection(server.url("fresh"), async (sql) => {
    const rows = await sql<{ name: string }[]>`
      select format('%s.%s', schemaname, tablename) as name
      from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime'
      order by name
    `;
    return rows.map(({ name }) => name);
  });
}

Deno.test("Realtime's publication gets the tables that leave tombstones, and no other table of ours", async () => {
  assertEquals(
    await published({
      publication: `
        create table public.messages (id int primary key);
        create publication supabase_realtime for table public.messages;
      `,
    }),
    ["public.messages", "public.organizations", "public.profiles"],
  );
});

Deno.test("a publication of all tables is left as it is", async () => {
  const tables = await published({
    publication: "create publication supabase_realtime for all tables",
    as: "supabase_admin",
  });

  assertEquals(tables.filter((name) => /^public\./.test(name)), [
    "public.organization_invitations",
    "public.organization_memberships",
    "public.organization_roles",
    "public.organizations",
    "public.profiles",
    "public.subscription_items",
  ]);
});

databaseTest("without a publication the migrations run, and create none", async ({ sql }) => {
  const [found] = await sql`
    select
      (select count(*)::int from pg_catalog.pg_publication) as publications,
      to_regclass('public.profiles') is not null as migrated
  `;

  assertEquals({ ...found }, { publications: 0, migrated: true });
});
