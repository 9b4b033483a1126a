import { z } from "zod";
import {
  check,
  ClerkDeletedMembership,
  ClerkDeletedOrganization,
  ClerkDeletedRoleOrPermission,
  ClerkDeletedUser,
  ClerkInvitation,
  ClerkMembership,
  ClerkOrganization,
  ClerkOther,
  ClerkPermission,
  ClerkRole,
  ClerkSubscriptionItem,
  ClerkTime,
  ClerkUser,
  type Issue,
  isWhole,
} from "../_shared/clerk_sync/clerk.ts";
import {
  isJsonObject,
  isTooDeep,
  type Json,
  storable,
  storableText,
} from "../_shared/clerk_sync/json.ts";

/** In characters; Clerk's have about 30. */
const LONGEST_TYPE = 255;

/** What every event has, whatever its type. */
const ClerkEvent = z.object({
  type: z.string().min(1).max(LONGEST_TYPE),
  data: z.object({}),
  timestamp: ClerkTime,
  instance_id: z.string().nullish(),
});

/**
 * The types whose `data` this version knows. Any other type is stored and ignored (`session.*`,
 * `email.*`, `sms.*`, `waitlistEntry.*`, and whatever Clerk adds), unless it is one of {@link SNAPSHOTS}.
 */
const SCHEMAS: readonly (readonly [z.ZodType, ...string[]])[] = [
  [ClerkUser, "user.created", "user.updated"],
  [ClerkDeletedUser, "user.deleted"],
  [ClerkOrganization, "organization.created", "organization.updated"],
  [ClerkDeletedOrganization, "organization.deleted"],
  [ClerkMembership, "organizationMembership.created", "organizationMembership.updated"],
  [ClerkDeletedMembership, "organizationMembership.deleted"],
  [ClerkInvitation, "organizationInvitation.created", "organizationInvitation.accepted"],
  [ClerkInvitation, "organizationInvitation.revoked"],
  // Clerk withdrew subscriptionItem.created in August 2026; its types still name it.
  [ClerkSubscriptionItem, "subscriptionItem.created", "subscriptionItem.updated"],
  [ClerkSubscriptionItem, "subscriptionItem.abandoned", "subscriptionItem.active"],
  [ClerkSubscriptionItem, "subscriptionItem.canceled", "subscriptionItem.ended"],
  [ClerkSubscriptionItem, "subscriptionItem.freeTrialEnding", "subscriptionItem.incomplete"],
  [ClerkSubscriptionItem, "subscriptionItem.pastDue", "subscriptionItem.upcoming"],
  [ClerkOther, "organizationDomain.created", "organizationDomain.updated"],
  [ClerkOther, "organizationDomain.deleted"],
  [ClerkRole, "role.created", "role.updated"],
  [ClerkPermission, "permission.created", "permission.updated"],
  [ClerkDeletedRoleOrPermission, "role.deleted", "permission.deleted"],
  [ClerkOther, "paymentAttempt.created", "paymentAttempt.updated"],
  [ClerkOther, "subscription.created", "subscription.updated"],
  [ClerkOther, "subscription.active", "subscription.pastDue"],
];

/**
 * Kinds of which a new verb counts as a snapshot if `data` is a whole object: the kind, a known type that
 * is applied the same way, and the words that `data.object` may be.
 *
 * NOTE: no memberships. A verb that nobody knows yet must not make anybody a member.
 */
const SNAPSHOTS: readonly (readonly [string, string, ...string[]])[] = [
  ["user", "user.updated", "user"],
  ["organization", "organization.updated", "organization"],
  ["organizationInvitation", "organizationInvitation.created", "organization_invitation"],
  // Clerk's types say the second word.
  [
    "subscriptionItem",
    "subscriptionItem.updated",
    "subscription_item",
    "commerce_subscription_item",
  ],
  ["role", "role.updated", "role"],
  ["permission", "permission.updated", "permission"],
];

/** An event that can be handed to the database. */
export interface ReadableEvent {
  readonly kind: "readable";
  readonly type: string;
  /** The type that it is applied as, if its own is none that this version knows. */
  readonly asType: string | null;
  /** JSON text. */
  readonly event: string;
  /** Paths of the cosmetic values that read as absent. */
  readonly dropped: readonly string[];
}

export type Reading = ReadableEvent | {
  readonly kind: "unreadable";
  readonly type: string | null;
  readonly issues: readonly Issue[];
  /** The event as JSON text, or `{raw: body}` when the body is no JSON object or nests too deep. */
  readonly payload: string | { readonly raw: string };
};

/**
 * Reads the body of an authentic delivery. Pure; never throws.
 *
 * The event stays the text that was sent: parsing it and making text of it again would round its numbers
 * and overflow the stack at some 3,000 levels. Only {@link storable} replaces what `jsonb` cannot hold.
 */
export function readEvent(body: string): Reading {
  if (isTooDeep(body)) return notAnEvent("too_deep", body);

  let event: Json;
  let text = body;
  try {
    event = JSON.parse(body);
    text = storable(body);
    if (text !== body) event = JSON.parse(text);
  } catch {
    return notAnEvent("not_json", body);
  }
  if (!isJsonObject(event)) return notAnEvent("invalid_type", body);

  const envelope = check(ClerkEvent, event);
  if (envelope.issues.length > 0) return unreadable(event.type, text, envelope.issues);

  const type = String(event.type);
  const schema = schemaOf(type);
  if (schema === undefined) {
    return { kind: "readable", type, event: text, ...readUnknown(type, event.data) };
  }
  const { issues, dropped } = check(schema, event.data, "data");
  if (issues.length > 0) return unreadable(type, text, issues);
  return { kind: "readable", type, event: text, asType: null, dropped };
}

function schemaOf(type: string): z.ZodType | undefined {
  return SCHEMAS.find(([_, ...types]) => types.includes(type))?.[0];
}

/** Whether an event of an unknown type is applied as one of {@link SNAPSHOTS}. If not, it is ignored. */
function readUnknown(
  type: string,
  data: Json | undefined,
): Pick<ReadableEvent, "asType" | "dropped"> {
  const ignored = { asType: null, dropped: [] };
  const kind = /^([A-Za-z]+)\.[A-Za-z]+$/.exec(type)?.[1];
  const [_, asType = "", ...words] = SNAPSHOTS.find(([each]) => each === kind) ?? [];
  const schema = schemaOf(asType);

  if (schema === undefined || !isJsonObject(data)) return ignored;
  if (!words.some((word) => word === data.object) || data.deleted === true) return ignored;
  if (!isWhole(schema, data)) return ignored;

  const { issues, dropped } = check(schema, data, "data");
  return issues.length > 0 ? ignored : { asType, dropped };
}

/** The body is kept as text: the inbox holds JSON objects only, and none that nests too deep. */
function notAnEvent(code: string, body: string): Reading {
  return {
    kind: "unreadable",
    type: null,
    issues: [{ path: "", code }],
    payload: { raw: storableText(body) },
  };
}

function unreadable(type: Json | undefined, text: string, issues: readonly Issue[]): Reading {
  const isType = typeof type === "string" && type.length <= LONGEST_TYPE;
  return { kind: "unreadable", type: isType ? type : null, issues, payload: text };
}
