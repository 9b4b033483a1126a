import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { planInit, planText } from "../../adopt/init.ts";
import { carryOut, UNFINISHED } from "../../adopt/plan.ts";
import { hostedDeno } from "../../bench/hosted_deno.ts";
import { runSupabase } from "../../cli/supabase_cli.ts";
import { aClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import { signedHeadersFor } from "../../local/clerk/deliver.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { spawnBound } from "../../local/process.ts";
import { startServices } from "../../local/services.ts";
import { startManagementApi } from "../deploy/management_api.ts";
import { post } from "../test_stack.ts";
import { aDatabase, apply, type Database, everythingIn, push } from "./database.ts";
import { aProject, type Fixture, FIXTURES, type ProjectCopy } from "./projects.ts";
import { type Run, runFile } from "../program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function initTest(name: string, fn: () => Promise<void>): void {
  // The server may be started within the first test, and outlives it.
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** Runs the command as people do. */
function init(...args: string[]): Promise<Run> {
  return runFile("cli/init.ts", args);
}

for (const [name, fixture] of Object.entries<Fixture>(FIXTURES)) {
  initTest(
    `init in a project ${name}: a signed delivery becomes a row, and what was theirs stays`,
    async () => {
      await using project = await aProject(fixture);
      await using database = await aDatabase();
      await apply(project, database.url);
      await withConnection(database.url, (sql) => sql.unsafe(fixture.rows ?? "").simple());
      const files = await project.files();
      const theirs = await everythingIn(database.url);
      const { prefix = "" } = fixture;

      const { code, out, error } = await init(
        ...["--dir", project.dir, "--yes"],
        ...(prefix === "" ? [] : ["--prefix", prefix]),
      );

      assertEquals([code, error], [0, ""]);
      assertStringIncludes(out, `public.${prefix}profiles`);
      await assertTheirsAreThere(project, files);
      assertMatch(
        await push(project, database.url),
        /^Applying migration \d{14}_clerk_sync\.sql\.\.\.$/m,
      );
      assertEquals(await rowAfterDelivery(project, database, prefix), "Ada");
      assertEquals((await madeIn(database.url)).filter((each) => !out.includes(each)), []);
      const now = await everythingIn(database.url);
      assertEquals(now.filter((line) => theirs.includes(line)), theirs);
    },
  );
}

/** The files of a project are as they were, and config.toml begins as it did. */
async function assertTheirsAreThere(
  project: ProjectCopy,
  before: Readonly<Record<string, string>>,
): Promise<void> {
  const now = await project.files();
  for (const [path, text] of Object.entries(before)) {
    if (path === "supabase/config.toml") assert(now[path]?.startsWith(text.trimEnd()), path);
    else assertEquals(now[path], text, path);
  }
}

/** The schemas, tables, roles and queues that clerk-sync has made, which the plan names before. */
async function madeIn(databaseUrl: string): Promise<string[]> {
  return await withConnection(databaseUrl, async (sql) => {
    const rows = await sql<{ name: string }[]>`
      select nspname as name from pg_namespace where nspname ^@ 'clerk'
      union all
      select rolname from pg_roles where rolname ^@ 'clerk_'
      union all
      select queue_name from pgmq.list_queues()
      union all
      select 'public.' || relname
      from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r' and obj_description(oid) ~ 'Clerk'
    `;
    assert(rows.length > 10);
    return rows.map(({ name }) => name);
  });
}

/** Serves the webhook of a project with the Deno of hosted Supabase, and delivers a new user to it. */
async function rowAfterDelivery(
  { dir }: ProjectCopy,
  { server, name, url }: Database,
  prefix: string,
): Promise<string | null | undefined> {
  await using services = await startServices({
    postgres: server,
    database: name,
    functions: false,
  });
  const listening = Promise.withResolvers<string>();
  const folder = `${dir}/supabase/functions/clerk-webhook`;
  const child = spawnBound(await hostedDeno(), {
    args: [
      ...["serve", `--config=${folder}/deno.json`, "--no-lock", "--node-modules-dir=none"],
      ...["--no-prompt", "--allow-env", "--allow-net", "--host=127.0.0.1", "--port=0"],
      `${folder}/index.ts`,
    ],
    cwd: dir,
    env: {
      DENO_TLS_CA_STORE: "mozilla,system",
      ...Deno.env.toObject(),
      NO_COLOR: "1",
      SUPABASE_URL: services.apiUrl,
      SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: services.keys.clerkIngest }),
      CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
    },
    onOrphaned: "KILL",
    onLine: (line) => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      if (found !== undefined) listening.resolve(found);
    },
  });
  try {
    const user = aClerkUser({ first_name: "Ada" });
    const message = { id: anId("msg"), body: JSON.stringify(anEvent("user.created", user)) };
    const webhookUrl = await Promise.race([
      listening.promise,
      child.ended.then(() => {
        throw new Error(`Cannot serve the webhook:\n${child.lastLines().join("\n")}`);
      }),
    ]);
    const headers = signedHeadersFor(message, services.signingSecret);

    assertEquals((await post(webhookUrl, message.body, headers)).outcome, "applied");

    return await withConnection(url, async (sql) => {
      const [row] = await sql.unsafe<{ first_name: string | null }[]>(
        `select first_name from public.${prefix}profiles where id = $1`,
        [String(user.id)],
      );
      return row?.first_name;
    });
  } finally {
    child.signal("SIGKILL");
    await child.ended;
  }
}

Deno.test("a second init has nothing to do, and writes nothing", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await init("--dir", project.dir, "--yes");
  const files = await project.files();

  const again = await init("--dir", project.dir);

  assertEquals(again, { code: 0, out: "Nothing to do", error: "" });
  assertEquals(await project.files(), files);
});

Deno.test("init asks first: without a terminal it writes nothing and exits 2, and --dry-run exits 0", async () => {
  await using project = await aProject(FIXTURES.fresh);
  const files = await project.files();

  const unasked = await init("--dir", project.dir);
  const dry = await init("--dir", project.dir, "--dry-run", "--json");

  assertEquals([unasked.code, dry.code], [2, 0]);
  assertMatch(unasked.error, /^Cannot ask for a confirmation without a terminal, .* --yes/);
  const plan = JSON.parse(dry.out);
  assertEquals([plan.prefix, plan.is_done], ["", false]);
  assertEquals(plan.steps.at(-1), {
    path: "supabase/clerk-sync.json",
    words: "writes supabase/clerk-sync.json",
  });
  assertEquals(await project.files(), files);
});

Deno.test("init refuses names that are taken, says where and what to do, and writes nothing", async () => {
  for (
    const [fixture, taken] of [
      [
        FIXTURES["with the profiles of Supabase's quickstart"],
        /table public\.profiles \(id uuid\), in supabase\/migrations\/20250301120000_user_management_starter\.sql/,
      ],
      [
        FIXTURES["with profiles of its own, whose ids are text"],
        /table public\.profiles \(id text\), in .*\n {2}index public\.profiles_by_email, in /,
      ],
    ] as const
  ) {
    await using project = await aProject(fixture);
    const files = await project.files();

    const { code, out, error } = await init("--dir", project.dir, "--yes");

    assertEquals([code, out], [1, ""]);
    assertMatch(error, taken);
    assertMatch(error, /never taken over.*--prefix clerk_.*docs\/adopting\.md/);
    assertEquals(await project.files(), files);
  }
});

Deno.test("init overwrites nothing: it names every file and value in its way, and writes nothing", async () => {
  await using project = await aProject({
    files: {
      "supabase/functions/clerk-webhook/index.ts": "Deno.serve(() => new Response('theirs'));\n",
      "supabase/functions/_shared/clerk_sync/log.ts": "export {};\n",
    },
    config: "\n[functions.clerk-webhook]\nverify_jwt = true\n",
  });
  const files = await project.files();

  const { code, error } = await init("--dir", project.dir, "--yes");

  assertEquals(code, 1);
  assertStringIncludes(error, "\n  supabase/functions/_shared/clerk_sync/log.ts\n");
  assertStringIncludes(error, "\n  supabase/functions/clerk-webhook/index.ts\n");
  assertStringIncludes(error, "\n  supabase/config.toml: verify_jwt, ");
  assertEquals(await project.files(), files);
});

Deno.test("init refuses what it cannot use, in a sentence", async () => {
  const empty = await Deno.makeTempDir();
  await using project = await aProject(FIXTURES.fresh);
  await init("--dir", project.dir, "--yes", "--prefix", "crm_");
  await using newer = await aProject(FIXTURES.fresh);
  await init("--dir", newer.dir, "--yes");
  const record = `${newer.dir}/supabase/clerk-sync.json`;
  const text = await Deno.readTextFile(record);
  await Deno.writeTextFile(record, text.replace(/"version": ".*?"/, '"version": "1.10.0"'));

  for (
    const [args, code, error] of [
      [["--dir", empty], 1, /^Cannot find supabase\/config\.toml in .*supabase init/],
      [["--dir", project.dir, "--prefix", "Clerk-"], 2, /^Cannot use --prefix Clerk-: it must be/],
      [["--dir", project.dir, "--prefix", ""], 1, /installed here with the prefix crm_/],
      [["--dir", newer.dir], 1, /^Cannot install clerk-sync as clerk-sync 1\.10\.0 is installed/],
      [["--nope"], 2, /^Unknown option '--nope'/],
    ] as const
  ) {
    const run = await init(...args);
    assertEquals([run.code, run.out], [code, ""]);
    assertMatch(run.error, error);
  }
  await Deno.remove(empty);
});

Deno.test("init says in a sentence what it cannot read or write", async () => {
  for (
    const [path, text, error] of [
      [
        "supabase/functions",
        "",
        /^Cannot read \S+\/supabase\/functions\/\S+ as the system reports "not a directory": /,
      ],
      [
        "supabase/migrations",
        "",
        /^Cannot read \S+\/supabase\/migrations as the system reports "not a directory": /,
      ],
      [
        "supabase/schemas",
        "",
        /^Cannot read \S+\/supabase\/schemas as the system reports "not a directory": /,
      ],
      [
        "supabase/config.toml",
        null,
        /^Cannot read \S+\/supabase\/config\.toml as the system reports "is a directory": /,
      ],
      [
        "supabase/clerk-sync.json",
        null,
        /^Cannot read \S+\/supabase\/clerk-sync\.json as the system reports "is a directory": /,
      ],
      [
        UNFINISHED,
        null,
        /^Cannot change \S+\/supabase\/functions\/\S+ as the system reports "is a directory": /,
      ],
    ] as const
  ) {
    await using project = await aProject(FIXTURES.fresh);
    const file = `${project.dir}/${path}`;
    await Deno.remove(file).catch(() => {});
    if (text === null) await Deno.mkdir(file);
    else await Deno.writeTextFile(file, text);

    const run = await init("--dir", project.dir, "--yes");

    assertEquals([run.code, run.error.split("\n").length], [1, 1], run.error);
    assertMatch(run.error, error);
  }
});

Deno.test("init names the current folder in words, and says when there are no migrations", async () => {
  await using project = await aProject(FIXTURES.fresh);
  const plan = await planInit(project.dir, undefined);

  const text = planText({ ...plan, project: { ...plan.project, dir: "." } });

  assertMatch(text, /for the project in this folder, which has no migrations\n/);
});

Deno.test("the migration is dated after the newest of the project, and not in the past", async () => {
  const now = new Date("2026-11-27T12:00:00Z");
  await using fresh = await aProject(FIXTURES.fresh);
  await using ahead = await aProject({
    files: { "supabase/migrations/20991231235959_x.sql": "select 1;\n" },
  });

  assertEquals(
    await migrationOf(fresh.dir, now),
    "supabase/migrations/20261127120000_clerk_sync.sql",
  );
  assertEquals(
    await migrationOf(ahead.dir, now),
    "supabase/migrations/21000101000000_clerk_sync.sql",
  );
});

async function migrationOf(dir: string, now: Date): Promise<string | undefined> {
  const { steps } = await planInit(dir, undefined, now);
  return steps.find(({ path }) => path.endsWith("_clerk_sync.sql"))?.path;
}

const NOW = new Date("2026-11-27T12:00:00Z");
const LATER = new Date("2026-11-28T12:00:00Z");

Deno.test("after a SIGKILL before any step, init comes to the end of an undisturbed one", async () => {
  const fixture = FIXTURES["with functions, a _shared/ and an import map of its own"];
  await using undisturbed = await aProject(fixture);
  const { steps } = await planInit(undisturbed.dir, undefined, NOW);
  await carryOut(undisturbed.dir, steps);
  const expected = withoutDates(await undisturbed.files());

  for (const [number, step] of steps.entries()) {
    await using project = await aProject(fixture);
    const { signal } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "tests/adopt/interrupted_init.ts"],
        ...[project.dir, String(number), NOW.toISOString()],
      ],
      cwd: ROOT,
    }).output();
    assertEquals(signal, "SIGKILL");
    // Half of the file, as if the process had been killed while it wrote.
    await Deno.writeTextFile(`${project.dir}/${UNFINISHED}`, step.text?.slice(0, 10) ?? "");

    await carryOut(project.dir, (await planInit(project.dir, undefined, LATER)).steps);

    const files = withoutDates(await project.files());
    assertEquals(Object.keys(files).sort(), Object.keys(expected).sort(), step.words);
    for (const [path, text] of Object.entries(files)) assert(text === expected[path], path);
    assertEquals((await planInit(project.dir, undefined, LATER)).steps, []);
  }
});

/** Files with the date of our migration left out of its name. */
function withoutDates(files: Readonly<Record<string, string>>): Record<string, string> {
  const without = (text: string): string => text.replace(/202611\d{8}(?=_clerk_sync\.sql)/g, "…");
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [without(path), without(text)]),
  );
}

Deno.test("the Supabase CLI deploys clerk-sync's functions with their imports, and those of the project with theirs", async () => {
  await using project = await aProject(
    FIXTURES["with functions, a _shared/ and an import map of its own"],
  );
  await init("--dir", project.dir, "--yes");
  await using api = startManagementApi();
  const profile = `${project.dir}/profile.yaml`;
  await Deno.writeTextFile(profile, api.profile);

  for (const name of ["clerk-webhook", "hello"]) {
    const { code, stderr } = await runSupabase([
      ...["functions", "deploy", name, "--use-api", `--remote=${api.projectRef}`],
      ...["--yes", "--profile", profile],
    ], { cwd: project.dir, env: { SUPABASE_ACCESS_TOKEN: api.token } });
    assertEquals(code, 0, stderr);
  }

  const deployed = Object.fromEntries(api.deployments.map(({ slug, metadata, files }) => [slug, {
    metadata,
    theirs: Object.keys(files).filter((path) => /greet|hello/.test(path)).length > 0,
    ours: Object.keys(files).filter((path) => /clerk/.test(path)).length > 0,
  }]));
  const metadata = (name: string, importMap: string, verify_jwt: boolean): unknown => ({
    name,
    entrypoint_path: `supabase/functions/${name}/index.ts`,
    import_map_path: `supabase/functions/${importMap}`,
    static_patterns: [],
    verify_jwt,
  });
  assertEquals<unknown>(deployed, {
    "clerk-webhook": {
      metadata: metadata("clerk-webhook", "clerk-webhook/deno.json", false),
      theirs: false,
      ours: true,
    },
    hello: {
      metadata: metadata("hello", "import_map.json", true),
      theirs: true,
      ours: false,
    },
  });
});

for (const version of ["the current Deno", "the Deno of hosted Supabase"] as const) {
  Deno.test(`${version} compiles the functions of both, beside each other`, async () => {
    await using project = await aProject(
      FIXTURES["with functions, a _shared/ and an import map of its own"],
    );
    await init("--dir", project.dir, "--yes");
    const deno = version === "the current Deno" ? Deno.execPath() : await hostedDeno();
    const functions = "supabase/functions";

    for (const name of ["clerk-webhook", "clerk-worker"]) {
      await check(deno, `${project.dir}/${functions}/${name}`, ["index.ts"]);
    }
    await check(deno, project.dir, [
      `--import-map=${functions}/import_map.json`,
      `${functions}/hello/index.ts`,
    ]);
  });
}

async function check(deno: string, cwd: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(deno, {
    args: ["check", "--no-lock", "--node-modules-dir=none", ...args],
    cwd,
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: "mozilla,system" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}
