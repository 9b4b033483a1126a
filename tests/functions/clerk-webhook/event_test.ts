import { assert, assertEquals } from "@std/assert";
import {
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import { type Issue, readEvent } from "../../../functions/clerk-webhook/event.ts";
import type { Json } from "../../../functions/clerk-webhook/json.ts";

function issuesOf(body: Json | string): readonly Issue[] {
  const reading = readEvent(typeof body === "string" ? body : JSON.stringify(body));
  return reading.kind === "unreadable" ? reading.issues : [];
}

function isReadable(body: Json): boolean {
  return readEvent(JSON.stringify(body)).kind === "readable";
}

Deno.test("readEvent() returns the whole event as it was sent, unknown fields too", () => {
  const event = anEvent("user.created", aClerkUser({ brand_new_field: [1, { a: null }] }));

  const reading = readEvent(JSON.stringify(event));

  assertEquals(reading, { kind: "readable", type: "user.created", event });
});

const LENIENT: [string, JsonObject][] = [
  ["no e-mail at all", { email_addresses: [], primary_email_address_id: null }],
  ["no list of e-mails", { email_addresses: null, primary_email_address_id: null }],
  ["all names null", { first_name: null, last_name: null, username: null }],
  ["no primary though addresses exist", { primary_email_address_id: null }],
  ["verification null", {
    email_addresses: [{ id: "idn_1", email_address: "a@example.com", verification: null }],
  }],
  ["private_metadata null", { private_metadata: null, public_metadata: null }],
  ["times in seconds", { created_at: 1716883200, updated_at: 1716883200 }],
  ["times in RFC 3339", { updated_at: "2023-05-01T10:00:00.123Z" }],
  ["external accounts of both shapes", {
    external_accounts: [{ id: "eac_1" }, { id: "idn_2", google_id: "7" }],
  }],
];

for (const [name, fields] of LENIENT) {
  Deno.test(`readEvent() reads a user with ${name}`, () => {
    assert(isReadable(anEvent("user.updated", aClerkUser(fields))));
  });
}

Deno.test("readEvent() reads a user of whom only the id is there", () => {
  assert(isReadable(anEvent("user.updated", { id: "user_1" })));
  assert(isReadable(anEvent("user.deleted", aDeletedClerkUser("user_1"))));
});

Deno.test("readEvent() reads an envelope without timestamp, instance and attributes", () => {
  assert(isReadable({ type: "user.created", data: aClerkUser() }));
});

Deno.test("readEvent() reads types it does not know, whatever their data", () => {
  assert(isReadable(anEvent("planet.discovered", { id: 7, moons: null })));
});

const UNREADABLE: [string, Json | string, string, string][] = [
  ["an empty body", "", "", "not_json"],
  ["a body that is no JSON", "{oops", "", "not_json"],
  ["a body with a byte order mark", "\u{FEFF}{}", "", "not_json"],
  ["a number", "7", "", "invalid_type"],
  ["an array", "[]", "", "invalid_type"],
  ["null", "null", "", "invalid_type"],
  ["no type", { data: {} }, "type", "invalid_type"],
  ["a type that is no text", { type: 7, data: {} }, "type", "invalid_type"],
  ["an empty type", { type: "", data: {} }, "type", "too_small"],
  ["a type without end", { type: "x".repeat(256), data: {} }, "type", "too_big"],
  ["no data", { type: "user.created" }, "data", "invalid_type"],
  ["data that is an array", { type: "user.created", data: [] }, "data", "invalid_type"],
  ["data of any type that is an array", { type: "a.b", data: [] }, "data", "invalid_type"],
  ["a user without id", anEvent("user.created", { first_name: "Ada" }), "data.id", "invalid_type"],
  ["a deletion without id", anEvent("user.deleted", { deleted: true }), "data.id", "invalid_type"],
  [
    "the id of something else",
    anEvent("user.created", { id: "org_1" }),
    "data.id",
    "invalid_format",
  ],
  [
    "a name that is a number",
    anEvent("user.created", aClerkUser({ first_name: 7 })),
    "data.first_name",
    "invalid_type",
  ],
  [
    "an address that is no object",
    anEvent("user.created", aClerkUser({ email_addresses: ["ada@example.com"] })),
    "data.email_addresses.0",
    "invalid_type",
  ],
  [
    "metadata that is no object",
    anEvent("user.created", aClerkUser({ public_metadata: "x" })),
    "data.public_metadata",
    "invalid_type",
  ],
  [
    "metadata that is an array",
    anEvent("user.created", aClerkUser({ unsafe_metadata: [] })),
    "data.unsafe_metadata",
    "invalid_type",
  ],
  [
    "a time beyond all calendars",
    anEvent("user.created", aClerkUser({ updated_at: 1e300 })),
    "data.updated_at",
    "too_big",
  ],
];

for (const [name, body, path, code] of UNREADABLE) {
  Deno.test(`readEvent() calls ${name} unreadable, with path and code`, () => {
    assertEquals(issuesOf(body)[0], { path, code });
  });
}

Deno.test("readEvent() never quotes a value in its issues", () => {
  const event = anEvent("user.created", aClerkUser({ id: "ada@example.com", first_name: 7 }));

  assertEquals(JSON.stringify(issuesOf(event)).includes("ada@"), false);
});

const NESTED = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

Deno.test("readEvent() calls what nests deeper than 100 unreadable, without parsing it", () => {
  assertEquals(issuesOf(NESTED), [{ path: "", code: "too_deep" }]);
});

Deno.test("readEvent() keeps what is no storable JSON as raw text, and names the type if it can", () => {
  const cases: [string, Json, string | null][] = [
    ["{oops\0", { raw: "{oops\u{FFFD}" }, null],
    ["[1]", { raw: "[1]" }, null],
    [NESTED, { raw: NESTED }, null],
    ['{"type":"user.created"}', { type: "user.created" }, "user.created"],
  ];

  for (const [body, payload, type] of cases) {
    const reading = readEvent(body);
    assertEquals(reading.kind === "unreadable" && reading.payload, payload);
    assertEquals(reading.type, type);
  }
});

Deno.test("readEvent() makes NULs and lone surrogates storable, and reads the rest", () => {
  const body = JSON.stringify(anEvent("user.created", aClerkUser({ first_name: "A\0da\ud800" })));

  const reading = readEvent(body);

  assert(reading.kind === "readable");
  assert(JSON.stringify(reading.event).includes('"first_name":"A\u{FFFD}da\u{FFFD}"'));
});

Deno.test("readEvent() is not led astray by names of prototypes", () => {
  const body = '{"type":"constructor","data":{"__proto__":{"id":"user_1"},"toString":1}}';

  const reading = readEvent(body);

  assertEquals(reading.kind, "readable");
  assertEquals(reading.type, "constructor");
});
