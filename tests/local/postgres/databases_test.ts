import { assertEquals, assertRejects } from "@std/assert";
import postgres from "postgres";
import { createDatabase, dropDatabase, withConnection } from "../../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../../local/postgres/ephemeral.ts";

Deno.test("a new database is as Supabase hands it over", async (t) => {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "fresh");

  await t.step("postgres owns it and is no superuser", async () => {
    const [row] = await withConnection(server.url("fresh"), (sql) =>
      sql`
        select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication,
          (select datdba::regrole::text from pg_database where datname = 'fresh') as owner,
          current_setting('search_path') as search_path
        from pg_roles where rolname = current_user
      `);

    assertEquals(row, {
      rolsuper: false,
      rolcreaterole: true,
      rolcreatedb: true,
      rolbypassrls: true,
      rolreplication: true,
      owner: "postgres",
      search_path: '"$user", public, extensions',
    });
  });

  await t.step("the API's role can become the request roles and nothing else", async () => {
    await withConnection(server.roleUrl("authenticator", "fresh"), async (sql) => {
      for (const role of ["anon", "authenticated", "service_role"]) {
        await sql`select set_config('role', ${role}, false)`;
        await sql`reset role`;
      }
      for (const role of ["postgres", "supabase_admin"]) {
        const error = await assertRejects(
          () => sql`select set_config('role', ${role}, false)`.execute(),
          postgres.PostgresError,
        );
        assertEquals(error.code, "42501");
      }
      const [timeout] = await sql`show statement_timeout`;
      assertEquals(timeout, { statement_timeout: "8s" });
    });
  });

  await t.step(
    "what postgres makes in public is granted as on Supabase since 30 October 2026",
    async () => {
      await withConnection(server.url("fresh"), async (sql) => {
        await sql`create table public.made (id bigint generated always as identity)`;
        await sql`create function public.made() returns int language sql as 'select 1'`;
        const [row] = await sql`
        select
          (select array(select unnest(relacl)::text order by 1) from pg_class
            where relname = 'made') as on_table,
          (select array(select unnest(relacl)::text order by 1) from pg_class
            where relname = 'made_id_seq') as on_sequence,
          (select array(select unnest(proacl)::text order by 1) from pg_proc
            where proname = 'made') as on_function
      `;

        const granted = (api: string, owner: string): string[] =>
          [`anon=${api}`, `authenticated=${api}`, `postgres=${owner}`, `service_role=${api}`]
            .map((grant) => `${grant}/postgres`);
        assertEquals(row, {
          on_table: granted("Dxtm", "arwdDxtm"),
          on_sequence: granted("w", "rwU"),
          on_function: ["=X/postgres", ...granted("X", "X")],
        });
      });
    },
  );

  await t.step("postgres creates pgmq, owns it and can use it", async () => {
    await withConnection(server.url("fresh"), async (sql) => {
      await sql`create extension if not exists pgmq`;
      await sql`select pgmq.create('t1')`;
      const [sent] = await sql`select pgmq.send('t1', '{"a": 1}') as id`;
      const [read] = await sql`select msg_id, message from pgmq.read('t1', 1, 1)`;
      await sql`select pgmq.archive('t1', ${sent?.id}::bigint)`;
      await sql`select pgmq.drop_queue('t1')`;
      const owners = await sql`
        select distinct proowner::regrole::text as owner
        from pg_proc where pronamespace = 'pgmq'::regnamespace
      `;

      assertEquals(read?.message, { a: 1 });
      assertEquals([...owners], [{ owner: "postgres" }]);
    });
  });

  await t.step("pgTAP is there", async () => {
    const [row] = await withConnection(server.url("fresh"), (sql) => sql`select plan(1) as line`);

    assertEquals(row, { line: "1..1" });
  });

  await t.step("auth.jwt(), auth.uid() and auth.role() read the claims", async () => {
    const uid = "8a3f7c1e-0000-4000-8000-000000000001";
    const [row] = await withConnection(
      server.url("fresh"),
      (sql) =>
        sql.begin(async (transaction) => {
          const claims = JSON.stringify({ sub: uid, role: "authenticated" });
          await transaction`select set_config('request.jwt.claims', ${claims}, true)`;
          return await transaction`
          select auth.jwt() ->> 'sub' as sub, auth.uid()::text as uid, auth.role() as role
        `;
        }),
    );
    const [none] = await withConnection(
      server.url("fresh"),
      (sql) => sql`select auth.jwt() as jwt, auth.uid() as uid`,
    );

    assertEquals(row, { sub: uid, uid, role: "authenticated" });
    assertEquals(none, { jwt: null, uid: null });
  });

  await t.step("a copy of it belongs to postgres as well, and goes when dropped", async () => {
    await createDatabase(server, "copy", { template: "fresh" });
    const read = (): Promise<readonly unknown[]> =>
      withConnection(
        server.superuserUrl("template1"),
        (sql) => sql`select datdba::regrole::text as owner from pg_database where datname = 'copy'`,
      );
    const before = [...await read()];

    await dropDatabase(server, "copy");

    assertEquals(before, [{ owner: "postgres" }]);
    assertEquals([...await read()], []);
  });
});
