import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const MAPPINGS = `${MIGRATION}13_create_mappings.sql`;
const INGEST = `${MIGRATION}16_create_ingest_clerk_event.sql`;
const EVENT = "functions/clerk-webhook/event.ts";
const WORKER = "functions/clerk-worker/drain/worker.ts";
const PGTAP = "tests/supabase/pgtap_test.ts";
const WORKER_TEST = "tests/functions/clerk-worker/drain/worker_test.ts";

export const I8_NO_SECRETS: readonly Mutation[] = guardsOf("I8", [
  {
    what: "private metadata reaches the profile",
    file: MAPPINGS,
    from: `public_metadata := case jsonb_typeof(data -> 'public_metadata')
    when 'object' then data -> 'public_metadata'
    else '{}'
  end;
  unsafe_metadata`,
    to:
      `public_metadata := coalesce(data -> 'public_metadata', '{}') || coalesce(data -> 'private_metadata', '{}');
  unsafe_metadata`,
    test: PGTAP,
    filter: "mapping.sql",
  },
  {
    what: "the database's own words about a row leave the database",
    file: INGEST,
    from: "'sqlstate', case outcome when 'failed' then state end,",
    to: "'sqlstate', case outcome when 'failed' then state end, 'message', reason,",
    test: PGTAP,
    filter: "/ordering.sql|erasure.sql/",
  },
  {
    what: "an issue quotes the value that it is about",
    file: EVENT,
    from: "    code,\n  }));",
    to: "    code: String(error.message) + JSON.stringify(error.issues),\n  }));",
    test: "tests/functions/clerk-webhook/event_test.ts",
  },
  {
    what: "the worker logs what a handler's error says",
    file: WORKER,
    from: 'error instanceof HandlerError ? error.errorClass : "handler_crashed"',
    to: "String((error as Error).message)",
    test: WORKER_TEST,
    filter: "its text goes nowhere",
  },
]);
