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

interface Toys {
  readonly url: string;
  readonly folder: string;
  write(file: string, text: string): Promise<void>;
  /** What `supabase_migrations` says was applied. */
  history(): Promise<unknown[]>;
}

/** A test with an empty database and a folder with one migration. */
function migrationTest(name: string, test: (toys: Toys) => Promise<void>): void {
  Deno.test(name, async () => {
    await using server = await startEphemeralPostgres();
    const folder = await Deno.makeTempDir();
    const url = server.url("toys");
    const write = (file: string, text: string): Promise<void> =>
      Deno.writeTextFile(`${folder}/${file}`, text);
    const history = (): Promise<unknown[]> =>
      withConnection(url, async (sql) => [
        ...await sql`
          select version, name, to_jsonb(statements) as statements
          from supabase_migrations.schema_migrations order by 1
        `,
      ]);
    await createDatabase(server, "toys");
    await write("20260101000000_first_thing.sql", FIRST);

    await test({ url, folder, write, history });

    await Deno.remove(folder, { recursive: true });
  });
}

migrationTest("migrate() applies and records a file as the Supabase CLI does", async (toys) => {
  const { url, folder, history } = toys;
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

migrationTest("migrate() applies only what is new", async ({ url, folder, write }) => {
  await migrate(url, undefined, folder);
  await write("20260101000001_second.sql", "create table public.more (id int);");

  assertEquals(await migrate(url, undefined, folder), ["20260101000001_second.sql"]);
  assertEquals(await migrate(url, undefined, folder), []);
});

migrationTest("migrate() undoes a file that fails, and says where and why", async (toys) => {
  const { url, folder, write, history } = toys;
  await write(
    "20260101000002_bad.sql",
    "-- é\ncreate table public.half (id int);\nselect *\nfrom nowhere;",
  );

  const error = await assertRejects(() => migrate(url, undefined, folder), StartError);

  assertEquals(
    error.message,
    'Cannot apply supabase/migrations/20260101000002_bad.sql:4 as Postgres answers 42P01: relation "nowhere" does not exist',
  );
  const [row] = await withConnection(url, (sql) => sql`select to_regclass('public.half') as half`);
  assertEquals(row, { half: null });
  assertEquals((await history()).length, 1);
});

migrationTest(
  "migrate() accepts an applied file that was cut into other statements",
  async (toys) => {
    const { url, folder } = toys;
    await migrate(url, undefined, folder);

    await withConnection(
      url,
      (sql) => sql`update supabase_migrations.schema_migrations set statements = array[${FIRST}]`,
    );

    assertEquals(await migrate(url, undefined, folder), []);
  },
);

migrationTest("migrate() refuses when an applied file was changed or is gone", async (toys) => {
  const { url, folder, write } = toys;
  await migrate(url, undefined, folder);

  await write("20260101000000_first_thing.sql", "create table public.other (id int);");
  const changed = await assertRejects(() => migrate(url, undefined, folder), MigrationHistoryError);
  await Deno.remove(`${folder}/20260101000000_first_thing.sql`);
  const gone = await assertRejects(() => migrate(url, undefined, folder), MigrationHistoryError);

  assertEquals(
    changed.message,
    "Cannot apply migrations as 20260101000000_first_thing.sql was changed after it had been applied",
  );
  assertEquals(
    gone.message,
    "Cannot apply migrations as the database has version 20260101000000, whose file is gone",
  );
});
