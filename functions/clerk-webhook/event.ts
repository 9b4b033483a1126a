import * as z from "zod/mini";
import { isTooDeep, type Json, mayBeUnstorable, storable, storableText } from "./json.ts";
import { Schema } from "./schema.ts";

/**
 * What Clerk sends. Lenient on purpose: received bodies often break Clerk's own published schema.
 * Only what is used is looked at, everything may be missing or null, unknown keys fall away.
 */

/** Milliseconds since the epoch; seconds in examples and test sends; RFC 3339 in very old data. */
const ClerkTime = z.nullish(
  z.union([z.number().check(z.maximum(8.64e15)), z.iso.datetime({ offset: true })]),
);

const ClerkText = z.nullish(z.string());
const ClerkFlag = z.nullish(z.boolean());
const ClerkCount = z.nullish(z.number());
/** Any object. What is in it is neither looked at nor copied: it can be most of an event. */
const ClerkObject = z.object({});
const ClerkMetadata = z.nullish(ClerkObject);
const ClerkVerification = z.nullish(z.object({ status: ClerkText }));

/** A Clerk id: its kind and, in real life, 27 letters and digits. */
function clerkId(prefix: string): z.ZodMiniString {
  return z.string().check(z.regex(new RegExp(`^${prefix}_[A-Za-z0-9]{1,200}$`)));
}

const ClerkUserId = clerkId("user");
const ClerkOrganizationId = clerkId("org");
/** Of a kind that is not looked into: `perm_…`, `csub_item_…`. */
const ClerkAnyId = clerkId("[a-z]{1,20}(?:_[a-z]{1,20})*");

export const ClerkUser = new Schema(() =>
  z.object({
    id: ClerkUserId,
    external_id: ClerkText,
    username: ClerkText,
    first_name: ClerkText,
    last_name: ClerkText,
    locale: ClerkText,
    image_url: ClerkText,
    has_image: ClerkFlag,
    primary_email_address_id: ClerkText,
    email_addresses: z.nullish(z.array(z.object({
      id: ClerkText,
      email_address: ClerkText,
      verification: ClerkVerification,
    }))),
    primary_phone_number_id: ClerkText,
    phone_numbers: z.nullish(z.array(z.object({
      id: ClerkText,
      phone_number: ClerkText,
      verification: ClerkVerification,
    }))),
    public_metadata: ClerkMetadata,
    unsafe_metadata: ClerkMetadata,
    banned: ClerkFlag,
    locked: ClerkFlag,
    deprovisioned: ClerkFlag,
    two_factor_enabled: ClerkFlag,
    last_sign_in_at: ClerkTime,
    last_active_at: ClerkTime,
    legal_accepted_at: ClerkTime,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

/** `user.deleted` carries the id and nothing to rely on besides. */
export const ClerkDeletedUser = new Schema(() => z.object({ id: ClerkUserId }));

/** NOTE: no private_metadata, here and below: it is not looked at. */
export const ClerkOrganization = new Schema(() =>
  z.object({
    id: ClerkOrganizationId,
    slug: ClerkText,
    name: ClerkText,
    image_url: ClerkText,
    has_image: ClerkFlag,
    members_count: ClerkCount,
    max_allowed_memberships: ClerkCount,
    public_metadata: ClerkMetadata,
    created_by: ClerkText,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

export const ClerkDeletedOrganization = new Schema(() => z.object({ id: ClerkOrganizationId }));

/** `organizationMembership.deleted` carries the whole membership, with its old `updated_at`. */
export const ClerkMembership = new Schema(() =>
  z.object({
    id: clerkId("orgmem"),
    // The nested copy lacks fields: nothing but its id is used.
    organization: z.object({ id: ClerkOrganizationId }),
    // Not guaranteed to be there; its identifier is an address: nothing but the id is used.
    public_user_data: z.nullish(z.object({ user_id: z.nullish(ClerkUserId) })),
    role: ClerkText,
    role_name: ClerkText,
    permissions: z.nullish(z.array(z.string())),
    public_metadata: ClerkMetadata,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

export const ClerkInvitation = new Schema(() =>
  z.object({
    id: clerkId("orginv"),
    organization_id: ClerkOrganizationId,
    email_address: ClerkText,
    role: ClerkText,
    role_name: ClerkText,
    status: z.string(),
    inviter_id: ClerkText,
    public_metadata: ClerkMetadata,
    expires_at: ClerkTime,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

export const ClerkSubscriptionItem = new Schema(() =>
  z.object({
    id: ClerkAnyId,
    // Exactly one of the two pays; the other one is blank or absent.
    payer: z.object({
      user_id: z.nullish(z.union([ClerkUserId, z.literal("")])),
      organization_id: z.nullish(z.union([ClerkOrganizationId, z.literal("")])),
    }),
    plan_id: ClerkText,
    plan: z.nullish(z.object({ id: ClerkText, slug: ClerkText, name: ClerkText })),
    status: ClerkText,
    is_free_trial: ClerkFlag,
    period_start: ClerkTime,
    period_end: ClerkTime,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

/** Kinds that are kept whole: domains, roles, permissions, payment attempts, subscriptions. */
export const ClerkOther = new Schema(() =>
  z.object({
    id: ClerkAnyId,
    created_at: ClerkTime,
    updated_at: ClerkTime,
  })
);

/** What every event has, of a type known or not. */
export const ClerkEnvelope = new Schema(() =>
  z.object({
    type: z.string().check(z.minLength(1), z.maxLength(255)),
    data: ClerkObject,
    timestamp: ClerkTime,
    instance_id: ClerkText,
  })
);

/**
 * The types whose `data` this version knows, by what precedes the dot. Any other type is kept, and
 * ignored: `session.*`, `email.*`, `sms.*`, `waitlistEntry.*`, and whatever Clerk invents next.
 */
const DATA_BY_TYPE: ReadonlyMap<string, Schema> = new Map(
  (Object.entries({
    user: { created: ClerkUser, updated: ClerkUser, deleted: ClerkDeletedUser },
    organization: {
      created: ClerkOrganization,
      updated: ClerkOrganization,
      deleted: ClerkDeletedOrganization,
    },
    organizationMembership: {
      created: ClerkMembership,
      updated: ClerkMembership,
      deleted: ClerkMembership,
    },
    organizationInvitation: {
      created: ClerkInvitation,
      accepted: ClerkInvitation,
      revoked: ClerkInvitation,
    },
    subscriptionItem: {
      abandoned: ClerkSubscriptionItem,
      active: ClerkSubscriptionItem,
      canceled: ClerkSubscriptionItem,
      // Withdrawn in August 2026; still comes up in Clerk's types.
      created: ClerkSubscriptionItem,
      ended: ClerkSubscriptionItem,
      freeTrialEnding: ClerkSubscriptionItem,
      incomplete: ClerkSubscriptionItem,
      pastDue: ClerkSubscriptionItem,
      upcoming: ClerkSubscriptionItem,
      updated: ClerkSubscriptionItem,
    },
    organizationDomain: { created: ClerkOther, updated: ClerkOther, deleted: ClerkOther },
    role: { created: ClerkOther, updated: ClerkOther, deleted: ClerkOther },
    permission: { created: ClerkOther, updated: ClerkOther, deleted: ClerkOther },
    paymentAttempt: { created: ClerkOther, updated: ClerkOther },
    subscription: {
      created: ClerkOther,
      updated: ClerkOther,
      active: ClerkOther,
      pastDue: ClerkOther,
    },
  }) as [string, Record<string, Schema>][]).flatMap(([object, verbs]) =>
    Object.entries(verbs).map(([verb, data]): [string, Schema] => [`${object}.${verb}`, data])
  ),
);

/** Where a body is not what it should be. Never the value itself. */
export interface Issue {
  /** Names and indexes, joined by dots: `data.email_addresses.0.id`. */
  readonly path: string;
  /** zod's code, or `not_json`, `too_deep`. */
  readonly code: string;
}

export type Reading =
  | { readonly kind: "readable"; readonly type: string; readonly event: Json }
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
 * The event comes back as it was sent, not as zod would trim it: the database keeps all of it.
 * NULs and lone surrogates are U+FFFD, because `jsonb` takes neither.
 */
export function readEvent(body: string): Reading {
  if (isTooDeep(body)) return unreadable(null, [{ path: "", code: "too_deep" }], raw(body));

  let event: Json;
  try {
    event = JSON.parse(body);
  } catch {
    return unreadable(null, [{ path: "", code: "not_json" }], raw(body));
  }
  if (mayBeUnstorable(body)) event = storable(event);

  const envelope = ClerkEnvelope.safeParse(event);
  if (!envelope.success) {
    return unreadable(typeOf(event), issuesOf(envelope.error), asObject(event, body));
  }

  const { type } = envelope.data;
  const content = DATA_BY_TYPE.get(type)?.safeParse(dataOf(event));
  if (content?.success === false) {
    return unreadable(type, issuesOf(content.error, "data"), event);
  }

  return { kind: "readable", type, event };
}

function unreadable(type: string | null, issues: readonly Issue[], payload: Json): Reading {
  return { kind: "unreadable", type, issues, payload };
}

function raw(body: string): Json {
  return { raw: storableText(body) };
}

/** A body that is JSON but no object is kept as text, so that the inbox holds objects only. */
function asObject(event: Json, body: string): Json {
  return typeof event === "object" && event !== null && !Array.isArray(event) ? event : raw(body);
}

/** The content as it was sent: the envelope's schema saw that it is an object, and kept nothing of it. */
function dataOf(event: Json): Json | undefined {
  return typeof event === "object" && event !== null && !Array.isArray(event)
    ? event.data
    : undefined;
}

function typeOf(event: Json): string | null {
  if (typeof event !== "object" || event === null || Array.isArray(event)) return null;
  return typeof event.type === "string" && event.type.length <= 255 ? event.type : null;
}

function issuesOf(error: z.core.$ZodError, ...prefix: readonly string[]): Issue[] {
  return error.issues.slice(0, 20).map(({ path, code }) => ({
    path: [...prefix, ...path].map(String).join("."),
    code,
  }));
}
