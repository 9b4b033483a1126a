import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { createDatabase } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import { generateTypes } from "./generate_types.ts";
import { flags, runCommand } from "./usage.ts";

const HELP = `Writes the types of schema public anew, from a database that has all migrations.

  deno task types

  --check        writes nothing; exits 1 when the file is not what the migrations make
  --file FILE    another file than supabase/database.types.ts
`;

const TYPES = fileURLToPath(new URL("../supabase/database.types.ts", import.meta.url));
const DATABASE = "types";

if (import.meta.main) await runCommand(types, HELP);

/** Runs the command; the exit code is 1 when the file was to be current and is not. */
async function types(args: readonly string[]): Promise<number> {
  const { check, file } = flags(args, {
    check: { type: "boolean", default: false },
    file: { type: "string", default: TYPES },
  }).values;
  const name = relative(Deno.cwd(), file);
  const generated = await generate();
  const found = await Deno.readTextFile(file).catch(() => "");

  if (found === generated) {
    console.log(`${name} is current`);
    return 0;
  }
  if (check) {
    console.error(`${name} is not what the migrations make: run deno task types, and commit it`);
    return 1;
  }
  await Deno.writeTextFile(file, generated);
  console.log(`${name} is written anew`);
  return 0;
}

async function generate(): Promise<string> {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, DATABASE);
  await migrate(server.url(DATABASE));
  return await generateTypes(server.url(DATABASE));
}
