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
} from "./clerk.ts";
import {
  isJsonObject,
  isTooDeep,
  type Json,
  type JsonObject,
  mayBeUnstorable,
  storable,
  storableText,
} from "./json.ts";

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
 * The types whose `data` this version knows. Any other type is stored and ignored: `session.*`,
 * `email.*`, `sms.*`, `waitlistEntry.*`, and whatever Clerk adds.
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

export type Reading =
  | {
    readonly kind: "readable";
    readonly type: string;
    readonly event: Json;
    /** Paths of the cosmetic values that were left out of the event. */
    readonly dropped: readonly string[];
  }
  | {
    readonly kind: "unreadable";
    readonly type: string | null;
    readonly issues: readonly Issue[];
    /** The body as parsed, or `{raw: text}` when it is not storable JSON. */
    readonly payload: Json;
  };

/**
 * Reads the body of an authentic delivery. Pure; never throws.
 *
 * The event comes back as it was sent, unknown fields included, except that cosmetic values of the
 * wrong type are left out (the inbox does not hold them either), and that NULs and lone surrogates,
 * which `jsonb` refuses, are U+FFFD.
 */
export function readEvent(body: string): Reading {
  if (isTooDeep(body)) return notAnEvent("too_deep", body);

  let event: Json;
  try {
    event = JSON.parse(body);
  } catch {
    return notAnEvent("not_json", body);
  }
  if (mayBeUnstorable(body)) event = storable(event);
  if (!isJsonObject(event)) return notAnEvent("invalid_type", body);

  const envelope = check(ClerkEvent, event);
  if (envelope.issues.length > 0) return unreadable(event, envelope.issues);

  const type = String(event.type);
  const schema = SCHEMAS.find(([_, ...types]) => types.includes(type))?.[0];
  if (schema === undefined) return { kind: "readable", type, event, dropped: [] };

  const { issues, dropped } = check(schema, event.data, "data");
  return issues.length > 0 ? unreadable(event, issues) : { kind: "readable", type, event, dropped };
}

/** The body is stored as text: the inbox holds JSON objects only, and none that nests too deep. */
function notAnEvent(code: string, body: string): Reading {
  return {
    kind: "unreadable",
    type: null,
    issues: [{ path: "", code }],
    payload: { raw: storableText(body) },
  };
}

function unreadable(event: JsonObject, issues: readonly Issue[]): Reading {
  const { type } = event;
  const isType = typeof type === "string" && type.length <= LONGEST_TYPE;
  return { kind: "unreadable", type: isType ? type : null, issues, payload: event };
}
