import {
  CONFIG_PATH,
  folderText,
  lookAt,
  MIGRATIONS_PATH,
  type Project,
  sectionOf,
} from "../adopt/project.ts";
import denoJson from "../deno.json" with { type: "json" };
import {
  type Bundle,
  bundleFunction,
  checkFunction,
  type FunctionSource,
} from "../hosted/bundle.ts";
import {
  type ClerkEndpoints,
  dashboardEndpoints,
  EVENTS,
  SIGNING_SECRET,
} from "../hosted/clerk_endpoint.ts";
import {
  type ApiKey,
  createManagementApi,
  type HostedFunction,
  type ManagementApi,
} from "../hosted/management_api.ts";
import { type Platform, SUPABASE } from "../hosted/platform.ts";
import { awaitRefusal, sendProbe } from "../hosted/probe.ts";
import {
  type DatabaseState,
  JOBS,
  readDatabase,
  WORKER_SECRET,
  WORKER_URL,
  writeVault,
} from "../hosted/schedule.ts";
import { accessToken, projectRef } from "../hosted/target.ts";
import { StartError } from "../local/start_error.ts";
import { askHidden } from "./ask_hidden.ts";
import { isConfirmed } from "./confirm.ts";
import { foldLines, terminalWidth } from "./fold.ts";
import { runSupabase } from "./supabase_cli.ts";
import { asTyped, flags, runCommand, UsageError } from "./usage.ts";

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

const WEBHOOK = "clerk-webhook";
const WORKER = "clerk-worker";

/** What an unsigned request to each function is answered with, beside a 401. */
const REFUSALS = { [WEBHOOK]: "missing_headers", [WORKER]: "unauthorized" } as const;

type FunctionName = keyof typeof REFUSALS;

const FUNCTIONS = Object.keys(REFUSALS) as FunctionName[];

/** The API keys of the functions, which are named like their roles. */
const KEYS = ["clerk_ingest", "clerk_worker"];

if (import.meta.main) await runCommand(deploy, HELP);

/** A part of a deploy that is to be done. */
interface Step {
  readonly name: "migrations" | "keys" | "secrets" | "functions" | "schedule" | "probe";
  /** What it does, in lines. */
  readonly lines: readonly string[];
  readonly run: () => Promise<void>;
}

/** A function that is to be deployed. */
interface ChangedFunction {
  readonly name: FunctionName;
  /** Undefined when its sources are. */
  readonly bundle: Bundle | undefined;
}

/** What a deploy works with. */
interface Target {
  readonly project: Project;
  readonly ref: string;
  readonly platform: Platform;
  readonly api: ManagementApi;
  readonly token: string;
}

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

/** Looks at the project, and changes nothing. */
async function planDeploy(
  target: Target,
  endpoints: ClerkEndpoints,
  isSource: boolean,
  canAsk: boolean,
): Promise<{ readonly steps: readonly Step[]; readonly present: readonly string[] }> {
  const { api, project, ref } = target;
  const sources = FUNCTIONS.map((name) => sourceOf(project, name));
  const [keys, secrets, functions, database, bundles] = await Promise.all([
    api.apiKeys(),
    api.secrets(),
    api.functions(),
    readDatabase(api),
    Promise.all(sources.map((each) => isSource ? checkFunction(each) : bundleFunction(each))),
  ]);
  if (!database.hasVault) {
    throw new StartError(
      `Cannot deploy to project ${ref} as it has no Vault: enable the extension supabase_vault under Database → Extensions in the Supabase dashboard`,
    );
  }

  const pending = project.migrations.filter(({ version }) => !database.migrations.has(version));
  const values = await secretsToSet(target, endpoints, secrets, database, canAsk);
  const workerUrl = functionUrl(target, WORKER);
  const hasUrl = database.vault.get(WORKER_URL) === await sha256(workerUrl);
  const vault = { url: hasUrl ? undefined : workerUrl, secret: values.worker };
  const changed = FUNCTIONS.flatMap((name, at): ChangedFunction[] => {
    const bundle = bundles[at];
    const deployed = functions.find(({ slug }) => slug === name);
    return isCurrent(deployed, bundle) ? [] : [{ name, bundle }];
  });
  const all = [
    { there: "the migrations", step: pushStep(target, pending.map(({ file }) => file)) },
    { there: `the API keys ${KEYS.join(" and ")}`, step: keysStep(target, keys) },
    { there: "the secrets", step: secretsStep(target, endpoints, values) },
    { there: "the functions", step: functionsStep(target, changed) },
    {
      there: "the schedule",
      step: scheduleStep(target, database, vault, pending.length > 0),
    },
  ];
  const steps = all.map(({ step }) => step).filter(({ lines }) => lines.length > 0);
  return {
    steps: steps.length === 0 ? [] : [...steps, probeStep(target, values)],
    present: all.filter(({ step }) => step.lines.length === 0).map(({ there }) => there),
  };
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

// Where a function is --------------------------------------------------------------------------

function sourceOf({ dir, settings }: Project, name: FunctionName): FunctionSource {
  const section = sectionOf(settings, `functions.${name}`);
  if (section === undefined) {
    throw new StartError(
      `Cannot deploy ${name} as ${CONFIG_PATH} has no [functions.${name}]: run \`deno task init\`, which adds clerk-sync to this project`,
    );
  }
  const { entrypoint, import_map: importMap, verify_jwt: verifiesJwt } = section;
  if (typeof entrypoint !== "string" || verifiesJwt !== false) {
    throw new StartError(
      `Cannot deploy ${name} as [functions.${name}] in ${CONFIG_PATH} needs ${
        verifiesJwt === false
          ? `entrypoint = "./functions/${name}/index.ts"`
          : "verify_jwt = false, because its callers have no session"
      }: write it there`,
    );
  }
  const path = (relative: string): string => `${dir}/supabase/${relative}`;
  return {
    name,
    entrypoint: path(entrypoint),
    importMap: typeof importMap === "string" ? path(importMap) : undefined,
  };
}

/** Whether a bundle is deployed. Supabase keeps the name of the uploaded file, which has its digest. */
function isCurrent(deployed: HostedFunction | undefined, bundle: Bundle | undefined): boolean {
  return bundle !== undefined && deployed !== undefined &&
    deployed.entrypoint_path?.endsWith(`/${bundle.digest}.js`) === true &&
    deployed.verify_jwt === false && deployed.status === "ACTIVE";
}

function functionUrl({ platform, ref }: Target, name: FunctionName): string {
  return `${platform.projectUrl(ref)}/functions/v1/${name}`;
}

// The steps ------------------------------------------------------------------------------------

function pushStep(target: Target, files: readonly string[]): Step {
  return {
    name: "migrations",
    lines: files.length === 0 ? [] : [
      `applies ${
        files.length === 1 ? "a migration" : `${files.length} migrations`
      } of ${MIGRATIONS_PATH}: ${
        files.length > 3 ? `${files[0]} … ${files.at(-1)}` : files.join(", ")
      }`,
    ],
    run: async () => {
      await supabase(target, ["db", "push"], target.project.dir, target.platform.databaseUrl);
    },
  };
}

function keysStep({ api, ref }: Target, existing: readonly ApiKey[]): Step {
  const keyOf = (name: string): ApiKey | undefined =>
    existing.find((key) => key.type === "secret" && key.name === name);
  for (const name of KEYS) {
    const key = keyOf(name);
    const role = key?.secret_jwt_template?.role;
    if (key !== undefined && role !== name) {
      throw new StartError(
        `Cannot use the API key ${name} of project ${ref} as its role is ${role}, and not ${name}: delete it under API Keys in the Supabase dashboard, and run this again`,
      );
    }
  }
  const missing = KEYS.filter((name) => keyOf(name) === undefined);
  return {
    name: "keys",
    lines: missing.map((name) => `makes the API key ${name}, whose Postgres role is ${name}`),
    run: async () => {
      for (const name of missing) await api.createApiKey({ name, role: name });
    },
  };
}

/** Entries of Vault that are to be written. */
interface VaultToWrite {
  readonly url: string | undefined;
  readonly secret: string | undefined;
}

/** Secrets that are to be set. */
interface SecretsToSet {
  /** From the environment; the values differ from those that are set. */
  readonly given: Readonly<Record<string, string>>;
  /** A new secret between pg_cron and the worker. */
  readonly worker: string | undefined;
  /** Whether the signing secret is to be asked for. */
  readonly isAsked: boolean;
  /** The signing secret, as soon as it is known. */
  signing: string | undefined;
}

async function secretsToSet(
  target: Target,
  endpoints: ClerkEndpoints,
  existing: ReadonlyMap<string, string>,
  database: DatabaseState,
  canAsk: boolean,
): Promise<SecretsToSet> {
  const signing = await endpoints.find(functionUrl(target, WEBHOOK));
  const isAsked = signing === undefined && !existing.has(SIGNING_SECRET);
  if (isAsked && !canAsk) {
    throw new UsageError(
      `Cannot ask for the signing secret of Clerk's endpoint without a terminal, or with --yes or --json: set ${SIGNING_SECRET}`,
    );
  }
  const clerkKey = Deno.env.get(CLERK_KEY)?.trim() || undefined;
  const given: Record<string, string> = {};
  for (const [name, value] of [[SIGNING_SECRET, signing], [CLERK_KEY, clerkKey]] as const) {
    if (value !== undefined && existing.get(name) !== await sha256(value)) given[name] = value;
  }
  const worker = existing.get(WORKER_SECRET_VARIABLE);
  const isShared = worker !== undefined && worker === database.vault.get(WORKER_SECRET);
  return {
    given,
    worker: isShared ? undefined : crypto.getRandomValues(new Uint8Array(32)).toHex(),
    isAsked,
    signing,
  };
}

const CLERK_KEY = "CLERK_SECRET_KEY";
const WORKER_SECRET_VARIABLE = "CLERK_WORKER_SECRET";

function secretsStep(target: Target, endpoints: ClerkEndpoints, values: SecretsToSet): Step {
  const { given, worker, isAsked } = values;
  return {
    name: "secrets",
    lines: [
      ...(isAsked
        ? [`asks for the signing secret of Clerk's endpoint, and sets ${SIGNING_SECRET}`]
        : []),
      ...Object.keys(given).map((name) => `sets ${name}, from the environment`),
      ...(worker === undefined ? [] : [`sets ${WORKER_SECRET_VARIABLE}, a new random secret`]),
    ],
    run: async () => {
      if (isAsked) values.signing = await endpoints.make(functionUrl(target, WEBHOOK), EVENTS);
      await target.api.setSecrets({
        ...given,
        ...(isAsked && values.signing !== undefined ? { [SIGNING_SECRET]: values.signing } : {}),
        ...(worker === undefined ? {} : { [WORKER_SECRET_VARIABLE]: worker }),
      });
    },
  };
}

function functionsStep(target: Target, changed: readonly ChangedFunction[]): Step {
  return {
    name: "functions",
    lines: changed.map(({ name, bundle }) =>
      bundle === undefined
        ? `deploys ${name}, its sources`
        : `deploys ${name}, in one file of ${Math.round(bundle.text.length / 1000)} kB`
    ),
    run: async () => {
      for (const { name, bundle } of changed) {
        const command = ["functions", "deploy", name, "--use-api"];
        if (bundle === undefined) {
          await supabase(target, command, target.project.dir);
          continue;
        }
        const folder = await Deno.makeTempDir({ prefix: "clerk-sync-deploy-" });
        try {
          await writeBundle(folder, name, bundle);
          await supabase(target, command, folder);
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
      }
    },
  };
}

/** Writes a project that consists of one bundle. */
async function writeBundle(folder: string, name: string, bundle: Bundle): Promise<void> {
  const path = `functions/${name}/${bundle.digest}.js`;
  await Deno.mkdir(`${folder}/supabase/functions/${name}`, { recursive: true });
  await Deno.writeTextFile(`${folder}/supabase/${path}`, bundle.text);
  await Deno.writeTextFile(
    `${folder}/${CONFIG_PATH}`,
    `project_id = "clerk-sync"

[edge_runtime]
deno_version = 2

[functions.${name}]
verify_jwt = false
entrypoint = "./${path}"
`,
  );
}

function scheduleStep(
  target: Target,
  { vault, jobs }: DatabaseState,
  { url, secret }: VaultToWrite,
  hasNewMigrations: boolean,
): Step {
  const entries = Object.entries({ [WORKER_URL]: url, [WORKER_SECRET]: secret })
    .flatMap(([name, value]) => value === undefined ? [] : [{ name, value }]);
  const isToStart = hasNewMigrations || JOBS.some((name) => !jobs.has(name));
  return {
    name: "schedule",
    lines: [
      ...entries.map(({ name }) => `writes ${name} into Vault`),
      ...(isToStart
        ? [`starts the schedule: pg_cron, pg_net and the jobs ${JOBS.join(", ")}`]
        : []),
    ],
    run: async () => {
      for (const { name, value } of entries) {
        await writeVault(target.api, name, value, vault.has(name));
      }
      if (isToStart) await target.api.query("select clerk_sync.start_schedule()");
    },
  };
}

function probeStep(target: Target, values: SecretsToSet): Step {
  const { api, platform } = target;
  return {
    name: "probe",
    lines: [
      "sends an unsigned request to each function, which must refuse it",
      values.isAsked || values.signing !== undefined
        ? "sends the webhook a signed event of a type that is ignored, and looks for it in the inbox"
        : `sends no signed event, because ${SIGNING_SECRET} is not in the environment`,
    ],
    run: async () => {
      await checkRefusals(target);
      const [signing] = values.signing?.split(/[\s,]+/) ?? [];
      if (signing === undefined) return;
      await sendProbe(functionUrl(target, WEBHOOK), signing, api, platform.patience);
    },
  };
}

async function checkRefusals(target: Target): Promise<void> {
  for (const name of FUNCTIONS) {
    await awaitRefusal(functionUrl(target, name), REFUSALS[name], target.platform.patience);
  }
}

// Programs -------------------------------------------------------------------------------------

/** A migration may take long: the project's own may build an index on a large table, ms. */
const LONGEST_COMMAND = 3_600_000;

/** Runs a command of the Supabase CLI on the project. */
async function supabase(
  { platform, ref, token }: Target,
  command: readonly string[],
  cwd: string,
  databaseUrl?: string,
): Promise<void> {
  const { code, stderr } = await runSupabase([
    ...command,
    ...(databaseUrl === undefined ? [`--remote=${ref}`] : []),
    "--yes",
    ...platform.cliFlags,
  ], {
    cwd,
    env: { SUPABASE_ACCESS_TOKEN: token },
    patience: LONGEST_COMMAND,
    ...(databaseUrl === undefined ? {} : { remote: databaseUrl }),
  });
  if (code === 0) return;
  throw new StartError(
    `Cannot go on as \`supabase ${command.join(" ")}\` fails:\n${
      stderr.trim().split("\n").slice(-12).join("\n")
    }`,
  );
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

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
