import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { planInit } from "../../adopt/init.ts";
import { carryOut } from "../../adopt/plan.ts";
import { deliver } from "../../local/clerk/deliver.ts";
import { aClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { withConnection } from "../../local/postgres/databases.ts";
import { aProject, FIXTURES } from "../adopt/projects.ts";
import { startWithExtensions } from "../supabase/stand_in_extensions.ts";
import { startHostedProject } from "./hosted_project.ts";

Deno.test("deploy brings a project with a prefix to work on the Deno of hosted Supabase, and a second run changes nothing", async () => {
  await using server = await startWithExtensions();
  await using hosted = await startHostedProject(server);
  await using project = await aProject(FIXTURES.fresh);
  const { steps } = await planInit(project.dir, "clerk_");
  await carryOut(project.dir, steps, () => {});
  const { api, url } = hosted;
  const signing = aSigningSecret();
  const clerkKey = `sk_test_${crypto.randomUUID()}`;
  const args = ["--dir", project.dir, "--project-ref", api.projectRef, "--yes"];
  const env = { CLERK_WEBHOOK_SIGNING_SECRET: signing, CLERK_SECRET_KEY: clerkKey };
  const files = await project.files();

  const seen = await withArgumentsSeen(() => hosted.deploy(args, { env }));
  const first = seen.result;

  assertEquals([first.code, first.error], [0, ""], first.error);
  assertEquals(hosted.api.apiKeys.slice(2).map((key) => [key.name, key.secret_jwt_template]), [
    ["clerk_ingest", { role: "clerk_ingest" }],
    ["clerk_worker", { role: "clerk_worker" }],
  ]);
  assertEquals([...api.secrets.keys()].sort(), [
    "CLERK_SECRET_KEY",
    "CLERK_WEBHOOK_SIGNING_SECRET",
    "CLERK_WORKER_SECRET",
  ]);
  const workerSecret = api.secrets.get("CLERK_WORKER_SECRET") ?? "";
  assertMatch(workerSecret, /^[0-9a-f]{64}$/);
  for (const { files: uploaded, metadata } of api.deployments) {
    assertEquals(Object.keys(uploaded), [metadata.entrypoint_path]);
    assertEquals(metadata.verify_jwt, false);
  }
  const { vault, jobs, inbox, silent } = await stateOf(server.url(hosted.database.name));
  assertEquals(vault, {
    clerk_worker_url: `${url}/functions/v1/clerk-worker`,
    clerk_worker_secret: workerSecret,
  });
  assertEquals(jobs, ["clerk-maintain", "clerk-reconcile", "clerk-worker"]);
  assertEquals(inbox, [{ type: "clerkSync.probe", outcome: "ignored", is_ours: true }]);
  assertEquals(silent, { profiles: 0, objects: 0, changes: 0, last_event: null });

  const again = await hosted.deploy(args, { env });

  assertEquals([again.code, again.error], [0, ""]);
  assertMatch(again.out, /^Already there: the migrations, the API keys .*, the schedule$/m);
  assertStringIncludes(again.out, "Nothing to do");
  assertEquals(api.deployments.length, 2);
  assertEquals(api.secrets.get("CLERK_WORKER_SECRET"), workerSecret);
  assertEquals((await stateOf(server.url(hosted.database.name))).inbox.length, 1);
  assertEquals(await project.files(), files);

  const user = aClerkUser({ first_name: "Ada" });
  const { outcome } = await deliver(`${url}/functions/v1/clerk-webhook`, signing, {
    id: anId("msg"),
    body: JSON.stringify(anEvent("user.created", user)),
  });
  const names = await withConnection(
    server.url(hosted.database.name),
    (sql) => sql`select first_name from public.clerk_profiles`.values(),
  );
  assertEquals([outcome, names.flat()], ["applied", ["Ada"]]);

  assert(seen.lines.some((line) => line.includes("functions deploy")), "the CLI ran");
  const secrets = [api.token, signing, clerkKey, workerSecret, server.password];
  for (const text of [...seen.lines, first.out, again.out]) {
    assertEquals(secrets.filter((secret) => text.includes(secret)), []);
  }
});

/** Runs something, and collects the command lines of all processes meanwhile. */
async function withArgumentsSeen<Result>(
  run: () => Promise<Result>,
): Promise<{ result: Result; lines: readonly string[] }> {
  const lines = new Set<string>();
  let ended = false;
  const result = run().finally(() => ended = true);
  while (!ended) {
    const { stdout } = await new Deno.Command("ps", { args: ["-Aww", "-o", "args="] }).output();
    new TextDecoder().decode(stdout).split("\n").forEach((line) => lines.add(line));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { result: await result, lines: [...lines] };
}

interface State {
  readonly vault: Record<string, string>;
  readonly jobs: readonly string[];
  readonly inbox: readonly unknown[];
  readonly silent: unknown;
}

async function stateOf(databaseUrl: string): Promise<State> {
  return await withConnection(databaseUrl, async (sql) => {
    const vault = await sql`select name, decrypted_secret from vault.decrypted_secrets`.values();
    const jobs = await sql`select jobname from cron.job order by jobname`.values();
    const inbox = await sql`
      select type, outcome, message_id ^@ 'msg_clerk_sync_probe_' as is_ours from clerk_sync.inbox
    `;
    const [silent] = await sql`
      select
        (select count(*)::int from public.clerk_profiles) as profiles,
        (select count(*)::int from clerk_sync.objects) as objects,
        (select count(*)::int from pgmq.q_clerk_changes) as changes,
        public.clerk_sync_status() #> '{events,last_seconds}' as last_event
    `;
    return {
      vault: Object.fromEntries(vault),
      jobs: jobs.flat().map(String),
      inbox: inbox.map((row) => ({ ...row })),
      silent: { ...silent },
    };
  });
}
