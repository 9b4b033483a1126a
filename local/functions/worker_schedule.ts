import { setTimeout } from "node:timers/promises";
import connectTo from "postgres";
import { settlesWithin } from "../settles_within.ts";

/** How often to look for work, ms. */
const INTERVAL = { drain: 250, reconcile: 5_000 };

/** Calls the worker whenever a change waits in the queue or a run is due, in place of pg_cron and pg_net. */
export function startWorkerSchedule(given: {
  /** The database as a superuser. */
  database: string;
  url: string;
  secret: string;
  /** Whether the worker can read Clerk's API. */
  reconciles: boolean;
  /** Nothing is called before this resolves. */
  after: Promise<unknown>;
}): { stop(): Promise<void> } {
  const sql = connectTo(given.database, { max: 2, onnotice: () => {} });
  const stopping = new AbortController();

  const watch = async (
    path: string,
    interval: number,
    isDue: () => Promise<readonly unknown[]>,
  ): Promise<void> => {
    await given.after;
    while (!stopping.signal.aborted) {
      if (await isDue().then((rows) => rows.length > 0, () => false)) {
        await fetch(`${given.url}${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${given.secret}` },
        }).then((response) => response.body?.cancel(), () => {});
      }
      await setTimeout(interval, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };

  const watching = Promise.all([
    watch(
      "",
      INTERVAL.drain,
      () => sql`select from pgmq.q_clerk_changes where vt <= now() limit 1`,
    ),
    given.reconciles &&
    watch(
      "/reconcile",
      INTERVAL.reconcile,
      () => sql`select where public.due_clerk_run() is not null`,
    ),
  ]).catch(() => {});
  return {
    stop: async () => {
      stopping.abort();
      await settlesWithin(watching, 2_000);
      await sql.end({ timeout: 2 });
    },
  };
}
