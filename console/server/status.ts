import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { type ClerkApi, createClerkApi } from "../../functions/clerk-worker/reconcile/clerk_api.ts";
import { readStatus, type Status } from "../../functions/clerk-worker/status.ts";
import { depthOf } from "../../operations/queue.ts";
import type { ConsoleProject } from "./deps.ts";

/** How long Clerk's API may fail, ms. The status is of use without it. */
const PATIENCE = 5_000;
/** For how long Clerk's counts are taken as they are, ms. */
const COUNTS_LAST = 60_000;
/** Of the depths of the queue, ms. */
const INTERVAL = 5_000;
const MEMORY = 3_600_000;

const Newest = z.array(z.object({ updated_at: z.number() }));

/** Reads the status, and remembers how deep the queue was. */
export class StatusReader {
  readonly #supabase: SupabaseClient;
  readonly #clerk: ClerkApi | undefined;
  readonly #depths: [number, number][] = [];

  constructor(supabase: SupabaseClient, clerk: ConsoleProject["clerk"]) {
    this.#supabase = supabase;
    this.#clerk = clerk && remembering(createClerkApi({ ...clerk, patience: PATIENCE }));
  }

  /** @throws {QueueError} when the database cannot be reached */
  async read(): Promise<Status> {
    const status = await readStatus(this.#supabase, this.#clerk);
    this.#note(depthOf(status.queue));
    return status;
  }

  /**
   * When a user of Clerk's last changed; null without a key, or without users.
   *
   * @throws {ClerkApiError} when Clerk cannot be read
   */
  async newestAtClerk(): Promise<string | null> {
    const path = "/users?order_by=-updated_at&limit=1";
    const answer = await this.#clerk?.get(path, (body) => Newest.parse(JSON.parse(body)));
    const [user] = answer !== undefined && "body" in answer ? answer.body : [];
    return user === undefined ? null : new Date(user.updated_at).toISOString();
  }

  /** Seconds since the epoch, and changes that were not done. */
  get depths(): readonly (readonly [number, number])[] {
    return this.#depths;
  }

  #note(depth: number): void {
    const now = Date.now();
    const last = this.#depths.at(-1);
    if (last !== undefined && now - 1000 * last[0] < INTERVAL * 0.9) return;
    this.#depths.push([now / 1000, depth]);
    while (now - 1000 * (this.#depths[0]?.[0] ?? Infinity) > MEMORY) this.#depths.shift();
  }
}

/** The same API, asked once a minute at most for each path. */
function remembering(api: ClerkApi): ClerkApi {
  const answers = new Map<string, { readonly at: number; readonly answer: Promise<unknown> }>();
  return {
    get: <Body>(path: string, read: (body: string) => Body) => {
      const known = answers.get(path);
      if (known !== undefined && Date.now() - known.at < COUNTS_LAST) {
        return known.answer as ReturnType<typeof api.get<Body>>;
      }
      const answer = api.get(path, read);
      answers.set(path, { at: Date.now(), answer });
      return answer;
    },
  };
}
