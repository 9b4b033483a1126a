import { cpuUsage } from "node:process";

/** CPU time in ms, since each process began. */
export interface CpuTime {
  readonly postgres: number;
  readonly function: number;
  /** This process, which is the API and the senders. */
  readonly rest: number;
}

/** Clock ticks of the kernel, which Linux counts in hundredths of a second. */
const MS_A_TICK = 10;

/**
 * The CPU time used so far by all processes of Postgres, by the function's process and by this one;
 * undefined if the system has no `/proc`.
 */
export async function cpuTime(
  pids: { readonly postgres: number; readonly function: number },
): Promise<CpuTime | undefined> {
  if (Deno.build.os !== "linux") return undefined;

  const { user, system } = cpuUsage();
  const rest = (user + system) / 1000;
  const processes = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name))
    .filter(Number.isInteger);
  const used = { postgres: 0, function: 0 };
  for (const pid of processes) {
    const { parent, milliseconds } = await statOf(pid);
    if (pid === pids.postgres || parent === pids.postgres) used.postgres += milliseconds;
    if (pid === pids.function) used.function += milliseconds;
  }
  return { ...used, rest };
}

async function statOf(pid: number): Promise<{ parent: number; milliseconds: number }> {
  // A process that has ended in the meantime counts as zero.
  const text = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  // The program's name, which can hold anything, ends before ") ".
  const fields = text.slice(text.lastIndexOf(") ") + 2).split(" ").map(Number);
  const [, parent = 0] = fields;
  const ticks = (fields[11] ?? 0) + (fields[12] ?? 0);
  return { parent, milliseconds: ticks * MS_A_TICK };
}
