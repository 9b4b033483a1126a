import { assertEquals } from "@std/assert";
import { type Handler, TOPICS } from "../../../../functions/clerk-worker/drain/change.ts";
import { handlerTable } from "../../../../functions/clerk-worker/handlers/mod.ts";

const forward: Handler = { name: "forward", run: () => Promise.resolve() };
const welcomeEmail: Handler = { name: "welcome_email", run: () => Promise.resolve() };

Deno.test("every change is forwarded, and those that can bring a verified address greet", () => {
  const table = handlerTable({ forward, welcomeEmail });

  const names = TOPICS.map((topic) => [topic, ...table[topic].map(({ name }) => name)]);
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

Deno.test("a handler that is not configured runs for nothing", () => {
  const table = handlerTable({});

  assertEquals(TOPICS.flatMap((topic) => table[topic]), []);
});
