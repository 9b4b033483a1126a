import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { Project } from "../../console/api.ts";
import { DEFAULT_PORT } from "../../console/server/start_console.ts";
import { stackTest } from "../test_stack.ts";
import { until } from "../until.ts";
import { withConsole } from "../console/a_console.ts";
import { allGone, familyOf } from "./dev_process.ts";
import { withEnvFile } from "./with_env_file.ts";

interface Served {
  readonly pid: number;
  readonly output: () => string;
  readonly ended: Promise<number>;
  interrupt(): void;
}

function serve(args: readonly string[], env: Record<string, string> = {}): Served {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "cli/console.ts", ...args],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const drained = [child.stdout, child.stderr].map((stream) =>
    stream.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({
        write: (text) => {
          output += text;
        },
      }),
    )
  );
  return {
    pid: child.pid,
    output: () => output,
    ended: child.status.then(async ({ code }) => {
      await Promise.all(drained);
      return code;
    }),
    interrupt: () => child.kill("SIGINT"),
  };
}

/** The project that the page of a console shows, asked with its token. */
async function projectAt(url: string): Promise<Project> {
  const { origin, hash } = new URL(url);
  const authorization = `Bearer ${hash.replace("#token=", "")}`;
  const response = await fetch(`${origin}/api/project`, { headers: { authorization } });
  return await response.json();
}

stackTest(
  "console prints the URL of a page for the project, until Ctrl-C, and leaves nothing",
  async (stack) => {
    await withEnvFile(stack, async (file) => {
      const console = serve(["--env", file, "--port", "0"]);
      await until("it was ready", () => console.output().includes("Ctrl-C"), 60_000);
      const [url = ""] = /http:\/\/\S+/.exec(console.output()) ?? [];
      const family = await familyOf(console.pid);

      const project = await projectAt(url);
      console.interrupt();

      assertEquals(await console.ended, 0);
      await allGone(family);
      assertEquals([project.mode, project.env_flag, project.has_refusals], [
        "local",
        ` --env ${file}`,
        false,
      ]);
      // Another process may have its port by now, but not its token.
      assertEquals(await projectAt(url).then(({ mode }) => mode, () => undefined), undefined);
    });
  },
);

stackTest("console makes no tokens for a project that is not the file's", async (stack) => {
  const elsewhere = (url: string): string => url.replace("127.0.0.1", "localhost");
  const SUPABASE_URL = elsewhere(stack.services.apiUrl);
  const CLERK_WEBHOOK_URL = elsewhere(stack.services.webhookUrl);
  await withEnvFile(stack, async (file) => {
    for (const env of [{ SUPABASE_URL }, { SUPABASE_URL, CLERK_WEBHOOK_URL }]) {
      const console = serve(["--env", file, "--port", "0"], env);
      await until("it was ready", () => console.output().includes("Ctrl-C"), 60_000);
      const project = await projectAt(/http:\/\/\S+/.exec(console.output())?.[0] ?? "");
      console.interrupt();

      assertEquals(await console.ended, 0);
      assertEquals(
        [project.mode, project.can_try, project.can_view_as, project.publishable_key],
        ["hosted", false, false, null],
      );
    }
  });
});

stackTest("console says in a sentence why it cannot start", async (stack) => {
  await withEnvFile(stack, async (file) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    for (
      const [args, env, code, sentence] of [
        [
          ["--port", "99999"],
          {},
          2,
          /^Cannot use --port 99999: ports are whole numbers up to 65535$/,
        ],
        [
          ["--port", String(port)],
          {},
          1,
          /^Cannot listen on port \d+ .* another port with --port$/,
        ],
        [[], { SUPABASE_URL: "http://127.0.0.1:1" }, 1, /^Cannot reach the database \(no_answer\)/],
        [[], { SUPABASE_SECRET_KEY: "nonsense" }, 1, /does not accept SUPABASE_SECRET_KEY/],
      ] as [string[], Record<string, string>, number, RegExp][]
    ) {
      const console = serve(["--env", file, ...args], env);
      const ended = await console.ended;
      assertMatch(console.output().trim(), sentence);
      assertEquals(ended, code);
      assert(!console.output().includes("\n    at "));
    }
  });
});

stackTest("the console takes a free port when its default one is taken", async (stack) => {
  for (let isCertain = false; !isCertain;) {
    using taken = await Promise.resolve().then(() =>
      Deno.listen({ hostname: "127.0.0.1", port: DEFAULT_PORT })
    ).catch(() => undefined);

    await withConsole(stack, async ({ console, get }) => {
      // Another stack that had it may have ended in between.
      isCertain = taken !== undefined || console.port !== DEFAULT_PORT;
      if (!isCertain) return;
      assertNotEquals(console.port, DEFAULT_PORT);
      assertEquals((await get<Project>("/api/project")).mode, "local");
    }, { port: undefined });
  }
});
