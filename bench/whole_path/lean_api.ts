import postgres from "postgres";
import { databaseErrorResponse } from "../../local/api/errors.ts";
import { createGatewayAuth, type TokenTrust } from "../../local/api/gateway_auth.ts";
import { readRoleSettings, type RoleSetting } from "../../local/api/role_settings.ts";
import type { ApiKeys } from "../../local/keys.ts";

/** PostgREST's default for `db-pool`. */
const CONNECTIONS = 10;
/** Supabase's value for `db-max-rows`. */
const MAX_ROWS = "1000";

/** Serves `/rest/v1` for the requests that the four functions send, and for nothing else. */
export interface LeanApi {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

/**
 * Gives Postgres the work that PostgREST gives it, and does little else: for each request it makes one
 * transaction of four statements, which are begin, settings, the request and commit. Each waits for the
 * one before it, because PostgREST does not pipeline them either. The two in the middle are prepared
 * once per connection. Their text is PostgREST's (its module `PostgREST.Query`).
 *
 * @param database as `authenticator`, which switches to the role of the request
 */
export async function createLeanApi(
  { database, keys, trust }: { database: string; keys: ApiKeys; trust: TokenTrust },
): Promise<LeanApi> {
  const authenticate = createGatewayAuth(keys, trust);
  const sql = postgres(database, {
    max: CONNECTIONS,
    onnotice: () => {},
    // JSON passes through as text, in both directions.
    types: { json: { to: 114, from: [114], serialize: String, parse: (text: string) => text } },
  });
  const catalog = await readCatalog(sql);
  const roleSettings = await readRoleSettings({ driver: sql });

  return {
    fetch: async (request) => {
      const claims = await authenticate(request);
      if (claims instanceof Response) return claims;
      const url = new URL(request.url);
      const path = url.pathname.replace(/^\/rest\/v1/, "");
      const body = await request.text();

      const settings = settingsFor(request, path, claims, roleSettings.get(claims.role) ?? []);
      const main = statementFor(request, path, url.searchParams, body, catalog);
      try {
        const rows = await sql.begin(
          `isolation level read committed read ${request.method === "GET" ? "only" : "write"}`,
          async (transaction) => {
            await transaction.unsafe(settings.text, settings.parameters, { prepare: true });
            return await transaction.unsafe<{ body: string }[]>(main.text, main.parameters, {
              prepare: true,
            });
          },
        );
        return new Response(main.status === 200 ? rows[0]?.body ?? null : null, {
          status: main.status,
          headers: { "content-type": "application/json; charset=utf-8" },
        });
      } catch (error) {
        if (!(error instanceof postgres.PostgresError)) throw error;
        return databaseErrorResponse(error, claims.role === "anon");
      }
    },
    close: () => sql.end({ timeout: 1 }),
  };
}

/** The columns of each table and the parameters of each function in `public`, with their types. */
type Catalog = ReadonlyMap<string, readonly Field[]>;
interface Field {
  readonly field: string;
  readonly type: string;
  readonly isKey: boolean;
}

async function readCatalog(sql: postgres.Sql<{ json: string }>): Promise<Catalog> {
  const rows = await sql<(Field & { readonly name: string })[]>`
    select
      relname as name,
      attname as field,
      format_type(atttypid, atttypmod) as type,
      coalesce(attnum = any (indkey), false) as "isKey"
    from pg_class
    join pg_attribute on attrelid = pg_class.oid
    left join pg_index on indrelid = pg_class.oid and indisprimary
    where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
    union all
    select proname, argument.name, format_type(argument.type, null), false
    from pg_proc
    cross join unnest(proargnames, proargtypes::oid[]) as argument (name, type)
    where pronamespace = 'public'::regnamespace and argument.type is not null
  `;
  return Map.groupBy(rows, ({ name }) => name);
}

interface Statement {
  readonly text: string;
  readonly parameters: string[];
}

/** PostgREST's `txVarQuery`. */
function settingsFor(
  request: Request,
  path: string,
  claims: { readonly role: string },
  roleSettings: readonly RoleSetting[],
): Statement {
  const parameters: string[] = [];
  const set = (name: string, value: string): string => {
    parameters.push(value);
    return `set_config(${name}, $${parameters.length}, true)`;
  };
  const named = ({ name, value }: RoleSetting): string => {
    parameters.push(name);
    return set(`$${parameters.length}`, value);
  };
  const settings = [
    set("'search_path'", '"public", "public", "extensions"'),
    ...roleSettings.map(named),
    set("'role'", claims.role),
    set("'request.jwt.claims'", JSON.stringify(claims)),
    set("'request.method'", request.method),
    set("'request.path'", path),
    set("'request.headers'", JSON.stringify(Object.fromEntries(request.headers))),
    set("'request.cookies'", "{}"),
  ];
  return { text: `select ${settings.join(", ")}`, parameters };
}

const RESPONSE = `nullif(current_setting('response.headers', true), '') AS response_headers, \
nullif(current_setting('response.status', true), '') AS response_status`;

/** PostgREST's `mainCall`, `mainRead` and `mainWrite`, for a body that is one object. */
function statementFor(
  request: Request,
  path: string,
  search: URLSearchParams,
  body: string,
  catalog: Catalog,
): Statement & { readonly status: number } {
  const name = path.split("/").at(-1) ?? "";
  const known = catalog.get(name) ?? [];
  const target = `"public"."${name}"`;
  const given = body === "" ? [] : Object.keys(JSON.parse(body));
  const columns = given.map((field) => `"${field}"`).join(", ");
  const typed = given.map((field) =>
    `"${field}" ${known.find((each) => each.field === field)?.type}`
  );
  const fromBody = (limit: string): string =>
    `FROM (SELECT $1::json AS json_data) pgrst_payload, LATERAL (SELECT ${columns} ` +
    `FROM json_to_record(pgrst_payload.json_data) AS _(${typed.join(", ")}) ${limit}) pgrst_body `;
  const parameters = body === "" ? [] : [body];

  if (path.startsWith("/rpc/")) {
    const args = given.map((field) => `"${field}" := pgrst_body."${field}"`).join(", ");
    return {
      status: 200,
      parameters,
      text: `WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar ${fromBody("LIMIT 1")}, ` +
        `LATERAL (SELECT ${target}(${args}) pgrst_scalar) pgrst_call) ` +
        "SELECT null::bigint AS total_result_set, 1 AS page_total, " +
        `coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null') AS body, ${RESPONSE}, ` +
        `'' AS response_inserted FROM (SELECT "${name}".* FROM "pgrst_source" AS "${name}") _postgrest_t`,
    };
  }

  const filters = [...search].filter(([, value]) => value.startsWith("eq."))
    .map(([column, value]) => {
      parameters.push(value.slice("eq.".length));
      return `${target}."${column}" = $${parameters.length}`;
    });
  const where = filters.length === 0 ? "" : `WHERE ${filters.join(" AND ")}`;

  if (request.method === "GET") {
    const wanted = search.get("select")?.split(",").map((column) => `${target}."${column}"`);
    const limit = parameters.push(MAX_ROWS, "0");
    return {
      status: 200,
      parameters,
      text: `WITH pgrst_source AS ( SELECT ${wanted?.join(", ")} FROM ${target} ${where} ` +
        `LIMIT $${limit - 1} OFFSET $${limit} ) ` +
        "SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, " +
        `coalesce(json_agg(_postgrest_t), '[]') AS body, ${RESPONSE}, '' AS response_inserted ` +
        "FROM ( SELECT * FROM pgrst_source ) _postgrest_t",
    };
  }

  const merges = request.headers.get("prefer")?.includes("resolution=merge-duplicates") ?? false;
  const writes: Record<string, { readonly status: number; readonly text: string }> = {
    POST: {
      status: 201,
      text: `INSERT INTO ${target}(${columns}) ` +
        `SELECT ${given.map((field) => `"pgrst_body"."${field}"`).join(", ")} ${fromBody("")}` +
        (merges ? merging(known, given) : ""),
    },
    PATCH: {
      status: 204,
      text: `UPDATE ${target} SET ${
        given.map((field) => `"${field}" = "pgrst_body"."${field}"`).join(", ")
      } ${fromBody("")} ${where}`,
    },
    DELETE: { status: 204, text: `DELETE FROM ${target} ${where}` },
  };
  const write = writes[request.method];
  if (write === undefined) throw new Error(`Cannot serve ${request.method} ${path}`);
  return {
    status: write.status,
    parameters,
    text: `WITH pgrst_source AS (${write.text} RETURNING 1) ` +
      "SELECT '' AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, " +
      `array[]::text[] AS header, ''::text AS body, ${RESPONSE}, ` +
      `${merges ? "nullif(current_setting('pgrst.inserted', true),'')::int" : "''"} ` +
      "AS response_inserted FROM (SELECT * FROM pgrst_source) _postgrest_t",
  };
}

/** The end of an upsert, which counts the rows that it inserts. */
function merging(known: readonly Field[], given: readonly string[]): string {
  const keys = known.filter(({ isKey }) => isKey).map(({ field }) => `"${field}"`);
  const counted = (by: string): string =>
    "set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')" +
    `::int, 0) ${by} 1)::text, true) <> '${by === "+" ? "0" : "-1"}'`;
  return `WHERE ${counted("+")} ON CONFLICT(${keys.join(", ")}) DO UPDATE SET ${
    given.map((field) => `"${field}" = EXCLUDED."${field}"`).join(", ")
  } WHERE ${counted("-")}`;
}
