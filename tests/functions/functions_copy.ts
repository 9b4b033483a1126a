import { fileURLToPath } from "node:url";
import { writeFiles } from "../deploy/checkout_copy.ts";

const ROOT = new URL("../../", import.meta.url);

/** Where the functions begin. */
export const ENTRYPOINTS = ["functions/clerk-webhook/index.ts", "functions/clerk-worker/index.ts"];

/** A copy of the functions in a folder of its own, with the import map and nothing else of ours. */
export interface FunctionsCopy extends AsyncDisposable {
  read(path: string): Promise<string>;
  /** Writes a file, in place of the copied one if there is one. */
  write(path: string, text: string): Promise<void>;
  /** The files that are not as they were copied. */
  changed(): Promise<string[]>;
  /** Runs Deno there, with the import map alone. Returns what it wrote, or throws it. */
  deno(command: "check" | "run", ...args: readonly string[]): Promise<string>;
}

export async function copyFunctions(): Promise<FunctionsCopy> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-functions-" });
  const at = (path: string): string => `${folder}/${path}`;
  const originals = new Map<string, string>();

  const write = (path: string, text: string): Promise<void> => writeFiles(folder, { [path]: text });
  const copied = ["clerk-webhook", "clerk-worker", "_shared/clerk_sync"]
    .map((name) => filesBelow(fileURLToPath(ROOT), `functions/${name}`));
  for (const path of [...(await Promise.all(copied)).flat(), "import_map.json"]) {
    originals.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    await write(path, originals.get(path) ?? "");
  }

  return {
    read: (path) => Deno.readTextFile(at(path)),
    write,
    changed: async () => {
      const now = [...await filesBelow(folder, "functions"), "import_map.json"];
      const texts = await Promise.all(now.map((path) => Deno.readTextFile(at(path))));
      const gone = [...originals.keys()].filter((path) => !now.includes(path));
      return [...now.filter((path, file) => originals.get(path) !== texts[file]), ...gone].sort();
    },
    deno: async (command, ...args) => {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          command,
          "--no-config",
          "--import-map=import_map.json",
          "--no-lock",
          "--node-modules-dir=none",
          ...(command === "run" ? ["--no-prompt", "--allow-env=_"] : []),
          ...args,
        ],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const decoder = new TextDecoder();
      if (!success) throw new Error(decoder.decode(stderr));
      return decoder.decode(stdout);
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}/${name}`;
    found.push(...isDirectory ? await filesBelow(root, path) : [path]);
  }
  return found;
}
