import { CONFIG_PATH, type Project, sectionOf } from "../../adopt/project.ts";
import {
  type Bundle,
  bundleFunction,
  checkFunction,
  type FunctionSource,
} from "../../hosted/bundle.ts";
import { type ClerkEndpoints, SIGNING_SECRET } from "../../hosted/clerk_endpoint.ts";
import type { HostedFunction } from "../../hosted/management_api.ts";
import {
  type DatabaseState,
  readDatabase,
  WORKER_SECRET,
  WORKER_URL,
} from "../../hosted/schedule.ts";
import { type FunctionName, FUNCTIONS } from "../../hosted/refusal.ts";
import { sha256 } from "../../hosted/sha256.ts";
import { StartError } from "../../local/start_error.ts";
import { UsageError } from "../usage.ts";
import {
  type ChangedFunction,
  CLERK_KEY,
  functionsStep,
  functionUrl,
  KEYS,
  keysStep,
  probeStep,
  pushStep,
  scheduleStep,
  secretsStep,
  type SecretsToSet,
  type Step,
  type Target,
  WEBHOOK,
  WORKER,
  WORKER_SECRET_VARIABLE,
} from "./steps.ts";

/** Looks at the project, and changes nothing. */
export async function planDeploy(
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
    bundlesOf(sources, isSource),
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

/** The bundle of each function, or nothing but a check of its sources. */
async function bundlesOf(
  sources: readonly FunctionSource[],
  isSource: boolean,
): Promise<readonly (Bundle | undefined)[]> {
  const bundles: (Bundle | undefined)[] = [];
  // Not at once: the first bundle on a machine installs esbuild, and another one meanwhile may fail.
  for (const source of sources) {
    bundles.push(isSource ? await checkFunction(source) : await bundleFunction(source));
  }
  return bundles;
}

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
  if (clerkKey?.startsWith("pk_")) {
    throw new StartError(
      `Cannot set ${CLERK_KEY} as it is a publishable key: copy the secret one (sk_live_… or sk_test_…) from API keys in the Clerk dashboard`,
    );
  }
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
