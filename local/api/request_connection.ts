import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { databaseErrorResponse, unavailableResponse } from "./errors.ts";

const CONNECTIONS = 12;

/**
 * The connection that requests run on, with what lite 0.10 gets wrong put right.
 *
 * @param url the database as `authenticator`.
 * @param reader the same database as somebody who sees the whole catalog.
 */
export function createRequestConnection(
  url: string,
  reader: PostgresConnection,
): PostgresConnection {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      max: CONNECTIONS,
      connect_timeout: 5,
      // PostgREST tries again with every request; left alone, postgres.js makes them wait up to 20 s.
      backoff: () => 0.05,
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
