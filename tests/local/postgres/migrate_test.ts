import { assertEquals, assertRejects } from "@std/assert";
import { createDatabase, withConnection } from "../../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../../local/postgres/ephemeral.ts";
import { migrate, MigrationHistoryError } from "../../../local/postgres/migrate.ts";
import { StartError } from "../../../local/start_error.ts";

const FIRST = `-- a comment; with a semicolon
create table public.toys (id int primary key); -- trailing

/* block; comment */
create function public.f() returns int language sql as $$ select 1; $$;
do $x$ begin perform ';'; end $x$;
`;

Deno.test("migrate()", async (t) => {
  await using server = await startEphemeralPostgres();
  const folder = await Deno.makeTempDir();
  const write = (file: string, text: string): Promise<void> =>
    Deno.writeTextFile(`${folder}/${file}`, text);
  const url = server.url("toys");
  const history = (): Promise<unknown[]> =>
    withConnection(url, async (sql) => [
      ...await sql`
        select version, name, to_jsonb(statements) as statements
        from supabase_migrations.schema_migrations order by 1
      `,
    ]);
  await createDatabase(server, "toys");
  await write("20260101000000_first_thing.sql", FIRST);

  await t.step("applies and records a file as the Supabase CLI does", async () => {
    const told: string[] = [];

    const applied = await migrate(url, (name) => told.push(name), folder);

    assertEquals(applied, ["20260101000000_first_thing.sql"]);
    assertEquals(told, applied);
    assertEquals(await history(), [{
      version: "20260101000000",
      name: "first_thing",
      statements: [
        "-- a comment; with a semicolon\ncreate table public.toys (id int primary key)",
        "-- trailing\n\n/* block; comment */\ncreate function public.f() returns int language sql as $$ select 1; $$",
        "do $x$ begin perform ';'; end $x$",
      ],
    }]);
  });

  await t.step("applies only what is new", async () => {
    await write("20260101000001_second.sql", "create table public.more (id int);");

    assertEquals(await migrate(url, undefined, folder), ["20260101000001_second.sql"]);
    assertEquals(await migrate(url, undefined, folder), []);
  });

  await t.step("undoes a file that fails, and says where and why", async () => {
    await write(
      "20260101000002_bad.sql",
      "-- é\ncreate table public.half (id int);\nselect *\nfrom nowhere;",
    );

    const error = await assertRejects(() => migrate(url, undefined, folder), StartError);

    assertEquals(
      error.message,
      'Cannot apply supabase/migrations/20260101000002_bad.sql:4 as Postgres answers 42P01: relation "nowhere" does not exist',
    );
    const [row] = await withConnection(
      url,
      (sql) => sql`select to_regclass('public.half') as half`,
    );
    assertEquals(row, { half: null });
    assertEquals((await history()).length, 2);
    await Deno.remove(`${folder}/20260101000002_bad.sql`);
  });

  await t.step("does not mind how an applied file was cut into statements", async () => {
    await withConnection(url, (sql) =>
      sql`
        update supabase_migrations.schema_migrations set statements = array[${FIRST}]
        where version = '20260101000000'
      `);

    assertEquals(await migrate(url, undefined, folder), []);
  });

  await t.step("refuses when an applied file was changed or is gone", async () => {
    await write("20260101000001_second.sql", "create table public.other (id int);");
    const changed = await assertRejects(
      () => migrate(url, undefined, folder),
      MigrationHistoryError,
    );
    await Deno.remove(`${folder}/20260101000001_second.sql`);
    const gone = await assertRejects(() => migrate(url, undefined, folder), MigrationHistoryError);

    assertEquals(
      changed.message,
      "Cannot apply migrations as 20260101000001_second.sql was changed after it had been applied",
    );
    assertEquals(
      gone.message,
      "Cannot apply migrations as the database has version 20260101000001, whose file is gone",
    );
  });

  await Deno.remove(folder, { recursive: true });
});
