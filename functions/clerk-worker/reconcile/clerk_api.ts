import { z } from "zod";
import { type Read, urlOf } from "../../_shared/clerk_sync/configuration.ts";

/**
 * Clerk's Backend API cannot be read: the key, the URL or the network, or no answer for too long. The
 * message is a sentence for an operator.
 */
export class ClerkApiError extends Error {
  override name = "ClerkApiError";
}

/** Reads Clerk's Backend API. */
export interface ClerkApi {
  /**
   * Asks until there is an answer of Clerk's own: 200 and a body that `read` understands, or one of its
   * errors, which have a code.
   *
   * @param path with the query: `/users?limit=500`
   * @param read throws when the body is not whole
   * @throws {ClerkApiError} when the key is refused or publishable, or no answer of Clerk's comes for too long
   */
  get<Body>(path: string, read: (body: string) => Body): Promise<Answer<Body>>;
}

export type Answer<Body> =
  | { readonly status: 200; readonly body: Body; readonly observedAt: number }
  | { readonly status: number; readonly code: string };

export interface ClerkApiOptions {
  readonly secretKey: string;
  /** `https://api.clerk.com` by default. */
  readonly apiUrl?: string | undefined;
  /** Ends all waiting. */
  readonly stop?: AbortSignal;
  /** Is told why nothing happens at the moment. */
  readonly onWait?: (why: string, milliseconds: number) => void;
  /** How long one answer may take in all, ms. */
  readonly patience?: number;
  /** How long to wait before the second try, ms; before each further one twice as long. */
  readonly pause?: number;
  /** How many requests may begin within a time; by default half of what Clerk allows. */
  readonly rate?: Rate;
}

interface Rate {
  readonly requests: number;
  readonly milliseconds: number;
}

const API_URL = "https://api.clerk.com";

/** The version of the API whose answers were tried; without it Clerk uses the one of the instance. */
const API_VERSION = "2026-05-12";

/** Time limit of one try, its body included, ms. */
const LONGEST_TRY = 30_000;
const LONGEST_PAUSE = 20_000;
/** Before the first answer, a mistake in the settings is more likely than an outage. */
const FIRST_PATIENCE = 20_000;

/**
 * Clerk allows 1,000 requests in 10 s for a production instance and 100 for any other
 * (https://clerk.com/docs/guides/how-clerk-works/system-limits). The application's own requests count as
 * well, so half of it is left to them.
 */
function rateFor(secretKey: string): Rate {
  return { requests: secretKey.startsWith("sk_live_") ? 500 : 50, milliseconds: 10_000 };
}

const Errors = z.object({ errors: z.array(z.object({ code: z.string() })).min(1) });

/**
 * How Clerk's API is read; undefined without `CLERK_SECRET_KEY`.
 *
 * @throws {ConfigurationError} when `CLERK_API_URL` is malformed
 */
export function clerkFrom(read: Read): Pick<ClerkApiOptions, "secretKey" | "apiUrl"> | undefined {
  const secretKey = read("CLERK_SECRET_KEY")?.trim();
  if (!secretKey) return undefined;
  const apiUrl = read("CLERK_API_URL")?.trim() || undefined;
  if (apiUrl !== undefined) urlOf("CLERK_API_URL", apiUrl, "http:", "https:");
  return { secretKey, apiUrl };
}

export function createClerkApi(options: ClerkApiOptions): ClerkApi {
  const { secretKey, stop, onWait = () => {}, patience = 180_000, pause = 500 } = options;
  const apiUrl = (options.apiUrl ?? API_URL).replace(/\/+$/, "");
  const { rate = rateFor(secretKey) } = options;
  const starts: number[] = [];
  let hasAnswered = false;
  let blockedUntil = 0;

  /** Waits for the rate limit, Clerk's or our own. */
  const turn = async (): Promise<void> => {
    for (;;) {
      const now = Date.now();
      while (starts.length > 0 && (starts[0] ?? 0) <= now - rate.milliseconds) starts.shift();
      const free = starts.length < rate.requests ? 0 : (starts[0] ?? 0) + rate.milliseconds;
      const wait = Math.max(free, blockedUntil) - now;
      if (wait <= 0) break;
      await sleep(wait, stop);
    }
    starts.push(Date.now());
  };

  return {
    get: async <Body>(path: string, read: (body: string) => Body): Promise<Answer<Body>> => {
      if (secretKey.startsWith("pk_")) {
        throw new ClerkApiError(
          "Cannot read Clerk's API as CLERK_SECRET_KEY is a publishable key: copy the secret one (sk_live_… or sk_test_…) from API keys in the Clerk dashboard",
        );
      }
      const began = Date.now();
      for (let attempt = 0;; attempt++) {
        await turn();
        const result = await ask(`${apiUrl}/v1${path}`, secretKey, read, stop);
        if ("answer" in result) {
          hasAnswered = true;
          const { answer } = result;
          if (answer.status !== 401) return answer;
          throw new ClerkApiError(
            `Cannot read ${apiUrl} as it does not accept CLERK_SECRET_KEY: copy the key from API keys in the Clerk dashboard`,
          );
        }

        const { why, retryAfter } = result;
        const backoff = Math.min(LONGEST_PAUSE, pause * 2 ** attempt) * (0.5 + Math.random() / 2);
        const wait = retryAfter ?? backoff;
        const limit = hasAnswered ? patience : Math.min(patience, FIRST_PATIENCE);
        if (Date.now() + wait > began + limit) {
          const seconds = Math.round((Date.now() - began) / 1000);
          throw new ClerkApiError(
            `Cannot read ${apiUrl} as ${why}, for ${seconds} s: ` +
              (hasAnswered
                ? "try again later"
                : "check the network, and CLERK_API_URL if it is set"),
          );
        }
        if (retryAfter !== undefined) blockedUntil = Math.max(blockedUntil, Date.now() + wait);
        onWait(why, wait);
        await sleep(wait, stop);
      }
    },
  };
}

const Instance = z.object({ id: z.string() });

/**
 * The id of the Clerk instance that the key belongs to, `ins_…`.
 *
 * @throws {ClerkApiError}
 */
export async function readInstanceId(api: ClerkApi): Promise<string> {
  const answer = await api.get("/instance", (body) => Instance.parse(JSON.parse(body)));
  if ("body" in answer) return answer.body.id;
  throw new ClerkApiError(
    `Cannot read the instance of the key as Clerk answers ${answer.status} ${answer.code}`,
  );
}

type Result<Body> =
  | { readonly answer: Answer<Body> }
  /** Worth another try. */
  | { readonly why: string; readonly retryAfter?: number };

async function ask<Body>(
  url: string,
  secretKey: string,
  read: (body: string) => Body,
  stop: AbortSignal | undefined,
): Promise<Result<Body>> {
  stop?.throwIfAborted();
  // Not AbortSignal.timeout(): its timer cannot be cleared.
  const tooLong = new AbortController();
  const timer = setTimeout(() => tooLong.abort(), LONGEST_TRY);
  try {
    const began = Date.now();
    const response = await fetch(url, {
      headers: {
        authorization: `Bearer ${secretKey}`,
        accept: "application/json",
        "clerk-api-version": API_VERSION,
        "user-agent": "clerk-sync",
      },
      redirect: "manual",
      signal: stop === undefined ? tooLong.signal : AbortSignal.any([tooLong.signal, stop]),
    });
    const body = await response.text();
    const { status } = response;

    if (status === 200) {
      try {
        return { answer: { status, body: read(body), observedAt: dateOf(response) ?? began } };
      } catch {
        return { why: "its answer is not whole" };
      }
    }
    if (status === 429) {
      const seconds = Number(response.headers.get("retry-after") ?? NaN);
      return {
        why: "it limits the rate of requests",
        ...(seconds >= 0 ? { retryAfter: Math.max(1, seconds) * 1000 } : {}),
      };
    }
    if (status >= 500) return { why: `it answers ${status}` };
    const code = codeIn(body);
    return code === undefined
      ? { why: `it answers ${status}, and not as Clerk does` }
      : { answer: { status, code } };
  } catch {
    stop?.throwIfAborted();
    return { why: tooLong.signal.aborted ? "it is too slow" : "the connection fails" };
  } finally {
    clearTimeout(timer);
  }
}

/** The time of a response by Clerk's clock, ms since the epoch. */
function dateOf(response: Response): number | undefined {
  const at = Date.parse(response.headers.get("date") ?? "");
  return Number.isNaN(at) ? undefined : at;
}

function codeIn(body: string): string | undefined {
  try {
    return Errors.safeParse(JSON.parse(body)).data?.errors[0]?.code;
  } catch {
    return undefined;
  }
}

/** Rejects at once when the signal is aborted. */
export async function sleep(milliseconds: number, stop?: AbortSignal): Promise<void> {
  stop?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onStop = (): void => {
      clearTimeout(timer);
      reject(stop?.reason);
    };
    const timer = setTimeout(() => {
      stop?.removeEventListener("abort", onStop);
      resolve();
    }, milliseconds);
    stop?.addEventListener("abort", onStop, { once: true });
  });
}
