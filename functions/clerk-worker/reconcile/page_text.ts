import { isJsonObject, isTooDeep, type Json, storable } from "../../_shared/clerk_sync/json.ts";

/** One object of a page. */
export interface PageObject {
  /** The text that Clerk sent, as the database gets it. */
  readonly text: string;
  /** The same, parsed; undefined when it nests too deep. */
  readonly value: Json | undefined;
}

/** One page of a list of Clerk's Backend API. */
export interface Page {
  readonly objects: readonly PageObject[];
  /** `total_count`; null when the list has none. */
  readonly total: number | null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Takes a page apart: a bare array, or `{data: […], total_count}`. Each object keeps the text that was
 * sent, because parsing it and making text of it again would round its numbers. Only {@link storable}
 * replaces what `jsonb` cannot hold.
 *
 * @throws {SyntaxError} when the body is no whole page
 */
export function readPage(body: string): Page {
  const objects: PageObject[] = [];
  /** The page with a 0 in place of each object. */
  let frame = "";
  let copied = 0;
  let from = 0;
  let key = "";
  let depth = 0;
  /** The depth of the list: 0 before it, -1 behind it. */
  let list = 0;

  for (let at = 0; at < body.length; at++) {
    const char = body.charCodeAt(at);

    if (char === QUOTE) {
      const end = endOfText(body, at);
      if (depth === 1) key = body.slice(at + 1, end);
      at = end;
    } else if (char === 0x7b /* { */ || char === 0x5b /* [ */) {
      depth++;
      if (list > 0 && depth === list + 1) from = at;
      const isList = depth === 1 || (depth === 2 && key === "data");
      if (list === 0 && char === 0x5b && isList) list = depth;
    } else if (char === 0x7d /* } */ || char === 0x5d /* ] */) {
      if (list > 0 && depth === list + 1) {
        frame += `${body.slice(copied, from)}0`;
        copied = at + 1;
        objects.push(readObject(body.slice(from, copied)));
      } else if (depth === list) list = -1;
      depth--;
    }
  }

  const page: Json = JSON.parse(frame + body.slice(copied));
  const data = isJsonObject(page) ? page.data : page;
  if (!Array.isArray(data) || data.length !== objects.length) throw new SyntaxError("Not a page");
  const total = isJsonObject(page) ? page.total_count : null;
  return { objects, total: typeof total === "number" ? total : null };
}

function readObject(sent: string): PageObject {
  const text = storable(sent);
  return { text, value: isTooDeep(text) ? undefined : JSON.parse(text) };
}

/** Where the quote is that ends the text which begins at a quote. */
function endOfText(body: string, start: number): number {
  for (let end = body.indexOf('"', start + 1);; end = body.indexOf('"', end + 1)) {
    if (end === -1) return body.length;
    let backslashes = 0;
    while (body.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}
