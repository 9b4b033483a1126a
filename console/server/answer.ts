import { z } from "zod";

/** A request of the page that cannot be answered. The message is a sentence for the user. */
export class Refused extends Error {
  override name = "Refused";

  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** A request of the page. */
export interface Ask {
  /** What follows the route in the path: an id, a name; empty if nothing does. */
  readonly rest: string;
  readonly query: URLSearchParams;
  /** The JSON of a POST. */
  readonly body: unknown;
}

/** Answers a request: with what becomes JSON, or a Response. Throws Refused, or the error of an operation. */
export type Answer = (ask: Ask) => Promise<unknown>;

/** Answers by method and path. A path that ends in a slash takes whatever follows it. */
export type Routes = Readonly<Record<string, Answer>>;

/**
 * A value of the page's, checked.
 *
 * @throws {Refused} when it has another shape
 */
export function understood<Shape extends z.ZodType>(shape: Shape, value: unknown): z.infer<Shape> {
  const { success, data, error } = shape.safeParse(value);
  if (success) return data;
  const issues = error.issues.map(({ path, code }) => `${path.join(".") || "all of it"}: ${code}`);
  throw new Refused(400, `Cannot understand the request: ${issues.slice(0, 5).join(", ")}`);
}

/** A whole number within limits, from a text. */
export function whole(most: number): z.ZodType<number> {
  return z.coerce.number().int().min(1).max(most);
}

/** A time as ISO text. */
export const Time = z.iso.datetime({ offset: true });

/** The parameters of a query that are there and not empty. */
export function given(query: URLSearchParams): Record<string, string> {
  return Object.fromEntries([...query].filter(([, value]) => value !== ""));
}
