import postgres from "postgres";
import { withConnection } from "./databases.ts";
import { StartError } from "../start_error.ts";

const MIGRATIONS = new URL("../../supabase/migrations/", import.meta.url);

/** The table in which the Supabase CLI records applied migrations. */
const HISTORY = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (
    version text not null primary key,
    statements text[],
    name text
  );
`;

interface Migration {
  file: string;
  version: string;
  name: string;
  text: string;
}

/** An applied migration differs from its file, or its file is gone. */
export class MigrationHistoryError extends StartError {
  override name = "MigrationHistoryError";
}

/**
 * Applies the migrations that a database does not have yet, in the order of their versions, each in
 * its own transaction, and records them as version 3 of the Supabase CLI does, so that
 * `supabase migration list` and `db push` agree.
 *
 * @param databaseUrl as the role `postgres`, which runs migrations on Supabase.
 * @param onApplied receives the name of each file that was applied.
 * @param migrationsDir `supabase/migrations` by default.
 * @returns the names of the files that were applied.
 * @throws {StartError} with file, line, SQLSTATE and message when a migration fails.
 * @throws {MigrationHistoryError} when the file of an applied migration was changed or is gone.
 */
export async function migrate(
  databaseUrl: string,
  onApplied: (name: string) => void = () => {},
  migrationsDir: string | URL = MIGRATIONS,
): Promise<string[]> {
  const migrations = await readMigrations(migrationsDir);
  return await withConnection(databaseUrl, async (sql) => {
    await sql.unsafe(HISTORY).simple();
    const history = await sql<{ version: string; statements: string[] | null }[]>`
      select version, to_jsonb(statements) as statements
      from supabase_migrations.schema_migrations
      order by version
    `;
    const applied = new Map(history.map((row) => [row.version, row.statements ?? []]));
    refuseDrift(applied, migrations);

    const names: string[] = [];
    for (const migration of migrations) {
      if (applied.has(migration.version)) continue;
      await apply(sql, migration);
      names.push(migration.file);
      onApplied(migration.file);
    }
    return names;
  });
}

async function readMigrations(folder: string | URL): Promise<Migration[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && /^\d+_.+\.sql$/.test(entry.name)) files.push(entry.name);
  }
  const base = folder instanceof URL ? folder.href : folder;
  return await Promise.all(
    files.sort().map(async (file) => {
      const path = `${base.replace(/\/$/, "")}/${file}`;
      const [, version = "", name = ""] = /^(\d+)_(.+)\.sql$/.exec(file) ?? [];
      const text = await Deno.readTextFile(folder instanceof URL ? new URL(path) : path);
      return { file, version, name, text };
    }),
  );
}

async function apply(sql: postgres.Sql, migration: Migration): Promise<void> {
  try {
    await sql.begin(async (transaction) => {
      await transaction.unsafe(migration.text).simple();
      await transaction`
        insert into supabase_migrations.schema_migrations (version, name, statements)
        values (
          ${migration.version},
          ${migration.name},
          array(select jsonb_array_elements_text(${
        JSON.stringify(splitStatements(migration.text))
      }::text::jsonb))
        )
      `;
    });
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    throw new StartError(describe(migration, error));
  }
}

/** Describes where and why a migration failed. Postgres counts positions in characters from 1. */
function describe(migration: Migration, error: postgres.PostgresError): string {
  const position = Number(error.position);
  const line = position > 0
    ? `:${[...migration.text].slice(0, position - 1).filter((each) => each === "\n").length + 1}`
    : "";
  const inside = error.where === undefined ? "" : ` (${error.where.split("\n")[0]})`;
  return `Cannot apply supabase/migrations/${migration.file}${line} as Postgres answers ${error.code}: ${error.message}${inside}`;
}

function refuseDrift(applied: Map<string, string[]>, migrations: Migration[]): void {
  const files = new Map(migrations.map((migration) => [migration.version, migration]));
  for (const [version, statements] of applied) {
    const migration = files.get(version);
    if (migration === undefined) {
      throw new MigrationHistoryError(
        `Cannot apply migrations as the database has version ${version}, whose file is gone`,
      );
    }
    if (essence(statements.join(";")) !== essence(migration.text)) {
      throw new MigrationHistoryError(
        `Cannot apply migrations as ${migration.file} was changed after it had been applied`,
      );
    }
  }
}

/** The text without white space and semicolons, which depend on how it was split into statements. */
function essence(text: string): string {
  return text.replace(/[\s;]+/g, "");
}

const TOKEN =
  /--[^\n]*|\/\*[^]*?\*\/|\be'(?:\\[^]|''|[^'\\])*'|'[^']*'|"[^"]*"|(\$\w*\$)[^]*?\1|;/gi;

/** The statements of a file as the CLI records them: trimmed, without their semicolons. */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let start = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match[0] !== ";") continue;
    statements.push(text.slice(start, match.index));
    start = match.index + 1;
  }
  statements.push(text.slice(start));
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== "");
}
