import { fileURLToPath } from "node:url";
import { migrate } from "../../local/postgres/migrate.ts";

export const MIGRATIONS = fileURLToPath(new URL("../../supabase/migrations", import.meta.url));

/** Our migrations have the date of their release. */
const OURS = /^20261101\d{6}_/;

/** Copies our migrations to a folder, and no others. */
export async function copyOurs(folder: string, migrations = MIGRATIONS): Promise<void> {
  for await (const { name } of Deno.readDir(migrations)) {
    if (OURS.test(name)) await Deno.copyFile(`${migrations}/${name}`, `${folder}/${name}`);
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
