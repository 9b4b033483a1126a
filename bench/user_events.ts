import type postgres from "postgres";
import { aClerkUser, anEvent, anId, type JsonObject } from "../local/clerk/events.ts";

/** One user event in every form that a benchmark writes. */
export interface UserEvent {
  readonly messageId: string;
  readonly userId: string;
  /** The whole event, about 3 kB of JSON. */
  readonly event: string;
  /** The profile's columns alone, as an array of one row of JSON. */
  readonly row: string;
}

/** Makes user events, creations and updates, each newer than all before. */
export class UserEvents {
  readonly #ids: string[];
  #number = 0;

  /** @param ids of the users that exist already */
  constructor(ids: readonly string[] = []) {
    this.#ids = [...ids];
  }

  /** @param updates the share of updates of existing users, each at most once: 0 to 1 */
  make(count: number, updates: number): UserEvent[] {
    const known = this.#ids.length;
    const used = new Set<string>();

    return Array.from({ length: count }, () => {
      const old = Math.random() < updates
        ? this.#ids[Math.floor(Math.random() * known)]
        : undefined;
      const isNew = old === undefined || used.has(old);
      const userId = isNew ? anId("user") : old;
      if (isNew) this.#ids.push(userId);
      used.add(userId);
      return anUserEvent(userId, ++this.#number, isNew);
    });
  }
}

const START = Date.now();

function anUserEvent(id: string, number: number, isNew: boolean): UserEvent {
  const at = START + number;
  const user = aClerkUser({
    id,
    first_name: `Ada ${number}`,
    external_accounts: [anExternalAccount(number, at)],
    updated_at: at,
  }, number);
  const event = anEvent(isNew ? "user.created" : "user.updated", user, { timestamp: at + 5 });
  const now = new Date(at).toISOString();

  const row = {
    id,
    first_name: user.first_name,
    last_name: user.last_name,
    locale: user.locale,
    image_url: user.image_url,
    has_image: user.has_image,
    email: `ada.${number}@example.com`,
    email_verified: true,
    verified_emails: [`ada.${number}@example.com`],
    phone_verified: false,
    public_metadata: user.public_metadata,
    unsafe_metadata: user.unsafe_metadata,
    banned: false,
    locked: false,
    deprovisioned: false,
    two_factor_enabled: false,
    last_sign_in_at: now,
    last_active_at: now,
    created_at: now,
    updated_at: now,
    synced_at: now,
  };
  return {
    messageId: anId("msg"),
    userId: id,
    event: JSON.stringify(event),
    row: JSON.stringify([row]),
  };
}

/** What Clerk sends for a user with an external account; brings the event to 3 kB. */
function anExternalAccount(number: number, at: number): JsonObject {
  const email = `ada.${number}@example.com`;
  return {
    object: "external_account",
    id: anId("idn"),
    provider: "oauth_google",
    identification_id: anId("idn"),
    provider_user_id: String(100_000_000_000 + number),
    approved_scopes: [
      "email",
      "https://www.example.com/auth/userinfo.email",
      "https://www.example.com/auth/userinfo.profile",
      "openid",
      "profile",
    ].join(" "),
    email_address: email,
    email_address_verified: true,
    first_name: `Ada ${number}`,
    last_name: "Marlowe",
    avatar_url: `https://img.example.com/avatars/${anId("idn")}`,
    image_url: `https://img.example.com/accounts/${anId("idn")}`,
    username: null,
    phone_number: null,
    public_metadata: {},
    label: null,
    created_at: at,
    updated_at: at,
    verification: {
      object: "verification_oauth",
      status: "verified",
      strategy: "oauth_google",
      attempts: null,
      expire_at: at + 600_000,
    },
  };
}

/** The speed of a series of events. */
export interface Pace {
  readonly perSecond: number;
  /** Duration of each event, ms, sorted. */
  readonly milliseconds: readonly number[];
}

/**
 * Runs one prepared statement per event over several connections, each in its own transaction. Its
 * parameters are $1 message id, $2 event, $3 row, $4 user id, all text.
 *
 * @throws {Error} when an answer is not the expected one
 */
export async function drive(
  sql: postgres.Sql,
  statement: string,
  events: readonly UserEvent[],
  connections: number,
): Promise<Pace> {
  const milliseconds: number[] = [];
  const waiting = events.values();
  const { text, parametersOf } = bind(statement);

  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, async () => {
    for (const event of waiting) {
      const sent = performance.now();
      const [answer] = await sql.unsafe<{ outcome?: string }[]>(text, parametersOf(event), {
        prepare: true,
      });
      milliseconds.push(performance.now() - sent);
      if (answer?.outcome !== undefined && answer.outcome !== "applied") {
        throw new Error(`Cannot measure as an event was ${answer.outcome}`);
      }
    }
  }));
  const seconds = (performance.now() - started) / 1000;

  return { perSecond: events.length / seconds, milliseconds: milliseconds.sort((a, b) => a - b) };
}

/** Renumbers the parameters that a statement uses, because Postgres allows no gaps. */
function bind(
  statement: string,
): { text: string; parametersOf: (event: UserEvent) => string[] } {
  const used = ["$1", "$2", "$3", "$4"].filter((name) => statement.includes(name));
  return {
    text: used.reduce((text, name, at) => text.replaceAll(name, `$${at + 1}::text`), statement),
    parametersOf: ({ messageId, event, row, userId }) => {
      const values: Record<string, string> = { $1: messageId, $2: event, $3: row, $4: userId };
      return used.map((name) => values[name] ?? "");
    },
  };
}
