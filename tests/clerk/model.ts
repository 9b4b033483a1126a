import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/clerk-webhook/json.ts";
import { type Message, textAt } from "./plan.ts";

// What the tables must hold once every message has arrived, computed from the set of messages alone: no
// order of arrival, no query. The rules are in docs/architecture.md, "Ordering".

/** The rows of each table by id, as JSON, without synced_at, and `gone` instead of deleted_at. */
export interface Rows {
  readonly profiles: RowsById;
  readonly organizations: RowsById;
  readonly memberships: RowsById;
  readonly invitations: RowsById;
  readonly items: RowsById;
  readonly roles: RowsById;
  /** The data that the register keeps for kinds without a table. */
  readonly register: RowsById;
}

export type RowsById = Readonly<Record<string, Json>>;

type Row = JsonObject;

/** The rows that must result from these messages and from these people's calls of `ensure_profile()`. */
export function expectedRows(messages: readonly Message[], opened: ReadonlySet<string>): Rows {
  const spoken = new Spoken(messages);

  const users = new Set([
    ...opened,
    ...spoken.ids("user"),
    ...spoken.every("organizationMembership").flatMap(memberOf),
  ]);
  const profiles = byId(users, (id) => {
    if (spoken.isGone(id)) return { ...EMPTY_PROFILE, id, gone: true };
    const newest = spoken.newest(id);
    return newest === undefined ? { ...EMPTY_PROFILE, id } : profile(newest);
  });

  const teams = new Set([
    ...spoken.ids("organization"),
    ...spoken.every("organizationMembership").filter(spoken.isReadable).flatMap(parentOf),
    ...spoken.every("organizationInvitation").flatMap(parentOf),
  ]);
  const organizations = byId(teams, (id) => {
    if (spoken.isGone(id)) return { ...EMPTY_ORGANIZATION, id, gone: true };
    const newest = spoken.newest(id);
    return newest === undefined ? { ...EMPTY_ORGANIZATION, id } : organization(newest);
  });

  return {
    profiles,
    organizations,
    memberships: byId(spoken.ids("organizationMembership"), (id) => {
      const newest = spoken.newest(id);
      const [user] = spoken.about(id).flatMap(memberOf);
      if (newest === undefined || user === undefined) return undefined;
      if (spoken.isGone(id) || spoken.isGone(user) || parentOf(newest).some(spoken.isGone)) return;
      return membership(newest, user, profiles[user]);
    }),
    invitations: byId(spoken.ids("organizationInvitation"), (id) => {
      const newest = spoken.newest(id);
      if (newest === undefined || parentOf(newest).some(spoken.isGone)) return undefined;
      return invitation(newest);
    }),
    items: byId(spoken.ids("subscriptionItem"), (id) => {
      const newest = spoken.newest(id);
      if (newest === undefined) return undefined;
      const { user, organization } = payerOf(newest);
      const payer = organization ?? user;
      return payer === null || spoken.isGone(payer) ? undefined : item(newest);
    }),
    roles: {},
    register: byId(spoken.ids("paymentAttempt"), (id) => {
      const newest = spoken.newest(id);
      if (newest === undefined || usersIn(newest).some(spoken.isGone)) return undefined;
      return newest.data as JsonObject;
    }),
  };
}

/** How each message must be kept, once every message has arrived. */
export interface Keeping {
  /** Messages that stay unreadable whatever else arrives. */
  readonly unreadable: ReadonlySet<string>;
  /** Messages that are unreadable if they arrive after a deletion, and readable before it. */
  readonly perhapsUnreadable: ReadonlySet<string>;
  /** Messages whose payload must be kept, and messages whose payload must not. */
  readonly withPayload: ReadonlySet<string>;
  readonly withoutPayload: ReadonlySet<string>;
}

/** What the inbox must hold once these messages have arrived. */
export function expectedInbox(messages: readonly Message[]): Keeping {
  const spoken = new Spoken(messages);
  const unreadable = new Set<string>();
  const perhapsUnreadable = new Set<string>();
  const withPayload = new Set<string>();
  const withoutPayload = new Set<string>();

  for (const { id, event } of messages) {
    const isAnonymous = kindOf(event.type) === "organizationMembership" &&
      memberOf(event).length === 0;
    const members = isAnonymous ? spoken.about(idOf(event)).flatMap(memberOf) : [];
    if (event.type === undefined) unreadable.add(id);
    else if (isAnonymous && !isDeletion(event) && !spoken.isGone(idOf(event))) {
      if (members.length === 0) unreadable.add(id);
      else if ([...members, ...parentOf(event)].some(spoken.isGone)) perhapsUnreadable.add(id);
    }

    const mayBeKept = !/^(email|sms|waitlistEntry)\./.test(String(event.type ?? ""));
    if (!mayBeKept || usersIn(event).some(spoken.isGone)) withoutPayload.add(id);
    // The deletion of the member also deletes whose membership it was. Both results are right then.
    else if (!members.some(spoken.isGone)) withPayload.add(id);
  }
  return { unreadable, perhapsUnreadable, withPayload, withoutPayload };
}

/** What the messages say, by kind and by id. */
class Spoken {
  readonly #byKind: ReadonlyMap<string, readonly Message[]>;
  readonly #byId: ReadonlyMap<string, readonly Message[]>;
  readonly #gone: ReadonlySet<string>;

  constructor(messages: readonly Message[]) {
    this.#byKind = Map.groupBy(messages, ({ event }) => kindOf(event.type));
    this.#byId = Map.groupBy(
      messages.filter(({ event }) => !isDeletion(event)),
      ({ event }) => idOf(event),
    );
    this.#gone = new Set(
      messages.filter(({ event }) => isDeletion(event)).map(({ event }) => idOf(event)),
    );
  }

  /** All events of a kind: the type up to its dot. */
  every(kind: string): JsonObject[] {
    return (this.#byKind.get(kind) ?? []).map(({ event }) => event);
  }

  ids(kind: string): Set<string> {
    return new Set(this.every(kind).map(idOf));
  }

  /** The events of one object, without its deletion. */
  about(id: string): JsonObject[] {
    return (this.#byId.get(id) ?? []).map(({ event }) => event);
  }

  /** Whether this event or another one of the same membership names the member. */
  readonly isReadable = (event: JsonObject): boolean =>
    isDeletion(event) || this.about(idOf(event)).some((each) => memberOf(each).length > 0);

  readonly isGone = (id: string): boolean => this.#gone.has(id);

  /** The event whose version is the greatest. */
  newest(id: string): JsonObject | undefined {
    return (this.#byId.get(id) ?? [])
      .reduce<Message | undefined>(
        (newest, one) => newest === undefined || isNewer(one, newest) ? one : newest,
        undefined,
      )?.event;
  }
}

function kindOf(type: Json | undefined): string {
  return String(type ?? "").split(".")[0] ?? "";
}

function idOf(event: JsonObject): string {
  return textAt(event, "data", "id") ?? "";
}

function isDeletion({ type }: JsonObject): boolean {
  return String(type ?? "").endsWith(".deleted");
}

function memberOf(event: JsonObject): string[] {
  return present(textAt(event, "data", "public_user_data", "user_id"));
}

function parentOf(event: JsonObject): string[] {
  return present(
    textAt(event, "data", "organization", "id") ?? textAt(event, "data", "organization_id"),
  );
}

/** The ids of all users in an event, wherever they stand. */
function usersIn(event: JsonObject): string[] {
  return [...new Set(JSON.stringify(event).match(/user_\d+/g) ?? [])];
}

function payerOf(event: JsonObject): { user: string | null; organization: string | null } {
  return {
    user: textAt(event, "data", "payer", "user_id") ?? null,
    organization: textAt(event, "data", "payer", "organization_id") ?? null,
  };
}

function present(id: string | undefined): string[] {
  return id === undefined ? [] : [id];
}

/** By `updated_at`, then by the envelope's time, then by the message id. */
function isNewer(one: Message, other: Message): boolean {
  const [updated, envelope] = versionOf(one.event);
  const [otherUpdated, otherEnvelope] = versionOf(other.event);
  if (updated !== otherUpdated) return updated > otherUpdated;
  if (envelope !== otherEnvelope) return envelope > otherEnvelope;
  return one.id > other.id;
}

function versionOf(event: JsonObject): readonly [updated: number, envelope: number] {
  const data = event.data as JsonObject;
  const updated = msOf(data.updated_at);
  const envelope = msOf(event.timestamp);
  const created = msOf(data.created_at);
  return [updated ?? envelope ?? created ?? NaN, envelope ?? updated ?? created ?? NaN];
}

/** ms since the epoch. A number below 1e11 is in seconds; a text is RFC 3339. */
function msOf(time: Json | undefined): number | undefined {
  if (typeof time === "string") return Date.parse(time);
  if (typeof time !== "number") return undefined;
  return time < 1e11 ? time * 1000 : time;
}

/** A time as Postgres writes it in JSON. */
function timeOf(time: Json | undefined): string | null {
  const ms = msOf(time);
  return ms === undefined ? null : new Date(ms).toISOString().replace(/\.?0*Z$/, "+00:00");
}

function byId(ids: Iterable<string>, row: (id: string) => Row | undefined): RowsById {
  const rows: Record<string, Json> = {};
  for (const id of ids) {
    const found = row(id);
    if (found !== undefined) rows[id] = found;
  }
  return rows;
}

const EMPTY_PROFILE: Row = {
  external_id: null,
  username: null,
  first_name: null,
  last_name: null,
  full_name: null,
  locale: null,
  image_url: null,
  has_image: false,
  email: null,
  email_verified: false,
  verified_emails: [],
  phone: null,
  phone_verified: false,
  public_metadata: {},
  unsafe_metadata: {},
  banned: false,
  locked: false,
  deprovisioned: false,
  two_factor_enabled: false,
  last_sign_in_at: null,
  last_active_at: null,
  legal_accepted_at: null,
  created_at: null,
  updated_at: null,
  gone: false,
};

const EMPTY_ORGANIZATION: Row = {
  slug: null,
  name: null,
  image_url: null,
  has_image: false,
  members_count: null,
  max_allowed_memberships: null,
  public_metadata: {},
  created_by: null,
  created_at: null,
  updated_at: null,
  gone: false,
};

function profile(event: JsonObject): Row {
  const user = event.data as JsonObject;
  const email = primary(user.email_addresses, user.primary_email_address_id);
  const phone = primary(user.phone_numbers, user.primary_phone_number_id);
  const names = [user.first_name, user.last_name].filter((name) => name !== null);

  return {
    id: user.id,
    external_id: user.external_id,
    username: user.username,
    first_name: user.first_name,
    last_name: user.last_name,
    full_name: names.length === 0 ? null : names.join(" "),
    locale: user.locale,
    image_url: user.image_url,
    has_image: user.has_image,
    email: email?.email_address ?? null,
    email_verified: textAt(email, "verification", "status") === "verified",
    verified_emails: verifiedAddresses(user.email_addresses),
    phone: phone?.phone_number ?? null,
    phone_verified: textAt(phone, "verification", "status") === "verified",
    public_metadata: user.public_metadata,
    unsafe_metadata: user.unsafe_metadata,
    banned: user.banned,
    locked: user.locked,
    deprovisioned: user.deprovisioned,
    two_factor_enabled: user.two_factor_enabled,
    last_sign_in_at: timeOf(user.last_sign_in_at),
    last_active_at: timeOf(user.last_active_at),
    legal_accepted_at: timeOf(user.legal_accepted_at),
    created_at: timeOf(user.created_at),
    updated_at: timeOf(user.updated_at),
    gone: false,
  };
}

function primary(entries: Json | undefined, id: Json | undefined): JsonObject | undefined {
  return (entries as JsonObject[]).find((entry) => entry.id === id);
}

function verifiedAddresses(entries: Json | undefined): Json {
  const verified = (entries as JsonObject[]).filter((entry) =>
    textAt(entry, "verification", "status") === "verified"
  );
  return [...new Set(verified.map((entry) => String(entry.email_address)))].sort();
}

function organization(event: JsonObject): Row {
  const data = event.data as JsonObject;
  return {
    id: data.id,
    slug: data.slug === "" ? null : data.slug,
    name: data.name,
    image_url: data.image_url,
    has_image: data.has_image,
    members_count: data.members_count,
    // Clerk sends 0 for unlimited.
    max_allowed_memberships: data.max_allowed_memberships === 0
      ? null
      : data.max_allowed_memberships,
    public_metadata: data.public_metadata,
    created_by: data.created_by,
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
    gone: false,
  };
}

function membership(event: JsonObject, user: string, profile: Json | undefined): Row {
  const data = event.data as JsonObject;
  const shown = profile as JsonObject;
  return {
    id: data.id,
    organization_id: textAt(event, "data", "organization", "id"),
    user_id: user,
    role: roleOf(data.role),
    role_name: data.role_name,
    permissions: data.permissions,
    public_metadata: data.public_metadata,
    // From the profile alone, never from the copy in the event.
    member_name: shown.full_name ?? shown.username,
    member_image_url: shown.image_url,
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
  };
}

/** The role with its prefix, which very old data lacks. */
function roleOf(role: Json | undefined): string {
  const key = String(role);
  return key.includes(":") ? key : `org:${key}`;
}

function invitation(event: JsonObject): Row {
  const data = event.data as JsonObject;
  const isExpired = data.status === "pending" && Number(data.expires_at) <= Date.now();
  const status = isExpired ? "expired" : data.status;
  return {
    id: data.id,
    organization_id: data.organization_id,
    email_address: status === "pending" ? data.email_address : null,
    role: roleOf(data.role),
    role_name: data.role_name,
    status,
    inviter_id: data.inviter_id,
    public_metadata: data.public_metadata,
    expires_at: timeOf(data.expires_at),
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
  };
}

function item(event: JsonObject): Row {
  const data = event.data as JsonObject;
  const { user, organization } = payerOf(event);
  return {
    id: data.id,
    user_id: user,
    organization_id: organization,
    plan_id: data.plan_id,
    plan_slug: textAt(event, "data", "plan", "slug"),
    plan_name: textAt(event, "data", "plan", "name"),
    status: data.status,
    is_free_trial: data.is_free_trial,
    period_start: timeOf(data.period_start),
    period_end: timeOf(data.period_end),
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
  };
}
