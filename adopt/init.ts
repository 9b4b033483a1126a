import { StartError } from "../local/start_error.ts";
import { differences, withSections } from "./config.ts";
import { type Step, writes } from "./plan.ts";
import { TABLES } from "../local/postgres/is_ours.ts";
import {
  CONFIG_PATH,
  folderText,
  installedMigrations,
  lookAt,
  type MigrationFile,
  MIGRATIONS_PATH,
  nextVersion,
  ourMigrations,
  type Project,
  readFile,
  REMOVAL,
  sectionOf,
} from "./project.ts";
import { entriesIfThere } from "./read.ts";
import { type InstallRecord, RECORD_PATH, recordText, refuseNewer, sha256 } from "./record.ts";
import { dropsTables } from "./removal_script.ts";
import { migrationText, readSource, type Source } from "./source.ts";
import { takenNames } from "./taken.ts";

/** What `init` is about to do in a project. */
export interface InitPlan {
  readonly project: Project;
  readonly source: Source;
  /** Empty when there is nothing to do. */
  readonly steps: readonly Step[];
  /** What to know about this project besides, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Plans what `init` writes into the project in a folder. Changes nothing.
 *
 * @param prefix undefined for the recorded one, or none.
 * @throws {StartError} when there is no project, when a newer version is in it, when names are taken, or when a
 * file of ours would replace another.
 */
export async function planInit(dir: string, prefix?: string, now = new Date()): Promise<InitPlan> {
  const project = await lookAt(dir);
  const { record } = project;
  if (record !== undefined && prefix !== undefined && prefix !== record.prefix) {
    throw new StartError(
      `Cannot use --prefix ${prefix} as clerk-sync is installed here ${
        record.prefix === "" ? "without a prefix" : `with the prefix ${record.prefix}`
      }: leave --prefix out`,
    );
  }
  const source = await readSource(prefix ?? record?.prefix ?? "");
  if (record !== undefined) {
    refuseNewer(record, source.version, "install clerk-sync");
    const notes = record.version === source.version ? [] : [
      `clerk-sync ${record.version} is installed here. \`upgrade\` writes what ${source.version} changes.`,
    ];
    return { project, source, steps: [], notes };
  }

  const unfinished = unfinishedMigration(project, source);
  await refuseTakenNames(project, source);
  await refuseOtherFiles(project, source);

  const steps: Step[] = [];
  for (const [path, text] of Object.entries(source.files)) {
    if (await readFile(project, path) === undefined) steps.push(writes(path, text));
  }
  const config = withSections(project.config, source.sections);
  if (config !== project.config) {
    const added = Object.keys(source.sections)
      .filter((name) => sectionOf(project.settings, name) === undefined)
      .map((name) => `[${name}]`);
    steps.push(writes(CONFIG_PATH, config, `adds ${added.join(" and ")} to ${CONFIG_PATH}`));
  }
  const file = unfinished ?? `${nextVersion(project, now)}_clerk_sync.sql`;
  const text = migrationText(source, source.slices);
  if (unfinished === undefined) steps.push(writes(`${MIGRATIONS_PATH}/${file}`, text));
  steps.push(writes(RECORD_PATH, recordText(await recordOf(source, file, text))));
  return { project, source, steps, notes: notesOn(project) };
}

/** The migration that an `init` wrote that did not come to its end; undefined if there is none. */
function unfinishedMigration(project: Project, source: Source): string | undefined {
  const [migration] = installedMigrations(project);
  if (migration === undefined) return undefined;
  const isOurs = migration.text.replaceAll("\r\n", "\n") === migrationText(source, source.slices);
  if (isOurs) return migration.file;
  throw new StartError(
    `Cannot go on as ${MIGRATIONS_PATH}/${migration.file} is from another version of clerk-sync, or has another prefix, and ${RECORD_PATH} is missing: bring that file back with git, or remove the migration if it was never applied`,
  );
}

async function refuseTakenNames(project: Project, source: Source): Promise<void> {
  const ours = ourMigrations(project);
  const migrations = project.migrations.map((migration) => ({
    path: `${MIGRATIONS_PATH}/${migration.file}`,
    text: ours.includes(migration) ? keptTables(migration, ours) : migration.text,
  }));
  const taken = takenNames([...migrations, ...await schemaFiles(project)], source);
  if (taken.length === 0) return;

  const lines = taken.map(({ what, file, idType }) =>
    `  ${what}${idType === undefined ? "" : ` (id ${idType})`}, in ${file}`
  );
  const cure = taken.every(({ canBePrefixed }) => canBePrefixed)
    ? `Use ${
      source.prefix === "" ? "--prefix clerk_" : "another --prefix"
    } to put clerk-sync's tables beside yours. docs/adopting.md shows how to connect them.`
    : "A prefix does not change the names of schemas and of the functions that the webhook calls: rename yours.";
  throw new StartError(
    `Cannot install clerk-sync as this project already creates:\n${lines.join("\n")}\n` +
      `Existing tables are never taken over: their policies and grants would open clerk-sync's columns. ${cure}`,
  );
}

/** The statements of a migration of ours that made tables which a later `uninstall` kept. */
function keptTables(migration: MigrationFile, ours: readonly MigrationFile[]): string {
  const later = ours.slice(ours.indexOf(migration) + 1);
  const removal = later.find(({ file }) => file.endsWith(REMOVAL));
  if (removal === undefined || dropsTables(removal.text)) return "";
  return (migration.text.match(/^create table public\.\w+ \([^]*?^\);/gm) ?? []).join("\n");
}

/** Declarative schemas. */
async function schemaFiles(
  project: Project,
  folder = "supabase/schemas",
): Promise<{ path: string; text: string }[]> {
  const found: { path: string; text: string }[] = [];
  for (const { name, isDirectory } of await entriesIfThere(`${project.dir}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await schemaFiles(project, path));
    else if (name.endsWith(".sql")) {
      found.push({ path, text: await readFile(project, path) ?? "" });
    }
  }
  return found;
}

/** Nothing is overwritten that clerk-sync did not write. */
async function refuseOtherFiles(project: Project, source: Source): Promise<void> {
  const others: string[] = [];
  for (const [path, text] of Object.entries(source.files)) {
    const existing = await readFile(project, path);
    if (existing !== undefined && existing.replaceAll("\r\n", "\n") !== text) others.push(path);
  }
  for (const [name, section] of Object.entries(source.sections)) {
    const keys = differences(project.settings, name, section);
    if (keys.length > 0) others.push(`${CONFIG_PATH}: ${keys.join(", ")} of [${name}]`);
  }
  if (others.length === 0) return;
  throw new StartError(
    `Cannot write clerk-sync's files as these exist, and are not clerk-sync ${source.version}'s:\n${
      others.map((path) => `  ${path}`).join("\n")
    }\nNothing was written. Rename or remove them, and run this again.`,
  );
}

async function recordOf(source: Source, file: string, text: string): Promise<InstallRecord> {
  const files: Record<string, string> = {};
  for (const [path, content] of Object.entries(source.files)) files[path] = await sha256(content);
  const slices = source.slices.map(({ name }) => name);
  return {
    version: source.version,
    prefix: source.prefix,
    migrations: [{ file, slices, sha256: await sha256(text) }],
    files,
    config: Object.keys(source.sections),
  };
}

function notesOn({ settings, migrations }: Project): string[] {
  const notes: string[] = [];
  const exposed = sectionOf(settings, "api")?.schemas;
  if (Array.isArray(exposed) && !exposed.includes("public")) {
    notes.push(
      "[api] schemas leaves public out. The webhook, the worker and your frontend reach clerk-sync through the API, so add public.",
    );
  }
  if (Array.isArray(exposed) && exposed.includes("clerk_sync")) {
    notes.push("[api] schemas exposes clerk_sync, which is machinery: remove it.");
  }
  const major = sectionOf(settings, "db")?.major_version;
  if (major !== undefined && Number(major) < 15) {
    notes.push(`[db] major_version is ${major}. clerk-sync needs Postgres 15 or newer.`);
  }
  if (Number(sectionOf(settings, "edge_runtime")?.deno_version) === 1) {
    notes.push("[edge_runtime] deno_version is 1. The functions need 2.");
  }
  if (sectionOf(settings, "db.migrations")?.schema_paths?.toString()) {
    notes.push(
      "This project has declarative schemas. `supabase db diff` does not find clerk-sync in them: remove what drops it from the migrations that this command writes.",
    );
  }
  if (migrations.length === 0) {
    notes.push(
      "This project has no migrations. If the hosted project has tables, `supabase db pull` brings them into migrations first.",
    );
  }
  return notes;
}

/** The plan in words, for people. */
export function planText({ project, source, steps, notes }: InitPlan): string {
  const newest = project.migrations.at(-1)?.file;
  const counts = new Map<string, number>();
  const others: string[] = [];
  for (const { path, words } of steps) {
    const [, folder] = /^(supabase\/functions\/(?:_shared\/)?[^/]+\/)/.exec(path) ?? [];
    if (folder === undefined) others.push(words);
    else counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  const name = (table: string): string => `public.${source.prefix}${table}`;
  return [
    `clerk-sync ${source.version} for the project in ${folderText(project.dir)}, ${
      newest === undefined ? "which has no migrations" : `whose newest migration is ${newest}`
    }`,
    "",
    "This command",
    ...[...counts].map(([folder, files]) =>
      `  writes ${folder} (${files} ${files === 1 ? "file" : "files"})`
    ),
    ...others.map((words) => `  ${words}`),
    "",
    "The migration, when you apply it, creates",
    "  schemas    clerk (functions for your policies), clerk_sync (machinery, not exposed)",
    ...TABLES.map((table, at) => `  ${at === 0 ? "tables   " : "         "}  ${name(table)}`),
    "  roles      clerk_ingest (the webhook), clerk_worker (the worker)",
    `  functions  ${
      name("ensure_profile")
    }, and those that the webhook, the worker and operators call`,
    "  queues     clerk_changes, clerk_changes_dead (pgmq)",
    "  schedule   none yet: clerk_sync.start_schedule() adds it, once you have deployed the worker",
    `  realtime   ${name("profiles")} and ${
      name("organizations")
    } join supabase_realtime, if it exists`,
    "",
    "Your migrations, functions, tables, rows, policies and grants stay as they are,",
    `and so do the schema auth and everything else in ${CONFIG_PATH}.`,
    "Nothing is sent to a database.",
    ...(notes.length === 0 ? [] : ["", ...notes]),
  ].join("\n");
}
