import { folderText, lookAt } from "../adopt/project.ts";
import denoJson from "../deno.json" with { type: "json" };
import { dashboardEndpoints } from "../hosted/clerk_endpoint.ts";
import { createManagementApi, type ManagementApi } from "../hosted/management_api.ts";
import { type Platform, SUPABASE } from "../hosted/platform.ts";
import { accessToken, projectRef } from "../hosted/target.ts";
import { StartError } from "../local/start_error.ts";
import { askHidden } from "./ask_hidden.ts";
import { isConfirmed } from "./confirm.ts";
import { planDeploy } from "./deploy/plan.ts";
import { checkRefusals, type Step } from "./deploy/steps.ts";
import { foldLines, terminalWidth } from "./fold.ts";
import { asTyped, flags, runCommand } from "./usage.ts";

const HELP =
  `Deploys clerk-sync to a hosted Supabase project, through the Supabase CLI and the Management API.

  deno task deploy                         to the linked project: shows the plan, asks, and does it
  deno task deploy --project-ref REF       to another project, or to a preview branch
  deno task deploy --dir ../app --dry-run  shows what it would do for the project in another folder

  --dir DIR          the folder that contains supabase/; the current one by default
  --project-ref REF  the 20 letters in the project's URL
  --source           uploads the functions' sources instead of one file for each; they start more slowly
  --dry-run          changes nothing
  --yes              does not ask, for CI
  --json             prints plan and result as JSON; with --yes or --dry-run

  It applies the migrations in supabase/migrations, makes the API keys clerk_ingest and clerk_worker, sets
  the functions' secrets, deploys clerk-webhook and clerk-worker, starts the schedule, and sends a signed
  event of a type that is ignored. Whatever is there already stays as it is, so run it again after a failure.

  SUPABASE_ACCESS_TOKEN         your personal access token, unless \`supabase login\` wrote it to a file
  CLERK_WEBHOOK_SIGNING_SECRET  the signing secret of Clerk's endpoint; asked for if the project has none
  CLERK_SECRET_KEY              if set, the worker compares the tables with Clerk by itself

  Exit codes: 0 done, or nothing to do; 1 failed, or not confirmed; 2 wrong usage.
`;

if (import.meta.main) await runCommand(deploy, HELP);

/** Deploys to a project on a platform. */
export async function deploy(
  args: readonly string[],
  platform: Platform = SUPABASE,
): Promise<number> {
  const { dir, "project-ref": given, source, "dry-run": dryRun, yes, json } = flags(args, {
    dir: { type: "string", default: "." },
    "project-ref": { type: "string" },
    source: { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  }).values;
  const print = (text: string): void => {
    if (!json) console.log(foldLines(asTyped(text), terminalWidth()));
  };
  const canAsk = !yes && !json && Deno.stdin.isTerminal();

  const project = await lookAt(dir.replace(/(?<=.)\/+$/, ""));
  const ref = await projectRef(project.dir, given);
  const token = await accessToken();
  const api = createManagementApi(platform, ref, token);
  const { name, status } = await api.project();
  if (status !== "ACTIVE_HEALTHY") {
    throw new StartError(
      `Cannot deploy to project ${ref} as it is ${status}: look at it in the Supabase dashboard, and try again`,
    );
  }
  const endpoints = dashboardEndpoints((variable) => Deno.env.get(variable), {
    show: (text) => console.error(foldLines(text, terminalWidth())),
    open: openPage,
    askHidden,
  });
  const target = { project, ref, platform, api, token };
  const { steps, present } = await planDeploy(target, endpoints, source, canAsk || dryRun);
  print([
    `clerk-sync ${denoJson.version} from ${folderText(project.dir)} to project ${name} (${ref})`,
    ...(present.length === 0 ? [] : ["", `Already there: ${present.join(", ")}`]),
    ...(steps.length === 0 ? [] : ["", "This command"]),
    ...steps.flatMap(({ lines }) => lines.map((line) => `  ${line}`)),
    "",
  ].join("\n"));

  const isToBeDone = steps.length > 0 && !dryRun && isConfirmed("Do this?", { yes, json });
  if (isToBeDone) {
    await carryOut(steps, print);
    print(`\nDone. ${await nextStep(api)}`);
  } else if (steps.length === 0 && !dryRun) {
    await checkRefusals(target);
    print(`Nothing to do. The functions answer as they should. ${await nextStep(api)}`);
  }
  if (json) {
    const did = steps.map((step) => ({ name: step.name, lines: step.lines }));
    console.log(JSON.stringify({ project_ref: ref, present, steps: did, is_done: isToBeDone }));
  }
  return isToBeDone || dryRun || steps.length === 0 ? 0 : 1;
}

/** What is left to do after a deploy. */
async function nextStep(api: ManagementApi): Promise<string> {
  return (await api.thirdPartyAuth()).length > 0
    ? "If you have users already, `deno task backfill` brings them. `deno task doctor` examines all of it."
    : "Your frontend cannot read yet, because the project accepts no session tokens of Clerk's: docs/deploy.md says how to connect them. If you have users already, `deno task backfill` brings them.";
}

/** Does the steps, and says where it stands when one fails. */
async function carryOut(steps: readonly Step[], print: (text: string) => void): Promise<void> {
  for (const [at, { name, run }] of steps.entries()) {
    print(`${at + 1}/${steps.length} ${name}`);
    try {
      await run();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      const done = steps.slice(0, at).map((step) => step.name).join(", ");
      throw new StartError(
        `${error.message}\n\nStopped at ${name}. ${
          done === "" ? "Nothing was changed before." : `Done before: ${done}.`
        } Run the same command again once the cause is removed: it goes on from here.`,
      );
    }
  }
}

/** Opens a page in the browser, where there is one. */
function openPage(url: string): void {
  const [program, ...args] = {
    darwin: ["open"],
    windows: ["cmd", "/c", "start", ""],
  }[Deno.build.os as string] ?? ["xdg-open"];
  try {
    new Deno.Command(program ?? "", {
      args: [...args, url],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn().unref();
  } catch {
    // The link was shown.
  }
}
