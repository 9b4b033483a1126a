import { createTarGzip } from "nanotar";
import { fileURLToPath } from "node:url";
import { migrationText, readSource } from "../adopt/source.ts";
import denoJson from "../deno.json" with { type: "json" };
import importMap from "../import_map.json" with { type: "json" };
import { flags, runCommand, UsageError } from "../cli/usage.ts";
import { bundlePage } from "../console/server/page.ts";
import { StartError } from "../local/start_error.ts";
import { thirdPartyNotices } from "./package/notices.ts";

const HELP =
  `Builds what a release consists of: the npm package, which is a program for Node and the commands of
cli/ with all they need, and all migrations as one SQL file.

  deno task package

  --dir DIR         where to write clerk-sync-${denoJson.version}.tgz and clerk-sync-${denoJson.version}.sql (dist/)
  --tag vX.Y.Z      refuses a tag of another version than deno.json's

  Then, on any machine with Node: npx -y -p <path or URL of that tgz> clerk-sync --help

  Exit codes: 0 done; 1 failed; 2 wrong usage, or a tag of another version.
`;

/** The licenses of what is bundled. */
const NOTICES = "THIRD_PARTY_NOTICES.txt";

/** The module that servers of one's own import. */
const WEBHOOK = "tools/package/webhook.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What the commands read, and the pages that their messages name. */
const FOLDERS = [
  ...["adopt", "cli", "console/server", "docs", "functions", "hosted", "local", "operations"],
  "supabase/migrations",
];

/** Files besides. */
const FILES = ["console/api.ts", "supabase/config.toml", "supabase/shipped.json"];

/** npm's `deno`, which runs the commands. */
const DENO_VERSION = "2.9.6";

/** Large packages that packages of ours depend on, without loading them for what we use. */
const NEVER_LOADED = ["@electric-sql/pglite", "@sentry/node", "typescript"];

/** The lists of a lock's entry that name other entries. */
const DEPENDENCIES = ["dependencies", "optionalDependencies"] as const;

if (import.meta.main) await runCommand(build, HELP);

async function build(args: readonly string[]): Promise<number> {
  const { dir, tag } = flags(args, {
    dir: { type: "string", default: `${ROOT}dist` },
    tag: { type: "string" },
  }).values;
  const { version } = denoJson;
  if (tag !== undefined && tag !== `v${version}`) {
    throw new UsageError(`Cannot use --tag ${tag}: the version in deno.json is ${version}`);
  }
  await Deno.mkdir(dir, { recursive: true });
  const source = await readSource("");
  const outputs = {
    [`clerk-sync-${version}.tgz`]: await npmPackage(),
    [`clerk-sync-${version}.sql`]: new TextEncoder().encode(migrationText(source, source.slices)),
  };
  for (const [name, bytes] of Object.entries(outputs)) {
    const path = `${dir}/${name}`;
    await Deno.writeFile(path, bytes);
    console.log(path.startsWith(ROOT) ? path.slice(ROOT.length) : path);
  }
  return 0;
}

async function npmPackage(): Promise<Uint8Array> {
  const files = await commandFiles();
  const license = await Deno.readTextFile(`${ROOT}LICENSE`);
  const all = {
    "package.json": json(npmManifest()),
    "README.md": await Deno.readTextFile(`${ROOT}tools/package/README.md`),
    "LICENSE": license,
    [NOTICES]: await thirdPartyNotices([WEBHOOK, "console/page/main.tsx"], ROOT, license),
    "bin.js": await Deno.readTextFile(`${ROOT}tools/package/bin.js`),
    "webhook.js": await bundle(WEBHOOK),
    "webhook.d.ts": await Deno.readTextFile(`${ROOT}tools/package/webhook.d.ts`),
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`files/${path}`, text])),
  };
  const encoder = new TextEncoder();
  return await createTarGzip(
    Object.entries(all).map(([path, text]) => ({
      name: `package/${path}`,
      data: encoder.encode(text),
    })),
    // The same files make the same archive.
    { attrs: { mtime: 0, mode: "644" } },
  );
}

function npmManifest(): Record<string, unknown> {
  return {
    name: "clerk-sync",
    version: denoJson.version,
    description: "Keeps Clerk's users, organizations and memberships in a Supabase database",
    keywords: ["clerk", "supabase", "postgres", "webhooks", "row-level-security"],
    license: "MIT",
    type: "module",
    files: ["bin.js", "webhook.js", "webhook.d.ts", "files", NOTICES],
    bin: { "clerk-sync": "bin.js" },
    exports: { "./webhook": { types: "./webhook.d.ts", default: "./webhook.js" } },
    engines: { node: ">=20" },
    dependencies: { deno: DENO_VERSION },
  };
}

/** One file of JavaScript with all that a module imports, for any platform. */
async function bundle(path: string): Promise<string> {
  return await outputOfDeno(["bundle", "--quiet", "--minify", "--platform=browser", path], ROOT);
}

/** The texts of the files that Deno runs, by their paths. */
async function commandFiles(): Promise<Record<string, string>> {
  const paths = [...FILES, ...(await Promise.all(FOLDERS.map(filesBelow))).flat()].sort();
  const texts: Record<string, string> = {};
  for (const path of paths) texts[path] = await Deno.readTextFile(`${ROOT}${path}`);
  Object.assign(texts, await consolePage());

  const sources = Object.entries(texts).filter(([path]) => path.endsWith(".ts"))
    .map(([, text]) => text).join("\n");
  const imports = Object.entries(importMap.imports)
    .filter(([name]) => sources.includes(`"${name}"`));
  const config = {
    version: denoJson.version,
    importMap: "./import_map.json",
    nodeModulesDir: "none",
    // Packages are downloaded when a command loads them, so Postgres for this platform only.
    unstable: ["npm-lazy-caching"],
    tasks: Object.fromEntries(
      Object.entries(denoJson.tasks).filter(([, { command }]) => / cli\/\w+\.ts$/.test(command)),
    ),
  };
  const configs = {
    "deno.json": json(config),
    "import_map.json": json({ imports: Object.fromEntries(imports) }),
  };
  return { ...texts, ...configs, "deno.lock": await lockFor(configs) };
}

/** The console's page as a browser loads it, so that nobody needs what bundles it. */
async function consolePage(): Promise<Record<string, string>> {
  const parent = await Deno.makeTempDir({ prefix: "clerk-sync-page-" });
  try {
    const folder = `${parent}/bundle`;
    await bundlePage(folder);
    const texts: Record<string, string> = {};
    for await (const { name } of Deno.readDir(folder)) {
      texts[`console/bundle/${name}`] = await Deno.readTextFile(`${folder}/${name}`);
    }
    return texts;
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await filesBelow(path));
    else if (!name.startsWith(".") && !/\.(svg|png)$/.test(name)) found.push(path);
  }
  return found;
}

/** Our lock file, reduced by Deno to the packages of an import map, and to those that are loaded. */
async function lockFor(configs: Readonly<Record<string, string>>): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-lock-" });
  try {
    await Deno.copyFile(`${ROOT}deno.lock`, `${folder}/deno.lock`);
    for (const [name, text] of Object.entries(configs)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await outputOfDeno(["install", "--lockfile-only"], folder);
    return json(withoutUnused(JSON.parse(await Deno.readTextFile(`${folder}/deno.lock`))));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What Deno writes to standard output. */
async function outputOfDeno(args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  const reason = text.decode(stderr).trim().split("\n").at(-1);
  throw new StartError(`Cannot build the package as deno ${args[0]} says: ${reason}`);
}

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

type LockedPackage = Readonly<Record<string, unknown>>;

/** The lock without {@linkcode NEVER_LOADED} and whatever only they need. */
function withoutUnused(lock: Lock): Lock {
  const npm: Record<string, LockedPackage> = {};
  const keep = (dependency: string): void => {
    const [id, found] =
      Object.entries(lock.npm).find(([each]) =>
        each === dependency || each.startsWith(`${dependency}@`) ||
        each.startsWith(`${dependency}_`)
      ) ?? [];
    if (id === undefined || found === undefined) throw new Error(`No ${dependency} in the lock`);
    if (id in npm) return;
    // Without node_modules, Deno would only warn about scripts, and ours do without them.
    const { scripts: _, ...entry } = found;
    const lists = DEPENDENCIES.filter((list) => list in entry).map((list) => {
      const loaded = (entry[list] as string[]).filter((each) =>
        !NEVER_LOADED.includes(nameOf(each))
      );
      return [list, loaded] as const;
    });
    npm[id] = { ...entry, ...Object.fromEntries(lists) };
    lists.flatMap(([, loaded]) => loaded).forEach(keep);
  };
  for (const [specifier, version] of Object.entries(lock.specifiers)) {
    keep(`${nameOf(specifier.replace(/^npm:/, ""))}@${version}`);
  }
  return { ...lock, npm };
}

/** The name in `@scope/name@1.2.3_peer@4`. */
function nameOf(id: string): string {
  return id.replace(/(?<=.)@.*$/, "");
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
