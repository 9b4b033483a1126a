import { sessionToken } from "../local/clerk/session_token.ts";
import type { SessionClaims } from "../local/clerk/token_issuer.ts";
import { flags, runCommand, UsageError } from "./usage.ts";

const HELP = `Prints a session token that looks like Clerk's and that the local stack accepts.

  deno task token --sub user_ada
  deno task token --sub user_ada --org org_acme --role admin

  --sub ID      the user: user_…
  --org ID      the user's active organization: org_…
  --role ROLE   the user's role in that organization (member)
  --env FILE    the file that \`deno task dev\` wrote (.local/env); --env-file is an alias
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
  const { values: { sub, org, role, env } } = flags(args, {
    sub: { type: "string" },
    org: { type: "string" },
    role: { type: "string" },
    env: { type: "string" },
  });
  if (sub === undefined) {
    throw new UsageError("Cannot make a token without a user: add --sub user_ada");
  }
  if (!/^user_\w+$/.test(sub)) {
    throw new UsageError(`Cannot use --sub ${sub}: Clerk's user ids begin with user_`);
  }
  if (org !== undefined && !/^org_\w+$/.test(org)) {
    throw new UsageError(`Cannot use --org ${org}: Clerk's organization ids begin with org_`);
  }
  if (role !== undefined && org === undefined) {
    throw new UsageError("Cannot use --role without an organization: add --org org_acme");
  }
  return {
    session: {
      sub,
      ...(org === undefined ? {} : { org }),
      ...(role === undefined ? {} : { role }),
    },
    envFile: env,
  };
}
