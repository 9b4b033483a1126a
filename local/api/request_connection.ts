import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { databaseErrorResponse, unavailableResponse } from "./errors.ts";
import { markJson } from "./json_text.ts";
import { readRoleSettings, type RoleSetting, type RoleSettings } from "./role_settings.ts";

const CONNECTIONS = 12;

/** PostgREST reconnects with every request. By default, postgres.js makes them wait up to 20 s. */
export const RECONNECTING = { connect_timeout: 5, backoff: (): number => 0.05 };

/**
 * The connection for requests, which corrects what lite 0.10 does wrong.
 *
 * @param url the database as `authenticator`.
 * @param reader the same database as a role that can read the whole catalog.
 */
export function createRequestConnection(
  url: string,
  reader: PostgresConnection,
): PostgresConnection {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      max: CONNECTIONS,
      ...RECONNECTING,
      onnotice: () => {},
      types: {
        // Strings are JSON text already, by encodeJson().
        json: { to: 114, from: [114], serialize: toJsonText, parse: markJson },
        jsonb: { to: 3802, from: [3802], serialize: toJsonText, parse: markJson },
        timestamptz: { to: 1184, from: [1184], serialize: String, parse: toIsoTime },
        timestamp: { to: 1114, from: [1114], serialize: String, parse: toIsoTime },
      },
    },
  });

  // Otherwise lite grants anon all rights on all tables once a table has row-level security.
  Reflect.set(connection, "ensureRlsContext", () => Promise.resolve(true));

  // information_schema is empty for a role that owns nothing.
  connection.introspect = (options) => reader.introspect(options);
  connection.viewOptionsMetadata = (name, schema) => reader.viewOptionsMetadata(name, schema);

  // lite sets the role, but not the role's own settings, such as its statement_timeout.
  let byRole: Promise<RoleSettings> | undefined;
  const settingsOf = async (role: unknown): Promise<readonly RoleSetting[]> => {
    byRole ??= readRoleSettings(reader).catch((error) => {
      byRole = undefined;
      throw error;
    });
    return (await byRole).get(String(role)) ?? [];
  };

  // Errors of the database do not reach lite, which would print them and lose their SQLSTATE.
  type WithContext = typeof connection.withContext;
  const withContext: WithContext = connection.withContext.bind(connection);
  connection.withContext = (async (
    context: Parameters<WithContext>[0],
    run: Parameters<WithContext>[1],
    settings?: Parameters<WithContext>[2],
  ) => {
    try {
      const own = await settingsOf(roleOf(context));
      return await withContext(context, async (db) => {
        if (own.length > 0) {
          await db.selectNoFrom(({ fn, val }) =>
            own.map(({ name, value }) =>
              fn("set_config", [val(name), val(value), val(true)]).as(name)
            )
          ).execute();
        }
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

/** Rolls the transaction back and carries the response. */
class Refused extends Error {
  constructor(readonly response: Response) {
    super("refused");
  }
}

function roleOf(context: Record<string, unknown> | undefined): unknown {
  const auth = context?.auth;
  return typeof auth === "object" && auth !== null && "role" in auth ? auth.role : undefined;
}

/** The response to an error of the database or of the connection to it, else undefined. */
function toResponse(error: unknown, anonymous: boolean): Response | undefined {
  if (error instanceof postgres.PostgresError) {
    // cannot_connect_now: Postgres is starting or stopping. PostgREST reports it as a lost connection.
    if (error.code === "57P03") return unavailableResponse("PGRST000");
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

/** `2026-11-23 08:29:03+00` → `2026-11-23T08:29:03+00:00`; `infinity` and years BC are unchanged. */
function toIsoTime(text: string): string {
  return text.replace(
    /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?)?$/,
    (_, day, time, hours, minutes) =>
      `${day}T${time}${hours === undefined ? "" : hours + (minutes ?? ":00")}`,
  );
}
