import { fileURLToPath } from "node:url";
import { StartError } from "../local/start_error.ts";

/**
 * The path of a file in an npm package, which Deno downloads when it is missing.
 *
 * @param pinned name and version: `@supabase/cli-linux-x64@3.1.0`
 * @param file its path in the package
 * @throws {StartError} when the package cannot be had
 */
export async function npmFile(pinned: string, file: string): Promise<string> {
  const manifest = `npm:${pinned}/package.json`;
  try {
    await import(manifest, { with: { type: "json" } });
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    throw new StartError(
      `Cannot load ${pinned} as ${reason}: is the npm registry reachable?`,
    );
  }
  return fileURLToPath(new URL(file, import.meta.resolve(manifest)));
}
