import { preparePlatform, withConnection } from "./postgres/databases.ts";
import { startEphemeralPostgres } from "./postgres/ephemeral.ts";
import { makeFolder } from "./folder.ts";
import { runtimeDirOf, stackHome } from "./postgres/home.ts";
import { generateKeys, loadKeys } from "./keys.ts";
import { migrate, MigrationHistoryError } from "./postgres/migrate.ts";
import { type PostgresServer, refuseTakenPort, startPostgres } from "./postgres/postgres.ts";
import { type Services, startServices } from "./services.ts";
import { reasonOf, StartError } from "./start_error.ts";

export interface StackOptions {
  /** The port of the API and the functions on 127.0.0.1; a free one by default. */
  port?: number;
  /** The port of Postgres; a free one by default. */
  dbPort?: number;
  /** Where the data is kept; the folder `data` in this project's home by default. */
  dataDir?: string | undefined;
  /** Delete the data that is kept there, but not the keys, and begin with an empty database. */
  reset?: boolean;
  /** Use a new database, and delete it in {@linkcode Stack.stop}. */
  ephemeral?: boolean;
  /** Receives the name of each step, a few words. */
  onProgress?: (text: string) => void;
  /** Receives every line that a function writes. */
  onFunctionLog?: (line: string) => void;
  /** Receives a sentence when a function ended by itself or is running again. */
  onNotice?: (text: string) => void;
  onError?: (error: unknown) => void;
  /** The Deno that runs the functions; the current one by default. */
  deno?: string;
  /** Other secrets that the webhook verifies with, as in `CLERK_WEBHOOK_SIGNING_SECRET`. */
  signingSecrets?: string;
  /** Starts the worker with these variables, which configure its handlers and Clerk's API. */
  worker?: Record<string, string>;
}

/** The whole stack: Postgres with the migrations, API, functions, tokens. */
export interface Stack extends Services {
  readonly postgres: PostgresServer;
  /** Where the data is kept; undefined for an ephemeral stack. */
  readonly dataDir: string | undefined;
}

const DATABASE = "postgres";

/**
 * Starts the stack on this machine.
 *
 * @throws {StartError} when it cannot; then nothing is left running.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const progress = options.onProgress ?? (() => {});
  const port = options.port ?? 0;
  if (port !== 0) refuseTakenPort(port, "--port");

  progress("Starting Postgres");
  const ephemeral = options.ephemeral === true;
  const dataDir = ephemeral ? "" : options.dataDir ?? `${await stackHome()}/data`;
  const keys = ephemeral ? await generateKeys() : await loadKeptKeys(dataDir);
  const server = { port: options.dbPort ?? 0, password: keys.databasePassword };
  const postgres = ephemeral ? await startEphemeralPostgres(server) : await startPostgres({
    ...server,
    runtimeDir: runtimeDirOf(await stackHome()),
    dataDir: `${dataDir}/postgres`,
    reset: options.reset === true,
  });
  try {
    await preparePlatform(postgres, DATABASE);
    progress("Applying new migrations");
    const isNew = await migrateOrAdvise(postgres, dataDir, progress);
    if (isNew) await expectNothing(postgres.url(DATABASE));
    progress("Starting the API and the webhook");
    const services = await startServices({ ...options, postgres, database: DATABASE, port, keys });
    const stop = async (): Promise<void> => {
      await services.stop();
      await postgres.stop();
    };
    return {
      ...services,
      postgres,
      dataDir: ephemeral ? undefined : dataDir,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function loadKeptKeys(dataDir: string): ReturnType<typeof loadKeys> {
  try {
    await makeFolder(dataDir);
    return await loadKeys(`${dataDir}/keys.json`);
  } catch (error) {
    throw new StartError(
      `Cannot write the keys to ${dataDir} as ${
        reasonOf(error)
      }: choose another folder with --data-dir`,
    );
  }
}

/** @returns whether the database is new. */
async function migrateOrAdvise(
  postgres: PostgresServer,
  dataDir: string,
  progress: (text: string) => void,
): Promise<boolean> {
  try {
    const applied = await migrate(postgres.url(DATABASE));
    if (applied.length > 0) {
      progress(`Applied ${applied.length} ${applied.length === 1 ? "migration" : "migrations"}`);
    }
    return applied.some((file) => file.endsWith("_create_settings.sql"));
  } catch (error) {
    if (!(error instanceof MigrationHistoryError)) throw error;
    throw new StartError(
      `${error.message}: \`deno task dev --reset\` starts with an empty database, and deletes the data in ${dataDir}`,
    );
  }
}

/** A stack without Clerk gets the events that are sent to it, and has nothing to be compared with. */
async function expectNothing(databaseUrl: string): Promise<void> {
  await withConnection(databaseUrl, (sql) =>
    sql`
      update clerk_sync.settings set max_event_age = null, max_reconcile_age = null
    `);
}
