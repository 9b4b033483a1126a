import { TABLES } from "../../local/postgres/is_ours.ts";
import { readFile, sectionOf } from "../../adopt/project.ts";
import { MIGRATIONS_PATH, type Project } from "../../adopt/project.ts";
import { sha256 } from "../../adopt/record.ts";
import { isLost } from "./database.ts";
import { type Finding, NOT_INSPECTED, some, unknown, well, wrong } from "./check.ts";
import { BESIDE, type Installation, isBeside, prefixOf } from "./installation.ts";

// The project on disk: what `init` wrote, and the types that the application uses.

const NO_PROJECT = "There is no Supabase project in this folder: name its folder with --dir.";

export async function checkFiles({ project }: Installation): Promise<Finding> {
  if (project === undefined) return unknown(NO_PROJECT);
  const guarded = ["clerk-webhook", "clerk-worker"].filter((name) => {
    const section = sectionOf(project.settings, `functions.${name}`);
    return section?.verify_jwt !== false;
  });
  if (guarded.length > 0) {
    return wrong(
      `supabase/config.toml does not switch verify_jwt off for ${
        guarded.join(" and ")
      }: once deployed, every request is refused with 401.`,
      `Write verify_jwt = false below ${
        guarded.map((name) => `[functions.${name}]`).join(" and ")
      }.`,
    );
  }
  const { record } = project;
  if (record === undefined) {
    return unknown(
      "There is no supabase/clerk-sync.json to compare with.",
    );
  }
  const migrations = Object.fromEntries(
    record.migrations.map(({ file, sha256 }) => [`${MIGRATIONS_PATH}/${file}`, sha256]),
  );
  const { missing, edited } = await compare(project, { ...migrations, ...record.files });
  if (missing.length > 0) {
    return wrong(`Missing: ${some(missing)}.`, "Bring them back with git.");
  }
  const history = edited.filter((path) => path in migrations);
  if (history.length > 0) {
    return wrong(
      `Edited after it had been written: ${some(history)}.`,
      "Bring it back with git, and put your change into a migration of your own.",
    );
  }
  return well(
    "What `init` wrote is there" +
      (edited.length === 0 ? ", unedited." : `. You edited ${some(edited)}.`),
  );
}

async function compare(
  project: Project,
  hashes: Readonly<Record<string, string>>,
): Promise<{ missing: string[]; edited: string[] }> {
  const missing: string[] = [];
  const edited: string[] = [];
  for (const [path, hash] of Object.entries(hashes)) {
    const text = await readFile(project, path);
    if (text === undefined) missing.push(path);
    else if (await sha256(text) !== hash) edited.push(path);
  }
  return { missing, edited };
}

export async function checkTypes(installation: Installation): Promise<Finding> {
  const { project, inspect } = installation;
  if (project === undefined) return unknown(NO_PROJECT);
  const found = await inspect();
  if ("error" in found) return NOT_INSPECTED;
  if (isBeside(installation, found.value)) return unknown(BESIDE);
  const files = await typesBelow(project.dir);
  if (files.length === 0) return unknown("There are no types of the database in this folder.");

  if ((await installation.differences())?.some(isLost)) {
    return unknown("The tables are not as shipped: see the check tables.");
  }
  const { objects } = found.value;
  const prefix = prefixOf(found.value);
  const stale: string[] = [];
  for (const { path, text } of files) {
    const outdated = TABLES.map((table) => `${prefix}${table}`)
      .filter((table) => !sameNames(columnsIn(text, table), columnsOf(objects, table)));
    if (outdated.length > 0) stale.push(`${path} (${some(outdated, 3)})`);
  }
  return stale.length === 0
    ? well(`${some(files.map(({ path }) => path), 2)} has every column.`)
    : wrong(
      `They lack columns, or have others: ${some(stale, 2)}.`,
      "Write them anew: `npx -y supabase@3.1.0 gen types --remote > FILE`.",
    );
}

function columnsOf(objects: Readonly<Record<string, string>>, table: string): string[] {
  const start = `column public.${table}.`;
  return Object.keys(objects).filter((object) => object.startsWith(start))
    .map((object) => object.slice(start.length).replaceAll('"', ""));
}

/** The columns of a table as generated types have them; none if they do not have the table. */
function columnsIn(text: string, table: string): string[] {
  const row = new RegExp(`\\b${table}"?: \\{\\s+Row: \\{([^}]*)\\}`).exec(text)?.[1] ?? "";
  return [...row.matchAll(/(?:^|[,;\n])\s*"?(\w+)"?:/g)].map(([, name = ""]) => name);
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return [...one].sort().join() === [...other].sort().join();
}

/** Folders in which nobody keeps types of their own. */
const SKIPPED = /^(?:\.|node_modules$|dist$|build$|coverage$|vendor$)/;
const DEEPEST = 5;

/** The TypeScript files that `supabase gen types` wrote. */
async function typesBelow(
  dir: string,
  below = "",
  depth = 0,
): Promise<{ path: string; text: string }[]> {
  const files: { path: string; text: string }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${dir}/${below}`)) {
    if (SKIPPED.test(name)) continue;
    const path = `${below}${name}`;
    if (isDirectory) {
      if (depth < DEEPEST) files.push(...await typesBelow(dir, `${path}/`, depth + 1));
    } else if (/(?:types|database|supabase).*\.ts$/i.test(name)) {
      const text = await Deno.readTextFile(`${dir}/${path}`).catch(() => "");
      if (/^export (?:type|interface) Database\b[^]*\bTables: \{/m.test(text)) {
        files.push({ path, text });
      }
    }
  }
  return files;
}
