import { fileURLToPath } from "node:url";
import { StartError } from "../local/start_error.ts";
import { runSupabase } from "../cli/supabase_cli.ts";

const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

/**
 * The TypeScript types of a database's schema `public`, as `supabase gen types` and `deno fmt` write
 * them.
 *
 * @param databaseUrl of a database on this machine, with all migrations
 * @throws {StartError} when the Supabase CLI cannot be loaded or fails
 */
export async function generateTypes(databaseUrl: string): Promise<string> {
  const cwd = await Deno.makeTempDir({ prefix: "clerk-sync-types-" });
  try {
    const args = ["gen", "types", "--schema", "public"];
    const { code, stdout, stderr } = await runSupabase(args, { cwd, remote: databaseUrl });
    if (code !== 0) {
      throw new StartError(`Cannot generate types as the Supabase CLI says: ${stderr.trim()}`);
    }
    return await formatted(stdout);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

async function formatted(code: string): Promise<string> {
  const format = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--config", CONFIG, "--ext", "ts", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = format.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();

  const { success, stdout } = await format.output();
  if (!success) throw new Error("Cannot format the generated types as deno fmt refuses them");
  return new TextDecoder().decode(stdout);
}
