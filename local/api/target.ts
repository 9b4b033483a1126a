/** What a request to the API addresses. */
export interface ApiTarget {
  /** The schema that the profile header names. */
  schema: string;
  /** The table, view or, with `isFunction`, function; empty for the root. */
  name: string;
  isFunction: boolean;
}

const PREFIX = "/rest/v1/";

/** Reads the target from the URL and the headers, as PostgREST does. */
export function apiTargetOf(request: Request): ApiTarget {
  const header = ["GET", "HEAD"].includes(request.method) ? "accept-profile" : "content-profile";
  const schema = request.headers.get(header) ?? "public";
  const path = decode(new URL(request.url).pathname.slice(PREFIX.length));
  const called = /^rpc\/([^/]+)$/.exec(path)?.[1];
  return called === undefined
    ? { schema, name: path, isFunction: false }
    : { schema, name: called, isFunction: true };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
