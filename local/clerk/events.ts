import type { Json } from "../../functions/_shared/clerk_sync/json.ts";

export type JsonObject = { [key: string]: Json | undefined };

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A random id in the format of Clerk and Svix: a prefix and 27 letters and digits. */
export function anId(
  prefix:
    | "user"
    | "idn"
    | "msg"
    | "sess"
    | "org"
    | "orgmem"
    | "orginv"
    | "role"
    | "perm"
    | "csub_item"
    | "cplan",
): string {
  const random = crypto.getRandomValues(new Uint8Array(27));
  return `${prefix}_${Array.from(random, (byte) => BASE62.charAt(byte % 62)).join("")}`;
}

// Fictional people.
const FIRST_NAMES = ["Ada", "Bruno", "Chioma", "Dilara", "Emil", "Farah", "Goran", "Hana"];
const LAST_NAMES = ["Marlowe", "Okonkwo", "Lindqvist", "Vasquez", "Tanaka", "Bergström", "Iyer"];

/** Whom an id is the id of: the same number each time, for the name that {@linkcode aClerkUser} gives. */
export function personOf(id: string): number {
  return [...id].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 65_521, 0);
}

/**
 * A user as Clerk sends it in `user.created` and `user.updated`, complete and plausible.
 *
 * @param overrides replace whole fields
 * @param number selects the name, so that many users differ
 */
export function aClerkUser(overrides: JsonObject = {}, number = 0): JsonObject {
  const first = FIRST_NAMES[number % FIRST_NAMES.length] ?? "Ada";
  const last = LAST_NAMES[number % LAST_NAMES.length] ?? "Marlowe";
  const id = typeof overrides.id === "string" ? overrides.id : anId("user");
  const emailId = anId("idn");
  const now = Date.now();

  return {
    object: "user",
    id,
    external_id: null,
    username: null,
    first_name: first,
    last_name: last,
    locale: "en-GB",
    profile_image_url: `https://img.example.com/${id}`,
    image_url: `https://img.example.com/${id}`,
    has_image: true,
    primary_email_address_id: emailId,
    primary_phone_number_id: null,
    primary_web3_wallet_id: null,
    email_addresses: [
      {
        object: "email_address",
        id: anId("idn"),
        email_address: `${first}.old.${id.slice(-6)}@example.org`.toLowerCase(),
        reserved: true,
        verification: null,
        linked_to: [],
        created_at: now,
        updated_at: now,
      },
      {
        object: "email_address",
        id: emailId,
        email_address: `${first}.${id.slice(-6)}@example.com`.toLowerCase(),
        reserved: false,
        verification: {
          object: "verification_otp",
          status: "verified",
          strategy: "email_code",
          attempts: 1,
          expire_at: now + 600_000,
        },
        linked_to: [],
        matches_sso_connection: false,
        created_at: now,
        updated_at: now,
      },
    ],
    phone_numbers: [],
    web3_wallets: [],
    passkeys: [],
    external_accounts: [],
    saml_accounts: [],
    enterprise_accounts: [],
    password_enabled: true,
    two_factor_enabled: false,
    totp_enabled: false,
    backup_code_enabled: false,
    mfa_enabled_at: null,
    mfa_disabled_at: null,
    public_metadata: { plan: "free" },
    private_metadata: { internal_note: "never leaves the machinery" },
    unsafe_metadata: {},
    banned: false,
    locked: false,
    lockout_expires_in_seconds: null,
    verification_attempts_remaining: 100,
    delete_self_enabled: true,
    create_organization_enabled: true,
    last_sign_in_at: now,
    last_active_at: now,
    legal_accepted_at: null,
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** A user as Clerk sends it in `user.deleted`. */
export function aDeletedClerkUser(id: string): JsonObject {
  return { object: "user", id, deleted: true };
}

/** An organization as Clerk sends it in `organization.created` and `organization.updated`. */
export function aClerkOrganization(overrides: JsonObject = {}): JsonObject {
  const id = typeof overrides.id === "string" ? overrides.id : anId("org");
  const now = Date.now();

  return {
    object: "organization",
    id,
    name: "Lantern Works",
    slug: `lantern-works-${id.slice(-6)}`.toLowerCase(),
    image_url: `https://img.example.com/${id}`,
    has_image: false,
    members_count: 1,
    missing_member_with_elevated_permissions: false,
    pending_invitations_count: 0,
    max_allowed_memberships: 5,
    admin_delete_enabled: true,
    public_metadata: {},
    private_metadata: { internal_note: "never leaves the machinery" },
    created_by: null,
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** An organization as Clerk sends it in `organization.deleted`. */
export function aDeletedClerkOrganization(id: string): JsonObject {
  return { object: "organization", id, slug: "gone", deleted: true };
}

/** The user and the organization of a membership. */
export interface Member {
  readonly user: string;
  readonly organization: string;
}

/** A membership as Clerk sends it in all `organizationMembership` events, deletions included. */
export function aClerkMembership(
  { user, organization }: Member,
  overrides: JsonObject = {},
): JsonObject {
  const now = Date.now();
  // Nested copies lack fields, and may be older than the object's own events.
  const { private_metadata: _, created_by: __, ...nested } = aClerkOrganization({
    id: organization,
    name: "Nested Copy",
  });

  return {
    object: "organization_membership",
    id: anId("orgmem"),
    role: "org:member",
    role_name: "Member",
    permissions: ["org:posts:read"],
    public_metadata: {},
    private_metadata: { internal_note: "never leaves the machinery" },
    organization: nested,
    public_user_data: {
      user_id: user,
      first_name: "Nested",
      last_name: "Copy",
      image_url: `https://img.example.com/${user}`,
      has_image: false,
      identifier: `nested.${user.slice(-6)}@example.com`.toLowerCase(),
    },
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** An invitation as Clerk sends it in all `organizationInvitation` events. */
export function aClerkInvitation(organization: string, overrides: JsonObject = {}): JsonObject {
  const id = typeof overrides.id === "string" ? overrides.id : anId("orginv");
  const now = Date.now();

  return {
    object: "organization_invitation",
    id,
    organization_id: organization,
    email_address: `invited.${id.slice(-6)}@example.com`.toLowerCase(),
    role: "org:member",
    role_name: "Member",
    status: "pending",
    inviter_id: null,
    public_metadata: {},
    private_metadata: {},
    url: `https://accounts.example.com/accept?ticket=${id}`,
    expires_at: now + 7 * 24 * 3600_000,
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** A permission as Clerk sends it in `permission` events and within a role. */
export function aClerkPermission(key: string, overrides: JsonObject = {}): JsonObject {
  const now = Date.now();

  return {
    object: "permission",
    id: anId("perm"),
    name: key,
    key,
    description: null,
    type: "custom",
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** A role as Clerk sends it in `role.created` and `role.updated`. */
export function aClerkRole(
  key: string,
  permissions: JsonObject[],
  overrides: JsonObject = {},
): JsonObject {
  const now = Date.now();

  return {
    object: "role",
    id: anId("role"),
    name: key,
    key,
    description: null,
    is_creator_eligible: false,
    permissions,
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** Who pays: a user or an organization. */
export type Payer = { readonly user: string } | { readonly organization: string };

/** A subscription item as Clerk sends it in all `subscriptionItem` events. */
export function aClerkSubscriptionItem(payer: Payer, overrides: JsonObject = {}): JsonObject {
  const now = Date.now();
  const planId = anId("cplan");

  return {
    object: "subscription_item",
    id: anId("csub_item"),
    status: "active",
    is_free_trial: false,
    interval: "month",
    period_start: now,
    period_end: now + 30 * 24 * 3600_000,
    plan_id: planId,
    plan: {
      id: planId,
      slug: "pro",
      name: "Pro",
      is_recurring: true,
      amount: 2000,
      currency: "EUR",
    },
    payer: {
      object: "commerce_payer",
      user_id: "user" in payer ? payer.user : "",
      first_name: "Nested",
      last_name: "Copy",
      email: "payer@example.com",
      // Of user_id and organization_id, the one that does not apply is empty, not absent.
      organization_id: "organization" in payer ? payer.organization : "",
      organization_name: "",
      created_at: now,
      updated_at: now,
    },
    created_at: now,
    updated_at: now,
    ...overrides,
  };
}

/** An event as Clerk sends it: the envelope around `data`. */
export function anEvent(type: string, data: JsonObject, envelope: JsonObject = {}): JsonObject {
  return {
    data,
    object: "event",
    type,
    timestamp: Date.now(),
    instance_id: "ins_0000000000000000000000local",
    event_attributes: { http_request: { client_ip: "192.0.2.7", user_agent: "Mozilla/5.0" } },
    ...envelope,
  };
}
