import { StartError } from "../../local/start_error.ts";

/** An npm package whose code is in a bundle. */
interface BundledPackage {
  readonly name: string;
  readonly folder: string;
}

const HEAD = `The files webhook.js and files/console/bundle/ contain code of the packages below.
`;

/** What the MIT license grants, for packages that name it without its text. */
const MIT = /^Permission is hereby granted[^]*/m;

/**
 * The license texts of the packages whose code is in bundles of ours.
 *
 * @param entries the modules that are bundled
 * @param root the folder with their node_modules
 * @param license our own license, whose terms are the MIT license
 * @throws {StartError} when a package has no license text, and does not say that it is MIT
 */
export async function thirdPartyNotices(
  entries: readonly string[],
  root: string,
  license: string,
): Promise<string> {
  const packages = packagesOf(
    (await Promise.all(entries.map((entry) => sources(entry, root)))).flat(),
  );
  const notices = await Promise.all(packages.map((each) => noticeOf(each, license)));
  return [HEAD, ...notices].join(`\n${"-".repeat(80)}\n\n`);
}

/** The files that a bundle of a module is made of, which its source map lists. */
async function sources(entry: string, root: string): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-notices-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["bundle", "--quiet", "--platform=browser", "--minify", "--sourcemap=external"],
        `--outdir=${folder}`,
        entry,
      ],
      cwd: root,
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) {
      throw new StartError(
        `Cannot list what ${entry} contains as Deno says: ${
          new TextDecoder().decode(stderr).trim()
        }`,
      );
    }
    const files: string[] = [];
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.endsWith(".map")) continue;
      const map = JSON.parse(await Deno.readTextFile(`${folder}/${name}`)) as { sources: string[] };
      files.push(...map.sources.map((path) => new URL(path, `file://${folder}/`).pathname));
    }
    return files;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * The packages that files belong to, in the order of their names. The source map of a package may name files
 * that it does not have, so the folder is Deno's for this package: `.deno/@scope+name@1.2.3`.
 */
function packagesOf(files: readonly string[]): BundledPackage[] {
  const folders = new Map<string, BundledPackage>();
  for (const file of files) {
    const [, store, id] =
      /^(.*\/node_modules\/\.deno\/((?:@[^/+]+\+)?[^/@]+)@[^/]+)\//.exec(file) ?? [];
    if (store === undefined || id === undefined) continue;
    const name = id.replace("+", "/");
    folders.set(store, { name, folder: `${store}/node_modules/${name}` });
  }
  return [...folders.values()].sort((one, other) => one.name < other.name ? -1 : 1);
}

/** A heading, and what the package says of its license. */
export async function noticeOf(
  { name, folder }: BundledPackage,
  license: string,
): Promise<string> {
  const manifest = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  const heading = `${name} ${manifest.version} (${manifest.license})`;
  const texts: string[] = [];
  for (const { name, isFile } of [...Deno.readDirSync(folder)].sort(byName)) {
    if (!isFile || !/^(licen[cs]e|copying|copyright|notice)/i.test(name)) continue;
    texts.push((await Deno.readTextFile(`${folder}/${name}`)).trim());
  }
  if (texts.length === 0) {
    if (manifest.license !== "MIT") {
      throw new StartError(
        `Cannot bundle ${name} as it has no license file, and its package.json says ${manifest.license}`,
      );
    }
    const author = manifest.author?.name ?? manifest.author ?? name;
    const source = manifest.repository?.url ?? manifest.repository;
    texts.push(`Copyright ${author}, ${source}`, MIT.exec(license)?.[0].trim() ?? "");
  }
  return `${heading}\n\n${texts.join("\n\n").replaceAll("\r\n", "\n")}\n`;
}

function byName(one: Deno.DirEntry, other: Deno.DirEntry): number {
  return one.name < other.name ? -1 : 1;
}
