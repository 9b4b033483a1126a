import { fileURLToPath, pathToFileURL } from "node:url";
import { makeFolder } from "./folder.ts";

/**
 * The folder of the user's project: this checkout or, for the npm package, which runs from a cache, the
 * folder in which the command was called. The package's bin sets CLERK_SYNC_COMMAND.
 */
export const PROJECT = Deno.env.has("CLERK_SYNC_COMMAND")
  ? pathToFileURL(`${Deno.cwd()}/`)
  : new URL("../", import.meta.url);

/** The folder for keys and data. */
export const LOCAL = new URL(".local/", PROJECT);

/** Makes {@linkcode LOCAL}, so that git ignores it in any project. */
export async function makeLocal(): Promise<void> {
  await makeFolder(fileURLToPath(LOCAL));
  await Deno.writeTextFile(new URL(".gitignore", LOCAL), "*\n");
}
