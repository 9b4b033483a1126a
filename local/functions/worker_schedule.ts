import connectTo from "postgres";
import { settlesWithin } from "../settles_within.ts";

/** How often to look into the queue, ms. */
const INTERVAL = 250;

/** Calls the worker whenever a change waits in the queue, in place of pg_cron and pg_net. */
export function startWorkerSchedule(given: {
  /** The database as a superuser. */
  database: string;
  url: string;
  secret: string;
  /** Nothing is called before this resolves. */
  after: Promise<unknown>;
}): { stop(): Promise<void> } {
  const sql = connectTo(given.database, { max: 1, onnotice: () => {} });
  let stopping = false;

  const watch = async (): Promise<void> => {
    await given.after;
    while (!stopping) {
      const isWaiting = await sql`select from pgmq.q_clerk_changes where vt <= now() limit 1`
        .then((rows) => rows.length > 0, () => false);
      if (isWaiting) {
        await fetch(given.url, {
          method: "POST",
          headers: { authorization: `Bearer ${given.secret}` },
        }).then((response) => response.body?.cancel(), () => {});
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  };

  const watching = watch().catch(() => {});
  return {
    stop: async () => {
      stopping = true;
      await settlesWithin(watching, 2_000);
      await sql.end({ timeout: 2 });
    },
  };
}
