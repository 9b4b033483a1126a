import type { IntrospectResult } from "@supabase/lite";
import { apiTargetOf } from "./target.ts";

// lite parses JSON and makes text of it again, which rounds numbers above 2^53 and overflows the stack at
// some 3,000 levels. So JSON passes through it as strings that hold the text.

/**
 * Encodes values of JSON columns, and of arguments, as strings that hold their text. lite hands strings to
 * Postgres as they are, but parses those of JSON columns.
 */
export async function encodeJson(request: Request, catalog: IntrospectResult): Promise<Request> {
  const { schema, name, isFunction } = apiTargetOf(request);
  const encoders = isFunction
    ? argumentEncoders(catalog, schema, name)
    : columnEncoders(catalog, schema, name);
  const isJson = /^application\/(vnd\.pgrst\.\w+\+)?json\b/i
    .test(request.headers.get("content-type") ?? "application/json");
  if (encoders.size === 0 || !isJson || request.body === null) return request;

  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: encodeFields(await request.text(), encoders),
  });
}

/** Makes the string that lite gets from the JSON text of a value. */
type Encoder = (text: string) => string;

function encodeFields(body: string, encoders: ReadonlyMap<string, Encoder>): string {
  try {
    JSON.parse(body);
  } catch {
    return body;
  }
  const encodeRow = (row: string): string => {
    if (!row.startsWith("{")) return row;
    const members = split(row).map((member) => {
      const [key = ""] = /^"(?:[^"\\]|\\.)*"/.exec(member) ?? [];
      const value = member.slice(key.length).replace(/^\s*:\s*/, "");
      const encode = value === "null" ? undefined : encoders.get(JSON.parse(key));
      return encode === undefined ? member : `${key}:${JSON.stringify(encode(value))}`;
    });
    return `{${members}}`;
  };
  const text = body.trim();
  return text.startsWith("[") ? `[${split(text).map(encodeRow)}]` : encodeRow(text);
}

/** The texts between the commas of a valid JSON object or array. */
function split(json: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 1;
  for (let at = 1; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      while (json[++at] !== '"') if (json[at] === "\\") at++;
    } else if (char === "[" || char === "{") {
      depth++;
    } else if (depth > 0 ? char === "]" || char === "}" : at === json.length - 1 || char === ",") {
      if (depth > 0) depth--;
      else {
        parts.push(json.slice(start, at).trim());
        start = at + 1;
      }
    }
  }
  return parts.filter((part) => part !== "");
}

function columnEncoders(
  catalog: IntrospectResult,
  schema: string,
  relation: string,
): Map<string, Encoder> {
  return new Map(
    catalog.columns
      .filter((each) => each.schema === schema && each.table === relation && isJsonType(each.type))
      .map((each) => [each.name, JSON.stringify]),
  );
}

/** Postgres reads every argument from its text, as PostgREST has it do; lite makes the arrays. */
function argumentEncoders(
  catalog: IntrospectResult,
  schema: string,
  name: string,
): Map<string, Encoder> {
  const types = (catalog.functions ?? [])
    .filter((each) => each.schema === schema && each.name === name)
    .flatMap(({ arg_names, arg_types }) =>
      arg_names.map((argument, at) => [argument, arg_types[at] ?? ""] as const)
    );
  return new Map(
    // The driver takes any text for false.
    types.filter(([_, type]) => !type.endsWith("[]") && type !== "boolean").map((
      [argument, type],
    ) => [
      argument,
      (text) => text.startsWith('"') && !isJsonType(type) ? JSON.parse(text) : text,
    ]),
  );
}

function isJsonType(type: string | undefined): boolean {
  return type === "json" || type === "jsonb";
}

/** Stands around JSON text in a response of lite's. Nobody else can write it. */
const MARK = crypto.randomUUID();

/** A string for lite in place of a JSON value. {@linkcode restoreJson} puts the value in its place. */
export function markJson(text: string): string {
  return MARK + text + MARK;
}

/** The response of lite with the text of every JSON value in its place. */
export async function restoreJson(response: Response): Promise<Response> {
  if (response.body === null) return response;
  const text = await response.text();
  const marked = new RegExp(`"${MARK}(.*?)${MARK}"`, "gs");
  const body = text.replace(marked, (_, quoted) => JSON.parse(`"${quoted}"`));
  return new Response(body, response);
}
