import { type BoundProcess, spawnBound } from "../process.ts";
import type { PostgresRuntime } from "./runtime.ts";
import type { ServerUser } from "./server_user.ts";
import { reasonOf, StartError } from "../start_error.ts";

const INITDB = [
  "--username=supabase_admin",
  "--auth=trust",
  "--encoding=UTF8",
  "--locale=C",
  "--locale-provider=builtin",
  "--builtin-locale=C.UTF-8",
  "--no-sync",
  "--no-instructions",
];

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
        await run(runtime.initdb, ["--pgdata", draft, ...INITDB], user);
      });
    }
    await inOneStep(dataDir, user, async (draft) => {
      if (Deno.build.os === "windows") {
        await run(runtime.initdb, ["--pgdata", draft, ...INITDB], user);
      } else {
        await run("cp", ["-R", `${pristine}/.`, draft], user);
      }
    });
  } catch (error) {
    const reason = reasonOf(error).replace(/\.[0-9a-f]{8}-[0-9a-f-]{27}/g, "");
    throw new StartError(`Cannot make a database in ${dataDir} as ${reason}`);
  }
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
