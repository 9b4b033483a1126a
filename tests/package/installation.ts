import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import denoJson from "../../deno.json" with { type: "json" };
import { type Run, run } from "../program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The package in a folder of somebody who has Node, and nothing of ours. */
export interface Installation extends AsyncDisposable {
  /** The user's folder. At first it contains the tarball and nothing else. */
  readonly folder: string;
  /** Where the package keeps its copies. */
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
  /** What the user types before a command, and the same as words. */
  readonly typed: string;
  readonly words: readonly string[];
  /** Runs a command through npx. */
  run(...args: string[]): Promise<Run>;
  /** The package as npx has installed it, after the first {@linkcode run}. */
  installed(): Promise<string>;
}

/**
 * Builds the package. What npm and Deno have downloaded before is used again; what they and the package
 * make of it is new.
 */
export async function installPackage(): Promise<Installation> {
  // Under root, Postgres runs as another user, who must be able to reach the folder.
  const home = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "clerk-sync-package-" });
  await Deno.chmod(home, 0o755);
  const [folder, cache, npm] = [`${home}/project`, `${home}/cache`, `${home}/npm`];
  await Promise.all([folder, npm].map((each) => Deno.mkdir(each)));
  await outputOf(Deno.execPath(), "run", "-A", `${ROOT}tools/package.ts`, "--dir", home);
  const tarball = `clerk-sync-${denoJson.version}.tgz`;
  await Deno.rename(`${home}/${tarball}`, `${folder}/${tarball}`);
  await Deno.symlink(
    `${await outputOf("npm", "config", "get", "cache")}/_cacache`,
    `${npm}/_cacache`,
  );

  const env = {
    PATH: `${dirname(await outputOf("node", "-p", "process.execPath"))}:/usr/bin:/bin`,
    XDG_CACHE_HOME: cache,
    DENO_DIR: JSON.parse(await outputOf(Deno.execPath(), "info", "--json")).denoDir,
    npm_config_cache: npm,
    // Otherwise npm may tell of a newer npm, if it hears of it in time.
    npm_config_update_notifier: "false",
    NO_COLOR: "1",
  };
  const typed = `npx -y -p ./${tarball} clerk-sync`;
  const words = typed.split(" ");
  return {
    folder,
    cache,
    env,
    typed,
    words,
    run: (...args) => run([...words, ...args], { cwd: folder, env }),
    installed: async () => {
      const [installation] = await Array.fromAsync(Deno.readDir(`${npm}/_npx`));
      return `${npm}/_npx/${installation?.name}/node_modules/clerk-sync`;
    },
    [Symbol.asyncDispose]: async () => {
      // As root its data lies outside of the folder.
      const code = `console.log(await (await import("${ROOT}local/postgres/home.ts")).stackHome())`;
      const { out } = await run([Deno.execPath(), "eval", code], {
        cwd: folder,
        env: { CLERK_SYNC_COMMAND: typed },
      });
      if (/^\/var\/tmp\/clerk-sync-\w+$/.test(out)) await Deno.remove(out, { recursive: true });
      await Deno.remove(home, { recursive: true });
    },
  };
}

async function outputOf(...command: string[]): Promise<string> {
  const { code, out, error } = await run(command, {});
  if (code !== 0) throw new Error(`${command.join(" ")} failed: ${error}`);
  return out;
}
