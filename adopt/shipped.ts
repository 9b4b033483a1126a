import { withoutPrefix, withPrefix } from "./prefix.ts";
import { sha256 } from "./record.ts";

/** Definitions, or digests of them, by the object's kind and name: `policy p on public.t`. */
export type Facts = Readonly<Record<string, string>>;

/** What is different about one object of ours. */
export interface Difference {
  /** The object as the database names it. */
  readonly object: string;
  /** Its definition as shipped, with the prefix, or a digest. */
  readonly shipped: string;
  /** Its definition in the database; undefined if it is missing. */
  readonly found: string | undefined;
}

/** Objects whose definitions are in the migrations as one statement each, so that a digest is enough. */
const DIGESTED = /^(?:function|policy|trigger|index) /;

/** What is to be kept of the facts of a new database: short definitions, and digests of the others. */
export async function shippedFacts(objects: Facts): Promise<Facts> {
  const entries = Object.entries(objects).sort(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(
    await Promise.all(
      entries.map(async ([object, text]) => [object, await shippedFact(object, text)]),
    ),
  );
}

async function shippedFact(object: string, text: string): Promise<string> {
  return DIGESTED.test(object) ? (await sha256(text)).slice(0, 16) : text;
}

/**
 * The objects of ours that are missing or different in a database. What the application added to our
 * tables is none of ours, but for rights on a column that we own.
 *
 * @param shipped as {@linkcode shippedFacts} returns them
 * @param objects as `inspect_clerk_sync` returns them
 * @param prefix of the names in that database
 */
export async function differencesFromShipped(
  shipped: Facts,
  objects: Facts,
  prefix: string,
): Promise<Difference[]> {
  const here = new Map(
    Object.keys(objects).map((object) => [withoutPrefix(object, prefix), object]),
  );
  const differences: Difference[] = [];
  for (const [plain, text] of Object.entries(shipped)) {
    const object = here.get(plain) ?? withPrefix(plain, prefix);
    const found = objects[object];
    if (
      found !== undefined && await shippedFact(plain, withoutPrefix(found, prefix)) === text
    ) continue;
    differences.push({ object, shipped: withPrefix(text, prefix), found });
  }
  for (const [plain, object] of here) {
    const [, column = ""] = /^grants on (column .*)$/.exec(plain) ?? [];
    const found = objects[object];
    if (column in shipped && !(plain in shipped) && found !== "") {
      differences.push({ object, shipped: "", found });
    }
  }
  return differences;
}

/** The objects of a kind that the application added to our tables. */
export function addedObjects(
  kind: string,
  shipped: Facts,
  objects: Facts,
  prefix: string,
): string[] {
  return Object.keys(objects).filter((object) =>
    object.startsWith(`${kind} `) && !(withoutPrefix(object, prefix) in shipped)
  );
}
