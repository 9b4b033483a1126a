import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { reasonOf, StartError } from "./start_error.ts";

/** Where `dev` writes the URLs and keys of the running stack by default. */
export const ENV_FILE = new URL("../.local/env", import.meta.url);

const NAMES = [
  "SUPABASE_URL",
  "SUPABASE_PUBLISHABLE_KEY",
  "SUPABASE_SECRET_KEY",
  "CLERK_WEBHOOK_URL",
  "CLERK_WEBHOOK_SIGNING_SECRET",
  "DATABASE_URL",
] as const;

/** The URLs and keys of a stack, local or hosted. */
export type Environment = Record<Name, string>;

type Name = typeof NAMES[number];

/**
 * Writes the file and, beside it, the key that signs session tokens, both readable by their owner
 * only. Existing files, perhaps of another stack, are replaced.
 *
 * @throws {StartError} when they cannot be written.
 */
export async function writeEnvFile(
  file: string | URL,
  environment: Environment,
  tokenKey: string,
): Promise<void> {
  const path = pathOf(file);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await replaceFile(path, formatEnvironment(environment));
    await replaceFile(keyFileOf(path), tokenKey);
  } catch (error) {
    throw new StartError(
      `Cannot write ${display(path)} as ${reasonOf(error)}: choose another file with --env`,
    );
  }
}

/** Removes both files, unless another stack has replaced them meanwhile. */
export async function removeEnvFile(file: string | URL, environment: Environment): Promise<void> {
  const path = pathOf(file);
  const text = await Deno.readTextFile(path).catch(() => undefined);
  if (text !== formatEnvironment(environment)) return;
  await Deno.remove(path).catch(() => {});
  await Deno.remove(keyFileOf(path)).catch(() => {});
}

/**
 * Reads the key that signs session tokens, which a running stack keeps beside the env file.
 *
 * @throws {StartError} when there is no such file.
 */
export async function readTokenKey(file: string | URL = ENV_FILE): Promise<string> {
  const path = keyFileOf(pathOf(file));
  try {
    return await Deno.readTextFile(path);
  } catch {
    throw new StartError(
      `Cannot sign a token as ${
        display(path)
      } does not exist: start a stack with \`deno task dev\``,
    );
  }
}

/**
 * Reads the URLs and keys of a stack. Each variable of the real environment wins over the file.
 *
 * @param options.names the variables that are needed; all by default
 * @throws {StartError} when a variable is in neither, or there is no file.
 */
export async function readEnvironment<Needed extends Name = Name>(
  options: { envFile?: string | URL | undefined; names?: readonly Needed[] } = {},
): Promise<Pick<Environment, Needed>> {
  const names: readonly Name[] = options.names ?? NAMES;
  const file = pathOf(options.envFile ?? ENV_FILE);
  const text = await Deno.readTextFile(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new StartError(`Cannot read ${display(file)} as ${reasonOf(error)}`);
  });
  const written = parseEnv(text ?? "");
  const found: Partial<Environment> = {};
  const missing: string[] = [];
  for (const name of names) {
    const value = Deno.env.get(name) ?? written[name];
    if (value === undefined) missing.push(name);
    else found[name] = value;
  }
  if (isComplete(found, names)) return found;
  throw new StartError(
    text === undefined
      ? `Cannot find a running stack as ${
        display(file)
      } does not exist: start one with \`deno task dev\``
      : `Cannot use ${display(file)} as it lacks ${missing.join(", ")}: restart \`deno task dev\``,
  );
}

function isComplete(found: Partial<Environment>, names: readonly Name[]): found is Environment {
  return names.every((name) => found[name] !== undefined);
}

function formatEnvironment(environment: Environment): string {
  return NAMES.map((name) => `${name}=${environment[name]}\n`).join("");
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, text, { mode: 0o600, createNew: true });
  await Deno.rename(draft, path);
}

function keyFileOf(envFile: string): string {
  return `${envFile}.key`;
}

function pathOf(file: string | URL): string {
  return file instanceof URL ? fileURLToPath(file) : file;
}

/** The path relative to the current folder, if it lies below it. */
function display(path: string): string {
  const here = `${Deno.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}
