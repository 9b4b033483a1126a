import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What a program wrote, without white space around it, and its exit code. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a program to its end. */
export async function run(
  [program = "", ...args]: readonly string[],
  options: Deno.CommandOptions,
): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(program, { ...options, args }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();
  return { code, out: text(stdout), error: text(stderr) };
}

/** Runs a command as people do, by its file: `cli/init.ts`. */
export async function runFile(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = ROOT,
): Promise<Run> {
  return await run([Deno.execPath(), "run", "-A", `${ROOT}${file}`, ...args], {
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  });
}
