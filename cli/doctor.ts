import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import { ManagementApiError } from "../hosted/management_api.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { type Finding, type Fix, unknown } from "./checks/check.ts";
import {
  checkDatabase,
  checkExtensions,
  checkMigrations,
  checkOwnPolicies,
  checkRealtime,
  checkShipped,
} from "./checks/database.ts";
import { checkClock, checkFunction, checkSigningSecret } from "./checks/endpoints.ts";
import { type Installation, openInstallation, type Place } from "./checks/installation.ts";
import { checkFiles, checkTypes } from "./checks/project_files.ts";
import {
  checkClerkKey,
  checkInstance,
  checkSchedule,
  checkStatus,
  checkVersions,
} from "./checks/sync.ts";
import { checkSessionToken, checkThirdPartyAuth } from "./checks/tokens.ts";
import { type Paint, paintFor } from "./colour.ts";
import { isConfirmed } from "./confirm.ts";
import { fold, terminalWidth } from "./fold.ts";
import { asTyped, flags, runCommand } from "./usage.ts";

const HELP =
  `Examines an installation, local or hosted: one line a check, and below what is wrong, the cure.

  deno task doctor                 examines the stack that \`deno task dev\` runs
  deno task doctor --env .env      examines the project of SUPABASE_URL and SUPABASE_SECRET_KEY
  deno task doctor --fix           carries out the cures that are safe: shows them, asks, and
                                   examines again

  --dir DIR     the folder that contains supabase/; the current one by default
  --yes         with --fix: does not ask
  --json        prints JSON; with --fix only with --yes
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  ✓ is well, ✗ is wrong, – could not be checked. These variables, in that file or in the environment,
  which wins, allow more checks and cures of a hosted project:

  SUPABASE_ACCESS_TOKEN     its secrets and third-party auth, and SQL for --fix
  CLERK_SECRET_KEY          Clerk's own counts, and the instance of the key
  CLERK_WORKER_SECRET       the version of the functions, the schedule, and draining the queue
  CLERK_SESSION_TOKEN       of a signed-in user, to try it
  CLERK_WEBHOOK_SIGNING_SECRET, to compare it with the project's

  Without --fix it writes nothing. docs/doctor.md lists the checks and what each finds.

  Exit codes: 0 all is well, 1 failed, 2 wrong usage, 3 something is wrong.
`;

/** The checks by their codes. Cures are carried out in this order: grants need functions, for example. */
export const CHECKS: Readonly<Record<string, (installation: Installation) => Promise<Finding>>> = {
  database: checkDatabase,
  migrations: checkMigrations,
  versions: checkVersions,
  roles: checkShipped("roles"),
  functions: checkShipped("functions"),
  tables: checkShipped("tables"),
  rls: checkShipped("rls"),
  grants: checkShipped("grants"),
  own_policies: checkOwnPolicies,
  realtime: checkRealtime,
  extensions: checkExtensions,
  signing_secret: checkSigningSecret,
  webhook: checkFunction("clerk-webhook", "The webhook"),
  worker: checkFunction("clerk-worker", "The worker"),
  clock: checkClock,
  third_party_auth: checkThirdPartyAuth,
  session_token: checkSessionToken,
  schedule: checkSchedule,
  clerk_key: checkClerkKey,
  instance: checkInstance,
  events: checkStatus("events"),
  messages: checkStatus("messages"),
  queue: checkStatus("queue"),
  reconcile: checkStatus("reconcile"),
  counts: checkStatus("counts"),
  files: checkFiles,
  types: checkTypes,
};

export type Examination = readonly (readonly [code: string, finding: Finding])[];

const MARKS = { well: "✓", wrong: "✗", unknown: "–" } as const;
const STATUSES = { well: 200, wrong: 500, unknown: 0 } as const;

/** Where the texts begin, behind mark and code. */
const INDENT = 19;

if (import.meta.main) await runCommand(doctor, HELP);

async function doctor(args: readonly string[]): Promise<number> {
  const { env, dir, json, yes, fix } = flags(args, {
    fix: { type: "boolean", default: false },
    dir: { type: "string", default: "." },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    env: { type: "string" },
  }).values;
  const place: Place = {
    read: await readVariables(env),
    envFile: env,
    dir: dir.replace(/(?<=.)\/+$/, ""),
  };
  const print = (text: string): void => {
    if (!json) console.log(text);
  };
  const show = (examination: Examination): void =>
    print(format(examination, terminalWidth(), paintFor(Deno.stdout)));

  let examination = await examine(place);
  show(examination);
  const fixes = fixesIn(examination);
  const cured: string[] = [];
  if (fix && fixes.length > 0) {
    print(asTyped(`\n--fix would do this:\n\n${fixes.map(planOf).join("\n")}`));
    const isPossible = fixes.some(([, { run }]) => run !== undefined);
    if (isPossible && isConfirmed("Do it?", { yes, json, instead: "leave --fix out" })) {
      cured.push(...await cure(fixes, print));
      print("");
      if (cured.length === 0) print("Nothing was fixed.");
      else show(examination = await examine(place));
    }
  }
  if (json) console.log(JSON.stringify({ ...asJson(examination), cured }));
  return examination.some(([, { state }]) => state === "wrong") ? 3 : 0;
}

/**
 * Makes the checks of these codes.
 *
 * @throws {StartError} when it is not known what to examine
 */
export async function examine(
  place: Place,
  codes: readonly string[] = Object.keys(CHECKS),
): Promise<Examination> {
  let installation: Installation;
  try {
    installation = await openInstallation(place);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    throw error;
  }
  return await Promise.all(
    Object.entries(CHECKS).filter(([code]) => codes.includes(code)).map(async ([code, check]) => {
      const finding = await check(installation).catch((error) => {
        if (error instanceof ManagementApiError) return unknown(`${error.message}.`);
        throw error;
      });
      return [code, finding] as const;
    }),
  );
}

function fixesIn(examination: Examination): (readonly [code: string, fix: Fix])[] {
  return examination.flatMap(([code, finding]) =>
    finding.state === "wrong" && finding.fix !== undefined ? [[code, finding.fix] as const] : []
  );
}

/** What a fix does, in lines. */
function planOf([code, { steps, run }]: readonly [string, Fix]): string {
  const cannot = run === undefined
    ? [
      "  Cannot run this here: run it as `postgres`, with `npx -y supabase@3.1.0 db query --remote --file FILE`,",
      "  or set SUPABASE_ACCESS_TOKEN.",
    ]
    : [];
  return [`${code}:`, ...steps.map((step) => indented(step)), ...cannot].join("\n");
}

function indented(text: string): string {
  return text.split("\n").map((line) => `  ${line}`.trimEnd()).join("\n");
}

/** Carries out what can be, and returns the codes. One that fails does not stop the others. */
async function cure(
  fixes: readonly (readonly [string, Fix])[],
  print: (text: string) => void,
): Promise<string[]> {
  const done: string[] = [];
  for (const [code, { run }] of fixes) {
    if (run === undefined) continue;
    try {
      await run();
      done.push(code);
      print(`${code}: done`);
    } catch (error) {
      console.error(`${code}: ${(error as Error).message}`);
    }
  }
  return done;
}

/** One line a check, folded at a width; below what is wrong its cure, and at the end the verdict. */
export function format(examination: Examination, width: number, paint: Paint): string {
  const lines = examination.flatMap(([code, finding]) => {
    const head = `${MARKS[finding.state]} ${code.padEnd(INDENT - 2)}${finding.text}`;
    const told = fold(asTyped(head), INDENT, width).map((line) =>
      finding.state === "unknown" ? line : paint(line, STATUSES[finding.state])
    );
    if (finding.state !== "wrong") return told;
    return [...told, ...fold(`${" ".repeat(INDENT)}${asTyped(finding.cure)}`, INDENT, width)];
  });
  return [...lines, "", ...fold(asTyped(verdict(examination)), 0, width)].join("\n");
}

function verdict(examination: Examination): string {
  const count = (state: Finding["state"]): number =>
    examination.filter(([, finding]) => finding.state === state).length;
  const unmade = count("unknown") === 0 ? "" : ` Could not be checked: ${count("unknown")}.`;
  if (count("wrong") === 0) return `All is well.${unmade}`;
  const fixable = fixesIn(examination).map(([code]) => code);
  return `Wrong: ${count("wrong")}.${unmade}` +
    (fixable.length === 0 ? "" : ` \`deno task doctor --fix\` can fix: ${fixable.join(", ")}.`);
}

function asJson(examination: Examination): Record<string, unknown> {
  return {
    is_well: examination.every(([, { state }]) => state !== "wrong"),
    checks: examination.map(([code, { text, ...finding }]) => ({
      code,
      state: finding.state,
      text: asTyped(text),
      ...(finding.state === "wrong"
        ? {
          cure: asTyped(finding.cure),
          fix: finding.fix?.steps ?? null,
          ...(finding.objects === undefined ? {} : { objects: finding.objects }),
        }
        : {}),
    })),
  };
}
