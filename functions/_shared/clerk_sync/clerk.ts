import { z } from "zod";
import { isJsonObject, type Json } from "./json.ts";

/**
 * What Clerk sends: one schema for each kind of object, as in the `data` of an event.
 *
 * Lenient, because real bodies often break Clerk's own published schema: every field may be null or
 * absent, and unknown keys are left alone. A value of the wrong type is treated by what depends on it:
 *
 * - An id, time, role, permission, status, ban or verification decides who may do what, or in which
 *   order events apply. If its type is wrong, the object cannot be read.
 * - A {@link cosmetic} field is shown, compared, or kept for the application. If its type is wrong, it
 *   reads as absent, which gives nobody a right, so that one odd `locale` does not hold up a ban.
 *   Objects and lists that hold both kinds of fields are not cosmetic.
 */

/** A field that nothing else depends on: a value of the wrong type reads as absent. */
function cosmetic<Shape extends z.ZodType>(
  shape: Shape,
): z.ZodCatch<z.ZodOptional<z.ZodNullable<Shape>>> {
  return shape.nullish().catch(undefined);
}

/** A {@link cosmetic} field that some types of events lack, so that an object without it is whole. */
function extra<Shape extends z.ZodType>(
  shape: Shape,
): z.ZodOptional<ReturnType<typeof cosmetic<Shape>>> {
  return cosmetic(shape).optional();
}

/** Any object. Its content, which can be most of an event, is neither checked nor copied. */
const AnyObject = z.object({});

const Text = z.string().nullish();
const Flag = z.boolean().nullish();
/** Milliseconds since the epoch; seconds in examples and test sends; RFC 3339 in very old data. */
export const ClerkTime = z.union([z.number().max(8.64e15), z.iso.datetime({ offset: true })])
  .nullish();
const Verification = z.object({ status: Text }).nullish();

const CosmeticText = cosmetic(z.string());
const CosmeticFlag = cosmetic(z.boolean());
const Count = cosmetic(z.number());
const Metadata = cosmetic(AnyObject);

/** A Clerk id: its kind and, in real life, 27 letters and digits. */
function idOf(prefix: string): z.ZodString {
  return z.string().regex(new RegExp(`^${prefix}_[A-Za-z0-9]{1,200}$`));
}

const UserId = idOf("user");
const OrganizationId = idOf("org");
/** The id of any kind: `perm_…`, `csub_item_…`. */
const AnyId = idOf("[a-z]{1,20}(?:_[a-z]{1,20})*");

/** NOTE: here and below, private_metadata is missing on purpose: nothing reads it. */
export const ClerkUser = z.object({
  id: UserId,
  external_id: CosmeticText,
  username: CosmeticText,
  first_name: CosmeticText,
  last_name: CosmeticText,
  locale: CosmeticText,
  image_url: CosmeticText,
  has_image: CosmeticFlag,
  primary_email_address_id: Text,
  email_addresses: z.array(
    z.object({ id: Text, email_address: CosmeticText, verification: Verification }),
  ).nullish(),
  primary_phone_number_id: Text,
  phone_numbers: z.array(
    z.object({ id: Text, phone_number: CosmeticText, verification: Verification }),
  ).nullish(),
  public_metadata: Metadata,
  unsafe_metadata: Metadata,
  banned: Flag,
  locked: CosmeticFlag,
  deprovisioned: Flag,
  two_factor_enabled: CosmeticFlag,
  last_sign_in_at: ClerkTime,
  last_active_at: ClerkTime,
  legal_accepted_at: ClerkTime,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

/** `user.deleted` carries the id, and nothing else that can be relied on. */
export const ClerkDeletedUser = z.object({ id: UserId, external_id: CosmeticText });

export const ClerkOrganization = z.object({
  id: OrganizationId,
  slug: CosmeticText,
  name: CosmeticText,
  image_url: CosmeticText,
  has_image: CosmeticFlag,
  members_count: Count,
  max_allowed_memberships: Count,
  public_metadata: Metadata,
  created_by: Text,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

export const ClerkDeletedOrganization = z.object({ id: OrganizationId });

/** `organizationMembership.deleted` carries the whole membership. Only its ids are looked at. */
export const ClerkDeletedMembership = z.object({
  id: idOf("orgmem"),
  // The nested copy lacks fields: only its id is used.
  organization: z.object({ id: OrganizationId }),
  // May be absent. Its identifier is an address: only the id is used.
  public_user_data: z.object({ user_id: UserId.nullish() }).nullish(),
});

export const ClerkMembership = ClerkDeletedMembership.extend({
  role: Text,
  role_name: CosmeticText,
  permissions: z.array(z.string()).nullish(),
  public_metadata: Metadata,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

export const ClerkInvitation = z.object({
  id: idOf("orginv"),
  organization_id: OrganizationId,
  email_address: CosmeticText,
  role: Text,
  role_name: CosmeticText,
  status: z.string(),
  inviter_id: Text,
  // Of the user who accepted.
  user_id: extra(UserId),
  public_metadata: Metadata,
  expires_at: ClerkTime,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

/** Exactly one of the two pays; the other one is blank or absent. */
const Payer = z.object({
  user_id: UserId.or(z.literal("")).nullish(),
  organization_id: OrganizationId.or(z.literal("")).nullish(),
});

export const ClerkSubscriptionItem = z.object({
  id: AnyId,
  // May be absent. Then the item's row tells who pays.
  payer: Payer.nullish(),
  plan_id: Text,
  plan: z.object({
    id: Text,
    slug: CosmeticText,
    name: CosmeticText,
    amount: extra(z.number()),
    currency: extra(z.string()),
  }).nullish(),
  seats: extra(z.object({ quantity: Count })),
  // Clerk's examples have the interval, its types the period.
  interval: extra(z.string()),
  plan_period: extra(z.string()),
  amount: extra(z.object({ amount: Count, currency: CosmeticText })),
  status: Text,
  is_free_trial: CosmeticFlag,
  period_start: ClerkTime,
  period_end: ClerkTime,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

export const ClerkPermission = z.object({
  id: AnyId,
  key: Text,
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

export const ClerkRole = z.object({
  id: AnyId,
  key: Text,
  name: CosmeticText,
  description: CosmeticText,
  permissions: z.array(z.object({ id: AnyId, key: Text })).nullish(),
  created_at: ClerkTime,
  updated_at: ClerkTime,
});

/** `role.deleted` and `permission.deleted` carry the id, and nothing else that can be relied on. */
export const ClerkDeletedRoleOrPermission = z.object({ id: AnyId });

/** A kind that is stored whole: domain, payment attempt, subscription. */
export const ClerkOther = z.object({ id: AnyId, created_at: ClerkTime, updated_at: ClerkTime });

/** Where a value is not what it should be. Never the value itself. */
export interface Issue {
  /** Names and indexes, joined by dots: `data.email_addresses.0.id`. */
  readonly path: string;
  /** zod's code, or `not_json`, `too_deep`. */
  readonly code: string;
}

export interface Check {
  /** What makes the object unreadable, at most 20 issues; empty when it can be read. */
  readonly issues: readonly Issue[];
  /** Paths of the cosmetic values whose type is wrong. */
  readonly dropped: readonly string[];
}

/**
 * Checks an object of Clerk's against its schema.
 *
 * @param path where the object stands, which the reported paths begin with
 */
export function check(schema: z.ZodType, sent: Json | undefined, ...path: string[]): Check {
  const { error, data } = schema.safeParse(sent);
  if (error === undefined) return { issues: [], dropped: absent(data, path) };

  const issues = error.issues.slice(0, 20).map((issue) => ({
    path: [...path, ...issue.path.map(String)].join("."),
    code: issue.code,
  }));
  return { issues, dropped: [] };
}

/** The paths of what the schema read as undefined. JSON has no undefined, so its type was wrong. */
function absent(read: unknown, path: readonly string[]): string[] {
  if (typeof read !== "object" || read === null) return [];
  // Of arrays as well, with their indexes as keys.
  return Object.entries(read).flatMap(([key, value]) =>
    value === undefined ? [[...path, key].join(".")] : absent(value, [...path, key])
  );
}

/**
 * Whether the value has every property that the schema names, {@link extra} ones apart, null or not, also
 * in the objects and lists within it that are not null. Says nothing about types.
 */
export function isWhole(schema: unknown, sent: Json | undefined): boolean {
  if (sent === undefined) return false;
  if (sent === null) return true;

  if (
    schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ||
    schema instanceof z.ZodCatch
  ) return isWhole(schema.unwrap(), sent);

  if (schema instanceof z.ZodArray) {
    return !Array.isArray(sent) || sent.every((item) => isWhole(schema.element, item));
  }
  if (schema instanceof z.ZodObject && isJsonObject(sent)) {
    const isIn = (key: string): boolean => Object.hasOwn(sent, key);
    if (schema === Payer) return Object.keys(schema.shape).some(isIn);
    return Object.entries(schema.shape).every(([key, each]) =>
      isExtra(each) || isIn(key) && isWhole(each, sent[key])
    );
  }
  return true;
}

function isExtra(schema: unknown): boolean {
  return schema instanceof z.ZodOptional && schema.unwrap() instanceof z.ZodCatch;
}
