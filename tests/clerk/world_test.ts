import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { JsonObject } from "../../local/clerk/events.ts";
import { planOf } from "./clerk.ts";
import { jsonOf, type Message, numberAt, PAGE_KINDS, type Plan, textAt } from "./plan.ts";
import { type World, worldOf } from "./world.ts";

// The proof covers only what the worlds contain.

interface Tried extends Plan {
  readonly world: World;
}

const SAMPLE: readonly Tried[] = fc.sample(worldOf(), { seed: 1, numRuns: 300 })
  .map((world) => ({ world, ...planOf(world) }));

/** The events of a world whose type starts like this. */
function sent({ messages }: Plan, type: string): JsonObject[] {
  return messages.map(({ event }) => event).filter((event) => String(event.type).startsWith(type));
}

/** Whether two different messages meet a condition. */
function areTwo(
  messages: readonly Message[],
  asked: (one: JsonObject, other: JsonObject) => boolean,
): boolean {
  return messages.some((one) =>
    messages.some((other) => one.id < other.id && asked(one.event, other.event))
  );
}

function areOfOne(one: JsonObject, other: JsonObject): boolean {
  const id = textAt(one, "data", "id");
  return id !== undefined && id === textAt(other, "data", "id");
}

/** The objects of a page. */
function listed({ pages }: Plan, id: string): readonly JsonObject[] {
  return pages.find((page) => page.id === id)?.objects ?? [];
}

function isListed({ listing }: Plan, id: string | undefined): boolean {
  return listing.some(({ objects }) => objects.some((object) => object.id === id));
}

/** The events of such a type about objects that Clerk does not list in the end, and whose deletion is lost. */
function surplus(plan: Plan, type: RegExp): JsonObject[] {
  if (plan.listing.length === 0) return [];
  const events = sent(plan, "").filter((event) => type.test(String(event.type)));
  return events.filter((event) =>
    !isListed(plan, textAt(event, "data", "id")) &&
    !events.some((other) => areOfOne(event, other) && String(other.type).endsWith(".deleted"))
  );
}

function dataOf({ data }: JsonObject): JsonObject {
  return data as JsonObject;
}

/** Member and organization of a membership event; undefined when it does not name the member. */
function pairIn(event: JsonObject): string | undefined {
  const user = textAt(event, "data", "public_user_data", "user_id");
  return user === undefined ? undefined : `${user} ${textAt(event, "data", "organization", "id")}`;
}

function hasFate(plan: Plan, ...fates: readonly string[]): boolean {
  return plan.inDisorder.some((arrival) => "fate" in arrival && fates.includes(arrival.fate));
}

/** How often a message arrives in the plan's disorder. */
function arrivals({ inDisorder }: Plan, id: string): number {
  return inDisorder.filter((arrival) => "message" in arrival && arrival.message === id).length;
}

/** How often a text stands in an event. */
function isIn(text: string): (event: JsonObject) => boolean {
  return (event) => jsonOf(event).includes(text);
}

/** The types of Clerk's own verbs, of which `renewed` is none. */
function isNewVerb({ type }: JsonObject): boolean {
  return String(type).endsWith(".renewed");
}

/** The addresses of a user event. */
function addressesIn(event: JsonObject): JsonObject[] {
  return (dataOf(event).email_addresses ?? []) as JsonObject[];
}

/** By how many ms `updated_at` is later than the envelope, both being numbers of ms. */
function aheadOf({ data, timestamp }: JsonObject): number {
  const updated = (data as JsonObject | undefined)?.updated_at;
  const areMs = typeof updated === "number" && typeof timestamp === "number" && timestamp > 1e11;
  return areMs ? updated - timestamp : 0;
}

/** What many worlds must contain, and how to tell. */
const TO_BE_TRIED: Readonly<Record<string, (tried: Tried) => boolean>> = {
  "people": (tried) => sent(tried, "user.created").length > 0,
  "organizations": (tried) => sent(tried, "organization.created").length > 0,
  "joining": (tried) => sent(tried, "organizationMembership.created").length > 0,
  "leaving": (tried) => sent(tried, "organizationMembership.deleted").length > 0,
  "a role that changes": (tried) => sent(tried, "organizationMembership.updated").length > 0,
  "rejoining": ({ messages }) =>
    areTwo(
      messages,
      (one, other) =>
        pairIn(one) !== undefined && pairIn(one) === pairIn(other) && !areOfOne(one, other),
    ),
  "a new name": ({ messages }) =>
    areTwo(messages, (one, other) =>
      areOfOne(one, other) && String(one.type).startsWith("user.") &&
      dataOf(one).first_name !== dataOf(other).first_name),
  "an update that changes nothing": ({ messages }) =>
    areTwo(messages, (one, other) =>
      areOfOne(one, other) && one.type === "user.updated" &&
      JSON.stringify({ ...dataOf(one), updated_at: 0 }) ===
        JSON.stringify({ ...dataOf(other), updated_at: 0 })),
  "people deleted": (tried) => sent(tried, "user.deleted").length > 0,
  "organizations deleted": (tried) => sent(tried, "organization.deleted").length > 0,
  "a deletion whose object is never created": (tried) =>
    sent(tried, "user.deleted").some((gone) =>
      sent(tried, "user.").every((each) => each === gone || !areOfOne(each, gone))
    ),
  "people without an address": (tried) =>
    sent(tried, "user.").some((event) => dataOf(event).primary_email_address_id === null),
  "memberships whose event does not name the member": (tried) =>
    sent(tried, "organizationMembership.").some((event) => pairIn(event) === undefined),
  "equal times of one object": ({ messages }) =>
    areTwo(messages, (one, other) =>
      areOfOne(one, other) && dataOf(one).updated_at !== undefined &&
      dataOf(one).updated_at === dataOf(other).updated_at &&
      one.timestamp !== undefined && one.timestamp === other.timestamp),
  "envelopes that swap": ({ messages }) =>
    areTwo(messages, (one, other) =>
      areOfOne(one, other) &&
      Number(dataOf(one).updated_at) < Number(dataOf(other).updated_at) &&
      Number(one.timestamp) > Number(other.timestamp)),
  "no updated_at": (tried) =>
    sent(tried, "user.updated").some((event) => dataOf(event).updated_at === undefined),
  "no timestamp and no instance": (tried) =>
    sent(tried, "user.").some((event) =>
      event.timestamp === undefined && event.instance_id === undefined
    ),
  "times in seconds": (tried) =>
    sent(tried, "user.").some(({ timestamp }) => Number(timestamp) < 1e11),
  "times as text": (tried) =>
    sent(tried, "user.").some(({ timestamp }) => typeof timestamp === "string"),
  "holes": ({ world: { holes, happenings } }) => holes && happenings.some(({ lost }) => lost),
  "deletions that are lost": ({ world: { holes, happenings } }) =>
    holes &&
    happenings.some(({ lost, change: { what } }) =>
      lost && (what === "person gone" || what === "leave")
    ),
  "names that look like ids": (tried) => sent(tried, "user.").some(isIn('"user_mark')),
  "names that look like real ids": (tried) =>
    sent(tried, "user.").some(({ data }) =>
      /^user_mark[a-z0-9]{23}$/.test(String((data as JsonObject).username))
    ),
  "addresses of which several are verified": (tried) =>
    sent(tried, "user.").some((event) =>
      addressesIn(event)
        .filter((address) => textAt(address, "verification", "status") === "verified").length > 1
    ),
  "invitations to secondary addresses": (tried) =>
    sent(tried, "organizationInvitation.created").some((invitation) =>
      sent(tried, "user.").some((event) =>
        addressesIn(event).some(({ email_address }) =>
          String(email_address).toUpperCase() === dataOf(invitation).email_address
        )
      )
    ),
  "invitations that have expired": (tried) =>
    sent(tried, "organizationInvitation.created").some(({ data }) =>
      Number((data as JsonObject).expires_at) < Date.now()
    ),
  "invitations that have not expired": (tried) =>
    sent(tried, "organizationInvitation.created").some(({ data }) =>
      Number((data as JsonObject).expires_at) > Date.now()
    ),
  "invitations that say who accepted": (tried) =>
    sent(tried, "organizationInvitation.accepted").some((event) =>
      textAt(event, "data", "user_id") !== undefined
    ),
  "roles": (tried) => sent(tried, "role.created").length > 0,
  "roles that change": (tried) => sent(tried, "role.updated").length > 0,
  "roles deleted": (tried) => sent(tried, "role.deleted").length > 0,
  "a role whose key changes": ({ messages }) =>
    areTwo(messages, (one, other) =>
      areOfOne(one, other) && String(one.type).startsWith("role.") &&
      typeof dataOf(one).key === "string" && typeof dataOf(other).key === "string" &&
      dataOf(one).key !== dataOf(other).key),
  "two roles that had the same key": ({ messages }) =>
    areTwo(
      messages,
      (one, other) =>
        !areOfOne(one, other) && String(one.type).startsWith("role.") &&
        String(other.type).startsWith("role.") && dataOf(one).key !== undefined &&
        dataOf(one).key === dataOf(other).key,
    ),
  "members of a role that is known": (tried) =>
    sent(tried, "organizationMembership.").some((membership) =>
      sent(tried, "role.").some(({ data }) => (data as JsonObject).key === dataOf(membership).role)
    ),
  "permissions": (tried) => sent(tried, "permission.created").length > 0,
  "permissions that change": (tried) => sent(tried, "permission.updated").length > 0,
  "permissions deleted": (tried) => sent(tried, "permission.deleted").length > 0,
  "a deleted permission that a role had": (tried) =>
    sent(tried, "permission.deleted").some(({ data }) =>
      sent(tried, "role.").some(isIn(`"${(data as JsonObject).id}"`))
    ),
  "new verbs of users": (tried) => sent(tried, "user.").some(isNewVerb),
  "new verbs of organizations": (tried) => sent(tried, "organization.").some(isNewVerb),
  "new verbs of memberships": (tried) => sent(tried, "organizationMembership.").some(isNewVerb),
  "new verbs of invitations": (tried) => sent(tried, "organizationInvitation.").some(isNewVerb),
  "new verbs of items": (tried) => sent(tried, "subscriptionItem.").some(isNewVerb),
  "new verbs of roles": (tried) => sent(tried, "role.").some(isNewVerb),
  "new verbs of permissions": (tried) => sent(tried, "permission.").some(isNewVerb),
  "new verbs of users that lack a field": (tried) =>
    sent(tried, "user.").some((event) =>
      isNewVerb(event) && dataOf(event).updated_at !== undefined &&
      ["first_name", "banned", "email_addresses", "unsafe_metadata", "legal_accepted_at"]
        .some((field) => dataOf(event)[field] === undefined)
    ),
  "new verbs of something else": (tried) =>
    sent(tried, "user.").some((event) =>
      isNewVerb(event) && (dataOf(event).object !== "user" || dataOf(event).deleted === true)
    ),
  "items without payer": (tried) =>
    sent(tried, "subscriptionItem.").some(({ data }) => (data as JsonObject).payer === undefined),
  "items whose payer another event names": ({ messages }) =>
    areTwo(
      messages,
      (one, other) =>
        areOfOne(one, other) && String(one.type).startsWith("subscriptionItem.") &&
        (dataOf(one).payer === undefined) !== (dataOf(other).payer === undefined),
    ),
  "items without plan": (tried) =>
    sent(tried, "subscriptionItem.").some(({ data }) => (data as JsonObject).plan === null),
  "items with seats": (tried) =>
    sent(tried, "subscriptionItem.").some((event) =>
      numberAt(event, "data", "seats", "quantity") !== undefined
    ),
  "items with an amount of their own": (tried) =>
    sent(tried, "subscriptionItem.").some((event) =>
      numberAt(event, "data", "amount", "amount") !== undefined
    ),
  "items with an amount of their plan alone": (tried) =>
    sent(tried, "subscriptionItem.").some((event) =>
      numberAt(event, "data", "plan", "amount") !== undefined &&
      dataOf(event).amount === undefined
    ),
  "items whose seats are of a wrong type": (tried) =>
    sent(tried, "subscriptionItem.").some(({ data }) =>
      typeof (data as JsonObject).seats === "number"
    ),
  "a plan whose slug changes": ({ messages }) =>
    areTwo(messages, (one, other) => {
      const [slug, otherSlug] = [one, other].map((event) => textAt(event, "data", "plan", "slug"));
      return slug !== undefined && otherSlug !== undefined && slug !== otherSlug &&
        dataOf(one).plan_id === dataOf(other).plan_id;
    }),
  "updated_at minutes after the envelope": ({ messages }) =>
    messages.some(({ event }) => aheadOf(event) > 200_000 && aheadOf(event) < 600_000),
  "updated_at a day after the envelope": ({ messages }) =>
    messages.some(({ event }) => aheadOf(event) > 80_000_000 && aheadOf(event) < 1e9),
  "updated_at a thousand times too late": ({ messages }) =>
    messages.some(({ event }) => aheadOf(event) > 1e15),
  "envelopes of the far future": ({ messages }) =>
    messages.some(({ event }) => Number(event.timestamp) > 3.9e12),
  "deletions of the far future": (tried) =>
    sent(tried, "").some(({ type, timestamp }) =>
      String(type).endsWith(".deleted") && Number(timestamp) > 3.9e12
    ),
  "numbers above 2^53": (tried) => sent(tried, "user.").some(isIn(":90071992547409931,")),
  "metadata hundreds of levels deep": (tried) =>
    sent(tried, "user.").some((event) => depthOf(event) > 300),
  "metadata thousands of levels deep": (tried) =>
    sent(tried, "user.").some((event) => depthOf(event) >= 4000),
  "organizations first known from a token": ({ messages, pages, inDisorder }) =>
    inDisorder.some((arrival, at) =>
      "opens" in arrival && arrival.within !== undefined &&
      inDisorder.slice(0, at).every((before) =>
        "opens" in before || ("message" in before
          ? !messages.some(({ id, event }) =>
            id === before.message && isIn(`"${arrival.within}"`)(event)
          )
          : !pages.some(({ id, objects }) =>
            id === before.page && jsonOf(objects).includes(`"${arrival.within}"`)
          ))
      )
    ),
  "organizations that only tokens name": ({ messages, inDisorder }) =>
    inDisorder.some((arrival) =>
      "opens" in arrival && arrival.within !== undefined &&
      !messages.some(({ event }) => isIn(`"${arrival.within}"`)(event))
    ),
  ...Object.fromEntries(PAGE_KINDS.map((kind) => [
    `pages of kind ${kind}`,
    ({ pages }: Tried) => pages.some((page) => page.kind === kind && page.objects.length > 0),
  ])),
  "pages that arrive several times": ({ inDisorder }) =>
    inDisorder.some((one, at) =>
      "page" in one &&
      inDisorder.slice(at + 1).some((other) => "page" in other && other.page === one.page)
    ),
  "pages that are refused": ({ inDisorder }) =>
    inDisorder.some((arrival) => "page" in arrival && arrival.fate === "refused"),
  "pages that are older than an event that arrives before": (tried) =>
    tried.inDisorder.some((arrival, at) =>
      "page" in arrival &&
      listed(tried, arrival.page).some(({ id, updated_at }) =>
        tried.inDisorder.slice(0, at).some((before) =>
          "message" in before && tried.messages.some(({ id: message, event }) =>
            message === before.message && textAt(event, "data", "id") === id &&
            Number(dataOf(event).updated_at) > Number(updated_at)
          )
        )
      )
    ),
  "objects in a page that are deleted": (tried) =>
    tried.pages.some(({ id }) =>
      listed(tried, id).some((object) =>
        sent(tried, "").some((event) =>
          String(event.type).endsWith(".deleted") && dataOf(event).id === object.id
        )
      )
    ),
  "objects that only a page tells of": (tried) =>
    tried.pages.some(({ id }) =>
      listed(tried, id).some((object) =>
        !tried.messages.some(({ event }) => textAt(event, "data", "id") === object.id)
      )
    ),
  "memberships whose permissions change without an event": ({ pages, messages }) =>
    pages.some(({ kind, objects }) =>
      kind === "membership" &&
      objects.some(({ id, permissions, updated_at }) =>
        messages.some(({ event }) =>
          textAt(event, "data", "id") === id && dataOf(event).updated_at === updated_at &&
          String(dataOf(event).permissions) !== String(permissions)
        )
      )
    ),
  "objects that reconcile must add": (tried) =>
    tried.listing.some(({ objects }) =>
      objects.some(({ id }) => !tried.messages.some(({ event }) => isIn(`"${id}"`)(event)))
    ),
  "people and organizations that reconcile must delete": (tried) =>
    surplus(tried, /^(user|organization)\./).length > 0,
  "8 connections": ({ connections }) => connections === 8,
  "one connection": ({ connections }) => connections === 1,
  "ensure_profile()": ({ inDisorder }) => inDisorder.some((arrival) => "opens" in arrival),
  "ensure_profile() of a deleted person": (tried) =>
    tried.inDisorder.some((arrival) =>
      "opens" in arrival &&
      sent(tried, "user.deleted").some((event) => dataOf(event).id === arrival.opens)
    ),
  "repetitions": (tried) => tried.messages.some(({ id }) => arrivals(tried, id) > 1),
  "lost deliveries that are repeated": (tried) => hasFate(tried, "cut"),
  "triggers that raise": (tried) => hasFate(tried, "refused"),
  "locks that are held": (tried) => hasFate(tried, "slow"),
  "an order that differs from the order of sending": ({ messages, inDisorder }) =>
    inDisorder.flatMap((arrival) => "message" in arrival ? [arrival.message] : []).some((
      id,
      at,
      all,
    ) => at > 0 && placeOf(messages, id) < placeOf(messages, all[at - 1])),
  "a deleted person who is mentioned together with another person": (tried) =>
    sent(tried, "user.deleted").some((gone) =>
      tried.messages.some(({ event }) => {
        const users = new Set(JSON.stringify(event).match(/user_person\d{21}/g) ?? []);
        return users.size > 1 && users.has(String(dataOf(gone).id));
      })
    ),
};

/** How deep an event nests. No text of it holds a bracket. */
function depthOf(event: JsonObject): number {
  let [depth, deepest] = [0, 0];
  for (const [bracket] of JSON.stringify(event).matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function placeOf(messages: readonly Message[], id: string | undefined): number {
  return messages.findIndex((message) => message.id === id);
}

for (const [what, isTried] of Object.entries(TO_BE_TRIED)) {
  Deno.test(`the worlds contain ${what}`, () => {
    const worlds = SAMPLE.filter(isTried).length;

    assert(worlds >= SAMPLE.length / 30, `${worlds} of ${SAMPLE.length} worlds`);
  });
}

Deno.test("some worlds contain memberships that reconcile must delete without their parents", () => {
  const many = fc.sample(worldOf(), { seed: 1, numRuns: 1000 }).map(planOf);

  const worlds =
    many.filter((plan) =>
      surplus(plan, /^organizationMembership\./).some(({ data }) =>
        isListed(plan, textAt(data, "public_user_data", "user_id")) &&
        isListed(plan, textAt(data, "organization", "id"))
      )
    ).length;

  assert(worlds >= 5, `${worlds} of ${many.length} worlds`);
});

Deno.test("every column that Clerk decides takes several values", () => {
  const values = new Map<string, Set<string>>();
  for (const { event: { type, data } } of SAMPLE.flatMap(({ messages }) => messages)) {
    const kind = /^(user|organization|role)\.(created|updated)$/.exec(String(type))?.[1];
    if (kind === undefined) continue;
    for (const [column, value] of Object.entries(data as JsonObject)) {
      const key = `${kind}.${column}`;
      values.set(key, (values.get(key) ?? new Set()).add(JSON.stringify(value)));
    }
  }

  const constant = COLUMNS.filter((column) => (values.get(column)?.size ?? 0) < 2);

  assertEquals(constant, []);
});

/** The fields that are copied to a row, without the id and `created_at`, which do not change. */
const COLUMNS = [
  ...[
    "external_id",
    "username",
    "first_name",
    "last_name",
    "locale",
    "image_url",
    "has_image",
    "primary_email_address_id",
    "email_addresses",
    "primary_phone_number_id",
    "phone_numbers",
    "public_metadata",
    "unsafe_metadata",
    "banned",
    "locked",
    "deprovisioned",
    "two_factor_enabled",
    "last_sign_in_at",
    "last_active_at",
    "legal_accepted_at",
    "updated_at",
  ].map((column) => `user.${column}`),
  ...[
    "slug",
    "name",
    "image_url",
    "has_image",
    "members_count",
    "max_allowed_memberships",
    "public_metadata",
    "created_by",
    "updated_at",
  ].map((column) => `organization.${column}`),
  ...["key", "name", "description", "permissions", "updated_at"].map((column) => `role.${column}`),
];
