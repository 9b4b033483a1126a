import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { runSupabase } from "../../cli/supabase_cli.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { copyCheckout } from "./checkout_copy.ts";
import { type Deployment, startManagementApi } from "./management_api.ts";
import { serveUploaded } from "./serve_uploaded.ts";

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

/** Each function, and the one whose files it must not carry. */
const OTHER = { "clerk-webhook": "clerk-worker", "clerk-worker": "clerk-webhook" } as const;

type FunctionName = keyof typeof OTHER;

const MAY_BE_UPLOADED =
  /^(functions\/(clerk-webhook|clerk-worker|_shared\/clerk_sync)\/.+\.ts|import_map\.json)$/;

for (const name of ["clerk-webhook", "clerk-worker"] as const) {
  Deno.test(`a deploy of ${name} uploads it, the files it imports and the import map, and nothing else`, async () => {
    const expected = [...await importedFiles(`functions/${name}/index.ts`), "import_map.json"];

    const { files } = await deploy(name);

    assertEquals(Object.keys(files).sort(), expected.sort());
    for (const path of Object.keys(files)) {
      assertMatch(path, MAY_BE_UPLOADED);
      assertEquals(path.includes(OTHER[name]), false);
    }
  });

  Deno.test(`a deploy of ${name} uploads the files of the checkout, letter for letter`, async () => {
    const { files } = await deploy(name);

    for (const [path, text] of Object.entries(files)) {
      assertEquals(text, await Deno.readTextFile(new URL(path, ROOT)));
    }
    assert(Object.keys(files).length > 0);
  });

  Deno.test(`a deploy of ${name} names entrypoint and import map, and asks for no Supabase token`, async () => {
    const { slug, metadata } = await deploy(name);

    assertEquals(slug, name);
    assertEquals(metadata, {
      name,
      entrypoint_path: `functions/${name}/index.ts`,
      import_map_path: "import_map.json",
      static_patterns: [],
      verify_jwt: false,
    });
  });
}

Deno.test("the uploaded queue worker runs by itself on the Deno of hosted Supabase", async () => {
  const secret = aSigningSecret();
  await using uploaded = await serveUploaded(await deploy("clerk-worker"), {
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_worker: "sb_secret_of_nobody" }),
    CLERK_WORKER_SECRET: secret,
  });
  const url = await uploaded.url();
  const call = async (bearer: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${bearer}` };
    const response = await fetch(url, { method: "POST", headers });
    return [response.status, await response.json()];
  };

  const answers = [await call("another"), await call(secret)];

  // Nobody listens at the address of the database.
  assertEquals(answers, [[401, { outcome: "unauthorized" }], [503, { outcome: "unavailable" }]]);
});

Deno.test("the uploaded webhook runs by itself on the Deno of hosted Supabase", async () => {
  await using uploaded = await serveUploaded(await deploy("clerk-webhook"), {
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: "sb_secret_of_nobody" }),
    CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
  });

  const response = await fetch(await uploaded.url(), { method: "POST", body: "{}" });

  assertEquals(response.status, 401);
  assertEquals(await response.json(), { outcome: "missing_headers" });
});

Deno.test("the uploaded webhook stops at boot with a sentence when SUPABASE_URL is missing", async () => {
  await using uploaded = await serveUploaded(await deploy("clerk-webhook"), {
    SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: "sb_secret_of_nobody" }),
    CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
  });

  const { success } = await uploaded.ended;

  assertEquals(success, false);
  assertMatch(uploaded.output(), /Cannot start as SUPABASE_URL is not set/);
  assertNotMatch(uploaded.output(), /^\s+at /m);
});

const deployed: Partial<Record<FunctionName, Promise<Deployment>>> = {};

/** What the Supabase CLI uploads of this checkout; it does so once for each function. */
function deploy(name: FunctionName): Promise<Deployment> {
  return deployed[name] ??= deployOnce(name);
}

async function deployOnce(name: FunctionName): Promise<Deployment> {
  await using checkout = await copyCheckout();
  await using api = startManagementApi();
  await checkout.write({ ...PRIVATE_FILES, ".local/profile.yaml": api.profile });

  const { code, stderr } = await runSupabase([
    "functions",
    "deploy",
    name,
    "--use-api",
    `--remote=${api.projectRef}`,
    "--yes",
    "--profile",
    `${checkout.folder}/.local/profile.yaml`,
  ], { cwd: checkout.folder, env: { SUPABASE_ACCESS_TOKEN: api.token } });

  assertEquals(code, 0, stderr);
  assertNotMatch(stderr, /\bwarn/i);
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
