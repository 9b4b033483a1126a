import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { type Difference, differencesFromShipped } from "../../adopt/shipped.ts";
import { lookAt, type Project } from "../../adopt/project.ts";
import type { Read } from "../../functions/_shared/clerk_sync/configuration.ts";
import { call, QueueError } from "../../functions/clerk-worker/drain/queue.ts";
import {
  type ClerkApi,
  ClerkApiError,
  clerkFrom,
  createClerkApi,
  readInstanceId,
} from "../../functions/clerk-worker/reconcile/clerk_api.ts";
import { readStatus, type Status } from "../../functions/clerk-worker/status.ts";
import { VERSION } from "../../functions/clerk-worker/version.ts";
import { createManagementApi, type ManagementApi } from "../../hosted/management_api.ts";
import { type Platform, SUPABASE } from "../../hosted/platform.ts";
import { accessToken, projectRef } from "../../hosted/target.ts";
import { isVersionOfOurs } from "../../local/postgres/is_ours.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import shipped from "../../supabase/shipped.json" with { type: "json" };
import { connectProject, isLoopback, projectOf } from "../project.ts";

/** What `inspect_clerk_sync` returns. */
const Inspection = z.object({
  /** Seconds since the epoch. */
  now: z.number(),
  version: z.string().nullable(),
  installation: z.string().nullable(),
  /** The name of that table, which has the prefix. */
  profiles: z.string(),
  objects: z.record(z.string(), z.string()),
  /** Null: available, and not installed. */
  extensions: z.record(z.string(), z.string().nullable()),
  published: z.array(z.string()).nullable(),
  uuid_policies: z.array(z.string()),
  vault: z.array(z.string()).nullable(),
  jobs: z.record(
    z.string(),
    z.object({
      active: z.boolean(),
      last_status: z.string().nullable(),
      last_seconds: z.number().nullable(),
    }),
  ).nullable(),
  migrations: z.array(z.string()).nullable(),
  settings: z.looseObject({ instance_id: z.string().nullable() }),
  instances: z.record(z.string(), z.number()),
});
export type Inspection = z.infer<typeof Inspection>;

/** The answer to a question, or why there is none. */
export type Answer<Value> = { readonly value: Value } | { readonly error: string };

/** The answer of a function that is deployed. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** Of its header `Date`, ms since the epoch. */
  readonly date: number | undefined;
  /** How long it took, ms. */
  readonly took: number;
}

/** The installation that is examined. Each question is asked once. */
export interface Installation {
  readonly read: Read;
  readonly url: string;
  readonly secretKey: string;
  /** On this machine, with no Supabase around it. */
  readonly isLocal: boolean;
  /** The env file that was named. */
  readonly envFile: string | undefined;
  readonly supabase: SupabaseClient;
  /** Undefined without an access token, and for a local stack. */
  readonly management: ManagementApi | undefined;
  /** The Supabase project in the folder; undefined if there is none. */
  readonly project: Project | undefined;
  /** Runs SQL as the owner of the tables; undefined if there is no way. */
  readonly runSql: ((sql: string) => Promise<void>) | undefined;
  /** The error is PostgREST's code, or an SQLSTATE. */
  inspect(): Promise<Answer<Inspection>>;
  /** The objects that are not as shipped; undefined if they cannot be compared. */
  differences(): Promise<readonly Difference[] | undefined>;
  status(): Promise<Answer<Status>>;
  /** The instance of CLERK_SECRET_KEY; undefined without the key. The error is a sentence. */
  clerkInstance(): Promise<Answer<string> | undefined>;
  /** The answer to an unsigned `POST` to a function. The error is a sentence. */
  askFunction(name: string): Promise<Answer<HttpAnswer>>;
}

export interface Place {
  readonly read: Read;
  readonly envFile?: string | undefined;
  /** The folder that contains `supabase/`. */
  readonly dir: string;
  /** Where hosted projects are; Supabase's own by default. */
  readonly platform?: Platform;
  /** The reference of the hosted project; by its URL by default. */
  readonly ref?: string;
}

/** How long Clerk's API and a function may take, ms. */
const PATIENCE = 10_000;

/**
 * Prepares the questions. Asks none.
 *
 * @throws {ConfigurationError} when the URL or the key is missing or malformed
 * @throws {StartError} when the project in the folder cannot be read
 */
export async function openInstallation(
  { read, envFile, dir, platform = SUPABASE, ref }: Place,
): Promise<Installation> {
  const { url: given, key: secretKey } = projectOf(read);
  const url = given.replace(/\/+$/, "");
  const supabase = connectProject(read);
  const isLocal = ref === undefined && isLoopback(url);
  const management = isLocal ? undefined : await manage(read, url, dir, platform, ref);
  const clerk = clerkFrom(read);
  const api: ClerkApi | undefined = clerk && createClerkApi({ ...clerk, patience: PATIENCE });

  const inspect = once(() =>
    answerOf(() => call(supabase, "inspect_clerk_sync", {}, Inspection), QueueError)
  );
  return {
    read,
    envFile,
    url,
    secretKey,
    isLocal,
    supabase,
    management,
    project: await projectIn(dir),
    runSql: sqlRunner(management, isLocal ? read("DATABASE_URL") : undefined),
    inspect,
    differences: once(async () => {
      const found = await inspect();
      if ("error" in found || found.value.version !== VERSION) return undefined;
      return await differencesFromShipped(shipped, found.value.objects, prefixOf(found.value));
    }),
    status: once(() => answerOf(() => readStatus(supabase, api), QueueError)),
    clerkInstance: once(async () =>
      api === undefined ? undefined : await answerOf(() => readInstanceId(api), ClerkApiError)
    ),
    askFunction: memo((name) => askFunction(`${url}/functions/v1/${name}`)),
  };
}

/** What the names of our tables begin with, in that database. */
export function prefixOf({ profiles }: Inspection): string {
  return profiles.replace(/^public\.(.*)profiles$/, "$1");
}

/** Why the files of a project are not compared with a stack that {@linkcode isBeside} it. */
export const BESIDE =
  "The stack of `deno task dev` has a database of its own, and nothing of the project in this folder.";

/** Whether `dev` runs it, and the folder has a project to which `init` added clerk-sync. */
export function isBeside(
  { isLocal, project }: Installation,
  { migrations }: Inspection,
): boolean {
  return isLocal && project?.record !== undefined && migrations?.some(isVersionOfOurs) === true;
}

async function manage(
  read: Read,
  url: string,
  dir: string,
  platform: Platform,
  given: string | undefined,
): Promise<ManagementApi | undefined> {
  const inUrl = /^https:\/\/([a-z]{20})\.supabase\./.exec(url)?.[1];
  const ref = given ?? inUrl ?? await projectRef(dir, undefined).catch(() => undefined);
  const token = read("SUPABASE_ACCESS_TOKEN")?.trim() || await accessToken().catch(() => undefined);
  return ref === undefined || token === undefined
    ? undefined
    : createManagementApi(platform, ref, token);
}

async function projectIn(dir: string): Promise<Project | undefined> {
  try {
    await Deno.stat(`${dir}/supabase/config.toml`);
  } catch {
    return undefined;
  }
  return await lookAt(dir);
}

function sqlRunner(
  management: ManagementApi | undefined,
  databaseUrl: string | undefined,
): Installation["runSql"] {
  if (management !== undefined) return async (sql) => void await management.query(sql);
  // The variable is a common one: a database elsewhere is not the one of a local stack.
  if (databaseUrl === undefined || !isLoopback(databaseUrl)) return undefined;
  return (sql) =>
    withConnection(databaseUrl, async (connection) => {
      await connection.unsafe(sql).simple();
    });
}

async function askFunction(url: string): Promise<Answer<HttpAnswer>> {
  const began = Date.now();
  try {
    const response = await fetch(url, {
      method: "POST",
      // By which the webhook's log tells it from an attack.
      headers: { "user-agent": "clerk-sync-doctor" },
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await response.text();
    const date = Date.parse(response.headers.get("date") ?? "");
    return {
      value: {
        status: response.status,
        text,
        date: Number.isNaN(date) ? undefined : date,
        took: Date.now() - began,
      },
    };
  } catch {
    return { error: `Nothing answers at ${url}.` };
  }
}

/** The answer, or the message of an error of the expected class. */
async function answerOf<Value>(
  ask: () => Promise<Value>,
  expected: new (message: string) => Error,
): Promise<Answer<Value>> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (error instanceof expected) return { error: error.message };
    throw error;
  }
}

function once<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let asked: Promise<Value> | undefined;
  return () => asked ??= ask();
}

function memo<Value>(ask: (key: string) => Promise<Value>): (key: string) => Promise<Value> {
  const asked = new Map<string, Promise<Value>>();
  return (key) => {
    const known = asked.get(key) ?? ask(key);
    asked.set(key, known);
    return known;
  };
}
