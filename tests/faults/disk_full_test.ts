import { assert } from "@std/assert";
import connectTo from "postgres";
import { withConnection } from "../../local/postgres/databases.ts";
import { makeEphemeralFolder, runtimeDirOf, stackHome } from "../../local/postgres/home.ts";
import { serverUser } from "../../local/postgres/server_user.ts";
import { preparePostgresRuntime } from "../../local/postgres/runtime.ts";
import { until } from "../until.ts";
import { aBacklog } from "./backlog.ts";
import { startFaultStack } from "./fault_stack.ts";
import { faultTest } from "./fault_case.ts";
import { startOwnPostgres } from "./own_postgres.ts";
import { underLoad } from "./under_load.ts";
import { assertNothingLost, verdictOn } from "./verdict.ts";

// A disk that is full in the middle of a load, simulated in two ways:
//
// - A table whose file may not grow, by a limit on the file size of the server's processes (`ulimit -f`,
//   RLIMIT_FSIZE): the write is refused with EFBIG. It needs no right at all, so it runs everywhere.
// - A file system without space: the whole cluster on a small tmpfs that a big file fills. Postgres gets
//   ENOSPC, for its tables and then for its log, at which it stops altogether (PANIC). It needs the right
//   to mount; where that is refused, the first way is all there is, and the output says so.

const MIB = 1024 * 1024;
const LARGEST_FILE = 24 * MIB;
const TMPFS = 256 * MIB;
const HONEST = ["503 unavailable", "500 failed"];

const TABLES = [
  {
    table: "clerk_sync.inbox",
    columns: "message_id, outcome, payload",
    row: "'ballast_' || n, 'ignored', jsonb_build_object('ballast', ballast)",
    isBallast: "message_id like 'ballast_%'",
    room: 200,
  },
  {
    table: "public.profiles",
    columns: "id, image_url",
    row: "'user_ballast' || n, ballast",
    isBallast: "id like 'user_ballast%'",
    room: 40,
  },
];

for (const { table, columns, row, isBallast, room } of TABLES) {
  faultTest(`${table} that cannot grow loses nothing that was acknowledged`, async () => {
    await using limit = await fileSizeLimit();
    await using postgres = await startOwnPostgres({ program: limit.program });
    const messages = aBacklog(150, 6);
    const superuserUrl = postgres.superuserUrl(postgres.database);
    await withConnection(superuserUrl, async (sql) => {
      await sql`set session_replication_role = replica`;
      const insert = (from: number, rows: number): Promise<unknown> =>
        sql.unsafe(`
          insert into ${table} (${columns})
          select ${row}
          from generate_series(${from}, ${from + rows - 1}) as n,
            lateral (select string_agg(md5(n::text || i), '') as ballast from generate_series(1, 8) as i)
        `);
      let rows = 0;
      for (const step of [1000, 10]) {
        while (await insert(rows, step).then(() => true, () => false)) rows += step;
        // What the refused rows took is free again.
        await sql.unsafe(`vacuum ${table}`);
      }
      // Room for the beginning of the load.
      await sql.unsafe(`
        delete from ${table}
        where ctid in (select ctid from ${table} where ${isBallast} limit ${room})
      `);
      await sql.unsafe(`vacuum ${table}`);
    });
    await using stack = await startFaultStack(postgres, postgres.database);

    const attempts = await underLoad(stack, messages, async (load) => {
      await load.acknowledged(20);
      await load.refused(20);
      // Whoever runs it finds a bigger disk.
      await postgres.stop();
      await postgres.start({ program: undefined });
      await stack.replaceApi();
    });

    await withConnection(superuserUrl, (sql) =>
      sql.unsafe(`
        set session_replication_role = replica;
        delete from ${table} where ${isBallast};
      `).simple());
    const verdict = await verdictOn(superuserUrl, messages, attempts);
    assertNothingLost(`disk full (${table} at its file-size limit)`, verdict, HONEST);
  });
}

if (await mayMount()) {
  faultTest("a file system without space loses nothing that was acknowledged", async () => {
    await using disk = await mountTmpfs();
    await using postgres = await startOwnPostgres({ folder: disk.folder });
    await using stack = await startFaultStack(postgres, postgres.database);
    const messages = aBacklog(250, 7);
    const superuserUrl = postgres.superuserUrl(postgres.database);
    const isUp = (): Promise<boolean> => succeeds(superuserUrl, "select 1");

    const attempts = await underLoad(stack, messages, async (load) => {
      await load.acknowledged(50);
      await disk.fill();
      await load.refused(20);
      // The log needs a new file, too, and there is no room for it.
      await succeeds(superuserUrl, "select pg_switch_wal()");
      await until("Postgres has stopped", async () => !await isUp(), 30_000);
      await load.refused(20);
      await disk.clear();
      await until("Postgres is back", async () => {
        await postgres.start();
        return await isUp();
      }, 30_000);
      await stack.replaceApi();
    });

    const verdict = await verdictOn(superuserUrl, messages, attempts);
    assertNothingLost("disk full (tmpfs without space)", verdict, HONEST);
    assert(stack.unavailableCodes().includes("53100"), stack.unavailableCodes().join());
  });
} else {
  console.log("disk full: mounting a tmpfs is not permitted here, so file-size limits have to do");
}

/** Runs a statement on a server that may go down over it. */
async function succeeds(url: string, statement: string): Promise<boolean> {
  // Without fetch_types, or postgres.js leaves a rejected promise behind.
  const sql = connectTo(url, { max: 1, fetch_types: false, connect_timeout: 5 });
  try {
    await sql.unsafe(statement);
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A `postgres` whose processes cannot write a file beyond the limit. */
async function fileSizeLimit(): Promise<{ program: string } & AsyncDisposable> {
  const home = await stackHome();
  const { postgres } = await preparePostgresRuntime(runtimeDirOf(home));
  const folder = await makeEphemeralFolder(home);
  const program = `${folder}/postgres.sh`;
  await Deno.writeTextFile(
    program,
    `#!/bin/sh\nulimit -S -f ${LARGEST_FILE / 512}\nexec '${postgres}' "$@"\n`,
  );
  await Deno.chmod(program, 0o755);
  return {
    program,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

interface Disk extends AsyncDisposable {
  readonly folder: string;
  /** Takes all the space that is left. */
  fill(): Promise<void>;
  clear(): Promise<void>;
}

async function mayMount(): Promise<boolean> {
  return await mountTmpfs().then(async (disk) => {
    await disk[Symbol.asyncDispose]();
    return true;
  }, () => false);
}

/** @throws {Error} when mounting is not permitted */
async function mountTmpfs(): Promise<Disk> {
  const user = await serverUser();
  const folder = await makeEphemeralFolder(await stackHome());
  const owner = user === undefined ? "" : `,uid=${user.uid},gid=${user.gid}`;
  const mount = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", `size=${TMPFS},mode=0755${owner}`, "clerk-sync-faults", folder],
  });
  const { success } = await mount.output().catch(() => ({ success: false }));
  if (!success) {
    await Deno.remove(folder);
    throw new Error("Cannot mount a tmpfs");
  }

  const ballast = `${folder}/ballast`;
  return {
    folder,
    fill: async () => {
      using file = await Deno.open(ballast, { create: true, append: true });
      for (const size of [MIB, 4096]) {
        const chunk = new Uint8Array(size);
        while (await file.write(chunk).then((written) => written === size, () => false));
      }
    },
    clear: () => Deno.remove(ballast),
    [Symbol.asyncDispose]: async () => {
      await new Deno.Command("umount", { args: [folder] }).output();
      await Deno.remove(folder);
    },
  };
}
