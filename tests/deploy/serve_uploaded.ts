import { hostedDeno } from "../../bench/hosted_deno.ts";
import { spawnBound } from "../../local/process.ts";
import { settlesWithin } from "../../local/settles_within.ts";
import { writeFiles } from "./checkout_copy.ts";
import type { Deployment } from "./management_api.ts";

/** A function in a folder that holds nothing but what was uploaded. */
export interface Uploaded extends AsyncDisposable {
  /** Where it listens, once it does. */
  url(): Promise<string>;
  readonly ended: Promise<Deno.CommandStatus>;
  /** The last lines that it wrote. */
  output(): string;
}

/** Starts what was uploaded on the Deno of hosted Supabase, in an environment that holds nothing else of ours. */
export async function serveUploaded(
  { files, metadata }: Deployment,
  env: Readonly<Record<string, string>>,
): Promise<Uploaded> {
  const deno = await hostedDeno();
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-uploaded-" });
  await writeFiles(folder, files);

  const listening = Promise.withResolvers<string>();
  const child = spawnBound(deno, {
    args: [
      "serve",
      "--no-config",
      // The CLI names none for a function without one.
      ...(metadata.import_map_path ? [`--import-map=${metadata.import_map_path}`] : []),
      "--no-lock",
      "--node-modules-dir=none",
      "--no-prompt",
      "--allow-env",
      "--allow-net",
      "--host=127.0.0.1",
      "--port=0",
      metadata.entrypoint_path,
    ],
    cwd: folder,
    env: {
      DENO_TLS_CA_STORE: "mozilla,system",
      ...withoutOurs(Deno.env.toObject()),
      NO_COLOR: "1",
      ...env,
    },
    onOrphaned: "KILL",
    onLine: (line) => {
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      if (url !== undefined) listening.resolve(url);
    },
  });
  const output = (): string => child.lastLines().join("\n");

  return {
    url: () =>
      Promise.race([
        listening.promise,
        child.ended.then(() => {
          throw new Error(`Cannot reach what was uploaded as it ended:\n${output()}`);
        }),
      ]),
    ended: child.ended,
    output,
    [Symbol.asyncDispose]: async () => {
      child.signal("SIGTERM");
      if (!await settlesWithin(child.ended, 5_000)) child.signal("SIGKILL");
      await child.ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** An environment in which the function finds nothing of its own. */
function withoutOurs(env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(SUPABASE|CLERK)_/.test(name)),
  );
}
