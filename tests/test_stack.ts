import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { anId } from "../local/clerk/events.ts";
import { signedHeadersFor } from "../local/clerk/deliver.ts";
import type { Json } from "../functions/_shared/clerk_sync/json.ts";
import { type Services, startServices } from "../local/services.ts";
import type { Database } from "../supabase/database.types.ts";
import { type TestDatabase, withTestDatabase } from "./test_database.ts";
import { testKeys } from "./test_keys.ts";

/** A stack of a test's own: database, API, and the function in a process of its own. */
export interface TestStack {
  readonly database: TestDatabase;
  readonly services: Services;
  /** The lines that the function has logged so far. */
  readonly log: readonly string[];
  /** Signs and sends an event, or a body as it is. */
  send(event: Json | string, options?: SendOptions): Promise<Receipt>;
  /** supabase-js as in a person's browser; without a person, nobody is signed in. */
  browserOf(user?: string): Promise<SupabaseClient<Database>>;
}

export interface SendOptions {
  /** The message id; a new one unless given. */
  readonly id?: string;
  /** When it was signed; now unless given. */
  readonly at?: Date;
  /** The signing secret; the stack's unless given. */
  readonly secret?: string;
  /** The URL of the function; the stack's unless given. */
  readonly url?: string;
}

/** The webhook's answer. */
export interface Receipt {
  readonly status: number;
  readonly outcome: string;
  /** The body, word for word. */
  readonly text: string;
}

export interface StackTestOptions {
  /** The Deno that runs the functions. */
  readonly deno?: string;
}

/** Starts the queue worker for the stack's database, with additional environment variables. */
export async function startWorker(
  { database }: TestStack,
  worker: Record<string, string>,
  options: { onLog?: (line: string) => void; deno?: string } = {},
): Promise<Services> {
  return await startServices({
    postgres: database.server,
    database: database.name,
    keys: await testKeys(),
    functions: false,
    worker,
    ...(options.onLog === undefined ? {} : { onFunctionLog: options.onLog }),
    ...(options.deno === undefined ? {} : { deno: options.deno }),
  });
}

/** A test with a stack of its own. */
export function stackTest(
  name: string,
  test: (stack: TestStack) => Promise<void>,
  options: StackTestOptions = {},
): void {
  Deno.test({
    name,
    fn: () => withTestDatabase((database) => withStack(database, options, test)),
    // The Postgres server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

async function withStack(
  database: TestDatabase,
  options: StackTestOptions,
  test: (stack: TestStack) => Promise<void>,
): Promise<void> {
  const log: string[] = [];
  await using services = await startServices({
    ...options,
    postgres: database.server,
    database: database.name,
    keys: await testKeys(),
    onFunctionLog: (line) => log.push(line),
  });

  await test({
    database,
    services,
    log,
    send: (event, { id = anId("msg"), at, secret = services.signingSecret, url } = {}) => {
      const body = typeof event === "string" ? event : JSON.stringify(event);
      return post(url ?? services.webhookUrl, body, signedHeadersFor({ id, body }, secret, at));
    },
    browserOf: async (user) => {
      const token = user === undefined ? null : await services.issueToken({ sub: user });
      return createClient<Database>(services.apiUrl, services.keys.publishable, {
        accessToken: () => Promise.resolve(token),
      });
    },
  });
}

/** Posts a body with these headers and reads the answer. */
export async function post(
  url: string,
  body: BodyInit,
  headers: Record<string, string>,
): Promise<Receipt> {
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  const outcome = /^\{"outcome":"(\w+)"/.exec(text)?.[1] ?? `no outcome: ${text}`;
  return { status: response.status, outcome, text };
}
