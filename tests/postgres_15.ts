import { type NpmPackage, readPackage } from "../local/postgres/runtime.ts";
import { StartError } from "../local/start_error.ts";

/**
 * Finds the npm package of Postgres 15, and downloads it if need be. A separate process does so without
 * our lock file, because Deno downloads everything in it for `deno task dev`, too.
 *
 * @throws {StartError} when it cannot be downloaded.
 */
export async function locatePostgres15(name: string): Promise<NpmPackage> {
  const pinned = JSON.stringify(`npm:${name}@15.18.0-beta.17`);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      "--no-lock",
      "--node-modules-dir=none",
      `await import(${pinned}); console.log(import.meta.resolve(${pinned}));`,
    ],
    env: { NO_COLOR: "1" },
  }).output();

  if (!success) {
    const reason = new TextDecoder().decode(stderr).trim();
    throw new StartError(`Cannot load ${pinned} as ${reason}: is the npm registry reachable?`);
  }
  return await readPackage(new TextDecoder().decode(stdout).trim());
}
