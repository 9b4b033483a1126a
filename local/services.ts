import { type Api, createApi } from "./api.ts";
import { settlesWithin } from "./settles_within.ts";
import { type EdgeFunction, startEdgeFunction } from "./edge_function.ts";
import { generateKeys, type StackKeys } from "./keys.ts";
import { type PostgresAddress, refuseTakenPort } from "./postgres.ts";
import { createTokenIssuer, type SessionClaims } from "./tokens.ts";

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
  /** As `postgres`. */
  readonly databaseUrl: string;
  readonly superuserUrl: string;
  readonly keys: StackKeys;
  readonly signingSecret: string;
  readonly api: Api;
  /** The process of the webhook, which changes when it is restarted. */
  edgeFunction(): EdgeFunction | undefined;
  issueToken(session: SessionClaims): Promise<string>;
  stop(): Promise<void>;
}

const FUNCTION = "clerk-webhook";
const FUNCTION_PATH = `/functions/v1/${FUNCTION}`;

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
  const webhook = options.functions === false ? undefined : superviseFunction({
    apiHost: host,
    env: {
      SUPABASE_URL: apiUrl,
      SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: keys.clerkIngest }),
      CLERK_WEBHOOK_SIGNING_SECRET: keys.signingSecret,
    },
    options,
  });

  routes.resolve(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/rest/v1/") || pathname === "/rest/v1") {
      return await api.fetch(request);
    }
    if (pathname === FUNCTION_PATH || pathname.startsWith(`${FUNCTION_PATH}/`)) {
      return await forward(request, webhook?.current());
    }
    if (pathname === "/.well-known/jwks.json" && ["GET", "HEAD"].includes(request.method)) {
      return Response.json(tokens.jwks(), { headers: { "access-control-allow-origin": "*" } });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  });

  const stop = async (): Promise<void> => {
    // No new requests; those under way have a moment to finish.
    if (!await settlesWithin(server.shutdown(), 2_000)) impatience.abort();
    await webhook?.stop();
    await api.close();
  };
  try {
    await Promise.all([api.warmUp(), webhook?.started]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    apiUrl,
    webhookUrl: `${apiUrl}${FUNCTION_PATH}`,
    databaseUrl: postgres.url(database),
    superuserUrl: postgres.superuserUrl(database),
    keys,
    signingSecret: keys.signingSecret,
    api,
    edgeFunction: () => webhook?.current(),
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
  apiHost: string;
  env: Record<string, string>;
  options: ServicesOptions;
}): Supervisor {
  const { onFunctionLog, onNotice, deno } = given.options;
  let current: EdgeFunction | undefined;
  let stopping = false;
  let restart: ReturnType<typeof setTimeout> | undefined;

  const start = async (): Promise<void> => {
    const started = await startEdgeFunction({
      name: FUNCTION,
      env: given.env,
      apiHost: given.apiHost,
      ...(onFunctionLog === undefined ? {} : { onLog: onFunctionLog }),
      ...(deno === undefined ? {} : { deno }),
    });
    current = started;
    if (stopping) return await started.stop();
    started.ended.then(() => {
      if (current === started) current = undefined;
      if (stopping) return;
      onNotice?.(`The function ${FUNCTION} ended by itself; it is being started again`);
      startAgain(200);
    });
  };
  const startAgain = (delayMs: number): void => {
    restart = setTimeout(() => {
      starting = start().then(
        () => onNotice?.(`The function ${FUNCTION} is running again`),
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
