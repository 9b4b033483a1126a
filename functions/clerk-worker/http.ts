import { createHash, timingSafeEqual } from "node:crypto";
import type { Log } from "../_shared/clerk_sync/log.ts";
import { QueueError } from "./drain/queue.ts";
import type { Summary } from "./drain/worker.ts";
import { ClerkApiError } from "./reconcile/clerk_api.ts";
import { RunError } from "./reconcile/engine.ts";
import type { Carried } from "./reconcile/slice.ts";
import { openMetrics, type Status } from "./status.ts";

export interface Deps {
  /** The one secret that callers must present. */
  readonly secret: string;
  readonly drain: () => Promise<Summary>;
  /** Undefined without a key of Clerk's. */
  readonly reconcile: (() => Promise<readonly Carried[]>) | undefined;
  readonly status: () => Promise<Status>;
  readonly log: Log;
}

/**
 * The worker over HTTP, with `authorization: Bearer <secret>`: `POST /` drains the queue, `POST /reconcile`
 * carries on the runs that are due, `GET /status` tells how the sync is.
 */
export function createHandler(deps: Deps): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const isStatus = pathname.endsWith("/status");
    const method = isStatus ? "GET" : "POST";
    if (request.method !== method) {
      return Response.json({ outcome: "method_not_allowed" }, {
        status: 405,
        headers: { Allow: method },
      });
    }
    if (!isSame(bearerOf(request), deps.secret)) {
      return Response.json({ outcome: "unauthorized" }, { status: 401 });
    }

    try {
      if (isStatus) return answerWith(await deps.status(), searchParams.get("format"));
      if (pathname.endsWith("/reconcile")) return await reconcile(deps);
      const summary = await deps.drain();
      deps.log({ outcome: "drained", ...summary });
      return Response.json({ outcome: "drained", ...summary });
    } catch (error) {
      deps.log({ outcome: "unavailable", ...reasonOf(error) });
      return Response.json({ outcome: "unavailable" }, { status: 503 });
    }
  };
}

function answerWith(status: Status, format: string | null): Response {
  // Prometheus reads metrics from a 200 only.
  if (format === "openmetrics") {
    const type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    return new Response(openMetrics(status), { headers: { "content-type": type } });
  }
  return Response.json(status, { status: status.is_healthy ? 200 : 503 });
}

async function reconcile(deps: Deps): Promise<Response> {
  if (deps.reconcile === undefined) {
    deps.log({
      outcome: "not_configured",
      message: "Nothing reconciles: CLERK_SECRET_KEY is not set",
    });
    return Response.json({ outcome: "not_configured" }, { status: 501 });
  }
  return Response.json({ outcome: "reconciled", runs: await deps.reconcile() });
}

/** Never the text of an unknown error, which could quote data. */
function reasonOf(error: unknown): { code: string } | { message: string } {
  if (error instanceof ClerkApiError || error instanceof RunError) {
    return { message: error.message };
  }
  return { code: error instanceof QueueError ? error.message : "crashed" };
}

function bearerOf(request: Request): string {
  return /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

/** Compares digests: their lengths are equal, and the time says nothing about the texts. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
