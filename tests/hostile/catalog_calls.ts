import type postgres from "postgres";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { oneOf, type Pick } from "../random.ts";

/** One request to the API, as a browser may make it. */
export interface Call {
  /** `verb schema.object`: the key of the list of what is allowed. */
  readonly what: string;
  readonly method: string;
  /** Below `/rest/v1/`. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: Json;
}

interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

interface Routine {
  readonly schema: string;
  readonly name: string;
  readonly parameters: readonly string[];
  readonly types: readonly string[];
}

/** Schemas of Postgres itself: never exposed and all alike, so only reading is tried. */
const BUILT_IN = ["pg_catalog", "information_schema"];

/**
 * Every way to use every table, view and function in the catalog, in every schema, with generated rows
 * and arguments. It includes whatever a migration adds.
 *
 * @param ids the rows that the calls try to reach
 */
export async function everyCall(
  admin: postgres.Sql,
  pick: Pick,
  ids: readonly [string, ...string[]],
): Promise<Call[]> {
  const relations = await admin<Relation[]>`
    select
      nspname as schema,
      relname as name,
      coalesce(
        jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid, null)) order by attnum)
          filter (where attname is not null),
        '[]') as columns
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    left join pg_catalog.pg_attribute
      on attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = ''
    where relkind in ('r', 'p', 'v', 'm', 'f')
      and nspname !~ '^pg_(toast|temp)'
    group by nspname, relname
    order by nspname, relname
  `;
  const routines = await admin<Routine[]>`
    select
      nspname as schema,
      proname as name,
      coalesce(proargnames[1:pronargs], '{}') as parameters,
      array(select format_type(type, null) from unnest(proargtypes) as type) as types
    from pg_catalog.pg_proc
    join pg_catalog.pg_namespace on pg_namespace.oid = pronamespace
    where nspname <> all (${BUILT_IN})
      and nspname !~ '^pg_(toast|temp)'
      and not (nspname = 'extensions' and proname ~ '^_')
    order by nspname, proname
  `;
  return [
    ...relations.flatMap((relation) => callsOn(relation, pick, ids)),
    ...routines.flatMap((routine) => callsOf(routine, pick, ids)),
  ];
}

function callsOn(
  { schema, name, columns }: Relation,
  pick: Pick,
  ids: readonly [string, ...string[]],
): Call[] {
  const reads = { "accept-profile": schema };
  const writes = { "content-profile": schema, "content-type": "application/json" };
  const object = `${schema}.${name}`;
  const [first] = columns;
  const path = encodeURIComponent(name);
  const row = Object.fromEntries(
    columns.map((column) => [column.name, valueOf(column.type, pick, ids)]),
  );
  const filter = `?${first?.name ?? "id"}=not.is.null`;
  const change = columns.find(({ type }) => type === "text") ?? first;

  const reading: Call[] = [
    { what: `select ${object}`, method: "GET", path, headers: reads },
    { what: `count ${object}`, method: "HEAD", path, headers: { ...reads, prefer: "count=exact" } },
    // Without the header, but with the schema's name in the path.
    { what: `unqualified ${object}`, method: "GET", path: `${schema}.${path}`, headers: {} },
  ];
  if (BUILT_IN.includes(schema)) return reading.slice(0, 1);
  return [
    ...reading,
    { what: `insert ${object}`, method: "POST", path, headers: writes, body: row },
    {
      what: `upsert ${object}`,
      method: "POST",
      path,
      headers: { ...writes, prefer: "resolution=merge-duplicates,return=representation" },
      body: [row],
    },
    {
      what: `update ${object}`,
      method: "PATCH",
      path: `${path}${filter}`,
      headers: { ...writes, prefer: "return=representation" },
      body: { [change?.name ?? "id"]: valueOf(change?.type ?? "text", pick, ids) },
    },
    { what: `delete ${object}`, method: "DELETE", path: `${path}${filter}`, headers: writes },
  ];
}

function callsOf(
  { schema, name, parameters, types }: Routine,
  pick: Pick,
  ids: readonly [string, ...string[]],
): Call[] {
  const body = Object.fromEntries(
    types.map((type, at) => [parameters[at] || `arg${at}`, valueOf(type, pick, ids)]),
  );
  const call: Call = {
    what: `call ${schema}.${name}`,
    method: "POST",
    path: `rpc/${encodeURIComponent(name)}`,
    headers: { "content-profile": schema, "content-type": "application/json" },
    body,
  };
  if (schema !== "public") return [call];
  const query = new URLSearchParams(
    Object.entries(body).map(([key, value], at) => [key, parameterOf(types[at] ?? "", value)]),
  );
  return [call, {
    what: call.what,
    method: "GET",
    path: `${call.path}?${query}`,
    headers: { "accept-profile": schema },
  }];
}

/** The value in a URL: arrays are written as Postgres writes them. */
function parameterOf(type: string, value: Json): string {
  if (type.endsWith("[]")) return `{${value}}`;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A value of a type; an interesting one where the type leaves a choice. */
function valueOf(type: string, pick: Pick, ids: readonly [string, ...string[]]): Json {
  switch (type) {
    case "text":
      return oneOf(pick, ids);
    case "boolean":
      return true;
    case "jsonb":
    case "json":
      return oneOf<Json>(pick, [{}, [], { id: oneOf(pick, ids) }]);
    case "text[]":
      return [oneOf(pick, ids)];
    case "timestamp with time zone":
      return "2026-01-01T00:00:00Z";
    case "uuid":
      return "00000000-0000-4000-8000-000000000000";
    default:
      return 1;
  }
}
