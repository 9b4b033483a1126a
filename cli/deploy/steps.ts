import { CONFIG_PATH, MIGRATIONS_PATH, type Project } from "../../adopt/project.ts";
import type { Bundle } from "../../hosted/bundle.ts";
import { type ClerkEndpoints, EVENTS, SIGNING_SECRET } from "../../hosted/clerk_endpoint.ts";
import type { ApiKey, ManagementApi } from "../../hosted/management_api.ts";
import type { Platform } from "../../hosted/platform.ts";
import { awaitRefusal, sendProbe } from "../../hosted/probe.ts";
import { type FunctionName, FUNCTIONS } from "../../hosted/refusal.ts";
import {
  type DatabaseState,
  JOBS,
  WORKER_SECRET,
  WORKER_URL,
  writeVault,
} from "../../hosted/schedule.ts";
import { StartError } from "../../local/start_error.ts";
import { runSupabase } from "../supabase_cli.ts";

export const WEBHOOK: FunctionName = "clerk-webhook";
export const WORKER: FunctionName = "clerk-worker";

/** The API keys of the functions, which are named like their roles. */
export const KEYS = ["clerk_ingest", "clerk_worker"];

/** A part of a deploy that is to be done. */
export interface Step {
  readonly name: "migrations" | "keys" | "secrets" | "functions" | "schedule" | "probe";
  /** What it does, in lines. */
  readonly lines: readonly string[];
  readonly run: () => Promise<void>;
}

/** A function that is to be deployed. */
export interface ChangedFunction {
  readonly name: FunctionName;
  /** Undefined when its sources are. */
  readonly bundle: Bundle | undefined;
}

/** What a deploy works with. */
export interface Target {
  readonly project: Project;
  readonly ref: string;
  readonly platform: Platform;
  readonly api: ManagementApi;
  readonly token: string;
}

export function pushStep(target: Target, files: readonly string[]): Step {
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

export function keysStep({ api, ref }: Target, existing: readonly ApiKey[]): Step {
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
export interface SecretsToSet {
  /** From the environment; the values differ from those that are set. */
  readonly given: Readonly<Record<string, string>>;
  /** A new secret between pg_cron and the worker. */
  readonly worker: string | undefined;
  /** Whether the signing secret is to be asked for. */
  readonly isAsked: boolean;
  /** The signing secret, as soon as it is known. */
  signing: string | undefined;
}

export const CLERK_KEY = "CLERK_SECRET_KEY";
export const WORKER_SECRET_VARIABLE = "CLERK_WORKER_SECRET";

export function secretsStep(target: Target, endpoints: ClerkEndpoints, values: SecretsToSet): Step {
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

export function functionsStep(target: Target, changed: readonly ChangedFunction[]): Step {
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

export function scheduleStep(
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

export function probeStep(target: Target, values: SecretsToSet): Step {
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

export async function checkRefusals(target: Target): Promise<void> {
  for (const name of FUNCTIONS) {
    await awaitRefusal(functionUrl(target, name), name, target.platform.patience);
  }
}

export function functionUrl({ platform, ref }: Target, name: FunctionName): string {
  return `${platform.projectUrl(ref)}/functions/v1/${name}`;
}

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
