import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const PGTAP = "tests/supabase/pgtap_test.ts";

export const I8_NO_SECRETS: readonly Mutation[] = guardsOf("I8", [
  {
    what: "private metadata is copied to the profile",
    file: `${MIGRATION}08_create_profiles.sql`,
    from: "coalesce(nullif(data -> 'public_metadata', 'null'), '{}')",
    to:
      "coalesce(nullif(data -> 'public_metadata', 'null'), '{}') || coalesce(nullif(data -> 'private_metadata', 'null'), '{}')",
    test: PGTAP,
    filter: "mapping.sql",
  },
  {
    what: "the text of an error leaves the database",
    file: `${MIGRATION}05_create_inbox.sql`,
    from: "return result - '{message,as_type}'::text[];",
    to: "return result;",
    test: PGTAP,
    filter: "ordering.sql",
  },
  {
    what: "an issue quotes the value that it is about",
    file: "functions/_shared/clerk_sync/clerk.ts",
    from: "code: issue.code,",
    to: "code: issue.code + JSON.stringify(sent),",
    test: "tests/functions/clerk-webhook/event_test.ts",
    filter: "never quotes a value",
  },
  {
    what: "the worker logs the text of a handler's error",
    file: "functions/clerk-worker/drain/worker.ts",
    from: 'error instanceof HandlerError ? error.errorClass : "handler_crashed"',
    to: "String((error as Error).message)",
    test: "tests/functions/clerk-worker/drain/worker_test.ts",
    filter: "the text of its error goes nowhere",
  },
]);
