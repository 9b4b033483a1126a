import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { explain as ask, type Explanation, whyUnknown } from "../operations/explain.ts";
import { sentenceOf } from "../operations/sentence.ts";
import { paintFor } from "./colour.ts";
import { pageOf } from "./explanation.ts";
import { terminalWidth } from "./fold.ts";
import { projectOf } from "./project.ts";
import { flags, runCommand, UsageError } from "./usage.ts";

const HELP =
  `Explains why a row is as it is: the row, every event about it and what became of each, what the
applied ones changed, what was announced, and what the worker did with it. Writes nothing.

  deno task explain user_2abc…          a user; or an organization (org_…), a membership (orgmem_…),
                                        an invitation (orginv_…)
  deno task explain ada@example.com     everybody with that primary address, and pending invitations
                                        to it
  deno task explain user_2abc… --json   the same as JSON

  --json        prints one JSON object
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  Needs SUPABASE_URL and SUPABASE_SECRET_KEY, in the environment or in that file; the environment wins.
  Prints personal data. Of private_metadata it tells only that it changed.

  Exit codes: 0 done, 1 failed or nothing is known, 2 wrong usage.
`;

if (import.meta.main) await runCommand(explain, HELP);

async function explain(args: readonly string[]): Promise<number> {
  const { values: { json, env }, positionals } = flags(args, {
    json: { type: "boolean", default: false },
    env: { type: "string" },
  }, { allowPositionals: true });
  const [asked = "", ...others] = positionals.map((word) => word.trim());
  if (asked === "" || others.length > 0) {
    throw new UsageError(
      `Cannot explain ${
        asked === "" ? "nothing" : `${positionals.length} things at once`
      }: give one id or one address, as in \`explain user_2abc…\``,
    );
  }

  const { text, objects } = await answerTo(asked, env);
  if (json) console.log(text);
  if (objects.length === 0) {
    console.error(whyUnknown(asked));
    return 1;
  }
  if (!json) console.log(pageOf(objects, terminalWidth(), paintFor(Deno.stdout)));
  return 0;
}

async function answerTo(asked: string, envFile: string | undefined): Promise<Explanation> {
  const read = await readVariables(envFile);
  try {
    return await ask(projectOf(read), asked);
  } catch (error) {
    throw new StartError(sentenceOf(error, true));
  }
}
