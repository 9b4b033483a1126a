import { reasonOf, StartError } from "../local/start_error.ts";

const TOKENS_PAGE = "https://supabase.com/dashboard/account/tokens";

/**
 * The reference of the project that a command works on: the given one, else that of the project to which
 * the Supabase CLI linked the folder. A preview branch has a reference of its own.
 *
 * @param dir the folder that contains `supabase/`
 * @throws {StartError} when there is none, or it is malformed
 */
export async function projectRef(dir: string, given: string | undefined): Promise<string> {
  const ref = given ?? await textIfThere(`${dir}/supabase/.temp/project-ref`);
  if (ref === undefined) {
    throw new StartError(
      "Cannot tell which project to use as this folder is not linked: add --project-ref with the 20 letters in the project's URL, or run `npx -y supabase@3.1.0 link`",
    );
  }
  if (/^[a-z]{20}$/.test(ref)) return ref;
  throw new StartError(
    `Cannot use ${
      given === undefined ? "supabase/.temp/project-ref" : "--project-ref"
    } ${ref}: a project's reference is the 20 letters in its URL`,
  );
}

/**
 * The personal access token of Supabase: `SUPABASE_ACCESS_TOKEN`, else what `supabase login` wrote into
 * a file. Where the system has a keyring, the CLI keeps it there, and only the variable is left.
 *
 * @throws {StartError} when there is none, or it is malformed
 */
export async function accessToken(): Promise<string> {
  const home = Deno.env.get("SUPABASE_HOME") ??
    `${Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE")}/.supabase`;
  const token = Deno.env.get("SUPABASE_ACCESS_TOKEN")?.trim() ||
    await textIfThere(`${home}/access-token`);
  if (token === undefined) {
    throw new StartError(
      `Cannot reach the Management API as SUPABASE_ACCESS_TOKEN is not set: make a token on ${TOKENS_PAGE}`,
    );
  }
  if (/^sbp_(?:oauth_)?[a-f0-9]{40}$/.test(token)) return token;
  throw new StartError(
    `Cannot use the access token as it is no sbp_ with 40 digits: make one on ${TOKENS_PAGE}, and set SUPABASE_ACCESS_TOKEN`,
  );
}

async function textIfThere(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).trim() || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new StartError(`Cannot read ${path} as ${reasonOf(error)}`);
  }
}
