import { assert, assertEquals, assertMatch } from "@std/assert";
import { databaseTest } from "../test_database.ts";
import { POSTGRES_VERSIONS, stopPostgres15 } from "../test_server.ts";
import { runPgtap } from "./run_pgtap.ts";
import { complaintsAbout } from "./tap.ts";

// Runs the pgTAP files of supabase/tests on every supported version of Postgres, each in a database of its own: ours with our migrations, any
// other file with all migrations. `supabase test db` runs the same files.

const FOLDER = new URL("../../supabase/tests/", import.meta.url);

const files = [...Deno.readDirSync(FOLDER)]
  .map((entry) => entry.name)
  .filter((name) => name.endsWith(".sql"))
  .sort();

const OURS = [
  "announcements.sql",
  "catalog_rules.sql",
  "console.sql",
  "constraints.sql",
  "ensure_profile.sql",
  "erasure.sql",
  "explain.sql",
  "grants.sql",
  "items.sql",
  "maintenance.sql",
  "mapping.sql",
  "mentions.sql",
  "ordering.sql",
  "pages.sql",
  "profiles_rls.sql",
  "queue.sql",
  "replay.sql",
  "roles.sql",
  "runs.sql",
  "snapshots.sql",
  "status.sql",
  "teams.sql",
  "teams_rls.sql",
  "toolkit.sql",
];

Deno.test.afterAll(stopPostgres15);

for (const version of POSTGRES_VERSIONS) {
  for (const file of files) {
    databaseTest(
      `supabase/tests/${file} passes on Postgres ${version}`,
      async ({ sql }) => {
        const tap = await runPgtap(sql, await Deno.readTextFile(new URL(file, FOLDER)));

        assertEquals(complaintsAbout(tap), [], tap.join("\n"));
      },
      { whole: !OURS.includes(file), version },
    );
  }

  databaseTest(
    `control: the databases of Postgres ${version} have that version`,
    async ({ sql }) => {
      const [row] = await sql`
        select current_setting('server_version_num')::int / 10000 as version
      `;

      assertEquals(row?.version, version);
    },
    { version },
  );
}

Deno.test("every file of supabase/tests is one transaction that rolls back, without psql commands", async () => {
  const texts = await Promise.all(OURS.map((file) => Deno.readTextFile(new URL(file, FOLDER))));

  for (const [index, text] of texts.entries()) {
    const code = text.replace(/^--.*$/gm, "").trim();
    assertMatch(
      code,
      /^begin;\s*set local search_path = public, extensions;\s*select plan\(\d+\);/,
    );
    assertMatch(code, /select \* from finish\(\);\s*rollback;$/);
    assertEquals(code.match(/^\s*\\.*$|^(?:commit|begin|rollback)\b.*;$/gm), [
      "begin;",
      "rollback;",
    ]);
    assert(text.endsWith("\n"), OURS[index]);
  }
});

/** A file in the form of those in supabase/tests. */
function aFile(plan: number, ...statements: string[]): string {
  return [
    "begin;",
    "set local search_path = public, extensions;",
    `select plan(${plan});`,
    ...statements,
    "select * from finish();",
    "rollback;",
  ].join("\n");
}

databaseTest("runPgtap() + a file whose tests pass has no complaints", async ({ sql }) => {
  const tap = await runPgtap(sql, aFile(2, "select pass('a');", "select is(1, 1, 'b');"));

  assertEquals(tap.filter((line) => line !== ""), ["1..2", "ok 1 - a", "ok 2 - b"]);
  assertEquals(complaintsAbout(tap), []);
});

databaseTest(
  "runPgtap() + a failing assertion is a failure, with the actual and the expected value",
  async ({ sql }) => {
    const tap = await runPgtap(sql, aFile(2, "select pass('a');", "select is(1, 2, 'b');"));

    assertEquals(complaintsAbout(tap), ["test 2 failed"]);
    assertMatch(tap.join("\n"), /have: 1\n#\s+want: 2/);
  },
);

databaseTest(
  "runPgtap() + an SQL error is a failure, with its place and SQLSTATE",
  async ({ sql }) => {
    const tap = await runPgtap(sql, aFile(1, "select pass('a');", "select * from nowhere;"));

    assertMatch(tap.join("\n"), /^Bail out! line 5: 42P01: relation "nowhere" does not exist$/);
    assertEquals(complaintsAbout(tap).length, 2);
  },
);

databaseTest("runPgtap() + a plan that does not match is a failure", async ({ sql }) => {
  const tap = await runPgtap(sql, aFile(3, "select pass('a');"));

  assertEquals(complaintsAbout(tap), ["3 tests are planned, 1 ran"]);
});
