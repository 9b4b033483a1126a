import { readEnvironment, readTokenKey } from "../env_file.ts";
import { createTokenIssuer, type SessionClaims } from "./token_issuer.ts";

/**
 * Makes a session token that the running local stack accepts.
 *
 * @param envFile the file that `dev` wrote; `.local/env` by default.
 * @throws {StartError} when no stack can be found.
 */
export async function sessionToken(
  session: SessionClaims,
  envFile?: string | URL,
): Promise<string> {
  const environment = await readEnvironment({ envFile, names: ["SUPABASE_URL"] });
  const issuer = await createTokenIssuer(environment.SUPABASE_URL, await readTokenKey(envFile));
  return await issuer.sign(session);
}
