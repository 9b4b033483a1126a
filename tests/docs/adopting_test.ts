import { assertEquals, assertRejects } from "@std/assert";
import postgres from "postgres";
import { migrationText, readSource } from "../../adopt/source.ts";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../local/clerk/events.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import { type Fixture, FIXTURES } from "../adopt/projects.ts";
import { ingestWithin } from "../test_database.ts";
import { testServer } from "../test_server.ts";

// Runs the SQL of docs/adopting.md in projects whose names are taken, and checks who reads and writes what.

const PAGE = new URL("../../docs/adopting.md", import.meta.url);

/** The SQL of a section of the page, in order. */
async function recipe(heading: string): Promise<string> {
  const sections = (await Deno.readTextFile(PAGE)).split(/^## /m);
  const section = sections.find((each) => each.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/```sql\n([^]*?)```/g)].map(([, sql]) => sql).join("\n");
}

interface Application {
  /** As `postgres`. */
  readonly sql: postgres.Sql;
  /** Ingests the event of a user as the webhook does. */
  user(id: string, fields?: Record<string, string>): Promise<string>;
  delete(id: string): Promise<string>;
  /** Runs one statement as a signed-in user of Clerk, or as anon, and returns its rows. */
  as(user: string | null, statement: string): Promise<Record<string, unknown>[]>;
}

/** A project with its rows, and clerk-sync with a prefix beside it. */
function applicationTest(
  name: string,
  fixture: Fixture,
  more: string,
  test: (application: Application) => Promise<void>,
): void {
  Deno.test({
    name,
    fn: async () => {
      const server = await testServer();
      const database = `adopting_${crypto.randomUUID().slice(0, 8)}`;
      await createDatabase(server, database);
      const migrations = await Deno.makeTempDir({ prefix: "clerk-sync-adopting-" });
      const clients = postgres(server.roleUrl("authenticator", database), { max: 1 });
      const sql = postgres(server.url(database), { max: 1, onnotice: () => {} });
      try {
        await withConnection(server.superuserUrl(database), (admin) =>
          admin.unsafe(`
            create table auth.users (id uuid primary key, raw_user_meta_data jsonb);
            grant all on auth.users to postgres;
          `).simple());
        for (const [path, text] of Object.entries(fixture.files)) {
          if (path.endsWith(".sql")) await sql.unsafe(text).simple();
        }
        await sql.unsafe(`${fixture.rows};\n${more}`).simple();
        const source = await readSource("clerk_");
        await Deno.writeTextFile(
          `${migrations}/20991231000000_clerk_sync.sql`,
          migrationText(source, source.slices),
        );
        await migrate(server.url(database), () => {}, migrations);

        const ingest = async (event: Parameters<typeof ingestWithin>[2]): Promise<string> => {
          const answer = await clients.begin((transaction) =>
            ingestWithin(transaction, `msg_${crypto.randomUUID()}`, event)
          );
          return answer.outcome;
        };
        await test({
          sql,
          user: (id, fields = {}) => ingest(anEvent("user.created", aClerkUser({ id, ...fields }))),
          delete: (id) => ingest(anEvent("user.deleted", aDeletedClerkUser(id))),
          as: (user, statement) =>
            clients.begin(async (transaction) => {
              const role = user === null ? "anon" : "authenticated";
              const claims = JSON.stringify({ role, sub: user ?? undefined });
              await transaction.unsafe(`set local role ${role}`);
              await transaction`select set_config('request.jwt.claims', ${claims}, true)`;
              return [...await transaction.unsafe(statement)];
            }) as Promise<Record<string, unknown>[]>,
        });
      } finally {
        await Promise.all([clients.end({ timeout: 5 }), sql.end({ timeout: 5 })]);
        await dropDatabase(server, database);
        await Deno.remove(migrations, { recursive: true });
      }
    },
    // The server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** The SQLSTATE that a statement raises. */
async function codeOf(answer: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => answer, postgres.PostgresError);
  return error.code;
}

const THEIR_ADA = "00000000-0000-4000-8000-000000000001";

/** A table of theirs that refers to their profiles, with grants as in an older project. */
const NOTES = `
  create table public.notes (
    id bigint generated always as identity primary key,
    profile_id uuid not null references public.profiles,
    body text
  );
  alter table public.notes enable row level security;
  create policy own_notes on public.notes for all
    using (profile_id = (select auth.uid())) with check (profile_id = (select auth.uid()));
  insert into public.notes (profile_id, body) values ('${THEIR_ADA}', 'hers');
  grant select, insert, update, delete on public.notes, public.profiles to anon, authenticated;
`;

applicationTest(
  "profiles with uuids keep their ids and rows, and belong to Clerk's users",
  FIXTURES["with the profiles of Supabase's quickstart"],
  NOTES,
  async ({ sql, user, delete: remove, as }) => {
    assertEquals(await user("user_ada", { external_id: THEIR_ADA }), "applied");
    assertEquals(await user("user_bo"), "applied");
    assertEquals(await codeOf(as("user_ada", "select body from notes")), "22P02");

    await sql.unsafe(await recipe("Your ids are uuids of Supabase Auth")).simple();
    assertEquals(await user("user_eve"), "applied");

    assertEquals(await as("user_ada", "select body from notes"), [{ body: "hers" }]);
    assertEquals(await as("user_eve", "select body from notes"), []);
    assertEquals(
      (await as("user_bo", "select from profiles where id = my_profile_id()")).length,
      1,
    );
    const update = "update profiles set website = 'https://example.com' returning clerk_id";
    assertEquals(await as("user_ada", update), [{ clerk_id: "user_ada" }]);
    await as("user_eve", "insert into notes (profile_id, body) select my_profile_id(), 'eve''s'");
    assertEquals(await as("user_eve", "select body from notes"), [{ body: "eve's" }]);
    for (
      const attempt of [
        "update profiles set clerk_id = 'user_ada'",
        "insert into profiles (clerk_id) values ('user_eve')",
        `insert into notes (profile_id) values ('${THEIR_ADA}')`,
        "update clerk_profiles set email_verified = true",
      ]
    ) {
      assertEquals([attempt, await codeOf(as("user_eve", attempt))], [attempt, "42501"]);
    }
    assertEquals(await codeOf(as(null, "select email from clerk_profiles")), "42501");

    assertEquals(await remove("user_eve"), "applied");
    assertEquals(
      await as("user_ada", "select full_name, id from profiles where clerk_id = 'user_ada'"),
      [
        { full_name: "Their Ada", id: THEIR_ADA },
      ],
    );
  },
);

applicationTest(
  "a user who signs in before the webhook gets the old profile, once Clerk's data has arrived",
  FIXTURES["with the profiles of Supabase's quickstart"],
  NOTES,
  async ({ sql, user, as }) => {
    await sql.unsafe(await recipe("Your ids are uuids of Supabase Auth")).simple();

    const early = await as("user_ada", "select id from clerk_ensure_profile()");
    await user("user_ada", { external_id: THEIR_ADA });

    assertEquals(early, [{ id: "user_ada" }]);
    assertEquals(await as("user_ada", "select my_profile_id() as id"), [{ id: THEIR_ADA }]);
    assertEquals([...await sql`select id from public.profiles`], [{ id: THEIR_ADA }]);
  },
);

applicationTest(
  "profiles with Clerk's ids stay, and the old name is a view that shows each user their own",
  FIXTURES["with profiles of its own, whose ids are text"],
  "",
  async ({ sql, user, delete: remove, as }) => {
    await user("user_ada", { first_name: "Ada", last_name: "Marlowe" });

    await sql.unsafe(await recipe("Your ids are Clerk's, as text")).simple();
    assertEquals(await user("user_eve"), "applied");

    const own = "select id, full_name, visits from profiles";
    assertEquals(await as("user_ada", own), [
      { id: "user_ada", full_name: "Ada Marlowe", visits: 0 },
    ]);
    assertEquals((await as("user_eve", own)).map(({ id }) => id), ["user_eve"]);
    assertEquals(await as("user_ada", "update app_profiles set visits = 1 returning id"), [
      { id: "user_ada" },
    ]);
    for (
      const attempt of [
        "insert into app_profiles (id) values ('user_eve')",
        "update app_profiles set id = 'user_ada'",
        "update clerk_profiles set email_verified = true",
      ]
    ) {
      assertEquals([attempt, await codeOf(as("user_eve", attempt))], [attempt, "42501"]);
    }
    assertEquals(await codeOf(as(null, "select email from profiles")), "42501");

    // A row of theirs that Clerk does not know, and what refers to it.
    assertEquals([...await sql`select profile from public."order"`], [{ profile: "user_theirs" }]);
    assertEquals(await remove("user_ada"), "applied");
    assertEquals(await as("user_ada", own), []);
  },
);
