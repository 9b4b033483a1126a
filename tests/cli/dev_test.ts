import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { fileURLToPath } from "node:url";
import { withConnection } from "../../local/postgres/databases.ts";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { deliver, signedHeadersFor } from "../../local/clerk/deliver.ts";
import { copyCheckout } from "../deploy/checkout_copy.ts";
import { startReceiver } from "../functions/clerk-worker/handlers/receiver.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { until } from "../until.ts";
import { allGone, type DevProcess, pidOf, startDev } from "./dev_process.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Under root, Postgres runs as another user, who must be able to reach the folder. */
async function makeFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: "/var/tmp" });
  await Deno.chmod(folder, 0o755);
  return folder;
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await makeFolder();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function devTest(name: string, test: (folder: string) => Promise<void>): void {
  Deno.test(name, () => withFolder(test));
}

async function post(environment: Map<string, string>): Promise<number> {
  const response = await fetch(environment.get("CLERK_WEBHOOK_URL") ?? "", {
    method: "POST",
    body: "{}",
  });
  await response.body?.cancel();
  return response.status;
}

async function failure(dev: DevProcess): Promise<{ code: number; lines: string[] }> {
  const code = await dev.ended;
  // deno-lint-ignore no-control-regex -- the colours of `deno task`
  const plain = dev.output().replace(/\x1b\[[\d;]*m/g, "");
  const lines = plain.split("\n").filter((line) => /\S/.test(line) && !/^( {2}|Task )/.test(line));
  return { code, lines };
}

for (
  const [what, end] of [
    ["SIGINT", (dev) => dev.signal("SIGINT")],
    ["SIGTERM", (dev) => dev.signal("SIGTERM")],
    ["SIGHUP", (dev) => dev.signal("SIGHUP")],
    ["SIGTERM twice", (dev) => {
      dev.signal("SIGTERM");
      dev.signal("SIGTERM");
    }],
    ["SIGINT to the whole group, twice", async (dev) => {
      await dev.interruptGroup();
      await dev.interruptGroup();
    }],
  ] as [string, (dev: DevProcess) => void | Promise<void>][]
) {
  devTest(`${what} ends dev with 0 and leaves nothing`, async (folder) => {
    await using dev = startDev({ envFile: `${folder}/env`, args: ["--ephemeral"] });
    const environment = await dev.environment();
    const family = await dev.family();
    const data = await dataDirOf(environment);

    await end(dev);

    assertEquals(await dev.ended, 0);
    await allGone(family);
    assert(family.length > 8, `of ${family.length} processes`);
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    assertEquals(await Deno.stat(data).then(() => true, () => false), false);
  });
}

const A_SHELL_THAT_STAYS = ["sh", "-c", '"$@"; exec sleep 60', "sh"];

for (
  const [what, launcher, wrapper, signal, victim] of [
    ["SIGTERM to npx", "npx", [], "SIGTERM", /^npm exec /],
    ["SIGKILL to npx", "npx", [], "SIGKILL", /^npm exec /],
    ["SIGTERM to npx in a shell that stays", "npx", A_SHELL_THAT_STAYS, "SIGTERM", /^npm exec /],
    ["SIGKILL to deno task", "deno", [], "SIGKILL", /^\S*deno task /],
  ] as const
) {
  devTest(`${what} ends dev, too, and leaves nothing`, async (folder) => {
    await using dev = startDev({
      envFile: `${folder}/env`,
      args: ["--ephemeral"],
      launcher,
      wrapper,
    });
    const environment = await dev.environment();
    const family = await dev.family();
    const data = await dataDirOf(environment);
    if (launcher === "npx") await assertSuggestionWorks(dev, `${folder}/env`);
    const stack = wrapper.length === 0 ? family : family.filter((pid) => pid !== dev.pid);

    try {
      Deno.kill(await pidOf(family, victim), signal);

      await allGone(stack);
      assert(stack.length > 8, `of ${stack.length} processes`);
      for (const name of ["SUPABASE_URL", "DATABASE_URL"]) {
        const { port } = new URL(environment.get(name) ?? "");
        await assertRejects(() => Deno.connect({ port: Number(port) }), Error, "refused");
      }
      assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
      assertEquals(await Deno.stat(data).then(() => true, () => false), false);
    } finally {
      for (const pid of stack) killIfRunning(pid);
    }
  });
}

/** Behind npx, the next command that dev suggests is typed as dev was, and finds its env file. */
async function assertSuggestionWorks(dev: DevProcess, envFile: string): Promise<void> {
  const [, suggested = ""] = /\n {2}(npx .* task send .*)\n/.exec(dev.output()) ?? [];

  const { code, stdout } = await new Deno.Command("sh", { args: ["-c", suggested], cwd: ROOT })
    .output();

  assertEquals(
    suggested,
    `npx -y deno@${Deno.version.deno} task send user.created --env ${envFile}`,
  );
  assertMatch(new TextDecoder().decode(stdout), /^applied +200 /m);
  assertEquals(code, 0);
}

function killIfRunning(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function dataDirOf(environment: Map<string, string>): Promise<string> {
  const url = (environment.get("DATABASE_URL") ?? "").replace("//postgres:", "//supabase_admin:");
  return await withConnection(url, async (sql) => {
    const [row] = await sql<{ data_directory: string }[]>`show data_directory`;
    return row?.data_directory ?? "";
  });
}

devTest("a signal during the start ends dev with 0 and leaves nothing", async (folder) => {
  await using dev = startDev({ envFile: `${folder}/env`, args: ["--ephemeral"] });
  await until("it starts Postgres", () => dev.output().includes("Starting Postgres"), 60_000);
  const ownSize = 2;
  let family: number[] = [];
  await until(
    "a child is running",
    async () => (family = await dev.family()).length > ownSize,
    60_000,
  );

  dev.signal("SIGTERM");

  assertEquals(await dev.ended, 0);
  await allGone(family);
});

/** What one `dev` shows; each of these tests leaves it as it is. */
let shown: { readonly dev: DevProcess; readonly folder: string } | undefined;

function lookTest(name: string, test: (dev: DevProcess, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    fn: async () => {
      if (shown === undefined) {
        const folder = await makeFolder();
        const args = ["--ephemeral", "--console-port", "0"];
        shown = { folder, dev: startDev({ envFile: `${folder}/env`, args, launcher: "direct" }) };
      }
      await test(shown.dev, shown.folder);
    },
    // It outlives the first test.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

Deno.test.afterAll(async () => {
  if (shown === undefined) return;
  await shown.dev[Symbol.asyncDispose]();
  await Deno.remove(shown.folder, { recursive: true });
});

lookTest(
  "the env file has all URLs and keys, and only its owner can read it",
  async (dev, folder) => {
    const environment = await dev.environment();

    assertEquals([...environment.keys()], [
      "SUPABASE_URL",
      "SUPABASE_PUBLISHABLE_KEY",
      "SUPABASE_SECRET_KEY",
      "CLERK_WEBHOOK_URL",
      "CLERK_WEBHOOK_SIGNING_SECRET",
      "DATABASE_URL",
      "CONSOLE_URL",
    ]);
    for (const value of environment.values()) assertStringIncludes(dev.output(), value);
    assertMatch(environment.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "", /^whsec_[A-Za-z0-9+/]{32}$/);
    for (const file of ["env", "env.key"]) {
      assertEquals(((await Deno.stat(`${folder}/${file}`)).mode ?? 0) & 0o777, 0o600);
    }
  },
);

lookTest("dev serves the console, which shows what the webhook refused", async (dev) => {
  const environment = await dev.environment();
  const { origin, hash } = new URL(environment.get("CONSOLE_URL") ?? "");
  const headers = { authorization: `Bearer ${hash.replace("#token=", "")}` };

  assertEquals(await post(environment), 401);
  const outcomes = async (): Promise<string[]> => {
    const response = await fetch(`${origin}/api/refusals`, { headers });
    const { refusals } = await response.json();
    return refusals.map(({ outcome }: { outcome: string }) => outcome);
  };
  await until("the refusal was shown", async () => (await outcomes()).length > 0);

  assertEquals(await outcomes(), ["missing_headers"]);
  assert(dev.output().includes(environment.get("CONSOLE_URL") ?? "none"));
});

lookTest(
  "what doctor asks is called so, and is nothing that the webhook refused",
  async (dev, folder) => {
    const environment = await dev.environment();
    const { origin, hash } = new URL(environment.get("CONSOLE_URL") ?? "");
    const headers = { authorization: `Bearer ${hash.replace("#token=", "")}` };
    const refusals = async (): Promise<unknown> =>
      (await (await fetch(`${origin}/api/refusals`, { headers })).json()).counts;
    const before = await refusals();

    await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "cli/doctor.ts", "--env", `${folder}/env`],
    }).output();
    await until(
      "its question was logged",
      () => /missing_headers .* doctor {2}/.test(dev.output()),
    );

    assertEquals(await refusals(), before);
  },
);

lookTest("no value that dev prints breaks at 80 columns", async (dev) => {
  const environment = await dev.environment();

  const [, values = ""] = dev.output().split("\n\n");
  assertStringIncludes(values, `  Console\n    ${environment.get("CONSOLE_URL")}\n  API  `);
  assertEquals(values.split("\n").filter(({ length }) => length > 80), []);
});

lookTest("the database's password is random and in no argument of any process", async (dev) => {
  const url = new URL((await dev.environment()).get("DATABASE_URL") ?? "");

  const { stdout } = await new Deno.Command("ps", { args: ["-Aww", "-o", "args="] }).output();

  const everyArgument = new TextDecoder().decode(stdout);
  assertMatch(url.password, /^[\w-]{32}$/);
  assertStringIncludes(everyArgument, `port=${url.port}`);
  assert(!everyArgument.includes(url.password));
});

lookTest("the token command finds its stack by the env file", async (dev, folder) => {
  const environment = await dev.environment();

  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/token.ts", "--sub", "user_ada", "--env", `${folder}/env`],
  }).output();
  const response = await fetch(`${environment.get("SUPABASE_URL")}/rest/v1/profiles`, {
    headers: {
      apikey: environment.get("SUPABASE_PUBLISHABLE_KEY") ?? "",
      authorization: `Bearer ${new TextDecoder().decode(stdout).trim()}`,
    },
  });

  assertEquals(response.status, 200);
  assertEquals(await response.json(), []);
});

lookTest(
  "a first start says little: a line a step, how many migrations, no file names",
  async (dev) => {
    await dev.environment();

    const [steps = ""] = dev.output().split("\n\n");
    assertMatch(
      steps,
      /^ {2}Starting Postgres\n {2}Applying new migrations\n {2}Applied \d+ migrations\n {2}Starting the API and the webhook$/,
    );
    assertStringIncludes(dev.output(), "\n  Data             deleted at the end\n");
  },
);

async function thresholds(url: string): Promise<unknown[]> {
  const [row = []] = await withConnection(url, (sql) =>
    sql`
      select max_event_age::text, max_reconcile_age::text from clerk_sync.settings
    `.values());
  return row;
}

devTest(
  "data and keys survive a restart, also after SIGKILL, and only their owner can read the keys",
  async (folder) => {
    const keysFile = `${folder}/data/keys.json`;
    const start = (): DevProcess =>
      startDev({
        envFile: `${folder}/env`,
        args: ["--data-dir", `${folder}/data`],
        launcher: "direct",
      });
    const insert = (url: string, id: number): Promise<unknown> =>
      withConnection(url, (sql) => sql`insert into public.kept values (${id})`);
    let secret: string | undefined;
    {
      await using dev = start();
      const environment = await dev.environment();
      secret = environment.get("SUPABASE_SECRET_KEY");
      const url = environment.get("DATABASE_URL") ?? "";
      await withConnection(url, (sql) => sql`create table public.kept (id int)`);
      await insert(url, 1);
      const { databasePassword } = JSON.parse(await Deno.readTextFile(keysFile));
      assertEquals(new URL(url).password, databasePassword);
      assertEquals(((await Deno.stat(keysFile)).mode ?? 0) & 0o777, 0o600);
      assertEquals(await thresholds(url), [null, null], "without Clerk, nothing is expected");
      await withConnection(url, (sql) => sql`update clerk_sync.settings set max_event_age = '1 h'`);
      dev.signal("SIGTERM");
      assertEquals(await dev.ended, 0);
    }
    {
      await using dev = start();
      const environment = await dev.environment();
      await insert(environment.get("DATABASE_URL") ?? "", 2);
      const family = await dev.family();
      dev.signal("SIGKILL");
      await dev.ended;
      await allGone(family);
    }

    await using dev = start();
    const environment = await dev.environment();

    const rows = await withConnection(
      environment.get("DATABASE_URL") ?? "",
      (sql) => sql`select id from public.kept order by id`,
    );
    assertEquals(rows.map((row) => row.id), [1, 2]);
    assertEquals(await thresholds(environment.get("DATABASE_URL") ?? ""), ["01:00:00", null]);
    assertEquals(environment.get("SUPABASE_SECRET_KEY"), secret);
  },
);

devTest(
  "data of older migrations is refused with the way out: --reset, which deletes it and keeps the keys",
  async (folder) => {
    const start = (...more: string[]): DevProcess =>
      startDev({
        envFile: `${folder}/env`,
        args: ["--data-dir", `${folder}/data`, ...more],
        launcher: "direct",
      });
    const tables = async (environment: Map<string, string>): Promise<number> =>
      await withConnection(
        environment.get("DATABASE_URL") ?? "",
        async (sql) => (await sql`select from pg_class where relname = 'kept'`).length,
      );
    let keys: string | undefined;
    {
      await using dev = start();
      const environment = await dev.environment();
      keys = environment.get("SUPABASE_SECRET_KEY");
      await withConnection(
        environment.get("DATABASE_URL") ?? "",
        (sql) => sql`create table public.kept (id int)`,
      );
      assertEquals(await tables(environment), 1);
      assertStringIncludes(dev.output(), `\n  Data             ${folder}/data\n`);
      await withConnection(
        environment.get("DATABASE_URL") ?? "",
        (sql) =>
          sql`
            update supabase_migrations.schema_migrations set statements = '{select 1}'
            where name = 'create_profiles'
          `,
      );
    }
    {
      await using dev = start();
      const { code, lines } = await failure(dev);
      assertEquals(code, 1);
      assertMatch(
        lines.join(),
        new RegExp(
          "^Cannot apply migrations as \\d+_create_profiles\\.sql was changed after it had been applied: " +
            "`deno task dev --reset` starts with an empty database, and deletes the data in " +
            `${folder}/data$`,
        ),
      );
    }

    await using dev = start("--reset");
    const environment = await dev.environment();

    assertEquals(await tables(environment), 0);
    assertEquals(environment.get("SUPABASE_SECRET_KEY"), keys);
  },
);

devTest(
  "a second stack on the same data is refused, and --reset deletes nothing that is no database, and none in use",
  async (folder) => {
    const args = ["--data-dir", `${folder}/data`];
    await using one = startDev({ envFile: `${folder}/one`, args });
    const environment = await one.environment();
    await Deno.mkdir(`${folder}/photos/postgres`, { recursive: true });
    await Deno.writeTextFile(`${folder}/photos/postgres/ada.jpg`, "");

    await using second = startDev({ envFile: `${folder}/two`, args });
    assertEquals(await failure(second), {
      code: 1,
      lines: [
        `Cannot use ${folder}/data/postgres as another stack is using it: stop that one, or choose another folder with --data-dir`,
      ],
    });
    await using two = startDev({ envFile: `${folder}/two`, args: [...args, "--reset"] });
    const inUse = await failure(two);
    await using three = startDev({
      envFile: `${folder}/three`,
      args: ["--data-dir", `${folder}/photos`, "--reset"],
    });
    const noDatabase = await failure(three);

    assertMatch(inUse.lines[0] ?? "", /as another stack is using it/);
    assertMatch(noDatabase.lines[0] ?? "", /^Cannot make a database in /);
    assertEquals([inUse.code, noDatabase.code], [1, 1]);
    assertEquals(await post(environment), 401);
    await Deno.stat(`${folder}/photos/postgres/ada.jpg`);
  },
);

devTest("a taken port is reported in a sentence", async (folder) => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(taken.addr.port);

  for (const flag of ["--port", "--db-port"]) {
    await using dev = startDev({
      envFile: `${folder}/env`,
      args: ["--ephemeral", flag, port],
    });

    assertEquals(await failure(dev), {
      code: 1,
      lines: [
        `Cannot listen on port ${port} as another program already does: stop it, or choose another port with ${flag}`,
      ],
    });
  }
});

devTest("a folder that cannot be written to is reported in a sentence", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "");

  for (
    const args of [
      ["--data-dir", `${folder}/file/data`],
      ["--ephemeral", "--env", `${folder}/file/env`],
    ]
  ) {
    await using dev = startDev({ envFile: `${folder}/env`, args });
    const { code, lines } = await failure(dev);

    assertEquals(code, 1);
    assertEquals(lines.length, 1);
    assertMatch(lines[0] ?? "", /^Cannot .* as (not a directory|file exists): choose another f/);
  }
});

devTest("wrong flags are reported in a sentence, with exit code 2", async (folder) => {
  for (
    const [args, sentence] of [
      [["--nope"], "Unknown option '--nope'. See --help"],
      [
        ["--ephemeral", "--reset"],
        "Cannot combine --ephemeral and --reset: both start empty, choose one",
      ],
      [["--port", "x"], "Cannot use --port x: ports are whole numbers up to 65535"],
      [["--db-port", "70000"], "Cannot use --db-port 70000: ports are whole numbers up to 65535"],
    ] as const
  ) {
    await using dev = startDev({ envFile: `${folder}/env`, args: [...args] });

    assertEquals(await failure(dev), { code: 2, lines: [sentence] });
  }
});

devTest(
  "dev verifies with the environment's signing secrets, too, and shows none",
  async (folder) => {
    const [one, two, another] = [aSigningSecret(), aSigningSecret(), aSigningSecret()];
    await using dev = startDev({
      envFile: `${folder}/env`,
      args: ["--ephemeral"],
      env: { CLERK_WEBHOOK_SIGNING_SECRET: `${one}, ${two}` },
    });
    const environment = await dev.environment();
    const local = environment.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "";

    const statuses: number[] = [];
    for (const secret of [local, one, two, another]) {
      const body = JSON.stringify(anEvent("user.created", aClerkUser()));
      const { status } = await deliver(environment.get("CLERK_WEBHOOK_URL") ?? "", secret, {
        id: `msg_${statuses.length}`,
        body,
      });
      statuses.push(status);
    }

    assertEquals(statuses, [200, 200, 200, 401]);
    for (const secret of [one, two]) {
      assert(![dev.output(), ...environment.values()].some((text) => text.includes(secret)));
    }
  },
);

devTest("dev names a signing secret of the environment that is malformed", async (folder) => {
  await using dev = startDev({
    envFile: `${folder}/env`,
    args: ["--ephemeral"],
    env: { CLERK_WEBHOOK_SIGNING_SECRET: "whsec_short" },
  });

  const { code, lines } = await failure(dev);

  assertEquals(code, 1);
  assertStringIncludes(lines.join("\n"), "CLERK_WEBHOOK_SIGNING_SECRET is malformed or too short");
});

devTest("a change reaches a handler of dev within a second", async (folder) => {
  const secret = aSigningSecret();
  await using receiver = startReceiver(secret);
  await using dev = startDev({
    envFile: `${folder}/env`,
    args: ["--ephemeral"],
    env: { FORWARD_URLS: receiver.url.href, FORWARD_SIGNING_SECRET: secret },
  });
  const environment = await dev.environment();
  const [status, doctor] = await Promise.all(
    ["status", "doctor"].map((command) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", `${ROOT}cli/${command}.ts`, "--env", `${folder}/env`],
        env: { NO_COLOR: "1" },
        clearEnv: false,
      }).output()
    ),
  );
  const out = new TextDecoder().decode(status?.stdout);
  assertEquals(
    [status?.code, doctor?.code],
    [0, 0],
    out + new TextDecoder().decode(doctor?.stdout),
  );
  assertMatch(
    out,
    /^✓ All is well: no event has arrived yet\.\n[^]*\n {2}.* send user\.created --env /,
  );

  // The fastest of five, because the machine may have other work.
  const milliseconds: number[] = [];
  for (const id of ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"]) {
    const body = JSON.stringify(anEvent("user.created", aClerkUser()));
    const signing = environment.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "";
    const before = receiver.received.length;
    const response = await fetch(environment.get("CLERK_WEBHOOK_URL") ?? "", {
      method: "POST",
      headers: signedHeadersFor({ id, body }, signing),
      body,
    });
    await response.body?.cancel();
    const changed = performance.now();
    await until("the change is received", () => receiver.received.length > before);
    milliseconds.push(performance.now() - changed);
  }

  assertEquals(new Set(receiver.received.map(({ isAuthentic }) => isAuthentic)), new Set([true]));
  assert(Math.min(...milliseconds) < 1000, `${milliseconds} ms`);
});

devTest("a function that was killed comes back; the database's death ends dev", async (folder) => {
  await using dev = startDev({ envFile: `${folder}/env`, args: ["--ephemeral"] });
  const environment = await dev.environment();
  const family = await dev.family();
  Deno.kill(await pidOf(family, /^\S*deno serve /), "SIGKILL");
  await until("it runs again", () => dev.output().includes("running again"), 60_000);
  assertEquals(await post(environment), 401);

  Deno.kill(await pidOf(family, /^\S*bin\/postgres -D/), "SIGKILL");
  assertEquals(await dev.ended, 1);
  assertStringIncludes(dev.output(), "Cannot continue as Postgres ended by itself");
  await allGone(family);
});

/** A test with a checkout of its own, and so with a `.local` folder of its own. */
function checkoutTest(name: string, test: (root: string) => Promise<void>): void {
  Deno.test(name, async () => {
    await using checkout = await copyCheckout();
    const root = checkout.folder;
    try {
      await test(root);
    } finally {
      // As root its data lies outside of the checkout.
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          "eval",
          `console.log(await (await import("${root}/local/postgres/home.ts")).stackHome())`,
        ],
      }).output();
      const home = new TextDecoder().decode(stdout).trim();
      if (/^\/var\/tmp\/clerk-sync-\w+$/.test(home)) await Deno.remove(home, { recursive: true });
    }
  });
}

checkoutTest("the checkout may lie below a folder that only its owner may enter", async (root) => {
  assertEquals(((await Deno.stat(root)).mode ?? 0) & 0o777, 0o700);
  await using dev = startDev({ envFile: `${root}/.local/env`, root });

  const environment = await dev.environment();

  assertEquals(await post(environment), 401);
});

checkoutTest(
  "a second stack of a checkout leaves the first one its .local/env, and says where its own is",
  async (root) => {
    const first = `${root}/.local/env`;
    const start = (): DevProcess =>
      startDev({ envFile: first, isDefaultFile: true, root, args: ["--ephemeral"] });
    const send = async (...args: readonly string[]): Promise<Deno.CommandOutput> =>
      await new Deno.Command(Deno.execPath(), {
        args: ["task", "send", "user.created", ...args],
        cwd: root,
      }).output();
    await using one = start();
    const environment = await one.environment();
    {
      await using two = start();
      await two.environment();
      const [, file = ""] =
        /These values are also in (\.local\/env-\d+), because another stack uses\n\.local\/env\./
          .exec(
            two.output(),
          ) ??
          [];
      assertStringIncludes(two.output(), `task send user.created --env ${file}\n`);
      const inbox = async (url: string): Promise<number> =>
        await withConnection(url, async (sql) => (await sql`select from clerk_sync.inbox`).length);
      const [, secondDatabase = ""] = /Database\s+(\S+)/.exec(two.output()) ?? [];

      const codes = [(await send()).code, (await send("--env", file)).code];

      assertEquals(codes, [0, 0]);
      assertEquals(await inbox(environment.get("DATABASE_URL") ?? ""), 1);
      assertEquals(await inbox(secondDatabase), 1);
      two.signal("SIGTERM");
      await two.ended;
    }

    for (const [flag, name] of [["--port", "SUPABASE_URL"], ["--db-port", "DATABASE_URL"]]) {
      const { port } = new URL(environment.get(name ?? "") ?? "");
      await using second = startDev({
        envFile: first,
        isDefaultFile: true,
        root,
        args: [flag ?? "", port],
      });
      assertEquals(await failure(second), {
        code: 1,
        lines: [
          "`dev` already runs for this folder, and its console is " +
          `${environment.get("CONSOLE_URL")}: for a second stack with a database of its own, ` +
          "add --port 0 --db-port 0 --ephemeral",
        ],
      });
    }

    assertEquals(await one.environment(), environment);
    assertEquals((await send()).code, 0);
    const left = await Array.fromAsync(Deno.readDir(`${root}/.local`), ({ name }) => name);
    assertEquals(left.filter((name) => name.startsWith("env")).sort(), [
      "env",
      "env.key",
      "env.lock",
    ]);
  },
);

devTest("two stacks run side by side, but not with one env file", async (folder) => {
  const envFile = `${folder}/env`;
  await using one = startDev({ envFile, args: ["--ephemeral"] });
  const environment = await one.environment();

  await using two = startDev({ envFile, args: ["--ephemeral"] });

  assertEquals(await failure(two), {
    code: 1,
    lines: [
      `Cannot write ${envFile} as it belongs to another running stack: choose another file with --env`,
    ],
  });
  assertEquals(await one.environment(), environment);

  await using three = startDev({ envFile: `${folder}/three`, args: ["--ephemeral"] });
  const other = await three.environment();
  assertEquals([await post(environment), await post(other)], [401, 401]);
  assertNotEquals(other.get("SUPABASE_URL"), environment.get("SUPABASE_URL"));
});

devTest("an env file that a killed stack left behind is replaced", async (folder) => {
  const envFile = `${folder}/env`;
  const start = (): DevProcess => startDev({ envFile, args: ["--ephemeral"], launcher: "direct" });
  await using killed = start();
  const before = await killed.environment();
  const family = await killed.family();
  killed.signal("SIGKILL");
  await allGone(family);

  await using dev = start();

  assertNotEquals(await dev.environment(), before);
});
