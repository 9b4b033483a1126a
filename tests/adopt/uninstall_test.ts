import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { withoutSections } from "../../adopt/config.ts";
import { planInit } from "../../adopt/init.ts";
import { carryOut } from "../../adopt/plan.ts";
import { TABLES } from "../../local/postgres/is_ours.ts";
import { planUninstall } from "../../adopt/uninstall.ts";
import { SUPABASE_CLI_VERSION } from "../../cli/supabase_cli.ts";
import { aClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { StartError } from "../../local/start_error.ts";
import { aDatabase, apply, everythingIn, push } from "./database.ts";
import { interruptBefore } from "./interrupt.ts";
import { aProject, type Fixture, FIXTURES, type ProjectCopy } from "./projects.ts";
import { type Run, runFile } from "../program.ts";

const RECORD = "supabase/clerk-sync.json";
const WEBHOOK = "supabase/functions/clerk-webhook/index.ts";

/** Runs the command as people do. */
function uninstall(...args: string[]): Promise<Run> {
  return runFile("cli/uninstall.ts", args);
}

async function install(dir: string, prefix?: string): Promise<void> {
  await carryOut(dir, (await planInit(dir, prefix)).steps);
}

/** Files without our migrations, which are the project's history. */
function withoutHistory(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).filter(([path]) => !/_clerk_sync\.sql$/.test(path)),
  );
}

function uninstallTest(name: string, fn: () => Promise<void>): void {
  // The server may be started within the first test, and outlives it.
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

for (const [number, [name, fixture]] of Object.entries<Fixture>(FIXTURES).entries()) {
  const dropTables = number % 2 === 0;
  const kept = dropTables ? "--drop-tables" : "the tables stay";
  uninstallTest(
    `uninstall in a project ${name} (${kept}): what was theirs is what it was, and init works again`,
    async () => {
      const { prefix = "" } = fixture;
      await using project = await aProject(fixture);
      await using database = await aDatabase();
      await apply(project, database.url);
      await withConnection(database.url, (sql) => sql.unsafe(fixture.rows ?? "").simple());
      const files = await project.files();
      const theirs = await everythingIn(database.url);
      await install(project.dir, prefix);
      await apply(project, database.url);
      const event = JSON.stringify(anEvent("user.created", aClerkUser({ id: "user_ada" })));
      await withConnection(
        database.url,
        (sql) => sql`select public.ingest_clerk_event(${anId("msg")}, ${event}::text::jsonb)`,
      );

      await carryOut(project.dir, (await planUninstall(project.dir, { dropTables })).steps);
      assertMatch(
        await push(project, database.url),
        /^Applying migration \d+_remove_clerk_sync\.sql/m,
      );

      assertEquals(withoutHistory(await project.files()), files);
      // The extension pgmq stays, because others may use it.
      const now = (await everythingIn(database.url)).filter((line) => !line.includes(" pgmq."));
      if (dropTables) assertEquals(now, theirs);
      else {
        assertEquals(now.filter((line) => theirs.includes(line)), theirs);
        assert(now.some((line) => line.includes("user_ada")));
      }
      if (!dropTables) await assertKeptTablesAreTaken(project, prefix);
      const again = dropTables ? prefix : "again_";
      await install(project.dir, again);
      await apply(project, database.url);
      const [row] = await withConnection(
        database.url,
        (sql) => sql.unsafe(`select count(*)::int as count from public.${again}profiles`),
      );
      assertEquals(row?.count, 0);
    },
  );
}

/** The tables that stayed have their names, until a migration of the project drops them. */
async function assertKeptTablesAreTaken(project: ProjectCopy, prefix: string): Promise<void> {
  const files = await project.files();

  const { message } = await assertRejects(() => planInit(project.dir, prefix), StartError);

  const drop = `${project.dir}/supabase/migrations/99990101000000_drop_kept_tables.sql`;
  const names = TABLES.map((table) => `public.${prefix}${table}`);
  await Deno.writeTextFile(drop, `drop table ${names.join(",\n  ")};\n`);
  const { steps } = await planInit(project.dir, prefix);
  await Deno.remove(drop);
  const listed = [...message.matchAll(/^ {2}table (\S+) .*, in \S+_clerk_sync\.sql$/gm)]
    .map(([, table]) => table);
  assertEquals(listed.sort(), names.toSorted());
  assertGreater(steps.length, 0);
  assertEquals(await project.files(), files);
}

uninstallTest(
  "with a database, uninstall lists what uses the sync, and writes nothing",
  async () => {
    await using project = await aProject(FIXTURES.fresh);
    await using database = await aDatabase();
    await install(project.dir);
    await apply(project, database.url);
    await withConnection(database.url, (sql) =>
      sql.unsafe(`
      create table public.notes (owner text default clerk.user_id());
      create policy mine on public.notes as restrictive using (owner = (select clerk.user_id()));
    `).simple());
    const files = await project.files();

    const text = await uninstall("--dir", project.dir, "--db-url", database.url, "--yes");
    const json = await uninstall("--dir", project.dir, "--db-url", database.url, "--yes", "--json");

    assertEquals([text.code, json.code, text.error, json.error], [1, 1, "", ""]);
    assertMatch(
      text.out,
      /^This uses clerk-sync\. Change or drop it first: nothing was written\.\n {2}default value for public\.notes\.owner\n {2}policy mine on public\.notes\n\nclerk-sync 1\./,
    );
    const { dependants, is_done } = JSON.parse(json.out);
    assertEquals([dependants, is_done], [
      ["default value for public.notes.owner", "policy mine on public.notes"],
      false,
    ]);
    assertEquals(await project.files(), files);

    // Whoever does not ask first is stopped by the migration itself.
    await carryOut(project.dir, (await planUninstall(project.dir, { dropTables: false })).steps);
    const error = await assertRejects(() => push(project, database.url), Error);
    assertStringIncludes(
      String(error),
      "change or drop default value for public.notes.owner, policy mine on public.notes first; nothing was removed",
    );
    await withConnection(database.url, (sql) => sql`drop table public.notes`);
    await apply(project, database.url);
  },
);

Deno.test("uninstall says all that is to be done in its order, asks, does its part once", async () => {
  await using project = await aProject(FIXTURES.fresh);
  const before = await project.files();
  await install(project.dir);
  const files = await project.files();

  const unasked = await uninstall("--dir", project.dir);
  const dry = await uninstall("--dir", project.dir, "--dry-run");
  assertEquals([unasked.code, dry.code], [2, 0]);
  assertMatch(unasked.error, /^Cannot ask for a confirmation without a terminal/);
  assertMatch(
    dry.out,
    /1\. In Clerk's dashboard, remove the endpoint[^]*2\. This command\n[^]*functions delete clerk-worker[^]*secrets unset[^]*keys clerk_ingest[^]*db push --remote[^]*only secret keys/,
  );
  assertStringIncludes(dry.out, `npx -y supabase@${SUPABASE_CLI_VERSION} secrets unset `);
  assertEquals(await project.files(), files);

  const done = await uninstall("--dir", project.dir, "--yes");
  const again = await uninstall("--dir", project.dir, "--yes");
  assertMatch(done.out, /\nDone\. Go on with step 3: delete the deployed functions/);
  assertEquals([done.code, done.error, again], [0, "", {
    code: 0,
    out: "Nothing to do",
    error: "",
  }]);
  assertEquals(withoutHistory(await project.files()), before);
});

Deno.test("uninstall keeps a file that was edited, with the section of its function, and says so", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await install(project.dir);
  await Deno.writeTextFile(`${project.dir}/${WEBHOOK}`, "// mine\n");

  const { out } = await uninstall("--dir", project.dir, "--yes");

  assertStringIncludes(out, `keeps ${WEBHOOK}, because it was edited`);
  const files = await project.files();
  assertEquals(files[WEBHOOK], "// mine\n");
  assertStringIncludes(files["supabase/config.toml"] ?? "", "[functions.clerk-webhook]");
  assertEquals(files["supabase/config.toml"]?.includes("[functions.clerk-worker]"), false);
});

Deno.test("uninstall removes the section of a function that is gone, whatever else of it stays", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await install(project.dir);
  const handlers = "supabase/functions/clerk-worker/handlers/mod.ts";
  await Deno.writeTextFile(`${project.dir}/${handlers}`, "// mine\n");

  const { out } = await uninstall("--dir", project.dir, "--yes");

  assertStringIncludes(out, `keeps ${handlers}, because it was edited`);
  const files = await project.files();
  assertEquals(files[handlers], "// mine\n");
  assertEquals(files["supabase/config.toml"]?.includes("[functions.clerk-"), false);
});

Deno.test("uninstall --sql does not guess the prefix of a record that it cannot read", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await install(project.dir, "crm_");
  await Deno.writeTextFile(`${project.dir}/supabase/clerk-sync.json`, "{");

  const { code, out, error } = await uninstall("--dir", project.dir, "--sql");

  assertEquals([code, out], [1, ""]);
  assertStringIncludes(error, "Cannot use supabase/clerk-sync.json");
});

Deno.test("uninstall --sql prints the migration, with the project's prefix or the given one", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await install(project.dir, "crm_");

  const recorded = await uninstall("--dir", project.dir, "--sql");
  const given = await uninstall("--dir", "/nowhere", "--sql", "--prefix", "crm_");
  const dropping = await uninstall("--dir", project.dir, "--sql", "--drop-tables");
  const { steps } = await planUninstall(project.dir, { dropTables: false });

  assertEquals([recorded.code, recorded.out], [0, steps[0]?.text?.trim()]);
  assertEquals(given.out, recorded.out);
  assertStringIncludes(recorded.out, "'public.crm_profiles'");
  assertEquals(
    dropping.out,
    recorded.out.replace(
      "drop_tables constant boolean := false",
      "drop_tables constant boolean := true",
    )
      .replace(
        /mention constant text := .*/,
        /mention constant text := .*/.exec(dropping.out)?.[0] ?? "",
      ),
  );
});

Deno.test("uninstall refuses what it cannot use, in a sentence", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await using installed = await aProject(FIXTURES.fresh);
  await install(installed.dir);
  await using newer = await aProject(FIXTURES.fresh);
  await install(newer.dir);
  const record = `${newer.dir}/supabase/clerk-sync.json`;
  const text = await Deno.readTextFile(record);
  await Deno.writeTextFile(record, text.replace(/"version": ".*?"/, '"version": "1.10.0"'));
  const url = "postgresql://postgres:hidden@127.0.0.1:9/postgres";

  for (
    const [args, code, sentence] of [
      [
        ["--dir", project.dir],
        1,
        /^Cannot uninstall as supabase\/clerk-sync\.json is missing: .*--sql/,
      ],
      [["--prefix", "x_"], 2, /^Cannot use --prefix without --sql/],
      [["--sql", "--prefix", "x'"], 2, /^Cannot use --prefix x': it must be at most 20/],
      [
        ["--dir", installed.dir, "--db-url", url, "--yes"],
        1,
        /^Cannot check what uses the sync as/,
      ],
      [
        ["--dir", installed.dir, "--db-url", url.replace("hidden", "hidden/"), "--yes"],
        2,
        /^Cannot use the value of --db-url or SUPABASE_DB_URL as/,
      ],
      [
        ["--dir", installed.dir, "--db-url", url.replace("postgresql://", ""), "--yes"],
        2,
        /^Cannot use the value of --db-url or SUPABASE_DB_URL as/,
      ],
      [["--dir", newer.dir], 1, /^Cannot uninstall as clerk-sync 1\.10\.0 is installed here, and/],
      [["--nope"], 2, /^Unknown option '--nope'/],
    ] as const
  ) {
    const { code: got, out, error } = await uninstall(...args);
    assertEquals([got, out, error.split("\n").length], [code, "", 1]);
    assertMatch(error, sentence);
    assertEquals(error.includes("hidden"), false);
  }
});

Deno.test("after a SIGKILL before any step, uninstall comes to the end of an undisturbed one", async () => {
  const now = new Date("2026-11-28T12:00:00Z");
  const fixture = FIXTURES["with functions, a _shared/ and an import map of its own"];
  const plan = async (dir: string, at = now) =>
    (await planUninstall(dir, { dropTables: false }, at)).steps;
  await using undisturbed = await aProject(fixture);
  await install(undisturbed.dir);
  const steps = await plan(undisturbed.dir);
  await carryOut(undisturbed.dir, steps);
  const expected = Object.values(await undisturbed.files()).sort();

  for (const [number, step] of steps.entries()) {
    await using project = await aProject(fixture);
    await install(project.dir);
    await interruptBefore(number, { command: "uninstall", dir: project.dir, steps, now });

    await carryOut(project.dir, await plan(project.dir, new Date("2026-11-29T12:00:00Z")));

    assertEquals(Object.values(await project.files()).sort(), expected, step.words);
    assertEquals(await plan(project.dir), []);
  }
});

Deno.test("a removal that another version or other options wrote is not passed over", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await install(project.dir);
  const record = await Deno.readTextFile(`${project.dir}/${RECORD}`);
  await carryOut(project.dir, (await planUninstall(project.dir, { dropTables: true })).steps);
  await Deno.writeTextFile(`${project.dir}/${RECORD}`, record);

  await assertRejects(
    () => planUninstall(project.dir, { dropTables: false }),
    Error,
    "was written with other options",
  );
});

Deno.test("withoutSections() + leaves the comment above the next section, and every other character", () => {
  const theirs = 'project_id = "app"\n\n# Greets.\n[functions.hello]\nverify_jwt = true # x\n';
  const ours = "[functions.clerk-worker]\n# Ours.\nverify_jwt = false\n";
  const between = theirs.replace("# Greets.", `${ours}\n# Greets.`);

  for (const text of [between, `${theirs}\n${ours}`, between.replaceAll("\n", "\r\n")]) {
    const left = withoutSections(text, ["functions.clerk-worker"]);
    assertEquals(left, text.includes("\r") ? theirs.replaceAll("\n", "\r\n") : theirs);
  }
  assertThrows(
    () =>
      withoutSections(`functions.clerk-worker.verify_jwt = false\n`, ["functions.clerk-worker"]),
    Error,
    "remove [functions.clerk-worker] by hand",
  );
});
