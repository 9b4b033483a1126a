import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { quietPort } from "../../bench/outage/quiet_port.ts";
import { createDatabase, withConnection } from "../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../local/postgres/ephemeral.ts";
import { runtimeDirOf, stackHome } from "../../local/postgres/home.ts";
import { type PostgresServer, startPostgres } from "../../local/postgres/postgres.ts";
import { type Services, startServices } from "../../local/services.ts";
import { StartError } from "../../local/start_error.ts";
import { until } from "../until.ts";

async function readToys(services: Services): Promise<{ status: number; text: string }> {
  const response = await fetch(`${services.apiUrl}/rest/v1/toys`, {
    headers: { apikey: services.keys.secret },
  });
  return { status: response.status, text: await response.text() };
}

async function makeToys(postgres: PostgresServer): Promise<void> {
  await createDatabase(postgres, "toys");
  await withConnection(postgres.url("toys"), async (sql) => {
    await sql`create table public.toys (id int)`;
    await sql`grant select on public.toys to service_role`;
  });
}

Deno.test("while the database is away the API answers 503, and recovers", async () => {
  const folder = await Deno.makeTempDir({ dir: "/var/tmp" });
  await Deno.chmod(folder, 0o755);
  const runtimeDir = runtimeDirOf(await stackHome());
  const dataDir = `${folder}/postgres`;
  // The second gets it, too, and nothing else may take it in between.
  const port = quietPort();
  const first = await startPostgres({ runtimeDir, dataDir, port });
  await makeToys(first);
  const services = await startServices({ postgres: first, database: "toys", functions: false });
  assertEquals((await readToys(services)).status, 200);

  await first.kill();
  const away = await readToys(services);
  const { password } = first;
  const second = await startPostgres({ runtimeDir, dataDir, port, password });
  await until("the API had found it again", async () => (await readToys(services)).status === 200);

  assertEquals(away.status, 503);
  assertMatch(away.text, /^{"code":"PGRST00[012]","details":null,"hint":null,"message":"[^"]+"}$/);
  await services.stop();
  await second.stop();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the webhook gets method, headers and body, and its answer comes back whole", async () => {
  await using postgres = await startEphemeralPostgres();
  await makeToys(postgres);
  await using services = await startServices({ postgres, database: "toys" });

  const get = await fetch(services.webhookUrl);
  const post = await fetch(services.webhookUrl, { method: "POST", body: "x".repeat(2 ** 20) });

  assertEquals([get.status, get.headers.get("allow")], [405, "POST"]);
  assertEquals(await get.json(), { outcome: "method_not_allowed" });
  assertEquals(post.status, 401);
  assertEquals(await post.json(), { outcome: "missing_headers" });
});

Deno.test("a webhook that was killed is restarted, and onNotice is told", async () => {
  await using postgres = await startEphemeralPostgres();
  await makeToys(postgres);
  const notices: string[] = [];
  await using services = await startServices({
    postgres,
    database: "toys",
    onNotice: (text) => notices.push(text),
  });

  await services.edgeFunction()?.kill();
  const away = await fetch(services.webhookUrl, { method: "POST", body: "{}" });
  const text = await away.text();
  await until("it was back", () => notices.length === 2, 60_000);
  const back = await fetch(services.webhookUrl, { method: "POST", body: "{}" });
  await back.body?.cancel();

  assert([502, 503].includes(away.status));
  assertEquals(Object.keys(JSON.parse(text)), ["code", "message"]);
  assertEquals(back.status, 401);
  assertEquals(notices, [
    "The function clerk-webhook ended by itself; restarting it",
    "The function clerk-webhook is running again",
  ]);
});

Deno.test("startServices() refuses a port that is taken, and leaves nothing open", async () => {
  await using postgres = await startEphemeralPostgres();
  await makeToys(postgres);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  await assertRejects(
    () => startServices({ postgres, database: "toys", port: taken.addr.port }),
    StartError,
    `Cannot listen on port ${taken.addr.port}`,
  );
});

Deno.test("a request that takes too long does not keep the services from ending", async () => {
  await using postgres = await startEphemeralPostgres();
  await makeToys(postgres);
  await withConnection(
    postgres.url("toys"),
    (sql) =>
      sql.unsafe("create function public.nap() returns void language sql as 'select pg_sleep(6)'"),
  );
  const services = await startServices({ postgres, database: "toys", functions: false });
  const napping = fetch(`${services.apiUrl}/rest/v1/rpc/nap`, {
    method: "POST",
    headers: { apikey: services.keys.secret },
  }).then((response) => response.text(), String);
  await until("it naps", async () => {
    const [row] = await withConnection(
      postgres.superuserUrl("toys"),
      (sql) => sql`select from pg_stat_activity where wait_event = 'PgSleep'`,
    );
    return row !== undefined;
  });

  await services.stop();

  await napping;
});
