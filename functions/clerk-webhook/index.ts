import {
  allPowerfulWarning,
  apiKey,
  ConfigurationError,
  projectUrl,
  required,
} from "../_shared/clerk_sync/configuration.ts";
import { log } from "../_shared/clerk_sync/log.ts";
import { createHandler } from "./handler.ts";
import { createInbox } from "./inbox.ts";
import { createVerifier, type Verify } from "./verify.ts";

// The only file of this function that reads the environment. Without a variable it needs, it stops at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const url = projectUrl(read);
const key = apiKey("clerk_ingest", read);
const secrets = required(
  "CLERK_WEBHOOK_SIGNING_SECRET",
  read,
  "copy it (whsec_…) from the endpoint's page in the Clerk dashboard",
);

if (key.isAllPowerful) log(allPowerfulWarning("clerk_ingest"));

const handler = createHandler({
  verify: verifier(),
  inbox: createInbox({ url, key: key.key }),
  log,
});

export default { fetch: handler };

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
