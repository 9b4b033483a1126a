import { fileURLToPath } from "node:url";
import { createApi } from "../../local/api/api.ts";
import { createTokenIssuer, generateTokenKey } from "../../local/clerk/token_issuer.ts";
import { forward } from "../../local/functions/proxy.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { onTerminal } from "../cli/terminal.ts";
import {
  type Deployment,
  type ManagementApiStandIn,
  type StandInDatabase,
  startManagementApi,
} from "./management_api.ts";
import { serveUploaded, type Uploaded } from "./serve_uploaded.ts";

/** A stand-in for a hosted project: its management, its database, its API and its functions. */
export interface HostedProject extends AsyncDisposable {
  readonly api: ManagementApiStandIn;
  readonly database: StandInDatabase;
  /** The URL of its API and functions. */
  readonly url: string;
  /** Answers instead of the functions, while it is set. */
  gateway: ((name: string) => Response) | undefined;
  /** Runs `deploy` as people do, with the project's access token. */
  deploy(args: readonly string[], options?: DeployOptions): Promise<Run>;
}

export interface DeployOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed on a terminal, each as soon as a question is shown. Without it there is no terminal. */
  readonly typed?: readonly (readonly [question: string, answer: string])[];
}

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** What Supabase provides beside the platform's roles and schemas. The secrets are not encrypted. */
const VAULT = `
  create schema vault;
  create table vault.secrets (
    id uuid primary key default gen_random_uuid(), name text unique, secret text
  );
  create view vault.decrypted_secrets as
    select id, name, secret as decrypted_secret from vault.secrets;
  create function vault.create_secret(new_secret text, new_name text) returns uuid language sql as $$
    insert into vault.secrets (name, secret) values (new_name, new_secret) returning id
  $$;
  create function vault.update_secret(secret_id uuid, new_secret text) returns void language sql as $$
    update vault.secrets set secret = new_secret where id = secret_id
  $$;
  grant usage on schema vault to postgres;
  grant all on all tables in schema vault to postgres;
`;

const FUNCTION_PATH = /^\/functions\/v1\/([a-z-]+)/;

/** How a function is answered for. */
export type Serve = (
  deployment: Deployment,
  request: Request,
  project: HostedProject,
) => Promise<Response>;

/**
 * Starts a project.
 *
 * @param serve answers for a function that was deployed; by default it runs on hosted Supabase's Deno
 */
export async function startHostedProject(
  server: PostgresAddress,
  serve?: Serve,
): Promise<HostedProject> {
  const name = `hosted_${crypto.randomUUID().slice(0, 8)}`;
  await createDatabase(server, name);
  await withConnection(server.superuserUrl(name), (sql) => sql.unsafe(VAULT).simple());
  const database = { server, name };
  const api = startManagementApi(database);
  const profile = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(profile, api.profile);
  const running = createRuntime(api, database, () => project.url);

  const web = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/rest/v1")) return await running.rest(request);
      const slug = FUNCTION_PATH.exec(pathname)?.[1] ?? "";
      if (project.gateway !== undefined) return project.gateway(slug);
      const deployment = api.deployments.findLast((each) => each.slug === slug);
      if (deployment === undefined) {
        return Response.json({ code: "NOT_FOUND" }, { status: 404 });
      }
      if (deployment.metadata.verify_jwt) return GATEWAY_401();
      return await (serve ?? running.serve)(deployment, request, project);
    },
  );

  const project: HostedProject = {
    api,
    database,
    url: `http://127.0.0.1:${web.addr.port}`,
    gateway: undefined,
    deploy: (args, options = {}) =>
      runDeploy(args, options, {
        SUPABASE_ACCESS_TOKEN: api.token,
        STAND_IN: JSON.stringify({
          apiUrl: api.url,
          projectUrl: project.url,
          profile,
          databaseUrl: server.url(name),
        }),
      }),
    [Symbol.asyncDispose]: async () => {
      await web.shutdown();
      await running.stop();
      await api[Symbol.asyncDispose]();
      await dropDatabase(server, name);
      await Deno.remove(profile);
    },
  };
  return project;
}

/** The answer of Supabase's gateway to a request without a token. */
export function GATEWAY_401(): Response {
  return Response.json({ code: 401, message: "Missing authorization header" }, { status: 401 });
}

async function runDeploy(
  args: readonly string[],
  { env = {}, typed }: DeployOptions,
  own: Readonly<Record<string, string>>,
): Promise<Run> {
  const config = `${env.DEPLOY_ROOT ?? ROOT}/deno.json`;
  const script = `${ROOT}/tests/deploy/run_deploy.ts`;
  const words = [Deno.execPath(), "run", "-A", "--quiet", "--config", config, script, ...args];
  const [program = "", ...rest] = typed === undefined
    ? words
    : onTerminal(words[0] ?? "", words.slice(1)).flat();
  const child = new Deno.Command(program, {
    args: rest,
    cwd: ROOT,
    env: { NO_COLOR: "1", ...own, ...env },
    stdin: typed === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (typed === undefined) {
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();
    return { code, out: text(stdout), error: text(stderr) };
  }

  const input = child.stdin.getWriter();
  const questions = [...typed];
  let out = "";
  let seen = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    out += text;
    const [question, answer] = questions[0] ?? [];
    const at = question === undefined ? -1 : out.indexOf(question, seen);
    if (at < 0) continue;
    seen = at + 1;
    questions.shift();
    await input.write(new TextEncoder().encode(answer));
  }
  await input.close().catch(() => {});
  const error = await new Response(child.stderr).text();
  return { code: (await child.status).code, out: out.trim(), error: error.trim() };
}

interface Runtime {
  rest(request: Request): Promise<Response>;
  serve(deployment: Deployment, request: Request): Promise<Response>;
  stop(): Promise<void>;
}

/** Runs what was deployed, with the secrets and keys that the project has when a function starts. */
function createRuntime(
  api: ManagementApiStandIn,
  { server, name }: StandInDatabase,
  url: () => string,
): Runtime {
  const processes = new Map<Deployment, Promise<Uploaded>>();
  let rest: Promise<ReturnType<typeof createApi>> | undefined;
  const keyOf = (type: string, keyName: string): string =>
    api.apiKeys.find((key) => key.type === type && key.name === keyName)?.api_key ?? "none";
  const startRest = async (): Promise<ReturnType<typeof createApi>> =>
    createApi({
      database: server.roleUrl("authenticator", name),
      introspection: server.superuserUrl(name),
      keys: {
        publishable: keyOf("publishable", "default"),
        secret: keyOf("secret", "default"),
        clerkIngest: keyOf("secret", "clerk_ingest"),
        clerkWorker: keyOf("secret", "clerk_worker"),
      },
      trust: {
        issuer: url(),
        jwks: (await createTokenIssuer(url(), await generateTokenKey())).jwks(),
      },
    });
  const start = (deployment: Deployment): Promise<Uploaded> => {
    const secretKeys = api.apiKeys.filter(({ type }) => type === "secret");
    return serveUploaded(deployment, {
      ...Object.fromEntries(api.secrets),
      SUPABASE_URL: url(),
      SUPABASE_SECRET_KEYS: JSON.stringify(
        Object.fromEntries(secretKeys.map((key) => [key.name, key.api_key])),
      ),
    });
  };
  return {
    rest: async (request) => await (await (rest ??= startRest())).fetch(request),
    serve: async (deployment, request) => {
      const process = processes.get(deployment) ?? start(deployment);
      processes.set(deployment, process);
      return await forward(request, await (await process).url());
    },
    stop: async () => {
      await Promise.all(
        [...processes.values()].map(async (each) => await (await each)[Symbol.asyncDispose]()),
      );
      await (await rest)?.close();
    },
  };
}
