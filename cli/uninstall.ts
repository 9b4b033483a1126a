import postgres from "postgres";
import { carryOut } from "../adopt/plan.ts";
import { readRecord } from "../adopt/record.ts";
import { dependantsScript, type RemovalOptions, removalScript } from "../adopt/removal_script.ts";
import { readSource, type Source } from "../adopt/source.ts";
import { planUninstall, uninstallText } from "../adopt/uninstall.ts";
import { withConnection } from "../local/postgres/databases.ts";
import { reasonOf, StartError } from "../local/start_error.ts";
import { isConfirmed } from "./confirm.ts";
import { flags, prefixOf, runCommand, UsageError } from "./usage.ts";

const HELP =
  `Removes clerk-sync from your Supabase project: writes a migration that removes it from the database, and
removes its functions and its sections of config.toml. Your tables, columns and rows stay.

  deno task uninstall                 shows what to do and in which order, asks, and does its part
  deno task uninstall --dir ../app    for the project in another folder, which contains supabase/
  deno task uninstall --sql           prints the SQL of the migration, and changes nothing

  --db-url URL    first lists what uses the sync in this database; SUPABASE_DB_URL does the same. Without
                  it, the migration checks, and stops before it removes anything.
  --drop-tables   removes the tables that were synced, too, with their rows
  --dir DIR       the folder that contains supabase/; the current one by default
  --prefix NAME   with --sql in a project without supabase/clerk-sync.json: what names of tables begin with
  --dry-run       writes nothing
  --yes           does not ask
  --json          prints the plan as JSON; with --yes or --dry-run

  Files that you edited stay. After a crash, run the same command again.

  Exit codes: 0 done, or nothing to do; 1 refused, something uses the sync, or not confirmed; 2 wrong usage.
`;

if (import.meta.main) await runCommand(uninstall, HELP);

/** Removes the sync from a project. */
export async function uninstall(args: readonly string[]): Promise<number> {
  const { sql, prefix, dir: folder, json, yes, ...given } = flags(args, {
    sql: { type: "boolean", default: false },
    prefix: { type: "string" },
    dir: { type: "string", default: "." },
    "db-url": { type: "string" },
    "drop-tables": { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  }).values;
  const options: RemovalOptions = { dropTables: given["drop-tables"] };
  const dir = folder.replace(/(?<=.)\/+$/, "");
  if (prefix !== undefined && !sql) {
    throw new UsageError("Cannot use --prefix without --sql: the project's record has the prefix");
  }
  if (sql) {
    const used = prefix === undefined ? (await readRecord(dir))?.prefix ?? "" : prefixOf(prefix);
    console.log((await removalScript(await readSource(used), options)).trimEnd());
    return 0;
  }

  const plan = await planUninstall(dir, options);
  const { source, steps, edited } = plan;
  const print = (text: string): void => {
    if (!json) console.log(text);
  };
  const databaseUrl = given["db-url"] ?? Deno.env.get("SUPABASE_DB_URL");
  const dependants = databaseUrl === undefined || steps.length === 0
    ? []
    : await dependantsIn(databaseUrl, source, options);
  if (dependants.length > 0) {
    print([
      "This uses clerk-sync. Change or drop it first: nothing was written.",
      ...dependants.map((dependant) => `  ${dependant}`),
      "",
    ].join("\n"));
  }
  print(steps.length === 0 ? "Nothing to do" : uninstallText(plan, options));

  const isToBeDone = steps.length > 0 && dependants.length === 0 && !given["dry-run"] &&
    isConfirmed("Do this?", { yes, json });
  if (isToBeDone) {
    await carryOut(dir, steps, ({ words }) => print(words));
    print("\nDone. Go on with step 3: delete the deployed functions and their secrets.");
  }
  if (json) {
    const did = steps.map(({ path, words }) => ({ path, words }));
    console.log(JSON.stringify({ steps: did, edited, dependants, is_done: isToBeDone }));
  }
  const isRefused = dependants.length > 0;
  return !isRefused && (isToBeDone || given["dry-run"] || steps.length === 0) ? 0 : 1;
}

/** What uses the sync in a database. */
async function dependantsIn(
  databaseUrl: string,
  source: Source,
  options: RemovalOptions,
): Promise<string[]> {
  // Postgres.js would look on this machine for what is no URL, and show the password in one that it cannot read.
  if (!/^postgres(?:ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl)) {
    throw new UsageError(
      "Cannot use the value of --db-url or SUPABASE_DB_URL as it is not a URL that begins with postgresql://: characters such as / and # in the password must be encoded, as %2F and %23",
    );
  }
  const script = await dependantsScript(source, options);
  try {
    await withConnection(databaseUrl, (sql) => sql.unsafe(script).simple());
    return [];
  } catch (error) {
    if (error instanceof postgres.PostgresError && error.code === "2BP01") {
      return JSON.parse(error.detail ?? "[]");
    }
    // Never the URL, which has the password.
    throw new StartError(
      `Cannot check what uses the sync as the database of --db-url or SUPABASE_DB_URL does not answer that: ${
        reasonOf(error)
      }`,
    );
  }
}
