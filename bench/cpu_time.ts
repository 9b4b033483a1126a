import type postgres from "postgres";

/** The processes that serve clients of this database, other than the one asked. */
export async function backendsOf(sql: postgres.Sql): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid
    from pg_stat_activity
    where datname = current_database() and usename is not null and pid <> pg_backend_pid()
  `;
  return rows.map(({ pid }) => pid);
}

/**
 * The CPU time of processes since they began, in seconds; NaN if the system has no `/proc`. A process that
 * has ended counts as zero.
 */
export function cpuOf(pids: readonly number[]): number {
  if (Deno.build.os !== "linux") return NaN;
  return pids.reduce((sum, pid) => sum + nanosecondsOf(pid), 0) / 1e9;
}

/** Of all its threads, as the kernel counts them. */
function nanosecondsOf(pid: number): number {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)]
      .map(({ name }) => Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`))
      .reduce((sum, text) => sum + Number.parseInt(text), 0);
  } catch {
    return 0;
  }
}
