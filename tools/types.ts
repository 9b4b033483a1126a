import { fileURLToPath } from "node:url";
import { type Facts, shippedFacts } from "../adopt/shipped.ts";
import { createDatabase, withConnection } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import { dumpSchema } from "./dump_schema.ts";
import { generateTypes } from "./generate_types.ts";
import { flags, runCommand } from "../cli/usage.ts";

const HELP =
  `Writes what follows from the migrations: the types of schema public (database.types.ts), the
whole schema for reviewers to read (schema.sql), and what \`doctor\` compares a database with
(shipped.json).

  deno task types

  --check      writes nothing; exits 1 when a file is not what the migrations make
  --dir DIR    another folder than supabase/
`;

const FOLDER = fileURLToPath(new URL("../supabase", import.meta.url));

if (import.meta.main) await runCommand(types, HELP);

/** Runs the command; the exit code is 1 when a file was to be current and is not. */
async function types(args: readonly string[]): Promise<number> {
  const { check, dir } = flags(args, {
    check: { type: "boolean", default: false },
    dir: { type: "string", default: FOLDER },
  }).values;

  let code = 0;
  for (const [name, generated] of Object.entries(await generate())) {
    const found = await Deno.readTextFile(`${dir}/${name}`).catch(() => "");
    if (found === generated) {
      console.log(`${name} is current`);
    } else if (check) {
      console.error(`${name} is not what the migrations make: run deno task types, and commit it`);
      code = 1;
    } else {
      await Deno.writeTextFile(`${dir}/${name}`, generated);
      console.log(`${name} is written`);
    }
  }
  return code;
}

/** The files by their names. */
async function generate(): Promise<Record<string, string>> {
  await using server = await startEphemeralPostgres();
  await createDatabase(server, "platform");
  await createDatabase(server, "migrated");
  await migrate(server.url("migrated"));
  return {
    "database.types.ts": await generateTypes(server.url("migrated")),
    "schema.sql": await dumpSchema(server.url("platform"), server.url("migrated")),
    "shipped.json": await readShippedFacts(server.url("migrated")),
  };
}

async function readShippedFacts(databaseUrl: string): Promise<string> {
  return await withConnection(databaseUrl, async (sql) => {
    const [row] = await sql<{ objects: Facts }[]>`
      select public.inspect_clerk_sync() -> 'objects' as objects
    `;
    return `${JSON.stringify(await shippedFacts(row?.objects ?? {}), null, 2)}\n`;
  });
}
