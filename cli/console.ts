import denoJson from "../deno.json" with { type: "json" };
import { DEFAULT_PORT, startConsole } from "../console/server/start_console.ts";
import type { LocalStack } from "../console/server/deps.ts";
import { clerkFrom } from "../functions/clerk-worker/reconcile/clerk_api.ts";
import { readStatus } from "../functions/clerk-worker/status.ts";
import { createTokenIssuer } from "../local/clerk/token_issuer.ts";
import { readEnvironment, readTokenKey, readVariables } from "../local/env_file.ts";
import { stackHome } from "../local/postgres/home.ts";
import { refuseTakenPort } from "../local/postgres/postgres.ts";
import { StartError } from "../local/start_error.ts";
import { sentenceOf } from "../operations/sentence.ts";
import { connectProject, projectOf } from "./project.ts";
import { starterGone } from "./starter_gone.ts";
import { asTyped, firstSignal, flags, portFrom, runCommand } from "./usage.ts";

const HELP =
  `Serves the console on this machine: a page that shows deliveries, rows, the queue and runs, and acts on
them. \`deno task dev\` serves it for its own stack.

  deno task console
  deno task console --env .env.production

  --port N      port on 127.0.0.1 (${DEFAULT_PORT}, or a free one if that is taken); 0 picks a free one
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  SUPABASE_URL and SUPABASE_SECRET_KEY in the environment win over that file. The key stays in this
  process: the page never gets it. With CLERK_SECRET_KEY, the rows are compared with Clerk's own counts,
  and the page can start a reconcile.

  The URL it prints holds a token of this run. Whoever has it on this machine can do what the page can.

  Ctrl-C stops it. Exit codes: 0 stopped, 1 failed, 2 wrong usage.
`;

if (import.meta.main) await runCommand(serve, HELP);

async function serve(args: readonly string[]): Promise<number> {
  const { values } = flags(args, { port: { type: "string" }, env: { type: "string" } });
  const port = values.port === undefined ? undefined : portFrom("port", values.port);
  if (port !== undefined && port !== 0) refuseTakenPort(port, "--port");
  const stop = Promise.race([firstSignal("ends"), starterGone()]);
  const read = await readVariables(values.env);

  try {
    const project = projectOf(read);
    await readStatus(connectProject(read));
    await using server = startConsole({
      ...project,
      port,
      clerk: clerkFrom(read),
      local: await localStackOf(values.env),
      command: asTyped("deno task"),
      envFlag: values.env === undefined ? "" : ` --env ${values.env}`,
      cliVersion: denoJson.version,
      cache: stackHome,
      onError: (error) => console.error(error),
    });
    console.log(`Console of ${new URL(project.url).host}\n\n  ${server.url}\n\nCtrl-C stops it.`);
    await stop;
    return 0;
  } catch (error) {
    throw new StartError(sentenceOf(error, true));
  }
}

/** The stack of `dev` that the file describes; undefined for any other project. */
async function localStackOf(envFile: string | undefined): Promise<LocalStack | undefined> {
  try {
    const environment = await readEnvironment({ envFile });
    const { SUPABASE_URL: url, CLERK_WEBHOOK_URL: webhookUrl } = environment;
    if (new URL(url).hostname !== "127.0.0.1" || !webhookUrl.startsWith(`${url}/`)) {
      return undefined;
    }
    const issuer = await createTokenIssuer(url, await readTokenKey(envFile));
    return {
      databaseUrl: environment.DATABASE_URL,
      webhookUrl,
      signingSecret: environment.CLERK_WEBHOOK_SIGNING_SECRET,
      publishableKey: environment.SUPABASE_PUBLISHABLE_KEY,
      issueToken: issuer.sign,
    };
  } catch (error) {
    if (error instanceof StartError) return undefined;
    throw error;
  }
}
