import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const BODY = "functions/clerk-webhook/body.ts";
const CALLS = "functions/clerk-webhook/inbox.ts";
const PGTAP = "tests/supabase/pgtap_test.ts";
const BODY_TEST = "tests/functions/clerk-webhook/body_test.ts";
const INBOX_TEST = "tests/functions/clerk-webhook/inbox_test.ts";

export const HTTP: readonly Mutation[] = guardsOf("HTTP", [
  {
    what: "a body is counted when it is whole",
    file: BODY,
    from: 'if (bytes > mostBytes) return abandon(reader, "too_large");',
    to: "",
    test: BODY_TEST,
    filter: "takes the largest size",
  },
  {
    what: "a deadlock is told to the sender at once",
    file: CALLS,
    from: "const TRIES = 3;",
    to: "const TRIES = 1;",
    test: INBOX_TEST,
    filter: "a deadlock is tried three times",
  },
  {
    what: "another instance's events are applied",
    file: INBOX_FUNCTIONS,
    from: "if own_instance is null then",
    to: "if true then",
    test: PGTAP,
    filter: "ordering.sql",
  },
]);
