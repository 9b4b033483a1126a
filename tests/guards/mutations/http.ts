import { guardsOf, type Mutation } from "../mutation.ts";

export const HTTP: readonly Mutation[] = guardsOf("HTTP", [
  {
    what: "a body of any size is accepted",
    file: "functions/clerk-webhook/body.ts",
    from: "if (bytes > limits.bytes) {",
    to: "if (false) {",
    test: "tests/functions/clerk-webhook/body_test.ts",
    filter: "accepts the largest size",
  },
  {
    what: "an unexpected error rejects the request",
    file: "functions/clerk-webhook/handler.ts",
    from: ".catch(() => ({ outcome: CRASHED.outcome, context: { code: CRASHED.code } }))",
    to: "",
    test: "tests/functions/clerk-webhook/handler_test.ts",
    filter: "neither with the error's text",
  },
  {
    what: "a deadlock is not tried again",
    file: "functions/clerk-webhook/inbox.ts",
    from: "tries: 3",
    to: "tries: 1",
    test: "tests/functions/clerk-webhook/kept_test.ts",
    filter: "raises 40P01 each time",
  },
  {
    what: "events of another instance are applied",
    file: "supabase/migrations/20261101000005_create_inbox.sql",
    from: "if own_instance is not null then",
    to: "if false then",
    test: "tests/supabase/pgtap_test.ts",
    filter: "ordering.sql",
  },
]);
