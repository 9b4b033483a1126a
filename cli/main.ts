import denoJson from "../deno.json" with { type: "json" };
import { nearest } from "./nearest.ts";
import { runCommand, UsageError } from "./usage.ts";

// What `clerk-sync` of the npm package answers when its first word is no command. A command is a task of
// deno.json whose file is in this folder; the package's bin starts that file itself.

/** The commands, each with a line about it. */
const COMMANDS = Object.entries(denoJson.tasks)
  .filter(([, { command }]) => / cli\/\w+\.ts$/.test(command))
  .map(([name, { description }]) => [name, description] as const);

const HELP = `Keeps the users, organizations and memberships of Clerk in a Supabase database.

  deno task <command> [flags]

${COMMANDS.map(([name, description]) => `  ${name.padEnd(10)} ${description}`).join("\n")}

  <command> --help explains a command; --version prints the version.

  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 drift or unhealthy.
`;

if (import.meta.main) await runCommand(main, HELP);

function main([word]: readonly string[]): Promise<number> {
  if (word === "--version") {
    console.log(denoJson.version);
    return Promise.resolve(0);
  }
  if (word === undefined) throw new UsageError(HELP.trimEnd());
  const near = nearest(word, COMMANDS.map(([name]) => name));
  throw new UsageError(
    `Cannot run ${word} as there is no such command: ` +
      (near === undefined ? "--help lists them" : `did you mean ${near}?`),
  );
}
