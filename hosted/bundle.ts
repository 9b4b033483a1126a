import { StartError } from "../local/start_error.ts";
import { sha256 } from "./sha256.ts";

/** A function in one JavaScript file. */
export interface Bundle {
  readonly text: string;
  /** The beginning of its SHA-256, in hexadecimal digits. */
  readonly digest: string;
}

/** Where a function begins, as config.toml says. Both paths are absolute, or relative to the current folder. */
export interface FunctionSource {
  readonly name: string;
  readonly entrypoint: string;
  readonly importMap: string | undefined;
}

/**
 * Checks the types of a function.
 *
 * @throws {StartError} with what Deno says when it is wrong
 */
export async function checkFunction(source: FunctionSource): Promise<undefined> {
  await deno(source, ["check"]);
}

/**
 * Checks the types of a function, and puts everything that it imports into one file, which starts
 * faster than the sources.
 *
 * @throws {StartError} with what Deno says when it is wrong
 */
export async function bundleFunction(source: FunctionSource): Promise<Bundle> {
  const text = await deno(source, ["bundle", "--minify", "--check", "--quiet"]);
  return { text, digest: (await sha256(text)).slice(0, 32) };
}

async function deno(
  { name, entrypoint, importMap }: FunctionSource,
  command: readonly string[],
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...command,
      "--no-config",
      "--no-lock",
      "--node-modules-dir=none",
      ...(importMap === undefined ? [] : [`--import-map=${importMap}`]),
      entrypoint,
    ],
    env: { NO_COLOR: "1", RUST_BACKTRACE: "0" },
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  // What follows a type error is a hint for those who call Deno themselves.
  const [reason] = text.decode(stderr).trim().split("\n\nerror: Type checking failed.");
  throw new StartError(`Cannot deploy ${name} as \`deno ${command[0]}\` fails:\n${reason}`);
}
