import type { Json } from "../functions/clerk-webhook/json.ts";
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
} from "../local/clerk/events.ts";
import { UsageError } from "./usage.ts";

/** What to compose: generated events, or the body of a file. */
export interface Composition {
  readonly type: string;
  readonly user: string | undefined;
  readonly org: string | undefined;
  readonly role: string;
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
  subscriptionItem: ["active", "canceled", "ended", "pastDue", "updated"],
};

type Kind = keyof typeof VERBS;

/**
 * The messages, and the user whose profile they change, if there is exactly one.
 *
 * @throws {UsageError} for an unknown type, a file that cannot be used, or a malformed `set`.
 */
export async function compose(
  options: Composition,
): Promise<{ messages: Message[]; user: string | undefined }> {
  if (options.file !== undefined) {
    const body = await fileBody(options.file, options.set);
    return {
      messages: Array.from({ length: options.count }, () => ({ id: anId("msg"), body })),
      user: userIn(body),
    };
  }

  const [kind, verb] = kindAndVerb(options.type);
  const messages: Message[] = [];
  let user: string | undefined;
  for (let number = 0; number < options.count; number++) {
    user = options.user ?? anId("user");
    const data = await dataOf(kind, verb, user, options, number);
    for (const assignment of options.set) assign(data, assignment);
    messages.push({ id: anId("msg"), body: JSON.stringify(anEvent(options.type, data)) });
  }

  const isAboutOne = options.user !== undefined ||
    (options.count === 1 && ["user", "organizationMembership"].includes(kind));
  return { messages, user: isAboutOne ? user : undefined };
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

/** The data of one generated event. */
async function dataOf(
  kind: Kind,
  verb: string,
  user: string,
  options: Composition,
  number: number,
): Promise<JsonObject> {
  const organization = options.org ?? anId("org");
  // Versions are a millisecond apart, so that it is clear which one is the newest.
  const version = options.count > 1 ? { updated_at: Date.now() + number } : {};
  const role = `org:${options.role.replace(/^org:/, "")}`;

  switch (kind) {
    case "user":
      return verb === "deleted"
        ? aDeletedClerkUser(user)
        : aClerkUser({ id: user, ...version }, number);
    case "organization":
      return verb === "deleted"
        ? aDeletedClerkOrganization(organization)
        : aClerkOrganization({ id: organization, ...version });
    case "organizationMembership":
      return aClerkMembership({ user, organization }, {
        id: await membershipId(user, organization),
        role,
        role_name: options.role,
        ...version,
      });
    case "organizationInvitation":
      return aClerkInvitation(organization, {
        role,
        status: verb === "created" ? "pending" : verb,
        ...(verb === "accepted" ? { user_id: user } : {}),
        ...version,
      });
    case "subscriptionItem":
      return aClerkSubscriptionItem(options.org === undefined ? { user } : { organization }, {
        status: { pastDue: "past_due", updated: "active" }[verb] ?? verb,
        ...version,
      });
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
  let place = data;
  for (const name of names) {
    const inner = asObject(place[name]) ?? {};
    place[name] = inner;
    place = inner;
  }
  place[last] = parseJson(text) ?? (text === "null" ? null : text);
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}
