import { cpus, release, totalmem } from "node:os";
import { preparePostgresRuntime } from "../local/postgres/runtime.ts";
import { runtimeDirOf, stackHome } from "../local/postgres/home.ts";

/** The machine that figures come from. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly deno: string;
  readonly postgres: string;
}

export async function thisMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${Deno.build.os} ${release()}`,
    deno: Deno.version.deno,
    postgres: await postgresVersion(),
  };
}

/** The version of the embedded server that all benchmarks use. */
async function postgresVersion(): Promise<string> {
  const { postgres } = await preparePostgresRuntime(runtimeDirOf(await stackHome()));
  const { stdout } = await new Deno.Command(postgres, { args: ["--version"] }).output();
  return /\d[\d.]*/.exec(new TextDecoder().decode(stdout))?.[0] ?? "unknown";
}
