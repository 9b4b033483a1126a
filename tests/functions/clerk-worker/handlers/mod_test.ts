import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "../../../../functions/_shared/clerk_sync/supabase.ts";
import { TOPICS } from "../../../../functions/clerk-worker/drain/change.ts";
import {
  createHandlers,
  HANDLER_VARIABLES,
} from "../../../../functions/clerk-worker/handlers/mod.ts";
import { aSigningSecret } from "../../../../local/clerk/signing_secret.ts";
import { copyFunctions, ENTRYPOINTS, type FunctionsCopy } from "../../functions_copy.ts";
import { aChange } from "../a_change.ts";

const CONFIGURED: Readonly<Record<string, string>> = {
  FORWARD_URLS: "https://example.com",
  FORWARD_SIGNING_SECRET: aSigningSecret(),
  SMTP_URL: "smtp://127.0.0.1:9",
  WELCOME_FROM: "hello@example.com",
  WELCOME_APP: "Lantern",
};

Deno.test("every change is forwarded, and those that can bring a verified address greet", () => {
  const supabase = connect("http://127.0.0.1:9", "sb_secret_made_up");

  const handlers = createHandlers((name) => CONFIGURED[name], supabase, () => {});

  const names = TOPICS.map((topic) => [
    topic,
    ...handlers.filter(({ topics }) => topics === "all" || topics.includes(topic))
      .map(({ name }) => name),
  ]);
  assertEquals(names, [
    ["profile.created", "forward", "welcome_email"],
    ["profile.updated", "forward", "welcome_email"],
    ["profile.deleted", "forward"],
    ["organization.created", "forward"],
    ["organization.updated", "forward"],
    ["organization.deleted", "forward"],
    ["membership.created", "forward"],
    ["membership.updated", "forward"],
    ["membership.deleted", "forward"],
  ]);
});

Deno.test("handlers read the variables that they name, and every name is passed on", () => {
  const supabase = connect("http://127.0.0.1:9", "sb_secret_made_up");
  const asked = new Set<string>();
  const noting = (env: Readonly<Record<string, string>>) => (name: string): string | undefined => {
    asked.add(name);
    return env[name];
  };

  createHandlers(noting(CONFIGURED), supabase, () => {});
  createHandlers(noting({ ...CONFIGURED, RESEND_API_KEY: "re_made_up" }), supabase, () => {});

  assertEquals(
    [...asked, "CLERK_WORKER_MAX_READS"].sort(),
    [...HANDLER_VARIABLES].sort(),
  );
});

const HANDLERS = "functions/clerk-worker/handlers";

/** A handler as an application would write it. */
const NOTE = `
import { defineHandler } from "../drain/handler.ts";

export default defineHandler({
  name: "note",
  topics: ["profile.deleted", "membership.created"],
  variables: { NOTE_PREFIX: "what every note begins with" },
  needs: "NOTE_PREFIX",
  create: ({ read }) => {
    const prefix = read("NOTE_PREFIX");
    if (prefix === undefined) return undefined;
    return ({ topic }) => Promise.resolve(console.log(prefix + topic));
  },
});
`;

/** Drains one change of every topic, and then shows the names of all variables. */
const DRAIN = `
import { connect } from "./functions/_shared/clerk_sync/supabase.ts";
import { TOPICS } from "./functions/clerk-worker/drain/change.ts";
import { drain, SETTINGS } from "./functions/clerk-worker/drain/worker.ts";
import { createHandlers, HANDLER_VARIABLES } from "./${HANDLERS}/mod.ts";

const env: Record<string, string> = JSON.parse(Deno.args[0] ?? "{}");
const handlers = createHandlers(
  (name) => env[name],
  connect("http://127.0.0.1:9", "sb_secret_made_up"),
  ({ message }) => console.log(message),
);
const changes = TOPICS.map((topic) => ({ ...${JSON.stringify(aChange())}, topic }));
await drain({
  handlers,
  queue: {
    read: (batch) => Promise.resolve({ changes: changes.splice(0, batch), malformed: [] }),
    settle: () => Promise.resolve(),
  },
  settings: { ...SETTINGS, concurrency: 1 },
  log: () => {},
});
console.log(HANDLER_VARIABLES.includes("NOTE_PREFIX"));
`;

/** Adds the handler: a file, and its name in the registry. */
async function addNote(copy: FunctionsCopy): Promise<void> {
  const registry = await copy.read(`${HANDLERS}/mod.ts`);
  await copy.write(`${HANDLERS}/note.ts`, NOTE);
  await copy.write(
    `${HANDLERS}/mod.ts`,
    `import note from "./note.ts";\n${registry.replace("[forward, ", "[forward, note, ")}`,
  );
}

Deno.test("a new handler is one file and its name in the registry, and runs for its topics", async () => {
  await using copy = await copyFunctions();
  await addNote(copy);
  const changed = await copy.changed();

  // An application's own, which is in nobody's way.
  await copy.write("functions/_shared/log.ts", "export const log: string = 'not a function';\n");
  await copy.write("drain.ts", DRAIN);
  await copy.deno("check", ...ENTRYPOINTS, "drain.ts");
  const off = await copy.deno("run", "drain.ts");
  const on = await copy.deno("run", "drain.ts", JSON.stringify({ NOTE_PREFIX: "noted:" }));

  assertEquals(changed, [`${HANDLERS}/mod.ts`, `${HANDLERS}/note.ts`]);
  assertEquals(off.trim().split("\n"), [
    "forward is off: FORWARD_URLS is not set",
    "note is off: NOTE_PREFIX is not set",
    "welcome_email is off: RESEND_API_KEY or SMTP_URL is not set",
    "true",
  ]);
  assertEquals(on.trim().split("\n"), [
    "forward is off: FORWARD_URLS is not set",
    "note is on",
    "welcome_email is off: RESEND_API_KEY or SMTP_URL is not set",
    "noted:profile.deleted",
    "noted:membership.created",
    "true",
  ]);
});

Deno.test("a handler that reads a variable it does not name does not compile", async () => {
  await using copy = await copyFunctions();
  await addNote(copy);
  await copy.write(`${HANDLERS}/note.ts`, NOTE.replace('read("NOTE_', 'read("SECRET_'));

  const error = await assertRejects(() => copy.deno("check", `${HANDLERS}/mod.ts`), Error);

  assertStringIncludes(error.message, "SECRET_PREFIX");
});
