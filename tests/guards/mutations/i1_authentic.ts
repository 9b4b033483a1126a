import { guardsOf, type Mutation } from "../mutation.ts";

const BODY = "functions/clerk-webhook/body.ts";
const WEBHOOK = "functions/clerk-webhook/handler.ts";
const WEBHOOK_TEST = "tests/functions/clerk-webhook/handler_test.ts";
const OUTCOMES = "tests/functions/clerk-webhook/outcomes_test.ts";
const BODY_TEST = "tests/functions/clerk-webhook/body_test.ts";

export const I1_AUTHENTIC: readonly Mutation[] = guardsOf("I1", [
  {
    what: "the webhook does not ask whether the message is authentic",
    file: WEBHOOK,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: "",
    test: WEBHOOK_TEST,
    filter: "a body changed after signing",
  },
  {
    what: "the database hears of a message before its signature is checked",
    file: WEBHOOK,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: `const early = readEvent(body.text);
      if (early.kind === "readable") await deps.inbox.ingest(headers.id, early.event);
      if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };`,
    test: OUTCOMES,
    filter: "unauthentic requests are 401",
  },
  {
    what: "bytes are verified as what they look like, not as they came",
    file: BODY,
    from: "fatal: true",
    to: "fatal: false",
    test: WEBHOOK_TEST,
    filter: "bytes that only look alike",
  },
  {
    what: "a byte order mark is dropped before the signature is checked",
    file: BODY,
    from: "ignoreBOM: true",
    to: "ignoreBOM: false",
    test: BODY_TEST,
    filter: "byte order mark",
  },
]);
