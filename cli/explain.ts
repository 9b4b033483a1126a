import { z } from "zod";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { paintFor } from "./colour.ts";
import { parseExactly } from "./exact_json.ts";
import { Explanation, pageOf } from "./explanation.ts";
import { terminalWidth } from "./fold.ts";
import { projectOf } from "./project.ts";
import { sentenceOf } from "./run_over_clerk.ts";
import { flags, runCommand, UsageError } from "./usage.ts";

const HELP =
  `Tells why a row looks as it does: the row, every event about it and what became of each, what the
applied ones changed, what was announced, and what the worker did with it. Writes nothing.

  deno task explain user_2abc…          a user; or an organization (org_…), a membership (orgmem_…),
                                        an invitation (orginv_…)
  deno task explain ada@example.com     everybody with that primary address, and pending invitations
                                        to it
  deno task explain user_2abc… --json   the same as JSON

  --json        prints one JSON object
  --env FILE    the file that \`deno task dev\` wrote (.local/env); --env-file is an alias

  Needs SUPABASE_URL and SUPABASE_SECRET_KEY, in the environment or in that file; the environment wins.
  Prints personal data. Of private_metadata it tells only that it changed.

  Exit codes: 0 done, 1 failed or nothing is known, 2 wrong usage.
`;

/** Time limit for the database, ms. */
const TIMEOUT = 10_000;

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

  const { text, objects } = await ask(asked, env);
  if (json) console.log(text);
  if (objects.length === 0) {
    console.error(whyUnknown(asked));
    return 1;
  }
  if (!json) console.log(pageOf(objects, terminalWidth(), paintFor(Deno.stdout)));
  return 0;
}

interface Answer extends Explanation {
  /** The JSON, word for word. */
  readonly text: string;
}

/** Asks without supabase-js, which would round large numbers. */
async function ask(idOrAddress: string, envFile: string | undefined): Promise<Answer> {
  const read = await readVariables(envFile);
  try {
    const { url, key } = projectOf(read);
    const response = await fetch(new URL("/rest/v1/rpc/explain_clerk_object", url), {
      method: "POST",
      headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ id_or_address: idOrAddress }),
      signal: AbortSignal.timeout(TIMEOUT),
    }).catch(() => {
      throw new QueueError("no_answer");
    });
    const text = await response.text();
    if (!response.ok) throw new QueueError(codeIn(text) ?? `http_${response.status}`);
    return { text, ...understood(text) };
  } catch (error) {
    throw new StartError(sentenceOf(error, true));
  }
}

function understood(text: string): Explanation {
  try {
    return Explanation.parse(parseExactly(text));
  } catch {
    throw new QueueError("strange_answer");
  }
}

function codeIn(text: string): string | undefined {
  try {
    return z.object({ code: z.string() }).parse(JSON.parse(text)).code;
  } catch {
    return undefined;
  }
}

function whyUnknown(asked: string): string {
  const shown = JSON.stringify(asked.length > 100 ? `${asked.slice(0, 100)}…` : asked);
  if (asked.includes("@")) {
    return `Nobody here has the address ${shown}: only primary addresses of users and those of pending invitations are found, and a deleted user's is erased`;
  }
  return /^(?:user|org|orgmem|orginv)_/.test(asked)
    ? `Nothing is known of ${shown}: there is no row, no event and no deletion`
    : `Cannot explain ${shown}: it is no address, and no id of a user (user_…), an organization (org_…), a membership (orgmem_…) or an invitation (orginv_…)`;
}
