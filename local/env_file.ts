import { fileURLToPath } from "node:url";
import { reasonOf, StartError } from "./start_error.ts";

/** Where `dev` writes how to reach the running stack, unless told otherwise. */
export const ENV_FILE = new URL("../.local/env", import.meta.url);

const NAMES = [
  "SUPABASE_URL",
  "SUPABASE_PUBLISHABLE_KEY",
  "SUPABASE_SECRET_KEY",
  "CLERK_WEBHOOK_URL",
  "CLERK_WEBHOOK_SIGNING_SECRET",
  "DATABASE_URL",
] as const;

/** How to reach a stack, local or hosted. */
export type Environment = Record<Name, string>;

type Name = typeof NAMES[number];

/**
 * Writes the file and, beside it, the key that signs session tokens; both readable by their
 * owner only. Files of another stack of these names are replaced.
 *
 * @throws {StartError} when it cannot be written there.
 */
export async function writeEnvFile(
  file: string | URL,
  environment: Environment,
  tokenKey: string,
): Promise<void> {
  const path = pathOf(file);
  try {
    await Deno.mkdir(path.replace(/[^/\\]*$/, "") || ".", { recursive: true });
    await replaceFile(path, formatEnvironment(environment));
    await replaceFile(keyFileOf(path), tokenKey);
  } catch (error) {
    throw new StartError(
      `Cannot write ${display(path)} as ${reasonOf(error)}: choose another file with --env-file`,
    );
  }
}

/** Removes what was written, unless another stack has replaced it meanwhile. */
export async function removeEnvFile(file: string | URL, environment: Environment): Promise<void> {
  const path = pathOf(file);
  const text = await Deno.readTextFile(path).catch(() => undefined);
  if (text !== formatEnvironment(environment)) return;
  await Deno.remove(path).catch(() => {});
  await Deno.remove(keyFileOf(path)).catch(() => {});
}

/**
 * Reads the key that signs session tokens, which a running stack keeps beside the file.
 *
 * @throws {StartError} when there is none.
 */
export async function readTokenKey(file: string | URL = ENV_FILE): Promise<string> {
  const path = keyFileOf(pathOf(file));
  try {
    return await Deno.readTextFile(path);
  } catch {
    throw new StartError(
      `Cannot sign a token as there is no ${
        display(path)
      } of a running stack: start one with \`deno task dev\``,
    );
  }
}

/**
 * Reads how to reach the stack. The real environment wins over the file, name by name.
 *
 * @param options.names what is needed; everything unless given
 * @throws {StartError} when a name is in neither, or there is no file.
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
  const written = parseEnvironment(text ?? "");
  const found: Partial<Environment> = {};
  const missing: string[] = [];
  for (const name of names) {
    const value = Deno.env.get(name) ?? written.get(name);
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

function parseEnvironment(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^(?:export )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim()) ?? [];
    if (name !== undefined && value !== undefined) {
      values.set(name, value.replace(/^(["'])(.*)\1$/, "$2"));
    }
  }
  return values;
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

/** Relative to the current folder where that is shorter to read. */
function display(path: string): string {
  const here = `${Deno.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}
