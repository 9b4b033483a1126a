import { guardsOf, type Mutation } from "../mutation.ts";

const BODY = "functions/clerk-webhook/body.ts";
const HANDLER = "functions/clerk-webhook/handler.ts";
const HANDLER_TEST = "tests/functions/clerk-webhook/handler_test.ts";

export const I1_AUTHENTIC: readonly Mutation[] = guardsOf("I1", [
  {
    what: "the signature is not checked",
    file: HANDLER,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: "",
    test: HANDLER_TEST,
    filter: "a body changed after signing",
  },
  {
    what: "an event reaches the database before its signature is checked",
    file: HANDLER,
    from: 'if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };',
    to: `const early = readEvent(body.text);
  if (early.kind === "readable") await deps.inbox.ingest(headers.id, early);
  if (!deps.verify(body.text, headers)) return { outcome: "bad_signature" };`,
    test: "tests/functions/clerk-webhook/outcomes_test.ts",
    filter: "unauthentic requests are 401",
  },
  {
    what: "invalid UTF-8 is replaced before the signature is checked",
    file: BODY,
    from: "fatal: true",
    to: "fatal: false",
    test: HANDLER_TEST,
    filter: "only by lenient decoding",
  },
  {
    what: "a byte order mark is dropped before the signature is checked",
    file: BODY,
    from: "ignoreBOM: true",
    to: "ignoreBOM: false",
    test: "tests/functions/clerk-webhook/body_test.ts",
    filter: "byte order mark",
  },
]);
