import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { Webhook } from "svix";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { filesBelow } from "../adopt/projects.ts";
import { testServer } from "../test_server.ts";
import { until } from "../until.ts";
import { writeFiles } from "./checkout_copy.ts";
import {
  GATEWAY_401,
  type HostedProject,
  type Serve,
  startHostedProject,
} from "./hosted_project.ts";

// Everything that a deploy can meet, in a project so small that a run takes seconds: its functions do
// nothing, and its migration makes only what `deploy` calls.

const CONFIG = `
project_id = "small"

[functions.clerk-webhook]
verify_jwt = false
entrypoint = "./functions/clerk-webhook/index.js"

[functions.clerk-worker]
verify_jwt = false
entrypoint = "./functions/clerk-worker/index.js"
`;

// JavaScript, whose types are not checked, which would take most of the time.
const INDEX = "export default { fetch: () => new Response() };\n";

const MIGRATION = `
create schema clerk_sync;
create table clerk_sync.inbox (message_id text primary key, type text, outcome text);
create function clerk_sync.start_schedule() returns void language sql as $$
  insert into cron.job (jobname, command)
  select jobname, 'select clerk_sync.nothing()'
  from unnest('{clerk-worker,clerk-reconcile,clerk-maintain}'::text[]) as jobname
  on conflict do nothing
$$;
`;

const CRON = `
  create schema cron;
  create table cron.job (jobname text primary key, command text);
  grant usage on schema cron to postgres;
  grant all on cron.job to postgres;
`;

/** Answers as both functions do, and keeps what was signed. */
const serve: Serve = async ({ slug }, request, { api, database }) => {
  if (slug === "clerk-worker") return Response.json({ outcome: "unauthorized" }, { status: 401 });
  const id = request.headers.get("svix-id");
  if (id === null) return Response.json({ outcome: "missing_headers" }, { status: 401 });
  const body = await request.text();
  try {
    new Webhook(api.secrets.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "")
      .verify(body, Object.fromEntries(request.headers));
  } catch {
    return Response.json({ outcome: "bad_signature" }, { status: 401 });
  }
  await withConnection(database.server.url(database.name), (sql) =>
    sql`
      insert into clerk_sync.inbox values (${id}, ${JSON.parse(body).type}, 'ignored')
    `);
  return Response.json({ outcome: "ignored" });
};

interface Small extends AsyncDisposable {
  readonly dir: string;
  readonly hosted: HostedProject;
  /** Deploys with \`--yes\` and a signing secret in the environment. */
  deploy(...args: string[]): ReturnType<HostedProject["deploy"]>;
  /** Runs a statement as the platform. */
  admin(sql: string): Promise<readonly Record<string, unknown>[]>;
}

async function aSmallProject(): Promise<Small> {
  const server = await testServer();
  const hosted = await startHostedProject(server, serve);
  const { name } = hosted.database;
  const admin: Small["admin"] = (text) =>
    withConnection(server.superuserUrl(name), async (sql) => [...await sql.unsafe(text)]);
  await admin(CRON);
  const dir = await Deno.makeTempDir({ prefix: "clerk-sync-small-" });
  await writeFiles(dir, {
    "supabase/config.toml": CONFIG,
    "supabase/functions/clerk-webhook/index.js": INDEX,
    "supabase/functions/clerk-worker/index.js": INDEX,
    "supabase/migrations/20260101000000_small.sql": MIGRATION,
    // As the Supabase CLI links a folder.
    "supabase/.temp/project-ref": hosted.api.projectRef,
  });
  const signing = aSigningSecret();
  return {
    dir,
    hosted,
    deploy: (...args) =>
      hosted.deploy(["--dir", dir, "--yes", ...args], {
        env: { CLERK_WEBHOOK_SIGNING_SECRET: signing },
      }),
    admin,
    [Symbol.asyncDispose]: async () => {
      await hosted[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

function smallTest(name: string, fn: (small: Small) => Promise<void>): void {
  Deno.test({
    name,
    fn: async () => {
      await using small = await aSmallProject();
      await fn(small);
    },
    // The server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

smallTest("deploy --dry-run shows every step, and changes nothing", async (small) => {
  const { api } = small.hosted;
  const files = await filesBelow(small.dir);

  const { code, out, error } = await small.hosted.deploy(["--dir", small.dir, "--dry-run"]);

  assertEquals([code, error], [0, ""]);
  assertEquals(out.split("\n").filter((line) => line.startsWith("  ")), [
    "  applies a migration of supabase/migrations: 20260101000000_small.sql",
    "  makes the API key clerk_ingest, whose Postgres role is clerk_ingest",
    "  makes the API key clerk_worker, whose Postgres role is clerk_worker",
    "  asks for the signing secret of Clerk's endpoint, and sets CLERK_WEBHOOK_SIGNING_SECRET",
    "  sets CLERK_WORKER_SECRET, a new random secret",
    "  deploys clerk-webhook, in one file of 0 kB",
    "  deploys clerk-worker, in one file of 0 kB",
    "  writes clerk_worker_url into Vault",
    "  writes clerk_worker_secret into Vault",
    "  starts the schedule: pg_cron, pg_net and the jobs clerk-worker, clerk-reconcile, clerk-maintain",
    "  sends an unsigned request to each function, which must refuse it",
    "  sends the webhook a signed event of a type that is ignored, and looks for it in the inbox",
  ]);
  const allowed = /^(GET |POST \/database\/query$)/;
  assertEquals(api.requests.filter((request) => !allowed.test(request)), []);
  assertEquals(
    await small.admin(
      "select to_regnamespace('clerk_sync') is null as is_empty, count(*)::int as secrets from vault.secrets",
    ),
    [{ is_empty: true, secrets: 0 }],
  );
  assertEquals(await filesBelow(small.dir), files);
});

smallTest(
  "each step that fails says where deploy stands, the next run goes on from there, and the last does nothing",
  async (small) => {
    const { api } = small.hosted;
    const broken = `${small.dir}/supabase/migrations/20260101000001_broken.sql`;
    const stopped = async (at: string, why: RegExp): Promise<void> => {
      const { code, error } = await small.deploy();
      assertEquals(code, 1);
      assertMatch(error, why);
      assertMatch(error, new RegExp(`^Stopped at ${at}\\. .*Run the same command again`, "m"));
      assertNotMatch(error, /^\s+at /m);
    };

    await Deno.writeTextFile(broken, "select no_such_function();");
    await stopped("migrations", /`supabase db push` fails:\n[^]*no_such_function/);
    await Deno.remove(broken);

    api.failures.set("POST /api-keys", 500);
    await stopped("keys", /answers 500 to POST \/api-keys: Out of order/);
    api.failures.delete("POST /api-keys");

    api.failures.set("POST /secrets", 403);
    await stopped("secrets", /the access token may not \(POST \/secrets\)/);
    api.failures.delete("POST /secrets");

    api.failures.set("POST /functions/deploy", 400);
    await stopped("functions", /`supabase functions deploy clerk-webhook --use-api` fails/);
    api.failures.delete("POST /functions/deploy");

    await small.admin("alter function clerk_sync.start_schedule() rename to start_later");
    await stopped("schedule", /Cannot go on as the Management API answers 400 .*start_schedule/);
    await small.admin("alter function clerk_sync.start_later() rename to start_schedule");

    small.hosted.gateway = () => Response.json({ code: "BOOT_ERROR" }, { status: 503 });
    await stopped("probe", /the function does not start \(503\)/);
    const secrets = new Map(api.secrets);
    api.requests.splice(0);

    small.hosted.gateway = GATEWAY_401;
    const again = await small.deploy();
    assertEquals(again.code, 1, "with nothing left to do, the functions are still asked");
    assertMatch(
      again.error,
      /Supabase's gateway answers 401 instead of the function: deploy it with verify_jwt = false/,
    );
    small.hosted.gateway = undefined;
    const well = await small.deploy("--json");

    assertEquals(JSON.parse(well.out), {
      project_ref: api.projectRef,
      present: [
        "the migrations",
        "the API keys clerk_ingest and clerk_worker",
        "the secrets",
        "the functions",
        "the schedule",
      ],
      steps: [],
      is_done: false,
    });
    assertEquals([well.code, api.secrets, api.deployments.length], [0, secrets, 2]);
    assertEquals(
      api.requests.filter((request) => !/^(GET |POST \/database\/query$)/.test(request)),
      [],
    );
  },
);

smallTest(
  "only what changed is deployed again, and a deploy of the sources by hand is replaced",
  async (small) => {
    const { api } = small.hosted;
    assertEquals((await small.deploy()).code, 0);
    await Deno.writeTextFile(
      `${small.dir}/supabase/functions/clerk-worker/index.js`,
      `${INDEX}console.log("ready");\n`,
    );
    api.secrets.set("CLERK_WORKER_SECRET", "another");

    const changed = await small.deploy();

    assertEquals(changed.code, 0, changed.error);
    assertEquals(api.deployments.slice(2).map(({ slug }) => slug), ["clerk-worker"]);
    const [vault] = await small.admin(
      "select decrypted_secret from vault.decrypted_secrets where name = 'clerk_worker_secret'",
    );
    assertEquals(vault?.decrypted_secret, api.secrets.get("CLERK_WORKER_SECRET"));

    const source = await small.deploy("--source");

    assertEquals(source.code, 0, source.error);
    assertEquals(api.deployments.slice(3).map(({ files }) => Object.keys(files)), [
      ["supabase/functions/clerk-webhook/index.js"],
      ["supabase/functions/clerk-worker/index.js"],
    ]);
    const bundles = await small.deploy("--dry-run");
    assertMatch(bundles.out, /^ {2}deploys clerk-webhook, in one file/m);
  },
);

smallTest(
  "deploy asks for the signing secret on the terminal, does not show it, and opens Clerk's page",
  async (small) => {
    const { api, url } = small.hosted;
    const signing = aSigningSecret();
    const browser = await aBrowser();

    const { code, out } = await small.hosted.deploy(["--dir", small.dir], {
      typed: [
        ["Do this?", "y\n"],
        ["not shown", "whsec_short\n"],
        ["not shown", `${signing}x\x7f\r`],
      ],
      env: { PATH: `${browser}:${Deno.env.get("PATH")}` },
    });

    assertEquals(code, 0, out);
    assertEquals(api.secrets.get("CLERK_WEBHOOK_SIGNING_SECRET"), signing);
    assertStringIncludes(out, `URL       ${url}/functions/v1/clerk-webhook`);
    assertMatch(out, /Events {4}all of user, organization, .*subscriptionItem/);
    assertMatch(out, /malformed or too short/);
    assertMatch(
      out,
      /^Done\. Your frontend cannot read yet, .*: \S*docs\/deploy\.md says how .* backfill`/m,
    );
    assertEquals(out.includes(signing), false);
    // The command does not wait for the browser.
    await until(
      "the browser was asked",
      () => Deno.stat(`${browser}/opened`).then(({ size }) => size > 0, () => false),
    );
    assertEquals(
      await Deno.readTextFile(`${browser}/opened`),
      "https://dashboard.clerk.com/~/webhooks\n",
    );
    assertEquals((await small.admin("select type from clerk_sync.inbox")).length, 1);
    await Deno.remove(browser, { recursive: true });
  },
);

/** A folder with programs that open no browser, and write down what they were to open. */
async function aBrowser(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-browser-" });
  for (const name of ["open", "xdg-open"]) {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\necho "$1" > "${folder}/opened"\n`, {
      mode: 0o755,
    });
  }
  return folder;
}

smallTest("deploy refuses in a sentence what it cannot use, and changes nothing", async (small) => {
  const { hosted, dir } = small;
  const { api } = hosted;
  const refused = async (
    code: number,
    why: RegExp,
    args: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<void> => {
    const run = await hosted.deploy(["--dir", dir, "--yes", ...args], { env });
    assertEquals(run.code, code, run.error);
    assertMatch(run.error, why);
    assertNotMatch(run.error, /\n {4}at (?!.*clerk-worker\/\w+\.[jt]s)|backtrace|hint/);
  };

  await refused(
    1,
    /^Cannot use the Management API as it does not accept the access token: make one on/,
    [],
    {
      SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    },
  );
  await refused(1, /^Cannot use the access token as it is no sbp_/, [], {
    SUPABASE_ACCESS_TOKEN: "x",
  });
  await refused(1, /^Cannot reach the Management API as SUPABASE_ACCESS_TOKEN is not set/, [], {
    SUPABASE_ACCESS_TOKEN: "",
    SUPABASE_HOME: dir,
  });
  await refused(1, /^Cannot find project a{20}: check the reference/, [
    "--project-ref",
    "a".repeat(20),
  ]);
  await refused(1, /^Cannot use --project-ref main: a project's reference is the 20 letters/, [
    "--project-ref",
    "main",
  ]);
  await refused(2, /^Cannot ask for the signing secret .*: set CLERK_WEBHOOK_SIGNING_SECRET$/);
  await refused(
    1,
    /^Cannot use the signing secret: CLERK_WEBHOOK_SIGNING_SECRET is malformed/,
    [],
    {
      CLERK_WEBHOOK_SIGNING_SECRET: "whsec_short",
    },
  );
  await refused(
    1,
    /^Cannot set CLERK_SECRET_KEY as it is a publishable key: copy the secret one/,
    [],
    {
      CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
      CLERK_SECRET_KEY: "pk_test_a",
    },
  );
  api.apiKeys.push({ ...api.apiKeys[1], name: "clerk_ingest" } as typeof api.apiKeys[0]);
  await refused(1, /^Cannot use the API key clerk_ingest .* its role is service_role/, [], {
    CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
  });
  await Deno.writeTextFile(
    `${dir}/supabase/functions/clerk-worker/index.js`,
    'import "./missing.ts";\n',
  );
  await refused(1, /^Cannot deploy clerk-worker as `deno bundle` fails:\n[^]*missing\.ts/);
  await writeFiles(`${dir}/supabase/functions/clerk-worker`, {
    "index.js": 'import "./wrong.ts";\n',
    "wrong.ts": 'const n: number = "";\n',
  });
  await refused(1, /^Cannot deploy clerk-worker as `deno bundle` fails:\n[^]*not assignable/);
  await Deno.writeTextFile(
    `${dir}/supabase/config.toml`,
    CONFIG.replace("verify_jwt = false", "verify_jwt = true"),
  );
  await refused(
    1,
    /^Cannot deploy clerk-webhook as \[functions\.clerk-webhook\] .* needs verify_jwt = false, because its callers have no session: write it there$/,
  );
  await Deno.writeTextFile(`${dir}/supabase/config.toml`, 'project_id = "small"\n');
  await refused(
    1,
    /^Cannot deploy clerk-webhook as supabase\/config\.toml has no \[functions\.clerk-webhook\]: run `.* init`/,
  );

  assertEquals([api.secrets.size, api.deployments.length, api.apiKeys.length], [0, 0, 3]);
});

smallTest(
  "--project-ref wins over the linked project, and the token may come from the file of supabase login",
  async (small) => {
    const { api } = small.hosted;
    await Deno.writeTextFile(`${small.dir}/supabase/.temp/project-ref`, "z".repeat(20));

    await Deno.writeTextFile(`${small.dir}/access-token`, `${api.token}\n`);

    const { code, out } = await small.hosted.deploy(
      ["--dir", small.dir, "--project-ref", api.projectRef, "--dry-run"],
      { env: { SUPABASE_ACCESS_TOKEN: "", SUPABASE_HOME: small.dir } },
    );
    const linked = await small.deploy("--dry-run");

    assertEquals(code, 0);
    assertStringIncludes(out, `(${api.projectRef})`);
    assertMatch(linked.error, /^Cannot find project z{20}/);
  },
);
