import { assertEquals, assertMatch, assertObjectMatch, assertStringIncludes } from "@std/assert";
import { decodeJwt } from "jose";
import denoJson from "../../deno.json" with { type: "json" };
import { formatDelivery } from "../../cli/delivery_line.ts";
import { generateTokenKey } from "../../local/clerk/token_issuer.ts";
import { writeEnvFile } from "../../local/env_file.ts";
import { type Run, runFile } from "../program.ts";

function token(...args: string[]): Promise<Run> {
  return run("token", ...args);
}

async function run(command: string, ...args: string[]): Promise<Run> {
  const task = (denoJson.tasks as Record<string, { command: string }>)[command]?.command;
  const file = task?.split(" ").at(-1) ?? command;
  return await runFile(file, args);
}

Deno.test("--help explains every command, whatever else is given, with exit code 0", async () => {
  for (
    const command of [
      "dev",
      "send",
      "token",
      "work",
      "backfill",
      "reconcile",
      "replay",
      "explain",
      "status",
      "doctor",
      "console",
      "maintain",
      "init",
      "deploy",
      "upgrade",
      "uninstall",
      "types",
      "package",
    ]
  ) {
    const { code, out, error } = await run(command, "--nope", "--help");

    assertEquals([code, error], [0, ""]);
    assertStringIncludes(out, `\n  deno task ${command}`);
  }
});

/** The commands that read the env file, with what they need besides. */
const READERS: readonly (readonly string[])[] = [
  ["send", "user.created"],
  ["token", "--sub", "user_ada"],
  ["work", "--once"],
  ["backfill"],
  ["reconcile"],
  ["replay"],
  ["explain", "user_ada"],
  ["status"],
  ["doctor"],
  ["console", "--port", "0"],
  ["maintain"],
];

Deno.test("the help of every command that has an env file has --env and its alias", async () => {
  for (const [command = ""] of [["dev"], ...READERS]) {
    const { out } = await run(command, "--help");

    assertMatch(out, /^ {2}--env FILE .*\(\.local\/env.*\); --env-file is an alias$/m);
    assertEquals(out.includes("reads this file (.local/env, which"), command !== "dev");
  }
});

Deno.test("every command names an env file that was named and does not exist, with exit code 1", async () => {
  for (const [command = "", ...words] of READERS) {
    const answer = await run(command, ...words, "--env", "/nowhere/.evn");

    assertEquals(answer, {
      code: 1,
      out: "",
      error:
        "Cannot read /nowhere/.evn as it does not exist: check --env; what `deno task dev` wrote is removed when that stops",
    });
  }
});

Deno.test("without an env file, every command says how to get one, or to name a project", async () => {
  // A folder of its own, in which no stack runs.
  const folder = await Deno.makeTempDir();
  try {
    for (const [command = "", ...words] of READERS) {
      const { code, out, error } = await runFile(`cli/${command}.ts`, words, {
        CLERK_SYNC_COMMAND: "clerk-sync",
      }, folder);

      assertEquals([code, out], [1, ""], command);
      assertMatch(
        error,
        ["send", "token"].includes(command)
          ? /^Cannot find a running stack as \.local\/env does not exist: start one with `clerk-sync dev`$/
          : /^Cannot start as neither SUPABASE_URL nor SUPABASE_SECRET_KEY is set: start a stack with `clerk-sync dev`, or name a project by these two, in the environment or in the file of --env$/,
      );
    }
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test("token refuses what it cannot use, in a sentence, with exit code 2", async () => {
  for (
    const [args, error] of [
      [[], "Cannot make a token without a user: add --sub user_ada"],
      [["--sub", "ada"], "Cannot use --sub ada: Clerk's user ids begin with user_"],
      [
        ["--sub", "user_ada", "--org", "acme"],
        "Cannot use --org acme: Clerk's organization ids begin with org_",
      ],
      [
        ["--sub", "user_ada", "--role", "admin"],
        "Cannot use --role without an organization: add --org org_acme",
      ],
      [
        ["--sub", "user_ada", "--act", "eve"],
        "Cannot use --act eve: Clerk's user ids begin with user_",
      ],
      [
        ["--sub", "user_ada", "--sts", "ended"],
        "Cannot use --sts ended: a session with a token is active or pending",
      ],
      ...["editor", "[]", "null", '"x"'].map((claims) =>
        [
          ["--sub", "user_ada", "--claims", claims],
          `Cannot use --claims ${claims}: it must be a JSON object, as in '{"app_role": "editor"}'`,
        ] as const
      ),
      [
        ["--sub", "user_ada", "--claims-version", "3"],
        "Cannot use --claims-version 3: Clerk's versions are 1 and 2",
      ],
      [["--sub", "user_ada", "--nope"], "Unknown option '--nope'. See --help"],
      [["--sbu", "user_ada"], "Unknown option '--sbu': did you mean --sub?"],
      [["--sub", "user_ada", "--clams={}"], "Unknown option '--clams': did you mean --claims?"],
    ] as const
  ) {
    assertEquals(await token(...args), { code: 2, out: "", error });
  }
});

/** The claims of a token for user_ada, made without a stack. */
async function claimsOf(...args: string[]): Promise<Record<string, unknown>> {
  const folder = await Deno.makeTempDir();
  try {
    await writeEnvFile(`${folder}/env`, {
      SUPABASE_URL: "http://127.0.0.1:1",
      SUPABASE_PUBLISHABLE_KEY: "",
      SUPABASE_SECRET_KEY: "",
      CLERK_WEBHOOK_URL: "",
      CLERK_WEBHOOK_SIGNING_SECRET: "",
      DATABASE_URL: "",
    }, await generateTokenKey());
    const { out, error } = await token("--sub", "user_ada", "--env", `${folder}/env`, ...args);
    assertEquals(error, "");
    return decodeJwt(out);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("token makes the claims of both of Clerk's versions", async () => {
  const team = ["--org", "org_Acme", "--role", "admin"];

  const second = await claimsOf(...team);
  const first = await claimsOf(...team, "--claims-version", "1");

  assertObjectMatch(second, {
    v: 2,
    sts: "active",
    o: { id: "org_Acme", slg: "acme", rol: "admin", per: "" },
  });
  assertObjectMatch(first, {
    sts: "active",
    org_id: "org_Acme",
    org_slug: "acme",
    org_role: "org:admin",
    org_permissions: [],
  });
  assertEquals([first.v, first.o, second.org_id, second.act], Array(4).fill(undefined));
});

Deno.test("token takes a session's status, an impersonator and claims of the application", async () => {
  const claims = '{"app_role": "editor", "azp": "https://app.example.com"}';

  const all = await claimsOf("--sts", "pending", "--act", "user_eve", "--claims", claims);

  assertObjectMatch(all, {
    sub: "user_ada",
    sts: "pending",
    act: { sub: "user_eve" },
    app_role: "editor",
    azp: "https://app.example.com",
  });
});

Deno.test("token says when there is no running stack, with exit code 1", async () => {
  const folder = await Deno.makeTempDir();

  const answer = await token("--sub", "user_ada", "--env", `${folder}/env`);

  assertEquals(answer, {
    code: 1,
    out: "",
    error:
      `Cannot read ${folder}/env as it does not exist: check --env; what \`deno task dev\` wrote is removed when that stops`,
  });
  await Deno.remove(folder);
});

Deno.test("formatDelivery() shows a delivery in a line, and all else as it is", () => {
  const at = new Date(2026, 10, 23, 8, 29, 3);
  const entry = {
    outcome: "applied",
    status: 200,
    message_id: "msg_1",
    type: "user.created",
    ms: 4.2,
  };

  assertEquals(
    formatDelivery(JSON.stringify(entry), at),
    "08:29:03  200  applied     user.created  msg_1  4 ms",
  );
  assertEquals(
    formatDelivery(JSON.stringify(entry), at, (text, status) => `<${status} ${text}>`),
    "08:29:03  <200 200  applied   >  user.created  msg_1  4 ms",
  );
  assertEquals(
    formatDelivery('{"outcome":"unavailable","status":503,"code":"42501","ms":1}', at),
    "08:29:03  503  unavailable  -             -  42501  1 ms",
  );
  assertEquals(
    formatDelivery('{"level":"warn","message":"Something to know"}', at),
    "Something to know",
  );
  for (const line of ["plain", "5", "null", '{"a":1}']) {
    assertEquals(formatDelivery(line, at), line);
  }
});
