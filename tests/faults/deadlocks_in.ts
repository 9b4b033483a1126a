import { endConnections } from "../../bench/outage/end_connections.ts";
import type { TestDatabase } from "../test_database.ts";

/** How many deadlocks there were in a database. Ends the connections to it that count them. */
export async function deadlocksIn({ admin, name }: TestDatabase): Promise<number> {
  await endConnections(admin);
  const [row] = await admin<{ deadlocks: number }[]>`
    select deadlocks::int from pg_stat_database where datname = ${name}
  `;
  return row?.deadlocks ?? 0;
}
