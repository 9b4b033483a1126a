import { type BoundProcess, spawnBound } from "../process.ts";
import type { PostgresRuntime } from "./runtime.ts";
import type { ServerUser } from "./server_user.ts";
import { reasonOf, StartError } from "../start_error.ts";

/** NOTE: `trust` is replaced by {@linkcode protectCluster} before a server starts. */
const INITDB = [
  "--username=supabase_admin",
  "--auth=trust",
  "--encoding=UTF8",
  "--locale=C",
  "--no-sync",
  "--no-instructions",
];

function initdbOptions({ version }: PostgresRuntime): string[] {
  // Both sort by code point and know the case of all letters. The second needs the locale of the system.
  return version >= 17
    ? [...INITDB, "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    : [...INITDB, "--lc-ctype=C.UTF-8"];
}

/**
 * Makes a cluster in an empty folder, unless there is one already. The first output of `initdb` is kept
 * beside the runtime and copied from then on, which is faster.
 *
 * @throws {StartError} when the folder contains something else or cannot be used.
 */
export async function makeCluster(
  runtime: PostgresRuntime,
  dataDir: string,
  user: ServerUser,
): Promise<void> {
  if (await isCluster(dataDir)) return;
  try {
    const pristine = `${runtime.root}/cluster`;
    if (!await isCluster(pristine)) {
      await inOneStep(pristine, user, async (draft) => {
        await run(runtime.initdb, ["--pgdata", draft, ...initdbOptions(runtime)], user);
      });
    }
    await inOneStep(dataDir, user, async (draft) => {
      if (Deno.build.os === "windows") {
        await run(runtime.initdb, ["--pgdata", draft, ...initdbOptions(runtime)], user);
      } else {
        await run("cp", ["-R", `${pristine}/.`, draft], user);
      }
    });
  } catch (error) {
    const reason = reasonOf(error).replace(/\.[0-9a-f]{8}-[0-9a-f-]{27}/g, "");
    throw new StartError(`Cannot make a database in ${dataDir} as ${reason}`);
  }
}

/**
 * Deletes a cluster. A folder that contains something else is left alone.
 *
 * @throws {StartError} when it cannot be deleted.
 */
export async function deleteCluster(dataDir: string): Promise<void> {
  if (!await isCluster(dataDir)) return;
  try {
    await Deno.remove(dataDir, { recursive: true });
  } catch (error) {
    throw new StartError(`Cannot delete the database in ${dataDir} as ${reasonOf(error)}`);
  }
}

/**
 * Gives the roles of the platform this password and lets nobody connect without one, unless that was
 * done before. Also protects a cluster of an older version, and one whose password was lost.
 *
 * @throws {StartError} when the password cannot be set.
 */
export async function protectCluster(
  runtime: PostgresRuntime,
  dataDir: string,
  user: ServerUser,
  password: string,
): Promise<void> {
  const file = `${dataDir}/pg_hba.conf`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(password));
  // The digest tells which password was set. Nobody can guess a random password from it.
  const rules = `# The password's SHA-256 is ${new Uint8Array(digest).toHex()}
local all,replication all scram-sha-256
host all,replication all all scram-sha-256
`;
  if (await Deno.readTextFile(file).catch(() => "") === rules) return;
  await setPassword(runtime, dataDir, user, password);
  await Deno.writeTextFile(file, rules);
}

/** Uses the single-user mode, in which Postgres listens nowhere and asks for no password. */
async function setPassword(
  runtime: PostgresRuntime,
  dataDir: string,
  user: ServerUser,
  password: string,
): Promise<void> {
  // More iterations slow down whoever guesses, which is needless for a random password, and every login.
  const iterations = runtime.version >= 16 ? ["-c", "scram_iterations=1"] : [];
  const child = new Deno.Command(runtime.postgres, {
    args: ["--single", "-D", dataDir, "-c", "exit_on_error=on", ...iterations, "postgres"],
    cwd: "/",
    clearEnv: true,
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
    ...(user ?? {}),
  }).spawn();
  const output = child.output();
  // The statement goes through standard input, because everybody can read arguments. It is one line,
  // because a line break ends it.
  const statement = `
    do $$
    declare role_name text;
    begin
      for role_name in
        select rolname from pg_catalog.pg_roles
        where rolname in ('supabase_admin', 'postgres', 'authenticator')
      loop
        execute format('alter role %I password %L', role_name, '${password}');
      end loop;
    end
    $$`.replaceAll("\n", " ");
  await new Blob([`${statement}\n`]).stream().pipeTo(child.stdin).catch(() => {});

  const { success, stderr } = await output;
  if (success) return;
  const lines = new TextDecoder().decode(stderr).split("\n");
  const line = lines.find((each) => /\b(FATAL|PANIC):/.test(each)) ?? "it failed";
  throw new StartError(
    `Cannot set the password of the database in ${dataDir} as Postgres reports: ${
      line.replace(/^.*?\b(FATAL|PANIC):\s*/, "")
    }`,
  );
}

async function isCluster(folder: string): Promise<boolean> {
  return await Deno.stat(`${folder}/PG_VERSION`).then(() => true, () => false);
}

/** Fills a folder beside the target and renames it, so that a failed attempt leaves nothing. */
async function inOneStep(
  target: string,
  user: ServerUser,
  fill: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${target}.${crypto.randomUUID()}`;
  await Deno.mkdir(draft, { mode: 0o700 });
  try {
    if (user !== undefined) await Deno.chown(draft, user.uid, user.gid);
    await fill(draft);
    await Deno.rename(draft, target);
  } catch (error) {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    // Another process may have made the same cluster meanwhile.
    if (!await isCluster(target)) throw error;
  }
}

async function run(program: string, args: string[], user: ServerUser): Promise<void> {
  const process: BoundProcess = spawnBound(program, {
    args,
    cwd: "/",
    env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin" },
    onOrphaned: "KILL",
    ...(user === undefined ? {} : { user }),
  });
  if ((await process.ended).success) return;
  const lines = process.lastLines();
  const line = lines.findLast((each) => each.includes("error:")) ?? lines.at(-1) ?? "it failed";
  const hint = user === undefined
    ? ""
    : " (as root, Postgres runs as the user nobody, who must be able to reach that folder)";
  throw new Error(`${line.replace(/^\w+: (error: )?/, "")}${hint}`);
}
