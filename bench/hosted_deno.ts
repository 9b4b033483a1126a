import { npmFile } from "../cli/npm_file.ts";

const HOSTED_VERSION = "2.1.4";

const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64-glibc",
  "linux-aarch64": "linux-arm64-glibc",
  "darwin-x86_64": "darwin-x64",
  "darwin-aarch64": "darwin-arm64",
  "windows-x86_64": "win32-x64",
};

/** Path of the Deno that hosted Supabase runs, from the npm registry. */
export async function hostedDeno(): Promise<string> {
  const here = `${Deno.build.os}-${Deno.build.arch}`;
  const name = PACKAGES[here];
  if (name === undefined) throw new Error(`Cannot run Deno ${HOSTED_VERSION} on ${here}`);

  const program = Deno.build.os === "windows" ? "deno.exe" : "deno";
  return await npmFile(`@deno/${name}@${HOSTED_VERSION}`, program);
}
