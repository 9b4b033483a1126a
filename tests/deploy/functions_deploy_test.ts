import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { runSupabase } from "../../cli/supabase_cli.ts";
import { spawnBound } from "../../local/bound_process.ts";
import { settlesWithin } from "../../local/settles_within.ts";
import { hostedDeno } from "../hosted_deno.ts";
import { aSigningSecret } from "../secrets.ts";
import { copyCheckout, writeFiles } from "./checkout_copy.ts";
import { type Deployment, startManagementApi } from "./management_api.ts";

const ROOT = new URL("../../", import.meta.url);

/** Files as they lie about on a machine where people work. */
const PRIVATE_FILES = {
  ".env": "PRIVATE=yes",
  ".local/env": "PRIVATE=yes",
  "functions/.env": "PRIVATE=yes",
  "functions/clerk-webhook/.env": "PRIVATE=yes",
  "supabase/functions/.env": "PRIVATE=yes",
  "node_modules/zod/index.js": "export const PRIVATE = true;",
};

Deno.test("a deploy uploads the function, the files it imports and the import map, and nothing else", async () => {
  const expected = [...await importedFiles("functions/clerk-webhook/index.ts"), "import_map.json"];

  const { files } = await deploy();

  assertEquals(Object.keys(files).sort(), expected.sort());
  for (const path of Object.keys(files)) {
    assertMatch(
      path,
      /^(functions\/(clerk-webhook|_shared)\/.+\.ts|supabase\/database\.types\.ts|import_map\.json)$/,
    );
  }
});

Deno.test("a deploy uploads the files of the checkout, letter for letter", async () => {
  const { files } = await deploy();

  for (const [path, text] of Object.entries(files)) {
    assertEquals(text, await Deno.readTextFile(new URL(path, ROOT)));
  }
  assert(Object.keys(files).length > 0);
});

Deno.test("a deploy names entrypoint and import map, and asks for no Supabase token", async () => {
  const { slug, metadata } = await deploy();

  assertEquals(slug, "clerk-webhook");
  assertEquals(metadata, {
    name: "clerk-webhook",
    entrypoint_path: "functions/clerk-webhook/index.ts",
    import_map_path: "import_map.json",
    static_patterns: [],
    verify_jwt: false,
  });
});

Deno.test("what was uploaded runs by itself on the Deno of hosted Supabase", async () => {
  const { files } = await deploy();
  await using uploaded = await serve(files, {
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: "sb_secret_of_nobody" }),
    CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
  });

  const response = await fetch(await uploaded.url(), { method: "POST", body: "{}" });

  assertEquals(response.status, 401);
  assertEquals(await response.json(), { outcome: "missing_headers" });
});

Deno.test("what was uploaded stops at boot with a sentence when SUPABASE_URL is missing", async () => {
  const { files } = await deploy();
  await using uploaded = await serve(files, {
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: "sb_secret_of_nobody" }),
    CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
  });

  const { success } = await uploaded.ended;

  assertEquals(success, false);
  assertMatch(uploaded.output(), /Cannot start as SUPABASE_URL is not set/);
  assertNotMatch(uploaded.output(), /^\s+at /m);
});

let deployed: Promise<Deployment> | undefined;

/** What the Supabase CLI uploads of this checkout; it does so once. */
function deploy(): Promise<Deployment> {
  deployed ??= deployOnce();
  return deployed;
}

async function deployOnce(): Promise<Deployment> {
  await using checkout = await copyCheckout();
  await using api = startManagementApi();
  await checkout.write({ ...PRIVATE_FILES, ".local/profile.yaml": api.profile });

  const { code, stderr } = await runSupabase([
    "functions",
    "deploy",
    "clerk-webhook",
    "--use-api",
    `--remote=${api.projectRef}`,
    "--yes",
    "--profile",
    `${checkout.folder}/.local/profile.yaml`,
  ], { cwd: checkout.folder, env: { SUPABASE_ACCESS_TOKEN: api.token } });

  assertEquals(code, 0, stderr);
  assertNotMatch(stderr, /warn/i);
  const [deployment, ...more] = api.deployments;
  assert(deployment !== undefined);
  assertEquals(more, []);
  return deployment;
}

/** The files of this checkout that an entrypoint imports, types included, with itself. */
async function importedFiles(entrypoint: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entrypoint],
    cwd: fileURLToPath(ROOT),
  }).output();
  const graph: { modules: { specifier: string }[] } = JSON.parse(new TextDecoder().decode(stdout));

  return graph.modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith(ROOT.href))
    .map((specifier) => specifier.slice(ROOT.href.length))
    .filter((path) => !path.startsWith("node_modules/"));
}

/** A function in a folder that holds nothing but what was uploaded. */
interface Uploaded extends AsyncDisposable {
  /** Where it listens, once it does. */
  url(): Promise<string>;
  readonly ended: Promise<Deno.CommandStatus>;
  /** The last lines that it wrote. */
  output(): string;
}

async function serve(
  files: Deployment["files"],
  env: Readonly<Record<string, string>>,
): Promise<Uploaded> {
  const deno = await hostedDeno();
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-uploaded-" });
  await writeFiles(folder, files);

  const listening = Promise.withResolvers<string>();
  const child = spawnBound(deno, {
    args: [
      "serve",
      "--no-config",
      "--import-map=import_map.json",
      "--no-lock",
      "--node-modules-dir=none",
      "--no-prompt",
      "--allow-env",
      "--allow-net",
      "--host=127.0.0.1",
      "--port=0",
      "functions/clerk-webhook/index.ts",
    ],
    cwd: folder,
    env: { ...withoutOurs(Deno.env.toObject()), NO_COLOR: "1", ...env },
    onOrphaned: "KILL",
    onLine: (line) => {
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      if (url !== undefined) listening.resolve(url);
    },
  });
  const output = (): string => child.lastLines().join("\n");

  return {
    url: () =>
      Promise.race([
        listening.promise,
        child.ended.then(() => {
          throw new Error(`Cannot reach what was uploaded as it ended:\n${output()}`);
        }),
      ]),
    ended: child.ended,
    output,
    [Symbol.asyncDispose]: async () => {
      child.signal("SIGTERM");
      if (!await settlesWithin(child.ended, 5_000)) child.signal("SIGKILL");
      await child.ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** An environment in which the function finds nothing of its own. */
function withoutOurs(env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(SUPABASE|CLERK)_/.test(name)),
  );
}
