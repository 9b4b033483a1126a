import postgres from "postgres";
import type { PostgresAddress } from "./postgres.ts";

/** What hosted Supabase provides before the first migration. */
const PLATFORM_ROLES = new URL("./platform_roles.sql", import.meta.url);
const PLATFORM_DATABASE = new URL("./platform_database.sql", import.meta.url);

/** Opens one connection, uses it and closes it. */
export async function withConnection<Result>(
  url: string,
  use: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/**
 * Gives a database the roles, schemas and default privileges that Supabase provides. The roles belong
 * to the whole cluster. A database that has them already is left alone.
 */
export async function preparePlatform(
  server: Pick<PostgresAddress, "superuserUrl">,
  database: string,
): Promise<void> {
  const roles = await Deno.readTextFile(PLATFORM_ROLES);
  const schemas = await Deno.readTextFile(PLATFORM_DATABASE);
  await withConnection(server.superuserUrl(database), async (sql) => {
    const [found] = await sql<
      { done: boolean }[]
    >`select to_regnamespace('auth') is not null as done`;
    if (found?.done) return;
    await sql.begin(async (transaction) => {
      await transaction.unsafe(roles).simple();
      await transaction.unsafe(schemas).simple();
    });
  });
}

/**
 * Makes a database owned by `postgres`: an empty one as in a new Supabase project, or a copy of
 * `template`, to which there must be no connections.
 */
export async function createDatabase(
  server: Pick<PostgresAddress, "superuserUrl">,
  name: string,
  options: { template?: string } = {},
): Promise<void> {
  const { template } = options;
  await withConnection(server.superuserUrl("template1"), async (sql) => {
    // Copying the files takes half as long as the default, which writes every block to the log, too.
    await sql`
      create database ${sql(name)} template ${sql(template ?? "template0")} strategy file_copy
    `;
    if (template === undefined) return;
    await sql`alter database ${sql(name)} owner to postgres`;
    await sql`alter database ${sql(name)} set search_path to "$user", public, extensions`;
  });
  if (template === undefined) await preparePlatform(server, name);
}

/** Drops a database and closes all connections to it. */
export async function dropDatabase(
  server: Pick<PostgresAddress, "superuserUrl">,
  name: string,
): Promise<void> {
  await withConnection(server.superuserUrl("template1"), async (sql) => {
    await sql`drop database if exists ${sql(name)} with (force)`;
  });
}
