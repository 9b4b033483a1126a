import { makeEphemeralFolder, runtimeDirOf, stackHome } from "./home.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "./postgres.ts";

/**
 * Starts a new Postgres on a free port, for tests and benchmarks. It does not flush to disk, and
 * deletes its data when it is stopped.
 *
 * @param options.folder Where its data is kept meanwhile; beside the data of this project's stack by default.
 */
export async function startEphemeralPostgres(
  { folder: parent, ...options }:
    & Partial<Omit<PostgresOptions, "dataDir" | "reset">>
    & { readonly folder?: string | undefined } = {},
): Promise<PostgresServer> {
  const home = await stackHome();
  const folder = await makeEphemeralFolder(parent ?? home);
  const remove = (): Promise<void> => Deno.remove(folder, { recursive: true }).catch(() => {});
  try {
    const server = await startPostgres({
      runtimeDir: runtimeDirOf(home),
      port: 0,
      ...options,
      dataDir: `${folder}/postgres`,
      settings: { fsync: "off", full_page_writes: "off", ...options.settings },
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      await remove();
    };
    return { ...server, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await remove();
    throw error;
  }
}
