import { fileURLToPath } from "node:url";
import { isOurs } from "./is_ours.ts";
import { migrate } from "./migrate.ts";

const MIGRATIONS = fileURLToPath(new URL("../../supabase/migrations", import.meta.url));

/** Copies our migrations to a folder, and no others. */
export async function copyOurs(folder: string, migrations = MIGRATIONS): Promise<void> {
  for await (const { name } of Deno.readDir(migrations)) {
    if (isOurs(name)) await Deno.copyFile(`${migrations}/${name}`, `${folder}/${name}`);
  }
}

/**
 * Applies our migrations and no others. The rules and inventories of the tests are about our objects:
 * what somebody adds to their clone follows their own.
 */
export async function applyOurs(databaseUrl: string, migrations = MIGRATIONS): Promise<void> {
  const ours = await Deno.makeTempDir({ prefix: "clerk-sync-migrations-" });
  try {
    await copyOurs(ours, migrations);
    await migrate(databaseUrl, () => {}, ours);
  } finally {
    await Deno.remove(ours, { recursive: true });
  }
}
