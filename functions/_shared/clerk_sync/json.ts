/** A value as `JSON.parse` returns it. */
export type Json = string | number | boolean | null | JsonObject | Json[];
export type JsonObject = { [key: string]: Json | undefined };

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How deep objects and arrays may nest. The 8 kB of metadata that a browser may write hold 4,096 levels. */
export const DEEPEST = 5_000;

/** True when the JSON text nests deeper than {@link DEEPEST}; needs no parser and no stack. */
export function isTooDeep(text: string): boolean {
  if (text.length <= DEEPEST) return false;

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

/** What {@link storable} looks for. Also in whole pairs of surrogates, and in numbers within texts. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])|\de[+-]?\d{4}/i;

/**
 * Quotes, and what may stand between them: whole pairs of surrogates; NULs and lone surrogates (the first
 * group); any other escape. Then numbers with a long exponent (the second group). None of it is read twice.
 */
const TOKENS =
  /"|\\ud[89ab]..\\ud[c-f]..|(\\u0000|\\ud[89a-f]..)|\\.|(?<!\d)(-?\d+(?:\.\d+)?e[+-]?\d{4,})/gi;

/**
 * The JSON text with what Postgres cannot store replaced: a NUL or a lone surrogate by U+FFFD (`jsonb`
 * refuses them, 22P05), and a number whose exponent has four or more digits by its text (`jsonb` writes
 * out all its zeros, or refuses it, 22003). Every other number keeps its digits.
 *
 * @param json valid JSON
 */
export function storable(json: string): string {
  if (!SUSPICIOUS.test(json)) return json;

  let quoted = false;
  return json.replace(TOKENS, (token, escape?: string, number?: string) => {
    if (token === '"') quoted = !quoted;
    if (escape !== undefined) return "\\ufffd";
    return number !== undefined && !quoted ? `"${number}"` : token;
  });
}

/** A text in which every NUL and every lone surrogate is U+FFFD. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u{FFFD}");
}
