import { dirname } from "node:path";

/**
 * Makes a folder and its missing parents, readable by everyone regardless of the umask, because
 * under root Postgres runs as another user.
 */
export async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  for (let each = path; !await exists(each); each = dirname(each)) missing.push(each);
  await Deno.mkdir(path, { recursive: true });
  if (Deno.build.os === "windows") return;
  for (const each of missing) await Deno.chmod(each, 0o755);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
