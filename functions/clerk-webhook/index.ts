import { apiKey, projectUrl, required } from "../_shared/clerk_sync/configuration.ts";
import { log } from "../_shared/clerk_sync/log.ts";
import { connect } from "../_shared/clerk_sync/supabase.ts";
import { createHandler } from "./handler.ts";
import { createInbox } from "./inbox.ts";
import { createVerifier } from "./verify.ts";

// The only file of this function that reads the environment. Without a variable it needs, it stops at boot.

const read = (name: string): string | undefined => Deno.env.get(name);

const supabase = connect(projectUrl(read), apiKey("clerk_ingest", read, log));
const secrets = required(
  "CLERK_WEBHOOK_SIGNING_SECRET",
  read,
  "copy it (whsec_…) from the endpoint's page in the Clerk dashboard",
);

export default {
  fetch: createHandler({
    verify: createVerifier(secrets),
    inbox: createInbox(supabase),
    log,
  }),
};
