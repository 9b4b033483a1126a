import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { withConnection } from "../../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../../local/postgres/ephemeral.ts";
import { runtimeDirOf, stackHome } from "../../../local/postgres/home.ts";
import { startPostgres } from "../../../local/postgres/postgres.ts";
import { preparePostgresRuntime } from "../../../local/postgres/runtime.ts";
import { StartError } from "../../../local/start_error.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/var/tmp" });
  try {
    await Deno.chmod(folder, 0o755);
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("startPostgres() serves Postgres 17 in UTF-8, on loopback only", async () => {
  await using server = await startEphemeralPostgres();

  const [row] = await withConnection(server.superuserUrl("postgres"), (sql) =>
    sql`
      select current_setting('server_version_num')::int / 10000 as major, lower('É') as lower,
        current_setting('listen_addresses') as addresses,
        current_setting('synchronous_commit') as synchronous_commit
    `);

  assertEquals(row, {
    major: 17,
    lower: "é",
    addresses: "127.0.0.1",
    synchronous_commit: "on",
  });
});

Deno.test("startPostgres() refuses to acknowledge what is not durable", async () => {
  await assertRejects(
    () => startEphemeralPostgres({ settings: { synchronous_commit: "off" } }),
    TypeError,
    "acknowledged means durable",
  );
});

Deno.test("what was committed survives SIGKILL of the server", async () => {
  await withFolder(async (folder) => {
    const start = async (): ReturnType<typeof startPostgres> =>
      await startPostgres({
        runtimeDir: runtimeDirOf(await stackHome()),
        dataDir: `${folder}/postgres`,
        port: 0,
      });
    const first = await start();
    await withConnection(first.superuserUrl("postgres"), async (sql) => {
      await sql`create table kept (id int)`;
      await sql`insert into kept values (1)`;
    });
    await first.kill();

    await using second = await start();

    const rows = await withConnection(
      second.superuserUrl("postgres"),
      (sql) => sql`select id from kept`,
    );
    assertEquals(rows.map((row) => row.id), [1]);
  });
});

Deno.test("startPostgres() refuses a cluster that is in use", async () => {
  await withFolder(async (folder) => {
    const options = {
      runtimeDir: runtimeDirOf(await stackHome()),
      dataDir: `${folder}/postgres`,
      port: 0,
    };
    await using _first = await startPostgres(options);

    const error = await assertRejects(() => startPostgres(options), StartError);

    assertStringIncludes(error.message, "as another stack is using it");
  });
});

Deno.test("startPostgres() waits for a lock that is about to be released", async () => {
  await withFolder(async (folder) => {
    const held = await Deno.open(`${folder}/postgres.lock`, { create: true, write: true });
    await held.lock(true);
    setTimeout(() => held.close(), 100);

    await using server = await startPostgres({
      runtimeDir: runtimeDirOf(await stackHome()),
      dataDir: `${folder}/postgres`,
      port: 0,
    });

    assert(server.port > 0);
  });
});

Deno.test("startPostgres() is not fooled by a pid file whose number belongs to another", async () => {
  await withFolder(async (folder) => {
    const options = {
      runtimeDir: runtimeDirOf(await stackHome()),
      dataDir: `${folder}/postgres`,
      port: 0,
    };
    await (await startPostgres(options)).stop();
    await Deno.writeTextFile(`${folder}/postgres/postmaster.pid`, `${Deno.pid}\n`);

    await using server = await startPostgres(options);

    assert(server.port > 0);
  });
});

Deno.test("preparePostgresRuntime() may be called by several at once", async () => {
  await withFolder(async (folder) => {
    const runtimes = await Promise.all([1, 2, 3].map(() => preparePostgresRuntime(folder)));

    assertEquals(new Set(runtimes.map((runtime) => runtime.postgres)).size, 1);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 1);
  });
});
