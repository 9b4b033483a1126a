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
  return HEADER + await schemaDifference(platformUrl, migratedUrl);
}

/**
 * The SQL that leads from one database to another on this machine, in the schemas `public`, `clerk` and
 * `clerk_sync`; empty if nothing does.
 *
 * @throws {StartError} when the Supabase CLI cannot be had or refuses
 */
export async function schemaDifference(fromUrl: string, toUrl: string): Promise<string> {
  const cwd = await Deno.makeTempDir({ prefix: "clerk-sync-schema-" });
  try {
    const from = withoutPassword(fromUrl);
    const to = withoutPassword(toUrl);
    const { code, stderr } = await runSupabase([
      "db",
      "diff",
      `--from=${from.url}`,
      `--to=${to.url}`,
      "--use-pg-delta",
      "--schema=public,clerk,clerk_sync",
      "--output=schema.sql",
    ], { cwd, env: to.env });
    if (code !== 0) {
      throw new StartError(`Cannot dump the schema as the Supabase CLI says: ${stderr.trim()}`);
    }
    // Without a difference there is no file.
    return await Deno.readTextFile(`${cwd}/schema.sql`).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}
