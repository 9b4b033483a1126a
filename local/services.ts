import connectTo from "postgres";
import { type Api, createApi } from "./api/api.ts";
import { settlesWithin } from "./settles_within.ts";
import { type EdgeFunction, startEdgeFunction } from "./functions/edge_function.ts";
import { generateKeys, type StackKeys } from "./keys.ts";
import { type PostgresAddress, refuseTakenPort } from "./postgres/postgres.ts";
import { createTokenIssuer, type SessionClaims } from "./clerk/token_issuer.ts";

export interface ServicesOptions {
  postgres: Pick<PostgresAddress, "url" | "roleUrl" | "superuserUrl">;
  /** A database with the platform and the migrations. */
  database: string;
  /** The port on 127.0.0.1; a free one unless given. */
  port?: number;
  /** New ones unless given. */
  keys?: StackKeys;
  /** Whether to start the webhook's process; true unless told otherwise. */
  functions?: boolean;
  /** Whether to start the queue worker's process, and what it reads of an environment besides. */
  worker?: Record<string, string>;
  /** The Deno that the function runs with; this one unless told otherwise. */
  deno?: string;
  /** Every line that the function writes. */
  onFunctionLog?: (line: string) => void;
  /** Told in a sentence when the function ended by itself or came back. */
  onNotice?: (text: string) => void;
  onError?: (error: unknown) => void;
}

/** The API, the webhook and the tokens of one database, behind one port. */
export interface Services extends AsyncDisposable {
  readonly apiUrl: string;
  readonly webhookUrl: string;
  /** Where the queue worker is, if there is one. */
  readonly workerUrl: string;
  /** As `postgres`. */
  readonly databaseUrl: string;
  readonly superuserUrl: string;
  readonly keys: StackKeys;
  readonly signingSecret: string;
  readonly api: Api;
  /** The process of a function, the webhook unless named, which changes when it is restarted. */
  edgeFunction(name?: string): EdgeFunction | undefined;
  issueToken(session: SessionClaims): Promise<string>;
  stop(): Promise<void>;
}

/** How often the local stack looks into the queue. */
const WORKER_EVERY_MS = 250;

/** What the worker may reach whatever it is told: Resend's API. */
const RESEND = "api.resend.com:443";

const WEBHOOK = "clerk-webhook";
const WORKER = "clerk-worker";
const FUNCTION_PATH = /^\/functions\/v1\/([a-z-]+)(?:\/|$)/;

/**
 * Serves one database on 127.0.0.1 the way a Supabase project is reached: `/rest/v1/…`,
 * `/functions/v1/clerk-webhook` and, in place of Clerk, `/.well-known/jwks.json`.
 *
 * @throws {StartError} when the port is taken or the function stops at boot.
 */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { postgres, database } = options;
  if (options.port !== undefined && options.port !== 0) refuseTakenPort(options.port, "--port");
  const keys = options.keys ?? await generateKeys();

  // The issuer of the tokens is the URL, which is known once the port is.
  const routes = Promise.withResolvers<(request: Request) => Promise<Response>>();
  const impatience = new AbortController();
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      onListen: () => {},
      signal: impatience.signal,
    },
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
  if (options.functions !== false) {
    functions.set(
      WEBHOOK,
      superviseFunction({
        name: WEBHOOK,
        reaches: [host],
        env: {
          SUPABASE_URL: apiUrl,
          SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: keys.clerkIngest }),
          CLERK_WEBHOOK_SIGNING_SECRET: keys.signingSecret,
        },
        options,
      }),
    );
  }
  if (options.worker !== undefined) {
    functions.set(
      WORKER,
      superviseFunction({
        name: WORKER,
        reaches: [host, RESEND, ...hostsIn(options.worker)],
        env: {
          SUPABASE_URL: apiUrl,
          SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_worker: keys.clerkWorker }),
          CLERK_WORKER_SECRET: keys.workerSecret,
          ...options.worker,
        },
        options,
      }),
    );
  }
  const started = Promise.all([...functions.values()].map((each) => each.started));
  const schedule = options.worker === undefined ? undefined : startWorkerSchedule({
    database: postgres.superuserUrl(database),
    url: `${apiUrl}/functions/v1/${WORKER}`,
    secret: keys.workerSecret,
    after: started,
  });

  routes.resolve(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/rest/v1/") || pathname === "/rest/v1") {
      return await api.fetch(request);
    }
    const name = FUNCTION_PATH.exec(pathname)?.[1];
    if (name !== undefined && (name === WEBHOOK || functions.has(name))) {
      return await forward(request, functions.get(name)?.current());
    }
    if (pathname === "/.well-known/jwks.json" && ["GET", "HEAD"].includes(request.method)) {
      return Response.json(tokens.jwks(), { headers: { "access-control-allow-origin": "*" } });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  });

  const stop = async (): Promise<void> => {
    // No new requests; those under way have a moment to finish.
    await schedule?.stop();
    if (!await settlesWithin(server.shutdown(), 2_000)) impatience.abort();
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

/** A function that is started again when it ends by itself. */
interface Supervisor {
  /** Settles with the first start. */
  readonly started: Promise<void>;
  current(): EdgeFunction | undefined;
  stop(): Promise<void>;
}

function superviseFunction(given: {
  name: string;
  /** `host:port` of everything that it may reach. */
  reaches: readonly string[];
  env: Record<string, string>;
  options: ServicesOptions;
}): Supervisor {
  const { name, env, reaches } = given;
  const { onFunctionLog, onNotice, deno } = given.options;
  let current: EdgeFunction | undefined;
  let stopping = false;
  let restart: ReturnType<typeof setTimeout> | undefined;

  const start = async (): Promise<void> => {
    const started = await startEdgeFunction({
      name,
      env,
      apiHost: reaches.join(","),
      ...(onFunctionLog === undefined ? {} : { onLog: onFunctionLog }),
      ...(deno === undefined ? {} : { deno }),
    });
    current = started;
    if (stopping) return await started.stop();
    started.ended.then(() => {
      if (current === started) current = undefined;
      if (stopping) return;
      onNotice?.(`The function ${name} ended by itself; it is being started again`);
      startAgain(200);
    });
  };
  const startAgain = (delayMs: number): void => {
    restart = setTimeout(() => {
      starting = start().then(
        () => onNotice?.(`The function ${name} is running again`),
        (error) => {
          if (stopping) return;
          onNotice?.((error as Error).message);
          startAgain(Math.min(delayMs * 2, 5_000));
        },
      );
    }, delayMs);
  };

  const started = start();
  let starting = started;
  return {
    started,
    current: () => current,
    stop: async () => {
      stopping = true;
      clearTimeout(restart);
      await starting.catch(() => {});
      await current?.stop();
    },
  };
}

/** The `host:port` of every URL in the values, as the function's permission to reach them. */
function hostsIn(env: Record<string, string>): string[] {
  return Object.values(env)
    .flatMap((value) => value.split(/[\s,]+/))
    .map((word) => /:\/\//.test(word) ? URL.parse(word) : null)
    .filter((url) => url !== null && url.hostname !== "")
    .map((url) => url?.host ?? "");
}

/** Calls the worker when something waits in the queue, in place of pg_cron and pg_net. */
function startWorkerSchedule(given: {
  database: string;
  url: string;
  secret: string;
  /** What must be there first. */
  after: Promise<unknown>;
}): { stop(): Promise<void> } {
  const sql = connectTo(given.database, { max: 1, onnotice: () => {} });
  let stopping = false;

  const watch = async (): Promise<void> => {
    await given.after;
    while (!stopping) {
      const waits = await sql`select from pgmq.q_clerk_changes where vt <= now() limit 1`
        .then((rows) => rows.length > 0, () => false);
      if (waits) {
        await fetch(given.url, {
          method: "POST",
          headers: { authorization: `Bearer ${given.secret}` },
        }).then((response) => response.body?.cancel(), () => {});
      }
      await new Promise((resolve) => setTimeout(resolve, WORKER_EVERY_MS));
    }
  };

  const watching = watch().catch(() => {});
  return {
    stop: async () => {
      stopping = true;
      await settlesWithin(watching, 2_000);
      await sql.end({ timeout: 2 });
    },
  };
}

/** Hands a request on to the function, the body as it comes. */
async function forward(request: Request, target: EdgeFunction | undefined): Promise<Response> {
  if (target === undefined) {
    return Response.json({
      code: "BOOT_ERROR",
      message: "Function failed to start (please check logs)",
    }, { status: 503 });
  }
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ["host", "connection", "accept-encoding"]) headers.delete(name);
  try {
    return await fetch(`${target.url}${pathname.replace("/functions/v1", "")}${search}`, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
  } catch {
    return Response.json({
      code: "WORKER_ERROR",
      message: "Function exited or broke the connection (please check logs)",
    }, { status: 502 });
  }
}
