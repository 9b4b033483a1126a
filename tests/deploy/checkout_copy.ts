import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** What git ignores, and git itself. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ".git",
  ".local",
  ".temp",
  ".env",
  "dist",
  "node_modules",
]);

/** A copy of this checkout, because the Supabase CLI writes into the folder it works in. */
export interface CheckoutCopy extends AsyncDisposable {
  /** The folder, without a slash at the end. */
  readonly folder: string;
  /** Writes files by their paths in the copy. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
}

/** Copies this checkout to a temporary folder. */
export async function copyCheckout(): Promise<CheckoutCopy> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-checkout-" });
  await copyFolder(fileURLToPath(ROOT), folder);
  return {
    folder,
    write: (files) => writeFiles(folder, files),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Writes files by their paths below a folder. */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}`, text);
  }
}

/** Copies what git does not ignore. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (LEFT_OUT.has(name)) continue;
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
