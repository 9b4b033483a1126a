import { cpuUsage } from "node:process";
import postgres from "postgres";
import { createApi } from "../../local/api/api.ts";
import { createDatabase, dropDatabase, withConnection } from "../../local/postgres/databases.ts";
import { type EdgeFunction, startEdgeFunction } from "../../local/functions/edge_function.ts";
import { generateKeys } from "../../local/keys.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import { createTokenIssuer } from "../../local/clerk/token_issuer.ts";
import type { PostgresServer } from "../../local/postgres/postgres.ts";
import { backendsOf, cpuOf } from "../cpu_time.ts";
import { createLeanApi } from "./lean_api.ts";

/** What the functions speak to: the stack's own API, or one that costs no more than PostgREST. */
export const APIS = ["lean", "local"] as const;
export type ApiName = typeof APIS[number];

/** CPU time so far, in seconds. */
export interface CpuTime {
  /** The processes that serve this database. */
  readonly postgres: number;
  readonly function: number;
  /** This process, which is the API and the senders. */
  readonly rest: number;
}

/** A way to handle Clerk's webhook. */
export interface Approach {
  readonly name: string;
  /** The function's folder or file. */
  readonly entrypoint: URL;
  /** The table of users. */
  readonly table: "public.profiles" | "public.users";
  /** SQL that makes its tables; absent for ours, which has migrations. */
  readonly tables?: URL;
}

const HANDLERS = new URL("../handlers/", import.meta.url);

export const OURS: Approach = {
  name: "clerk-sync",
  entrypoint: new URL("../../functions/clerk-webhook/index.ts", import.meta.url),
  table: "public.profiles",
};

export const INSERT_UPDATE = rival("insert, update", "insert_update.ts");
export const SELECT_THEN_WRITE = rival("select, then write", "select_then_write.ts");
export const CLAIM_WORK_COMPLETE = rival("claim, work, complete", "claim_work_complete.ts");

function rival(name: string, file: string): Approach {
  return {
    name,
    entrypoint: new URL(file, HANDLERS),
    table: "public.users",
    tables: new URL("tables.sql", HANDLERS),
  };
}

/** A running approach, with its own database, APIs and process. */
export interface Contender extends AsyncDisposable {
  readonly approach: Approach;
  readonly signingSecret: string;
  /** As the owner of the tables. */
  readonly sql: postgres.Sql;
  /** Where the function listens now. */
  url(): string;
  /** Which API answers from now on. At first it is the local one. */
  use(api: ApiName): void;
  /** Number of requests to the API so far. */
  requests(): number;
  /** NaN where the system has no `/proc`. */
  cpuTime(): Promise<CpuTime>;
  /** SIGKILL, then a new process. */
  crash(): Promise<void>;
}

type Server = Pick<PostgresServer, "superuserUrl" | "url" | "roleUrl">;

/** Starts an approach with a new database on this server. */
export async function start(approach: Approach, server: Server): Promise<Contender> {
  const database = `bench_${crypto.randomUUID().replaceAll("-", "")}`;
  const { tables } = approach;
  await createDatabase(server, database);
  if (tables === undefined) {
    await migrate(server.url(database));
  } else {
    const text = await Deno.readTextFile(tables);
    await withConnection(server.url(database), async (sql) => await sql.unsafe(text).simple());
  }

  const keys = await generateKeys();
  const issuer = "http://127.0.0.1";
  const tokens = await createTokenIssuer(issuer, keys.tokenKey);
  const options = {
    database: server.roleUrl("authenticator", database),
    introspection: server.superuserUrl(database),
    keys,
    trust: { issuer, jwks: tokens.jwks() },
  };
  const local = createApi(options);
  await local.warmUp();
  const apis = { lean: await createLeanApi(options), local };
  let used: ApiName = "local";
  let requests = 0;
  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      requests++;
      return apis[used].fetch(request);
    },
  );
  const apiHost = `127.0.0.1:${listener.addr.port}`;

  const startFunction = (): Promise<EdgeFunction> =>
    startEdgeFunction({
      name: approach.name,
      entrypoint: approach.entrypoint,
      reaches: [apiHost],
      env: {
        SUPABASE_URL: `http://${apiHost}`,
        SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: keys.clerkIngest }),
        // NOTE: for the rivals. Ours uses its own key, whose role can only ingest.
        SUPABASE_SERVICE_ROLE_KEY: keys.secret,
        CLERK_WEBHOOK_SIGNING_SECRET: keys.signingSecret,
      },
    });
  let process = await startFunction();
  const sql = postgres(server.url(database), { max: 1, onnotice: () => {} });

  return {
    approach,
    signingSecret: keys.signingSecret,
    sql,
    url: () => process.url,
    use: (api) => {
      used = api;
    },
    requests: () => requests,
    cpuTime: async () => {
      const postgres = cpuOf(await backendsOf(sql));
      const { user, system } = cpuUsage();
      return { postgres, function: cpuOf([process.pid]), rest: (user + system) / 1e6 };
    },
    crash: async () => {
      await process.kill();
      process = await startFunction();
    },
    [Symbol.asyncDispose]: async () => {
      await process.stop();
      await listener.shutdown();
      await Promise.all([apis.lean.close(), apis.local.close(), sql.end({ timeout: 5 })]);
      await dropDatabase(server, database);
    },
  };
}
