import { parseArgs } from "node:util";
import { sessionToken } from "../local/clerk/session_token.ts";
import type { SessionClaims } from "../local/clerk/token_issuer.ts";
import { complain, UsageError, withoutDashes } from "./usage.ts";

const HELP = `Prints a Clerk-shaped session token that the local stack accepts.

  deno task token --sub user_ada
  deno task token --sub user_ada --org org_acme --role admin

  --sub ID         whose token it is: user_…
  --org ID         the active organization: org_…
  --role ROLE      the person's role in it (member)
  --env-file FILE  where \`deno task dev\` wrote how to reach it (.local/env)
`;

if (import.meta.main) await complain(() => token(Deno.args));

/** Runs the command. Only the token goes to standard output. */
async function token(args: readonly string[]): Promise<number> {
  const request = parse(args);
  console.log(request === "help" ? HELP : await sessionToken(request.session, request.envFile));
  return 0;
}

function parse(
  args: readonly string[],
): { session: SessionClaims; envFile: string | undefined } | "help" {
  let values;
  try {
    values = parseArgs({
      args: withoutDashes(args),
      options: {
        sub: { type: "string" },
        org: { type: "string" },
        role: { type: "string" },
        "env-file": { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(". ")[0]}. See --help`);
  }
  const { sub, org, role, help } = values;
  if (help) return "help";
  if (sub === undefined) {
    throw new UsageError("Cannot make a token as it is not said for whom: add --sub user_ada");
  }
  if (!/^user_\w+$/.test(sub)) {
    throw new UsageError(`Cannot use --sub ${sub} as it is no Clerk user id: user_…`);
  }
  if (org !== undefined && !/^org_\w+$/.test(org)) {
    throw new UsageError(`Cannot use --org ${org} as it is no Clerk organization id: org_…`);
  }
  if (role !== undefined && org === undefined) {
    throw new UsageError("Cannot use --role alone as it is a role in an organization: add --org");
  }
  return {
    session: {
      sub,
      ...(org === undefined ? {} : { org }),
      ...(role === undefined ? {} : { role }),
    },
    envFile: values["env-file"],
  };
}
