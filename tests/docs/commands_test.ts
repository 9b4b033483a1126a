import { assertEquals, assertGreater } from "@std/assert";
import { runSupabase, SUPABASE_CLI_VERSION } from "../../cli/supabase_cli.ts";
import denoJson from "../../deno.json" with { type: "json" };
import { readPages, ROOT } from "./pages.ts";

// The commands that the documentation shows: each exists, with the flags that it is given.

const TASK =
  /^(?:\w+=\S* )*(?:(?:npx -y deno@[\d.]+|deno) task|npx -y -p (?:<[^>]+>|\S+) clerk-sync) (.+)$/;
const SUPABASE = /^npx -y supabase@([\d.]+) (.+)$/;

interface Command {
  readonly page: string;
  /** Without a comment at the end. */
  readonly line: string;
}

/** The lines of all shell blocks; a line that goes on is one. */
async function shownCommands(): Promise<Command[]> {
  return (await readPages()).flatMap(({ path, text }) =>
    [...text.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block = ""]) =>
      block.replaceAll("\\\n", " ").split("\n")
        .map((line) => ({ page: path, line: line.replace(/(^|\s)# .*/, "").trim() }))
        .filter(({ line }) => line !== "")
    )
  );
}

function flagsIn(command: string): string[] {
  return [...command.replace(/"[^"]*"/g, "").matchAll(/(?<=\s)--[a-z-]+/g)].map(([flag]) => flag);
}

/** The words before the first flag or argument: letters and hyphens only. */
function wordsOf(command: string): string[] {
  const words = command.split(" ");
  const end = words.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  return end === -1 ? words : words.slice(0, end);
}

/** The help of a task; that of the package's program if a flag stands in its place. */
async function helpOfTask(task: string): Promise<string> {
  const command: string | undefined = (denoJson.tasks as Record<string, { command: string }>)[task]
    ?.command;
  const script = task.startsWith("--")
    ? "cli/main.ts"
    : /^deno run -A (?:--v8-flags=\S+ )?(\S+)$/.exec(command ?? "")?.[1];
  if (script === undefined) return "";
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--help"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  return new TextDecoder().decode(stdout);
}

async function helpOfSupabase(words: readonly string[]): Promise<string> {
  const { stdout } = await runSupabase([...words, "--help"], { cwd: ROOT });
  // Asked about a command that does not exist, the CLI shows the help of the group.
  return new RegExp(`supabase ${words.join(" ")}\\b`).test(stdout) ? stdout : "";
}

/** The flags of a command that its help does not list. */
function unlisted(flags: readonly string[], help: string): string[] {
  return flags.filter((flag) => !new RegExp(`(?<![\\w-])${flag}(?![\\w-])`).test(help));
}

Deno.test("every task that the documentation shows exists, with the flags that it is given", async () => {
  const commands = await shownCommands();
  const helps = new Map<string, string>();
  const wrong: string[] = [];
  let tried = 0;

  for (const { page, line } of commands) {
    const [, command] = TASK.exec(line) ?? [];
    if (command === undefined) continue;
    tried++;
    const [task = ""] = command.split(" ");
    if (!task.startsWith("--") && !(task in denoJson.tasks)) {
      wrong.push(`${page}: no task ${task}`);
    }
    const flags = flagsIn(` ${command}`);
    if (flags.length === 0) continue;
    if (!helps.has(task)) helps.set(task, await helpOfTask(task));
    for (const flag of unlisted(flags, helps.get(task) ?? "")) {
      wrong.push(`${page}: ${task} has no ${flag}`);
    }
  }

  assertEquals(wrong, []);
  assertGreater(tried, 10);
});

Deno.test("every command of the Supabase CLI that the documentation shows exists in the pinned version, with the flags that it is given", async () => {
  const commands = await shownCommands();
  const helps = new Map<string, string>();
  const wrong: string[] = [];
  let tried = 0;

  for (const { page, line } of commands) {
    const [, version, command] = SUPABASE.exec(line) ?? [];
    if (command === undefined) continue;
    tried++;
    if (version !== SUPABASE_CLI_VERSION) wrong.push(`${page}: ${line} is not pinned`);
    const words = wordsOf(command).slice(0, 2);
    const key = words.join(" ");
    if (!helps.has(key)) helps.set(key, await helpOfSupabase(words));
    const help = helps.get(key) ?? "";
    if (help === "") wrong.push(`${page}: supabase has no ${key}`);
    for (const flag of unlisted(flagsIn(command), help)) {
      wrong.push(`${page}: supabase ${key} has no ${flag}`);
    }
  }

  assertEquals(wrong, []);
  assertGreater(tried, 10);
});

Deno.test("docs/README.md lists every command, and no other", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/README.md`);
  const [, section = ""] = page.split("\n## Commands\n");
  const listed = (section.split("\n## ")[0] ?? "").split("\n").filter((line) =>
    line.startsWith("| `")
  )
    .flatMap((line) =>
      [...(line.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name)
    );

  const commands = Object.entries(denoJson.tasks)
    .filter(([, { command }]) => / cli\/\w+\.ts$/.test(command)).map(([name]) => name);

  assertEquals(listed.toSorted(), commands.toSorted());
});

/** Where tests run the commands that are neither tasks nor of the Supabase CLI. What the shell does itself is not listed. */
const RUN_ELSEWHERE: Readonly<Record<string, string>> = {
  "npm ci": "tests/examples/react_browser.ts",
  "npm install ./vendor/clerk-sync-1.0.0.tgz": "tests/package/webhook_test.ts",
};

/** The commands of the Supabase CLI that tests run. */
const RUN_OF_SUPABASE: Readonly<Record<string, string>> = {
  "db push": "tests/deploy/db_push_test.ts",
  "db advisors": "tests/deploy/db_advisors_test.ts",
  "functions deploy": "tests/deploy/functions_deploy_test.ts",
  "gen types": "tests/cli/doctor_test.ts",
  "migration list": "tests/deploy/db_push_test.ts",
};

const SHELL = /^(?:cd|do|done|echo|export|for|read|rm)\b/;

/** What docs/tried.md lists. */
async function listedAsNotRun(): Promise<string[]> {
  const page = await Deno.readTextFile(`${ROOT}docs/tried.md`);
  const [, section = ""] = page.split("## Commands that no test runs");
  const cells = section.split("\n").map((line) => line.split("|")[1] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

/** A command as docs/tried.md lists it; undefined if tests run it, or compare all of it with a help. */
function asListed(line: string): string | undefined {
  if (TASK.test(line) || SHELL.test(line) || line in RUN_ELSEWHERE) return undefined;
  const [, , command] = SUPABASE.exec(line) ?? [];
  if (command === undefined) return line;
  const words = wordsOf(command).slice(0, 2).join(" ");
  return words in RUN_OF_SUPABASE ? undefined : line;
}

Deno.test("docs/tried.md lists every command that the documentation shows and no test runs, and no other", async () => {
  const listed = await listedAsNotRun();
  const shown = (await shownCommands()).flatMap(({ page, line }) => {
    const command = asListed(line);
    return command === undefined ? [] : [{ page, command }];
  });
  const stands = (name: string, command: string): boolean => `${command} `.startsWith(`${name} `);

  const missing = shown
    .filter(({ command }) => !listed.some((name) => stands(name, command)))
    .map(({ page, command }) => `${page}: ${command}`);
  const stale = listed.filter((name) => !shown.some(({ command }) => stands(name, command)));

  assertEquals([missing, stale], [[], []]);
  assertGreater(listed.length, 5);
});

Deno.test("what is said to be run by a test is in that test", async () => {
  const named = [...Object.entries(RUN_ELSEWHERE), ...Object.entries(RUN_OF_SUPABASE)];

  for (const [command, path] of named) {
    const test = await Deno.readTextFile(`${ROOT}${path}`);
    const words = command.split(" ").filter((word) => /^[a-z]+$/.test(word) && word !== "npm");
    assertEquals(words.filter((word) => !test.includes(`"${word}"`)), [], command);
  }
});

/** The package by its bare name, from the registry, where anybody may have published another one. */
const BARE_PACKAGE =
  /\b(?:npx|npm (?:exec|i|install|add)|pnpm (?:add|dlx)|pnpx|yarn (?:add|dlx)|bunx|npm:)(?:\s+(?!--no\b)-\S+)*\s*\bclerk-sync\b/g;

function bareIn(text: string): string[] {
  return text.match(BARE_PACKAGE) ?? [];
}

async function sourcesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${name}`;
    found.push(...isDirectory ? await sourcesBelow(path) : [path]);
  }
  return found;
}

Deno.test("no page, help or message runs whatever the npm registry has under the name clerk-sync", async () => {
  const folders = ["cli", "functions", "local", "supabase/migrations", "tools"];
  const paths = (await Promise.all(folders.map(sourcesBelow))).flat();
  const sources = paths.map(async (path) => ({
    path,
    text: await Deno.readTextFile(`${ROOT}${path}`),
  }));

  const wrong = [...await readPages(), ...await Promise.all(sources)]
    .flatMap(({ path, text }) => bareIn(text).map((words) => `${path}: ${words}`));

  assertEquals(wrong, []);
  assertGreater(paths.length, 50);
});

Deno.test("the bare name is found in every form, and a named file is not", () => {
  for (
    const bare of [
      "npx clerk-sync init",
      "npx -y clerk-sync dev",
      "npx --yes clerk-sync@1.0.0 dev",
      "npx -y -p clerk-sync clerk-sync dev",
      "npm install -g clerk-sync",
      "pnpm dlx clerk-sync",
      "deno run npm:clerk-sync",
    ]
  ) assertEquals(bareIn(bare).length, 1, bare);
  for (
    const named of [
      "npx -y -p ./clerk-sync-1.0.0.tgz clerk-sync dev",
      "npx -y -p <path or URL of the file> clerk-sync dev",
      "npx --no clerk-sync dev",
      "npm install ./clerk-sync-1.0.0.tgz",
    ]
  ) assertEquals(bareIn(named), [], named);
});

/** What puts a secret on a command line, where every user of the machine can read it. */
const SECRETS =
  /\b(?:whsec|sb_secret)_|secrets set [A-Z]|create_secret|--(?:secret|db-url)\b|-H ["']?Authorization/;

Deno.test("no command that the documentation shows contains a secret", async () => {
  const commands = await shownCommands();
  const inText = (await readPages()).flatMap(({ path, text }) =>
    [...text.matchAll(/`(?:npx|deno|curl) [^`]*`/g)].map(([line]) => ({ page: path, line }))
  );

  const wrong = [...commands, ...inText].filter(({ line }) => SECRETS.test(line));

  assertEquals(wrong, []);
  assertGreater(inText.length, 10);
});
