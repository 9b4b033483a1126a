import importMap from "../../import_map.json" with { type: "json" };
import { SUPABASE_CLI_VERSION } from "../../cli/supabase_cli.ts";
import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import denoJson from "../../deno.json" with { type: "json" };
import { runFile } from "../program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("clerk-sync lists each command with a line: the tasks whose file is in cli/", async () => {
  const { out } = await runFile("cli/main.ts", ["--help"]);

  const listed = [...out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name);
  const tasks = Object.entries(denoJson.tasks)
    .filter(([, { command }]) => command.includes(" cli/")).map(([name]) => name);
  assertEquals(listed, tasks);
  for (const { description } of Object.values(denoJson.tasks).slice(0, tasks.length)) {
    assertStringIncludes(out, ` ${description}\n`);
  }
});

Deno.test("an unknown command ends with 2, and names the nearest command if one is near", async () => {
  for (
    const [word, hint] of [
      ["sned", "did you mean send?"],
      ["reconcil", "did you mean reconcile?"],
      ["statuss", "did you mean status?"],
      ["frobnicate".repeat(20), "--help lists them"],
      ["--nope", "--help lists them"],
    ] as const
  ) {
    assertEquals(await runFile("cli/main.ts", [word, "--json"]), {
      code: 2,
      out: "",
      error: `Cannot run ${word} as there is no such command: ${hint}`,
    });
  }
});

Deno.test("clerk-sync without a command shows its help, with exit code 2", async () => {
  const help = await runFile("cli/main.ts", ["--help"]);

  const nothing = await runFile("cli/main.ts", []);

  assertEquals(nothing, { code: 2, out: "", error: help.out });
});

Deno.test("help and errors show commands as the user types them", async () => {
  const package_ = "npx -y -p ./clerk-sync.tgz clerk-sync";
  for (
    const [env, typed] of [
      [{ npm_command: "" }, "deno task"],
      [{ npm_command: "exec" }, `npx -y deno@${Deno.version.deno} task`],
      [{ npm_command: "exec", CLERK_SYNC_COMMAND: package_ }, package_],
    ] as const
  ) {
    const help = await runFile("cli/send.ts", ["--help"], env);
    const { error } = await runFile("cli/send.ts", [], env);

    assertStringIncludes(help.out, `\n  ${typed} send user.created\n`);
    assertEquals(error, `Cannot send without an event type: try \`${typed} send user.created\``);
  }
});

Deno.test("beside a long command there are no words in its help: they are below it", async () => {
  const CLERK_SYNC_COMMAND = "npx -y -p ./clerk-sync.tgz clerk-sync";
  const tasks = Object.values(denoJson.tasks).map(({ command }) => command.split(" ").at(-1) ?? "")
    .filter((file) => file.startsWith("cli/"));
  const besides: string[] = [];

  for (const file of tasks) {
    const { out } = await runFile(file, ["--help"], { CLERK_SYNC_COMMAND });
    const lines = out.split("\n").filter((line) => line.includes(CLERK_SYNC_COMMAND));
    besides.push(...lines.filter((line) => !/^ {2}npx \S+(?: \S+)*$/.test(line)));
    assertGreater(lines.length, 0);
  }
  const work = await runFile("cli/work.ts", ["--help"], { CLERK_SYNC_COMMAND });

  assertEquals(besides, []);
  assertStringIncludes(
    work.out,
    `\n  ${CLERK_SYNC_COMMAND} work --status\n      shows how many changes wait, are in flight`,
  );
  assertStringIncludes(work.out, "which `dev` writes");
});

Deno.test("deno.json and the database have the same version", async () => {
  const folder = `${ROOT}supabase/migrations`;
  const closing = (await Array.fromAsync(Deno.readDir(folder)))
    .find(({ name }) => name.endsWith("_close_clerk_sync.sql"));
  const text = await Deno.readTextFile(`${folder}/${closing?.name}`);

  const { out } = await runFile("cli/main.ts", ["--version"]);

  assertEquals([...text.matchAll(/"version": "([^"]+)"/g)].map(([, version]) => version), [out]);
  assertEquals(out, denoJson.version);
});

Deno.test("the commands use the Supabase CLI that import_map.json pins", () => {
  assertEquals(importMap.imports.supabase, `npm:supabase@${SUPABASE_CLI_VERSION}`);
});
