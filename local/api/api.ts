import { App, fuzzyMatch, type IntrospectResult } from "@supabase/lite";
import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { apiTargetOf } from "./target.ts";
import { createGatewayAuth, type RequestClaims, type TokenTrust } from "./gateway_auth.ts";
import type { ApiKeys } from "../keys.ts";
import { encodeJson, restoreJson } from "./json_text.ts";
import { apiErrorResponse, unavailableResponse } from "./errors.ts";
import { createRequestConnection, RECONNECTING } from "./request_connection.ts";

export interface ApiOptions {
  /** The database as `authenticator`, which owns nothing and switches to the role of the request. */
  database: string;
  /** The same database as a role that can read the whole catalog. */
  introspection: string;
  keys: ApiKeys;
  trust: TokenTrust;
  /** Receives unexpected errors, which are answered with 500. */
  onError?: (error: unknown) => void;
}

/** Serves `/rest/v1` as PostgREST does behind Supabase's gateway. */
export interface Api {
  fetch(request: Request): Promise<Response>;
  /** Reads the catalog and opens a connection, so that the first request does not have to. */
  warmUp(): Promise<void>;
  /** Reads the catalog again. The first request after a change of the schema does so, too. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const SCHEMAS = ["public"];
const MAX_ROWS = 1000;

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "content-range, content-location, preference-applied",
};
const PREFLIGHT = {
  ...CORS,
  "access-control-allow-headers":
    "authorization, x-client-info, apikey, content-type, prefer, accept, accept-profile, content-profile, range, range-unit, x-supabase-api-version",
  "access-control-allow-methods": "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS",
  "access-control-max-age": "86400",
};

/**
 * Serves `/rest/v1` of one database with `@supabase/lite`, which speaks PostgREST's protocol, and adds
 * what it lacks: Supabase's gateway, exact SQLSTATEs and statuses, untouched grants, the settings of
 * roles, JSON that keeps its text, and times in ISO 8601.
 */
export function createApi(options: ApiOptions): Api {
  const authenticate = createGatewayAuth(options.keys, options.trust);
  let current = createGeneration(options);
  const retired = new Set<Promise<void>>();

  const replace = async (): Promise<void> => {
    const next = createGeneration(options);
    try {
      await next.catalog();
    } catch (error) {
      stale = true;
      await next.retire();
      throw error;
    }
    const closing = current.retire().finally(() => retired.delete(closing));
    retired.add(closing);
    current = next;
  };
  let reloaded: Promise<void> = Promise.resolve();
  const reload = (): Promise<void> => {
    stale = false;
    reloaded = reloaded.catch(() => {}).then(replace);
    return reloaded;
  };

  // The first request after a change reads the catalog, so that many changes cost one reading.
  let stale = false;
  const outdate = (): void => {
    stale = true;
  };
  const changes = postgres(options.introspection, {
    max: 1,
    onnotice: () => {},
    fetch_types: false,
  });
  // A change may have been missed while the connection was lost.
  let listensAgain = false;
  const listening = changes.listen("pgrst", outdate, () => {
    if (listensAgain) outdate();
    listensAgain = true;
  }).catch(() => {});

  const answer = async (request: Request): Promise<Response> => {
    const claims = await authenticate(request);
    if (claims instanceof Response) return claims;
    try {
      await (stale ? reload() : reloaded);
    } catch {
      return unavailableResponse("PGRST002");
    }
    return await current.serve(request, claims);
  };

  return {
    fetch: async (request) => {
      if (
        request.method === "OPTIONS" && request.headers.has("access-control-request-method")
      ) {
        return new Response(null, { status: 204, headers: PREFLIGHT });
      }
      let response: Response;
      try {
        response = await answer(request);
      } catch (error) {
        options.onError?.(error);
        response = apiErrorResponse(500, { code: "PGRSTX00", message: "Internal error" });
      }
      const headers = new Headers(response.headers);
      for (const [name, value] of Object.entries(CORS)) headers.set(name, value);
      const { status, statusText } = response;
      return new Response(response.body, { status, statusText, headers });
    },
    warmUp: async () => {
      await Promise.all([current.catalog(), current.connect(), listening]);
    },
    reload,
    close: async () => {
      await listening;
      await reloaded.catch(() => {});
      await Promise.all([changes.end({ timeout: 1 }), current.retire(), ...retired]);
    },
  };
}

/** The catalog at one point in time, with its own connections, used until the schema changes. */
interface Generation {
  catalog(): Promise<IntrospectResult>;
  connect(): Promise<void>;
  serve(request: Request, claims: RequestClaims): Promise<Response>;
  /** Closes its connections once no request uses them. */
  retire(): Promise<void>;
}

function createGeneration(options: ApiOptions): Generation {
  const reader = createPostgresConnection({
    url: options.introspection,
    postgresOptions: { ...RECONNECTING, max: 1, idle_timeout: 1, onnotice: () => {} },
  });
  const claimsOf = new WeakMap<Request, RequestClaims>();
  const connection = createRequestConnection(options.database, reader);
  const app = new App({
    connection,
    api: { schemas: SCHEMAS, max_rows: MAX_ROWS },
    auth: { enabled: false },
    options: {
      server: {
        admin: false,
        apiKeys: false,
        disableStudio: true,
        middlewares: [async (context, next) => {
          const claims = claimsOf.get(context.req.raw);
          if (claims === undefined) return context.text("Forbidden", 403);
          // With these set, lite does not read the headers to identify the caller.
          context.set("apiKeyType", "publishable");
          context.set("ignoreAuthorization", true);
          context.set("jwt", claims);
          if (claims.sub !== undefined) context.set("userId", claims.sub);
          return await next();
        }],
      },
    },
  });

  let running = 0;
  let whenIdle: (() => void) | undefined;
  let catalog: Promise<IntrospectResult> | undefined;
  const readCatalog = (): Promise<IntrospectResult> => {
    catalog ??= introspect(reader).catch((error) => {
      catalog = undefined;
      throw error;
    });
    return catalog;
  };

  return {
    catalog: readCatalog,
    connect: async () => {
      await connection.driver`select 1`;
    },
    serve: async (request, claims) => {
      running++;
      try {
        const catalog = await readCatalog().catch(() => undefined);
        if (catalog === undefined) return unavailableResponse("PGRST002");
        const refusal = refuseUnknownRelation(request, catalog);
        if (refusal !== undefined) return refusal;
        const readable = await encodeJson(request, catalog);
        claimsOf.set(readable, claims);
        return await restoreJson(await app.fetch(readable));
      } finally {
        running--;
        if (running === 0) whenIdle?.();
      }
    },
    retire: async () => {
      if (running > 0) await new Promise<void>((resolve) => whenIdle = resolve);
      await Promise.all([connection.driver.end({ timeout: 1 }), reader.driver.end({ timeout: 1 })]);
    },
  };
}

async function introspect(reader: PostgresConnection): Promise<IntrospectResult> {
  await reader.driver`select 1`;
  const catalog = await reader.introspect({ useCache: true });
  // On an error, lite prints it and returns an empty catalog without functions.
  if (catalog.functions === undefined) throw new Error("Cannot read the catalog");
  return catalog;
}

/** Answers for lite, which prints a stack trace when a table or view is unknown. */
function refuseUnknownRelation(request: Request, catalog: IntrospectResult): Response | undefined {
  const { schema, name, isFunction } = apiTargetOf(request);
  if (isFunction || name === "" || name.includes("/") || !SCHEMAS.includes(schema)) {
    return undefined;
  }
  const names = [...catalog.tables, ...catalog.views]
    .filter((each) => each.schema === schema).map((each) => each.name);
  if (names.includes(name)) return undefined;
  const similar = fuzzyMatch(name, names);
  return apiErrorResponse(404, {
    code: "PGRST205",
    message: `Could not find the table '${schema}.${name}' in the schema cache`,
    hint: similar === null ? null : `Perhaps you meant the table '${schema}.${similar}'`,
  });
}
