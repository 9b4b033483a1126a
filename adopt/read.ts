import { reasonOf, StartError } from "../local/start_error.ts";

/**
 * The text of a file; undefined if it does not exist.
 *
 * @throws {StartError} when it cannot be read.
 */
export function readIfThere(file: string): Promise<string | undefined> {
  return ifThere(file, () => Deno.readTextFile(file));
}

/**
 * What is in a folder, without an order; nothing if it does not exist.
 *
 * @throws {StartError} when it cannot be read.
 */
export async function entriesIfThere(folder: string): Promise<Deno.DirEntry[]> {
  return await ifThere(folder, () => Array.fromAsync(Deno.readDir(folder))) ?? [];
}

async function ifThere<T>(path: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new StartError(
      `Cannot read ${path} as the system reports "${
        reasonOf(error)
      }": correct that, and run this again`,
    );
  }
}
