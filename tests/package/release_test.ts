import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import denoJson from "../../deno.json" with { type: "json" };
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { StartError } from "../../local/start_error.ts";
import { noticeOf } from "../../tools/package/notices.ts";
import { POSTGRES_VERSIONS, stopPostgres15, TEMPLATE, testServer } from "../test_server.ts";
import { type Run, run } from "../program.ts";

// The files of a release, as `deno task package` writes them.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NAME = `clerk-sync-${denoJson.version}`;

let folder: string;
let built: Run;

Deno.test.beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "clerk-sync-release-" });
  built = await build("--tag", `v${denoJson.version}`);
  await run(["tar", "xzf", `${NAME}.tgz`], { cwd: folder });
});
Deno.test.afterAll(async () => {
  await stopPostgres15();
  await Deno.remove(folder, { recursive: true });
});

async function build(...args: string[]): Promise<Run> {
  const words = [Deno.execPath(), "run", "-A", `${ROOT}tools/package.ts`, "--dir", folder];
  return await run([...words, ...args], {});
}

async function filesIn(path: string): Promise<string[]> {
  const found = await Array.fromAsync(Deno.readDir(path), async ({ name, isDirectory }) => {
    if (!isDirectory) return [name];
    return (await filesIn(`${path}/${name}`)).map((file) => `${name}/${file}`);
  });
  return found.flat().sort();
}

Deno.test("a release is the npm package and the SQL, both with the version in their names", () => {
  assertEquals([built.code, built.out, built.error], [
    0,
    `${folder}/${NAME}.tgz\n${folder}/${NAME}.sql`,
    "",
  ]);
});

Deno.test("a tag of another version is refused, and nothing is written", async () => {
  const before = await filesIn(folder);

  const answers = await Promise.all(
    ["v0.0.1", denoJson.version].map((tag) => build("--tag", tag, "--dir", `${folder}/other`)),
  );

  assertEquals(answers.map(({ code }) => code), [2, 2]);
  assertEquals(
    answers[0]?.error,
    `Cannot use --tag v0.0.1: the version in deno.json is ${denoJson.version}`,
  );
  assertEquals(await filesIn(folder), before);
});

for (const version of POSTGRES_VERSIONS) {
  Deno.test(`the SQL makes what the migrations make, on Postgres ${version}`, async () => {
    const sql = await Deno.readTextFile(`${folder}/${NAME}.sql`);
    const server = await testServer(version);
    const database = `release_${crypto.randomUUID().slice(0, 8)}`;
    const inspected = (name: string): Promise<unknown> =>
      withConnection(
        server.url(name),
        async (connection) =>
          (await connection`select public.inspect_clerk_sync() -> 'objects' as o`)[0]?.o,
      );
    await createDatabase(server, database);

    await withConnection(
      server.url(database),
      (connection) => connection.begin((transaction) => transaction.unsafe(sql).simple()),
    );
    // Of a copy, because no database can be made of one that somebody is connected to.
    await createDatabase(server, `${database}_expected`, { template: TEMPLATE });
    const [made, expected] = [
      await inspected(database),
      await inspected(`${database}_expected`),
    ];

    await dropDatabase(server, database);
    await dropDatabase(server, `${database}_expected`);
    assert(Object.keys(expected as Record<string, string>).length > 400);
    assertEquals(made, expected);
  });
}

Deno.test("npm packs the files of the package, and no others", async () => {
  const { out } = await run(["npm", "pack", "--dry-run", "--json"], { cwd: `${folder}/package` });

  const [{ files }] = JSON.parse(out) as [{ files: { path: string }[] }];
  assertEquals(files.map(({ path }) => path).sort(), await filesIn(`${folder}/package`));
});

Deno.test("the package holds text that its users run or read", async () => {
  const files = await filesIn(`${folder}/package`);

  const tops = new Set(files.map((file) => file.replace(/(?<=^files\/[^/]+)\/.*/, "")));
  const kinds = new Set(files.map((file) => /\.\w+$/.exec(file)?.[0] ?? file));
  assertEquals([...tops].sort(), [
    "LICENSE",
    "README.md",
    "THIRD_PARTY_NOTICES.txt",
    "bin.js",
    ...["adopt", "cli", "console", "deno.json", "deno.lock", "docs", "functions", "hosted"]
      .map((name) => `files/${name}`),
    ...["import_map.json", "local", "operations", "supabase"].map((name) => `files/${name}`),
    "package.json",
    "webhook.d.ts",
    "webhook.js",
  ]);
  assertEquals([...kinds].sort(), [
    ...[".css", ".html", ".js", ".json", ".lock", ".md", ".sql", ".toml", ".ts", ".txt"],
    "LICENSE",
  ]);
  assertEquals(files.filter((file) => /_test\.|\/tests?\/|\/\./.test(file)), []);
});

Deno.test("the package carries the license of everything that is bundled", async () => {
  const notices = await Deno.readTextFile(`${folder}/package/THIRD_PARTY_NOTICES.txt`);

  const [, ...sections] = notices.split(`\n${"-".repeat(80)}\n\n`);
  assertEquals(sections.map((text) => text.replace(/ [^]*/, "")), [
    "@stablelib/base64",
    "@supabase/auth-js",
    "@supabase/functions-js",
    "@supabase/phoenix",
    "@supabase/postgrest-js",
    "@supabase/realtime-js",
    "@supabase/storage-js",
    "@supabase/supabase-js",
    "fast-sha256",
    "iceberg-js",
    "preact",
    "standardwebhooks",
    "svix",
    "tslib",
    "uplot",
    "zod",
  ]);
  for (const text of sections) assertMatch(text, /^\S+ \S+ \(.+\)\n\n[^]*"AS IS"/);
});

Deno.test("a package without a license is not bundled", async () => {
  const license = await Deno.readTextFile(`${ROOT}LICENSE`);
  const theirs = `${folder}/theirs`;
  await Deno.mkdir(theirs);
  const manifest = { version: "1.0.0", license: "UNLICENSED" };
  await Deno.writeTextFile(`${theirs}/package.json`, JSON.stringify(manifest));

  await assertRejects(
    () => noticeOf({ name: "theirs", folder: theirs }, license),
    StartError,
    "Cannot bundle theirs as it has no license file, and its package.json says UNLICENSED",
  );
});
