import { ConfigurationError } from "../../functions/_shared/clerk_sync/configuration.ts";
import { createVerifier } from "../../functions/clerk-webhook/verify.ts";
import { type FunctionName, judge } from "../../hosted/refusal.ts";
import { sha256 } from "../../hosted/sha256.ts";
import { type Finding, unknown, well, wrong } from "./check.ts";
import type { HttpAnswer, Installation } from "./installation.ts";

// The two functions from outside: whether they are there, and refuse what they must.

const SECRET = "CLERK_WEBHOOK_SIGNING_SECRET";

/** A clock may be this far off, ms. Signatures allow 5 minutes. */
const MOST_SKEW = 60_000;

export async function checkSigningSecret(
  { read, management, isLocal }: Installation,
): Promise<Finding> {
  const here = read(SECRET)?.trim();
  if (here !== undefined) {
    try {
      createVerifier(here);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      return wrong(
        `${SECRET} is malformed here: a signing secret is whsec_ and the base64 of at least 16 bytes.`,
        "Copy it from the endpoint's page in the Clerk dashboard.",
      );
    }
  }
  if (management !== undefined) {
    const digest = (await management.secrets()).get(SECRET);
    if (digest === undefined) {
      return wrong(
        `${SECRET} is not among the secrets of the project.`,
        "Run `deno task deploy`, which asks for it; or put it into a file, and run `npx -y supabase@3.1.0 secrets set --env-file FILE`.",
      );
    }
    if (here === undefined) {
      return well(`${SECRET} is set, and the webhook says whether it is valid.`);
    }
    return digest === await sha256(here)
      ? well("The project has the same one as this machine.")
      : wrong(
        `The project has another ${SECRET} than this machine.`,
        "Compare both with the endpoint's page in the Clerk dashboard, and set the right one.",
      );
  }
  if (isLocal && here !== undefined) return well("It is well-formed.");
  return unknown(
    here === undefined
      ? `Without SUPABASE_ACCESS_TOKEN the project's secrets cannot be listed. The webhook starts with a well-formed one only.`
      : "It is well-formed here. Without SUPABASE_ACCESS_TOKEN it cannot be compared with the project's.",
  );
}

/** A check that a function answers an unsigned request itself, with 401. */
export function checkFunction(
  name: FunctionName,
  title: string,
): (installation: Installation) => Promise<Finding> {
  return async ({ askFunction, isLocal }) => {
    const found = await askFunction(name);
    if ("error" in found) {
      return wrong(
        found.error,
        isLocal
          ? "Start the stack with `deno task dev`."
          : "Check SUPABASE_URL, and whether the project is paused.",
      );
    }
    return findingOf(name, title, found.value, isLocal);
  };
}

function findingOf(
  name: FunctionName,
  title: string,
  { status, text }: HttpAnswer,
  isLocal: boolean,
): Finding {
  const log = isLocal ? "the output of `deno task dev`" : `the log of ${name}`;
  const config = `[functions.${name}] in supabase/config.toml`;
  switch (judge(name, status, text)) {
    case "function":
      return well(`${title} answers, and refuses unsigned requests.`);
    case "gateway":
      return wrong(
        "The gateway answers 401 before the function: verify_jwt is on, so every request is refused.",
        `Set verify_jwt = false for ${config}, and run \`deno task deploy\`.`,
      );
    case "nothing":
      return wrong(
        `${name} is not deployed (404).`,
        isLocal ? "Restart `deno task dev`." : "Run `deno task deploy`.",
      );
    case "broken":
      return wrong(
        `${name} does not start, or ended (${status}${codeIn(text)}).`,
        `Read ${log}, which names the variable that is missing or malformed.`,
      );
    case "other":
      return wrong(
        `Something else answers at the URL of ${name}: ${status}.`,
        `Check SUPABASE_URL, and that the function of this name is clerk-sync's.`,
      );
  }
}

function codeIn(text: string): string {
  const code = /"code":"([A-Z_]{1,40})"/.exec(text)?.[1];
  return code === undefined ? "" : ` ${code}`;
}

export async function checkClock({ askFunction, inspect }: Installation): Promise<Finding> {
  const began = Date.now();
  const [answer, inspection] = await Promise.all([askFunction("clerk-webhook"), inspect()]);
  const middle = (began + Date.now()) / 2;
  const clocks: [string, number][] = [
    ...("value" in answer && answer.value.date !== undefined
      // The header has whole seconds.
      ? [["the functions", answer.value.date + 500] as [string, number]]
      : []),
    ...("value" in inspection
      ? [["the database", inspection.value.now * 1000] as [string, number]]
      : []),
  ];
  if (clocks.length === 0) return unknown("Nothing answers with its time.");
  const off = clocks.filter(([, time]) => Math.abs(time - middle) > MOST_SKEW);
  if (off.length === 0) return well("This machine, the functions and the database agree.");
  const apart = off.map(([name, time]) =>
    `${name} ${Math.round(Math.abs(time - middle) / 1000)} s ${time > middle ? "ahead" : "behind"}`
  );
  return wrong(
    `Compared with this machine: ${apart.join(", ")}. Over 5 minutes, no signature is accepted.`,
    off.length === clocks.length
      ? "Set this machine's clock, and run this again."
      : "Restart the project in the Supabase dashboard, and tell Supabase's support.",
  );
}
