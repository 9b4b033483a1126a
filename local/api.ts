import { App, fuzzyMatch, type IntrospectResult } from "@supabase/lite";
import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { createGatewayAuth, type RequestClaims, type TokenTrust } from "./gateway_auth.ts";
import type { ApiKeys } from "./keys.ts";
import { apiErrorResponse, databaseErrorResponse, unavailableResponse } from "./postgres_errors.ts";

export interface ApiOptions {
  /** The database as `authenticator`, who owns nothing and becomes the role of the request. */
  database: string;
  /** The same database as somebody who sees the whole catalog. */
  introspection: string;
  keys: ApiKeys;
  trust: TokenTrust;
  /** Told of errors that were answered with 500 without being the database's own. */
  onError?: (error: unknown) => void;
}

/** `/rest/v1` as PostgREST behind Supabase's gateway serves it. */
export interface Api {
  fetch(request: Request): Promise<Response>;
  /** Reads the catalog and opens a connection, so that the first request need not. */
  warmUp(): Promise<void>;
  /** Reads the catalog again. A change of the schema does it as well, a moment later. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const PREFIX = "/rest/v1";
const SCHEMAS = ["public"];
const MAX_ROWS = 1000;
const CONNECTIONS = 12;

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
 * Serves `/rest/v1` of one database by `@supabase/lite`, which speaks PostgREST, with what
 * it lacks: Supabase's gateway, exact SQLSTATEs and statuses, untouched grants, JSON
 * strings that stay strings, and times in ISO 8601.
 */
export function createApi(options: ApiOptions): Api {
  const authenticate = createGatewayAuth(options.keys, options.trust);
  let current = createGeneration(options);
  const retired = new Set<Promise<void>>();

  const reload = async (): Promise<void> => {
    stale = false;
    const next = createGeneration(options);
    await next.catalog();
    const closing = current.retire();
    retired.add(closing);
    closing.finally(() => retired.delete(closing));
    current = next;
  };
  const changes = postgres(options.introspection, {
    max: 1,
    onnotice: () => {},
    fetch_types: false,
  });
  // Read again by the first request after a change, so that many changes cost one reading.
  let stale = false;
  const listening = changes.listen("pgrst", () => {
    stale = true;
  }).catch(() => {});

  const answer = async (request: Request): Promise<Response> => {
    const claims = await authenticate(request);
    if (claims instanceof Response) return claims;
    let catalog: IntrospectResult;
    try {
      if (stale) await reload();
      catalog = await current.catalog();
    } catch {
      return unavailableResponse("PGRST002");
    }
    const generation = current;
    return refuseUnknownRelation(request, catalog) ??
      await generation.fetch(await encodeJsonStrings(request, catalog), claims);
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
      await Promise.all([changes.end({ timeout: 1 }), current.retire(), ...retired]);
    },
  };
}

/** One reading of the catalog with connections of its own, used until the schema changes. */
interface Generation {
  catalog(): Promise<IntrospectResult>;
  connect(): Promise<void>;
  fetch(request: Request, claims: RequestClaims): Promise<Response>;
  /** Closes its connections once no request uses them. */
  retire(): Promise<void>;
}

function createGeneration(options: ApiOptions): Generation {
  const reader = createPostgresConnection({
    url: options.introspection,
    postgresOptions: { max: 1, idle_timeout: 1, onnotice: () => {} },
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
          // With these set, lite looks at no header to find out who is asking.
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
    fetch: async (request, claims) => {
      running++;
      try {
        claimsOf.set(request, claims);
        return await app.fetch(request);
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
  // On an error lite prints it and returns an empty catalog without functions.
  if (catalog.functions === undefined) throw new Error("Cannot read the catalog");
  return catalog;
}

/** The connection that requests run on, with what lite 0.10 gets wrong put right. */
function createRequestConnection(url: string, reader: PostgresConnection): PostgresConnection {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      max: CONNECTIONS,
      connect_timeout: 5,
      onnotice: () => {},
      types: {
        // Strings arrive as JSON text already: lite writes objects so, we the strings.
        json: { to: 114, from: [114], serialize: toJsonText, parse: JSON.parse },
        jsonb: { to: 3802, from: [3802], serialize: toJsonText, parse: JSON.parse },
        timestamptz: { to: 1184, from: [1184], serialize: String, parse: toIsoTime },
        timestamp: { to: 1114, from: [1114], serialize: String, parse: toIsoTime },
      },
    },
  });

  // It would grant all rights on all tables to anon once a table has row-level security.
  Reflect.set(connection, "ensureRlsContext", () => Promise.resolve(true));

  // information_schema shows nothing to a role that owns nothing.
  connection.introspect = (options) => reader.introspect(options);
  connection.viewOptionsMetadata = (name, schema) => reader.viewOptionsMetadata(name, schema);

  // Errors of the database never reach lite, which would print them and lose SQLSTATEs.
  type WithContext = typeof connection.withContext;
  const withContext: WithContext = connection.withContext.bind(connection);
  connection.withContext = (async (
    context: Parameters<WithContext>[0],
    run: Parameters<WithContext>[1],
    settings?: Parameters<WithContext>[2],
  ) => {
    try {
      return await withContext(context, async (db) => {
        const response = await run(db);
        if (response instanceof Response && response.status >= 400) throw new Refused(response);
        return response;
      }, settings);
    } catch (error) {
      if (error instanceof Refused) return error.response;
      const response = toResponse(error, roleOf(context) === "anon");
      if (response === undefined) throw error;
      return response;
    }
  }) as WithContext;
  return connection;
}

/** A response that must undo the transaction it was made in. */
class Refused extends Error {
  constructor(readonly response: Response) {
    super("refused");
  }
}

function roleOf(context: Record<string, unknown> | undefined): unknown {
  const auth = context?.auth;
  return typeof auth === "object" && auth !== null && "role" in auth ? auth.role : undefined;
}

/** The response to an error of the database or of the way to it, else undefined. */
function toResponse(error: unknown, anonymous: boolean): Response | undefined {
  if (error instanceof postgres.PostgresError) {
    return databaseErrorResponse(error, anonymous);
  }
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  switch (error.code) {
    case "ECONNREFUSED":
    case "CONNECT_TIMEOUT":
      return unavailableResponse("PGRST000");
    case "ECONNRESET":
    case "EPIPE":
    case "CONNECTION_CLOSED":
    case "CONNECTION_ENDED":
    case "CONNECTION_DESTROYED":
      return unavailableResponse("PGRST001");
    default:
      return undefined;
  }
}

function toJsonText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `2026-11-23 08:29:03+00` → `2026-11-23T08:29:03+00:00`; `infinity` and years BC stay. */
function toIsoTime(text: string): string {
  return text.replace(
    /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?)?$/,
    (_, day, time, hours, minutes) =>
      `${day}T${time}${hours === undefined ? "" : hours + (minutes ?? ":00")}`,
  );
}

/** What is asked for, below `/rest/v1/`. */
function pathOf(request: Request): string {
  const path = new URL(request.url).pathname.slice(PREFIX.length + 1);
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function profileOf(request: Request): string {
  const header = ["GET", "HEAD"].includes(request.method) ? "accept-profile" : "content-profile";
  return request.headers.get(header) ?? "public";
}

/** lite prints a stack trace when a table or view is unknown, so it never gets to see it. */
function refuseUnknownRelation(request: Request, catalog: IntrospectResult): Response | undefined {
  const relation = pathOf(request);
  const schema = profileOf(request);
  if (relation === "" || relation.includes("/") || !SCHEMAS.includes(schema)) return undefined;
  const names = [...catalog.tables, ...catalog.views]
    .filter((each) => each.schema === schema).map((each) => each.name);
  if (names.includes(relation)) return undefined;
  const similar = fuzzyMatch(relation, names);
  return apiErrorResponse(404, {
    code: "PGRST205",
    message: `Could not find the table '${schema}.${relation}' in the schema cache`,
    hint: similar === null ? null : `Perhaps you meant the table '${schema}.${similar}'`,
  });
}

/**
 * lite takes a string for a json argument to be JSON text, so that `"5"` would become the
 * number 5, and for a json column it even parses it once itself. Here such strings are
 * written as JSON text as often as it takes.
 */
async function encodeJsonStrings(request: Request, catalog: IntrospectResult): Promise<Request> {
  const path = pathOf(request);
  const called = /^rpc\/([^/]+)$/.exec(path)?.[1];
  const schema = profileOf(request);
  const names = called === undefined
    ? jsonColumns(catalog, schema, path)
    : jsonArguments(catalog, schema, called);
  const isJson = /^application\/(vnd\.pgrst\.\w+\+)?json\b/i
    .test(request.headers.get("content-type") ?? "application/json");
  if (names.size === 0 || !isJson || request.body === null) return request;

  const text = await request.text();
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: encodeFields(text, names, called === undefined ? 2 : 1),
  });
}

function encodeFields(text: string, names: Set<string>, times: number): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return text;
  }
  let changed = false;
  for (const row of Array.isArray(body) ? body : [body]) {
    if (typeof row !== "object" || row === null) continue;
    for (const name of names) {
      if (typeof row[name] !== "string") continue;
      for (let time = 0; time < times; time++) row[name] = JSON.stringify(row[name]);
      changed = true;
    }
  }
  return changed ? JSON.stringify(body) : text;
}

function jsonColumns(catalog: IntrospectResult, schema: string, relation: string): Set<string> {
  const columns = catalog.columns.filter((column) =>
    column.schema === schema && column.table === relation && isJsonType(column.type)
  );
  return new Set(columns.map((column) => column.name));
}

function jsonArguments(catalog: IntrospectResult, schema: string, name: string): Set<string> {
  const functions = (catalog.functions ?? [])
    .filter((each) => each.schema === schema && each.name === name);
  return new Set(
    functions.flatMap((each) => each.arg_names.filter((_, at) => isJsonType(each.arg_types[at]))),
  );
}

function isJsonType(type: string | undefined): boolean {
  return type === "json" || type === "jsonb";
}
