import { guardsOf, type Mutation } from "../mutation.ts";

const WORKER = "functions/clerk-worker/drain/worker.ts";
const WORKER_TEST = "tests/functions/clerk-worker/drain/worker_test.ts";

export const QUEUE: readonly Mutation[] = guardsOf("QUEUE", [
  {
    what: "a change that kills its worker is run forever",
    file: WORKER,
    from: "change.reads > settings.maxReads",
    to: "false",
    test: WORKER_TEST,
    filter: "read too often",
  },
  {
    what: "a handler that hangs still runs when another worker gets the change",
    file: WORKER,
    from: "after(ends - 2000)",
    to: "after(ends + 5000)",
    test: WORKER_TEST,
    filter: "a handler that ignores the signal",
  },
  {
    what: "malformed messages stay on the queue",
    file: WORKER,
    from: "for (const message of malformed) deadLetter(message);",
    to: "",
    test: WORKER_TEST,
    filter: "malformed messages are dead-lettered",
  },
  {
    what: "a forwarded change is signed without its body",
    file: "functions/clerk-worker/handlers/forward.ts",
    from: "webhook.sign(id, now, body)",
    to: 'webhook.sign(id, now, "")',
    test: "tests/functions/clerk-worker/handlers/forward_test.ts",
    filter: "signed per Standard Webhooks",
  },
  {
    what: "a name adds a header to the welcome mail",
    file: "functions/clerk-worker/handlers/welcome_email/mod.ts",
    from: 'oneLine(person.first_name ?? "")',
    to: '(person.first_name ?? "")',
    test: "tests/functions/clerk-worker/handlers/welcome_email/mod_test.ts",
    filter: "a hostile name",
  },
]);
