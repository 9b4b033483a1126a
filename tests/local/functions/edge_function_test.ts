import { assertEquals, assertRejects } from "@std/assert";
import { pathToFileURL } from "node:url";
import { startEdgeFunction } from "../../../local/functions/edge_function.ts";
import { StartError } from "../../../local/start_error.ts";
import { until } from "../../until.ts";

async function withFunction(
  source: string,
  test: (entrypoint: URL) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/index.ts`, source);
    await test(pathToFileURL(`${folder}/index.ts`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const OPTIONS = { name: "toy", reaches: ["127.0.0.1:9"], env: { SUPABASE_URL: "http://x" } };

Deno.test("a function sees its environment and its API and nothing else", () =>
  withFunction(
    `const tries: Record<string, () => unknown> = {
      url: () => Deno.env.get("SUPABASE_URL"),
      key: () => Deno.env.get("SUPABASE_SERVICE_ROLE_KEY"),
      home: () => Deno.env.get("HOME"),
      all: () => Deno.env.toObject(),
      read: () => Deno.readTextFileSync("/etc/hostname"),
      write: () => Deno.writeTextFileSync("/tmp/x", ""),
      run: () => new Deno.Command("true").outputSync(),
      net: () => Deno.connect({ hostname: "127.0.0.1", port: 10 }),
    };
    export default {
      async fetch(): Promise<Response> {
        const seen: Record<string, unknown> = {};
        for (const [name, go] of Object.entries(tries)) {
          try { seen[name] = await go() ?? null; } catch (error) { seen[name] = (error as Error).name; }
        }
        return Response.json(seen);
      },
    };`,
    async (entrypoint) => {
      await using edge = await startEdgeFunction({ ...OPTIONS, entrypoint });

      const seen = await (await fetch(edge.url)).json();

      assertEquals(seen, {
        url: "http://x",
        key: null,
        home: "NotCapable",
        all: "NotCapable",
        read: "NotCapable",
        write: "NotCapable",
        run: "NotCapable",
        net: "NotCapable",
      });
    },
  ));

Deno.test("what Deno writes while it fetches packages is not in the log, not even later", () =>
  withFunction(
    `export default {
      fetch(): Response {
        console.log("Download https://registry.npmjs.org/toy");
        console.log("Download failed for toy");
        return new Response();
      },
    };`,
    async (entrypoint) => {
      const lines: string[] = [];
      await using edge = await startEdgeFunction({
        ...OPTIONS,
        entrypoint,
        onLog: (line) => lines.push(line),
      });

      await (await fetch(edge.url)).body?.cancel();

      await until("it has logged", () => lines.includes("Download failed for toy"));
      assertEquals(lines.filter((line) => line.includes("https:")), []);
    },
  ));

Deno.test("a function that stops at boot is quoted", () =>
  withFunction(
    `throw new Error("Cannot start as CLERK_WEBHOOK_SIGNING_SECRET is not set");`,
    async (entrypoint) => {
      const error = await assertRejects(
        () => startEdgeFunction({ ...OPTIONS, entrypoint }),
        StartError,
      );

      assertEquals(
        error.message,
        "Cannot start the function toy as it reports: Cannot start as CLERK_WEBHOOK_SIGNING_SECRET is not set",
      );
    },
  ));

Deno.test("what a function logs is passed on line by line", () =>
  withFunction(
    `export default { fetch: () => { console.log("one\\ntwo"); return new Response(); } };`,
    async (entrypoint) => {
      const lines: string[] = [];
      const edge = await startEdgeFunction({
        ...OPTIONS,
        entrypoint,
        onLog: (line) => lines.push(line),
      });

      await (await fetch(edge.url)).body?.cancel();
      await edge.stop();

      assertEquals(lines, ["one", "two"]);
    },
  ));
