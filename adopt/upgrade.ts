import { StartError } from "../local/start_error.ts";
import { withSections } from "./config.ts";
import { removes, type Step, writes } from "./plan.ts";
import {
  CONFIG_PATH,
  folderText,
  FUNCTIONS_PATH,
  installedMigrations,
  lookAt,
  MIGRATIONS_PATH,
  nextVersion,
  type Project,
  readFile,
  sectionOf,
} from "./project.ts";
import { type InstallRecord, RECORD_PATH, recordText, refuseNewer, sha256 } from "./record.ts";
import { migrationText, readSource, type Slice, type Source } from "./source.ts";
import { unifiedDiff } from "./unified_diff.ts";

/** What `upgrade` is about to do in a project. */
export interface UpgradePlan {
  readonly project: Project;
  readonly source: Source;
  /** The version that is installed. */
  readonly from: string;
  /** Empty when there is nothing to do. */
  readonly steps: readonly Step[];
  /** Files that somebody edited and that are different in the new version. They stay as they are. */
  readonly edited: readonly EditedFile[];
}

export interface EditedFile {
  readonly path: string;
  /** From the file as it is to the new version's; empty if the new version has no such file. */
  readonly diff: string;
}

/**
 * Plans what `upgrade` changes in the project in a folder. Changes nothing.
 *
 * @param read reads what there is to write, with a prefix.
 * @throws {StartError} when `init` did not finish in it, or what it wrote is newer or not known.
 */
export async function planUpgrade(
  dir: string,
  read: (prefix: string) => Promise<Source> = readSource,
  now = new Date(),
): Promise<UpgradePlan> {
  const project = await lookAt(dir);
  const { record } = project;
  if (record === undefined) {
    throw new StartError(
      `Cannot upgrade as ${RECORD_PATH} is missing: bring that file back with git, or run \`init\` first`,
    );
  }
  const source = await read(record.prefix);
  refuseNewer(record, source.version, "upgrade");
  refuseUnknown(record, source);

  const { steps, edited, files } = await fileSteps(project, record, source);
  const sections = sectionsToWrite(project, record, source);
  const config = withSections(project.config, sections);
  if (config !== project.config) {
    const names = Object.keys(sections).map((name) => `[${name}]`).join(" and ");
    steps.push(writes(CONFIG_PATH, config, `adds ${names} to ${CONFIG_PATH}`));
  }
  const migration = await newMigration(project, record, source, now);
  if (migration?.step !== undefined) steps.push(migration.step);

  const next: InstallRecord = {
    version: source.version,
    prefix: record.prefix,
    migrations: [...record.migrations, ...(migration === undefined ? [] : [migration.recorded])],
    files,
    config: [...new Set([...record.config, ...Object.keys(source.sections)])],
  };
  // Last, because an upgrade that was killed reads the old one.
  if (recordText(next) !== recordText(record)) steps.push(writes(RECORD_PATH, recordText(next)));
  return { project, source, from: record.version, steps, edited };
}

/** Without this, a migration would be written that installs everything a second time. */
function refuseUnknown({ version, migrations }: InstallRecord, source: Source): void {
  const known = new Set(source.slices.map(({ name }) => name));
  const recorded = migrations.flatMap(({ slices }) => slices);
  const unknown = recorded.find((name) => !known.has(name));
  if (recorded.length > 0 && unknown === undefined) return;
  throw new StartError(
    unknown === undefined
      ? `Cannot upgrade as ${RECORD_PATH} names no migrations: bring that file back with git`
      : `Cannot upgrade as clerk-sync ${source.version} has no migration ${unknown}, which ${RECORD_PATH} names for ${version}: use a version of clerk-sync that follows that one`,
  );
}

/** What becomes of the functions' files, and the hashes that the record is to have. */
async function fileSteps(
  project: Project,
  record: InstallRecord,
  source: Source,
): Promise<{ steps: Step[]; edited: EditedFile[]; files: Record<string, string> }> {
  const steps: Step[] = [];
  const edited: EditedFile[] = [];
  const files: Record<string, string> = {};
  for (const [path, text] of Object.entries(source.files)) {
    const hash = await sha256(text);
    // After a merge by hand the same version has nothing more to say about this file.
    files[path] = hash;
    const existing = await readFile(project, path);
    const is = existing === undefined ? undefined : await sha256(existing);
    if (is === hash) continue;
    if (is === undefined || is === record.files[path]) steps.push(writes(path, text));
    else if (hash !== record.files[path]) {
      edited.push({ path, diff: unifiedDiff(path, existing ?? "", text) });
    }
  }
  for (const [path, hash] of Object.entries(record.files)) {
    if (path in source.files) continue;
    const existing = await readFile(project, path);
    if (existing === undefined) continue;
    if (await sha256(existing) === hash) steps.push(removes(path));
    else edited.push({ path, diff: "" });
  }
  return { steps, edited, files };
}

/** Sections that are new in this version. Those that the project has are its own by now. */
function sectionsToWrite(
  { settings }: Project,
  record: InstallRecord,
  source: Source,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(source.sections).filter(([name]) =>
      !record.config.includes(name) && sectionOf(settings, name) === undefined
    ),
  );
}

/** The migration with what the record lacks; without a step if an upgrade that was killed wrote it. */
async function newMigration(
  project: Project,
  record: InstallRecord,
  source: Source,
  now: Date,
): Promise<
  { step: Step | undefined; recorded: InstallRecord["migrations"][number] } | undefined
> {
  const known = new Set(record.migrations.flatMap(({ slices }) => slices));
  const slices: Slice[] = source.slices.filter(({ name }) => !known.has(name));
  if (slices.length === 0) return undefined;

  const text = migrationText(source, slices);
  const hash = await sha256(text);
  const names = slices.map(({ name }) => name);
  const recorded = new Set(record.migrations.map(({ file }) => file));
  const written = installedMigrations(project).find(({ file }) => !recorded.has(file));
  if (written !== undefined) {
    if (await sha256(written.text) !== hash) {
      throw new StartError(
        `Cannot go on as ${MIGRATIONS_PATH}/${written.file} is from another version of clerk-sync and not in ${RECORD_PATH}: remove it if it was never applied, or run \`upgrade\` of that version`,
      );
    }
    return { step: undefined, recorded: { file: written.file, slices: names, sha256: hash } };
  }
  const file = `${nextVersion(project, now)}_upgrade_clerk_sync.sql`;
  return {
    step: writes(`${MIGRATIONS_PATH}/${file}`, text),
    recorded: { file, slices: names, sha256: hash },
  };
}

/** The plan in words, for people. */
export function upgradeText({ project, source, from, steps, edited }: UpgradePlan): string {
  const files = steps.filter(({ path }) => path.startsWith(FUNCTIONS_PATH));
  return [
    `clerk-sync ${from} in ${folderText(project.dir)} becomes ${source.version}`,
    "",
    "This command",
    ...(files.length === 0 ? [] : [`  replaces ${files.length} files of the functions`]),
    ...steps.filter((step) => !files.includes(step)).map(({ words }) => `  ${words}`),
    ...edited.map(({ path }) => `  leaves ${path} alone, because it was edited`),
    ...edited.flatMap(({ path, diff }) => [
      "",
      diff === ""
        ? `${path} is no longer part of clerk-sync: remove it, or keep it as yours`
        : diff,
    ]),
    ...(edited.length === 0 ? [] : [
      "",
      "Apply these differences by hand: they are not shown again. Or, to have the new version of a file, delete",
      "yours and run this again.",
    ]),
  ].join("\n");
}
