import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { planInit } from "../../adopt/init.ts";
import { carryOut } from "../../adopt/plan.ts";
import { plain } from "../../cli/colour.ts";
import { runSupabase } from "../../cli/supabase_cli.ts";
import type { Finding, Fix } from "../../cli/checks/check.ts";
import { checkSigningSecret } from "../../cli/checks/endpoints.ts";
import type { Installation, Place } from "../../cli/checks/installation.ts";
import { BREACHES, checkStatus } from "../../cli/checks/sync.ts";
import { CHECKS, examine, format } from "../../cli/doctor.ts";
import { SUPABASE } from "../../hosted/platform.ts";
import { sha256 } from "../../hosted/sha256.ts";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { applyOurs } from "../../local/postgres/our_migrations.ts";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { type Services, startServices } from "../../local/services.ts";
import { anInstance, serveClerkApi } from "../clerk_api/clerk_api.ts";
import { startManagementApi } from "../deploy/management_api.ts";
import { aDatabase, push } from "../adopt/database.ts";
import { aProject, FIXTURES } from "../adopt/projects.ts";
import { startWithExtensions } from "../supabase/stand_in_extensions.ts";
import { type TestDatabase, withTestDatabase } from "../test_database.ts";
import { until } from "../until.ts";
import { withEnvFile } from "./with_env_file.ts";

// Each check is broken, its finding and its cure are read, the cure is done, and the check is well.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What stands before the services, as Supabase's gateway does, and can answer in their place. */
interface Gateway extends AsyncDisposable {
  readonly url: string;
  /** Answers instead; undefined lets the services answer. */
  answer: ((path: string) => Response | undefined) | undefined;
  /** Changes what the services answer. */
  change: ((response: Response, path: string) => Response | Promise<Response>) | undefined;
}

function startGateway(target: string): Gateway {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      const given = gateway.answer?.(pathname);
      if (given !== undefined) return given;
      const { method, headers } = request;
      const body = method === "GET" ? undefined : await request.arrayBuffer();
      const response = await fetch(`${target}${pathname}${search}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      return await gateway.change?.(response, pathname) ?? response;
    },
  );
  const gateway: Gateway = {
    url: `http://127.0.0.1:${server.addr.port}`,
    answer: undefined,
    change: undefined,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return gateway;
}

/** An installation that is well, and everything that can be broken about it. */
interface Ward {
  readonly database: TestDatabase;
  readonly services: Services;
  readonly gateway: Gateway;
  /** The variables; a test changes them. */
  readonly variables: Record<string, string | undefined>;
  readonly place: Place;
  readonly envFile: string;
  finding(code: string): Promise<Finding>;
}

const WELL = { user: 1 };

async function withWard(use: (ward: Ward) => Promise<void>): Promise<void> {
  await withTestDatabase(async (database) => {
    await using services = await startServices({
      postgres: database.server,
      database: database.name,
      worker: {},
    });
    await using gateway = startGateway(services.apiUrl);
    await using clerk = serveClerkApi(anInstance({ users: WELL.user }));
    const user = anEvent("user.created", aClerkUser({}), { instance_id: clerk.instance.id });
    await database.ingest("msg_1", user);
    await database.sql`
      insert into clerk_sync.runs (kind, leased_until, finished_at) values ('backfill', now(), now())
    `;
    const folder = await Deno.makeTempDir({ prefix: "clerk-sync-doctor-" });
    try {
      const variables: Record<string, string | undefined> = {
        SUPABASE_URL: gateway.url,
        SUPABASE_SECRET_KEY: services.keys.secret,
        SUPABASE_PUBLISHABLE_KEY: services.keys.publishable,
        CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
        CLERK_WORKER_SECRET: services.keys.workerSecret,
        CLERK_SECRET_KEY: clerk.secretKey,
        CLERK_API_URL: clerk.url,
        DATABASE_URL: services.databaseUrl,
      };
      await withEnvFile({ services } as Parameters<typeof withEnvFile>[0], async (envFile) => {
        const place: Place = { read: (name) => variables[name], envFile, dir: folder };
        await use({
          database,
          services,
          gateway,
          variables,
          place,
          envFile,
          finding: (code) => findingOf(place, code),
        });
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function findingOf(place: Place, code: string): Promise<Finding> {
  const [[, found] = []] = await examine(place, [code]);
  if (found === undefined) throw new Error(`There is no check ${code}`);
  return found;
}

/** As Supabase does when the disk is full; connections that are open stay as they are. */
function makeReadOnly(value: "on" | "off"): (ward: Ward) => Promise<void> {
  return async ({ database: { server, name }, services }) => {
    await withConnection(server.superuserUrl(name), async (sql) => {
      await sql`set default_transaction_read_only = off`;
      await sql.unsafe(`alter database "${name}" set default_transaction_read_only = ${value}`);
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${name} and usename = 'authenticator'
      `;
    });
    // Connections that are ended may not have noticed yet.
    await services.api.reload();
  };
}

/** One way in which a check fails. */
interface Case {
  readonly code: string;
  readonly text: RegExp;
  readonly cure: RegExp;
  readonly provoke: (ward: Ward) => unknown;
  /** Does what the cure says; the check's own fix unless given. */
  readonly heal?: (ward: Ward, fix: Fix | undefined) => unknown;
}

/** The schema may change, and the API may hear of it later than the next request comes. */
const sql = (text: string) => async ({ database, services }: Ward): Promise<void> => {
  await database.sql.unsafe(text).simple();
  await services.api.reload();
};

const onPath = (end: string, status: number, body: string) => ({ gateway }: Ward): void => {
  gateway.answer = (path) => path.endsWith(end) ? new Response(body, { status }) : undefined;
};

const deployAgain = ({ gateway }: Ward): void => {
  gateway.answer = undefined;
};

const variable = (name: string, value: string | undefined) => ({ variables }: Ward): void => {
  variables[name] = value;
};

/** Runs the statements that a cure names. */
const pasteCure = (code: string) => async (ward: Ward): Promise<void> => {
  const { cure } = await ward.finding(code) as Finding & { cure: string };
  for (const [, statement = ""] of cure.matchAll(/`(alter table [^`]+;)`/g)) {
    await sql(statement)(ward);
  }
};

function fixIn(finding: Finding): Fix["run"] {
  return finding.state === "wrong" ? finding.fix?.run : undefined;
}

const CASES: readonly Case[] = [
  {
    code: "database",
    text: /does not accept SUPABASE_SECRET_KEY/,
    cure: /^Copy a secret key from API keys/,
    provoke: variable("SUPABASE_SECRET_KEY", "sb_secret_other"),
    heal: ({ variables, services }) => variables.SUPABASE_SECRET_KEY = services.keys.secret,
  },
  {
    code: "database",
    text: /^Cannot reach the database \(/,
    cure: /^Check SUPABASE_URL and the network/,
    provoke: variable("SUPABASE_URL", "http://127.0.0.1:9"),
    heal: ({ variables, gateway }) => variables.SUPABASE_URL = gateway.url,
  },
  {
    code: "migrations",
    text: /^Not every migration was applied \(upgrading\)\.$/,
    cure: /deno task dev/,
    provoke: sql(`comment on schema clerk_sync is '{"version": "1.0.0", "status": "upgrading"}'`),
    heal: sql(`comment on schema clerk_sync is '{"version": "1.0.0", "status": "installed"}'`),
  },
  {
    code: "migrations",
    text: /^The database has clerk-sync 0\.9\.0, and this command is 1\.0\.0\.$/,
    cure: /^Run `deno task upgrade` in your project, then `deno task deploy`\.$/,
    provoke: sql(`
      alter function public.inspect_clerk_sync() rename to inspect_later;
      comment on schema clerk_sync is '{"version": "0.9.0", "status": "installed"}'
    `),
    heal: sql(`
      alter function public.inspect_later() rename to inspect_clerk_sync;
      comment on schema clerk_sync is '{"version": "1.0.0", "status": "installed"}'
    `),
  },
  {
    code: "versions",
    text: /^This command is 1\.0\.0, and not: schema 0\.9\.0\.$/,
    cure: /deno task upgrade/,
    provoke: sql(`comment on schema clerk_sync is '{"version": "0.9.0", "status": "installed"}'`),
    heal: sql(`comment on schema clerk_sync is '{"version": "1.0.0", "status": "installed"}'`),
  },
  {
    code: "tables",
    text:
      /^Not as shipped: constraint organization_memberships_user_id_fkey on public\.organization_memberships \(missing\), index/,
    cure: /deno task doctor --fix/,
    provoke: sql(`
      alter table public.organization_memberships drop constraint organization_memberships_user_id_fkey;
      drop index public.profiles_by_email;
      alter table public.profiles disable trigger _900_announce;
    `),
  },
  {
    code: "tables",
    text: /^Not as shipped: column public\.profiles\.banned \(may be null\)\.$/,
    cure:
      /^Run this as `postgres`, or as a migration: `alter table public\.profiles alter column banned set not null;`\.$/,
    provoke: sql("alter table public.profiles alter column banned drop not null"),
    heal: pasteCure("tables"),
  },
  {
    code: "tables",
    text:
      /column public\.profiles\.locale \(character varying, not text, default 'en'::text, not none\)/,
    cure:
      /^Run this as `postgres`, or as a migration: `alter table public\.profiles alter column locale type text, alter column locale drop default;`\.$/,
    provoke: sql(`
      alter table public.profiles alter column locale set default 'en';
      alter table public.profiles alter column locale type varchar;
    `),
    heal: pasteCure("tables"),
  },
  {
    code: "tables",
    text: /column public\.profiles\.last_name \(missing\)/,
    cure:
      /^First run this as `postgres`, or as a migration: `alter table public\.profiles add column last_name text;`, `alter table public\.profiles add column full_name text generated always as \([^`]+\) stored;`\. Then run `deno task doctor --fix`, which restores the rest\. After that, `deno task reconcile` brings the values back\.$/,
    provoke: sql(`
      alter table public.profiles drop column last_name cascade;
      grant select on public.profiles to anon;
    `),
    heal: async (ward, fix) => {
      assertEquals(fix, undefined);
      const { state, cure } = await ward.finding("grants") as Finding & { cure: string };
      assertEquals(
        [state, cure],
        [
          "wrong",
          "First add what the check tables names. Then run `deno task doctor --fix`, which restores them.",
        ],
      );
      await pasteCure("tables")(ward);
      for (const code of ["tables", "rls", "grants"]) await fixIn(await ward.finding(code))?.();
      assertEquals((await ward.finding("grants")).state, "well");
    },
  },
  {
    code: "rls",
    text:
      /policy profiles_select_own on public\.profiles, table public\.organizations \(row-level security is off\)/,
    cure: /deno task doctor --fix/,
    provoke: sql(`
      alter policy profiles_select_own on public.profiles using (true);
      alter table public.organizations disable row level security;
    `),
  },
  {
    code: "grants",
    text:
      /^Not as shipped: grants on function public\.ensure_profile\(\) \(missing: authenticated=EXECUTE\), grants on table public\.profiles \(too much: anon=SELECT\)\.$/,
    cure: /deno task doctor --fix/,
    provoke: sql(`
      grant select on public.profiles to anon;
      revoke execute on function public.ensure_profile() from authenticated;
    `),
  },
  {
    code: "functions",
    text: /^Not as shipped: function clerk\.user_id\(\)\.$/,
    cure: /deno task doctor --fix/,
    provoke: sql(`
      create or replace function clerk.user_id() returns text language sql stable
        set search_path = pg_catalog, pg_temp return 'user_eve'
    `),
  },
  {
    code: "own_policies",
    text:
      /auth\.uid\(\) fails for Clerk's ids, .*: profiles_update_mine on public\.profiles\. On other tables: notes_mine on public\.notes\.$/,
    cure: /clerk\.user_id\(\)/,
    provoke: sql(`
      create table public.notes (id text);
      create policy notes_mine on public.notes using (id = (select auth.uid())::text);
      create policy profiles_update_mine on public.profiles for update
        using (id = (select auth.uid())::text)
    `),
    heal: sql(`
      drop table public.notes;
      alter policy profiles_update_mine on public.profiles using (id = (select clerk.user_id()))
    `),
  },
  {
    code: "session_token",
    text: /^Profiles cannot be read with the token \(\d+ 22P02\)\.$/,
    cure: /^See the check own_policies\.$/,
    provoke: sql(`
      create policy mine on public.profiles for select using (id = (select auth.uid())::text)
    `),
    heal: sql("drop policy mine on public.profiles"),
  },
  {
    code: "realtime",
    text:
      /^Not published, so frontends get no live updates: public\.profiles, public\.organizations\.$/,
    cure: /alter publication supabase_realtime add table public\.profiles, public\.organizations/,
    provoke: sql("create publication supabase_realtime"),
  },
  {
    code: "signing_secret",
    text: /CLERK_WEBHOOK_SIGNING_SECRET is malformed here/,
    cure: /endpoint's page in the Clerk dashboard/,
    provoke: variable("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_short"),
    heal: ({ variables, services }) =>
      variables.CLERK_WEBHOOK_SIGNING_SECRET = services.signingSecret,
  },
  {
    code: "webhook",
    text: /^The gateway answers 401 before the function: verify_jwt is on/,
    cure: /Set verify_jwt = false for \[functions\.clerk-webhook\]/,
    provoke: onPath("/clerk-webhook", 401, '{"msg":"Missing authorization header"}'),
    heal: deployAgain,
  },
  {
    code: "webhook",
    text: /^clerk-webhook is not deployed \(404\)\.$/,
    cure: /deno task dev/,
    provoke: onPath("/clerk-webhook", 404, '{"code":"NOT_FOUND"}'),
    heal: deployAgain,
  },
  {
    code: "webhook",
    text: /^clerk-webhook does not start, or ended \(503 BOOT_ERROR\)\.$/,
    cure: /names the variable that is missing or malformed/,
    provoke: onPath("/clerk-webhook", 503, '{"code":"BOOT_ERROR","message":"…"}'),
    heal: deployAgain,
  },
  {
    code: "webhook",
    text: /^Something else answers at the URL of clerk-webhook: 200\.$/,
    cure: /Check SUPABASE_URL/,
    provoke: onPath("/clerk-webhook", 200, "Hello"),
    heal: deployAgain,
  },
  {
    code: "worker",
    text: /^The gateway answers 401 before the function/,
    cure: /\[functions\.clerk-worker\]/,
    provoke: onPath("/clerk-worker", 401, '{"msg":"Missing authorization header"}'),
    heal: deployAgain,
  },
  {
    code: "worker",
    text: /^clerk-worker is not deployed \(404\)\.$/,
    cure: /deno task dev/,
    provoke: onPath("/clerk-worker", 404, "{}"),
    heal: deployAgain,
  },
  {
    code: "clock",
    text: /^Compared with this machine: the functions \d{3} s behind\./,
    cure: /Restart the project/,
    provoke: ({ gateway }) =>
      gateway.change = (response) => dated(response, new Date(Date.now() - 400_000)),
    heal: ({ gateway }) => gateway.change = undefined,
  },
  {
    code: "clock",
    text: /the functions \d{3} s ahead, the database \d{3} s ahead/,
    cure: /^Set this machine's clock/,
    provoke: ({ gateway }) =>
      gateway.change = async (response, path) => {
        const text = (await response.text()).replace(
          /"now":\s*([\d.]+)/,
          (_, now) => `"now": ${Number(now) + 400}`,
        );
        const changed = new Response(text, response);
        return path.includes("/rest/") ? changed : dated(changed, new Date(Date.now() + 400_000));
      },
    heal: ({ gateway }) => gateway.change = undefined,
  },
  {
    code: "session_token",
    text: /^Profiles cannot be read with the token \(403 42501\)\.$/,
    cure: /migrations, rls and grants/,
    provoke: sql("revoke select on public.profiles from authenticated"),
    heal: sql("grant select on public.profiles to authenticated"),
  },
  {
    code: "session_token",
    text: /no role, and Supabase needs "role": "authenticated"/,
    cure: /Activate the integration/,
    provoke: signIn({ claims: { role: undefined } }),
    heal: signIn({}),
  },
  {
    code: "session_token",
    text: /pending session/,
    cure: /Finish the task/,
    provoke: signIn({ status: "pending" }),
    heal: signIn({}),
  },
  {
    code: "session_token",
    text: /is no id of a Clerk user/,
    cure: /Copy a session token/,
    provoke: signIn({ sub: "ada" }),
    heal: signIn({}),
  },
  {
    code: "session_token",
    text: /is no JWT/,
    cure: /Copy the whole token/,
    provoke: variable("CLERK_SESSION_TOKEN", "nonsense"),
    heal: variable("CLERK_SESSION_TOKEN", undefined),
  },
  {
    code: "clerk_key",
    text: /does not accept CLERK_SECRET_KEY\.$/,
    cure: /^Copy the key from API keys in the Clerk dashboard\.$/,
    provoke: (ward) => remember(ward, "CLERK_SECRET_KEY", "sk_test_other"),
    heal: (ward) => bringBack(ward, "CLERK_SECRET_KEY"),
  },
  {
    code: "clerk_key",
    text: /is of ins_\w+, and the database accepts ins_other\.$/,
    cure: /Copy the key of that instance/,
    provoke: sql("update clerk_sync.settings set instance_id = 'ins_other'"),
    heal: sql("update clerk_sync.settings set instance_id = null"),
  },
  {
    code: "instance",
    text:
      /^The newest events are ignored: they are of .* ins_\w+, and .* accepts only ins_other\.$/,
    cure: /: update clerk_sync\.settings set instance_id = 'ins_\w+';$/,
    provoke: async (ward) => {
      await sql("update clerk_sync.settings set instance_id = 'ins_other'")(ward);
      const { state } = await ward.finding("instance");
      assertEquals(state, "well", "control: what was applied before the setting is not ignored");
      const [{ id } = { id: "" }] = await ward.database.sql<{ id: string }[]>`
        select instance_id as id from clerk_sync.inbox
      `;
      await ward.database.ingest(
        "msg_ignored",
        anEvent("user.created", aClerkUser(), { instance_id: id }),
      );
    },
  },
  {
    code: "instance",
    text: /^Events of several Clerk instances are mixed: ins_/,
    cure: /remove the endpoint from the others/,
    provoke: sql(`
      update clerk_sync.settings set instance_id = null;
      insert into clerk_sync.inbox (message_id, outcome, instance_id) values ('msg_other', 'applied', 'ins_other');
    `),
  },
  {
    code: "events",
    text: /^The last event arrived 10 days ago/,
    cure: /endpoint in the Clerk dashboard/,
    provoke: sql("update clerk_sync.inbox set received_at = now() - interval '10 days'"),
    heal: ({ database }) =>
      database.ingest("msg_2", anEvent("user.created", aClerkUser({ id: "user_ada" }))),
  },
  {
    code: "counts",
    text: /^Rows of kind user: 9 here, 1 at Clerk\.$/,
    cure: /`deno task reconcile --dry-run`/,
    provoke: sql(
      "insert into public.profiles (id) select 'user_' || n from generate_series(1, 7) as n",
    ),
    heal: sql("delete from public.profiles where length(id) = 6"),
  },
  {
    code: "messages",
    text: /^The oldest message that failed or could not be read has waited for 8 days\./,
    cure: /`deno task replay --dry-run`/,
    provoke: sql(`
      insert into clerk_sync.inbox (message_id, outcome, error, received_at)
      values ('msg_failed', 'failed', '{}', now() - interval '8 days')
    `),
    heal: sql("select public.discard_clerk_messages(array['msg_failed'])"),
  },
  {
    code: "messages",
    text: /^The last 3 events that change a table have all failed or could not be read, the newest/,
    cure: /^Run `deno task replay --dry-run`, /,
    provoke: sql(`
      insert into clerk_sync.inbox (message_id, outcome, error)
      select 'msg_failed_' || n, 'failed', '{}' from generate_series(1, 3) as n
    `),
    heal: sql("delete from clerk_sync.inbox where message_id ^@ 'msg_failed_'"),
  },
  {
    code: "events",
    text: /^The database is read-only/,
    cure: /disk/,
    provoke: makeReadOnly("on"),
    heal: makeReadOnly("off"),
  },
  {
    code: "queue",
    text: /^The oldest change on the queue has waited for 2 hours\./,
    cure: /log of clerk-worker/,
    provoke: sql(`
      select pgmq.send('clerk_changes', '{"topic": "profile.updated", "id": "user_ada", "changed": []}');
      update pgmq.q_clerk_changes
      set enqueued_at = now() - interval '2 hours', vt = now() + interval '1 hour';
    `),
    // Until then, the schedule of the stack leaves it alone.
    heal: async (ward, fix) => {
      await sql("update pgmq.q_clerk_changes set vt = now()")(ward);
      await fix?.run?.();
      await until(
        "it is drained",
        async () => (await ward.finding("queue")).state === "well",
        60_000,
      );
    },
  },
  {
    code: "reconcile",
    text: /^Nothing reconciles: the tables were last compared with Clerk 3 days ago\./,
    cure: /run `deno task reconcile`/i,
    provoke: sql("update clerk_sync.runs set finished_at = now() - interval '3 days'"),
    heal: sql(`
      insert into clerk_sync.runs (kind, leased_until, finished_at) values ('reconcile', now(), now())
    `),
  },
  // Last, because the queue goes with it.
  {
    code: "extensions",
    text: /^pgmq is not installed, so no change is queued\.$/,
    cure: /create extension pgmq/,
    provoke: sql("drop extension pgmq cascade"),
    heal: sql("create extension pgmq"),
  },
];

function dated(response: Response, date: Date): Response {
  const headers = new Headers(response.headers);
  headers.set("date", date.toUTCString());
  return new Response(response.body, { status: response.status, headers });
}

function signIn(session: Record<string, unknown>): (ward: Ward) => Promise<void> {
  return async ({ services, variables }) => {
    variables.CLERK_SESSION_TOKEN = await services.issueToken({ sub: "user_ada", ...session });
  };
}

const remembered = new Map<string, string | undefined>();

function remember({ variables }: Ward, name: string, value: string): void {
  remembered.set(name, variables[name]);
  variables[name] = value;
}

function bringBack({ variables }: Ward, name: string): void {
  variables[name] = remembered.get(name);
}

Deno.test({
  name: "each check fails with its cause, and is well after its cure",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: (context) =>
    withWard(async (ward) => {
      const wrong = (await examine(ward.place)).filter(([, { state }]) => state === "wrong");
      assertEquals(wrong, [], "control: at first all is well");

      for (const { code, text, cure, provoke, heal } of CASES) {
        await context.step(`${code}: ${text.source}`, async () => {
          await provoke(ward);
          const ill = await ward.finding(code);
          assert(ill.state === "wrong", `${code} is ${ill.state}: ${ill.text}`);
          assertMatch(ill.text, text);
          assertMatch(ill.cure, cure);

          if (heal !== undefined) await heal(ward, ill.fix);
          else await ill.fix?.run?.();

          const healed = await ward.finding(code);
          assertEquals(healed.state, "well", healed.text);
        });
      }
    }),
});

/** What a hosted project has besides, as far as the checks look at it. */
const VAULT = `
  create schema vault;
  create table vault.decrypted_secrets (name text unique, decrypted_secret text);
  create function vault.create_secret(secret text, name text) returns void language sql as
    'insert into vault.decrypted_secrets values ($2, $1)';
`;

interface Hosted {
  readonly services: Services;
  readonly management: ReturnType<typeof startManagementApi>;
  readonly variables: Record<string, string | undefined>;
  readonly place: Place;
  query(text: string): Promise<unknown[]>;
  finding(code: string): Promise<Finding>;
}

/** A hosted project: the stand-in of the Management API, and a database with pg_cron and Vault. */
async function withHosted(use: (hosted: Hosted) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-doctor-" });
  try {
    await using server = await startWithExtensions();
    await createDatabase(server, "hosted");
    await applyOurs(server.url("hosted"));
    await using services = await startServices({
      postgres: server,
      database: "hosted",
      worker: {},
    });
    await using management = startManagementApi({ server, name: "hosted" });
    management.secrets.set("CLERK_WEBHOOK_SIGNING_SECRET", services.signingSecret);
    const query = (text: string): Promise<unknown[]> =>
      withConnection(server.url("hosted"), async (sql) => [...await sql.unsafe(text).simple()]);
    await query(VAULT);
    const variables: Record<string, string | undefined> = {
      SUPABASE_URL: services.apiUrl,
      SUPABASE_SECRET_KEY: services.keys.secret,
      SUPABASE_ACCESS_TOKEN: management.token,
      CLERK_WORKER_SECRET: services.keys.workerSecret,
    };
    const place: Place = {
      read: (name) => variables[name],
      dir: folder,
      platform: { ...SUPABASE, apiUrl: management.url },
      ref: management.projectRef,
    };
    await use({
      services,
      management,
      variables,
      place,
      query,
      finding: (code) => findingOf(place, code),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface HostedCase {
  readonly code: string;
  readonly text: RegExp;
  readonly cure: RegExp;
  readonly provoke: (hosted: Hosted) => unknown;
  readonly heal?: (hosted: Hosted) => unknown;
}

const run = (text: string) => ({ query }: Hosted): Promise<unknown> => query(text);

const HOSTED_CASES: readonly HostedCase[] = [
  {
    code: "schedule",
    text:
      /^Vault has no clerk_worker_url and no clerk_worker_secret, so nothing calls the worker\.$/,
    cure: /CLERK_WORKER_SECRET/,
    provoke: () => {},
  },
  {
    code: "schedule",
    text: /^Not scheduled: clerk-reconcile\.$/,
    cure: /deno task deploy/,
    provoke: run("delete from cron.job where jobname = 'clerk-reconcile'"),
  },
  {
    code: "schedule",
    text: /^Switched off: clerk-worker\.$/,
    cure: /deno task doctor --fix/,
    provoke: run("update cron.job set active = false where jobname = 'clerk-worker'"),
  },
  {
    code: "schedule",
    text: /^The last run failed: clerk-worker\.$/,
    cure: /return_message/,
    provoke: run(`
      insert into cron.job_run_details (jobid, status, start_time)
      select jobid, 'failed', now() from cron.job where jobname = 'clerk-worker'
    `),
    heal: run(`
      insert into cron.job_run_details (jobid, status, start_time)
      select jobid, 'succeeded', now() from cron.job where jobname = 'clerk-worker'
    `),
  },
  {
    code: "schedule",
    text: /^The job clerk-worker last ran 60 minutes ago\.$/,
    cure: /restart the database/,
    provoke: run("update cron.job_run_details set start_time = now() - interval '1 hour'"),
    heal: run(`
      insert into cron.job_run_details (jobid, status, start_time)
      select jobid, 'succeeded', now() from cron.job where jobname = 'clerk-worker'
    `),
  },
  {
    code: "extensions",
    text: /^pg_net is not installed/,
    cure: /create extension pg_net with schema extensions/,
    provoke: run("drop extension pg_net"),
  },
  {
    code: "signing_secret",
    text: /^CLERK_WEBHOOK_SIGNING_SECRET is not among the secrets of the project\.$/,
    cure: /deno task deploy/,
    provoke: ({ management }) => management.secrets.delete("CLERK_WEBHOOK_SIGNING_SECRET"),
    heal: ({ management, services }) =>
      management.secrets.set("CLERK_WEBHOOK_SIGNING_SECRET", services.signingSecret),
  },
  {
    code: "signing_secret",
    text: /^The project has another CLERK_WEBHOOK_SIGNING_SECRET than this machine\.$/,
    cure: /endpoint's page/,
    provoke: ({ variables }) =>
      variables.CLERK_WEBHOOK_SIGNING_SECRET = `whsec_${btoa("another secret, long enough")}`,
    heal: ({ variables, services }) =>
      variables.CLERK_WEBHOOK_SIGNING_SECRET = services.signingSecret,
  },
  {
    code: "third_party_auth",
    text: /^The project accepts no tokens of Clerk's/,
    cure: /Third-Party Auth/,
    provoke: () => {},
    heal: ({ management }) =>
      management.thirdPartyAuth.push({
        id: crypto.randomUUID(),
        type: "clerk",
        oidc_issuer_url: "https://other.clerk.accounts.dev",
        jwks_url: null,
      }),
  },
  {
    code: "third_party_auth",
    text: /^The project does not accept http:.*, which issued CLERK_SESSION_TOKEN\.$/,
    cure: /deno task doctor --fix/,
    provoke: async ({ variables, services }) => {
      variables.CLERK_SESSION_TOKEN = await services.issueToken({ sub: "user_ada" });
    },
  },
  {
    code: "session_token",
    text: /^Supabase does not accept the token \(401/,
    cure: /Add the domain of your Clerk instance/,
    provoke: ({ variables }) =>
      variables.CLERK_SESSION_TOKEN = `${variables.CLERK_SESSION_TOKEN?.slice(0, -6)}AAAAAA`,
    heal: async ({ variables, services }) => {
      variables.CLERK_SESSION_TOKEN = await services.issueToken({ sub: "user_ada" });
    },
  },
  {
    code: "grants",
    text: /column public\.profiles\.email \(too much: anon=SELECT\)/,
    cure: /deno task doctor --fix/,
    provoke: run("grant select (email) on public.profiles to anon"),
  },
  {
    code: "roles",
    text: /^Not as shipped: role clerk_worker \(granted to anon\)/,
    cure: /deno task doctor --fix/,
    provoke: run("grant clerk_worker to anon"),
  },
];

Deno.test({
  name: "of a hosted project, too, each check fails with its cause, and is well after its cure",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: (context) =>
    withHosted(async (hosted) => {
      for (const { code, text, cure, provoke, heal } of HOSTED_CASES) {
        await context.step(`${code}: ${text.source}`, async () => {
          await provoke(hosted);
          const ill = await hosted.finding(code);
          assert(ill.state === "wrong", `${code} is ${ill.state}: ${ill.text}`);
          assertMatch(ill.text, text);
          assertMatch(ill.cure, cure);

          if (heal !== undefined) await heal(hosted);
          else await ill.fix?.run?.();

          const healed = await hosted.finding(code);
          assertEquals(healed.state, "well", healed.text);
        });
      }

      await context.step("a Vault entry of the schedule has the worker's secret", async () => {
        assertEquals(
          await hosted.query(
            "select name, decrypted_secret from vault.decrypted_secrets order by name",
          ),
          [
            { name: "clerk_worker_secret", decrypted_secret: hosted.services.keys.workerSecret },
            {
              name: "clerk_worker_url",
              decrypted_secret: `${hosted.services.apiUrl}/functions/v1/clerk-worker`,
            },
          ],
        );
      });

      await context.step(
        "what the Management API refuses could not be checked, and why",
        async () => {
          hosted.management.failures.set("GET /secrets", 403);
          const refused = await hosted.finding("signing_secret");
          hosted.management.failures.clear();

          assertEquals(refused.state, "unknown");
          assertMatch(refused.text, /the access token may not/);
        },
      );

      await context.step(
        "without an access token, what needs one could not be checked",
        async () => {
          hosted.variables.SUPABASE_ACCESS_TOKEN = undefined;
          hosted.variables.CLERK_WEBHOOK_SIGNING_SECRET = undefined;

          const found = Object.fromEntries(await examine(hosted.place));

          for (const code of ["signing_secret", "third_party_auth"]) {
            assertEquals(found[code]?.state, "unknown");
            assertMatch(found[code]?.text ?? "", /^Without SUPABASE_ACCESS_TOKEN/);
          }
        },
      );

      await context.step("an expired token is no finding", async () => {
        hosted.variables.CLERK_SESSION_TOKEN = await hosted.services.issueToken({
          sub: "user_ada",
          expiresIn: -60,
        });

        const { state, text } = await hosted.finding("session_token");

        assertEquals(state, "unknown");
        assertMatch(text, /has expired/);
      });
    }),
});

Deno.test({
  name: "of a project of init, with a prefix, migrations, files and types are checked, and cured",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using project = await aProject(FIXTURES.fresh);
    await using database = await aDatabase();
    const plan = await planInit(project.dir, "clerk_");
    await carryOut(project.dir, plan.steps);
    const migration = plan.steps.find(({ path }) => path.endsWith(".sql"))?.path ?? "";
    const webhook = "supabase/functions/clerk-webhook/verify.ts";
    await using services = await startServices({
      postgres: database.server,
      database: database.name,
      functions: false,
    });
    const variables: Record<string, string | undefined> = {
      SUPABASE_URL: services.apiUrl,
      SUPABASE_SECRET_KEY: services.keys.secret,
    };
    const place: Place = { read: (name) => variables[name], dir: project.dir };
    const edit = async (
      path: string,
      change: (text: string) => string,
    ): Promise<() => Promise<void>> => {
      const text = await Deno.readTextFile(`${project.dir}/${path}`);
      await Deno.writeTextFile(`${project.dir}/${path}`, change(text));
      return () => Deno.writeTextFile(`${project.dir}/${path}`, text);
    };
    const expect = async (code: string, state: Finding["state"], text: RegExp): Promise<void> => {
      const found = await findingOf(place, code);
      assertEquals(found.state, state, found.text);
      assertMatch(found.text, text);
    };

    await expect("migrations", "wrong", /^The database lacks clerk-sync, or a part of it\.$/);
    await expect("database", "well", /answers/);
    await expect("tables", "unknown", /cannot be inspected/);
    await push(project, database.url);
    await services.api.reload();
    await expect("migrations", "well", /^It is applied\.$/);
    for (const code of ["tables", "rls", "grants", "functions", "roles"]) {
      await expect(code, "well", /as shipped|rights/);
    }

    await expect("files", "well", /unedited/);
    const restored = await edit(migration, (text) => `${text}\n-- mine\n`);
    await expect("files", "wrong", /^Edited after it had been written: supabase\/migrations\//);
    await restored();
    const verify = await edit(webhook, (text) => `${text}\n// mine\n`);
    await expect("files", "well", /You edited supabase\/functions\/clerk-webhook\/verify\.ts\.$/);
    await verify();
    await Deno.rename(`${project.dir}/${webhook}`, `${project.dir}/gone.ts`);
    await expect("files", "wrong", /^Missing: supabase\/functions\/clerk-webhook\/verify\.ts\.$/);
    await Deno.rename(`${project.dir}/gone.ts`, `${project.dir}/${webhook}`);
    const config = await edit(
      "supabase/config.toml",
      (text) => text.replaceAll("verify_jwt = false", "verify_jwt = true"),
    );
    await expect(
      "files",
      "wrong",
      /does not switch verify_jwt off for clerk-webhook and clerk-worker/,
    );
    await config();
    await expect("files", "well", /unedited/);

    await expect("types", "unknown", /no types/);
    const generate = async (): Promise<void> =>
      Deno.writeTextFile(
        `${project.dir}/database.types.ts`,
        (await runSupabase(["gen", "types", "--schema", "public"], {
          cwd: project.dir,
          remote: database.url,
        })).stdout,
      );
    await generate();
    await expect("types", "well", /^database\.types\.ts has every column\.$/);
    await withConnection(
      database.url,
      (sql) => sql`alter table public.clerk_profiles add column bio text`,
    );
    await expect("types", "wrong", /database\.types\.ts \(clerk_profiles\)/);
    await generate();
    await expect("types", "well", /every column/);

    // The stack of `dev` in the same folder has a database of its own, without the project's prefix.
    await withTestDatabase(async (own) => {
      const applied = await own.sql`select version from supabase_migrations.schema_migrations`;
      assert(applied.length > 1, "control: the database has the migrations as the repository does");
      await using stack = await startServices({
        postgres: own.server,
        database: own.name,
        functions: false,
      });
      const beside: Place = {
        dir: project.dir,
        read: (name) =>
          ({ SUPABASE_URL: stack.apiUrl, SUPABASE_SECRET_KEY: stack.keys.secret })[name],
      };
      for (const code of ["migrations", "types"]) {
        const found = await findingOf(beside, code);
        assertEquals(found.state, "unknown", found.text);
        assertMatch(found.text, /a database of its own, and nothing of the project/);
      }
    });

    // A later version wrote a second migration, and nobody has applied it.
    const record = await edit("supabase/clerk-sync.json", (text) => {
      const parsed = JSON.parse(text);
      parsed.migrations.push({ file: "20991231000000_more.sql", slices: [], sha256: "" });
      return JSON.stringify(parsed);
    });
    await expect("migrations", "wrong", /^Not applied: 20991231000000_more\.sql\.$/);
    await record();
  },
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command as people do. */
async function doctor(ward: Ward, args: readonly string[] = [], env = {}): Promise<Run> {
  // The tokens of the stack are of its own URL, which is in the env file.
  const { SUPABASE_URL: _, ...variables } = ward.variables;
  const given = Object.entries<string | undefined>({ ...variables, ...env })
    .flatMap(([name, value]) => value === undefined ? [] : [[name, value]]);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/doctor.ts", "--env", ward.envFile, "--dir", ward.place.dir, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...Object.fromEntries(given) },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test({
  name:
    "the command prints a line for each check, cures what is safe, and its exit code says the rest",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: (context) =>
    withWard(async (ward) => {
      const { sql: database } = ward.database;

      await context.step("all is well: exit code 0", async () => {
        const { code, out, err } = await doctor(ward);
        const json = await doctor(ward, ["--json"]);

        assertEquals([code, err], [0, ""], out);
        for (const check of Object.keys(CHECKS)) {
          assertMatch(out, new RegExp(`^[✓–] ${check} `, "m"));
        }
        assertMatch(out, /\n\nAll is well\. Could not be checked: \d+\.\n$/);
        const { is_well, checks, cured } = JSON.parse(json.out);
        assertEquals([json.code, is_well, cured], [0, true, []]);
        assertEquals(checks.map((each: { code: string }) => each.code), Object.keys(CHECKS));
      });

      await database.unsafe(`
        drop function public.ensure_profile();
        grant select on public.profiles to anon;
        alter policy profiles_select_own on public.profiles using (true);
      `).simple();
      await ward.services.api.reload();

      await context.step("something is wrong: exit code 3, with the cure below", async () => {
        const { code, out } = await doctor(ward);
        const json = JSON.parse((await doctor(ward, ["--json"])).out);

        assertEquals(code, 3);
        assertMatch(
          out,
          /\n✗ functions +Not as shipped: function public\.ensure_profile\(\) \(missing\)\.\n {19}Run `.* doctor --fix`/,
        );
        assertMatch(out, /Wrong: 3\..* doctor --fix` can fix: functions, rls, grants\.\n$/);
        const functions = json.checks.find((each: { code: string }) => each.code === "functions");
        assertEquals([json.is_well, functions.state, functions.objects], [false, "wrong", [
          "function public.ensure_profile() (missing)",
        ]]);
        assertMatch(functions.fix[0], /^create or replace function public\.ensure_profile\(\)/);
      });

      await context.step("--fix shows what it would do, and asks", async () => {
        const asked = await doctor(ward, ["--fix"]);
        const helpless = await doctor(ward, ["--fix"], { DATABASE_URL: "" });

        assertEquals(asked.code, 2);
        assertMatch(asked.err, /add --yes, or leave --fix out\n$/);
        assertMatch(asked.out, /\n {2}revoke SELECT on table public\.profiles from anon;\n/);
        assertEquals([helpless.code, helpless.err], [3, ""]);
        assertMatch(helpless.out, /Cannot run this here/);
        assertEquals((await ward.finding("grants")).state, "wrong", "control: nothing was done");
      });

      await context.step("--fix --yes does it, and examines again", async () => {
        const { code, out, err } = await doctor(ward, ["--fix", "--yes"]);

        assertEquals([code, err], [0, ""], out);
        assertMatch(out, /\nfunctions: done\nrls: done\ngrants: done\n\n✓ database/);
      });

      await context.step(
        "where nothing could be cured, the report is not printed twice",
        async () => {
          await database.unsafe(`
          alter table public.organization_memberships
            drop constraint organization_memberships_user_id_fkey;
          insert into public.organizations (id) values ('org_2');
          insert into public.organization_memberships (id, organization_id, user_id)
          values ('orgmem_2', 'org_2', 'user_nobody');
        `).simple();

          const { code, out } = await doctor(ward, ["--fix", "--yes"]);

          assertEquals(code, 3);
          assertEquals(out.match(/^. database /gm)?.length, 1);
          assertMatch(out, /\n\nNothing was fixed\.\n$/);
          await database`delete from public.organizations`;
          assertEquals((await doctor(ward, ["--fix", "--yes"])).code, 0);
        },
      );

      await context.step("a cure that fails says why, and the others are done", async () => {
        await database.unsafe(`
          alter table public.organization_memberships
            drop constraint organization_memberships_user_id_fkey;
          insert into public.organizations (id) values ('org_1');
          insert into public.organization_memberships (id, organization_id, user_id)
          values ('orgmem_1', 'org_1', 'user_nobody');
          grant select on public.profiles to anon;
        `).simple();

        const { code, out, err } = await doctor(ward, ["--fix", "--yes", "--json"]);

        const { is_well, cured } = JSON.parse(out);
        assertEquals([code, is_well, cured], [3, false, ["grants"]]);
        assertMatch(err, /^tables: .*violates foreign key constraint.*\n$/);
      });

      await context.step(
        "what keeps it from examining is a sentence, and exit code 1",
        async () => {
          const { code, out, err } = await doctor(ward, [], { SUPABASE_URL: "example" });

          assertEquals([code, out, err.trim().split("\n").length], [1, "", 1]);
          assertMatch(err, /SUPABASE_URL is not a URL/);
        },
      );

      await context.step("on a terminal of 80 columns, no line is longer", async () => {
        const examination = await examine(ward.place);

        const lines = format(examination, 80, plain).split("\n");

        assertEquals(lines.filter((line) => line.length > 80), []);
        assertEquals(
          format(examination, 80, plain).replaceAll(/\n {19}(?=\S)/g, " ").replace(/\n\n[^]*/, ""),
          format(examination, Infinity, plain).replaceAll(/\n {19}(?=\S)/g, " ").replace(
            /\n\n[^]*/,
            "",
          ),
        );
      });
    }),
});

Deno.test("with an env file that a person wrote, session_token says what is missing", async () => {
  const envFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(envFile, "SUPABASE_URL=http://127.0.0.1:9\nSUPABASE_SECRET_KEY=a\n");
    const variables: Record<string, string> = {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEY: "a",
    };

    const found = await findingOf(
      { read: (name) => variables[name], envFile, dir: "/nowhere" },
      "session_token",
    );

    assertEquals(found, {
      state: "unknown",
      text:
        `Cannot sign a token as ${envFile}.key does not exist: \`deno task dev\` writes it beside its env file, so name that file with --env.`,
    });
  } finally {
    await Deno.remove(envFile);
  }
});

Deno.test("every breach of the status belongs to a check", async () => {
  const migration = await Deno.readTextFile(
    `${ROOT}supabase/migrations/20261101000025_create_status.sql`,
  );

  const codes = [...migration.matchAll(/clerk_sync\.breach\('(\w+)'/g)].map(([, code]) => code);

  assertEquals([...new Set(codes)].sort(), Object.values(BREACHES).flat().sort());
});

Deno.test("what waits for a replay is counted, with the age of the newest", async () => {
  const status = {
    breaches: [],
    events: { waiting: { failed: 12, unreadable: 1 }, newest_waiting_seconds: 3 },
  };
  const installation = {
    status: () => Promise.resolve({ value: status }),
  } as unknown as Installation;

  const { state, text } = await checkStatus("messages")(installation);

  assertEquals(
    [state, text],
    ["well", "Waiting for a replay: 12 failed, 1 unreadable, the newest 3 s ago."],
  );
});

Deno.test("the cure of a breach keeps the number of a flag within the command", async () => {
  const cure = "Run reconcile --dry-run, which lists them. If so, run reconcile --max-deletes 14.";
  const breaches = [{ code: "surplus", sentence: "Surplus.", cure }];
  const installation = {
    isLocal: false,
    status: () => Promise.resolve({ value: { breaches } }),
  } as unknown as Installation;

  const found = await checkStatus("reconcile")(installation);

  assertEquals(
    found.state === "wrong" && found.cure,
    "Run `deno task reconcile --dry-run`, which lists them. If so, run `deno task reconcile --max-deletes 14`.",
  );
});

Deno.test("several signing secrets are compared with the project's as they are, line ends included", async () => {
  const secrets = `${aSigningSecret()}\r\n${aSigningSecret()}`;
  const kept = new Map([["CLERK_WEBHOOK_SIGNING_SECRET", await sha256(secrets)]]);
  const installation = {
    read: () => secrets,
    management: { secrets: () => Promise.resolve(kept) },
    isLocal: false,
  } as unknown as Installation;

  const { state } = await checkSigningSecret(installation);

  assertEquals(state, "well");
});
