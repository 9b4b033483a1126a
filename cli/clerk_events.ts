import type { Json } from "../functions/_shared/json.ts";

export type JsonObject = { [key: string]: Json | undefined };

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** An id as Clerk and Svix make them: the prefix and 27 letters and digits. */
export function anId(prefix: "user" | "idn" | "ins" | "msg" | "sess" | "org"): string {
  const random = crypto.getRandomValues(new Uint8Array(27));
  return `${prefix}_${Array.from(random, (byte) => BASE62.charAt(byte % 62)).join("")}`;
}

// People who do not exist.
const FIRST_NAMES = ["Ada", "Bruno", "Chioma", "Dilara", "Emil", "Farah", "Goran", "Hana"];
const LAST_NAMES = ["Marlowe", "Okonkwo", "Lindqvist", "Vasquez", "Tanaka", "Bergström", "Iyer"];

/**
 * A user as Clerk sends it in `user.created` and `user.updated`, complete and plausible.
 *
 * @param overrides replace whole fields
 * @param number chooses the name, so that many users differ
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

/** What `user.deleted` carries of a user. */
export function aDeletedClerkUser(id: string): JsonObject {
  return { object: "user", id, deleted: true };
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
