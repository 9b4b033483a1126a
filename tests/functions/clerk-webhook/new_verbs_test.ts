import { assert, assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkPermission,
  aClerkRole,
  aClerkSubscriptionItem,
  aClerkUser,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import { readEvent } from "../../../functions/clerk-webhook/event.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";

// Clerk adds verbs to its kinds of objects without notice. A whole object counts as a snapshot, whatever
// the verb; anything else is only kept.

const ADA = "user_ada";

const USER = aClerkUser({ id: ADA, deprovisioned: false, phone_numbers: [aPhone()] });
const ITEM = aClerkSubscriptionItem({ user: ADA });

function aPhone(): JsonObject {
  return { id: "idn_p", phone_number: "+1", verification: { status: "verified" } };
}

/** A whole object of each kind, with an unknown verb and the type that it is applied as. */
const WHOLE: readonly [string, string, JsonObject][] = [
  ["user.suspended", "user.updated", USER],
  ["organization.archived", "organization.updated", aClerkOrganization()],
  [
    "organizationInvitation.expired",
    "organizationInvitation.created",
    aClerkInvitation("org_lantern", { status: "expired" }),
  ],
  ["subscriptionItem.expired", "subscriptionItem.updated", ITEM],
  ["role.renamed", "role.updated", aClerkRole("org:keeper", [aClerkPermission("org:a:b")])],
  ["permission.renamed", "permission.updated", aClerkPermission("org:a:b")],
];

/** How the event is applied: the type, null for one that is only kept. */
function appliedAs(type: string, data: JsonObject): string | null {
  const reading = readEvent(JSON.stringify(anEvent(type, data)));
  assert(reading.kind === "readable", `${type} is unreadable`);
  return reading.asType;
}

/** Copies of a value, each without one property of an object in it, with their paths. */
function* lacking(value: unknown, path: string): Generator<[string, unknown]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const { [key]: _, ...rest } = value as Record<string, unknown>;
    if (!Array.isArray(value)) yield [path + key, rest];
    for (const [deeper, copy] of lacking(inner, `${path}${key}.`)) {
      const whole = structuredClone(value) as Record<string, unknown>;
      whole[key] = copy;
      yield [deeper, whole];
    }
  }
}

for (const [type, asType, whole] of WHOLE) {
  Deno.test(`${type} with a whole object is applied as ${asType}`, () => {
    assertEquals(appliedAs(type, whole), asType);
    assertEquals(appliedAs(asType, whole), null);
  });

  Deno.test(`${type} is ignored if its object has another word, or is deleted`, () => {
    for (const object of ["session", "User", "", null, 7, ["user"], undefined]) {
      assertEquals(appliedAs(type, { ...whole, object }), null);
    }
    assertEquals(appliedAs(type, { ...whole, deleted: true }), null);
    assertEquals(appliedAs(type, { ...whole, deleted: false }), asType);
  });

  Deno.test(`${type} is ignored if the types of its object are wrong`, () => {
    assertEquals(appliedAs(type, { ...whole, updated_at: {} }), null);
    assertEquals(appliedAs(type, { ...whole, id: "ada@example.com" }), null);
    assertEquals(appliedAs(type, { ...whole, id: null }), null);
  });
}

Deno.test("an unknown verb is ignored if a property is missing that is read from known ones", () => {
  // Written out, and not read from the schemas that are tested.
  const missing = Object.fromEntries(WHOLE.map(([type, _, whole]) => [
    type,
    [...lacking(whole, "")]
      .filter(([_, copy]) => appliedAs(type, copy as JsonObject) === null)
      .map(([path]) => path),
  ]));

  assertEquals(missing, {
    "user.suspended": [
      "object",
      "id",
      "external_id",
      "username",
      "first_name",
      "last_name",
      "locale",
      "image_url",
      "has_image",
      "primary_email_address_id",
      "primary_phone_number_id",
      "email_addresses",
      "email_addresses.0.id",
      "email_addresses.0.email_address",
      "email_addresses.0.verification",
      "email_addresses.1.id",
      "email_addresses.1.email_address",
      "email_addresses.1.verification",
      "email_addresses.1.verification.status",
      "phone_numbers",
      "phone_numbers.0.id",
      "phone_numbers.0.phone_number",
      "phone_numbers.0.verification",
      "phone_numbers.0.verification.status",
      "two_factor_enabled",
      "public_metadata",
      "unsafe_metadata",
      "banned",
      "locked",
      "last_sign_in_at",
      "last_active_at",
      "legal_accepted_at",
      "created_at",
      "updated_at",
      "deprovisioned",
    ],
    "organization.archived": [
      "object",
      "id",
      "name",
      "slug",
      "image_url",
      "has_image",
      "members_count",
      "max_allowed_memberships",
      "public_metadata",
      "created_by",
      "created_at",
      "updated_at",
    ],
    "organizationInvitation.expired": [
      "object",
      "id",
      "organization_id",
      "email_address",
      "role",
      "role_name",
      "status",
      "inviter_id",
      "public_metadata",
      "expires_at",
      "created_at",
      "updated_at",
    ],
    "subscriptionItem.expired": [
      "object",
      "id",
      "status",
      "is_free_trial",
      "period_start",
      "period_end",
      "plan_id",
      "plan",
      "plan.id",
      "plan.slug",
      "plan.name",
      "payer",
      "created_at",
      "updated_at",
    ],
    "role.renamed": [
      "object",
      "id",
      "name",
      "key",
      "description",
      "permissions",
      "permissions.0.id",
      "permissions.0.key",
      "created_at",
      "updated_at",
    ],
    "permission.renamed": ["object", "id", "key", "created_at", "updated_at"],
  });
});

Deno.test("an unknown verb need not say what not every known one says", () => {
  const accepted = aClerkInvitation("org_lantern", { user_id: ADA });
  assertEquals(appliedAs("organizationInvitation.x", accepted), "organizationInvitation.created");
  assertEquals(
    appliedAs("subscriptionItem.x", { ...ITEM, amount: { amount: 2000 }, seats: {} }),
    "subscriptionItem.updated",
  );
});

Deno.test("a property of an unknown verb may be null", () => {
  const nulls = Object.fromEntries(Object.keys(USER).map((key) => [key, null]));

  assertEquals(appliedAs("user.x", { ...nulls, object: "user", id: ADA }), "user.updated");
  assertEquals(
    appliedAs("subscriptionItem.x", { ...ITEM, plan: null, payer: null }),
    "subscriptionItem.updated",
  );
});

Deno.test("an unknown verb of an item needs one of the two payers, and takes Clerk's other word", () => {
  const paidBy = (payer: JsonObject): string | null =>
    appliedAs("subscriptionItem.x", { ...ITEM, payer });

  assertEquals(paidBy({ user_id: ADA }), "subscriptionItem.updated");
  assertEquals(paidBy({ organization_id: "org_1" }), "subscriptionItem.updated");
  assertEquals(paidBy({ email: "payer@example.com" }), null);
  assertEquals(
    appliedAs("subscriptionItem.x", { ...ITEM, object: "commerce_subscription_item" }),
    "subscriptionItem.updated",
  );
});

Deno.test("cosmetic values of the wrong type are left out of a new verb's snapshot, too", () => {
  const reading = readEvent(
    JSON.stringify(anEvent("user.suspended", { ...USER, locale: 7, public_metadata: [] })),
  );

  assert(reading.kind === "readable");
  assertEquals(
    [reading.asType, reading.dropped],
    ["user.updated", ["data.locale", "data.public_metadata"]],
  );
});

Deno.test("types of no known kind, in another case or of several words, and memberships are ignored", () => {
  const member = aClerkMembership({ user: ADA, organization: "org_lantern" });
  const types = [
    "User.updated",
    "users.updated",
    "user",
    "user.",
    "user.profile.updated",
    "user_updated",
    "session.updated",
    "constructor.x",
  ];

  for (const type of types) assertEquals(appliedAs(type, USER), null);
  assertEquals(appliedAs("organizationMembership.promoted", member), null);
  assertEquals(appliedAs("organizationMembership.updated", member), null);
});

async function rowsOf({ database }: TestStack): Promise<unknown> {
  const [rows] = await database.sql`
    select
      (select status from public.subscription_items) as status,
      (select banned from public.profiles) as banned,
      (select count(*)::int from public.organization_memberships) as memberships,
      (
        select jsonb_agg(jsonb_build_array(type, outcome) order by received_at) from clerk_sync.inbox
      ) as inbox
  `;
  return { ...rows };
}

stackTest("a new verb's whole object is applied, and its type is kept", async (stack) => {
  const later = Date.now() + 1;
  const events = [
    anEvent("user.created", USER),
    anEvent("subscriptionItem.active", ITEM),
    anEvent("subscriptionItem.expired", { ...ITEM, status: "expired", updated_at: later }),
    anEvent("user.suspended", { ...USER, banned: true, updated_at: later }),
    anEvent("user.touched", { id: ADA, object: "user", updated_at: later + 1 }),
    anEvent("user.removed", { id: ADA, object: "user", deleted: true }),
    anEvent(
      "organizationMembership.promoted",
      aClerkMembership({ user: ADA, organization: "org_lantern" }),
    ),
  ];

  for (const event of events) assertEquals((await stack.send(event)).status, 200);

  assertEquals(await rowsOf(stack), {
    status: "expired",
    banned: true,
    memberships: 0,
    inbox: [
      ["user.created", "applied"],
      ["subscriptionItem.active", "applied"],
      ["subscriptionItem.expired", "applied"],
      ["user.suspended", "applied"],
      ["user.touched", "ignored"],
      ["user.removed", "ignored"],
      ["organizationMembership.promoted", "ignored"],
    ],
  });
});
