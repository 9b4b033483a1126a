import { assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";

// Teams from the signed delivery to what people read through supabase-js.

const LANTERN = "org_lantern";
const OLGA = "user_olga";
const MORITZ = "user_moritz";
const EVE = "user_eve";

function user(id: string, first_name: string, fields: JsonObject = {}): JsonObject {
  return anEvent("user.created", aClerkUser({ id, first_name, last_name: null, ...fields }));
}

function organization(fields: JsonObject = {}): JsonObject {
  return anEvent(
    "organization.created",
    aClerkOrganization({ id: LANTERN, name: "Lantern", slug: "lantern", ...fields }),
  );
}

function membership(
  verb: "created" | "updated" | "deleted",
  user: string,
  fields: JsonObject = {},
): JsonObject {
  return anEvent(
    `organizationMembership.${verb}`,
    aClerkMembership({ user, organization: LANTERN }, {
      id: `orgmem_${user.slice(5)}`,
      ...fields,
    }),
  );
}

async function deliver(stack: TestStack, ...events: JsonObject[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const event of events) outcomes.push((await stack.send(event)).outcome);
  return outcomes;
}

/** Olga, admin, and Moritz, member, of Lantern; and Eve, who has nothing to do with it. */
async function withATeam(stack: TestStack): Promise<void> {
  await deliver(
    stack,
    organization(),
    user(OLGA, "Olga"),
    user(MORITZ, "Moritz"),
    user(EVE, "Eve"),
    membership("created", OLGA, { role: "org:admin" }),
    membership("created", MORITZ),
  );
}

/** What a user sees of teams. */
async function whatIsSeenBy(stack: TestStack, person: string): Promise<Record<string, unknown>> {
  const browser = await stack.browserOf(person);
  const [organizations, members, invitations, items] = await Promise.all([
    browser.from("organizations").select("id"),
    browser.from("organization_memberships").select("user_id").order("user_id"),
    browser.from("organization_invitations").select("id"),
    browser.from("subscription_items").select("id"),
  ]);
  return {
    organizations: organizations.data?.length,
    members: members.data?.map(({ user_id }) => user_id),
    invitations: invitations.data?.length,
    items: items.data?.length,
  };
}

const NOTHING = { organizations: 0, members: [], invitations: 0, items: 0 };

stackTest("a membership is read together with its organization", async (stack) => {
  await withATeam(stack);

  const { data, error } = await (await stack.browserOf(MORITZ))
    .from("organization_memberships")
    .select("role, organization:organizations(name, slug)")
    .eq("user_id", MORITZ);

  assertEquals(error, null);
  assertEquals(data, [{ role: "org:member", organization: { name: "Lantern", slug: "lantern" } }]);
});

stackTest("an organization is read together with its members", async (stack) => {
  await withATeam(stack);

  const { data, error } = await (await stack.browserOf(OLGA))
    .from("organizations")
    .select("name, members:organization_memberships(role, member_name)")
    .order("member_name", { referencedTable: "members" });

  assertEquals(error, null);
  assertEquals(data, [{
    name: "Lantern",
    members: [
      { role: "org:member", member_name: "Moritz" },
      { role: "org:admin", member_name: "Olga" },
    ],
  }]);
});

stackTest("a member sees the others' names and pictures, and nobody's profile", async (stack) => {
  await withATeam(stack);
  const browser = await stack.browserOf(MORITZ);

  const team = await browser
    .from("organization_memberships")
    .select("member_name, member_image_url")
    .order("member_name");

  assertEquals(team.data, [
    { member_name: "Moritz", member_image_url: `https://img.example.com/${MORITZ}` },
    { member_name: "Olga", member_image_url: `https://img.example.com/${OLGA}` },
  ]);
  const profiles = await browser.from("profiles").select("id");
  assertEquals(profiles.data, [{ id: MORITZ }]);
});

stackTest("a new name reaches the team page", async (stack) => {
  await withATeam(stack);

  await deliver(
    stack,
    anEvent("user.updated", aClerkUser({ id: OLGA, first_name: "Olga", last_name: "Iyer" })),
  );

  const { data } = await (await stack.browserOf(MORITZ))
    .from("organization_memberships").select("member_name").eq("user_id", OLGA);
  assertEquals(data, [{ member_name: "Olga Iyer" }]);
});

stackTest("an outsider sees nothing of a team, whatever it has", async (stack) => {
  await withATeam(stack);
  await deliver(
    stack,
    anEvent("organizationInvitation.created", aClerkInvitation(LANTERN)),
    anEvent("subscriptionItem.active", aClerkSubscriptionItem({ organization: LANTERN })),
  );

  assertEquals(await whatIsSeenBy(stack, EVE), NOTHING);
  assertEquals(await whatIsSeenBy(stack, OLGA), {
    organizations: 1,
    members: [MORITZ, OLGA],
    invitations: 1,
    items: 1,
  });
});

stackTest(
  "the invited person reads the invitation, and only while it is pending",
  async (stack) => {
    const address = "eve@example.com";
    const invitation = (status: string): JsonObject =>
      aClerkInvitation(LANTERN, { id: "orginv_1", email_address: "Eve@Example.com", status });
    await deliver(
      stack,
      organization(),
      user(EVE, "Eve", {
        primary_email_address_id: "idn_1",
        email_addresses: [{
          id: "idn_1",
          email_address: address,
          verification: { status: "verified" },
        }],
      }),
      anEvent("organizationInvitation.created", invitation("pending")),
    );
    const browser = await stack.browserOf(EVE);
    const pending = await browser.from("organization_invitations").select("role, status");
    const kept = await stack.database.rowsWith("Eve@Example.com");

    await deliver(stack, anEvent("organizationInvitation.revoked", invitation("revoked")));

    const revoked = await browser.from("organization_invitations").select("role, status");
    assertEquals(pending.data, [{ role: "org:member", status: "pending" }]);
    assertEquals(revoked.data, []);
    // In the table and in the inbox, and then in neither.
    assertEquals([kept, await stack.database.rowsWith("Eve@Example.com")], [2, 0]);
  },
);

stackTest("a membership may come before its user and its organization", async (stack) => {
  const early = await deliver(stack, membership("created", MORITZ));
  const browser = await stack.browserOf(MORITZ);
  const page = () =>
    browser.from("organization_memberships")
      .select("member_name, organization:organizations(name)");
  const before = await page();

  const late = await deliver(stack, user(MORITZ, "Moritz"), organization());

  const after = await page();
  assertEquals([...early, ...late], ["applied", "applied", "applied"]);
  // Names come from their own events, never from the copies that are nested in the membership.
  assertEquals(before.data, [{ member_name: null, organization: { name: null } }]);
  assertEquals(after.data, [{ member_name: "Moritz", organization: { name: "Lantern" } }]);
});

stackTest("the deletion of an organization deletes everything of its team", async (stack) => {
  await withATeam(stack);
  await deliver(
    stack,
    anEvent("organizationInvitation.created", aClerkInvitation(LANTERN)),
    anEvent("subscriptionItem.active", aClerkSubscriptionItem({ organization: LANTERN })),
  );

  const [deletion] = await deliver(
    stack,
    anEvent("organization.deleted", aDeletedClerkOrganization(LANTERN)),
  );

  const later = await deliver(
    stack,
    organization({ updated_at: Date.now() + 60_000 }),
    membership("created", EVE),
  );
  assertEquals([deletion, ...later], ["applied", "stale", "stale"]);
  assertEquals(await whatIsSeenBy(stack, OLGA), NOTHING);
  assertEquals(await whatIsSeenBy(stack, EVE), NOTHING);
  const [row] = await stack.database.sql`
    select name, deleted_at is not null as gone from public.organizations
  `;
  assertEquals({ ...row }, { name: null, gone: true });
});

stackTest("who has left reads nothing, though the session token lives on", async (stack) => {
  await withATeam(stack);
  const browser = await stack.browserOf(MORITZ);
  const asMember = await browser.from("organization_memberships").select("id");

  await deliver(stack, membership("deleted", MORITZ));

  const afterwards = await browser.from("organization_memberships").select("id");
  assertEquals([asMember.data?.length, afterwards.data], [2, []]);
  assertEquals(await whatIsSeenBy(stack, MORITZ), NOTHING);
  assertEquals((await whatIsSeenBy(stack, OLGA)).members, [OLGA]);
});

stackTest("a deleted user reads nothing and is on no team page", async (stack) => {
  await withATeam(stack);

  await deliver(stack, anEvent("user.deleted", aDeletedClerkUser(MORITZ)));

  assertEquals(await whatIsSeenBy(stack, MORITZ), NOTHING);
  assertEquals((await whatIsSeenBy(stack, OLGA)).members, [OLGA]);
});

stackTest("the late deletion of an old membership leaves the new one alone", async (stack) => {
  await withATeam(stack);
  const now = Date.now();
  await deliver(
    stack,
    membership("created", MORITZ, {
      id: "orgmem_again",
      role: "org:admin",
      created_at: now + 60_000,
      updated_at: now + 60_000,
    }),
  );
  const roles = async (): Promise<unknown> => {
    const { data } = await (await stack.browserOf(OLGA))
      .from("organization_memberships").select("role").eq("user_id", MORITZ);
    return data;
  };
  const both = await roles();

  const [late] = await deliver(stack, membership("deleted", MORITZ));

  assertEquals(late, "applied");
  // While both are there, the newer one counts.
  assertEquals([both, await roles()], [[{ role: "org:admin" }], [{ role: "org:admin" }]]);
});

stackTest("an update without public_user_data keeps the member it knows", async (stack) => {
  await withATeam(stack);

  const [known, unknown] = await deliver(
    stack,
    membership("updated", MORITZ, { public_user_data: null, role: "org:admin" }),
    membership("updated", EVE, { id: "orgmem_unheard", public_user_data: null }),
  );

  assertEquals([known, unknown], ["applied", "unreadable"]);
  const { data } = await (await stack.browserOf(OLGA))
    .from("organization_memberships").select("user_id, role").eq("role", "org:admin")
    .order("user_id");
  assertEquals(data, [
    { user_id: MORITZ, role: "org:admin" },
    { user_id: OLGA, role: "org:admin" },
  ]);
});

stackTest("a person reads what they pay for, and nobody else does", async (stack) => {
  await withATeam(stack);

  await deliver(
    stack,
    anEvent("subscriptionItem.active", aClerkSubscriptionItem({ user: MORITZ }, { id: "csub_1" })),
  );

  const { data } = await (await stack.browserOf(MORITZ))
    .from("subscription_items").select("id, organization_id, plan_slug, status");
  assertEquals(data, [{ id: "csub_1", organization_id: null, plan_slug: "pro", status: "active" }]);
  assertEquals((await whatIsSeenBy(stack, OLGA)).items, 0);
});

stackTest("a subscription item that nobody pays is kept as unreadable", async (stack) => {
  const item = aClerkSubscriptionItem({ user: "" });

  const receipt = await stack.send(anEvent("subscriptionItem.active", item), { id: "msg_1" });

  assertEquals([receipt.status, receipt.outcome], [422, "unreadable"]);
  const [row] = await stack.database.sql`
    select error, payload #>> '{data,id}' as item from clerk_sync.inbox where message_id = 'msg_1'
  `;
  assertEquals({ ...row }, {
    error: { issues: [{ path: "data.payer", code: "invalid_type" }] },
    item: item.id,
  });
});

stackTest("nobody writes team data through the API", async (stack) => {
  await withATeam(stack);
  const browser = await stack.browserOf(MORITZ);

  const attempts = await Promise.all([
    browser.from("organization_memberships").update({ role: "org:admin" }).eq("user_id", MORITZ),
    browser.from("organization_memberships").insert({
      id: "orgmem_forged",
      organization_id: LANTERN,
      user_id: EVE,
    }),
    browser.from("organizations").update({ name: "Mine" }).eq("id", LANTERN),
    browser.from("organizations").delete().eq("id", LANTERN),
    browser.from("organization_invitations").insert({
      id: "orginv_forged",
      organization_id: LANTERN,
      status: "pending",
    }),
    browser.from("subscription_items").insert({ id: "csub_forged", user_id: MORITZ }),
  ]);

  assertEquals(attempts.map(({ error }) => error?.code), Array(6).fill("42501"));
});
