import postgres from "postgres";
import { withConnection } from "../../local/postgres/databases.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";

/**
 * A stand-in for the part of the Supabase Management API that we and the Supabase CLI call
 * (https://supabase.com/docs/reference/api).
 */
export interface ManagementApiStandIn extends AsyncDisposable {
  /** The reference of the one project there is. */
  readonly projectRef: string;
  /** The personal access token that it accepts. */
  readonly token: string;
  /** Where it listens. */
  readonly url: string;
  /** A profile for the CLI's flag `--profile`, as YAML. */
  readonly profile: string;
  /** What was deployed, in order. */
  readonly deployments: readonly Deployment[];
  readonly apiKeys: StandInKey[];
  /** The functions' secrets, with their values. */
  readonly secrets: Map<string, string>;
  readonly thirdPartyAuth: StandInThirdPartyAuth[];
  /** Each request as `POST /secrets`, in order; the path is that below the project's. */
  readonly requests: string[];
  /** The statuses with which requests fail until they are removed, by what `requests` calls them. */
  readonly failures: Map<string, number>;
}

export interface StandInKey {
  readonly id: string;
  readonly name: string;
  readonly type: "secret" | "publishable";
  readonly api_key: string;
  readonly secret_jwt_template: { readonly role: string } | null;
}

export interface StandInThirdPartyAuth {
  readonly id: string;
  readonly type: string;
  readonly oidc_issuer_url: string | null;
  readonly jwks_url: string | null;
}

/** One `POST /v1/projects/{ref}/functions/deploy`. */
export interface Deployment {
  readonly slug: string | null;
  readonly metadata: {
    readonly name: string;
    readonly entrypoint_path: string;
    readonly import_map_path?: string;
    readonly static_patterns: readonly string[];
    readonly verify_jwt: boolean;
  };
  /** Texts by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** The database of the project. */
export interface StandInDatabase {
  readonly server: PostgresAddress;
  readonly name: string;
}

/**
 * Starts the stand-in on a free port of 127.0.0.1.
 *
 * @param database what queries reach; none by default
 */
export function startManagementApi(database?: StandInDatabase): ManagementApiStandIn {
  const projectRef = randomText(20, "abcdefghijklmnopqrstuvwxyz");
  const token = `sbp_${randomText(40, "0123456789abcdef")}`;
  const deployments: Deployment[] = [];
  const apiKeys: StandInKey[] = [
    aKey("default", "publishable", null),
    aKey("default", "secret", "service_role"),
  ];
  const secrets = new Map<string, string>();
  const thirdPartyAuth: StandInThirdPartyAuth[] = [];
  const requests: string[] = [];
  const failures = new Map<string, number>();

  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const [, ref, path = ""] = /^\/v1\/projects\/([^/]+)(.*)$/.exec(pathname) ?? [];
      const call = `${request.method} ${path || "/"}`;
      requests.push(call);
      if (request.headers.get("authorization") !== `Bearer ${token}`) {
        return failure(401, "Unauthorized");
      }
      const status = failures.get(call);
      if (status !== undefined) return failure(status, "Out of order");
      if (ref !== projectRef) return failure(404, "Project not found");

      switch (call) {
        case "GET /":
          return Response.json(project(projectRef));
        case "GET /api-keys":
          return Response.json(
            searchParams.get("reveal") === "true"
              ? apiKeys
              : apiKeys.map((key) => ({ ...key, api_key: `${key.api_key.slice(0, 15)}······` })),
          );
        case "POST /api-keys": {
          const { name, type, secret_jwt_template: template } = await request.json();
          if (!/^[a-z_][a-z0-9_]{3,63}$/.test(name)) return failure(400, "Invalid name");
          if (apiKeys.some((key) => key.type === type && key.name === name)) {
            return failure(400, "An API key with this name exists");
          }
          apiKeys.push(aKey(name, type, template?.role ?? null));
          return Response.json(apiKeys.at(-1), { status: 201 });
        }
        case "GET /secrets":
          return Response.json(
            await Promise.all([...secrets].map(async ([name, value]) => ({
              name,
              value: await sha256(value),
              updated_at: "2026-11-01T00:00:00.000Z",
            }))),
          );
        case "POST /secrets": {
          const given: { name: string; value: string }[] = await request.json();
          if (given.some(({ name }) => name.startsWith("SUPABASE_"))) {
            return failure(400, "Secret name must not start with the SUPABASE_ prefix.");
          }
          given.forEach(({ name, value }) => secrets.set(name, value));
          return new Response(null, { status: 201 });
        }
        case "GET /functions":
          return Response.json(await functionsIn(projectRef, deployments));
        case "POST /functions/deploy": {
          const slug = searchParams.get("slug");
          deployments.push({ slug, ...await readUpload(request) });
          const functions = await functionsIn(projectRef, deployments);
          return Response.json(functions.find((each) => each.slug === slug), { status: 201 });
        }
        case "GET /config/auth/third-party-auth":
          return Response.json(thirdPartyAuth);
        case "POST /config/auth/third-party-auth": {
          const { oidc_issuer_url: issuer } = await request.json();
          thirdPartyAuth.push({
            id: crypto.randomUUID(),
            type: "oidc",
            oidc_issuer_url: issuer,
            jwks_url: null,
          });
          return Response.json(thirdPartyAuth.at(-1), { status: 201 });
        }
        case "POST /database/query":
        case "POST /database/query/read-only": {
          if (database === undefined) return failure(544, "No database");
          const { query, parameters, read_only } = await request.json();
          return await answerQuery(
            database,
            query,
            parameters,
            read_only === true || path.endsWith("/read-only"),
          );
        }
        default:
          return failure(404, "Not Found");
      }
    },
  );

  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    projectRef,
    token,
    url,
    profile: [
      "name: stand-in",
      `api_url: ${url}`,
      `dashboard_url: ${url}`,
      "project_host: supabase.co",
      "",
    ].join("\n"),
    deployments,
    apiKeys,
    secrets,
    thirdPartyAuth,
    requests,
    failures,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function failure(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

/** As on Supabase, a query is one that may write, as `postgres`, or one that reads, as a role that can read all. */
async function answerQuery(
  { server, name }: StandInDatabase,
  query: string,
  parameters: readonly (string | number | boolean | null)[] = [],
  isReadOnly: boolean,
): Promise<Response> {
  try {
    if (!isReadOnly) {
      const rows = await withConnection(server.url(name), (sql) => run(sql, query, parameters));
      return Response.json(rows, { status: 201 });
    }
    const rows = await withConnection(
      server.superuserUrl(name),
      (sql) =>
        sql.begin(async (reader) => {
          await reader.unsafe(READER).simple();
          return await run(reader, query, parameters);
        }),
    );
    return Response.json(rows, { status: 201 });
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    return failure(400, `Failed to run sql query: ERROR:  ${error.code}: ${error.message}`);
  }
}

const READER = `
  do $$
  begin
    create role supabase_read_only_user nologin bypassrls in role pg_read_all_data;
  exception when duplicate_object or unique_violation then
    null;
  end
  $$;
  set local role supabase_read_only_user;
  set transaction read only;
`;

/** The rows of the last statement. */
async function run(
  sql: postgres.ISql,
  query: string,
  parameters: readonly (string | number | boolean | null)[],
): Promise<unknown> {
  if (parameters.length > 0) return await sql.unsafe(query, [...parameters]);
  const results = await sql.unsafe(query).simple();
  return Array.isArray(results[0]) ? results.at(-1) : results;
}

async function readUpload(request: Request): Promise<Omit<Deployment, "slug">> {
  const form = await request.formData();
  const files: Record<string, string> = {};
  for (const part of form.getAll("file")) {
    if (part instanceof File) files[part.name] = await part.text();
  }
  return { metadata: JSON.parse(String(form.get("metadata"))), files };
}

function project(ref: string): unknown {
  return {
    id: ref,
    ref,
    name: "stand-in",
    organization_id: "stand-in",
    organization_slug: "stand-in",
    region: "eu-central-1",
    status: "ACTIVE_HEALTHY",
    created_at: "2026-11-01T00:00:00Z",
    database: {
      host: `db.${ref}.supabase.co`,
      version: "17.6.1",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
}

interface StandInFunction {
  readonly slug: string | null;
}

/** The functions, as the API lists them. */
async function functionsIn(
  ref: string,
  deployments: readonly Deployment[],
): Promise<StandInFunction[]> {
  const slugs = new Set(deployments.map(({ slug }) => slug));
  return await Promise.all([...slugs].map(async (slug) => {
    const ours = deployments.filter((each) => each.slug === slug);
    const { metadata, files } = ours.at(-1) as Deployment;
    const source = `file:///tmp/user_fn_${ref}_${ours.length}/source`;
    return {
      id: crypto.randomUUID(),
      slug,
      name: slug,
      version: ours.length,
      status: "ACTIVE",
      created_at: 1793491200000,
      updated_at: 1793491200000 + ours.length,
      verify_jwt: metadata.verify_jwt,
      import_map: Boolean(metadata.import_map_path),
      entrypoint_path: `${source}/${metadata.entrypoint_path}`,
      ezbr_sha256: await sha256(JSON.stringify(files)),
    };
  }));
}

function aKey(
  name: string,
  type: StandInKey["type"],
  role: string | null,
): StandInKey {
  return {
    id: crypto.randomUUID(),
    name,
    type,
    api_key: `sb_${type}_${randomText(31, "abcdefghijklmnopqrstuvwxyz0123456789")}`,
    secret_jwt_template: role === null ? null : { role },
  };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function randomText(length: number, alphabet: string): string {
  const random = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(random, (byte) => alphabet.charAt(byte % alphabet.length)).join("");
}
