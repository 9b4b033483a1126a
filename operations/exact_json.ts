import type { Json } from "../functions/_shared/clerk_sync/json.ts";

/** What a reviver is told about a value that is not an object. */
interface Source {
  readonly source?: string;
}

/** `JSON` with what TypeScript does not know yet. */
interface ExactJson {
  parse(text: string, reviver: (key: string, value: Json, context: Source) => unknown): Json;
  rawJSON(text: string): unknown;
}

const JSON_TEXT = JSON as unknown as ExactJson;

/**
 * Parses JSON so that `JSON.stringify` writes every number as it was: ids of other systems are often
 * integers that JavaScript would round.
 *
 * @throws {SyntaxError}
 */
export function parseExactly(text: string): Json {
  return JSON_TEXT.parse(text, (_, value, { source }) => {
    const isRounded = typeof value === "number" && source !== undefined && String(value) !== source;
    return isRounded ? JSON_TEXT.rawJSON(source) : value;
  });
}
