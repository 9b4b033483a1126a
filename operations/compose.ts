import type { Json } from "../functions/_shared/clerk_sync/json.ts";
import type { Message } from "../local/clerk/deliver.ts";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  anId,
  type JsonObject,
  type Member,
  personOf,
} from "../local/clerk/events.ts";
import { parseExactly } from "./exact_json.ts";
import type { Stored } from "./stored.ts";
import { UsageError } from "./usage_error.ts";

/** What to compose: generated events, or the body of a file. */
export interface Composition {
  readonly type: string;
  readonly user: string | undefined;
  readonly org: string | undefined;
  /** The role that was asked for, without the default. */
  readonly role: string | undefined;
  readonly set: readonly string[];
  readonly file: string | undefined;
  readonly count: number;
}

/** The events that can be generated, by the kind of object that they are about. */
const VERBS = {
  user: ["created", "updated", "deleted"],
  organization: ["created", "updated", "deleted"],
  organizationMembership: ["created", "updated", "deleted"],
  organizationInvitation: ["created", "accepted", "revoked"],
  subscriptionItem: [
    ...["active", "abandoned", "canceled", "ended", "freeTrialEnding", "incomplete", "pastDue"],
    ...["upcoming", "updated"],
  ],
};

type Kind = keyof typeof VERBS;

/** What was composed. */
export interface Composed {
  readonly messages: Message[];
  /** The user whose profile they change, if there is exactly one. */
  readonly user: string | undefined;
  /** The first object that an event changes although no event of it is stored; its data is made up. */
  readonly madeUp: string | undefined;
}

/**
 * Composes the messages.
 *
 * @param stored what the database holds, if it is known: an update changes the newest `data` of its object
 * @throws {UsageError} for an unknown type, a file that cannot be used, or a malformed `set`.
 */
export async function compose(
  options: Composition,
  stored: Stored | undefined,
): Promise<Composed> {
  if (options.file !== undefined) {
    const body = await fileBody(options.file, options.set);
    return {
      messages: Array.from({ length: options.count }, () => ({ id: anId("msg"), body })),
      user: userIn(body),
      madeUp: undefined,
    };
  }

  const [kind, verb] = kindAndVerb(options.type);
  const envelope = await stored?.envelope();
  const messages: Message[] = [];
  let user: string | undefined;
  let madeUp: string | undefined;
  for (let number = 0; number < options.count; number++) {
    user = options.user ?? anId("user");
    const { data, isMadeUp = false } = await dataOf(kind, verb, user, options, number, stored);
    if (isMadeUp && typeof data.id === "string") madeUp ??= data.id;
    for (const assignment of options.set) assign(data, assignment);
    messages.push({ id: anId("msg"), body: JSON.stringify(anEvent(options.type, data, envelope)) });
  }

  const isAboutOne = options.user !== undefined ||
    (options.count === 1 && ["user", "organizationMembership"].includes(kind));
  return { messages, user: isAboutOne ? user : undefined, madeUp };
}

function kindAndVerb(type: string): [Kind, string] {
  const [kind = "", verb = "", ...rest] = type.split(".");
  if (isKind(kind) && VERBS[kind].includes(verb) && rest.length === 0) return [kind, verb];
  const known = isKind(kind)
    ? VERBS[kind].map((each) => `${kind}.${each}`)
    : Object.keys(VERBS).map((each) => `${each}.*`);
  throw new UsageError(
    `Cannot generate an event of type ${type}: known are ${
      known.join(", ")
    }; for other types pass --file`,
  );
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(VERBS, kind);
}

/** The verbs of an object's first event, which changes nothing that is stored. */
const FIRST = ["created", "active"];

interface Data {
  readonly data: JsonObject;
  /** Whether it is of an object that should be stored, and is not. */
  readonly isMadeUp?: boolean;
}

/** The data of one generated event. */
async function dataOf(
  kind: Kind,
  verb: string,
  user: string,
  options: Composition,
  number: number,
  stored: Stored | undefined,
): Promise<Data> {
  const organization = options.org ?? anId("org");
  if (kind === "user" && verb === "deleted") return { data: aDeletedClerkUser(user) };
  if (kind === "organization" && verb === "deleted") {
    return { data: aDeletedClerkOrganization(organization) };
  }

  const id = idIn(options.set) ?? await idOf(kind, verb, { user, organization }, options, stored);
  const before = FIRST.includes(verb) ? undefined : await stored?.dataOf(id);
  // Versions are a millisecond apart, so that it is clear which one is the newest.
  const version = Date.now() + number;
  const changes: JsonObject = {
    // Clerk sends a deleted membership as it last was.
    ...(verb === "deleted" ? {} : { updated_at: version }),
    ...changesOf(kind, verb, user, options.role),
  };
  if (before !== undefined) return { data: { ...before, ...changes } };
  return {
    data: newData(kind, { id, ...changes }, { user, organization }, options),
    isMadeUp: stored !== undefined && !FIRST.includes(verb),
  };
}

/** The data of an object that is not stored. */
function newData(
  kind: Kind,
  fields: JsonObject & { readonly id: string },
  { user, organization }: Member,
  { org, role }: Composition,
): JsonObject {
  switch (kind) {
    case "user":
      return aClerkUser(fields, personOf(fields.id));
    case "organization":
      return aClerkOrganization(fields);
    case "organizationMembership":
      return aClerkMembership({ user, organization }, { ...roleOf(role ?? "member"), ...fields });
    case "organizationInvitation":
      return aClerkInvitation(organization, { ...roleOf(role ?? "member"), ...fields });
    case "subscriptionItem":
      return aClerkSubscriptionItem(org === undefined ? { user } : { organization }, fields);
    default:
      return kind satisfies never;
  }
}

/** What an event of this type says anew about its object. */
function changesOf(kind: Kind, verb: string, user: string, role: string | undefined): JsonObject {
  switch (kind) {
    case "user":
    case "organization":
      return {};
    case "organizationMembership":
      return role === undefined ? {} : roleOf(role);
    case "organizationInvitation":
      return {
        status: verb === "created" ? "pending" : verb,
        ...(verb === "accepted" ? { user_id: user } : {}),
      };
    case "subscriptionItem":
      return ["updated", "freeTrialEnding"].includes(verb)
        ? {}
        : { status: verb === "pastDue" ? "past_due" : verb };
    default:
      return kind satisfies never;
  }
}

function roleOf(role: string): JsonObject {
  return { role: `org:${role.replace(/^org:/, "")}`, role_name: role };
}

/** The id of the object that an event is about: a new one, or the one that is stored. */
async function idOf(
  kind: Kind,
  verb: string,
  { user, organization }: { user: string; organization: string },
  { org }: Composition,
  stored: Stored | undefined,
): Promise<string> {
  switch (kind) {
    case "user":
      return user;
    case "organization":
      return organization;
    case "organizationMembership": {
      const id = await stored?.membershipOf(user, organization) ??
        await membershipId(user, organization);
      // Whoever comes back has a new membership.
      return verb === "created" && await stored?.isDeleted(id) === true ? anId("orgmem") : id;
    }
    case "organizationInvitation":
      if (FIRST.includes(verb)) return anId("orginv");
      return await stored?.invitationTo(organization) ?? anId("orginv");
    case "subscriptionItem":
      if (FIRST.includes(verb)) return anId("csub_item");
      return await stored?.itemOf(org ?? user) ?? anId("csub_item");
    default:
      return kind satisfies never;
  }
}

/** The same id each time for the same user and organization, so that updates and deletions match. */
async function membershipId(user: string, organization: string): Promise<string> {
  const text = new TextEncoder().encode(`${user} ${organization}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return `orgmem_${digest.toHex().slice(0, 27)}`;
}

/** The id that an assignment gives to the object. */
function idIn(set: readonly string[]): string | undefined {
  return set.find((assignment) => assignment.startsWith("id="))?.slice("id=".length);
}

async function fileBody(file: string, set: readonly string[]): Promise<string> {
  const body = await Deno.readTextFile(file).catch((error) => {
    throw new UsageError(`Cannot read --file ${file} as ${error.message}`);
  });
  if (set.length === 0) return body;

  const event = asObject(parseJson(body));
  const data = asObject(event?.data);
  if (event === undefined || data === undefined) {
    throw new UsageError(
      `Cannot use --set with ${file}: the file is not an event with an object in data`,
    );
  }
  for (const assignment of set) assign(data, assignment);
  return JSON.stringify(event);
}

function userIn(body: string): string | undefined {
  const id = asObject(asObject(parseJson(body))?.data)?.id;
  return typeof id === "string" && id.startsWith("user_") ? id : undefined;
}

/** Sets one field of an object: `first_name=Grace`, `public_metadata.plan="pro"`. */
function assign(data: JsonObject, assignment: string): void {
  const [, path = "", text = ""] = /^([^=]+)=([^]*)$/.exec(assignment) ?? [];
  if (path === "") {
    throw new UsageError(`Cannot use --set ${assignment}: write it as path=value`);
  }

  const names = path.split(".");
  const last = names.pop() ?? "";
  let place: JsonObject = data;
  for (const name of names) {
    place = inside(place, name, assignment);
  }
  refuseNoIndex(place, last, assignment);
  place[last] = parseJson(text) ?? (text === "null" ? null : text);
}

/** The object or array at a name; a new object if there is none. */
function inside(place: JsonObject, name: string, assignment: string): JsonObject {
  refuseNoIndex(place, name, assignment);
  const found = place[name];
  const inner = typeof found === "object" && found !== null ? found as JsonObject : {};
  place[name] = inner;
  return inner;
}

/** The elements of an array have numbers, and a new one is the next. */
function refuseNoIndex(place: JsonObject, name: string, assignment: string): void {
  if (!Array.isArray(place) || (/^\d+$/.test(name) && Number(name) <= place.length)) return;
  throw new UsageError(
    `Cannot use --set ${assignment} as ${name} is no element of the array there: it has ${place.length}, and the first is 0`,
  );
}

function parseJson(text: string): Json | undefined {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}
