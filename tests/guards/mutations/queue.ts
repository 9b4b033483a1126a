import { guardsOf, type Mutation } from "../mutation.ts";

const WORKER = "functions/clerk-worker/drain/worker.ts";
const FORWARD = "functions/clerk-worker/handlers/forward.ts";
const WELCOME = "functions/clerk-worker/handlers/welcome_email/mod.ts";
const WORKER_TEST = "tests/functions/clerk-worker/drain/worker_test.ts";
const FORWARD_TEST = "tests/functions/clerk-worker/handlers/forward_test.ts";
const WELCOME_TEST = "tests/functions/clerk-worker/handlers/welcome_email/mod_test.ts";

export const QUEUE: readonly Mutation[] = guardsOf("QUEUE", [
  {
    what: "a change that kills its worker is run for ever",
    file: WORKER,
    from: "change.reads > settings.maxReads",
    to: "false",
    test: WORKER_TEST,
    filter: "read too often",
  },
  {
    what: "a change that hangs is somebody else's before it is cut off",
    file: WORKER,
    from: "after(ends - 2000)",
    to: "after(ends + 5000)",
    test: WORKER_TEST,
    filter: "a handler that does not listen",
  },
  {
    what: "what is no change holds up the others",
    file: WORKER,
    from: "for (const stranger of strangers) bury(stranger);",
    to: "",
    test: "tests/functions/clerk-worker/process_test.ts",
    filter: "what is no change",
  },
  {
    what: "a change is signed without its body",
    file: FORWARD,
    from: "webhook.sign(id, now, body)",
    to: 'webhook.sign(id, now, "")',
    test: FORWARD_TEST,
    filter: "signed per Standard Webhooks",
  },
  {
    what: "a name becomes a header",
    file: WELCOME,
    from: 'oneLine(person.first_name ?? "")',
    to: '(person.first_name ?? "")',
    test: WELCOME_TEST,
    filter: "a hostile name",
  },
]);
