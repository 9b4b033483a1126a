import { assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { npmFile } from "../../cli/npm_file.ts";
import denoJson from "../../deno.json" with { type: "json" };
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";
import { type Run, run } from "../program.ts";
import { type Installation, installPackage } from "./installation.ts";

// `clerk-sync/webhook` of the package, on Node 22: every example of docs/nextjs.md, as the page shows it.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ADA = "user_ada";

/** Node itself, from npm. */
const NODE_VERSION = "22.23.3";
const NODE = await npmFile(
  `node-${Deno.build.os}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}@${NODE_VERSION}`,
  "bin/node",
);

/** The examples of the page, by the paths that their first lines name. */
const EXAMPLES = Object.fromEntries(
  [...(await Deno.readTextFile(`${ROOT}docs/nextjs.md`)).matchAll(
    /```ts\n(\/\/ (\S+)\n[^]*?)```/g,
  )].map(([, code = "", path = ""]) => [path, code] as const),
);
const ROUTE = "app/api/webhooks/clerk/route.ts";

let installation: Installation;

Deno.test.beforeAll(async () => {
  installation = await installPackage();
  const { folder, env } = installation;
  for (const [path, code] of Object.entries(EXAMPLES)) {
    await Deno.mkdir(`${folder}/${dirname(path)}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}`, code);
  }
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
  await Deno.copyFile(`${ROOT}tests/package/route_server.js`, `${folder}/route_server.js`);
  // Without the program that runs the commands.
  const options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
  const packages = [
    `./clerk-sync-${denoJson.version}.tgz`,
    "hono@4.13.19",
    "@hono/node-server@1.19.19",
  ];
  const { code, error } = await run(["npm", "install", ...options, ...packages], {
    cwd: folder,
    env,
  });
  assertEquals([code, error], [0, ""]);
});
Deno.test.afterAll(async () => await installation[Symbol.asyncDispose]());

/** An example on Node 22, which receives Clerk's deliveries. */
interface Server extends AsyncDisposable {
  readonly url: string;
  /** The lines that it has written. */
  readonly log: readonly string[];
}

/** Starts a program of the folder, with the variables that the page names. */
async function start(stack: TestStack, ...args: readonly string[]): Promise<Server> {
  // Another process may take the port before the server does.
  for (let attempt = 1;; attempt++) {
    const server = await startOn(freePort(), stack, args);
    if (server !== undefined) return server;
    if (attempt === 3) throw new Error(`${args.join(" ")} ends by itself`);
  }
}

/** Starts a program on a port, unless it prints another one; undefined if it ends by itself. */
async function startOn(
  port: number,
  { services }: TestStack,
  args: readonly string[],
): Promise<Server | undefined> {
  const node = new Deno.Command(NODE, {
    args: ["--disable-warning=ExperimentalWarning", ...args],
    cwd: installation.folder,
    clearEnv: true,
    env: {
      SUPABASE_URL: services.apiUrl,
      CLERK_INGEST_KEY: services.keys.clerkIngest,
      CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
      PORT: String(port),
    },
    stdout: "piped",
  }).spawn();
  let output = "";
  const read = node.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (text) => void (output += text) }),
  );
  const prints = args.includes("route_server.js");
  const url = (): string | undefined => {
    const found = prints ? /^port (\d+)$/m.exec(output)?.[1] : port;
    return found === undefined ? undefined : `http://127.0.0.1:${found}/webhooks/clerk`;
  };
  let hasEnded = false;
  const ended = node.status.then(() => hasEnded = true);
  const stop = async (): Promise<void> => {
    if (!hasEnded) node.kill();
    await Promise.all([ended, read]);
  };
  try {
    await until(
      "the server answers",
      async () => hasEnded || await answers(url()),
      60_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  if (hasEnded) return undefined;
  return {
    url: url() ?? "",
    get log() {
      return output.split("\n").filter((line) => line.startsWith("{"));
    },
    [Symbol.asyncDispose]: stop,
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Whether the webhook answers there, and nobody else. */
async function answers(url: string | undefined): Promise<boolean> {
  if (url === undefined) return false;
  const text = await fetch(url, { method: "POST" })
    .then((response) => response.text()).catch(() => "");
  return text.includes("missing_headers");
}

stackTest(
  "the route of Next.js, with the key clerk_ingest, answers as the function does",
  async (stack) => {
    await using server = await start(stack, "route_server.js", ROUTE);
    const { url } = server;
    const at = Date.now();
    const user = aClerkUser({ id: ADA, first_name: "Ada", updated_at: at });
    const created = anEvent("user.created", user);

    const receipts = [
      await stack.send(created, { url, id: "msg_1" }),
      await stack.send(created, { url, id: "msg_1" }),
      await stack.send(anEvent("user.updated", { ...user, updated_at: at - 1 }), { url }),
      await stack.send(created, { url, secret: aSigningSecret() }),
      await stack.send(created, { url, at: new Date(at - 600_000) }),
      await stack.send("x".repeat(1024 * 1024 + 1), { url }),
      await stack.send("[".repeat(50_000), { url }),
      await stack.send(anEvent("session.created", { id: "sess_1" }), { url }),
    ];
    const rows = await stack.database.sql`select id, first_name from public.profiles`;
    const get = await fetch(url);
    await get.body?.cancel();
    const deleted = await stack.send(anEvent("user.deleted", aDeletedClerkUser(ADA)), { url });

    assertEquals(receipts.map(({ status, outcome }) => `${status} ${outcome}`), [
      "200 applied",
      "200 duplicate",
      "200 stale",
      "401 bad_signature",
      "401 bad_signature",
      "413 too_large",
      "422 unreadable",
      "200 ignored",
    ]);
    assertEquals([...rows], [{ id: ADA, first_name: "Ada" }]);
    assertEquals([get.status, get.headers.get("allow")], [405, "POST"]);
    assertEquals(deleted.outcome, "applied");
    assertStringIncludes(
      server.log.join("\n"),
      '{"outcome":"applied","status":200,"message_id":"msg_1"',
    );
  },
);

for (
  const [name, path, ...args] of [
    ["Hono", "hono.ts", "route_server.js", "hono.ts"],
    ["Node", "server.ts", "server.ts"],
    [
      "Workers, with the Web's API alone,",
      "worker.ts",
      "--experimental-vm-modules",
      "--experimental-import-meta-resolve",
      "route_server.js",
      "worker.ts",
      "--web",
    ],
  ] as const
) {
  stackTest(`the example for ${name} brings a user into the tables`, async (stack) => {
    await using server = await start(stack, ...args);
    const { url } = server;
    const created = anEvent("user.created", aClerkUser({ id: ADA, first_name: "Ada" }));

    const sent = await stack.send(created, { url });
    const forged = await stack.send(created, { url, secret: aSigningSecret() });

    assertEquals([path in EXAMPLES, sent.outcome, forged.status], [true, "applied", 401]);
    const rows = await stack.database.sql`select id, first_name from public.profiles`;
    assertEquals([...rows], [{ id: ADA, first_name: "Ada" }]);
  });
}

/** Runs a module that calls createWebhook with options, changed as given, and prints the error's words. */
async function refusal(change: string): Promise<Run> {
  const code = `
    import { createWebhook } from "clerk-sync/webhook";
    const options = {
      supabaseUrl: "https://ref.supabase.co",
      key: "sb_secret_" + "x".repeat(20),
      signingSecret: "whsec_" + btoa("x".repeat(24)),
    };
    try {
      createWebhook(${change});
      console.log("created");
    } catch (error) {
      console.log(error.name + ": " + error.message);
    }
  `;
  return await run([NODE, "--input-type=module", "--eval", code], { cwd: installation.folder });
}

Deno.test("what is missing or malformed is a sentence when the webhook is created", async () => {
  const secret =
    "a signing secret is whsec_ and the base64 of at least 16 bytes; copy it from the endpoint's page in the Clerk dashboard, and separate several by commas";
  for (
    const [change, sentence] of [
      [
        "{ ...options, supabaseUrl: undefined }",
        "supabaseUrl is not set: it is your Supabase project's URL",
      ],
      [
        "{ ...options, supabaseUrl: 'ref.supabase.co' }",
        "supabaseUrl is not a URL that begins with http: or https:",
      ],
      [
        "{ ...options, key: ' ' }",
        "key is not set: it is your project's secret key named clerk_ingest",
      ],
      [
        "{ ...options, key: 'sb_publishable_x' }",
        "key is not a secret key of your Supabase project: use the one named clerk_ingest (sb_secret_…)",
      ],
      [
        "{ ...options, key: 'sb_secret_…' }",
        "key is not a secret key of your Supabase project: use the one named clerk_ingest (sb_secret_…)",
      ],
      [
        "{ ...options, signingSecret: 5 }",
        "signingSecret is not set: copy it (whsec_…) from the endpoint's page in the Clerk dashboard",
      ],
      [
        "{ ...options, signingSecret: 'whsec_short' }",
        `signingSecret is malformed or too short: ${secret}`,
      ],
      ["", "supabaseUrl is not set: it is your Supabase project's URL"],
    ] as const
  ) {
    const { code, out, error } = await refusal(change);

    assertEquals([code, out, error], [0, `ConfigurationError: Cannot start as ${sentence}`, ""]);
  }
  assertEquals((await refusal("options")).out, "created");
});

Deno.test("TypeScript, at its strictest, accepts the examples, and refuses what does not fit", async () => {
  const { folder } = installation;
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    JSON.stringify({
      nodeModulesDir: "manual",
      compilerOptions: { ...denoJson.compilerOptions, skipLibCheck: false },
    }),
  );
  const create = 'import { createWebhook } from "clerk-sync/webhook";\n';
  const options = 'supabaseUrl: "", key: "", signingSecret: ""';
  const check = async (code: string): Promise<Run> => {
    await Deno.writeTextFile(`${folder}/checked.ts`, create + code);
    const args = ["check", "--no-lock", "checked.ts", ...Object.keys(EXAMPLES)];
    return await run([Deno.execPath(), ...args], { cwd: folder, env: { NO_COLOR: "1" } });
  };

  const accepted = await check(
    `export const handle: (request: Request) => Promise<Response> =
      createWebhook({ ${options}, log: ({ outcome }) => console.log(outcome) });`,
  );
  const codes: (string | undefined)[] = [];
  for (
    const wrong of [
      'createWebhook({ supabaseUrl: "", key: "" });',
      `createWebhook({ ${options}, secret: "" });`,
      `createWebhook({ ${options}, key: 5 });`,
      `createWebhook({ ${options} }).name.then();`,
    ]
  ) codes.push(/TS\d+/.exec((await check(wrong)).error)?.[0]);

  await Deno.remove(`${folder}/deno.json`);
  assertEquals([accepted.code, accepted.error.includes("TS")], [0, false], accepted.error);
  assertEquals(codes, ["TS2345", "TS2353", "TS2322", "TS2339"]);
});
