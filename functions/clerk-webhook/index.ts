import { apiKey, ConfigurationError } from "../_shared/configuration.ts";
import { createInbox } from "../_shared/inbox.ts";
import { log } from "../_shared/log.ts";
import { createVerifier, type Verify } from "../_shared/verify.ts";
import { createHandler } from "./handler.ts";

// The only file of this function that reads the environment. What is missing stops it at boot.

const url = projectUrl();
const key = apiKey("clerk_ingest", Deno.env.get);
const secrets = required(
  "CLERK_WEBHOOK_SIGNING_SECRET",
  "copy it (whsec_…) from the endpoint's page in the Clerk dashboard",
);

if (key.isAllPowerful) {
  log({
    level: "warn",
    message:
      "SUPABASE_SECRET_KEYS has no key named clerk_ingest: using the all-powerful key instead. " +
      "A key of that name, with the role clerk_ingest, limits what a leak can do.",
  });
}

const handler = createHandler({
  verify: verifier(),
  inbox: createInbox({ url, key: key.key }),
  log,
});

export default { fetch: handler };

function projectUrl(): string {
  const name = "SUPABASE_URL";
  const text = required(name, "the platform sets it; elsewhere it is your project's URL");
  if (URL.parse(text)?.protocol.startsWith("http")) return text;
  throw new ConfigurationError(`Cannot start as ${name} is no http URL`);
}

function required(name: string, hint: string): string {
  const value = Deno.env.get(name)?.trim();
  if (!value) throw new ConfigurationError(`Cannot start as ${name} is not set: ${hint}`);
  return value;
}

function verifier(): Verify {
  try {
    return createVerifier(secrets);
  } catch {
    throw new ConfigurationError(
      "Cannot start as CLERK_WEBHOOK_SIGNING_SECRET is malformed: " +
        "it holds whsec_… secrets, separated by commas or white space",
    );
  }
}
