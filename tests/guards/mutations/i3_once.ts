import { guardsOf, type Mutation } from "../mutation.ts";

const MIGRATION = "supabase/migrations/202611010000";
const INBOX_FUNCTIONS = `${MIGRATION}14_create_inbox_functions.sql`;
const WORKER_FUNCTIONS = `${MIGRATION}20_create_worker_functions.sql`;
const FORWARD = "functions/clerk-worker/handlers/forward.ts";
const PGTAP = "tests/supabase/pgtap_test.ts";
const CONCURRENCY = "tests/supabase/concurrency_test.ts";
const FORWARD_TEST = "tests/functions/clerk-worker/handlers/forward_test.ts";

export const I3_ONCE: readonly Mutation[] = guardsOf("I3", [
  {
    what: "a message that was done by another delivery meanwhile is written again",
    file: INBOX_FUNCTIONS,
    from: "where kept.outcome in ('failed', 'unreadable');",
    to: ";",
    test: CONCURRENCY,
    filter: "20 times at once",
  },
  {
    what: "a change that a worker holds is handed to another one",
    file: WORKER_FUNCTIONS,
    from: "least(greatest(visibility_seconds, 1), 3600)",
    to: "0",
    test: "tests/functions/clerk-worker/drain/two_workers_test.ts",
    filter: "no change is handed to two workers",
  },
  {
    what: "a verdict that comes too late cuts short the time of whoever holds the change now",
    file: WORKER_FUNCTIONS,
    from: "          and read_ct = coalesce(one.reads, read_ct)\n",
    to: "",
    test: PGTAP,
    filter: "queue.sql",
  },
  {
    what: "a mail server that took the welcome mail and never said so gets it again",
    file: "functions/clerk-worker/handlers/welcome_email/smtp.ts",
    from: "throw isHandedOver",
    to: "throw false",
    test: "tests/functions/clerk-worker/handlers/welcome_email/mod_test.ts",
    filter: "never said so",
  },
  {
    what: "each attempt to forward a change has an id of its own",
    file: FORWARD,
    from: "`clerk_change_${change.change_id}`",
    to: "`clerk_change_${crypto.randomUUID()}`",
    test: FORWARD_TEST,
    filter: "the same on every attempt",
  },
]);
