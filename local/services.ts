import { type Api, createApi } from "./api/api.ts";
import { createTokenIssuer, type SessionClaims } from "./clerk/token_issuer.ts";
import type { EdgeFunction } from "./functions/edge_function.ts";
import { forward } from "./functions/proxy.ts";
import { superviseFunction, type Supervisor } from "./functions/supervisor.ts";
import { startWorkerSchedule } from "./functions/worker_schedule.ts";
import { generateKeys, type StackKeys } from "./keys.ts";
import { type PostgresAddress, refuseTakenPort } from "./postgres/postgres.ts";
import { endServer } from "./end_server.ts";

export interface ServicesOptions {
  postgres: Pick<PostgresAddress, "url" | "roleUrl" | "superuserUrl">;
  /** A database with the platform and the migrations. */
  database: string;
  /** The port on 127.0.0.1; a free one by default. */
  port?: number;
  /** New ones by default. */
  keys?: StackKeys;
  /** Whether to start the webhook; true by default. */
  functions?: boolean;
  /** Other secrets that the webhook verifies with, as in `CLERK_WEBHOOK_SIGNING_SECRET`. */
  signingSecrets?: string;
  /** Starts the worker with these variables, which configure its handlers and Clerk's API. */
  worker?: Record<string, string>;
  /** The Deno that runs the functions; the current one by default. */
  deno?: string;
  /** Receives every line that a function writes. */
  onFunctionLog?: (line: string) => void;
  /** Receives a sentence when a function ended by itself or is running again. */
  onNotice?: (text: string) => void;
  onError?: (error: unknown) => void;
}

/** The API, the webhook and the tokens of one database, behind one port. */
export interface Services extends AsyncDisposable {
  readonly apiUrl: string;
  readonly webhookUrl: string;
  /** Where the queue worker listens, if it was started. */
  readonly workerUrl: string;
  /** The database as `postgres`. */
  readonly databaseUrl: string;
  readonly superuserUrl: string;
  readonly keys: StackKeys;
  readonly signingSecret: string;
  readonly api: Api;
  /** The process of a function, of the webhook by default. A restart brings a new one. */
  edgeFunction(name?: string): EdgeFunction | undefined;
  issueToken(session: SessionClaims): Promise<string>;
  stop(): Promise<void>;
}

/** The worker may always reach Resend's API and Clerk's. */
const APIS = ["api.resend.com:443", "api.clerk.com:443"];

const WEBHOOK = "clerk-webhook";
const WORKER = "clerk-worker";
const FUNCTION_PATH = /^\/functions\/v1\/([a-z-]+)(?:\/|$)/;

/**
 * Serves one database on 127.0.0.1 under the paths of a Supabase project, `/rest/v1/…` and
 * `/functions/v1/…`, and under Clerk's `/.well-known/jwks.json`.
 *
 * @throws {StartError} when the port is taken or the function stops at boot.
 */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { postgres, database } = options;
  if (options.port !== undefined && options.port !== 0) refuseTakenPort(options.port, "--port");
  const keys = options.keys ?? await generateKeys();

  // The tokens' issuer is the URL, which is unknown until the server has a port.
  const routes = Promise.withResolvers<(request: Request) => Promise<Response>>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen: () => {} },
    async (request) => await (await routes.promise)(request),
  );
  const host = `127.0.0.1:${server.addr.port}`;
  const apiUrl = `http://${host}`;
  const tokens = await createTokenIssuer(apiUrl, keys.tokenKey);
  const api = createApi({
    database: postgres.roleUrl("authenticator", database),
    introspection: postgres.superuserUrl(database),
    keys,
    trust: { issuer: apiUrl, jwks: tokens.jwks() },
    ...(options.onError === undefined ? {} : { onError: options.onError }),
  });
  const functions = new Map<string, Supervisor>();
  const supervise = (
    name: string,
    given: { reaches: readonly string[]; env: Record<string, string> },
  ): void => {
    const { deno, onFunctionLog: onLog, onNotice } = options;
    functions.set(name, superviseFunction({ name, deno, onLog, ...given }, onNotice));
  };
  if (options.functions !== false) {
    supervise(WEBHOOK, {
      reaches: [host],
      env: {
        SUPABASE_URL: apiUrl,
        SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: keys.clerkIngest }),
        CLERK_WEBHOOK_SIGNING_SECRET: `${keys.signingSecret} ${options.signingSecrets ?? ""}`,
      },
    });
  }
  if (options.worker !== undefined) {
    supervise(WORKER, {
      reaches: [host, ...APIS, ...hostsIn(options.worker)],
      env: {
        SUPABASE_URL: apiUrl,
        SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_worker: keys.clerkWorker }),
        CLERK_WORKER_SECRET: keys.workerSecret,
        ...options.worker,
      },
    });
  }
  const started = Promise.all([...functions.values()].map((each) => each.started));
  const schedule = options.worker === undefined ? undefined : startWorkerSchedule({
    database: postgres.superuserUrl(database),
    url: `${apiUrl}/functions/v1/${WORKER}`,
    secret: keys.workerSecret,
    reconciles: Boolean(options.worker.CLERK_SECRET_KEY),
    after: started,
  });

  routes.resolve(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/rest/v1/") || pathname === "/rest/v1") {
      return await api.fetch(request);
    }
    const name = FUNCTION_PATH.exec(pathname)?.[1];
    if (name !== undefined && (name === WEBHOOK || functions.has(name))) {
      return await forward(request, functions.get(name)?.current()?.url);
    }
    if (pathname === "/.well-known/jwks.json" && ["GET", "HEAD"].includes(request.method)) {
      return Response.json(tokens.jwks(), { headers: { "access-control-allow-origin": "*" } });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  });

  const stop = async (): Promise<void> => {
    await schedule?.stop();
    await endServer(server, 2_000);
    await Promise.all([...functions.values()].map((each) => each.stop()));
    await api.close();
  };
  try {
    await Promise.all([api.warmUp(), started]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    apiUrl,
    webhookUrl: `${apiUrl}/functions/v1/${WEBHOOK}`,
    workerUrl: `${apiUrl}/functions/v1/${WORKER}`,
    databaseUrl: postgres.url(database),
    superuserUrl: postgres.superuserUrl(database),
    keys,
    signingSecret: keys.signingSecret,
    api,
    edgeFunction: (name = WEBHOOK) => functions.get(name)?.current(),
    issueToken: tokens.sign,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The `host:port` of every URL in these variables. */
function hostsIn(env: Record<string, string>): string[] {
  return Object.values(env)
    .flatMap((value) => value.split(/[\s,]+/))
    .flatMap((word) => (word.includes("://") ? URL.parse(word)?.host : undefined) || []);
}
