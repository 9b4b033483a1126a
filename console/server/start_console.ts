import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { connect } from "../../functions/_shared/clerk_sync/supabase.ts";
import { endServer } from "../../local/end_server.ts";
import { sentenceOf } from "../../operations/sentence.ts";
import { UsageError } from "../../operations/usage_error.ts";
import { type Answer, Refused, type Routes } from "./answer.ts";
import { commandLine, type ConsoleProject, type Deps } from "./deps.ts";
import { explainRoutes } from "./explain.ts";
import { viewAsRoutes } from "./local_stack.ts";
import { messageRoutes } from "./messages.ts";
import { operateRoutes } from "./operate.ts";
import { loadPage, type Page } from "./page.ts";
import { StatusReader } from "./status.ts";
import { streamRoutes } from "./stream.ts";
import { tryRoutes } from "./try.ts";

export interface ConsoleOptions extends ConsoleProject {
  /** On 127.0.0.1. The default one, or a free one if that is taken, unless given; 0 picks a free one. */
  readonly port?: number | undefined;
  /** A folder for what is made of the page's sources. */
  readonly cache: () => Promise<string>;
  /** Receives an error that is a defect. */
  readonly onError: (error: unknown) => void;
}

export interface Console extends AsyncDisposable {
  /** With the token of this run in its fragment, which a browser sends nowhere. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

export const DEFAULT_PORT = 54323;

/** Bytes of a request; Clerk's largest events have about 350 kB. */
const LARGEST_BODY = 4 * 1024 * 1024;
/** How long answers under way may take when the server stops, ms. */
const LAST_CHANCE = 1_000;

/**
 * Serves the console of one project on 127.0.0.1.
 *
 * @throws {Deno.errors.AddrInUse} when the port that was given is taken
 */
export function startConsole(options: ConsoleOptions): Console {
  const { port, cache, onError, ...project } = options;
  const stopping = new AbortController();
  const token = crypto.getRandomValues(new Uint8Array(32))
    .toBase64({ alphabet: "base64url", omitPadding: true });
  const supabase = connect(project.url, project.key);
  const deps: Deps = {
    project,
    supabase,
    status: new StatusReader(supabase, project.clerk),
    stop: stopping.signal,
    failure: (error) => ({ error: failureOf(error, onError).message }),
  };
  const routes: Routes = {
    ...operateRoutes(deps),
    ...messageRoutes(deps),
    ...explainRoutes(deps),
    ...viewAsRoutes(deps),
    ...tryRoutes(deps),
    ...streamRoutes(deps),
  };
  let page: Promise<Page> | undefined;

  const server = listen(port, async (request) => {
    const response = await answer(request).catch((error) => {
      const { status, message } = failureOf(error, onError);
      const headers = error instanceof MethodError ? { allow: error.allow } : {};
      return Response.json({ error: message }, { status, headers });
    });
    for (const [name, value] of headersFor(project)) response.headers.set(name, value);
    return response;
  });
  const hosts = [`127.0.0.1:${server.addr.port}`, `localhost:${server.addr.port}`];

  const answer = async (request: Request): Promise<Response> => {
    // First of all: of a malformed host, the request has no URL.
    refuseForeign(request, hosts);
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/api/")) {
      page ??= loadPage(cache, stopping.signal).then((page) => withCommand(page, project));
      return await pageAnswer(
        request,
        await page.catch((error) => {
          page = undefined;
          throw error;
        }),
      );
    }

    if (!isToken(request.headers.get("authorization"), token)) {
      throw new Refused(
        401,
        "This page's token is not the one of this run: open the URL that the command printed",
      );
    }
    if (request.url.includes("%00")) {
      throw new Refused(400, "Cannot look for a NUL character: no text in the database has one");
    }
    const found = routeFor(routes, request.method, pathname);
    const body = request.method === "POST" ? await bodyOf(request) : undefined;
    const result = await found.answer({ rest: found.rest, query: searchParams, body });
    return result instanceof Response ? result : Response.json(result);
  };

  const stop = async (): Promise<void> => {
    stopping.abort();
    await endServer(server, LAST_CHANCE);
  };
  return {
    url: `http://${hosts[0]}/#token=${token}`,
    port: server.addr.port,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

type Listener = (request: Request) => Promise<Response>;

function listen(
  port: number | undefined,
  listener: Listener,
): Deno.HttpServer<Deno.NetAddr> {
  const options = { hostname: "127.0.0.1", onListen: () => {} };
  try {
    return Deno.serve({ ...options, port: port ?? DEFAULT_PORT }, listener);
  } catch (error) {
    if (port !== undefined || !(error instanceof Deno.errors.AddrInUse)) throw error;
    return Deno.serve({ ...options, port: 0 }, listener);
  }
}

/** The headers of every answer. On the local stack, the page also asks the API, as somebody else. */
function headersFor({ url, local }: ConsoleProject): [string, string][] {
  const api = local === undefined ? "" : ` ${new URL(url).origin}`;
  return [
    [
      "content-security-policy",
      [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        `connect-src 'self'${api}`,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    ],
    ["referrer-policy", "no-referrer"],
    ["x-content-type-options", "nosniff"],
    ["cache-control", "no-store"],
    ["cross-origin-opener-policy", "same-origin"],
    ["cross-origin-resource-policy", "same-origin"],
  ];
}

/** Refuses other sites, also those whose name leads here. */
function refuseForeign({ headers }: Request, hosts: readonly string[]): void {
  const origin = headers.get("origin");
  const isForeign = !hosts.includes(headers.get("host") ?? "") ||
    (origin !== null && !hosts.some((host) => origin === `http://${host}`)) ||
    headers.get("sec-fetch-site") === "cross-site";
  if (isForeign) throw new Refused(403, "The console answers only its own page, on 127.0.0.1");
}

function isToken(header: string | null, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(header ?? ""), digest(`Bearer ${token}`));
}

function pageAnswer({ method, url }: Request, page: Page): Response {
  const file = page[new URL(url).pathname];
  if (file === undefined) throw new Refused(404, "There is no such page");
  if (method !== "GET" && method !== "HEAD") throw new MethodError("GET, HEAD");
  return new Response(method === "HEAD" ? null : file.text, {
    headers: { "content-type": file.type },
  });
}

/** The page that says how it was started, to whoever opens it without its token. */
function withCommand(page: Page, project: ConsoleProject): Page {
  const { "/": start } = page;
  if (start === undefined) return page;
  const command = project.refusals === undefined
    ? commandLine(project, "console")
    : `${project.command} dev`;
  const quoted = command.replace(/[&"<]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  return {
    ...page,
    // A function, because a replacement text would have patterns.
    "/": { ...start, text: start.text.replace("the command", () => quoted) },
  };
}

class MethodError extends Refused {
  constructor(readonly allow: string) {
    super(405, `This takes only ${allow}`);
  }
}

function routeFor(
  routes: Routes,
  method: string,
  pathname: string,
): { readonly answer: Answer; readonly rest: string } {
  const [, path = "", rest = ""] = /^(\/api\/[^/]+\/?)(.*)$/.exec(pathname) ?? [];
  const allowed = ["GET", "POST"].filter((each) => Object.hasOwn(routes, `${each} ${path}`));
  const answer = allowed.includes(method) ? routes[`${method} ${path}`] : undefined;
  if (answer !== undefined) return { answer, rest: decoded(rest) };
  if (allowed.length === 0) throw new Refused(404, "There is no such answer");
  throw new MethodError(allowed.join(", "));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refused(400, "Cannot read this path as it is not percent-encoded UTF-8");
  }
}

async function bodyOf(request: Request): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Refused(413, "Cannot take more than 4 MB");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(await new Blob(chunks as BlobPart[]).text());
  } catch {
    throw new Refused(400, "Cannot understand the request: it is not JSON");
  }
}

/** The status and the sentence for an error: never a text of the database, which could quote data. */
function failureOf(
  error: unknown,
  onError: (error: unknown) => void,
): { readonly status: number; readonly message: string } {
  if (error instanceof Refused) return { status: error.status, message: error.message };
  if (error instanceof UsageError) return { status: 400, message: error.message };
  try {
    return { status: 502, message: sentenceOf(error, false) };
  } catch {
    const { code } = error as { code?: unknown };
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) {
      return { status: 502, message: `The database refused it with SQLSTATE ${code}` };
    }
    onError(error);
    return { status: 500, message: "The console failed: its terminal says why" };
  }
}
