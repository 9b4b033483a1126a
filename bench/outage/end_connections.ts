import type postgres from "postgres";

/** Ends the API's connections to a database. A connection adds to the statistics when it ends. */
export async function endConnections(sql: postgres.Sql): Promise<void> {
  await sql`
    select pg_terminate_backend(pid, 10000)
    from pg_stat_activity
    where datname = current_database() and usename = 'authenticator'
  `;
}
