import {
  ConfigurationError,
  required,
  urlOf,
} from "../../functions/_shared/clerk_sync/configuration.ts";
import { log } from "../../functions/_shared/clerk_sync/log.ts";
import { connect } from "../../functions/_shared/clerk_sync/supabase.ts";
import { createHandler } from "../../functions/clerk-webhook/handler.ts";
import { createInbox } from "../../functions/clerk-webhook/inbox.ts";
import { createVerifier } from "../../functions/clerk-webhook/verify.ts";
import type * as declared from "./webhook.d.ts";

// `clerk-sync/webhook` of the npm package: what index.ts of the function clerk-webhook does, for servers that
// are not Supabase's. It is bundled for any of them, so nothing here may need Deno or Node.

/** Not empty, fit for a header, and not the key that browsers use. */
const SECRET_KEY = /^(?!sb_publishable_)[\w.-]+$/;

export const createWebhook: typeof declared.createWebhook = (options) => {
  const read = (name: string): string | undefined => {
    const value = options?.[name as keyof typeof options];
    return typeof value === "string" ? value : undefined;
  };
  const supabaseUrl = required("supabaseUrl", read, "it is your Supabase project's URL");
  urlOf("supabaseUrl", supabaseUrl, "http:", "https:");
  const key = required("key", read, "it is your project's secret key named clerk_ingest");
  if (!SECRET_KEY.test(key)) {
    throw new ConfigurationError(
      "Cannot start as key is not a secret key of your Supabase project: use the one named clerk_ingest (sb_secret_…)",
    );
  }
  const secrets = required(
    "signingSecret",
    read,
    "copy it (whsec_…) from the endpoint's page in the Clerk dashboard",
  );

  return createHandler({
    verify: createVerifier(secrets, "signingSecret"),
    inbox: createInbox(connect(supabaseUrl, key)),
    log: options.log ?? log,
  });
};
