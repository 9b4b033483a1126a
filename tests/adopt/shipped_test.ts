import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { restoration } from "../../adopt/restore.ts";
import { addedObjects, differencesFromShipped, type Facts } from "../../adopt/shipped.ts";
import { migrationText, readSource } from "../../adopt/source.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import shipped from "../../supabase/shipped.json" with { type: "json" };
import { DEFAULT_PRIVILEGES } from "../default_privileges.ts";
import { databaseTest } from "../test_database.ts";
import { POSTGRES_VERSIONS, stopPostgres15, testServer } from "../test_server.ts";

Deno.test.afterAll(stopPostgres15);

async function objectsIn(sql: postgres.ISql): Promise<Facts> {
  const [row] = await sql<{ objects: Facts }[]>`
    select public.inspect_clerk_sync() -> 'objects' as objects
  `;
  return row?.objects ?? {};
}

/** The names of the objects that are not as shipped. */
async function drift(sql: postgres.ISql, prefix = ""): Promise<string[]> {
  const differences = await differencesFromShipped(shipped, await objectsIn(sql), prefix);
  return differences.map(({ object }) => object).sort();
}

/** What an application may add to our tables, which is its own. */
const ADDITIONS = `
  alter table public.profiles add column bio text default 'new', add constraint bio_is_short check (length(bio) < 99);
  grant update (bio) on public.profiles to authenticated;
  create policy profiles_update_own on public.profiles for update to authenticated
    using (id = (select clerk.user_id()));
  create index profiles_by_bio on public.profiles (bio);
  create function public.shout() returns trigger language plpgsql as 'begin return new; end';
  create trigger shout before insert on public.profiles for each row execute function public.shout();
  create function public.my_clerk_helper() returns text language sql return 'mine';
`;

for (const version of POSTGRES_VERSIONS) {
  databaseTest(
    `what the migrations make on Postgres ${version} is as shipped, and so it is with an application's additions`,
    async ({ sql }) => {
      assertEquals(await drift(sql), []);

      await sql.unsafe(ADDITIONS).simple();

      assertEquals(await drift(sql), []);
      assertEquals(addedObjects("policy", shipped, await objectsIn(sql), ""), [
        "policy profiles_update_own on public.profiles",
      ]);
    },
    { version },
  );
}

for (const kind of ["old", "none"] as const) {
  databaseTest(`so it is under the default privileges: ${kind}`, async ({ server }) => {
    const name = `shipped_${crypto.randomUUID().slice(0, 8)}`;
    await createDatabase(server, name);
    try {
      await withConnection(
        server.url(name),
        (sql) => sql.unsafe(DEFAULT_PRIVILEGES[kind]).simple(),
      );
      await applyOurs(server.url(name));

      assertEquals(await withConnection(server.url(name), (sql) => drift(sql)), []);
    } finally {
      await dropDatabase(server, name);
    }
  });
}

/** One change of everything that the facts tell apart, and the object that it changes. */
const BREAKS: readonly (readonly [object: string, sql: string])[] = [
  ["table public.profiles", "alter table public.profiles disable row level security"],
  ["table public.organizations", "alter table public.organizations force row level security"],
  ["table pgmq.q_clerk_changes", "alter table pgmq.q_clerk_changes disable row level security"],
  ["grants on table public.profiles", "grant insert, delete on public.profiles to anon"],
  // Its own columns keep the right that the table loses.
  ["grants on table public.profiles", "grant update on public.profiles to authenticated"],
  [
    "grants on table clerk_sync.inbox",
    "grant select on clerk_sync.inbox to service_role with grant option",
  ],
  [
    "grants on table public.organizations",
    "revoke select on public.organizations from authenticated",
  ],
  [
    "grants on column public.profiles.email",
    "grant update (email) on public.profiles to authenticated",
  ],
  [
    "grants on sequence clerk_sync.runs_id_seq",
    "grant usage on sequence clerk_sync.runs_id_seq to anon",
  ],
  ["grants on schema clerk_sync", "grant usage on schema clerk_sync to anon"],
  [
    "grants on function public.ensure_profile()",
    "revoke execute on function public.ensure_profile() from authenticated",
  ],
  [
    "grants on function public.replay_clerk_message(text, text[], text, boolean)",
    "grant execute on function public.replay_clerk_message(text, text[], text, boolean) to anon",
  ],
  [
    "function clerk.user_id()",
    "create or replace function clerk.user_id() returns text language sql stable set search_path = pg_catalog, pg_temp return 'user_eve'",
  ],
  [
    "function clerk_sync.tg__announce()",
    "alter function clerk_sync.tg__announce() security invoker",
  ],
  ["function clerk_sync.version()", "alter function clerk_sync.version() reset search_path"],
  [
    "policy profiles_select_own on public.profiles",
    "alter policy profiles_select_own on public.profiles using (true)",
  ],
  [
    "policy organizations_select_member on public.organizations",
    "drop policy organizations_select_member on public.organizations",
  ],
  [
    "trigger _900_announce on public.profiles",
    "alter table public.profiles disable trigger _900_announce",
  ],
  [
    "trigger _900_announce on public.organizations",
    "drop trigger _900_announce on public.organizations",
  ],
  ["index public.profiles_by_email", "drop index public.profiles_by_email"],
  [
    "constraint organization_memberships_user_id_fkey on public.organization_memberships",
    "alter table public.organization_memberships drop constraint organization_memberships_user_id_fkey",
  ],
  [
    "constraint settings_is_one_row on clerk_sync.settings",
    "alter table clerk_sync.settings drop constraint settings_is_one_row",
  ],
];

databaseTest(
  "every change of an object of ours is found by its name, and restored",
  async ({ sql }) => {
    await sql.unsafe(ADDITIONS).simple();
    const source = await readSource("");

    for (const [object, statement] of BREAKS) {
      await sql.unsafe(statement).simple();
      const objects = await objectsIn(sql);
      const differences = await differencesFromShipped(shipped, objects, "");
      assertEquals(differences.map((each) => each.object), [object], statement);

      const { statements, byHand } = restoration(differences, source, objects);
      assertEquals(byHand, []);
      await sql.unsafe(statements.join(";\n")).simple();

      assertEquals(await drift(sql), [], statements.join(";\n"));
    }
    // What the application added is still there.
    const objects = await objectsIn(sql);
    assertEquals(objects["grants on column public.profiles.bio"], "authenticated=UPDATE");
    assertEquals(addedObjects("trigger", shipped, objects, ""), [
      "trigger shout on public.profiles",
    ]);
  },
);

databaseTest(
  "functions that were dropped are restored, in their order, without the rights that default privileges grant",
  async ({ sql }) => {
    await sql.unsafe(`
      ${DEFAULT_PRIVILEGES.old}
      drop function public.ensure_profile(), clerk_sync.in_words(interval), clerk_sync.in_words(numeric);
    `).simple();
    const objects = await objectsIn(sql);
    const differences = await differencesFromShipped(shipped, objects, "");
    assertEquals(differences.map(({ object }) => object).filter((each) => each[0] === "f"), [
      "function clerk_sync.in_words(interval)",
      "function clerk_sync.in_words(numeric)",
      "function public.ensure_profile()",
    ]);

    const { statements } = restoration(differences, await readSource(""), objects);
    await sql.unsafe(statements.join(";\n")).simple();

    assertEquals(await drift(sql), []);
  },
);

databaseTest(
  "what holds data is left to people, and told as shipped and as found",
  async ({ sql }) => {
    await sql.unsafe(`
    alter table public.profiles alter column banned drop not null;
    alter table public.profiles drop column locale;
  `).simple();
    const objects = await objectsIn(sql);

    const differences = await differencesFromShipped(shipped, objects, "");
    const { byHand } = restoration(differences, await readSource(""), objects);

    assertEquals(byHand, [
      {
        object: "column public.profiles.banned",
        shipped: "boolean not null default false",
        found: "boolean default false",
      },
      { object: "column public.profiles.locale", shipped: "text", found: undefined },
    ]);
  },
);

databaseTest("the roles are restored: attributes, settings and memberships", async ({ admin }) => {
  // Roles belong to the whole server, so this is undone.
  const undone = new Error("undone");
  const source = await readSource("");
  await admin.begin(async (sql) => {
    await sql.unsafe(`
      lock table pg_authid, pg_auth_members, pg_db_role_setting in share row exclusive mode;
      set local role postgres;
      alter role clerk_ingest login createdb;
      alter role clerk_ingest reset statement_timeout;
      alter role clerk_ingest set work_mem = '64MB';
      revoke clerk_ingest from authenticator;
      grant clerk_ingest to anon;
      grant service_role to clerk_worker;
    `).simple();
    const objects = await objectsIn(sql);
    const differences = await differencesFromShipped(shipped, objects, "");
    assertEquals(differences.map(({ object, found }) => [object, found]), [
      [
        "role clerk_ingest",
        "login createdb set lock_timeout=5s,work_mem=64MB granted to anon",
      ],
      ["role clerk_worker", "nologin member of service_role granted to authenticator"],
    ]);

    const { statements } = restoration(differences, source, objects);
    await sql.unsafe(statements.join(";\n")).simple();

    assertEquals(await drift(sql), []);
    throw undone;
  }).catch((error) => {
    if (error !== undone) throw error;
  });
});

Deno.test({
  name:
    "with a prefix, what the migrations make is as shipped, and what differs is restored by its name",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const server = await testServer();
    const name = `shipped_${crypto.randomUUID().slice(0, 8)}`;
    const folder = await Deno.makeTempDir({ prefix: "clerk-sync-shipped-" });
    const source = await readSource("clerk_");
    await createDatabase(server, name);
    try {
      await Deno.writeTextFile(
        `${folder}/20261201000000_clerk_sync.sql`,
        migrationText(source, source.slices),
      );
      await withConnection(server.url(name), async (sql) => {
        await sql.unsafe(`
          create table public.profiles (id uuid primary key);
          create function public.ensure_profile() returns integer language sql return 1;
        `).simple();
        await migrate(server.url(name), () => {}, folder);
        assertEquals(await drift(sql, "clerk_"), []);

        await sql.unsafe(`
          alter policy profiles_select_own on public.clerk_profiles using (true);
          drop index public.clerk_profiles_by_email;
          drop function public.clerk_ensure_profile();
          grant update (email) on public.clerk_profiles to anon;
          alter table public.clerk_organization_memberships
            drop constraint clerk_organization_memberships_user_id_fkey,
            add constraint clerk_organization_memberships_user_id_fkey
              foreign key (user_id) references public.clerk_profiles (id);
          drop trigger _900_announce on public.clerk_organizations;
        `).simple();
        assertEquals(await drift(sql, "clerk_"), [
          "constraint clerk_organization_memberships_user_id_fkey on public.clerk_organization_memberships",
          "function public.clerk_ensure_profile()",
          "grants on column public.clerk_profiles.email",
          "grants on function public.clerk_ensure_profile()",
          "index public.clerk_profiles_by_email",
          "policy profiles_select_own on public.clerk_profiles",
          "trigger _900_announce on public.clerk_organizations",
        ]);

        const objects = await objectsIn(sql);
        const differences = await differencesFromShipped(shipped, objects, "clerk_");
        const { statements } = restoration(differences, source, objects);
        await sql.unsafe(statements.join(";\n")).simple();
        assertEquals(await drift(sql, "clerk_"), [], statements.join(";\n"));
      });
    } finally {
      await dropDatabase(server, name);
      await Deno.remove(folder, { recursive: true });
    }
  },
});
