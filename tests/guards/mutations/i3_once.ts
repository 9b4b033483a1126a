import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const WORKER_FUNCTIONS = `${MIGRATION}18_create_worker_functions.sql`;

export const I3_ONCE: readonly Mutation[] = guardsOf("I3", [
  {
    what: "a message that another delivery finished meanwhile is stored again",
    file: `${MIGRATION}05_create_inbox.sql`,
    from: "where kept.outcome in ('failed', 'unreadable')\n    or (kept",
    to: "where true or (kept",
    test: "tests/supabase/concurrency_test.ts",
    filter: "20 times at once",
  },
  {
    what: "a change that one worker holds is given to another",
    file: WORKER_FUNCTIONS,
    from: "least(greatest(visibility_seconds, 1), 3600)",
    to: "0",
    test: "tests/functions/clerk-worker/drain/two_workers_test.ts",
    filter: "no change is given to two workers",
  },
  {
    what: "a late verdict settles a change that another worker now holds",
    file: WORKER_FUNCTIONS,
    from: "          and read_ct = coalesce(one.reads, read_ct)\n",
    to: "",
    test: "tests/supabase/pgtap_test.ts",
    filter: "queue.sql",
  },
  {
    what: "a welcome mail that the server took without an answer is sent again",
    file: "functions/clerk-worker/handlers/welcome_email/smtp.ts",
    from: "throw isHandedOver",
    to: "throw false",
    test: "tests/functions/clerk-worker/handlers/welcome_email/mod_test.ts",
    filter: "a mail whose acceptance is unknown",
  },
  {
    what: "each attempt to forward a change has another message id",
    file: "functions/clerk-worker/handlers/forward.ts",
    from: "`clerk_change_${change.change_id}`",
    to: "`clerk_change_${crypto.randomUUID()}`",
    test: "tests/functions/clerk-worker/handlers/forward_test.ts",
    filter: "the same on every attempt",
  },
]);
