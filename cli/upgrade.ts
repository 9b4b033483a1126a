import { carryOut } from "../adopt/plan.ts";
import { planUpgrade, upgradeText } from "../adopt/upgrade.ts";
import { isConfirmed } from "./confirm.ts";
import { asTyped, flags, runCommand } from "./usage.ts";

const HELP =
  `Brings clerk-sync in your Supabase project to this version: one migration with what is new, and functions.

  deno task upgrade                 shows what it would change, asks, and changes it
  deno task upgrade --dir ../app    for the project in another folder, which contains supabase/

  --dir DIR    the folder that contains supabase/; the current one by default
  --dry-run    writes nothing
  --yes        does not ask
  --json       prints the plan as JSON; with --yes or --dry-run

  Files that you edited stay, and what is new in them is shown as a diff. Nothing is sent to a database:
  apply the migration, then deploy the functions, or the other way round. Old functions work with the new
  schema, and new functions with the old one. After a crash, run the same command again.

  Exit codes: 0 done, or nothing to do; 1 refused, or not confirmed; 2 wrong usage.
`;

if (import.meta.main) await runCommand(upgrade, HELP);

/** Upgrades the sync in a project. */
export async function upgrade(args: readonly string[]): Promise<number> {
  const { dir, json, yes, "dry-run": dryRun } = flags(args, {
    dir: { type: "string", default: "." },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  }).values;

  const plan = await planUpgrade(dir.replace(/(?<=.)\/+$/, ""));
  const { source: { version }, from, steps, edited, project } = plan;
  const print = (text: string): void => {
    if (!json) console.log(text);
  };
  print(steps.length === 0 ? `Nothing to do: ${from} is installed` : upgradeText(plan));

  const isToBeDone = steps.length > 0 && !dryRun && isConfirmed("Do this?", { yes, json });
  if (isToBeDone) {
    await carryOut(project.dir, steps, ({ words }) => print(words));
    print(`\n${asTyped("Done. Commit the changes, then run `deno task deploy`.")}`);
  }
  if (json) {
    const did = steps.map(({ path, words }) => ({ path, words }));
    console.log(JSON.stringify({ from, to: version, steps: did, edited, is_done: isToBeDone }));
  }
  return isToBeDone || dryRun || steps.length === 0 ? 0 : 1;
}
