import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { isClear, observationsOf } from "./model.ts";
import {
  type Arrival,
  markOfInvitation,
  type Message,
  type Page,
  PAGE_KINDS,
  type PageKind,
  phoneOf,
  type Plan,
  textAt,
  userId,
  type Visit,
  wordOf,
} from "./plan.ts";
import {
  type Change,
  type Happening,
  type Looks,
  type Member,
  PERMISSION_KEYS,
  ROLE_KEYS,
  type World,
} from "./world.ts";

/** The start of every world, ms. */
const BEGINNING = 1_760_000_000_000;

/** A time that is still to come, ms. */
const FUTURE = 4_000_000_000_000;

const DAY = 24 * 3600_000;

interface Told {
  readonly type: string;
  readonly data: JsonObject;
  /** Whether the event lacks `public_user_data`. */
  readonly isAnonymous?: boolean;
}

/** The kinds that Clerk lists, by kind of event. */
const LISTED: Readonly<Record<string, PageKind>> = {
  user: "user",
  organization: "organization",
  organizationMembership: "membership",
  organizationInvitation: "invitation",
  role: "role",
  permission: "permission",
};

/**
 * A simulated Clerk. It applies the happenings of a world and knows who exists, so that nobody is
 * deleted twice or joins after a deletion.
 */
class Clerk {
  readonly #people = new Map<number, Looks>();
  readonly #organizations = new Set<number>();
  readonly #gone = new Set<string>();
  readonly #memberships = new Map<string, { readonly data: JsonObject; readonly since: number }>();
  readonly #invitations = new Map<string, JsonObject>();
  readonly #items = new Map<number, JsonObject>();
  readonly #roles = new Map<number, Role>();
  readonly #permissions = new Map<number, string>();
  /** The objects as they were told last, by kind and id. */
  readonly #told = new Map<PageKind, Map<string, JsonObject>>();
  #number = 0;

  /** What Clerk sends about a change; nothing when the change is impossible. */
  tell(change: Change, now: number): Told | undefined {
    const told = this.#apply(change, now);
    const kind = LISTED[told?.type.split(".")[0] ?? ""];
    if (told === undefined || kind === undefined) return told;
    if (told.type.endsWith(".deleted")) this.#ofKind(kind).delete(String(told.data.id));
    else this.#keep(kind, told.data, now);
    return told;
  }

  /** The living objects of a kind, as the Backend API lists them. */
  list(kind: PageKind, now: number): JsonObject[] {
    return [...this.#ofKind(kind).values()]
      .filter((data) => !idsIn(data).some((id) => this.#gone.has(id)))
      .map((data) => ({ ...data, ...this.#current(kind, data, now) }));
  }

  /** What changes without a change of `updated_at`. */
  #current(kind: PageKind, data: JsonObject, now: number): JsonObject {
    switch (kind) {
      case "user":
        return { last_sign_in_at: now, last_active_at: now };
      case "organization":
        return {
          members_count:
            this.list("membership", now).filter((each) => idsIn(each).includes(String(data.id)))
              .length,
        };
      case "membership":
        return {
          permissions: this.#permissionsOf(ROLE_KEYS.findIndex((key) => key === data.role)),
        };
      case "role": {
        const role = [...this.#roles].find(([number]) => roleId(number) === data.id)?.[1];
        return {
          permissions: (role?.permissions ?? [])
            .filter((permission) => this.#keyOf(permission) !== undefined)
            .map((permission) => this.#permissionData(permission)),
        };
      }
      default:
        return {};
    }
  }

  #ofKind(kind: PageKind): Map<string, JsonObject> {
    const objects = this.#told.get(kind) ?? new Map();
    this.#told.set(kind, objects);
    return objects;
  }

  #keep(kind: PageKind, data: JsonObject, updated_at: number): void {
    this.#ofKind(kind).set(String(data.id), { ...data, updated_at });
  }

  /** Keeps a person and an organization of whom no event has told yet, and who exist. */
  #presume({ person, organization: number }: Partial<Member>): void {
    if (person !== undefined && !this.#ofKind("user").has(userId(person))) {
      this.#keep("user", user(person, PLAIN), BEGINNING - 1);
    }
    if (number !== undefined && !this.#ofKind("organization").has(organizationId(number))) {
      const data = organization({ organization: number, name: 0, createdBy: null, limit: 0 });
      this.#keep("organization", data, BEGINNING - 1);
    }
  }

  #apply(change: Change, now: number): Told | undefined {
    switch (change.what) {
      case "person":
        return this.#look(change.person, change.looks);
      case "edit": {
        const { person, looks, only } = change;
        const known = this.#people.get(person) ?? looks;
        return this.#look(person, only === null ? known : { ...known, [only]: looks[only] });
      }
      case "person gone":
        if (!this.#remove(userId(change.person))) return;
        return { type: "user.deleted", data: aDeletedClerkUser(userId(change.person)) };
      case "organization": {
        if (this.#gone.has(organizationId(change.organization))) return;
        const verb = this.#organizations.has(change.organization) ? "updated" : "created";
        this.#organizations.add(change.organization);
        return { type: `organization.${verb}`, data: organization(change) };
      }
      case "organization gone": {
        const id = organizationId(change.organization);
        if (!this.#remove(id)) return;
        return { type: "organization.deleted", data: aDeletedClerkOrganization(id) };
      }
      case "join":
        return this.#join(change.member, change.role, now);
      case "leave":
        return this.#leave(change.member);
      case "invite":
      case "accept":
      case "revoke":
        return this.#invitation(change);
      case "pay":
        return this.#pay(change);
      case "role":
        return this.#role(change);
      case "role gone":
        if (!this.#remove(roleId(change.role))) return;
        this.#roles.delete(change.role);
        return { type: "role.deleted", data: aDeletion("role", roleId(change.role)) };
      case "permission":
        return this.#permission(change.permission, change.key);
      case "permission gone": {
        const id = permissionId(change.permission);
        if (!this.#remove(id)) return;
        this.#permissions.delete(change.permission);
        return { type: "permission.deleted", data: aDeletion("permission", id) };
      }
      case "mention":
        return mention(change.person, change.how, this.#number++);
      case "open":
      case "page":
        return;
      default:
        return change satisfies never;
    }
  }

  #look(person: number, looks: Looks): Told | undefined {
    if (this.#gone.has(userId(person))) return;
    const type = this.#people.has(person) ? "user.updated" : "user.created";
    this.#people.set(person, looks);
    return { type, data: user(person, looks) };
  }

  #remove(id: string): boolean {
    if (this.#gone.has(id)) return false;
    this.#gone.add(id);
    return true;
  }

  #join(member: Member, role: number, now: number): Told | undefined {
    const [user, organization] = idsOf(member);
    if (this.#gone.has(user) || this.#gone.has(organization)) return;

    this.#presume(member);
    const pair = `${user} ${organization}`;
    const found = this.#memberships.get(pair);
    const since = found?.since ?? now;
    const id = found?.data.id ?? `orgmem_${member.person}x${member.organization}x${this.#number++}`;
    const note = { about: wordOf(member.person) };
    const data = aClerkMembership({ user, organization }, {
      id,
      role: ROLE_KEYS[role] ?? null,
      role_name: ["Member", "Admin", null][role] ?? null,
      permissions: this.#permissionsOf(role),
      public_metadata: note,
      private_metadata: note,
      created_at: since,
      public_user_data: {
        user_id: user,
        first_name: wordOf(member.person),
        identifier: `${wordOf(member.person)}@example.com`,
      },
    });
    this.#memberships.set(pair, { data, since });
    return {
      type: `organizationMembership.${found === undefined ? "created" : "updated"}`,
      data,
      isAnonymous: member.anonymous,
    };
  }

  /** Possible after the user or the organization is gone: Clerk may send it for each member, or not. */
  #leave(member: Member): Told | undefined {
    const pair = idsOf(member).join(" ");
    const found = this.#memberships.get(pair);
    if (found === undefined) return;
    this.#memberships.delete(pair);
    // It carries the whole membership with its old times.
    const data = { ...found.data, updated_at: found.since };
    return { type: "organizationMembership.deleted", data, isAnonymous: member.anonymous };
  }

  #invitation(
    { what, organization, guest, known, isExpired, inviter }: Extract<
      Change,
      { what: "invite" | "accept" | "revoke" }
    >,
  ): Told | undefined {
    const parent = organizationId(organization);
    if (this.#gone.has(parent)) return;

    this.#presume({ organization });
    const place = `${parent} ${guest}`;
    const pending = this.#invitations.get(place);
    if (what === "invite") {
      if (pending !== undefined) return;
      const id = `orginv_${organization}x${guest}x${this.#number++}`;
      const data = aClerkInvitation(parent, {
        id,
        email_address: known === null
          ? `${markOfInvitation(id)}@example.com`
          : addressesOf(known).another.toUpperCase(),
        url: `https://accounts.example.com/accept?ticket=${markOfInvitation(id)}`,
        inviter_id: inviter === null ? null : userId(inviter),
        expires_at: isExpired ? BEGINNING + 1000 : FUTURE,
        created_at: BEGINNING,
      });
      this.#invitations.set(place, data);
      return { type: "organizationInvitation.created", data };
    }
    if (pending === undefined) return;
    this.#invitations.delete(place);
    return {
      type: `organizationInvitation.${what === "accept" ? "accepted" : "revoked"}`,
      data: {
        ...pending,
        status: `${what}ed`.replace("ee", "e"),
        user_id: what === "accept" && known !== null ? userId(known) : undefined,
      },
    };
  }

  #pay(
    { item, person, organization, payer, anonymous, plan, terms, ends }: Extract<
      Change,
      { what: "pay" }
    >,
  ): Told {
    const { price, ...said } = termsOf(terms);
    const plan_id = `cplan_${item % 2}`;
    const data: JsonObject = {
      ...this.#items.get(item) ?? aClerkSubscriptionItem({ user: userId(person) }, {
        id: `csub_item_${item}`,
        plan_id,
        period_start: BEGINNING,
        created_at: BEGINNING,
        // The payer never changes. The payer of an organization has a name and no id.
        payer: {
          user_id: payer === "organization" ? "" : userId(person),
          organization_id: payer === "person" ? "" : organizationId(organization),
          first_name: wordOf(person),
          last_name: wordOf(person),
          email: addressesOf(person).primary,
        },
      }),
      plan: plan === null ? null : {
        id: plan_id,
        slug: ["pro", "team"][plan] ?? null,
        name: ["Pro", null][plan] ?? null,
        ...price,
      },
      ...said,
      status: ends ? "ended" : "active",
      period_end: ends ? BEGINNING + 1000 : null,
    };
    this.#items.set(item, data);
    const { payer: _, ...unpaid } = data;
    return { type: `subscriptionItem.${data.status}`, data: anonymous ? unpaid : data };
  }

  /** Two living roles never have the same key. */
  #role(
    { role, key, name, permissions }: Extract<Change, { what: "role" }>,
  ): Told | undefined {
    const id = roleId(role);
    if (this.#gone.has(id)) return;
    const isTaken = [...this.#roles].some(([other, { key: taken }]) =>
      other !== role && taken === key
    );
    if (isTaken) return;

    const verb = this.#roles.has(role) ? "updated" : "created";
    const held = permissions.filter((permission) => this.#keyOf(permission) !== undefined);
    this.#roles.set(role, { key, permissions: held });
    return {
      type: `role.${verb}`,
      data: {
        object: "role",
        id,
        name: `Role ${name}`,
        key: ROLE_KEYS[key],
        description: name === 0 ? null : `Number ${name}`,
        is_creator_eligible: false,
        permissions: held.map((permission) => this.#permissionData(permission)),
        created_at: BEGINNING,
      },
    };
  }

  #permission(permission: number, key: number): Told | undefined {
    if (this.#gone.has(permissionId(permission))) return;
    const renamed = PERMISSION_KEYS[key];
    const isTaken = PERMISSION_KEYS.some((_, other) =>
      other !== permission && this.#keyOf(other) === renamed
    );
    if (renamed === undefined || isTaken) return;

    const verb = this.#permissions.has(permission) ? "updated" : "created";
    this.#permissions.set(permission, renamed);
    return { type: `permission.${verb}`, data: this.#permissionData(permission) };
  }

  #permissionData(permission: number): JsonObject {
    return {
      object: "permission",
      id: permissionId(permission),
      name: `Permission ${permission}`,
      key: this.#keyOf(permission),
      description: null,
      type: "user",
      created_at: BEGINNING,
      updated_at: BEGINNING,
    };
  }

  /** Undefined once the permission is gone. */
  #keyOf(permission: number): string | undefined {
    if (this.#gone.has(permissionId(permission))) return undefined;
    return this.#permissions.get(permission) ?? PERMISSION_KEYS[permission];
  }

  /** What a member with this role may do now. Not every role is known to Clerk's customers. */
  #permissionsOf(key: number): string[] {
    const role = [...this.#roles.values()].find((role) => role.key === key);
    if (role === undefined) return PERMISSION_KEYS.slice(0, key);
    return role.permissions.flatMap((permission) => this.#keyOf(permission) ?? []);
  }
}

interface Role {
  readonly key: number;
  readonly permissions: readonly number[];
}

function organizationId(organization: number): string {
  return `org_${organization}`;
}

function roleId(role: number): string {
  return `role_${role}`;
}

function permissionId(permission: number): string {
  return `perm_${permission}`;
}

function aDeletion(object: string, id: string): JsonObject {
  return { object, id, deleted: true };
}

function addressesOf(person: number): { readonly primary: string; readonly another: string } {
  const word = wordOf(person);
  return { primary: `${word}@example.com`, another: `${word}.another@example.com` };
}

function idsOf({ person, organization }: Member): readonly [user: string, organization: string] {
  return [userId(person), organizationId(organization)];
}

function anonymous({ public_user_data: _, ...data }: JsonObject): JsonObject {
  return data;
}

/** The ids of a person, an organization, or of both of a child, and its own. */
function idsIn(data: JsonObject): string[] {
  return [
    textAt(data, "id"),
    textAt(data, "organization", "id"),
    textAt(data, "organization_id"),
    textAt(data, "public_user_data", "user_id"),
  ].flatMap((id) => id ?? []);
}

/** The looks of a person of whom no event has told. */
const PLAIN: Looks = {
  firstName: null,
  lastName: null,
  username: null,
  email: "first",
  phone: false,
  banned: false,
  metadata: null,
  unsafe: "little",
  rest: 0,
};

function user(person: number, looks: Looks): JsonObject {
  const word = wordOf(person);
  const text = (number: number | null): string | null =>
    number === null ? null : `${word} ${number}`;
  const addresses = addressesOf(person);
  const another = {
    id: "idn_another",
    email_address: addresses.another,
    verification: looks.rest === 3 ? { status: "unverified" } : { status: "verified" },
  };
  const primary = {
    id: "idn_primary",
    email_address: addresses.primary,
    verification: looks.email === "unverified" ? null : { status: "verified" },
  };
  const note = looks.metadata === null ? {} : { about: text(looks.metadata) };

  return aClerkUser({
    id: userId(person),
    external_id: looks.metadata === null ? null : text(looks.metadata),
    username: usernameOf(word, looks.username),
    first_name: text(looks.firstName),
    last_name: text(looks.lastName),
    profile_image_url: null,
    email_addresses: [
      ...looks.email === "first" ? [primary, another] : [another, primary],
      ...looks.rest === 2 ? [{ ...another, id: "idn_again" }] : [],
    ],
    primary_email_address_id: looks.email === "none" ? null : primary.id,
    phone_numbers: looks.phone
      ? [{
        id: "idn_phone",
        phone_number: phoneOf(person),
        verification: { status: looks.banned ? "unverified" : "verified" },
      }]
      : [],
    primary_phone_number_id: looks.phone ? "idn_phone" : null,
    public_metadata: note,
    private_metadata: { about: word },
    unsafe_metadata: { ...note, ...writtenByBrowser(looks.unsafe, word) },
    banned: looks.banned,
    locale: looks.rest === 0 ? null : `${word}-${looks.rest}`,
    image_url: looks.rest === 1 ? null : `https://img.example.com/${word}/${looks.rest}`,
    has_image: looks.rest !== 1,
    locked: looks.rest === 2,
    deprovisioned: looks.rest === 3,
    two_factor_enabled: looks.rest % 2 === 1,
    legal_accepted_at: looks.rest < 2 ? null : BEGINNING + looks.rest,
    last_sign_in_at: looks.phone ? BEGINNING + 1 : null,
    last_active_at: BEGINNING + 2 + looks.rest,
    created_at: BEGINNING,
  });
}

/** A name as people choose it, or one that looks like an id. */
function usernameOf(word: string, username: number | null): string | null {
  switch (username) {
    case null:
      return null;
    case 2:
      return `user_${word}`;
    case 3:
      return `user_${word.padEnd(27, "x")}`;
    default:
      return `${word} ${username}`;
  }
}

/** The fields of an item that tell seats, interval and amount, and those of its plan. */
function termsOf(terms: Extract<Change, { what: "pay" }>["terms"]): JsonObject & {
  readonly price?: JsonObject;
} {
  const none = { seats: undefined, interval: undefined, plan_period: undefined, amount: undefined };
  const price = { amount: 2000, currency: "EUR" };
  switch (terms) {
    case "none":
      return none;
    case "as in examples":
      return { ...none, seats: { quantity: 5 }, interval: "month", price };
    case "as in types":
      return {
        ...none,
        plan_period: "annual",
        amount: { amount: 90_071_992, amount_formatted: "900,719.92", currency: "USD" },
        price: { ...price, period: "month", interval: 1 },
      };
    case "of wrong types":
      return { seats: 5, interval: 1, plan_period: [], amount: { amount: "2000" }, price };
    default:
      return terms satisfies never;
  }
}

/** How deep 8 kB of metadata can nest. */
const DEEPEST = 4000;

function writtenByBrowser(how: Looks["unsafe"], word: string): JsonObject {
  switch (how) {
    case "little":
      return {};
    case "big":
      return { big: "90071992547409931n", bigger: ["-1", "12345678901234567890123n"] };
    case "deep":
      return { deep: nested(word, 300) };
    case "deepest":
      return { deep: nested(word, DEEPEST - 1) };
    default:
      return how satisfies never;
  }
}

function nested(text: string, levels: number): Json {
  let value: Json = text;
  for (let level = 0; level < levels; level++) value = level % 3 === 0 ? { "": value } : [value];
  return value;
}

function organization(
  { organization, name, createdBy, limit }: Omit<
    Extract<Change, { what: "organization" }>,
    "what"
  >,
): JsonObject {
  return aClerkOrganization({
    id: organizationId(organization),
    name: `Team ${name}`,
    slug: name === 0 ? "" : `team-${name}`,
    image_url: limit === 0 ? null : `https://img.example.com/${limit}`,
    has_image: limit === 2,
    max_allowed_memberships: limit,
    members_count: name,
    public_metadata: name === 0 ? {} : { name },
    created_by: createdBy === null ? null : userId(createdBy),
    created_at: BEGINNING,
  });
}

function mention(
  person: number,
  how: Extract<Change, { what: "mention" }>["how"],
  number: number,
): Told {
  const word = wordOf(person);
  // Most of these events mention a second person.
  const another = (person + 1) % 3;
  const beside = { id: userId(another), name: wordOf(another) };
  switch (how) {
    case "session":
      return {
        type: "session.created",
        data: {
          id: `sess_${number}`,
          user_id: userId(person),
          user: { id: userId(person), first_name: word },
          actor: beside,
          created_at: BEGINNING,
        },
      };
    case "payment":
      return {
        type: "paymentAttempt.updated",
        data: {
          id: `payment_${person}`,
          status: `attempt ${number}`,
          user: number % 2 === 0 ? beside : null,
          payer: { user_id: userId(person), email: `${word}@example.com` },
          created_at: BEGINNING,
        },
      };
    case "code":
      return {
        type: "email.created",
        data: { id: `ema_${number}`, to_email_address: `${word}@example.com`, body: word },
      };
    case "unreadable":
      return {
        type: "",
        data: {
          raw: `{"type":"user.updated","data":{"actor":${JSON.stringify(beside)},"id":"${
            userId(person)
          }","first_name":"${word}`,
        },
      };
    default:
      return how satisfies never;
  }
}

/** What Clerk sends in a world, and the order in which it arrives. */
export function planOf({ connections, holes, happenings }: World): Plan {
  const clerk = new Clerk();
  const messages: Message[] = [];
  const pages: Page[] = [];
  const inOrder: Arrival[] = [];
  const attempts: { at: number; arrival: Arrival }[] = [];
  let now = BEGINNING;
  const read = (id: string, kind: PageKind, observedAt: number): Page => {
    const objects = JSON.parse(JSON.stringify(clerk.list(kind, now)));
    return { id, kind, observedAt, objects };
  };

  happenings.forEach((happening, number) => {
    now += happening.after;
    const { change } = happening;
    if (change.what === "open") {
      const arrival: Visit = {
        opens: userId(change.person),
        ...change.organization === null ? {} : { within: organizationId(change.organization) },
        issuedAt: Math.floor(now / 1000),
      };
      inOrder.push(arrival);
      attempts.push(...happening.attempts.map(({ at }) => ({ at, arrival })));
      return;
    }

    if (change.what === "page") {
      const { kind } = change;
      const id = `page_${kind}_${number}`;
      // The Date of a response has whole seconds.
      pages.push(read(id, kind, happening.times === "seconds" ? now - now % 1000 : now));
      inOrder.push({ page: id, fate: "kept" });
      for (const { at, fate } of happening.attempts) {
        attempts.push({ at, arrival: { page: id, fate } });
      }
      return;
    }

    const told = clerk.tell(change, now);
    if (told === undefined || (holes && happening.lost)) return;
    const id = `msg_${happening.salt}_${number}`;
    messages.push({ id, event: eventOf(told, happening, now) });
    inOrder.push({ message: id, fate: "kept" });
    for (const { at, fate } of happening.attempts) {
      attempts.push({ at, arrival: { message: id, fate } });
    }
  });

  const inDisorder = attempts
    .sort((one, other) => one.at - other.at)
    .map(({ arrival }) => arrival);
  const observations = [...messages, ...pages.flatMap(observationsOf)];
  return {
    connections,
    messages,
    pages: pages.map((page) => ({
      ...page,
      objects: page.objects.filter((object) => isClear(page, object, observations)),
    })),
    listing: holes ? PAGE_KINDS.map((kind) => read(`listing_${kind}`, kind, now + 1000)) : [],
    inOrder,
    inDisorder,
  };
}

/** The event with its envelope, its times and its verb, and without the fields that it lacks. */
function eventOf(
  told: Told,
  { times, lacks, trail, ahead, verb, salt }: Happening,
  now: number,
): JsonObject {
  if (typeof told.data.raw === "string") return told.data;

  const odd = verbOf(told, verb, salt);
  const { type } = odd;
  const data = told.isAnonymous ? anonymous(odd.data) : odd.data;
  const lacksUpdated = type.endsWith(".deleted") || lacks === "updated_at" || lacks === "both";
  // The deletion of a membership carries its old time.
  const updated_at = type === "organizationMembership.deleted"
    ? data.updated_at
    : lacksUpdated
    ? undefined
    : written(aheadOf(now, ahead), times);
  const lacksEnvelope = lacks === "timestamp" || lacks === "both";
  const sent = now + trail + (ahead === "envelope" ? FUTURE - BEGINNING : 0);
  const event = anEvent(type, { ...data, updated_at }, {
    timestamp: lacksEnvelope ? undefined : written(sent, times),
    instance_id: lacksEnvelope ? undefined : "ins_1",
  });
  return JSON.parse(JSON.stringify(event));
}

/** The type with a verb that nobody knows, and its object as it is then. */
function verbOf({ type, data }: Told, verb: Happening["verb"], salt: number): Told {
  const [kind = ""] = type.split(".");
  const fields = FIELDS_READ[kind];
  if (verb === "known" || type.endsWith(".deleted") || fields === undefined) return { type, data };

  const odd = { type: `${kind}.renewed`, data };
  switch (verb) {
    case "new":
      return odd;
    case "new, lacks a field":
      return { ...odd, data: { ...data, [fields[salt % fields.length] ?? ""]: undefined } };
    case "new, another object":
      return {
        ...odd,
        data: { ...data, ...salt % 2 === 0 ? { deleted: true } : { object: "thing" } },
      };
    default:
      return verb satisfies never;
  }
}

/** Some fields that are read, by kind of event. */
const FIELDS_READ: Readonly<Record<string, readonly string[]>> = {
  user: ["first_name", "banned", "email_addresses", "unsafe_metadata", "legal_accepted_at"],
  organization: ["slug", "max_allowed_memberships", "public_metadata", "created_by"],
  organizationMembership: ["role"],
  organizationInvitation: ["email_address", "expires_at", "inviter_id"],
  subscriptionItem: ["plan", "payer", "is_free_trial", "period_end"],
  role: ["key", "permissions", "description"],
  permission: ["key"],
};

function aheadOf(ms: number, ahead: Happening["ahead"]): number {
  switch (ahead) {
    case "minutes":
      return ms + 300_000;
    case "day":
      return ms + DAY;
    case "thousandfold":
      // So late, Postgres reads the multiples of 4 s exactly.
      return (ms - ms % 4) * 1000;
    default:
      return ms;
  }
}

/** A time in the form of real deliveries, of examples and test events, or of very old data. */
function written(ms: number, how: Happening["times"]): number | string {
  switch (how) {
    case "ms":
      return ms;
    case "seconds":
      return Math.floor(ms / 1000);
    case "rfc3339":
      // Years have four digits.
      return ms < 1e14 ? new Date(ms).toISOString() : ms;
    default:
      return how satisfies never;
  }
}
