import { sessionToken } from "../local/clerk/session_token.ts";
import type { SessionClaims } from "../local/clerk/token_issuer.ts";
import { flags, runCommand, UsageError } from "./usage.ts";

const HELP = `Prints a session token that looks like Clerk's and that the local stack accepts.

  deno task token --sub user_ada
  deno task token --sub user_ada --org org_acme --role admin

  --sub ID             the user: user_…
  --org ID             the user's active organization: org_…
  --role ROLE          the user's role in that organization (member)
  --sts STATUS         the status of the session: active, or pending while a session task is open (active)
  --act ID             the user who impersonates --sub: user_…
  --claims JSON        more claims, which override the others: '{"app_role": "editor"}'
  --claims-version N   2, or 1 for org_id and org_role as in older instances (2)
  --env FILE           reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias
`;

if (import.meta.main) await runCommand(token, HELP);

/** Runs the command. Only the token goes to standard output. */
async function token(args: readonly string[]): Promise<number> {
  const { session, envFile } = parse(args);
  console.log(await sessionToken(session, envFile));
  return 0;
}

function parse(
  args: readonly string[],
): { session: SessionClaims; envFile: string | undefined } {
  const { values: { sub, org, role, sts, act, env, ...values } } = flags(args, {
    sub: { type: "string" },
    org: { type: "string" },
    role: { type: "string" },
    sts: { type: "string" },
    act: { type: "string" },
    claims: { type: "string" },
    "claims-version": { type: "string" },
    env: { type: "string" },
  });
  if (sub === undefined) {
    throw new UsageError("Cannot make a token without a user: add --sub user_ada");
  }
  for (const [flag, id] of [["sub", sub], ["act", act]] as const) {
    if (id !== undefined && !/^user_\w+$/.test(id)) {
      throw new UsageError(`Cannot use --${flag} ${id}: Clerk's user ids begin with user_`);
    }
  }
  if (org !== undefined && !/^org_\w+$/.test(org)) {
    throw new UsageError(`Cannot use --org ${org}: Clerk's organization ids begin with org_`);
  }
  if (role !== undefined && org === undefined) {
    throw new UsageError("Cannot use --role without an organization: add --org org_acme");
  }
  if (sts !== undefined && sts !== "active" && sts !== "pending") {
    throw new UsageError(`Cannot use --sts ${sts}: a session with a token is active or pending`);
  }
  const claims = claimsIn(values.claims);
  const version = versionIn(values["claims-version"]);
  return {
    session: {
      sub,
      ...(org === undefined ? {} : { org }),
      ...(role === undefined ? {} : { role }),
      ...(sts === undefined ? {} : { status: sts }),
      ...(act === undefined ? {} : { impersonator: act }),
      ...(claims === undefined ? {} : { claims }),
      ...(version === undefined ? {} : { version }),
    },
    envFile: env,
  };
}

function claimsIn(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === "object" && claims !== null && !Array.isArray(claims)) {
      return { ...claims };
    }
  } catch {
    // Not JSON is refused like any other value.
  }
  throw new UsageError(
    `Cannot use --claims ${text}: it must be a JSON object, as in '{"app_role": "editor"}'`,
  );
}

function versionIn(text: string | undefined): 1 | 2 | undefined {
  if (text === undefined) return undefined;
  if (text === "1") return 1;
  if (text === "2") return 2;
  throw new UsageError(`Cannot use --claims-version ${text}: Clerk's versions are 1 and 2`);
}
