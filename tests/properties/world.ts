import fc from "fast-check";
import type { Fate } from "./plan.ts";

// Worlds in which Clerk sends something. Each happening stands for itself: it names who by number,
// makes sense after any other, and carries its own times and deliveries, so that a counter-example
// shrinks by leaving happenings out.

/** What a person looks like after a sign-up or an edit. */
export interface Looks {
  readonly firstName: number | null;
  readonly lastName: number | null;
  readonly username: number | null;
  /** The primary address: none, the first entry, the last one, or the last and not verified. */
  readonly email: "none" | "first" | "last" | "unverified";
  readonly phone: boolean;
  readonly banned: boolean;
  readonly metadata: number | null;
  /** Chooses all other columns. */
  readonly rest: number;
}

/** What a person or an organization does, or what is done to it. */
export type Change =
  | { readonly what: "person"; readonly person: number; readonly looks: Looks }
  /** Of what is known of a person one thing changes, or nothing does. */
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
    readonly inviter: number | null;
  }
  | {
    readonly what: "pay";
    readonly item: number;
    /** Who pays: a person, an organization, or a person for an organization. */
    readonly payer: "person" | "organization" | "both";
    readonly ends: boolean;
  }
  | {
    readonly what: "mention";
    readonly person: number;
    readonly how: "session" | "payment" | "code" | "unreadable";
  }
  | { readonly what: "open"; readonly person: number };

/** Who, where, and whether the event says so: `public_user_data` is not guaranteed. */
export interface Member {
  readonly person: number;
  readonly organization: number;
  readonly anonymous: boolean;
}

/** A change, when it is told, and how the telling arrives. */
export interface Happening {
  readonly change: Change;
  /** ms since the happening before. */
  readonly after: number;
  /** By how many ms the envelope's time trails. */
  readonly trail: number;
  readonly times: "ms" | "seconds" | "rfc3339";
  readonly lacks: "nothing" | "updated_at" | "timestamp" | "both";
  /** Begins the message id, so that ids do not follow the order of sending. */
  readonly salt: number;
  /** Never arrives, in a world with holes. */
  readonly lost: boolean;
  /** The attempts; `at` orders those of all happenings. */
  readonly attempts: readonly { readonly at: number; readonly fate: Fate }[];
}

/** A world: what happens in it, in order. */
export interface World {
  readonly connections: number;
  readonly holes: boolean;
  readonly happenings: readonly Happening[];
}

// Often the same, so that events meet.
const person = fc.constantFrom(0, 0, 0, 1, 1, 2);
const organization = fc.constantFrom(0, 0, 1);
const nobodyOr = fc.option(person, { freq: 2 });

function rarely<Value>(often: Value, ...others: readonly [Value, ...Value[]]): fc.Arbitrary<Value> {
  return fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant(often), weight: 6 },
    { arbitrary: fc.constantFrom(...others), weight: 1 },
  );
}

const member: fc.Arbitrary<Member> = fc.record({
  person,
  organization,
  anonymous: rarely(false, true),
});

const looks: fc.Arbitrary<Looks> = fc.record({
  firstName: fc.option(fc.nat(2), { freq: 4 }),
  lastName: fc.option(fc.nat(1), { freq: 2 }),
  username: fc.option(fc.nat(1), { freq: 2 }),
  email: fc.constantFrom("none", "first", "last", "unverified"),
  phone: fc.boolean(),
  banned: rarely(false, true),
  metadata: fc.option(fc.nat(1), { freq: 2 }),
  rest: fc.nat(3),
});

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant("person"), person, looks }) },
  {
    weight: 3,
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
        "rest",
        "rest",
        "rest",
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("person gone"), person }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant("organization"),
      organization,
      name: fc.nat(3),
      createdBy: nobodyOr,
      limit: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("organization gone"), organization }) },
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant("join"), role: fc.nat(2), member }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("leave"), member }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constantFrom("invite", "invite", "accept", "revoke"),
      organization,
      guest: fc.nat(1),
      inviter: nobodyOr,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("pay"),
      item: fc.nat(2),
      payer: fc.constantFrom("person", "organization", "both"),
      ends: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("mention"),
      person,
      how: fc.constantFrom("session", "payment", "code", "unreadable"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("open"), person }) },
);

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { withCrossShrink: true },
  { arbitrary: fc.constant("kept"), weight: 10 },
  { arbitrary: fc.constant("slow"), weight: 5 },
  { arbitrary: fc.constant("refused"), weight: 2 },
  { arbitrary: fc.constant("cut"), weight: 1 },
);

const happening: fc.Arbitrary<Happening> = fc.record({
  change,
  // Two events can have the same time, and the envelopes of two quick ones can swap.
  after: fc.constantFrom(0, 0, 1, 1, 1000),
  trail: fc.constantFrom(0, 4, 60),
  times: fc.constantFrom("ms", "ms", "ms", "seconds", "rfc3339"),
  lacks: rarely("nothing", "updated_at", "timestamp", "both"),
  salt: fc.nat(9),
  lost: fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant(false), weight: 7 },
    { arbitrary: fc.constant(true), weight: 3 },
  ),
  attempts: fc.oneof(
    { withCrossShrink: true },
    { arbitrary: attempts(1), weight: 2 },
    { arbitrary: attempts(3), weight: 1 },
  ),
});

function attempts(maxLength: number): fc.Arbitrary<Happening["attempts"]> {
  return fc.array(fc.record({ at: fc.nat(999), fate }), { minLength: 1, maxLength });
}

/** A few people and two organizations, and up to 60 happenings. */
export const world: fc.Arbitrary<World> = fc.record({
  // The first to shrink: over one connection a counter-example is no race.
  connections: fc.constantFrom(1, 2, 4, 8, 8, 8),
  holes: fc.boolean(),
  // NOTE: no minLength: with one, the last happening is never left out.
  happenings: fc.array(happening, { maxLength: 60, size: "max" }),
});
