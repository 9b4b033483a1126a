import { StartError } from "../local/start_error.ts";
import { withoutSections } from "./config.ts";
import { removes, type Step, writes } from "./plan.ts";
import {
  CONFIG_PATH,
  folderText,
  FUNCTIONS_PATH,
  installedMigrations,
  lookAt,
  MIGRATIONS_PATH,
  nextVersion,
  ourMigrations,
  type Project,
  readFile,
  REMOVAL,
  sectionOf,
} from "./project.ts";
import { type InstallRecord, RECORD_PATH, refuseNewer, sha256 } from "./record.ts";
import { type RemovalOptions, removalScript } from "./removal_script.ts";
import { readSource, type Source } from "./source.ts";

/** What `uninstall` is about to do in a project. */
export interface UninstallPlan {
  readonly project: Project;
  readonly source: Source;
  /** Empty when there is nothing to do. */
  readonly steps: readonly Step[];
  /** Files of ours that stay, because somebody edited them. */
  readonly edited: readonly string[];
}

/**
 * Plans what `uninstall` changes in the project in a folder. Changes nothing.
 *
 * @throws {StartError} when there is no project, `init` did not finish in it, or what it wrote is newer.
 */
export async function planUninstall(
  dir: string,
  options: RemovalOptions,
  now = new Date(),
): Promise<UninstallPlan> {
  const project = await lookAt(dir);
  const { record } = project;
  const source = await readSource(record?.prefix ?? "");
  if (record === undefined) {
    const isRemoved = ourMigrations(project).at(-1)?.file.endsWith(REMOVAL);
    if (isRemoved) return { project, source, steps: [], edited: [] };
    throw new StartError(
      `Cannot uninstall as ${RECORD_PATH} is missing: bring that file back with git, finish an interrupted \`init\`, or print the SQL with --sql if the files were copied by hand`,
    );
  }

  refuseNewer(record, source.version, "uninstall");

  const steps = await migrationSteps(project, await removalScript(source, options), now);
  const edited: string[] = [];
  for (const [path, hash] of Object.entries(record.files)) {
    const text = await readFile(project, path);
    if (text === undefined) continue;
    if (await sha256(text) === hash) steps.push(removes(path));
    else edited.push(path);
  }
  steps.push(...configSteps(project, record, edited), removes(RECORD_PATH));
  return { project, source, steps, edited };
}

async function migrationSteps(project: Project, script: string, now: Date): Promise<Step[]> {
  const written = ourMigrations(project).findLast(({ file }) => file.endsWith(REMOVAL));
  // An older one belongs to an installation before this one.
  if (written === undefined || installedMigrations(project).length > 0) {
    const words = "writes the migration that removes the sync from the database";
    const path = `${MIGRATIONS_PATH}/${nextVersion(project, now)}${REMOVAL}`;
    return [writes(path, script, `${words}: ${path}`)];
  }
  if (await sha256(written.text) === await sha256(script)) return [];
  throw new StartError(
    `Cannot go on as ${MIGRATIONS_PATH}/${written.file} is from another version of clerk-sync, or was written with other options: remove it if it was never applied, or use the same`,
  );
}

/** A section stays if its function does: without index.ts, a section makes every deploy fail. */
function configSteps(
  { config, settings }: Project,
  record: InstallRecord,
  edited: readonly string[],
): Step[] {
  const gone = record.config.filter((name) =>
    sectionOf(settings, name) !== undefined &&
    !edited.includes(`${FUNCTIONS_PATH}/${name.replace(/^functions\./, "")}/index.ts`)
  );
  if (gone.length === 0) return [];
  const names = gone.map((name) => `[${name}]`).join(" and ");
  const text = withoutSections(config, gone);
  return [writes(CONFIG_PATH, text, `removes ${names} from ${CONFIG_PATH}`)];
}

/** The plan in words, for people: all that is to be done, in its order. */
export function uninstallText(
  { project, source, steps, edited }: UninstallPlan,
  { dropTables }: RemovalOptions,
): string {
  const files = steps.filter(({ path, text }) => path.startsWith(FUNCTIONS_PATH) && text === null);
  const others = steps.filter((step) => !files.includes(step));
  return [
    `clerk-sync ${source.version} in ${folderText(project.dir)}: do this, in this order`,
    "",
    "1. In Clerk's dashboard, remove the endpoint (Configure → Webhooks). Do it first, or Clerk reports",
    "   failed deliveries until it disables the endpoint.",
    "2. This command",
    ...(files.length === 0 ? [] : [`     removes ${files.length} files of the functions`]),
    ...others.map(({ words }) => `     ${words}`),
    ...edited.map((path) => `     keeps ${path}, because it was edited`),
    "3. Delete the deployed functions and their secrets, if nothing else uses them:",
    "     npx -y supabase@3.1.0 functions delete clerk-webhook",
    "     npx -y supabase@3.1.0 functions delete clerk-worker",
    "     npx -y supabase@3.1.0 secrets unset CLERK_WEBHOOK_SIGNING_SECRET CLERK_WORKER_SECRET CLERK_SECRET_KEY",
    "4. Delete the secret API keys clerk_ingest and clerk_worker: Supabase dashboard → Settings → API Keys.",
    "5. Apply the migration:",
    "     npx -y supabase@3.1.0 db push --remote",
    "   In one transaction, it first checks what uses the sync, and stops if anything does. Then it removes",
    "   cron jobs and Vault secrets, triggers and policies, clerk_sync, the queues, clerk, and the roles if",
    "   nothing else uses them.",
    ...(dropTables
      ? ["   Our tables in public go with their rows. Columns that you added to them stop it."]
      : [
        "   Our tables in public stay, with their rows and your columns. RLS stays on and our policies go:",
        "   only secret keys read them until you write policies of your own.",
      ]),
    "",
    "Your tables, functions and migrations stay, and so do the extensions pgmq, pg_cron and pg_net.",
  ].join("\n");
}
