import type { IntrospectResult } from "@supabase/lite";
import { apiTargetOf } from "./target.ts";

/**
 * Encodes strings in JSON arguments and columns as JSON text. lite reads a string there as JSON text,
 * so that `"5"` would become the number 5, and for columns it parses twice.
 */
export async function encodeJsonStrings(
  request: Request,
  catalog: IntrospectResult,
): Promise<Request> {
  const { schema, name, isFunction } = apiTargetOf(request);
  const names = isFunction
    ? jsonArguments(catalog, schema, name)
    : jsonColumns(catalog, schema, name);
  const isJson = /^application\/(vnd\.pgrst\.\w+\+)?json\b/i
    .test(request.headers.get("content-type") ?? "application/json");
  if (names.size === 0 || !isJson || request.body === null) return request;

  const text = await request.text();
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: encodeFields(text, names, isFunction ? 1 : 2),
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
