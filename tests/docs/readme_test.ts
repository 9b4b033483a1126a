import { assertEquals, assertGreater, assertLessOrEqual, assertMatch } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { fileURLToPath } from "node:url";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { stackTest, type TestStack } from "../test_stack.ts";

// README.md: its size, and its frontend snippets, run through supabase-js as they stand there.

const README = await Deno.readTextFile(fileURLToPath(new URL("../../README.md", import.meta.url)));
const [CLIENT = "", ENSURE = "", TEAM = ""] = [...README.matchAll(/```ts\n([^]*?)```/g)]
  .map(([, snippet = ""]) => snippet);
const ADA = "user_ada";
const LANTERN = "org_lantern";

/** Without its queries, so that another snippet can follow. */
const CLIENT_ALONE = CLIENT.split("const { data")[0] ?? "";

/** Runs snippets in the browser of a user, and returns what the last one stores in a variable. */
async function runAs(
  { services }: TestStack,
  user: string | undefined,
  variable: string,
  ...snippets: readonly string[]
): Promise<unknown> {
  const session = user && { getToken: () => services.issueToken({ sub: user }) };
  const page = new Function(
    "createClient",
    "url",
    "publishableKey",
    "session",
    `return (async () => { ${snippets.join("")} return ${variable}; })()`,
  );
  return await page(createClient, services.apiUrl, services.keys.publishable, session);
}

async function sendAll(stack: TestStack, events: Record<string, JsonObject>): Promise<void> {
  for (const [type, data] of Object.entries(events)) await stack.send(anEvent(type, data));
}

Deno.test("README is at most 9 kB", () => {
  assertLessOrEqual(new TextEncoder().encode(README).length, 9_000);
});

Deno.test("every promise of README links to a test", () => {
  const [, section = ""] = README.split("## What you can rely on");
  const promises = section.split("\n## ")[0]?.split("\n- ").slice(1) ?? [];

  const unproven = promises.filter((promise) => !/\]\((?:supabase\/)?tests\//.test(promise));

  assertEquals(unproven, []);
  assertGreater(promises.length, 5);
});

Deno.test("README shows the console, and says where it is", () => {
  assertMatch(README, /!\[[^\]]{20,}\]\(docs\/console\.png\)/);
  assertMatch(README, /http:\/\/127\.0\.0\.1:54323\//);
});

Deno.test("the quick start begins with git clone", () => {
  const [, first] = /```sh\n([^\n]*)\n/.exec(README) ?? [];

  assertMatch(first ?? "", /^git clone /);
});

stackTest("every snippet of README fails with 42501 while nobody is signed in", async (stack) => {
  for (const snippets of [[CLIENT], [CLIENT_ALONE, ENSURE], [CLIENT_ALONE, TEAM]]) {
    const code = await runAs(stack, undefined, "null", ...snippets)
      .catch((error: { code?: string }) => error.code);

    assertEquals(code, "42501");
  }
  const signedOut = await stack.browserOf();
  assertEquals((await signedOut.from("profiles").select()).status, 401);
});

stackTest("the first snippet of README reads the user's own profile", async (stack) => {
  await sendAll(stack, { "user.created": aClerkUser({ id: "user_eve" }) });
  await sendAll(stack, { "user.created": aClerkUser({ id: ADA, first_name: "Ada" }) });

  const profile = await runAs(stack, ADA, "[profile.id, profile.first_name]", CLIENT);

  assertEquals(profile, [ADA, "Ada"]);
});

stackTest("the second snippet creates the row that the webhook then fills in", async (stack) => {
  const early = await runAs(stack, ADA, "[profile.id, profile.first_name]", CLIENT_ALONE, ENSURE);
  await sendAll(stack, { "user.created": aClerkUser({ id: ADA, first_name: "Ada" }) });
  const late = await runAs(stack, ADA, "[profile.id, profile.first_name]", CLIENT_ALONE, ENSURE);

  assertEquals([early, late], [[ADA, null], [ADA, "Ada"]]);
});

stackTest("the third snippet reads the team with its members' names", async (stack) => {
  await sendAll(stack, {
    "organization.created": aClerkOrganization({ id: LANTERN, name: "Lantern", slug: "lantern" }),
    "user.created": aClerkUser({ id: ADA, first_name: "Ada", last_name: "Marlowe" }),
    "organizationMembership.created": aClerkMembership({ user: ADA, organization: LANTERN }, {
      role: "org:admin",
    }),
  });

  const team = await runAs(
    stack,
    ADA,
    "team.map(({ role, member_name, organization }) => ({ role, member_name, organization }))",
    CLIENT_ALONE,
    TEAM,
  );

  assertEquals(team, [{
    role: "org:admin",
    member_name: "Ada Marlowe",
    organization: { name: "Lantern", slug: "lantern" },
  }]);
});
