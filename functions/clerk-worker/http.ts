import { createHash, timingSafeEqual } from "node:crypto";
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
    if (!isSame(bearerOf(request), deps.secret)) {
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

/** Compares digests: their lengths are equal, and the time says nothing about the texts. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
