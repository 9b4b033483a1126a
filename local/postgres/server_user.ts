import { StartError } from "../start_error.ts";

/** The user that a server runs as; undefined when it is the current one. */
export type ServerUser = { uid: number; gid: number } | undefined;

/**
 * The user `nobody` for root, because Postgres refuses to run as root; otherwise undefined.
 *
 * @throws {StartError} when root has no such user.
 */
export async function serverUser(): Promise<ServerUser> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return undefined;
  const accounts = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const nobody = accounts.split("\n").map((line) => line.split(":"))
    .find(([name]) => name === "nobody");
  const [uid, gid] = [Number(nobody?.[2]), Number(nobody?.[3])];
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new StartError(
      "Cannot start Postgres as root as it refuses to run as root and /etc/passwd has no user nobody: run as another user",
    );
  }
  return { uid, gid };
}
