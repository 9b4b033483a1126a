import { StartError } from "../local/start_error.ts";

/**
 * The path of a file in an npm package, which Deno downloads when it is missing. A separate process
 * resolves it, so that a program of a hundred megabytes stays out of our lock file and of everyone's
 * installation.
 *
 * @param pinned name and version: `@supabase/cli-linux-x64@3.1.0`
 * @param file its path in the package
 * @throws {StartError} when the package cannot be loaded
 */
export async function npmFile(pinned: string, file: string): Promise<string> {
  const manifest = JSON.stringify(`npm:${pinned}/package.json`);
  const code = `
    import { fileURLToPath } from "node:url";
    await import(${manifest}, { with: { type: "json" } });
    console.log(fileURLToPath(new URL(${JSON.stringify(file)}, import.meta.resolve(${manifest}))));
  `;

  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--no-lock", "--node-modules-dir=none", "--ext=ts", code],
    env: { NO_COLOR: "1" },
  }).output();

  if (!success) {
    const [reason] = new TextDecoder().decode(stderr).split("\n").filter((line) => line !== "");
    throw new StartError(`Cannot load ${pinned} as ${reason}: is the npm registry reachable?`);
  }
  return new TextDecoder().decode(stdout).trim();
}
