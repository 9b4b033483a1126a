import { planInit, planText } from "../adopt/init.ts";
import { carryOut } from "../adopt/plan.ts";
import { isConfirmed } from "./confirm.ts";
import { foldLines, terminalWidth } from "./fold.ts";
import { asTyped, flags, prefixOf, runCommand } from "./usage.ts";

const HELP =
  `Adds clerk-sync to your Supabase project: functions, a migration, and sections of config.toml.

  deno task init                     shows what it would write, asks, and writes it
  deno task init --dir ../app        for the project in another folder, which contains supabase/
  deno task init --prefix clerk_     for tables such as public.clerk_profiles

  --dir DIR      the folder that contains supabase/; the current one by default
  --prefix NAME  begins the names of tables and of ensure_profile; needed if the project has a table such
                 as profiles
  --dry-run      writes nothing
  --yes          does not ask
  --json         prints the plan as JSON; with --yes or --dry-run

  It overwrites nothing that it did not write, and sends nothing to a database. What it wrote is
  recorded in supabase/clerk-sync.json: commit that file. After a crash, run the same command again.

  Exit codes: 0 done, or nothing to do; 1 refused, or not confirmed; 2 wrong usage.
`;

if (import.meta.main) await runCommand(init, HELP);

/** Installs clerk-sync in a project. */
export async function init(args: readonly string[]): Promise<number> {
  const { dir, prefix: given, json, yes, "dry-run": dryRun } = flags(args, {
    dir: { type: "string", default: "." },
    prefix: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  }).values;

  const prefix = given === undefined ? undefined : prefixOf(given);
  const plan = await planInit(dir.replace(/(?<=.)\/+$/, ""), prefix);
  const { source: { version, prefix: used }, steps, notes } = plan;
  const print = (text: string): void => {
    if (!json) console.log(foldLines(text, terminalWidth()));
  };
  if (steps.length === 0) print([...notes, "Nothing to do"].join("\n"));
  else print(planText(plan));

  const isToBeDone = steps.length > 0 && !dryRun && isConfirmed("Write this?", { yes, json });
  if (isToBeDone) {
    await carryOut(plan.project.dir, steps, ({ words }) => print(words));
    print(`\n${asTyped("Done. Commit the new files, then run `deno task deploy`.")}`);
  }
  if (json) {
    const did = steps.map(({ path, words }) => ({ path, words }));
    console.log(JSON.stringify({ version, prefix: used, steps: did, notes, is_done: isToBeDone }));
  }
  return isToBeDone || dryRun || steps.length === 0 ? 0 : 1;
}
