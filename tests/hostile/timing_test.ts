import { assert, assertEquals } from "@std/assert";
import { signedHeadersFor } from "../../local/clerk/deliver.ts";
import { createVerifier } from "../../functions/clerk-webhook/verify.ts";
import { createHandler } from "../../functions/clerk-worker/http.ts";
import { aSigningSecret } from "../secrets.ts";

// How long a refusal takes tells nothing about the secret. This counts steps rather than time: two
// signatures compared naively, to the first difference or to the last one, are less than 1 µs apart, a
// verification takes some 70 µs, and the medians of 20,000 interleaved ones are as far apart as that
// with a comparison that is sound. A test by the clock would be green whatever the comparison is.

/** How many bytes are read from a `DataView`, which is how svix compares signatures. */
function bytesComparedBy(act: () => unknown): number {
  const real = DataView.prototype.getUint8;
  let bytes = 0;
  DataView.prototype.getUint8 = function (this: DataView, at: number): number {
    bytes++;
    return real.call(this, at);
  };
  try {
    act();
  } finally {
    DataView.prototype.getUint8 = real;
  }
  return bytes;
}

/** The text with another letter at one place: it shares what stands before with the right one. */
function wrongFrom(at: number, text: string): string {
  return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
}

Deno.test("a wrong signature costs the same, however much of it is right", () => {
  const secret = aSigningSecret();
  const verify = createVerifier(secret);
  const body = '{"type":"user.created"}';
  const headers = signedHeadersFor({ id: "msg_1", body }, secret);
  const signed = { id: "msg_1", timestamp: headers["svix-timestamp"] ?? "" };
  const [, right = ""] = headers["svix-signature"]?.split(",") ?? [];
  const verdicts: boolean[] = [];

  const costs = Array.from(
    { length: right.length - 1 },
    (_, at) =>
      bytesComparedBy(() =>
        verdicts.push(verify(body, { ...signed, signature: `v1,${wrongFrom(at, right)}` }))
      ),
  );

  assertEquals(new Set(costs), new Set([2 * right.length]));
  assertEquals(new Set(verdicts), new Set([false]));
  // The control: the right one verifies, at the same cost.
  assertEquals(
    bytesComparedBy(() => verdicts.push(verify(body, { ...signed, signature: `v1,${right}` }))),
    2 * right.length,
  );
  assertEquals(verdicts.at(-1), true);
});

/** Every text whose digest is taken. */
async function digestedBy(act: () => Promise<unknown>): Promise<string[]> {
  const texts: string[] = [];
  const real = crypto.subtle.digest.bind(crypto.subtle);
  crypto.subtle.digest = (algorithm, data) => {
    texts.push(new TextDecoder().decode(data));
    return real(algorithm, data);
  };
  try {
    await act();
  } finally {
    Reflect.deleteProperty(crypto.subtle, "digest");
  }
  return texts;
}

Deno.test("a wrong secret of the worker is compared by its digest, however much is right", async () => {
  const secret = "a long random text that callers must present";
  let drained = 0;
  const handle = createHandler({
    secret,
    log: () => {},
    drain: () => Promise.resolve({ done: ++drained, retried: 0, dead: 0 }),
  });
  const call = (bearer: string): Promise<Response> =>
    handle(
      new Request("http://localhost/", {
        method: "POST",
        headers: { authorization: `Bearer ${bearer}` },
      }),
    );
  const wrong = [
    ...Array.from(secret, (_, at) => wrongFrom(at, secret)),
    secret.slice(0, -1),
    `${secret}x`,
    "x",
  ];

  for (const bearer of wrong) {
    // Whoever sends a text cannot choose how much of its digest is right.
    assertEquals(await digestedBy(() => call(bearer)), [bearer, secret]);
  }

  assertEquals(drained, 0);
  assert((await call(secret)).ok);
  assertEquals(drained, 1);
});
