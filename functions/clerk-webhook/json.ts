/** A value as `JSON.parse` returns it. */
export type Json = string | number | boolean | null | JsonObject | Json[];
export type JsonObject = { [key: string]: Json | undefined };

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How deep objects and arrays may nest. Clerk's events stay below 10. */
export const DEEPEST = 100;

/** True when the JSON text nests deeper than {@link DEEPEST}; needs no parser and no stack. */
export function isTooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;

  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);

    if (quoted) {
      if (char === 0x5c /* \ */) at++;
      else if (char === 0x22 /* " */) quoted = false;
    } else if (char === 0x22) {
      quoted = true;
    } else if (char === 0x7b /* { */ || char === 0x5b /* [ */) {
      if (++depth > DEEPEST) return true;
    } else if (char === 0x7d /* } */ || char === 0x5d /* ] */) {
      depth--;
    }
  }
  return false;
}

/**
 * Whether a JSON text may hold what Postgres's `jsonb` refuses (22P05): `\u0000`, or half of a
 * surrogate pair. Says yes for whole pairs too; {@link storable} leaves those as they are.
 */
export function mayBeUnstorable(text: string): boolean {
  return /\\u(?:0000|d[89a-f])/i.test(text);
}

/**
 * A copy in which every NUL and every lone surrogate, in texts and in keys, is U+FFFD.
 *
 * @param value nested at most {@link DEEPEST} deep
 */
export function storable(value: Json): Json {
  if (typeof value === "string") return storableText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(storable);

  // fromEntries defines properties, so that a key "__proto__" stays a key.
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storable(item ?? null)]),
  );
}

/** A text in which every NUL and every lone surrogate is U+FFFD. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u{FFFD}");
}
