import { decodeJwt } from "jose";
import { sessionToken } from "../../local/clerk/session_token.ts";
import { StartError } from "../../local/start_error.ts";
import { type Finding, unknown, well, wrong } from "./check.ts";
import { ownPolicies } from "./database.ts";
import { type Installation, prefixOf } from "./installation.ts";

// Whether the project accepts the session tokens that Clerk issues.

const DASHBOARD = "Supabase dashboard → Authentication → Third-Party Auth → Clerk";
const SETUP = "https://dashboard.clerk.com/setup/supabase";

/** Who is asked for on a local stack. Nothing is written for them. */
const NOBODY = "user_doctor";

/** The `iss` of the token that was given, if there is one. */
function issuerIn({ read }: Installation): string | undefined {
  const token = read("CLERK_SESSION_TOKEN")?.trim();
  try {
    return token ? decodeJwt(token).iss : undefined;
  } catch {
    return undefined;
  }
}

export async function checkThirdPartyAuth(installation: Installation): Promise<Finding> {
  const { isLocal, management } = installation;
  if (isLocal) return well("The local stack accepts the tokens that it makes.");
  if (management === undefined) {
    return unknown("Without SUPABASE_ACCESS_TOKEN the project's settings cannot be read.");
  }
  const issuers = (await management.thirdPartyAuth()).map(({ oidc_issuer_url: url }) => url ?? "");
  const issuer = issuerIn(installation);
  if (issuer === undefined) {
    return issuers.length > 0 ? well(`Accepted issuers: ${issuers.join(", ")}.`) : wrong(
      "The project accepts no tokens of Clerk's: no issuer is set.",
      `Activate the integration on ${SETUP}, and add the domain that it shows: ${DASHBOARD}.`,
    );
  }
  if (issuers.map(withoutSlash).includes(withoutSlash(issuer))) {
    return well(`${issuer} is accepted.`);
  }
  return wrong(
    `The project does not accept ${issuer}, which issued CLERK_SESSION_TOKEN.`,
    `Run \`deno task doctor --fix\`, or add it: ${DASHBOARD}.`,
    {
      steps: [`adds ${issuer} to the project's third-party auth`],
      run: () => management.addThirdPartyAuth(issuer),
    },
  );
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

export async function checkSessionToken(installation: Installation): Promise<Finding> {
  const given = installation.read("CLERK_SESSION_TOKEN")?.trim();
  if (given) {
    const refusal = judgeClaims(given);
    if (refusal !== undefined) return refusal;
    return await tryToken(installation, given, "Supabase");
  }
  if (!installation.isLocal) {
    return unknown(
      "Set CLERK_SESSION_TOKEN to a token of a signed-in user (`await Clerk.session.getToken()` in the browser's console) to try it.",
    );
  }
  try {
    const token = await sessionToken({ sub: NOBODY }, installation.envFile);
    return await tryToken(installation, token, "The local stack");
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return unknown(`${error.message}.`);
  }
}

/** What is wrong with a token, as far as its claims say. */
function judgeClaims(token: string): Finding | undefined {
  let claims: ReturnType<typeof decodeJwt>;
  try {
    claims = decodeJwt(token);
  } catch {
    return wrong("CLERK_SESSION_TOKEN is no JWT.", "Copy the whole token: three parts with dots.");
  }
  if (claims.role !== "authenticated") {
    return wrong(
      `CLERK_SESSION_TOKEN has ${
        claims.role === undefined ? "no role" : `the role ${claims.role}`
      }, and Supabase needs "role": "authenticated".`,
      `Activate the integration on ${SETUP}, and copy a new token.`,
    );
  }
  if (!claims.sub?.startsWith("user_")) {
    return wrong(
      "The sub of CLERK_SESSION_TOKEN is no id of a Clerk user.",
      "Copy a session token, and not one of a template with another sub.",
    );
  }
  if (claims.sts === "pending") {
    return wrong(
      "CLERK_SESSION_TOKEN is of a pending session: the user has a task to finish, and counts as signed out.",
      "Finish the task in the application, and copy a new token.",
    );
  }
  if ((claims.exp ?? 0) * 1000 < Date.now()) {
    return unknown("CLERK_SESSION_TOKEN has expired. Tokens live for a minute: copy a new one.");
  }
  return undefined;
}

async function tryToken(
  { url, read, secretKey, inspect }: Installation,
  token: string,
  who: string,
): Promise<Finding> {
  const found = await inspect();
  const prefix = "value" in found ? prefixOf(found.value) : "";
  const { status, text } = await ask(
    `${url}/rest/v1/${prefix}profiles?select=id&limit=1`,
    read("SUPABASE_PUBLISHABLE_KEY")?.trim() || secretKey,
    token,
  );
  if (status === 200) return well(`${who} accepts one, and profiles can be read.`);
  if (status === 401) {
    return wrong(
      `${who} does not accept the token (401${codeIn(text)}).`,
      `Add the domain of your Clerk instance, and wait a minute: ${DASHBOARD}. See also the check third_party_auth.`,
    );
  }
  // A policy that casts Clerk's id to uuid fails with 22P02.
  const isPolicy = "value" in found && ownPolicies(found.value).failing.length > 0 &&
    codeIn(text) === " 22P02";
  return wrong(
    `Profiles cannot be read with the token (${status || "no answer"}${codeIn(text)}).`,
    isPolicy ? "See the check own_policies." : "See the checks migrations, rls and grants.",
  );
}

async function ask(
  url: string,
  apikey: string,
  token: string,
): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, {
      headers: { apikey, authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

function codeIn(text: string): string {
  const code = /"code":"(\w{1,40})"/.exec(text)?.[1];
  return code === undefined ? "" : ` ${code}`;
}
