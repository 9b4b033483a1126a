import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import {
  flat,
  type Message,
  numberAt,
  type Page,
  type PageKind,
  textAt,
  type Visit,
} from "./plan.ts";
import { PERMISSION_KEYS } from "./world.ts";

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

/** The events that tell the same as the objects of a page. Their message id is empty, so the least. */
export function observationsOf({ kind, observedAt, objects }: Page): Message[] {
  return objects.map((data) => ({
    id: "",
    event: { type: TYPES[kind], timestamp: observedAt, data },
  }));
}

const TYPES: Readonly<Record<PageKind, string>> = {
  user: "user.updated",
  organization: "organization.updated",
  role: "role.updated",
  permission: "permission.updated",
  membership: "organizationMembership.updated",
  invitation: "organizationInvitation.accepted",
};

/** What moves without a change of `updated_at`, and is read from a page only if something else changed. */
export const VOLATILE: readonly string[] = ["last_sign_in_at", "last_active_at", "members_count"];

/**
 * Whether a page may list an object. If three observations have the same version, and only the one in
 * between differs, a page that is the last one is not registered after the first one. Then the one in
 * between can still be applied, so the result depends on the order: see docs/proof.md.
 */
export function isClear(page: Page, object: JsonObject, observations: readonly Message[]): boolean {
  const [own] = observationsOf({ ...page, objects: [object] });
  if (own === undefined) return true;
  const version = versionOf(own.event);
  const rivals = observations.filter((one) =>
    idOf(one.event) === object.id && versionOf(one.event)[0] === version[0] && !isNewer(one, own)
  );
  return !rivals.some((one) =>
    contentOf(one.event) !== contentOf(own.event) &&
    (!isNewer(own, one) || rivals.some((other) => isNewer(one, other)))
  );
}

/** As text: nothing compares thousands of levels. */
function contentOf({ data }: JsonObject): string {
  const { updated_at, public_user_data: _, ...rest } = data as JsonObject;
  return JSON.stringify([
    msOf(updated_at),
    Object.entries(rest).filter(([key]) => !VOLATILE.includes(key)),
  ]);
}

/**
 * The objects that a listing does not put right, because their events have later times than it has:
 * `updated_at`, or the envelope's time as far as keys of roles and permissions depend on it.
 */
export function toldLater(
  observations: readonly Message[],
  listing: readonly Page[],
): Set<string> {
  const spoken = new Spoken(observations);
  return new Set(listing.flatMap((page) =>
    observationsOf(page)
      .filter((own) => {
        const newest = spoken.newest(idOf(own.event));
        return (newest !== undefined && isNewer(newest, own)) ||
          page.kind === "role" && spoken.areKeysNewerThan(page.observedAt);
      })
      .map(({ event }) => idOf(event))
  ));
}

/** The people, organizations, memberships and roles of which a page told last. */
export function listedLast(observations: readonly Message[]): Set<string> {
  const spoken = new Spoken(observations);
  return new Set(
    ["user", "organization", "organizationMembership", "role"]
      .flatMap((kind) => [...spoken.ids(kind)])
      .filter((id) => spoken.newest(id)?.id === ""),
  );
}

/** The rows that must result from these messages and these calls of `ensure_profile()`. */
export function expectedRows(messages: readonly Message[], visits: readonly Visit[]): Rows {
  const spoken = new Spoken(messages);

  const users = new Set([
    ...visits.map(({ opens }) => opens),
    ...spoken.ids("user"),
    ...spoken.every("organizationMembership").flatMap(memberOf),
  ]);
  const profiles = byId(users, (id) => {
    if (spoken.isGone(id)) return { ...EMPTY_PROFILE, id, gone: true };
    const newest = spoken.newest(id);
    return newest === undefined ? { ...EMPTY_PROFILE, id } : profile(newest.event);
  });

  const organizations = byId([...spokenTeams(spoken), ...visits.flatMap(teamOf)], (id) => {
    if (spoken.isGone(id)) return { ...EMPTY_ORGANIZATION, id, gone: true };
    const newest = spoken.newest(id);
    return newest === undefined ? { ...EMPTY_ORGANIZATION, id } : organization(newest.event);
  });

  return {
    profiles,
    organizations,
    memberships: superseded(byId(spoken.ids("organizationMembership"), (id) => {
      const newest = spoken.newest(id)?.event;
      const [user] = spoken.about(id).flatMap(memberOf);
      if (newest === undefined || user === undefined) return undefined;
      if (spoken.isGone(id) || spoken.isGone(user) || parentOf(newest).some(spoken.isGone)) return;
      return membership(newest, user, profiles[user]);
    })),
    invitations: byId(spoken.ids("organizationInvitation"), (id) => {
      const newest = spoken.newest(id)?.event;
      if (newest === undefined || parentOf(newest).some(spoken.isGone)) return undefined;
      return invitation(newest);
    }),
    items: byId(spoken.ids("subscriptionItem"), (id) => {
      const newest = spoken.newest(id)?.event;
      const [payer] = spoken.about(id).flatMap(payerOf);
      if (newest === undefined || payer === undefined) return undefined;
      return spoken.isGone(payer.organization ?? payer.user ?? "")
        ? undefined
        : item(newest, payer, spoken.newestPlan(textAt(newest, "data", "plan_id")));
    }),
    roles: byId(spoken.ids("role"), (id) => role(id, spoken)),
    register: byId(spoken.ids("paymentAttempt"), (id) => {
      const newest = spoken.newest(id)?.event;
      if (newest === undefined) return undefined;
      return usersIn(newest).filter(spoken.isGone).reduce<Json>(
        (data, user) => without(data, user),
        newest.data as JsonObject,
      );
    }),
  };
}

/** The organizations that events make rows for, those of some memberships only. */
function spokenTeams(
  spoken: Spoken,
  counts: (membership: JsonObject) => boolean = () => true,
): string[] {
  return [
    ...spoken.ids("organization"),
    ...spoken.every("organizationMembership").filter(spoken.isReadable).filter(counts)
      .flatMap(parentOf),
    ...spoken.every("organizationInvitation").flatMap(parentOf),
  ];
}

/**
 * The organizations whose rows may be there or not, because everybody who could make them was deleted or
 * blocked, and the rest depends on when. See {@linkcode EXCEPTIONS}.
 */
export function perhapsOrganizations(
  messages: readonly Message[],
  visits: readonly Visit[],
): Set<string> {
  const spoken = new Spoken(messages);
  const teams = [...spokenTeams(spoken), ...visits.flatMap(teamOf)];
  const certain = new Set([
    ...spokenTeams(spoken, (event) => !spoken.ownersOf(event).some(spoken.isGone)),
    ...visits.filter(({ opens }) => !spoken.wasEverBlocked(opens)).flatMap(teamOf),
  ]);
  return new Set(teams.filter((id) => !certain.has(id) && !spoken.isGone(id)));
}

/** The ids of users and invitations of whom nothing may be left. */
export function expectedlyGone(
  messages: readonly Message[],
): { readonly users: Set<string>; readonly invitations: Set<string> } {
  const spoken = new Spoken(messages);
  const { invitations } = expectedRows(messages, []);
  return {
    users: new Set(spoken.every("user").filter(isDeletion).map(idOf)),
    invitations: new Set(
      [...spoken.ids("organizationInvitation")].filter((id) =>
        textAt(invitations[id], "status") !== "pending"
      ),
    ),
  };
}

/** When the tokens that {@linkcode expectedRights} asks with were issued, s. */
export const ASKED_AT = 1_760_000_002;

/** What each person may do, by user and active organization, with a token of an admin. */
export function expectedRights(messages: readonly Message[], rows: Rows): RowsById {
  const spoken = new Spoken(messages);
  const rights: Record<string, Json> = {};
  for (const user of Object.keys(rows.profiles)) {
    for (const team of Object.keys(rows.organizations)) {
      rights[`${user} ${team}`] = rightsOf(user, team, rows, spoken);
    }
  }
  return rights;
}

function rightsOf(user: string, active: string, rows: Rows, spoken: Spoken): JsonObject {
  const profile = rows.profiles[user] as Row;
  if (profile.banned === true || profile.deprovisioned === true) {
    return { organizations: [], permissions: [], active: [], invitations: [] };
  }

  const own = new Map<string, Row>();
  for (const row of Object.values(rows.memberships) as Row[]) {
    if (row.user_id === user && !row.superseded) own.set(String(row.organization_id), row);
  }
  const isClaimed = !own.has(active) && !spoken.isGone(user) && !spoken.isGone(active) &&
    spoken.leftAt(user, active) < ASKED_AT * 1000;

  /** The member's role, copy of permissions, and since when; the token's role has none. */
  const memberships = [...own].map(([team, { id, role, permissions }]) => ({
    team,
    role: String(role),
    copy: permissions as string[],
    since: spoken.observedAt(String(id)),
  }));
  if (isClaimed) memberships.push({ team: active, role: "org:admin", copy: [], since: 0 });
  const may = (permission: string): string[] =>
    memberships
      .filter(({ role, copy, since }) => permits(permission, role, copy, since, spoken))
      .map(({ team }) => team);

  const managed = new Set([
    ...may("org:sys_memberships:manage"),
    ...memberships.filter(({ role }) => role === "org:admin").map(({ team }) => team),
  ]);
  const addresses = (profile.verified_emails as string[]).map((address) => address.toLowerCase());
  return {
    organizations: memberships.map(({ team }) => team).sort(),
    permissions: PERMISSION_KEYS.flatMap((key) => may(key).map((team) => `${team} ${key}`)).sort(),
    active: PERMISSION_KEYS.filter((key) => may(key).includes(active)).sort(),
    invitations: (Object.values(rows.invitations) as Row[])
      .filter(({ organization_id, status, email_address }) =>
        managed.has(String(organization_id)) ||
        status === "pending" && addresses.includes(String(email_address).toLowerCase())
      )
      .map(({ id }) => String(id))
      .sort(),
  };
}

/** The memberships, each with whether the same person has a newer one in the same organization. */
function superseded(memberships: RowsById): RowsById {
  const rows = Object.values(memberships) as Row[];
  return Object.fromEntries(rows.map((row) => [
    row.id,
    {
      ...row,
      superseded: rows.some((other) =>
        other.organization_id === row.organization_id && other.user_id === row.user_id &&
        isLater(other, row)
      ),
    },
  ]));
}

/** Of several memberships of a person in an organization, the newest counts. */
function isLater(one: Row, other: Row): boolean {
  const [at, otherAt] = [Date.parse(String(one.created_at)), Date.parse(String(other.created_at))];
  return at === otherAt ? String(one.id) > String(other.id) : at > otherAt;
}

/**
 * Whether the role gives the permission, if Clerk told of it at the time of the member's own copy or
 * later; else whether the copy has it, and the permission that had that key last was not deleted since.
 */
function permits(
  permission: string,
  key: string,
  copy: readonly string[],
  since: number,
  spoken: Spoken,
): boolean {
  const newest = spoken.newestRole(key);
  if (newest !== undefined && newest.at >= since) return newest.permissions.includes(permission);
  return copy.includes(permission) && spoken.permissionGoneAt(permission) < since;
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
    const isHeard = hearingOf(event) === "heard";
    const isAnonymous = isHeard && !isDeletion(event) && ownersOf(event)?.length === 0;
    const owners = isHeard ? spoken.ownersOf(event) : [];
    const users = isHeard ? spoken.about(idOf(event)).flatMap(usersIn) : [];
    if (hearingOf(event) === "unreadable") unreadable.add(id);
    else if (isAnonymous && spoken.isGone(idOf(event))) {
      // A deletion that failed is not tried again once its member is deleted.
      if (spoken.formerOwnersOf(event).some(spoken.isGone)) perhapsUnreadable.add(id);
    } else if (isAnonymous) {
      if (owners.length === 0) unreadable.add(id);
      else if ([...owners, ...parentOf(event)].some(spoken.isGone)) perhapsUnreadable.add(id);
    }

    const mayBeKept = hearingOf(event) !== "ignored" &&
      !/^(email|sms|waitlistEntry)\./.test(String(event.type ?? ""));
    const mentionsTheGone = usersIn(event).some(spoken.isGone);
    // What is tried again keeps its payload, without the person's data.
    const isUndone = unreadable.has(id) && event.raw === undefined;
    if (!mayBeKept || (mentionsTheGone && !isUndone)) withoutPayload.add(id);
    // Its row, which goes with the deleted user, may have told whose it was. Both results are right then.
    else if (ownersOf(event)?.length !== 0 || !users.some(spoken.isGone)) withPayload.add(id);
  }
  return { unreadable, perhapsUnreadable, withPayload, withoutPayload };
}

/** What the messages say that can be applied, by kind and by id. */
class Spoken {
  readonly #byKind: ReadonlyMap<string, readonly Message[]>;
  readonly #byId: ReadonlyMap<string, readonly Message[]>;
  readonly #deletions: ReadonlyMap<string, JsonObject>;
  readonly #everBlocked: ReadonlySet<string>;
  /** The events that tell the slug of a plan, by the plan's id. */
  readonly #plans: ReadonlyMap<string | undefined, readonly Message[]>;

  constructor(messages: readonly Message[]) {
    const heard = messages.filter(({ event }) => hearingOf(event) === "heard");
    this.#byKind = Map.groupBy(heard, ({ event }) => kindOf(event.type));
    this.#byId = Map.groupBy(
      heard.filter(({ event }) => !isDeletion(event)),
      ({ event }) => idOf(event),
    );
    this.#deletions = new Map(
      heard.filter(({ event }) => isDeletion(event)).map(({ event }) => [idOf(event), event]),
    );
    this.#everBlocked = new Set(
      this.every("user")
        .filter(({ data }) => {
          const { banned, deprovisioned } = data as JsonObject;
          return banned === true || deprovisioned === true;
        })
        .map(idOf),
    );
    this.#plans = Map.groupBy(
      (this.#byKind.get("subscriptionItem") ?? [])
        .filter(({ event }) => textAt(event, "data", "plan", "slug") !== undefined),
      ({ event }) => textAt(event, "data", "plan_id"),
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

  /** Whom a membership or an item belongs to, by any of its events. */
  ownersOf(event: JsonObject): string[] {
    return [event, ...this.about(idOf(event))].flatMap((each) => ownersOf(each) ?? []);
  }

  /** Whom its deletion says that it belonged to. */
  formerOwnersOf(event: JsonObject): string[] {
    const deletion = this.#deletions.get(idOf(event));
    return deletion === undefined ? [] : ownersOf(deletion) ?? [];
  }

  /** Whether this event or another one of the same membership names the member. */
  readonly isReadable = (event: JsonObject): boolean =>
    isDeletion(event) || this.about(idOf(event)).some((each) => memberOf(each).length > 0);

  readonly isGone = (id: string): boolean => this.#deletions.has(id);

  wasEverBlocked(user: string): boolean {
    return this.isGone(user) || this.#everBlocked.has(user);
  }

  /** The event whose version is the greatest. */
  newest(id: string): Message | undefined {
    return (this.#byId.get(id) ?? []).reduce<Message | undefined>(
      (newest, one) => newest === undefined || isNewer(one, newest) ? one : newest,
      undefined,
    );
  }

  /** When Clerk told the newest version of an object, ms. */
  observedAt(id: string): number {
    const newest = this.newest(id);
    return newest === undefined ? 0 : versionOf(newest.event)[1];
  }

  /** When Clerk told that an object is gone, ms; without an envelope, that is when it arrived. */
  #goneAt(id: string): number {
    const deletion = this.#deletions.get(id);
    return deletion === undefined ? -Infinity : msOf(deletion.timestamp) ?? Infinity;
  }

  /** When a person last left an organization, ms. */
  leftAt(user: string, organization: string): number {
    const times = [...this.#deletions.values()]
      .filter((event) =>
        kindOf(event.type) === "organizationMembership" &&
        parentOf(event).includes(organization) && this.ownersOf(event).includes(user)
      )
      .map((event) => this.#goneAt(idOf(event)));
    return Math.max(-Infinity, ...times);
  }

  /** A plan as it was told last, by whichever item. */
  newestPlan(id: string | undefined): JsonObject {
    const last = lastObserved(this.#plans.get(id) ?? []);
    return (last?.event.data as JsonObject | undefined)?.plan as JsonObject ?? {};
  }

  /** The keys that a role or a permission ever had, and when Clerk last told each, ms. */
  keysOf(id: string): Map<string, number> {
    const keys = new Map<string, number>();
    const told = [...this.every("role"), ...this.every("permission")];
    for (const event of told) {
      const { id: own, key, permissions } = event.data as JsonObject;
      const all = [{ id: own, key }, ...(permissions ?? []) as JsonObject[]];
      for (const each of all) {
        if (each.id !== id || typeof each.key !== "string") continue;
        const full = orgKey(each.key);
        keys.set(full, Math.max(keys.get(full) ?? -Infinity, versionOf(event)[1]));
      }
    }
    return keys;
  }

  areKeysNewerThan(ms: number): boolean {
    return [...this.every("role"), ...this.every("permission")]
      .some((event) => versionOf(event)[1] > ms);
  }

  /** The key that was told last. */
  keyOf(id: string): string | null {
    const [last] = [...this.keysOf(id)].sort(([key, at], [other, otherAt]) =>
      otherAt - at || (key < other ? 1 : -1)
    );
    return last?.[0] ?? null;
  }

  /** The permissions that the newest event of a living role names, without deleted ones. */
  permissionsOf(role: string): string[] {
    const permissions = (this.newest(role)?.event.data as JsonObject | undefined)?.permissions;
    return this.isGone(role) ? [] : ((permissions ?? []) as JsonObject[])
      .map(({ id }) => String(id))
      .filter((id) => !this.isGone(id));
  }

  /** Of all roles that have or had a key, the one that was told last. */
  newestRole(key: string): { readonly at: number; readonly permissions: string[] } | undefined {
    const roles = [...this.ids("role")].flatMap((id) => {
      const since = this.keysOf(id).get(key);
      if (since === undefined) return [];
      const isGone = this.isGone(id);
      const at = isGone ? this.#goneAt(id) : this.observedAt(id);
      const newest = this.newest(id)?.event.data as JsonObject | undefined;
      const current = isGone ? this.keyOf(id) : orgKey(newest?.key);
      return [{ id, isGone, at, rank: current === key ? at : since }];
    });
    const [last] = roles.sort((one, other) =>
      other.rank - one.rank || Number(one.isGone) - Number(other.isGone) ||
      (one.id < other.id ? -1 : 1)
    );
    return last && {
      at: last.at,
      permissions: this.permissionsOf(last.id).flatMap((id) => this.keyOf(id) ?? []),
    };
  }

  /** When Clerk told that the permission which had this key last is gone, ms. */
  permissionGoneAt(key: string): number {
    const ids = new Set(
      [...this.every("role"), ...this.every("permission")].flatMap(permissionsIn),
    );
    const [last] = [...ids]
      .flatMap((id) => {
        const at = this.keysOf(id).get(key);
        return at === undefined ? [] : [{ id, at }];
      })
      .sort((one, other) => other.at - one.at || (one.id < other.id ? 1 : -1));
    return last === undefined ? -Infinity : this.#goneAt(last.id);
  }
}

/** The ids of the permissions that an event tells about. */
function permissionsIn(event: JsonObject): string[] {
  const { permissions } = event.data as JsonObject;
  const ids = ((permissions ?? []) as JsonObject[]).map(({ id }) => String(id));
  return kindOf(event.type) === "permission" ? [idOf(event)] : ids;
}

/** The message whose envelope is the latest. */
function lastObserved(messages: readonly Message[]): Message | undefined {
  return messages.reduce<Message | undefined>((last, one) => {
    if (last === undefined) return one;
    const [at, lastAt] = [versionOf(one.event)[1], versionOf(last.event)[1]];
    return at > lastAt || (at === lastAt && one.id > last.id) ? one : last;
  }, undefined);
}

/**
 * Whether an event can be applied. One that is unreadable is tried again; one that is ignored is not.
 * Events without a table are heard, and change nothing.
 */
function hearingOf(event: JsonObject): "heard" | "ignored" | "unreadable" {
  if (event.type === undefined) return "unreadable";
  const [kind = "", verb = ""] = String(event.type).split(".");
  const known = VERBS[kind];
  if (known === undefined) return "heard";
  if (!known.verbs.includes(verb)) {
    const data = event.data as JsonObject;
    const isSnapshot = data.object === known.object && data.deleted !== true &&
      known.fields?.every((field) => Object.hasOwn(data, field));
    if (isSnapshot !== true) return "ignored";
  }
  const at = msOf(event.timestamp) ?? msOf((event.data as JsonObject).updated_at) ?? 0;
  return at > Date.now() + DAY ? "unreadable" : "heard";
}

const DAY = 24 * 3600_000;

/** The verbs of every kind that is applied, and what else must be there when the verb is another one. */
const VERBS: Readonly<
  Record<string, {
    readonly verbs: readonly string[];
    readonly object: string;
    /** Undefined for a kind of which no other verb is applied. */
    readonly fields?: readonly string[];
  }>
> = {
  user: {
    verbs: ["created", "updated", "deleted"],
    object: "user",
    fields: [
      ..."id external_id username first_name last_name locale image_url has_image".split(" "),
      ..."primary_email_address_id email_addresses primary_phone_number_id phone_numbers".split(
        " ",
      ),
      ..."public_metadata unsafe_metadata banned locked deprovisioned two_factor_enabled".split(
        " ",
      ),
      ..."last_sign_in_at last_active_at legal_accepted_at created_at updated_at".split(" "),
    ],
  },
  organization: {
    verbs: ["created", "updated", "deleted"],
    object: "organization",
    fields: [
      ..."id slug name image_url has_image members_count max_allowed_memberships".split(" "),
      ..."public_metadata created_by created_at updated_at".split(" "),
    ],
  },
  organizationMembership: {
    verbs: ["created", "updated", "deleted"],
    object: "organization_membership",
  },
  organizationInvitation: {
    verbs: ["created", "accepted", "revoked"],
    object: "organization_invitation",
    fields: [
      ..."id organization_id email_address role role_name status inviter_id".split(" "),
      ..."public_metadata expires_at created_at updated_at".split(" "),
    ],
  },
  subscriptionItem: {
    verbs: ["active", "ended"],
    object: "subscription_item",
    fields: [
      ..."id payer plan_id plan status is_free_trial period_start period_end".split(" "),
      ..."created_at updated_at".split(" "),
    ],
  },
  role: {
    verbs: ["created", "updated", "deleted"],
    object: "role",
    fields: "id key name description permissions created_at updated_at".split(" "),
  },
  permission: {
    verbs: ["created", "updated", "deleted"],
    object: "permission",
    fields: "id key created_at updated_at".split(" "),
  },
  paymentAttempt: { verbs: ["updated"], object: "payment_attempt" },
};

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
  return [...new Set(JSON.stringify(event).match(/user_person\d{21}/g) ?? [])];
}

interface Payer {
  readonly user: string | null;
  readonly organization: string | null;
}

/** Who pays for an item; nothing when the event does not say. */
function payerOf(event: JsonObject): Payer[] {
  const user = textAt(event, "data", "payer", "user_id") ?? null;
  const organization = textAt(event, "data", "payer", "organization_id") ?? null;
  return user === null && organization === null ? [] : [{ user, organization }];
}

/** Whose membership or item an event is about; undefined for other kinds, and empty when it does not say. */
function ownersOf(event: JsonObject): string[] | undefined {
  switch (kindOf(event.type)) {
    case "organizationMembership":
      return memberOf(event);
    case "subscriptionItem":
      return payerOf(event).flatMap(({ user, organization }) => organization ?? user ?? []);
    default:
      return undefined;
  }
}

function teamOf({ within }: Visit): string[] {
  return present(within);
}

/** The data without what its objects with this person's id or user_id hold beside these. */
function without(data: Json, user: string): Json {
  if (typeof data !== "object" || data === null) return data;
  if (Array.isArray(data)) return data.map((each) => without(each, user));
  const isPerson = data.id === user || data.user_id === user;
  return Object.fromEntries(
    Object.entries(data).flatMap(([key, value]) => {
      if (isPerson) {
        return value === user && (key === "id" || key === "user_id") ? [[key, value]] : [];
      }
      return [[key, without(value ?? null, user)]];
    }),
  );
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
  const envelope = msOf(event.timestamp);
  const told = msOf(data.updated_at);
  // A time that cannot be true counts as the envelope's.
  const updated = told !== undefined && told > (envelope ?? told) + 600_000 ? envelope : told;
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
  return ms === undefined
    ? null
    : new Date(ms).toISOString().replace(/^\+0*/, "").replace(/\.?0*Z$/, "+00:00");
}

function byId(ids: Iterable<string>, row: (id: string) => Json | undefined): RowsById {
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
    verified_emails: verifiedOf(user.email_addresses),
    phone: phone?.phone_number ?? null,
    phone_verified: textAt(phone, "verification", "status") === "verified",
    public_metadata: user.public_metadata,
    unsafe_metadata: flat(user.unsafe_metadata),
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

function verifiedOf(entries: Json | undefined): string[] {
  const verified = (entries as JsonObject[])
    .filter((entry) => textAt(entry, "verification", "status") === "verified")
    .map(({ email_address }) => String(email_address));
  return [...new Set(verified)].sort();
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
    role: orgKey(data.role),
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

/** The key of a role with its prefix, which very old data lacks. */
function orgKey(role: Json | undefined): string {
  const key = String(role);
  return key.startsWith("org:") ? key : `org:${key}`;
}

function invitation(event: JsonObject): Row {
  const data = event.data as JsonObject;
  const isExpired = Number(msOf(data.expires_at)) < Date.now();
  const status = data.status === "pending" && isExpired ? "expired" : data.status;
  return {
    id: data.id,
    organization_id: data.organization_id,
    email_address: status === "pending" ? data.email_address : null,
    role: orgKey(data.role),
    role_name: data.role_name,
    status,
    inviter_id: data.inviter_id,
    accepted_by: textAt(event, "data", "user_id") ?? null,
    public_metadata: data.public_metadata,
    expires_at: timeOf(data.expires_at),
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
  };
}

function item(event: JsonObject, { user, organization }: Payer, plan: JsonObject): Row {
  const data = event.data as JsonObject;
  const amount = numberAt(event, "data", "amount", "amount");
  return {
    id: data.id,
    user_id: user,
    organization_id: organization,
    plan_id: data.plan_id,
    plan_slug: plan.slug ?? null,
    plan_name: plan.name ?? null,
    seats: numberAt(event, "data", "seats", "quantity") ?? null,
    billing_interval: textAt(event, "data", "plan_period") ??
      textAt(event, "data", "interval") ?? null,
    amount: amount ?? numberAt(event, "data", "plan", "amount") ?? null,
    currency: textAt(event, "data", amount === undefined ? "plan" : "amount", "currency") ?? null,
    status: data.status,
    is_free_trial: data.is_free_trial,
    period_start: timeOf(data.period_start),
    period_end: timeOf(data.period_end),
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
  };
}

function role(id: string, spoken: Spoken): Row {
  const newest = spoken.newest(id)?.event;
  if (spoken.isGone(id) || newest === undefined) {
    return { ...EMPTY_ROLE, id, key: spoken.keyOf(id), gone: spoken.isGone(id) };
  }

  const data = newest.data as JsonObject;
  const permissions = spoken.permissionsOf(id);
  return {
    id,
    key: orgKey(data.key),
    name: data.name,
    description: data.description,
    permission_ids: permissions,
    permission_keys: permissions.map((permission) => spoken.keyOf(permission)),
    created_at: timeOf(data.created_at),
    updated_at: timeOf(data.updated_at),
    gone: false,
  };
}

const EMPTY_ROLE: Row = {
  key: null,
  name: null,
  description: null,
  permission_ids: [],
  permission_keys: [],
  created_at: null,
  updated_at: null,
  gone: false,
};
