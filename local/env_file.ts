import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { LOCAL, makeLocal } from "./project_folder.ts";
import { reasonOf, StartError } from "./start_error.ts";

/** Where `dev` writes the URLs and keys of the running stack by default. */
export const ENV_FILE = new URL("env", LOCAL);

const NAMES = [
  "SUPABASE_URL",
  "SUPABASE_PUBLISHABLE_KEY",
  "SUPABASE_SECRET_KEY",
  "CLERK_WEBHOOK_URL",
  "CLERK_WEBHOOK_SIGNING_SECRET",
  "DATABASE_URL",
] as const;

/** The URLs and keys of a stack, local or hosted. No command needs the console's URL. */
export type Environment = Record<Name, string> & { readonly CONSOLE_URL?: string };

type Name = typeof NAMES[number];

/**
 * Reserves a file for the stack of this process, until that is disposed of or the process ends.
 *
 * @returns undefined when the file belongs to another running stack.
 * @throws {StartError} when nothing can be written there.
 */
export async function reserveEnvFile(file: string | URL): Promise<AsyncDisposable | undefined> {
  const path = `${pathOf(file)}.lock`;
  let lock: Deno.FsFile;
  try {
    if (file === ENV_FILE) await makeLocal();
    await Deno.mkdir(dirname(path), { recursive: true });
    lock = await Deno.open(path, { create: true, write: true, mode: 0o600 });
  } catch (error) {
    throw cannotWrite(file, error);
  }
  if (!await lock.tryLock(true)) {
    lock.close();
    return undefined;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await Deno.remove(path).catch(() => {});
      lock.close();
    },
  };
}

/**
 * Writes the file and, beside it, the key that signs session tokens, both readable by their owner
 * only. Existing files are replaced.
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
    throw cannotWrite(file, error);
  }
}

function cannotWrite(file: string | URL, error: unknown): StartError {
  return new StartError(
    `Cannot write ${displayEnvFile(file)} as ${reasonOf(error)}: choose another file with --env`,
  );
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
        displayEnvFile(path)
      } does not exist: \`deno task dev\` writes it beside its env file, so name that file with --env`,
    );
  }
}

/**
 * Reads the URLs and keys of a stack. Each variable of the real environment wins over the file.
 *
 * @param options.names the variables that are needed; all by default
 * @throws {StartError} when a variable is in neither, or the file that was named cannot be read.
 */
export async function readEnvironment<Needed extends Name = Name>(
  options: { envFile?: string | URL | undefined; names?: readonly Needed[] } = {},
): Promise<Pick<Environment, Needed>> {
  const names: readonly Name[] = options.names ?? NAMES;
  const file = pathOf(options.envFile ?? ENV_FILE);
  const text = await textOf(options.envFile);
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
        displayEnvFile(file)
      } does not exist: start one with \`deno task dev\``
      : `Cannot use ${displayEnvFile(file)} as it lacks ${missing.join(", ")}: ` +
        (options.envFile === undefined
          ? "restart `deno task dev`, which writes it anew"
          : "add what is missing, or name the file that `deno task dev` wrote"),
  );
}

/**
 * Reads variables of any name. The real environment wins over the file. The default one need not exist.
 *
 * @throws {StartError} when the file cannot be read
 */
export async function readVariables(
  envFile?: string | URL,
): Promise<(name: string) => string | undefined> {
  const written = parseEnv(await textOf(envFile) ?? "");
  return (name) => Deno.env.get(name) ?? written[name];
}

function readIfThere(file: string): Promise<string | undefined> {
  return Deno.readTextFile(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new StartError(`Cannot read ${displayEnvFile(file)} as ${reasonOf(error)}`);
  });
}

function isComplete(found: Partial<Environment>, names: readonly Name[]): found is Environment {
  return names.every((name) => found[name] !== undefined);
}

/** The text of the file that was named, or of the default one; undefined if that does not exist. */
async function textOf(named: string | URL | undefined): Promise<string | undefined> {
  const text = await readIfThere(pathOf(named ?? ENV_FILE));
  if (text !== undefined || named === undefined) return text;
  throw new StartError(
    `Cannot read ${
      displayEnvFile(named)
    } as it does not exist: check --env; what \`deno task dev\` wrote is removed when that stops`,
  );
}

function formatEnvironment(environment: Environment): string {
  const { CONSOLE_URL } = environment;
  return NAMES.map((name) => `${name}=${environment[name]}\n`).join("") +
    // Quoted, because a fragment without quotes would be a comment.
    (CONSOLE_URL === undefined ? "" : `CONSOLE_URL="${CONSOLE_URL}"\n`);
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
export function displayEnvFile(file: string | URL): string {
  const path = pathOf(file);
  const here = `${Deno.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}
