import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { everyEvent } from "../fixtures/every_event.ts";
import { letters, oneOf, type Pick } from "../random.ts";

/**
 * A placeholder for JSON text that no value can express: numbers beyond a double, thousands of levels.
 * The text must not contain quotes.
 */
function verbatim(text: string): string {
  return `\u{E000}${text}\u{E001}`;
}

/** The value as JSON text, with the text of every {@link verbatim} in place. */
export function hostileText(value: Json): string {
  return JSON.stringify(value).replace(/"\u{E000}([^\u{E001}]*)\u{E001}"/gu, "$1");
}

const NUMBERS: readonly [Json, ...Json[]] = [
  0,
  -1,
  1.5,
  1e308,
  5e-324,
  2 ** 31,
  8.64e15 + 1,
  253402300800000,
  ...[
    "1e400",
    "-1e400",
    "9007199254740993",
    "1e131000",
    "1e-400",
    "-0",
    "9".repeat(400),
    "1e9999",
    "-1.5E-20000",
  ]
    .map(verbatim),
];

const TIMES: readonly [Json, ...Json[]] = [
  "2026-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "0000-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999+14:00",
  "2026-02-30T00:00:00Z",
  "2026-01-01T00:00:00+99:99",
  "2026-01-01T25:61:61Z",
  `2026-01-01T00:00:00.${"9".repeat(500)}Z`,
  "infinity",
  "-infinity",
  "now",
  "epoch",
  "NaN",
];

export const TEXTS: readonly [string, ...string[]] = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "a\udfffb",
  "\u{FEFF}",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "'; drop table public.profiles; --",
  "' or '1'='1",
  "$1",
  "%s%n",
  "\\",
  '"',
  "{}",
  "null",
  "{raw}",
  "../../../etc/passwd",
  "\u202Egnp.exe",
  "e\u0301".repeat(50),
  "{1,2}",
  "(1,2)",
];

const IDS: readonly [string, ...string[]] = [
  "user_",
  "org_",
  "user_a",
  "user_a\n",
  "user_a b",
  "USER_a",
  "users_a",
  "user_a_b",
  "user_user_a",
  "org_user_a",
  "orgmem_a",
  "org_mem_a",
  "orginv_a",
  "role_a",
  "csub_item_a",
  "__proto___a",
  "constructor_a",
  "user_'; delete from clerk_sync.objects; --",
  `user_${"a".repeat(200)}`,
  `user_${"a".repeat(201)}`,
  `user_${"a".repeat(251)}`,
  "ins_a",
];

const KEYS: readonly [string, ...string[]] = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "",
  "\0",
  "\ud800",
  "a.b",
  "id",
  "raw",
  "data",
  "type",
  "instance_id",
  "user_aaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "nadia.ferreira@seagrass.example",
];

const TYPES: readonly [string, ...string[]] = [
  "__proto__",
  "constructor",
  "user.exploded",
  "user.",
  ".deleted",
  "USER.CREATED",
  "user.created ",
  "role.created",
  "role.deleted",
  "user.deleted",
  "organization.deleted",
  "organizationMembership.deleted",
  "email.created",
  "session.created",
];

/** A value that is wrong everywhere. */
export function aHostileValue(pick: Pick): Json {
  switch (pick(12)) {
    case 0:
      return oneOf<Json>(pick, [null, true, false, [], {}, [[]], [null], ""]);
    case 1:
    case 2:
      return oneOf(pick, NUMBERS);
    case 3:
      return oneOf(pick, TIMES);
    case 4:
    case 5:
      return oneOf(pick, IDS);
    case 6:
      return aHugeText(pick);
    case 7:
      return Object.fromEntries(
        Array.from({ length: pick(5) }, () => [oneOf(pick, KEYS), oneOf(pick, TEXTS)]),
      );
    case 8:
      return Array.from({ length: pick(4) }, () => aHostileValue(pick));
    case 9: {
      const depth = oneOf(pick, [50, 4_000, 50_000]);
      return verbatim("[".repeat(depth) + "]".repeat(depth));
    }
    default:
      return oneOf(pick, TEXTS);
  }
}

/** A text too long for any index, which does not compress. */
export function aHugeText(pick: Pick): string {
  return letters(pick, 6_000);
}

/** A place in a JSON value. */
interface Place {
  readonly path: readonly string[];
  replace(value: Json): void;
  remove(): void;
  readonly value: Json;
}

/** Every place in a value but its root. */
function placesIn(value: Json, path: readonly string[] = []): Place[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as { [key: string]: Json };
  return Object.keys(holder).flatMap((key) => [
    {
      path: [...path, key],
      value: holder[key] ?? null,
      replace: (replacement) => define(holder, key, replacement),
      remove: () => {
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
      },
    },
    ...placesIn(holder[key] ?? null, [...path, key]),
  ]);
}

/** Sets a key that may be `__proto__`. */
function define(holder: object, key: string, value: Json): void {
  Object.defineProperty(holder, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** The names and indexes of every place in an event, joined by dots. */
export function pathsIn(event: JsonObject): string[] {
  return placesIn(event).map(({ path }) => path.join("."));
}

/** A copy with another value at one path. */
export function withValueAt(event: JsonObject, path: string, value: Json): JsonObject {
  const copy = structuredClone(event);
  placesIn(copy).find((place) => place.path.join(".") === path)?.replace(value);
  return copy;
}

/** A copy with one to three mistakes, as JSON text. */
export function mutated(event: JsonObject, pick: Pick): string {
  const copy = structuredClone(event);
  for (let count = 1 + pick(3); count > 0; count--) mutate(copy, pick);
  return wrongText(hostileText(copy), pick);
}

function mutate(event: JsonObject, pick: Pick): void {
  const places = placesIn(event);
  const place = places[pick(places.length)];
  if (place === undefined) return;

  switch (pick(10)) {
    case 0:
      return place.remove();
    case 1:
      return define(event, "type", oneOf(pick, TYPES));
    case 2:
      return place.replace([place.value]);
    case 3:
      return place.replace({ [oneOf(pick, KEYS)]: place.value });
    case 4: {
      const holder = typeof place.value === "object" && place.value !== null ? place.value : event;
      return define(holder, oneOf(pick, KEYS), aHostileValue(pick));
    }
    case 5: {
      // A value from elsewhere in the same event: an organization's id where a user's belongs.
      const other = places[pick(places.length)];
      return place.replace(structuredClone(other?.value ?? null));
    }
    default:
      return place.replace(aHostileValue(pick));
  }
}

/** Usually the text as it is; sometimes a variant that a parser may stumble over. */
function wrongText(text: string, pick: Pick): string {
  const at = pick(text.length);
  switch (pick(40)) {
    case 0:
      return `\u{FEFF}${text}`;
    case 1:
      return text.slice(0, at);
    case 2:
      return `${text}${oneOf(pick, ["}", "\0", "null", text, "//"])}`;
    case 3:
      return `${text.slice(0, at)}${oneOf(pick, ["\0", '"', "\\", "\u{FEFF}"])}${text.slice(at)}`;
    case 4:
      // The same key twice: the last one counts, for us and for jsonb.
      return text.replace(/"(id|type|updated_at)":/, '"$1":"user_first","$1":');
    case 5:
      return oneOf(pick, ["", "null", "[]", '"text"', "0", "{}", `[${text}]`, '{"raw":{}}']);
    case 6:
      return `[`.repeat(50_000) + text;
    default:
      return text;
  }
}

const FIXTURES = everyEvent();

/**
 * A valid event of one of Clerk's 45 types, usually about people and teams that no other event
 * mentions.
 *
 * @param number chooses the type, so that each has its turn
 */
export function aValidEvent(pick: Pick, number: number): JsonObject {
  const fixture = FIXTURES[number % FIXTURES.length]?.event ?? {};
  return pick(5) === 0 ? structuredClone(fixture) : withIdsOfItsOwn(fixture, pick);
}

/** A copy about people and teams that no other event mentions. */
export function withIdsOfItsOwn(event: JsonObject, pick: Pick): JsonObject {
  const tag = letters(pick, 10);
  return JSON.parse(
    JSON.stringify(event).replace(/([a-z]_3F[A-Za-z0-9]{15})[A-Za-z0-9]{10}/g, `$1${tag}`),
  );
}

/** A valid message id: 1 to 255 characters. */
export function aMessageId(pick: Pick): string {
  if (pick(20) > 0) return `msg_${letters(pick, 20)}`;
  return oneOf(pick, [
    "msg_again",
    "__proto__",
    "constructor",
    "'; drop table clerk_sync.inbox; --",
    "m".repeat(255),
    "{}",
    "%00",
    ".",
    "msg_1.1760000000",
  ]);
}
