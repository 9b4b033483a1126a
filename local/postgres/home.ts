import { fileURLToPath } from "node:url";
import { makeFolder } from "../folder.ts";
import { LOCAL, makeLocal, PROJECT } from "../project_folder.ts";
import { serverUser } from "./server_user.ts";
import { reasonOf, StartError } from "../start_error.ts";

/** Folders of killed processes are deleted when they are older than this. */
const SWEEP_AFTER_MS = 60_000;

/**
 * The folder for the data of this project: `.local/`, which git ignores. For root it is below
 * `/var/tmp`, because Postgres then runs as another user, who may not be able to reach the project.
 *
 * @throws {StartError} when it cannot be made or used.
 */
export async function stackHome(): Promise<string> {
  const user = await serverUser();
  if (user === undefined) {
    await makeLocal();
    return fileURLToPath(LOCAL).slice(0, -1);
  }

  const path = await Deno.realPath(PROJECT);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path));
  const hash = new Uint8Array(digest).slice(0, 6).toHex();
  const home = `/var/tmp/clerk-sync-${hash}`;
  try {
    await makeFolder(home);
  } catch (error) {
    throw new StartError(`Cannot write to ${home} as ${reasonOf(error)}`);
  }
  const { uid, isDirectory } = await Deno.lstat(home);
  if (uid !== 0 || !isDirectory) {
    throw new StartError(`Cannot use ${home} as it is not a folder owned by root: remove it first`);
  }
  return home;
}

/** The folder of the copy of Postgres that all stacks of this project run. */
export function runtimeDirOf(home: string): string {
  return `${home}/runtime`;
}

/**
 * Makes a folder for an ephemeral stack, and deletes the folders of stacks that were killed before they
 * could do so themselves.
 */
export async function makeEphemeralFolder(home: string): Promise<string> {
  const folder = `${home}/ephemeral-${crypto.randomUUID()}`;
  try {
    await makeFolder(folder);
  } catch (error) {
    throw new StartError(`Cannot write to ${home} as ${reasonOf(error)}`);
  }
  for await (const entry of Deno.readDir(home)) {
    if (entry.name.startsWith("ephemeral-")) await sweep(`${home}/${entry.name}`);
  }
  return folder;
}

async function sweep(folder: string): Promise<void> {
  try {
    const { mtime } = await Deno.stat(folder);
    if (mtime === null || Date.now() - mtime.getTime() < SWEEP_AFTER_MS) return;
    using lock = await Deno.open(`${folder}/postgres.lock`, { create: true, write: true });
    if (await lock.tryLock(true)) await Deno.remove(folder, { recursive: true });
  } catch {
    // Another process is deleting it, or will.
  }
}
