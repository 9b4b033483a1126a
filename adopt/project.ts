import { parse } from "@decimalturn/toml-patch";
import { reasonOf, StartError } from "../local/start_error.ts";
import { entriesIfThere, readIfThere } from "./read.ts";
import { type InstallRecord, readRecord } from "./record.ts";

export const CONFIG_PATH = "supabase/config.toml";
export const MIGRATIONS_PATH = "supabase/migrations";
export const FUNCTIONS_PATH = "supabase/functions";

/** The first words of each migration that clerk-sync writes into a project. */
export const HEADER = "-- clerk-sync ";

/** How the name of a migration ends that removes what the others of ours made. */
export const REMOVAL = "_remove_clerk_sync.sql";

/** A Supabase project on disk, as a command found it. */
export interface Project {
  /** The folder that contains `supabase/`, without a slash at the end. */
  readonly dir: string;
  /** The text of config.toml. */
  readonly config: string;
  /** What config.toml says. */
  readonly settings: Toml;
  /** All migrations, in the order in which the Supabase CLI applies them. */
  readonly migrations: readonly MigrationFile[];
  /** What clerk-sync wrote; undefined before `init` has finished. */
  readonly record: InstallRecord | undefined;
}

export interface MigrationFile {
  /** Its name in `supabase/migrations`. */
  readonly file: string;
  /** The digits at the beginning of its name. */
  readonly version: string;
  readonly text: string;
}

/** A table of a TOML file. */
export interface Toml {
  readonly [key: string]: unknown;
}

/**
 * Looks at a project, without changing anything.
 *
 * @throws {StartError} when there is none, or it cannot be read.
 */
export async function lookAt(dir: string): Promise<Project> {
  const config = await readIfThere(`${dir}/${CONFIG_PATH}`);
  if (config === undefined) {
    throw new StartError(
      `Cannot find ${CONFIG_PATH} in ${
        folderText(dir)
      }: run this in the folder of your Supabase project, name it with --dir, or make one with \`supabase init\``,
    );
  }
  return {
    dir,
    config,
    settings: parseToml(config),
    migrations: await readMigrations(dir),
    record: await readRecord(dir),
  };
}

/** A project's folder in a sentence, where a dot would look like the end of one. */
export function folderText(dir: string): string {
  return dir === "." ? "this folder" : dir;
}

/** The text of a file of a project; undefined if it does not exist. */
export function readFile({ dir }: Pick<Project, "dir">, path: string): Promise<string | undefined> {
  return readIfThere(`${dir}/${path}`);
}

/** The migrations of a project that clerk-sync wrote, whether they are in the record or not. */
export function ourMigrations({ migrations }: Project): MigrationFile[] {
  return migrations.filter(({ text }) => text.startsWith(HEADER));
}

/** Those of {@linkcode ourMigrations} that no later one removes. */
export function installedMigrations(project: Project): MigrationFile[] {
  const ours = ourMigrations(project);
  return ours.slice(ours.findLastIndex(({ file }) => file.endsWith(REMOVAL)) + 1);
}

/** The section of a name such as `functions.clerk-webhook`; undefined if there is none. */
export function sectionOf(settings: Toml, name: string): Toml | undefined {
  let found: unknown = settings;
  for (const key of name.split(".")) {
    found = isTable(found) ? found[key] : undefined;
  }
  return isTable(found) ? found : undefined;
}

function isTable(value: unknown): value is Toml {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What a config.toml says.
 *
 * @throws {StartError} when it is not TOML.
 */
export function parseToml(text: string): Toml {
  try {
    return parse(text) as Toml;
  } catch (error) {
    throw new StartError(
      `Cannot read ${CONFIG_PATH} as it is not TOML: ${reasonOf(error).replace(/:$/, "")}`,
    );
  }
}

/** 14 digits for the next migration of a project: not in the past, and after all others. */
export function nextVersion({ migrations }: Pick<Project, "migrations">, now: Date): string {
  const today = versionOf(now);
  const newest = migrations.at(-1)?.version ?? "";
  if (newest < today) return today;

  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(newest) ?? [];
  const [year = NaN, month = NaN, ...rest] = parts.map(Number);
  const after = new Date(Date.UTC(year, month - 1, ...rest) + 1000);
  if (Number.isNaN(after.getTime()) || versionOf(after) <= newest) {
    throw new StartError(
      `Cannot date a migration after ${MIGRATIONS_PATH}/${
        migrations.at(-1)?.file
      } as ${newest} is no date: rename that file (and run \`supabase migration repair\` where it was applied)`,
    );
  }
  return versionOf(after);
}

function versionOf(date: Date): string {
  return date.toISOString().replace(/\D/g, "").slice(0, 14);
}

async function readMigrations(dir: string): Promise<MigrationFile[]> {
  const found: MigrationFile[] = [];
  for (const { name, isFile } of await entriesIfThere(`${dir}/${MIGRATIONS_PATH}`)) {
    const version = /^(\d+)_.*\.sql$/.exec(name)?.[1];
    if (!isFile || version === undefined) continue;
    const text = await readIfThere(`${dir}/${MIGRATIONS_PATH}/${name}`) ?? "";
    found.push({ file: name, version, text });
  }
  return found.sort((one, other) => one.file < other.file ? -1 : 1);
}
