import { StartError } from "../local/start_error.ts";
import { runSupabase, withoutPassword } from "../cli/supabase_cli.ts";

const HEADER =
  `-- The schema as the migrations leave it, so that a reviewer reads what happened. Written by
-- \`deno task types\`. For reading, not for applying: roles, publications and rows are not in it.

`;

/**
 * Dumps the schemas `public`, `clerk` and `clerk_sync` as the SQL that leads from one database to the
 * other, which is the same on every run.
 *
 * @param platformUrl of a database on this machine as a new Supabase project has it
 * @param migratedUrl of the same with all migrations, on the same server
 * @throws {StartError} when the Supabase CLI cannot be had or refuses
 */
export async function dumpSchema(platformUrl: string, migratedUrl: string): Promise<string> {
  const cwd = await Deno.makeTempDir({ prefix: "clerk-sync-schema-" });
  try {
    const platform = withoutPassword(platformUrl);
    const migrated = withoutPassword(migratedUrl);
    const { code, stderr } = await runSupabase([
      "db",
      "diff",
      `--from=${platform.url}`,
      `--to=${migrated.url}`,
      "--use-pg-delta",
      "--schema=public,clerk,clerk_sync",
      "--output=schema.sql",
    ], { cwd, env: migrated.env });
    if (code !== 0) {
      throw new StartError(`Cannot dump the schema as the Supabase CLI says: ${stderr.trim()}`);
    }
    return HEADER + await Deno.readTextFile(`${cwd}/schema.sql`);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}
