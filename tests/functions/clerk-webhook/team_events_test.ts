import { assert, assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aDeletedClerkOrganization,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import { type Issue, readEvent } from "../../../functions/clerk-webhook/event.ts";
import { everyEvent } from "../../fixtures/every_event.ts";

function issuesOf(event: JsonObject): readonly Issue[] {
  const reading = readEvent(JSON.stringify(event));
  return reading.kind === "unreadable" ? reading.issues : [];
}

function without(data: JsonObject, ...names: string[]): JsonObject {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)));
}

const ada = { user: "user_ada", organization: "org_lantern" };

function organization(fields: JsonObject = {}): JsonObject {
  return anEvent("organization.updated", aClerkOrganization({ id: "org_lantern", ...fields }));
}

function membership(fields: JsonObject = {}): JsonObject {
  return anEvent("organizationMembership.updated", aClerkMembership(ada, fields));
}

function invitation(fields: JsonObject = {}): JsonObject {
  return anEvent("organizationInvitation.created", aClerkInvitation("org_lantern", fields));
}

function item(fields: JsonObject = {}): JsonObject {
  return anEvent("subscriptionItem.active", aClerkSubscriptionItem({ user: "user_ada" }, fields));
}

function paidBy(payer: JsonObject | null): JsonObject {
  return item({ payer });
}

for (const { type, event } of everyEvent()) {
  Deno.test(`readEvent() reads ${type} and returns it as it was sent`, () => {
    const reading = readEvent(JSON.stringify(event));

    assertEquals(reading, { kind: "readable", type, event });
  });
}

const LENIENT: [string, JsonObject][] = [
  ["an organization without a slug", organization({ slug: null })],
  ["an organization with a blank slug", organization({ slug: "" })],
  ["an organization with unlimited memberships", organization({ max_allowed_memberships: 0 })],
  ["an organization whose counts are null", organization({ members_count: null })],
  ["an organization without metadata", organization({ public_metadata: null })],
  ["an organization with times in seconds", organization({ updated_at: 1_716_883_200 })],
  ["an organization that nobody made", organization({ created_by: null })],
  [
    "an organization of whom only the id is there",
    anEvent("organization.updated", { id: "org_1" }),
  ],
  ["a deleted organization", anEvent("organization.deleted", aDeletedClerkOrganization("org_1"))],
  [
    "a deleted organization of whom only the id is there",
    anEvent("organization.deleted", { id: "org_1" }),
  ],
  ["a membership without public_user_data", membership({ public_user_data: null })],
  [
    "a membership from which public_user_data is absent",
    anEvent("organizationMembership.updated", without(aClerkMembership(ada), "public_user_data")),
  ],
  ["a membership whose user is null", membership({ public_user_data: { user_id: null } })],
  [
    "a membership with a nested organization of whom only the id is there",
    membership({ organization: { id: "org_1" } }),
  ],
  [
    "a membership with a nested organization of strange fields",
    membership({ organization: { id: "org_1", name: 7, slug: [] } }),
  ],
  [
    "a membership without role name and permissions",
    membership({ role_name: null, permissions: null }),
  ],
  ["a membership with a role of the application's own", membership({ role: "org:keeper" })],
  ["a membership with a role without prefix", membership({ role: "admin" })],
  ["an invitation without an address", invitation({ email_address: null })],
  ["an invitation with a status that nobody knows", invitation({ status: "snoozed" })],
  [
    "an invitation that never expires and that nobody sent",
    invitation({ expires_at: null, inviter_id: null }),
  ],
  [
    "a subscription item with a blank organization",
    paidBy({ user_id: "user_ada", organization_id: "" }),
  ],
  ["a subscription item with a blank user", paidBy({ user_id: "", organization_id: "org_1" })],
  [
    "a subscription item with a null organization",
    paidBy({ user_id: "user_ada", organization_id: null }),
  ],
  [
    "a subscription item with a payer of whom only the organization is there",
    paidBy({ organization_id: "org_1" }),
  ],
  [
    "a subscription item with user and organization",
    paidBy({ user_id: "user_ada", organization_id: "org_1" }),
  ],
  ["a subscription item without a plan", item({ plan: null, plan_id: null })],
  ["a subscription item without an end", item({ period_end: null })],
  ["a subscription item with a status that nobody knows", item({ status: "paused" })],
  [
    "a subscription item of the withdrawn type",
    anEvent("subscriptionItem.created", aClerkSubscriptionItem({ user: "user_ada" })),
  ],
  [
    "a permission with a prefix of several words",
    anEvent("permission.created", { id: "org_perm_x_1" }),
  ],
  [
    "a payment attempt of which only the id is there",
    anEvent("paymentAttempt.updated", { id: "pa_1" }),
  ],
  ["a session without user", anEvent("session.removed", { id: "sess_1", user: null })],
  ["a session without anything", anEvent("session.removed", {})],
  ["an e-mail with an id of any form", anEvent("email.created", { id: 7 })],
  ["a verb that nobody knows", anEvent("organization.renamed", { id: 7 })],
];

for (const [name, event] of LENIENT) {
  Deno.test(`readEvent() reads ${name}`, () => {
    assertEquals(readEvent(JSON.stringify(event)).kind, "readable");
  });
}

const UNREADABLE: [string, JsonObject, string, string][] = [
  [
    "an organization without id",
    anEvent("organization.created", { name: "Lantern" }),
    "data.id",
    "invalid_type",
  ],
  [
    "a deleted organization without id",
    anEvent("organization.deleted", { slug: "lantern" }),
    "data.id",
    "invalid_type",
  ],
  [
    "an organization with the id of a user",
    organization({ id: "user_ada" }),
    "data.id",
    "invalid_format",
  ],
  [
    "an organization with the id of a membership",
    organization({ id: "orgmem_1" }),
    "data.id",
    "invalid_format",
  ],
  [
    "an organization whose name is a number",
    organization({ name: 7 }),
    "data.name",
    "invalid_type",
  ],
  [
    "an organization whose count is a text",
    organization({ members_count: "3" }),
    "data.members_count",
    "invalid_type",
  ],
  [
    "an organization whose metadata is a list",
    organization({ public_metadata: [] }),
    "data.public_metadata",
    "invalid_type",
  ],
  [
    "an organization with a time beyond all calendars",
    organization({ updated_at: 1e300 }),
    "data.updated_at",
    "too_big",
  ],

  [
    "a membership without id",
    anEvent("organizationMembership.created", without(aClerkMembership(ada), "id")),
    "data.id",
    "invalid_type",
  ],
  [
    "a membership with the id of an organization",
    membership({ id: "org_1" }),
    "data.id",
    "invalid_format",
  ],
  [
    "a membership without an organization",
    membership({ organization: null }),
    "data.organization",
    "invalid_type",
  ],
  [
    "a membership with an organization without id",
    membership({ organization: { slug: "lantern" } }),
    "data.organization.id",
    "invalid_type",
  ],
  [
    "a membership in somebody else's id",
    membership({ organization: { id: "user_1" } }),
    "data.organization.id",
    "invalid_format",
  ],
  [
    "a membership of what is no user",
    membership({ public_user_data: { user_id: "org_1" } }),
    "data.public_user_data.user_id",
    "invalid_format",
  ],
  [
    "a membership of a blank user",
    membership({ public_user_data: { user_id: "" } }),
    "data.public_user_data.user_id",
    "invalid_format",
  ],
  [
    "a membership with a role that is no text",
    membership({ role: { key: "org:admin" } }),
    "data.role",
    "invalid_type",
  ],
  [
    "a membership with a permission that is no text",
    membership({ permissions: ["org:posts:read", 7] }),
    "data.permissions.1",
    "invalid_type",
  ],
  [
    "a deleted membership of which only the id is there",
    anEvent("organizationMembership.deleted", { id: "orgmem_1" }),
    "data.organization",
    "invalid_type",
  ],

  [
    "an invitation without id",
    anEvent("organizationInvitation.created", without(aClerkInvitation("org_1"), "id")),
    "data.id",
    "invalid_type",
  ],
  [
    "an invitation with the id of another kind of invitation",
    invitation({ id: "inv_1" }),
    "data.id",
    "invalid_format",
  ],
  [
    "an invitation without an organization",
    invitation({ organization_id: null }),
    "data.organization_id",
    "invalid_type",
  ],
  ["an invitation without a status", invitation({ status: null }), "data.status", "invalid_type"],
  [
    "an invitation whose address is a list",
    invitation({ email_address: ["ada@example.com"] }),
    "data.email_address",
    "invalid_type",
  ],

  [
    "a subscription item without id",
    anEvent("subscriptionItem.ended", without(aClerkSubscriptionItem({ user: "user_ada" }), "id")),
    "data.id",
    "invalid_type",
  ],
  ["a subscription item without a payer", paidBy(null), "data.payer", "invalid_type"],
  [
    "a subscription item paid by what is no user",
    paidBy({ user_id: "org_1", organization_id: "" }),
    "data.payer.user_id",
    "invalid_format",
  ],
  [
    "a subscription item paid by what is no organization",
    paidBy({ user_id: "", organization_id: "user_1" }),
    "data.payer.organization_id",
    "invalid_format",
  ],
  ["a subscription item whose plan is a text", item({ plan: "pro" }), "data.plan", "invalid_type"],
  [
    "a subscription item whose trial is a text",
    item({ is_free_trial: "no" }),
    "data.is_free_trial",
    "invalid_type",
  ],

  [
    "a domain without id",
    anEvent("organizationDomain.updated", { name: "example.com" }),
    "data.id",
    "invalid_type",
  ],
  [
    "a role whose id is no id",
    anEvent("role.deleted", { id: "org:admin" }),
    "data.id",
    "invalid_format",
  ],
  [
    "a permission whose id is a number",
    anEvent("permission.created", { id: 7 }),
    "data.id",
    "invalid_type",
  ],
  [
    "a payment attempt whose time is a flag",
    anEvent("paymentAttempt.created", { id: "pa_1", updated_at: true }),
    "data.updated_at",
    "invalid_union",
  ],
  [
    "a subscription whose id is an address",
    anEvent("subscription.pastDue", { id: "ada@example.com" }),
    "data.id",
    "invalid_format",
  ],
];

for (const [name, event, path, code] of UNREADABLE) {
  Deno.test(`readEvent() calls ${name} unreadable, with path and code`, () => {
    assertEquals(issuesOf(event)[0], { path, code });
  });
}

Deno.test("readEvent() never quotes an address in the issues of an invitation", () => {
  const event = invitation({ organization_id: "ada@example.com", status: 7 });

  const issues = issuesOf(event);

  assertEquals(issues.map(({ path }) => path), ["data.organization_id", "data.status"]);
  assert(!JSON.stringify(issues).includes("ada@"));
});
