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
import {
  type Arrival,
  markOfInvitation,
  type Message,
  phoneOf,
  type Plan,
  wordOf,
} from "./plan.ts";
import type { Change, Happening, Looks, Member, World } from "./world.ts";

/** The start of every world, ms. */
const BEGINNING = 1_760_000_000_000;

interface Told {
  readonly type: string;
  readonly data: JsonObject;
}

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
  #number = 0;

  /** What Clerk sends about a change; nothing when the change is impossible. */
  tell(change: Change, now: number): Told | undefined {
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
      case "mention":
        return mention(change.person, change.how, this.#number++);
      case "open":
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

    const pair = `${user} ${organization}`;
    const found = this.#memberships.get(pair);
    const since = found?.since ?? now;
    const id = found?.data.id ?? `orgmem_${member.person}x${member.organization}x${this.#number++}`;
    const note = { about: wordOf(member.person) };
    const data = aClerkMembership({ user, organization }, {
      id,
      role: ["org:member", "org:admin", "guide"][role] ?? null,
      role_name: ["Member", "Admin", null][role] ?? null,
      permissions: ["org:posts:read", "org:posts:write"].slice(0, role),
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
      data: member.anonymous ? anonymous(data) : data,
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
    return {
      type: "organizationMembership.deleted",
      data: member.anonymous ? anonymous(data) : data,
    };
  }

  #invitation(
    { what, organization, guest, inviter }: Extract<
      Change,
      { what: "invite" | "accept" | "revoke" }
    >,
  ): Told | undefined {
    const parent = organizationId(organization);
    if (this.#gone.has(parent)) return;

    const place = `${parent} ${guest}`;
    const pending = this.#invitations.get(place);
    if (what === "invite") {
      if (pending !== undefined) return;
      const id = `orginv_${organization}x${guest}x${this.#number++}`;
      const data = aClerkInvitation(parent, {
        id,
        email_address: `${markOfInvitation(id)}@example.com`,
        url: `https://accounts.example.com/accept?ticket=${markOfInvitation(id)}`,
        inviter_id: inviter === null ? null : userId(inviter),
        // Some are still pending when their events arrive, some are not any more.
        expires_at: guest % 2 === 0 ? 4_070_908_800_000 : BEGINNING + 1000,
        created_at: BEGINNING,
      });
      this.#invitations.set(place, data);
      return { type: "organizationInvitation.created", data };
    }
    if (pending === undefined) return;
    this.#invitations.delete(place);
    return {
      type: `organizationInvitation.${what === "accept" ? "accepted" : "revoked"}`,
      data: { ...pending, status: `${what}ed`.replace("ee", "e") },
    };
  }

  #pay(
    { item, person, organization, payer, ends }: Extract<Change, { what: "pay" }>,
  ): Told {
    const found = this.#items.get(item);
    const plan = { id: `cplan_${item}`, slug: "pro", name: "Pro" };
    const data = {
      ...found ?? aClerkSubscriptionItem({ user: userId(person) }, {
        id: `csub_item_${item}`,
        plan_id: plan.id,
        plan,
        period_start: BEGINNING,
        created_at: BEGINNING,
        // The payer never changes. The payer of an organization has a name and no id.
        payer: {
          user_id: payer === "organization" ? "" : userId(person),
          organization_id: payer === "person" ? "" : organizationId(organization),
          first_name: wordOf(person),
          last_name: wordOf(person),
          email: `${wordOf(person)}@example.com`,
        },
      }),
      status: ends ? "ended" : "active",
      period_end: ends ? BEGINNING + 1000 : null,
    };
    this.#items.set(item, data);
    return { type: `subscriptionItem.${data.status}`, data };
  }
}

function userId(person: number): string {
  return `user_${person}`;
}

function organizationId(organization: number): string {
  return `org_${organization}`;
}

function idsOf({ person, organization }: Member): readonly [user: string, organization: string] {
  return [userId(person), organizationId(organization)];
}

function anonymous({ public_user_data: _, ...data }: JsonObject): JsonObject {
  return data;
}

function user(person: number, looks: Looks): JsonObject {
  const word = wordOf(person);
  const text = (number: number | null): string | null =>
    number === null ? null : `${word} ${number}`;
  const another = {
    id: "idn_another",
    email_address: `${word}.another@example.com`,
    verification: { status: "verified" },
  };
  const primary = {
    id: "idn_primary",
    email_address: `${word}@example.com`,
    verification: looks.email === "unverified" ? null : { status: "verified" },
  };
  const note = looks.metadata === null ? {} : { about: text(looks.metadata) };

  return aClerkUser({
    id: userId(person),
    external_id: looks.metadata === null ? null : text(looks.metadata),
    username: text(looks.username),
    first_name: text(looks.firstName),
    last_name: text(looks.lastName),
    profile_image_url: null,
    email_addresses: looks.email === "first" ? [primary, another] : [another, primary],
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
    unsafe_metadata: note,
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

function organization(
  { organization, name, createdBy, limit }: Extract<Change, { what: "organization" }>,
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
          requested_by: number % 2 === 0 ? beside : null,
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
  const inOrder: Arrival[] = [];
  const attempts: { at: number; arrival: Arrival }[] = [];
  let now = BEGINNING;

  happenings.forEach((happening, number) => {
    now += happening.after;
    const { change } = happening;
    if (change.what === "open") {
      const arrival = { opens: userId(change.person) };
      inOrder.push(arrival);
      attempts.push(...happening.attempts.map(({ at }) => ({ at, arrival })));
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
  return { connections, messages, inOrder, inDisorder };
}

/** The event with its envelope, its times and without the fields that it lacks. */
function eventOf(
  { type, data }: Told,
  { times, lacks, trail }: Happening,
  now: number,
): JsonObject {
  if (typeof data.raw === "string") return data;

  const lacksUpdated = type.endsWith(".deleted") || lacks === "updated_at" || lacks === "both";
  const updated_at = type === "organizationMembership.deleted"
    ? data.updated_at
    : lacksUpdated
    ? undefined
    : written(now, times);
  const lacksEnvelope = lacks === "timestamp" || lacks === "both";
  const event = anEvent(type, { ...data, updated_at }, {
    timestamp: lacksEnvelope ? undefined : written(now + trail, times),
    instance_id: lacksEnvelope ? undefined : "ins_1",
  });
  return JSON.parse(JSON.stringify(event));
}

/** A time in the form of real deliveries, of examples and test events, or of very old data. */
function written(ms: number, how: Happening["times"]): number | string {
  switch (how) {
    case "ms":
      return ms;
    case "seconds":
      return Math.floor(ms / 1000);
    case "rfc3339":
      return new Date(ms).toISOString();
    default:
      return how satisfies never;
  }
}
