import type { Log } from "../_shared/clerk_sync/log.ts";
import { QueueError } from "./drain/queue.ts";
import type { Summary } from "./drain/worker.ts";

export interface Deps {
  /** The one secret that callers must present. */
  readonly secret: string;
  readonly drain: () => Promise<Summary>;
  readonly log: Log;
}

/** The worker over HTTP: `POST` with `authorization: Bearer <secret>` drains the queue. */
export function createHandler(deps: Deps): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== "POST") {
      return Response.json({ outcome: "method_not_allowed" }, {
        status: 405,
        headers: { Allow: "POST" },
      });
    }
    if (!await isSame(bearerOf(request), deps.secret)) {
      return Response.json({ outcome: "unauthorized" }, { status: 401 });
    }

    try {
      const summary = await deps.drain();
      deps.log({ outcome: "drained", ...summary });
      return Response.json({ outcome: "drained", ...summary });
    } catch (error) {
      const code = error instanceof QueueError ? error.message : "crashed";
      deps.log({ outcome: "unavailable", code });
      return Response.json({ outcome: "unavailable" }, { status: 503 });
    }
  };
}

function bearerOf(request: Request): string {
  return /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

/** Compares digests, so that the time tells nothing about where two texts differ, or their lengths. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [left, right] = await Promise.all([one, other].map(async (text) => {
    const bytes = new TextEncoder().encode(text);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  }));
  if (left === undefined || right === undefined) return false;

  let difference = 0;
  for (let at = 0; at < left.length; at++) difference |= (left[at] ?? 0) ^ (right[at] ?? 0);
  return difference === 0;
}
