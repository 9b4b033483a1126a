import { fileURLToPath } from "node:url";
import importMap from "../import_map.json" with { type: "json" };
import { isOurs } from "../local/postgres/is_ours.ts";
import { StartError } from "../local/start_error.ts";
import { withPrefix } from "./prefix.ts";
import { CONFIG_PATH, FUNCTIONS_PATH, HEADER, MIGRATIONS_PATH } from "./project.ts";

/** The folder that holds our files: a checkout, or the package. */
const ROOT = fileURLToPath(new URL("../", import.meta.url)).replace(/\/$/, "");

const FUNCTIONS = ["clerk-webhook", "clerk-worker"] as const;
const SHARED = "_shared/clerk_sync";

/** What there is to write into a project. */
export interface Source {
  readonly version: string;
  readonly prefix: string;
  /** Our migrations, in order, with the prefix. */
  readonly slices: readonly Slice[];
  /** The functions' files, by their paths in the project. */
  readonly files: Readonly<Record<string, string>>;
  /** Our sections of config.toml, by their names. */
  readonly sections: Readonly<Record<string, string>>;
}

/** One of our migrations. */
export interface Slice {
  /** The name of its file, without the extension. */
  readonly name: string;
  readonly sql: string;
}

/** Reads what there is to write, with a prefix before our names in public; empty for none. */
export async function readSource(prefix: string): Promise<Source> {
  const slices = await readSlices(prefix);
  return {
    version: versionOf(slices),
    prefix,
    slices,
    files: await readFunctions(),
    sections: sectionsOf(await Deno.readTextFile(`${ROOT}/${CONFIG_PATH}`)),
  };
}

/** One migration that holds several of ours. It begins with {@link HEADER}. */
export function migrationText({ version, prefix }: Source, slices: readonly Slice[]): string {
  const head = [
    `${HEADER}${version}${prefix === "" ? "" : `, prefix ${prefix}`}`,
    "--",
    "-- Written by clerk-sync, and recorded in supabase/clerk-sync.json: do not edit. One file is one",
    "-- transaction for `supabase db push`, and for `psql --single-transaction`.",
  ];
  const parts = slices.map(({ name, sql }) => `-- ${name}\n\n${sql.trim()}\n`);
  return `${head.join("\n")}\n\n${parts.join("\n\n")}`;
}

async function readSlices(prefix: string): Promise<Slice[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${ROOT}/${MIGRATIONS_PATH}`)) {
    if (isOurs(name)) names.push(name.replace(/\.sql$/, ""));
  }
  return await Promise.all(
    names.sort().map(async (name) => {
      const sql = await Deno.readTextFile(`${ROOT}/${MIGRATIONS_PATH}/${name}.sql`);
      return { name, sql: withPrefix(sql, prefix) };
    }),
  );
}

/**
 * The last migration writes the version into the comment of schema clerk_sync.
 *
 * @throws {StartError} when it does not, because somebody changed the files
 */
export function versionOf(slices: readonly Slice[]): string {
  const last = slices.at(-1);
  const version = /"version": "([^"]+)"/.exec(last?.sql ?? "")?.[1];
  if (version !== undefined) return version;
  throw new StartError(
    `Cannot read clerk-sync's own migrations as ${
      last === undefined
        ? `${MIGRATIONS_PATH} has none`
        : `the last one, ${last.name}, has no version`
    }: bring that folder of ${ROOT} back with git, or download clerk-sync again`,
  );
}

async function readFunctions(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const shared = await read(SHARED);
  Object.assign(files, shared);
  for (const name of FUNCTIONS) {
    const own = await read(name);
    const texts = Object.values({ ...shared, ...own });
    Object.assign(files, own, { [`${FUNCTIONS_PATH}/${name}/deno.json`]: denoJson(texts) });
  }
  return Object.fromEntries(Object.entries(files).sort(([one], [other]) => one < other ? -1 : 1));
}

/** The files below a folder of ours, by their paths in a project. */
async function read(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}/functions/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) Object.assign(files, await read(path));
    else if (name.endsWith(".ts")) {
      files[`${FUNCTIONS_PATH}/${path}`] = await Deno.readTextFile(`${ROOT}/functions/${path}`);
    }
  }
  return files;
}

/** A deno.json with what these sources import, in the versions that are pinned here. */
function denoJson(texts: readonly string[]): string {
  const specifiers = texts.flatMap((text) =>
    [...text.matchAll(/\b(?:from|import) "([^".][^"]*)"|\bimport\("([^".][^"]*)"\)/g)]
      .map(([, named, dynamic]) => named ?? dynamic ?? "")
  ).filter((specifier) => !specifier.startsWith("node:"));
  const pinned: Readonly<Record<string, string>> = importMap.imports;
  const imports = Object.fromEntries(
    [...new Set(specifiers)].sort().map((specifier) => [specifier, pinned[specifier]]),
  );
  return `${JSON.stringify({ imports }, null, 2)}\n`;
}

/** Our sections of config.toml, with the paths that they have in a project. */
function sectionsOf(config: string): Record<string, string> {
  return Object.fromEntries(FUNCTIONS.map((name) => {
    const section = config.split(/\n(?=\[)/).find((part) => part.startsWith(`[functions.${name}]`));
    // A comment after an empty line belongs to the next section.
    const lines = (section ?? "").replace(/\n\n[^]*/, "").trim().split("\n")
      .filter((line) => !/^(entrypoint|import_map) =/.test(line));
    return [
      `functions.${name}`,
      [
        ...lines,
        `entrypoint = "./functions/${name}/index.ts"`,
        `import_map = "./functions/${name}/deno.json"`,
        "",
      ].join("\n"),
    ];
  }));
}
