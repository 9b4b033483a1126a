import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import type { JsonObject } from "../../local/clerk/events.ts";

/** One message from Clerk, as Svix delivers it. */
export interface Message {
  readonly id: string;
  readonly event: JsonObject;
}

/**
 * How one attempt ends. `kept` commits. `slow` commits too, but holds its locks longer. `refused` hits
 * a trigger of the application that raises, and is answered with 500. `cut` loses its connection before
 * the commit.
 */
export type Fate = "kept" | "slow" | "refused" | "cut";

/** The kinds of objects that Clerk lists in pages, in the order in which a run reads them. */
export const PAGE_KINDS = [
  "user",
  "organization",
  "role",
  "permission",
  "membership",
  "invitation",
] as const;

export type PageKind = typeof PAGE_KINDS[number];

/** All living objects of a kind, as Clerk's Backend API lists them at some moment. */
export interface Page {
  readonly id: string;
  readonly kind: PageKind;
  /** The time of the response, ms. */
  readonly observedAt: number;
  readonly objects: readonly JsonObject[];
}

/** A message or a page that reaches the database, or a browser that calls `ensure_profile()`. */
export type Arrival =
  | { readonly message: string; readonly fate: Fate }
  | { readonly page: string; readonly fate: Fate }
  | Visit;

/** A browser that calls `ensure_profile()`. */
export interface Visit {
  readonly opens: string;
  /** The organization that the session token names. */
  readonly within?: string;
  /** When the token was issued, s. */
  readonly issuedAt: number;
}

/** Everything that a run delivers, and how. A saved counter-example is a plan. */
export interface Plan {
  /** How many connections deliver at once, 1 to 8. */
  readonly connections: number;
  /** The messages that arrive at some time, in the order of sending. */
  readonly messages: readonly Message[];
  /** The pages that are read at some time, in the order of reading. */
  readonly pages: readonly Page[];
  /** What Clerk lists in the end, when messages were lost; nothing else. */
  readonly listing: readonly Page[];
  /** Each message and each page once and each browser's call, in the order of sending. */
  readonly inOrder: readonly Arrival[];
  /** The same in another order, with repetitions and failures. */
  readonly inDisorder: readonly Arrival[];
}

/** Sub and active organization of a session token, in Clerk's second version. */
export function claimsOf({ opens, within, issuedAt }: Visit): JsonObject {
  return {
    sub: opens,
    role: "authenticated",
    v: 2,
    iat: issuedAt,
    ...within === undefined ? {} : { o: { id: within, rol: "admin" } },
  };
}

/**
 * The event, or the objects of a page, as JSON text. A number that JavaScript cannot hold is a text such as
 * `"9007199254740993n"` in an event, and in rows.
 */
export function jsonOf(event: JsonObject | Page["objects"]): string {
  return JSON.stringify(event).replaceAll(/"(\d{17,})n"/g, "$1");
}

/** The rows in a JSON text, with {@linkcode flat} metadata. */
export function parseRows(json: string): Json {
  const rows = JSON.parse(json.replaceAll(/(?<=[:[,] ?)(\d{17,})(?=[,}\]])/g, '"$1n"'));
  for (const profile of Object.values<JsonObject>(rows.profiles)) {
    profile.unsafe_metadata = flat(profile.unsafe_metadata);
  }
  return rows;
}

/** Metadata with its deep value as text: nothing compares thousands of levels. */
export function flat(metadata: Json | undefined): JsonObject {
  const { deep, ...rest } = metadata as JsonObject;
  return deep === undefined ? rest : { ...rest, deep: JSON.stringify(deep) };
}

/** The text at a path of an event, when there is one. */
export function textAt(event: Json | undefined, ...path: readonly string[]): string | undefined {
  const value = valueAt(event, path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The number at a path of an event, when there is one. */
export function numberAt(event: Json | undefined, ...path: readonly string[]): number | undefined {
  const value = valueAt(event, path);
  return typeof value === "number" ? value : undefined;
}

function valueAt(event: Json | undefined, path: readonly string[]): Json | undefined {
  let value = event;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = value[key];
  }
  return value;
}

/**
 * The strings that occur in a person's data and nowhere else, so that one search finds out whether
 * anything of a person is left.
 */
export function marksOf(userId: string): readonly string[] {
  const number = Number(userId.replace(/\D/g, ""));
  return [wordOf(number), phoneOf(number)];
}

/** The id of a person, in the format of Clerk's: 27 letters and digits. */
export function userId(person: number): string {
  return `user_person${String(person).padStart(21, "0")}`;
}

/** The word that all texts about a person contain. */
export function wordOf(person: number): string {
  return `mark${person}z`;
}

/** A person's phone number. */
export function phoneOf(person: number): string {
  return `+1555010000${person}`;
}

/** The string that only the address of this invitation contains. */
export function markOfInvitation(invitationId: string): string {
  return `guest${invitationId.replace("orginv_", "")}z`;
}

/** A plan in readable form: what is sent, and what arrives in which order. */
export function describe({ connections, messages, pages, inOrder, inDisorder }: Plan): string {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const pageById = new Map(pages.map((page) => [page.id, page]));
  const list = (arrivals: readonly Arrival[]): string[] =>
    arrivals.map((arrival, at) =>
      `  ${at + 1}. ${"page" in arrival ? pageLineOf(arrival, pageById) : lineOf(arrival, byId)}`
    );
  return [
    "Sent:",
    ...list(inOrder),
    `Delivered over ${connections === 1 ? "one connection" : `${connections} connections`}:`,
    ...list(inDisorder),
    "Then again, in order of sending, whatever was not answered with 2xx or not taken.",
  ].join("\n");
}

function pageLineOf(
  { page: id, fate }: Extract<Arrival, { page: string }>,
  pages: ReadonlyMap<string, Page>,
): string {
  const page = pages.get(id);
  const objects = (page?.objects ?? []).map(({ id, updated_at }) => `${id} of ${updated_at}`);
  const what = `${id} of ${page?.observedAt}: ${objects.join(", ")}`;
  return `${what}${fate === "kept" ? "" : `  ← ${fate}`}`;
}

function lineOf(
  arrival: Exclude<Arrival, { page: string }>,
  messages: ReadonlyMap<string, Message>,
): string {
  if ("opens" in arrival) {
    const within = arrival.within === undefined ? "" : ` within ${arrival.within}`;
    return `ensure_profile() of ${arrival.opens}${within}`;
  }

  const event = messages.get(arrival.message)?.event;
  if (typeof event?.raw === "string") return `${arrival.message} ${event.raw}`;
  const { id, updated_at = "–" } = event?.data as JsonObject;
  const what = `${arrival.message} ${event?.type} ${id}`;
  const fate = arrival.fate === "kept" ? "" : `  ← ${arrival.fate}`;
  return `${what}, updated_at ${updated_at}, timestamp ${event?.timestamp ?? "–"}${fate}`;
}
