import { z } from "zod";
import {
  aClerkPermission,
  aClerkRole,
  aClerkUser,
  anEvent,
  anId,
  type JsonObject,
  personOf,
} from "../../local/clerk/events.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import type { Message } from "../../local/clerk/deliver.ts";
import { isJsonObject, type Json } from "../../functions/_shared/clerk_sync/json.ts";
import { compose } from "../../operations/compose.ts";
import { deliverAll, shuffle } from "../../operations/deliver_all.ts";
import { parseExactly } from "../../operations/exact_json.ts";
import { Stored } from "../../operations/stored.ts";
import type { Events, Tried, TryEnd } from "../api.ts";
import { type Ask, Refused, type Routes, understood } from "./answer.ts";
import { commandLine, type Deps } from "./deps.ts";
import { lines } from "./lines.ts";
import { localOf } from "./local_stack.ts";

/** Deliveries at a time, in a burst. */
const AT_ONCE = 8;

const Body = z.object({
  type: z.string().regex(/^[A-Za-z]{1,64}\.[A-Za-z]{1,64}$/),
  body: z.string().nullable(),
  mode: z.enum(["once", "twice", "shuffled", "wrong_signature", "burst"]),
  count: z.int().min(1).max(1000).default(1),
});

/** What an event of this kind does, and its verbs. */
interface Kind {
  readonly verbs: readonly string[];
  readonly effect: string;
  /** The data; without it, the commands can compose one. */
  readonly data?: (verb: string, about: About) => JsonObject;
}

/** Somebody who is there, or a new id. */
interface About {
  readonly user: string;
  readonly organization: string;
}

/** Clerk's 45 types. docs/events.md tells more of each. */
const KINDS: Readonly<Record<string, Kind>> = {
  user: { verbs: ["created", "updated", "deleted"], effect: "the row in profiles" },
  organization: { verbs: ["created", "updated", "deleted"], effect: "the row in organizations" },
  organizationMembership: {
    verbs: ["created", "updated", "deleted"],
    effect: "the row in organization_memberships",
  },
  organizationInvitation: {
    verbs: ["created", "accepted", "revoked"],
    effect: "the row in organization_invitations",
  },
  organizationDomain: {
    verbs: ["created", "updated", "deleted"],
    effect: "the register only",
    data: (_, { organization }) =>
      anObject("organization_domain", "orgdmn", {
        organization_id: organization,
        name: "example.com",
        enrollment_mode: "automatic_suggestion",
      }),
  },
  role: {
    verbs: ["created", "updated", "deleted"],
    effect: "the row in organization_roles",
    data: () => aClerkRole("org:editor", [aClerkPermission("org:posts:write")]),
  },
  permission: {
    verbs: ["created", "updated", "deleted"],
    effect: "its key in every role",
    data: () => aClerkPermission("org:posts:write"),
  },
  subscription: {
    verbs: ["created", "updated", "active", "pastDue"],
    effect: "the register only",
    data: (_, { user }) => anObject("subscription", "csub", { status: "active", payer_id: user }),
  },
  subscriptionItem: {
    verbs: [
      ...["active", "abandoned", "canceled", "ended", "freeTrialEnding", "incomplete", "pastDue"],
      ...["upcoming", "updated"],
    ],
    effect: "the row in subscription_items",
  },
  paymentAttempt: {
    verbs: ["created", "updated"],
    effect: "the register only",
    data: (_, { user }) =>
      anObject("payment_attempt", "pa", { status: "pending", payer: { user_id: user } }),
  },
  session: {
    verbs: ["created", "pending", "ended", "removed", "revoked"],
    effect: "nothing: the inbox keeps it",
    data: (verb, { user }) =>
      anObject("session", "sess", {
        user_id: user,
        status: verb === "created" ? "active" : verb,
      }),
  },
  waitlistEntry: {
    verbs: ["created", "updated"],
    effect: "nothing: the inbox keeps it without its payload",
    data: () =>
      anObject("waitlist_entry", "wle", {
        email_address: "waiting@example.com",
        status: "pending",
      }),
  },
  email: {
    verbs: ["created"],
    effect: "nothing: the inbox keeps it without its payload",
    data: (_, { user }) =>
      anObject("email", "ema", { user_id: user, to_email_address: "ada@example.com", body: "Hi" }),
  },
  sms: {
    verbs: ["created"],
    effect: "nothing: the inbox keeps it without its payload",
    data: (_, { user }) =>
      anObject("sms_message", "sms", {
        user_id: user,
        to_phone_number: "+15550100",
        message: "Hi",
      }),
  },
};

const DELETED = "deleted";

/** Composes events of Clerk's, and sends them to the webhook of the local stack. */
export function tryRoutes(deps: Deps): Routes {
  return {
    "GET /api/events": async (): Promise<Events> => {
      const stored = new Stored(localOf(deps.project.local).databaseUrl);
      const about = await whomToWriteAbout(stored);
      const types = Object.entries(KINDS).flatMap(([kind, { verbs, effect }]) =>
        verbs.map((verb) => ({ type: `${kind}.${verb}`, effect }))
      );
      return {
        types: await Promise.all(types.map(async ({ type, effect }) => ({
          type,
          description: `Changes ${effect}.`,
          defaults: await defaultOf(type, about, stored),
        }))),
      };
    },
    "POST /api/try": (ask) => send(deps, ask),
  };
}

async function whomToWriteAbout(stored: Stored): Promise<Partial<About>> {
  const [user, organization] = await Promise.all([
    stored.newestUser(),
    stored.newestOrganization(),
  ]);
  return { ...(user && { user }), ...(organization && { organization }) };
}

/** An event about what is there, or about something new if it is the first one of its object. */
async function defaultOf(
  type: string,
  { user, organization }: Partial<About>,
  stored: Stored,
): Promise<JsonObject> {
  const [kind = "", verb = ""] = type.split(".");
  const isFirst = verb === "created" || verb === "active";
  const made = KINDS[kind]?.data?.(verb, {
    user: user ?? anId("user"),
    organization: organization ?? anId("org"),
  });
  if (made !== undefined) {
    const { object, id } = made;
    const data = verb === DELETED ? { object, id, deleted: true } : made;
    return anEvent(type, data, await stored.envelope());
  }
  const { messages: [message] } = await compose({
    type,
    user: isFirst && kind === "user" ? undefined : user,
    // A user pays, unless the item is an organization's.
    org: (isFirst && kind === "organization") || kind === "subscriptionItem"
      ? undefined
      : organization,
    role: undefined,
    set: [],
    file: undefined,
    count: 1,
  }, stored);
  return parseObject(message?.body ?? "{}") ?? {};
}

function anObject(object: string, prefix: string, fields: JsonObject): JsonObject {
  const now = Date.now();
  return { object, id: anIdOf(prefix), ...fields, created_at: now, updated_at: now };
}

function anIdOf(prefix: string): string {
  return anId("msg").replace("msg", prefix);
}

async function send(deps: Deps, { body: asked }: Ask): Promise<Response> {
  const { type, body, mode, count } = understood(Body, asked);
  const { databaseUrl, webhookUrl, signingSecret } = localOf(deps.project.local);
  const stored = new Stored(databaseUrl);
  const event = body ??
    JSON.stringify(await defaultOf(type, await whomToWriteAbout(stored), stored));
  const messages = messagesOf(event, mode, count, body === null);
  const secret = mode === "wrong_signature" ? aSigningSecret() : signingSecret;

  return lines(async (write, stop) => {
    await deliverAll({ url: webhookUrl, secret }, messages, {
      concurrency: mode === "burst" ? AT_ONCE : 1,
      stop,
      take: async ({ id, status, outcome, milliseconds }) => {
        const ms = Math.round(milliseconds);
        await write({ message_id: id, status, outcome, ms } satisfies Tried);
      },
    });
    const command = commandLine(deps.project, commandFor(type, body !== null, mode, count));
    await write({ done: true, command } satisfies TryEnd);
  }, deps);
}

type Mode = z.infer<typeof Body>["mode"];

/** @param isDefault whether the body is a default one, in which names and addresses are invented */
function messagesOf(body: string, mode: Mode, count: number, isDefault: boolean): Message[] {
  const message = { id: anId("msg"), body };
  switch (mode) {
    case "once":
    case "wrong_signature":
      return [message];
    case "twice":
      return [message, message];
    case "shuffled":
      return shuffle(variants(body, count, (data, number) => ({
        ...data,
        updated_at: Date.now() + number,
      })));
    case "burst":
      return variants(body, count, (data) => asAnother(data, isDefault));
    default:
      return mode satisfies never;
  }
}

/** The same data of another object. No two users have an address in common, nor a name that was invented. */
function asAnother(data: JsonObject, isDefault: boolean): JsonObject {
  if (typeof data.id !== "string") return data;
  const id = anIdOf(data.id.replace(/_[^_]*$/, ""));
  if (data.object !== "user" || data.deleted === true) return { ...data, id };
  if (isDefault) {
    const { first_name, last_name, email_addresses, primary_email_address_id } = aClerkUser(
      { id },
      personOf(id),
    );
    return { ...data, id, first_name, last_name, email_addresses, primary_email_address_id };
  }
  if (!Array.isArray(data.email_addresses)) return { ...data, id };
  const addresses = data.email_addresses.map((each) =>
    isJsonObject(each) && typeof each.email_address === "string"
      ? { ...each, email_address: `${id.slice(-6).toLowerCase()}.${each.email_address}` }
      : each
  );
  return { ...data, id, email_addresses: addresses };
}

/** So many messages like this one, with other data. */
function variants(
  body: string,
  count: number,
  change: (data: JsonObject, number: number) => JsonObject,
): Message[] {
  const event = parseObject(body);
  const { data } = event ?? {};
  if (event === undefined || !isJsonObject(data)) {
    throw new Refused(
      400,
      "Cannot make more than one event of this body: it must be a JSON object with an object in data",
    );
  }
  return Array.from({ length: count }, (_, number) => ({
    id: anId("msg"),
    body: JSON.stringify({ ...event, data: change(data, number) }),
  }));
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: Json = parseExactly(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function commandFor(type: string, isEdited: boolean, mode: Mode, count: number): string {
  const isComposed = !isEdited && KINDS[type.split(".")[0] ?? ""]?.data === undefined;
  const what = isComposed ? type : "--file event.json";
  const how = {
    once: "",
    twice: " --repeat 2",
    shuffled: ` --count ${count} --shuffle`,
    burst: ` --count ${count}`,
    wrong_signature: " --secret whsec_…",
  }[mode];
  return `send ${what}${how}`;
}
