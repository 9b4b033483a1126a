import type { ManagementApi } from "./management_api.ts";

/** What the database of a project has of what `deploy` writes there. */
export interface DatabaseState {
  /** The versions of the migrations that were applied. */
  readonly migrations: ReadonlySet<string>;
  readonly hasVault: boolean;
  /** The SHA-256 of our entries in Vault, in hexadecimal digits, by name. */
  readonly vault: ReadonlyMap<string, string>;
  /** The names of our jobs of pg_cron. */
  readonly jobs: ReadonlySet<string>;
}

export const WORKER_URL = "clerk_worker_url";
export const WORKER_SECRET = "clerk_worker_secret";

/** The jobs of `clerk_sync.start_schedule()`. */
export const JOBS: readonly string[] = ["clerk-worker", "clerk-reconcile", "clerk-maintain"];

/** Looks at a database, as a role that may read Vault, and changes nothing. */
export async function readDatabase(api: ManagementApi): Promise<DatabaseState> {
  const [found] = await api.query(`
    select
      to_regclass('supabase_migrations.schema_migrations') is not null as has_history,
      to_regclass('vault.decrypted_secrets') is not null as has_vault,
      to_regclass('cron.job') is not null as has_cron
  `);
  const hasVault = found?.has_vault === true;
  const migrations = found?.has_history === true
    ? await api.query("select version from supabase_migrations.schema_migrations")
    : [];
  const vault = hasVault
    ? await api.query(
      `select name, encode(sha256(convert_to(decrypted_secret, 'UTF8')), 'hex') as digest
       from vault.decrypted_secrets where name in ($1, $2)`,
      [WORKER_URL, WORKER_SECRET],
    )
    : [];
  const jobs = found?.has_cron === true
    ? await api.query("select jobname from cron.job where command ~ 'clerk_sync'")
    : [];
  return {
    migrations: new Set(migrations.map(({ version }) => String(version))),
    hasVault,
    vault: new Map(vault.map(({ name, digest }) => [String(name), String(digest)])),
    jobs: new Set(jobs.map(({ jobname }) => String(jobname))),
  };
}

/** Writes an entry of Vault. The value is a parameter, so that no log of statements has it. */
export async function writeVault(
  api: ManagementApi,
  name: string,
  value: string,
  isThere: boolean,
): Promise<void> {
  await api.query(
    isThere
      ? "select vault.update_secret(id, $1) from vault.secrets where name = $2"
      : "select vault.create_secret($1, $2)",
    [value, name],
  );
}
