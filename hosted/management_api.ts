import { z } from "zod";
import { reasonOf, StartError } from "../local/start_error.ts";
import type { Platform } from "./platform.ts";

/** The Management API cannot be used. The message is a sentence for an operator. */
export class ManagementApiError extends StartError {
  override name = "ManagementApiError";
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/**
 * The part of Supabase's Management API that is used here, for one project
 * (https://supabase.com/docs/reference/api). Every method throws a {@link ManagementApiError}.
 */
export interface ManagementApi {
  project(): Promise<HostedProject>;
  /** The API keys, without their values. */
  apiKeys(): Promise<readonly ApiKey[]>;
  /** Makes a secret API key with a Postgres role. */
  createApiKey(key: { readonly name: string; readonly role: string }): Promise<void>;
  /** The names of the functions' secrets, each with the SHA-256 of its value in hexadecimal digits. */
  secrets(): Promise<ReadonlyMap<string, string>>;
  /** Adds secrets, or replaces their values. */
  setSecrets(values: Readonly<Record<string, string>>): Promise<void>;
  functions(): Promise<readonly HostedFunction[]>;
  /** Who else signs session tokens that the project accepts. */
  thirdPartyAuth(): Promise<readonly ThirdPartyAuth[]>;
  /** Accepts the session tokens of another issuer, by its URL. */
  addThirdPartyAuth(issuer: string): Promise<void>;
  /** Runs one SQL statement as `postgres`, and returns its rows. */
  query(sql: string, parameters?: readonly Json[]): Promise<readonly Row[]>;
  /** Runs one SQL statement that cannot write, and returns its rows. */
  readOnlyQuery(sql: string, parameters?: readonly Json[]): Promise<readonly Row[]>;
}

export type Row = Readonly<Record<string, unknown>>;

export type Json = string | number | boolean | null | readonly Json[];

const HostedProject = z.object({
  ref: z.string(),
  name: z.string(),
  /** `ACTIVE_HEALTHY` when it can be used. */
  status: z.string(),
  database: z.object({ version: z.string() }),
});
export type HostedProject = z.infer<typeof HostedProject>;

const ApiKey = z.object({
  name: z.string(),
  type: z.string().nullish(),
  secret_jwt_template: z.looseObject({ role: z.string().optional() }).nullish(),
});
export type ApiKey = z.infer<typeof ApiKey>;

const HostedFunction = z.object({
  slug: z.string(),
  status: z.string(),
  /** Counts its deploys. */
  version: z.number(),
  verify_jwt: z.boolean().optional(),
  entrypoint_path: z.string().optional(),
  /** The digest of what runs: Supabase's own bundle of what was uploaded. */
  ezbr_sha256: z.string().optional(),
  updated_at: z.number(),
});
export type HostedFunction = z.infer<typeof HostedFunction>;

const ThirdPartyAuth = z.object({
  id: z.string(),
  type: z.string(),
  oidc_issuer_url: z.string().nullish(),
  jwks_url: z.string().nullish(),
});
export type ThirdPartyAuth = z.infer<typeof ThirdPartyAuth>;

const Secret = z.object({ name: z.string(), value: z.string() });
const Rows = z.array(z.record(z.string(), z.unknown()));
const Failure = z.object({ message: z.string() });

/** Time limit of one request, ms. A query may wait for locks. */
const PATIENCE = 60_000;

/** Reaches the Management API with a personal access token. */
export function createManagementApi(
  { apiUrl }: Pick<Platform, "apiUrl">,
  ref: string,
  token: string,
): ManagementApi {
  const ask = async <Body>(
    method: "GET" | "POST",
    path: string,
    read: (body: unknown) => Body,
    body?: unknown,
  ): Promise<Body> => {
    const what = `${method} ${path || "the project"}`;
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${apiUrl}/v1/projects/${ref}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          "user-agent": "clerk-sync",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE),
      });
      status = response.status;
      text = await response.text();
    } catch (error) {
      throw new ManagementApiError(
        `Cannot reach ${apiUrl} as ${reasonOf(error)}: check the network`,
      );
    }
    if (status >= 300) throw new ManagementApiError(sentence(status, text, ref, what), status);
    try {
      return read(text === "" ? undefined : JSON.parse(text));
    } catch {
      throw new ManagementApiError(`Cannot understand the Management API's answer to ${what}`);
    }
  };
  const list = <Item>(path: string, item: z.ZodType<Item>): Promise<readonly Item[]> =>
    ask("GET", path, (body) => z.array(item).parse(body));
  const nothing = (): void => {};
  const query = (sql: string, parameters: readonly Json[] | undefined, path = ""): Promise<Row[]> =>
    ask("POST", `/database/query${path}`, (body) => Rows.parse(body), {
      query: sql,
      ...(parameters === undefined ? {} : { parameters }),
    });

  return {
    project: () => ask("GET", "", (body) => HostedProject.parse(body)),
    apiKeys: () => list("/api-keys", ApiKey),
    createApiKey: ({ name, role }) =>
      ask("POST", "/api-keys", nothing, {
        type: "secret",
        name,
        secret_jwt_template: { role },
      }),
    secrets: async () =>
      new Map((await list("/secrets", Secret)).map(({ name, value }) => [name, value])),
    setSecrets: (values) =>
      ask(
        "POST",
        "/secrets",
        nothing,
        Object.entries(values).map(([name, value]) => ({ name, value })),
      ),
    functions: () => list("/functions", HostedFunction),
    thirdPartyAuth: () => list("/config/auth/third-party-auth", ThirdPartyAuth),
    addThirdPartyAuth: (issuer) =>
      ask("POST", "/config/auth/third-party-auth", nothing, { oidc_issuer_url: issuer }),
    query: (sql, parameters) => query(sql, parameters),
    readOnlyQuery: (sql, parameters) => query(sql, parameters, "/read-only"),
  };
}

function sentence(status: number, text: string, ref: string, what: string): string {
  if (status === 401) {
    return "Cannot use the Management API as it does not accept the access token: make one on https://supabase.com/dashboard/account/tokens, and set SUPABASE_ACCESS_TOKEN";
  }
  if (status === 403) {
    return `Cannot change project ${ref} as the access token may not (${what}): use the token of an owner or an administrator of its organization`;
  }
  if (status === 404 && what === "GET the project") {
    return `Cannot find project ${ref}: check the reference, and that the access token is of a member of its organization`;
  }
  return `Cannot go on as the Management API answers ${status} to ${what}${reason(text)}`;
}

function reason(text: string): string {
  try {
    return `: ${Failure.parse(JSON.parse(text)).message.split("\n")[0]}`;
  } catch {
    return "";
  }
}
