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
import type { Issue } from "../../../functions/_shared/clerk_sync/clerk.ts";
import { readEvent } from "../../../functions/clerk-webhook/event.ts";
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

    assertEquals(reading, {
      kind: "readable",
      type,
      event: JSON.stringify(event),
      asType: null,
      dropped: [],
    });
  });
}

const LENIENT: [string, JsonObject][] = [
  ["an organization without a slug", organization({ slug: null })],
  ["an organization with a blank slug", organization({ slug: "" })],
  ["an organization with unlimited memberships", organization({ max_allowed_memberships: 0 })],
  ["an organization whose counts are null", organization({ members_count: null })],
  ["an organization without metadata", organization({ public_metadata: null })],
  ["an organization with times in seconds", organization({ updated_at: 1_716_883_200 })],
  ["an organization without a creator", organization({ created_by: null })],
  [
    "an organization with nothing but an id",
    anEvent("organization.updated", { id: "org_1" }),
  ],
  ["a deleted organization", anEvent("organization.deleted", aDeletedClerkOrganization("org_1"))],
  [
    "a deleted organization with nothing but an id",
    anEvent("organization.deleted", { id: "org_1" }),
  ],
  ["a membership without public_user_data", membership({ public_user_data: null })],
  [
    "a membership from which public_user_data is absent",
    anEvent("organizationMembership.updated", without(aClerkMembership(ada), "public_user_data")),
  ],
  ["a membership whose user is null", membership({ public_user_data: { user_id: null } })],
  [
    "a membership with a nested organization with nothing but an id",
    membership({ organization: { id: "org_1" } }),
  ],
  [
    "a membership with a nested organization with odd fields",
    membership({ organization: { id: "org_1", name: 7, slug: [] } }),
  ],
  [
    "a membership without role name and permissions",
    membership({ role_name: null, permissions: null }),
  ],
  ["a membership with a role of the application's own", membership({ role: "org:keeper" })],
  ["a membership with a role without prefix", membership({ role: "admin" })],
  ["an invitation without an address", invitation({ email_address: null })],
  ["an invitation with an unknown status", invitation({ status: "snoozed" })],
  [
    "an invitation without an expiry and an inviter",
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
  ["a subscription item without a payer", paidBy(null)],
  ["a subscription item without a plan", item({ plan: null, plan_id: null })],
  ["a subscription item without an end", item({ period_end: null })],
  ["a subscription item with unlimited seats", item({ seats: { quantity: null } })],
  [
    "a subscription item without amount, seats and interval",
    item({ amount: null, seats: null, interval: null }),
  ],
  ["a subscription item with an unknown status", item({ status: "paused" })],
  [
    "a subscription item of the withdrawn type",
    anEvent("subscriptionItem.created", aClerkSubscriptionItem({ user: "user_ada" })),
  ],
  [
    "a permission with a prefix of several words",
    anEvent("permission.created", { id: "org_perm_x_1" }),
  ],
  [
    "a payment attempt with nothing but an id",
    anEvent("paymentAttempt.updated", { id: "pa_1" }),
  ],
  ["a session without user", anEvent("session.removed", { id: "sess_1", user: null })],
  ["a session with no fields at all", anEvent("session.removed", {})],
  ["an e-mail with an odd id", anEvent("email.created", { id: 7 })],
  ["an unknown verb", anEvent("organization.renamed", { id: 7 })],
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
    "a membership in an organization with the id of a user",
    membership({ organization: { id: "user_1" } }),
    "data.organization.id",
    "invalid_format",
  ],
  [
    "a membership of someone whose id is not a user's",
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
    "a membership with a role that is not a text",
    membership({ role: { key: "org:admin" } }),
    "data.role",
    "invalid_type",
  ],
  [
    "a membership whose permissions are a text",
    membership({ permissions: "org:posts:read" }),
    "data.permissions",
    "invalid_type",
  ],
  [
    "an organization made by a number",
    organization({ created_by: 7 }),
    "data.created_by",
    "invalid_type",
  ],
  [
    "an invitation sent by an object",
    invitation({ inviter_id: {} }),
    "data.inviter_id",
    "invalid_type",
  ],
  ["an invitation whose role is a list", invitation({ role: [] }), "data.role", "invalid_type"],
  [
    "an invitation whose status is a number",
    invitation({ status: 7 }),
    "data.status",
    "invalid_type",
  ],
  [
    "a subscription item whose status is a flag",
    item({ status: true }),
    "data.status",
    "invalid_type",
  ],
  [
    "a subscription item whose plan id is a number",
    item({ plan_id: 7 }),
    "data.plan_id",
    "invalid_type",
  ],
  [
    "a subscription item whose plan has a number for an id",
    item({ plan: { id: 7 } }),
    "data.plan.id",
    "invalid_type",
  ],
  [
    "a membership with a permission that is not a text",
    membership({ permissions: ["org:posts:read", 7] }),
    "data.permissions.1",
    "invalid_type",
  ],
  [
    "a deleted membership with nothing but an id",
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
    "a subscription item without id",
    anEvent("subscriptionItem.ended", without(aClerkSubscriptionItem({ user: "user_ada" }), "id")),
    "data.id",
    "invalid_type",
  ],
  [
    "a subscription item paid by someone whose id is not a user's",
    paidBy({ user_id: "org_1", organization_id: "" }),
    "data.payer.user_id",
    "invalid_format",
  ],
  [
    "a subscription item paid by an organization whose id is a user's",
    paidBy({ user_id: "", organization_id: "user_1" }),
    "data.payer.organization_id",
    "invalid_format",
  ],
  ["a subscription item whose plan is a text", item({ plan: "pro" }), "data.plan", "invalid_type"],

  [
    "a domain without id",
    anEvent("organizationDomain.updated", { name: "example.com" }),
    "data.id",
    "invalid_type",
  ],
  [
    "a role whose id is malformed",
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

const COSMETIC: [string, JsonObject, string][] = [
  ["an organization whose name is a number", organization({ name: 7 }), "data.name"],
  ["an organization whose slug is a list", organization({ slug: [] }), "data.slug"],
  ["an organization whose image is a flag", organization({ image_url: true }), "data.image_url"],
  ["an organization whose flag is a text", organization({ has_image: "yes" }), "data.has_image"],
  [
    "an organization whose count is a text",
    organization({ members_count: "3" }),
    "data.members_count",
  ],
  [
    "an organization whose limit is an object",
    organization({ max_allowed_memberships: {} }),
    "data.max_allowed_memberships",
  ],
  [
    "an organization whose metadata is a list",
    organization({ public_metadata: [] }),
    "data.public_metadata",
  ],
  ["a membership whose role name is a number", membership({ role_name: 7 }), "data.role_name"],
  [
    "a membership whose metadata is a text",
    membership({ public_metadata: "x" }),
    "data.public_metadata",
  ],
  [
    "an invitation whose address is a list",
    invitation({ email_address: ["ada@example.com"] }),
    "data.email_address",
  ],
  ["an invitation whose role name is a flag", invitation({ role_name: true }), "data.role_name"],
  ["an invitation accepted by an object", invitation({ user_id: {} }), "data.user_id"],
  [
    "an invitation accepted by an address",
    invitation({ user_id: "ada@x.example" }),
    "data.user_id",
  ],
  [
    "an invitation whose metadata is a number",
    invitation({ public_metadata: 7 }),
    "data.public_metadata",
  ],
  [
    "a subscription item whose trial is a text",
    item({ is_free_trial: "no" }),
    "data.is_free_trial",
  ],
  [
    "a subscription item whose plan has a number for a name",
    item({ plan: { id: "cplan_1", slug: "pro", name: 7 } }),
    "data.plan.name",
  ],
  [
    "a subscription item whose plan has a list for a slug",
    item({ plan: { id: "cplan_1", slug: [], name: "Pro" } }),
    "data.plan.slug",
  ],
  ["a subscription item whose seats are a number", item({ seats: 5 }), "data.seats"],
  [
    "a subscription item whose number of seats is a text",
    item({ seats: { quantity: "5" } }),
    "data.seats.quantity",
  ],
  ["a subscription item whose interval is a number", item({ interval: 1 }), "data.interval"],
  ["a subscription item whose period is a list", item({ plan_period: [] }), "data.plan_period"],
  ["a subscription item whose amount is a number", item({ amount: 2000 }), "data.amount"],
  [
    "a subscription item whose amount is a text",
    item({ amount: { amount: "2000", currency: "EUR" } }),
    "data.amount.amount",
  ],
  [
    "a subscription item whose currency is an object",
    item({ amount: { amount: 2000, currency: {} } }),
    "data.amount.currency",
  ],
  [
    "a subscription item whose plan costs a text",
    item({ plan: { id: "cplan_1", amount: "2000", currency: "EUR" } }),
    "data.plan.amount",
  ],
  [
    "a subscription item whose plan has a number for a currency",
    item({ plan: { id: "cplan_1", amount: 2000, currency: 7 } }),
    "data.plan.currency",
  ],
];

for (const [name, event, path] of COSMETIC) {
  Deno.test(`readEvent() reads ${name}, and names the field`, () => {
    const reading = readEvent(JSON.stringify(event));

    assert(reading.kind === "readable");
    assertEquals(reading.dropped, [path]);
  });
}

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
