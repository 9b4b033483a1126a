import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { reasonOf, StartError } from "../../local/start_error.ts";

/** What the browser loads: everything there is, by path. */
export type Page = Readonly<Record<string, PageFile>>;

export interface PageFile {
  readonly type: string;
  readonly text: string;
}

const SOURCES = new URL("../page/", import.meta.url);

/** The page as the npm package has it, which has no sources. */
const BUNDLE = new URL("../bundle/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/**
 * The page, bundled anew if its sources have changed.
 *
 * @param cache a folder for the bundle
 * @throws {StartError} when it cannot be bundled
 */
export async function loadPage(cache: () => Promise<string>, stop: AbortSignal): Promise<Page> {
  const packed = await readBundle(fileURLToPath(BUNDLE));
  if (packed !== undefined) return packed;

  const folder = `${await cache()}/console-${await hashOf(SOURCES)}`;
  const cached = await readBundle(folder);
  if (cached !== undefined) return cached;
  await bundlePage(folder, stop);
  await removeOthers(folder);
  const made = await readBundle(folder);
  if (made === undefined) {
    throw new StartError(`Cannot read the bundle of the console in ${folder}`);
  }
  return made;
}

/**
 * Bundles the page into a folder: index.html, main.js, main.css, and what is loaded later.
 *
 * @throws {StartError} when Deno cannot bundle it
 */
export async function bundlePage(folder: string, stop?: AbortSignal): Promise<void> {
  const draft = `${folder}.${crypto.randomUUID()}`;
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        "--quiet",
        "--platform=browser",
        "--minify",
        "--code-splitting",
        `--outdir=${draft}`,
        fileURLToPath(new URL("main.tsx", SOURCES)),
      ],
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      env: { NO_COLOR: "1" },
      stdin: "null",
      ...(stop === undefined ? {} : { signal: stop }),
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0]);
    await Deno.copyFile(new URL("index.html", SOURCES), `${draft}/index.html`);
    // Whoever bundled the same meanwhile was first.
    await Deno.rename(draft, folder).catch(() => {});
  } catch (error) {
    throw new StartError(`Cannot bundle the console's page as ${reasonOf(error)}`);
  } finally {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
  }
}

async function readBundle(folder: string): Promise<Page | undefined> {
  try {
    const page: Record<string, PageFile> = {};
    for await (const { name } of Deno.readDir(folder)) {
      const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
      if (type === undefined) continue;
      const text = await Deno.readTextFile(`${folder}/${name}`);
      page[name === "index.html" ? "/" : `/${name}`] = { type, text };
    }
    return page;
  } catch {
    return undefined;
  }
}

/** Removes the bundles of other sources. Whoever uses one has read it. */
async function removeOthers(folder: string): Promise<void> {
  const [home, name] = [dirname(folder), basename(folder)];
  for await (const entry of Deno.readDir(home)) {
    if (!/^console-[0-9a-f]{24}$/.test(entry.name) || entry.name === name) continue;
    await Deno.remove(`${home}/${entry.name}`, { recursive: true }).catch(() => {});
  }
}

/** Of all sources of the page, and of what pins its libraries. */
async function hashOf(folder: URL): Promise<string> {
  const paths = [...await filesBelow(fileURLToPath(folder))].sort();
  const lock = fileURLToPath(new URL("../../import_map.json", import.meta.url));
  const texts = await Promise.all([lock, ...paths].map((path) => Deno.readTextFile(path)));
  const all = [Deno.version.deno, ...paths, ...texts].join("\0");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(all));
  return new Uint8Array(digest).slice(0, 12).toHex();
}

async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}${name}`;
    if (isDirectory) found.push(...await filesBelow(`${path}/`));
    else found.push(path);
  }
  return found;
}
