import { assert, assertEquals } from "@std/assert";
import {
  aClerkMembership,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../../local/clerk/events.ts";
import type { Issue } from "../../../functions/_shared/clerk_sync/clerk.ts";
import { readEvent } from "../../../functions/clerk-webhook/event.ts";
import type { Json } from "../../../functions/_shared/clerk_sync/json.ts";

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

  assertEquals(reading, {
    kind: "readable",
    type: "user.created",
    event: JSON.stringify(event),
    asType: null,
    dropped: [],
  });
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

Deno.test("readEvent() reads a user with nothing but an id", () => {
  assert(isReadable(anEvent("user.updated", { id: "user_1" })));
  assert(isReadable(anEvent("user.deleted", aDeletedClerkUser("user_1"))));
});

Deno.test("readEvent() reads an envelope without timestamp, instance and attributes", () => {
  assert(isReadable({ type: "user.created", data: aClerkUser() }));
});

Deno.test("readEvent() reads types it does not know, with any data", () => {
  assert(isReadable(anEvent("planet.discovered", { id: 7, moons: null })));
});

const UNREADABLE: [string, Json | string, string, string][] = [
  ["an empty body", "", "", "not_json"],
  ["a body that is not JSON", "{oops", "", "not_json"],
  ["a body with a byte order mark", "\u{FEFF}{}", "", "not_json"],
  ["a number", "7", "", "invalid_type"],
  ["an array", "[]", "", "invalid_type"],
  ["null", "null", "", "invalid_type"],
  ["no type", { data: {} }, "type", "invalid_type"],
  ["a type that is not a text", { type: 7, data: {} }, "type", "invalid_type"],
  ["an empty type", { type: "", data: {} }, "type", "too_small"],
  ["a type of 256 characters", { type: "x".repeat(256), data: {} }, "type", "too_big"],
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
    "an address that is not an object",
    anEvent("user.created", aClerkUser({ email_addresses: ["ada@example.com"] })),
    "data.email_addresses.0",
    "invalid_type",
  ],
  [
    "addresses that are not a list",
    anEvent("user.created", aClerkUser({ email_addresses: { 0: {} } })),
    "data.email_addresses",
    "invalid_type",
  ],
  [
    "a verification that is a number",
    anEvent("user.created", aClerkUser({ phone_numbers: [{ verification: 7 }] })),
    "data.phone_numbers.0.verification",
    "invalid_type",
  ],
  [
    "a verification whose status is a number",
    anEvent("user.created", aClerkUser({ email_addresses: [{ verification: { status: 7 } }] })),
    "data.email_addresses.0.verification.status",
    "invalid_type",
  ],
  [
    "a primary address that is a number",
    anEvent("user.created", aClerkUser({ primary_email_address_id: 7 })),
    "data.primary_email_address_id",
    "invalid_type",
  ],
  [
    "a ban that is a text",
    anEvent("user.updated", aClerkUser({ banned: "yes" })),
    "data.banned",
    "invalid_type",
  ],
  [
    "a deprovisioning that is a number",
    anEvent("user.updated", aClerkUser({ deprovisioned: 1 })),
    "data.deprovisioned",
    "invalid_type",
  ],
  [
    "an instance that is a number",
    { ...anEvent("user.updated", aClerkUser()), instance_id: 7 },
    "instance_id",
    "invalid_type",
  ],
  [
    "a time in words",
    anEvent("user.created", aClerkUser({ created_at: "yesterday" })),
    "data.created_at",
    "invalid_format",
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

/** Every cosmetic field of a user, with values of wrong types. */
const COSMETIC: [string, Json[]][] = [
  ["external_id", [7, true, ["x"], {}]],
  ["username", [7, true, ["x"], {}]],
  ["first_name", [7, true, ["x"], {}]],
  ["last_name", [7, true, ["x"], {}]],
  ["locale", [7, true, ["x"], {}]],
  ["image_url", [7, true, ["x"], {}]],
  ["has_image", [1, "true", [true], {}]],
  ["locked", [1, "true", [true], {}]],
  ["two_factor_enabled", [1, "true", [true], {}]],
  ["public_metadata", [1, "true", [{}], false]],
  ["unsafe_metadata", [1, "true", [{}], false]],
];

for (const [field, values] of COSMETIC) {
  Deno.test(`readEvent() reads a user with an odd ${field}, and names it`, () => {
    for (const odd of values) {
      const event = JSON.stringify(anEvent("user.updated", aClerkUser({ [field]: odd })));

      const reading = readEvent(event);

      assertEquals(reading, {
        kind: "readable",
        type: "user.updated",
        event,
        asType: null,
        dropped: [`data.${field}`],
      });
    }
  });
}

Deno.test("readEvent() names the odd field of every entry, in lists of any length", () => {
  const entries = {
    email_addresses: Array.from({ length: 300 }, (_, number) => ({
      id: `idn_${number}`,
      email_address: 7,
      verification: { status: "verified" },
    })),
    phone_numbers: [{ id: "idn_p", phone_number: ["+1"] }],
  };

  const reading = readEvent(JSON.stringify(anEvent("user.updated", aClerkUser(entries))));

  assert(reading.kind === "readable");
  assertEquals(reading.dropped, [
    ...Array.from({ length: 300 }, (_, number) => `data.email_addresses.${number}.email_address`),
    "data.phone_numbers.0.phone_number",
  ]);
});

Deno.test("readEvent() reads the deletion of a membership by its ids, whatever else is odd", () => {
  const membership = aClerkMembership({ user: "user_ada", organization: "org_lantern" }, {
    role: 5,
    permissions: "all",
    updated_at: {},
  });

  assert(isReadable(anEvent("organizationMembership.deleted", membership)));
  assert(!isReadable(anEvent("organizationMembership.updated", membership)));
});

Deno.test("readEvent() hands on an event that it cannot read as it was sent", () => {
  const event = anEvent("user.updated", aClerkUser({ locale: 7, banned: 7 }));

  const reading = readEvent(JSON.stringify(event));

  assert(reading.kind === "unreadable");
  assertEquals(reading.issues, [{ path: "data.banned", code: "invalid_type" }]);
  assertEquals(reading.payload, JSON.stringify(event));
});

Deno.test("readEvent() is not confused by unknown keys, whatever their names and values", () => {
  const body =
    '{"type":"user.updated","data":{"id":"user_1","__proto__":{"locale":7},"constructor":7,"locale":7,' +
    '"email_addresses":[{"id":"idn_1","__proto__":7,"toString":null}]},"hasOwnProperty":7}';

  const reading = readEvent(body);

  assert(reading.kind === "readable");
  assertEquals([reading.event, reading.dropped], [body, ["data.locale"]]);
});

Deno.test("readEvent() never quotes a value in its issues", () => {
  const event = anEvent("user.created", aClerkUser({ id: "ada@example.com", banned: "grace@" }));

  assertEquals(issuesOf(event).length, 2);
  assertEquals(/ada@|grace@/.test(JSON.stringify(issuesOf(event))), false);
});

const NESTED = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

Deno.test("readEvent() calls a body that nests deeper than 5,000 levels unreadable, without parsing it", () => {
  assertEquals(issuesOf(NESTED), [{ path: "", code: "too_deep" }]);
});

Deno.test("readEvent() keeps a body that is not a JSON object as raw text, and names the type if it can", () => {
  const cases: [string, string | { raw: string }, string | null][] = [
    ["{oops\0", { raw: "{oops\u{FFFD}" }, null],
    ["[1]", { raw: "[1]" }, null],
    [NESTED, { raw: NESTED }, null],
    ['{"type":"user.created"}', '{"type":"user.created"}', "user.created"],
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
  assertEquals(JSON.parse(reading.event).data.first_name, "A\u{FFFD}da\u{FFFD}");
});

Deno.test("readEvent() is not confused by names of Object.prototype", () => {
  const body = '{"type":"constructor","data":{"__proto__":{"id":"user_1"},"toString":1}}';

  const reading = readEvent(body);

  assertEquals(reading.kind, "readable");
  assertEquals(reading.type, "constructor");
});

/** JSON texts of this depth: objects, arrays, and both in turn. */
function nests(depth: number): string[] {
  const pairs = depth / 2;
  return [
    `${'{"a":'.repeat(depth)}7${"}".repeat(depth)}`,
    `${"[".repeat(depth)}${"]".repeat(depth)}`,
    `${'{"a":['.repeat(pairs)}"\\ufffd"${"]}".repeat(pairs)}`,
  ];
}

Deno.test("readEvent() reads an event that nests 5,000 levels deep, and keeps a deeper one as raw text", () => {
  const body = (metadata: string): string =>
    `{"type":"user.updated","data":{"id":"user_1","locale":7,"unsafe_metadata":{"a":${metadata}}}}`;

  for (const metadata of nests(4_996)) {
    const reading = readEvent(body(`[${metadata}]`));

    assert(reading.kind === "readable");
    assertEquals([reading.event, reading.dropped], [body(`[${metadata}]`), ["data.locale"]]);
  }
  for (const metadata of nests(4_998)) {
    const reading = readEvent(body(metadata));

    assert(reading.kind === "unreadable");
    assertEquals(reading.issues, [{ path: "", code: "too_deep" }]);
    assertEquals(reading.payload, { raw: body(metadata) });
  }
});

Deno.test("readEvent() leaves every number in the digits that were sent", () => {
  const body = '{"type":"user.updated","data":{"id":"user_1","updated_at":1760000000000.0,' +
    '"public_metadata":{"a":[9007199254740993,-12345678901234567890,0.1234567890123456789,1e400,' +
    "-1E-400,1.0,-0,1e+22]}}}";

  const reading = readEvent(body);

  assert(reading.kind === "readable");
  assertEquals(reading.event, body);
});

Deno.test("readEvent() checks what the database will read: a long exponent makes a text", () => {
  const body = (field: string): string =>
    `{"type":"organization.updated","data":{"id":"org_1","${field}":1e-20000}}`;

  const count = readEvent(body("members_count"));

  assertEquals(issuesOf(body("updated_at"))[0]?.path, "data.updated_at");
  assert(count.kind === "readable");
  assertEquals(count.dropped, ["data.members_count"]);
});
