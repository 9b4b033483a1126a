import fc from "fast-check";
import { type Fate, PAGE_KINDS, type PageKind } from "./plan.ts";

// Worlds in which Clerk sends events. Each happening is self-contained: it names people by number, may
// follow any other happening, and carries its own times and deliveries, so that a counter-example shrinks
// by leaving happenings out.

/** What a person looks like after a sign-up or an edit. */
export interface Looks {
  readonly firstName: number | null;
  readonly lastName: number | null;
  readonly username: number | null;
  /** The primary address: none, the first entry, the last entry, or the last entry and unverified. */
  readonly email: "none" | "first" | "last" | "unverified";
  readonly phone: boolean;
  readonly banned: boolean;
  readonly metadata: number | null;
  /** What the person's browser wrote: a little, a number above 2^53, or lists within lists. */
  readonly unsafe: "little" | "big" | "deep" | "deepest";
  /** Chooses the values of all other columns. */
  readonly rest: number;
}

/** A change at Clerk. */
export type Change =
  | { readonly what: "person"; readonly person: number; readonly looks: Looks }
  /** One thing about a person changes, or nothing does. */
  | {
    readonly what: "edit";
    readonly person: number;
    readonly looks: Looks;
    readonly only: keyof Looks | null;
  }
  | { readonly what: "person gone"; readonly person: number }
  | {
    readonly what: "organization";
    readonly organization: number;
    readonly name: number;
    readonly createdBy: number | null;
    readonly limit: number;
  }
  | { readonly what: "organization gone"; readonly organization: number }
  | { readonly what: "join"; readonly role: number; readonly member: Member }
  | { readonly what: "leave"; readonly member: Member }
  | {
    readonly what: "invite" | "accept" | "revoke";
    readonly organization: number;
    readonly guest: number;
    /** Whose secondary address is invited, in upper case, or who accepts; null for nobody known. */
    readonly known: number | null;
    readonly isExpired: boolean;
    readonly inviter: number | null;
  }
  | {
    readonly what: "role";
    readonly role: number;
    /** One of {@linkcode ROLE_KEYS}. */
    readonly key: number;
    readonly name: number;
    readonly permissions: readonly number[];
  }
  | { readonly what: "role gone"; readonly role: number }
  | {
    readonly what: "permission";
    readonly permission: number;
    /** One of {@linkcode PERMISSION_KEYS}. */
    readonly key: number;
  }
  | { readonly what: "permission gone"; readonly permission: number }
  | {
    readonly what: "pay";
    readonly item: number;
    readonly person: number;
    readonly organization: number;
    /** Who pays: the person, the organization, or the person for the organization. */
    readonly payer: "person" | "organization" | "both";
    /** Whether the event lacks the payer. */
    readonly anonymous: boolean;
    /** Which slug and name the plan has; null when the event lacks the plan. */
    readonly plan: number | null;
    /** What the event says of seats and price, and in which form. */
    readonly terms: "none" | "as in examples" | "as in types" | "of wrong types";
    readonly ends: boolean;
  }
  | {
    readonly what: "mention";
    readonly person: number;
    readonly how: "session" | "payment" | "code" | "unreadable";
  }
  | {
    readonly what: "open";
    readonly person: number;
    /** The organization that the session token names. */
    readonly organization: number | null;
  }
  /** Clerk lists all objects of a kind; no event is sent. */
  | { readonly what: "page"; readonly kind: PageKind };

/** A person in an organization. The event of an anonymous one lacks `public_user_data`. */
export interface Member {
  readonly person: number;
  readonly organization: number;
  readonly anonymous: boolean;
}

/** The roles that a member can have, as keys; the last one as very old data has it, without its prefix. */
export const ROLE_KEYS = ["org:member", "org:admin", "guide"] as const;

/** The permissions that a role can have, as keys. */
export const PERMISSION_KEYS = [
  "org:posts:read",
  "org:sys_memberships:manage",
  "org:posts:write",
] as const;

/** A change, when its event is sent, and how it arrives. */
export interface Happening {
  readonly change: Change;
  /** ms since the previous happening. */
  readonly after: number;
  /** How many ms the envelope's time is behind. */
  readonly trail: number;
  readonly times: "ms" | "seconds" | "rfc3339";
  readonly lacks: "nothing" | "updated_at" | "timestamp" | "both";
  /**
   * Which time is later than it can be: `updated_at` by five minutes, as in Clerk's examples, by a day,
   * or by a factor of 1,000; or the envelope's, by years.
   */
  readonly ahead: "nothing" | "minutes" | "day" | "thousandfold" | "envelope";
  /**
   * Whether the type ends in a verb that nobody knows, of an object that is complete, lacks a field, or
   * is of another kind than the type says.
   */
  readonly verb: "known" | "new" | "new, lacks a field" | "new, another object";
  /** Starts the message id, so that ids do not follow the order of sending. */
  readonly salt: number;
  /** Whether it never arrives, in a world with holes. */
  readonly lost: boolean;
  /** The attempts; `at` orders the attempts of all happenings. */
  readonly attempts: readonly { readonly at: number; readonly fate: Fate }[];
}

/** Everything that happens, in order. */
export interface World {
  readonly connections: number;
  readonly holes: boolean;
  readonly happenings: readonly Happening[];
}

type Weighted<Value> = fc.WeightedArbitrary<Value>;

/** The people and organizations of a world. The same ones come up often, so that events collide. */
interface Cast {
  readonly person: fc.Arbitrary<number>;
  readonly organization: fc.Arbitrary<number>;
  readonly member: fc.Arbitrary<Member>;
  readonly item: fc.Arbitrary<number>;
  /** Whether an event does not name the member or the payer. */
  readonly anonymous: fc.Arbitrary<boolean>;
  readonly unsafe: fc.Arbitrary<Looks["unsafe"]>;
  /** Those that may be deleted, and how often. */
  readonly mortal: { readonly person: Weighted<number>; readonly organization: Weighted<number> };
  /** How many names there are. */
  readonly names: number;
}

function rarely<Value>(often: Value, ...others: readonly [Value, ...Value[]]): fc.Arbitrary<Value> {
  return fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant(often), weight: 6 },
    { arbitrary: fc.constantFrom(...others), weight: 1 },
  );
}

function looksOf({ names, unsafe }: Cast): fc.Arbitrary<Looks> {
  return fc.record({
    firstName: fc.option(fc.nat(names), { freq: 4 }),
    lastName: fc.option(fc.nat(1), { freq: 2 }),
    username: fc.option(fc.nat(3), { freq: 3 }),
    email: fc.constantFrom("none", "first", "last", "unverified"),
    phone: fc.boolean(),
    banned: rarely(false, true),
    metadata: fc.option(fc.nat(1), { freq: 2 }),
    unsafe,
    rest: fc.nat(3),
  });
}

/** Changes of people. */
function changesOfPeople(cast: Cast): Weighted<Change>[] {
  const { person, mortal } = cast;
  const looks = looksOf(cast);
  return [
    { weight: 50, arbitrary: fc.record({ what: fc.constant("person"), person, looks }) },
    {
      weight: 30,
      arbitrary: fc.record({
        what: fc.constant("edit"),
        person,
        looks,
        only: fc.constantFrom(
          null,
          null,
          "firstName",
          "lastName",
          "username",
          "email",
          "phone",
          "banned",
          "metadata",
          "unsafe",
          "rest",
          "rest",
          "rest",
        ),
      }),
    },
    {
      weight: mortal.person.weight,
      arbitrary: fc.record({
        what: fc.constant("person gone"),
        person: mortal.person.arbitrary,
      }),
    },
  ];
}

/** Changes of organizations, memberships, invitations and subscriptions. */
function otherChanges(cast: Cast): Weighted<Change>[] {
  const { person, organization, member, item, anonymous, mortal } = cast;
  const nobodyOr = fc.option(person, { freq: 2 });
  const known = fc.option(person, { freq: 4 });
  const plan = fc.option(fc.nat(1), { freq: 3 });
  return [
    {
      weight: 30,
      arbitrary: fc.record({
        what: fc.constant("organization"),
        organization,
        name: fc.nat(3),
        createdBy: nobodyOr,
        limit: fc.nat(2),
      }),
    },
    {
      weight: mortal.organization.weight,
      arbitrary: fc.record({
        what: fc.constant("organization gone"),
        organization: mortal.organization.arbitrary,
      }),
    },
    { weight: 70, arbitrary: fc.record({ what: fc.constant("join"), role: fc.nat(2), member }) },
    { weight: 30, arbitrary: fc.record({ what: fc.constant("leave"), member }) },
    {
      weight: 40,
      arbitrary: fc.record({
        what: fc.constantFrom("invite", "invite", "accept", "accept", "revoke"),
        organization,
        guest: fc.nat(1),
        known,
        isExpired: rarely(false, true),
        inviter: nobodyOr,
      }),
    },
    {
      weight: 20,
      arbitrary: fc.record({
        what: fc.constant("pay"),
        item,
        person,
        organization,
        payer: fc.constantFrom("person", "organization", "both"),
        anonymous,
        plan,
        terms: fc.constantFrom("none", "as in examples", "as in types", "of wrong types"),
        ends: fc.boolean(),
      }),
    },
  ];
}

/** Roles, events without a table, unreadable messages, browsers, and pages. */
function rareChanges({ person }: Cast): Weighted<Change>[] {
  // The third organization stands in tokens alone.
  const noneOr = fc.constantFrom(null, 0, 0, 1, 2);
  const role = fc.nat(1);
  const permission = fc.nat(1);
  return [
    {
      weight: 35,
      arbitrary: fc.record({
        what: fc.constant("role"),
        role,
        key: fc.nat(ROLE_KEYS.length - 1),
        name: fc.nat(2),
        permissions: fc.subarray([0, 1]),
      }),
    },
    { weight: 5, arbitrary: fc.record({ what: fc.constant("role gone"), role }) },
    {
      weight: 20,
      arbitrary: fc.record({
        what: fc.constant("permission"),
        permission,
        key: fc.nat(PERMISSION_KEYS.length - 1),
      }),
    },
    { weight: 5, arbitrary: fc.record({ what: fc.constant("permission gone"), permission }) },
    {
      weight: 20,
      arbitrary: fc.record({
        what: fc.constant("mention"),
        person,
        how: fc.constantFrom("session", "payment", "code", "unreadable"),
      }),
    },
    {
      weight: 20,
      arbitrary: fc.record({
        what: fc.constant("open"),
        person,
        organization: noneOr,
      }),
    },
    {
      weight: 50,
      arbitrary: fc.record({
        what: fc.constant("page"),
        // Children more often: they need parents and time to change.
        kind: fc.constantFrom(...PAGE_KINDS, "membership", "membership", "invitation", "user"),
      }),
    },
  ];
}

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { withCrossShrink: true },
  { arbitrary: fc.constant("kept"), weight: 10 },
  { arbitrary: fc.constant("slow"), weight: 5 },
  { arbitrary: fc.constant("refused"), weight: 2 },
  { arbitrary: fc.constant("cut"), weight: 1 },
);

function attempts(maxLength: number): fc.Arbitrary<Happening["attempts"]> {
  return fc.array(fc.record({ at: fc.nat(999_999), fate }), { minLength: 1, maxLength });
}

function onceOrMore(more: number): fc.Arbitrary<Happening["attempts"]> {
  return fc.oneof(
    { withCrossShrink: true },
    { arbitrary: attempts(1), weight: 2 },
    { arbitrary: attempts(more), weight: 1 },
  );
}

const person = fc.constantFrom(0, 0, 0, 1, 1, 2);
const organization = fc.constantFrom(0, 0, 1);
const FEW: Cast = {
  person,
  organization,
  member: fc.record({ person, organization, anonymous: rarely(false, true) }),
  item: fc.nat(2),
  anonymous: rarely(false, true),
  unsafe: fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant("little"), weight: 40 },
    { arbitrary: fc.constant("big"), weight: 4 },
    { arbitrary: fc.constant("deep"), weight: 2 },
    { arbitrary: fc.constant("deepest"), weight: 1 },
  ),
  mortal: {
    person: { arbitrary: person, weight: 20 },
    organization: { arbitrary: organization, weight: 20 },
  },
  names: 2,
};

const happening: fc.Arbitrary<Happening> = fc.record({
  change: fc.oneof(...changesOfPeople(FEW), ...otherChanges(FEW), ...rareChanges(FEW)),
  // Two events can have the same time, and the envelopes of two close events can swap.
  after: fc.constantFrom(0, 0, 0, 1, 1, 1000),
  trail: fc.constantFrom(0, 4, 60),
  times: fc.constantFrom("ms", "ms", "ms", "seconds", "rfc3339"),
  lacks: rarely("nothing", "updated_at", "timestamp", "both"),
  ahead: rarely("nothing", "minutes", "day", "thousandfold", "envelope"),
  verb: rarely("known", "new", "new", "new, lacks a field", "new, another object"),
  salt: fc.nat(9),
  lost: fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant(false), weight: 7 },
    { arbitrary: fc.constant(true), weight: 3 },
  ),
  attempts: onceOrMore(3),
});

/** Worlds of a few people and two organizations. */
export function worldOf(maxHappenings = 60): fc.Arbitrary<World> {
  return fc.record({
    // This shrinks first: a counter-example over one connection is not a race.
    connections: fc.constantFrom(1, 2, 4, 8, 8, 8),
    holes: fc.boolean(),
    // NOTE: no minLength, which would keep the last happening from being left out.
    happenings: fc.array(happening, { maxLength: maxHappenings, size: "max" }),
  });
}

export interface CrowdOptions {
  readonly happenings: number;
  readonly people: number;
  /** The same seed makes the same world. Worlds of different seeds have no person in common. */
  readonly seed: number;
  /** Without organizations, invitations and subscriptions, and with repeated deliveries. */
  readonly peopleOnly?: boolean;
}

/** How many people and organizations many events are about. */
const BUSY = { people: 3, organizations: 1 };

/** A world of many people in which every event is well-formed and every message arrives. */
export function crowd({ happenings, people, seed, peopleOnly = false }: CrowdOptions): World {
  const first = seed * 1_000_000;
  const organizations = Math.ceil(people / 6);
  const from = (least: number, count: number): fc.Arbitrary<number> =>
    fc.integer({ min: first + least, max: first + Math.max(least, count - 1) });
  const mostly = (rest: fc.Arbitrary<number>, busy: number): fc.Arbitrary<number> =>
    fc.oneof({ arbitrary: rest, weight: 7 }, { arbitrary: from(0, busy), weight: 1 });
  const person = peopleOnly ? from(0, people) : mostly(from(0, people), BUSY.people);
  const cast: Cast = {
    person,
    organization: mostly(from(0, organizations), BUSY.organizations),
    // People join the busy organization or one other, so that they often leave one they have joined.
    member: fc.record({ person, isBusy: fc.boolean() }).map(({ person, isBusy }) => ({
      person,
      organization: isBusy ? first : first + (person - first) % organizations,
      anonymous: false,
    })),
    item: from(0, people),
    anonymous: fc.constant(false),
    unsafe: fc.constant("little"),
    mortal: {
      person: { arbitrary: from(peopleOnly ? 0 : BUSY.people, people), weight: 7 },
      organization: { arbitrary: from(BUSY.organizations, organizations), weight: 2 },
    },
    names: 999_999,
  };
  const changes = [...changesOfPeople(cast), ...peopleOnly ? [] : otherChanges(cast)];

  const happening: fc.Arbitrary<Happening> = fc.record({
    change: fc.oneof(...changes),
    after: fc.constantFrom(0, 10),
    trail: fc.constant(5),
    times: fc.constant("ms"),
    lacks: fc.constant("nothing"),
    ahead: fc.constant("nothing"),
    verb: fc.constant("known"),
    salt: fc.nat(9).map((salt) => 10 * seed + salt),
    lost: fc.constant(false),
    attempts: peopleOnly ? onceOrMore(3) : attempts(1),
  });
  return {
    connections: 1,
    holes: false,
    happenings: fc.sample(fc.noBias(happening), { seed, numRuns: happenings }),
  };
}
