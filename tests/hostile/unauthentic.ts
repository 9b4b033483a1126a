import { signedHeadersFor } from "../../local/clerk/deliver.ts";
import type { Outcome } from "../../functions/clerk-webhook/handler.ts";
import { aSigningSecret } from "../../local/clerk/signing_secret.ts";
import { aMessageId, aValidEvent } from "./hostile_json.ts";
import { letters, oneOf, type Pick } from "../random.ts";

/** A request that was not signed as it stands, and the outcome it must get. */
export interface UnauthenticRequest {
  readonly what: string;
  readonly method: string;
  /** Below the function's own URL. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  readonly outcome: Outcome;
}

/** Part of every body below; must be in no table, no log line and no answer. */
export const UNSIGNED = "Ünsigned needle <unsigned@needle.example>";

const encoder = new TextEncoder();

/** An unauthentic request, sometimes a real delivery with one thing changed on the way. */
export function anUnauthenticRequest(pick: Pick, secret: string): UnauthenticRequest {
  const event = aValidEvent(pick, pick(45));
  const body = JSON.stringify({ ...event, note: UNSIGNED });
  const signed = signedHeadersFor({ id: aMessageId(pick), body }, secret);
  const { "svix-signature": signature = "", "svix-timestamp": timestamp = "" } = signed;
  const post = (
    what: string,
    outcome: Outcome,
    changes: Partial<UnauthenticRequest> = {},
  ): UnauthenticRequest => ({
    what,
    method: "POST",
    path: oneOf(pick, ["", "", "/clerk-webhook", "/..%2f..%2frest", "/%00", "/?id=eq.1", "//x"]),
    headers: signed,
    body,
    outcome,
    ...changes,
  });
  const posing = (what: string, changes: Record<string, string>): UnauthenticRequest =>
    post(what, "bad_signature", { headers: { ...signed, ...changes } });

  switch (pick(18)) {
    case 0:
      return post("no headers of ours", "missing_headers", { headers: hostileHeaders(pick) });
    case 1: {
      const { [oneOf(pick, ["svix-id", "svix-timestamp", "svix-signature"])]: _, ...rest } = signed;
      return post("a header is missing", "missing_headers", { headers: rest });
    }
    case 2:
      return post("a blank header", "missing_headers", {
        headers: { ...signed, [oneOf(pick, ["svix-id", "svix-signature"])]: "" },
      });
    case 3:
      return post("another secret", "bad_signature", {
        headers: signedHeadersFor({ id: aMessageId(pick), body }, aSigningSecret()),
      });
    case 4: {
      const minutes = oneOf(pick, [-600, -6, 6, 600, 5_000_000]);
      const at = new Date(Date.now() + minutes * 60_000);
      return post("another time", "bad_signature", {
        headers: signedHeadersFor({ id: "msg_late", body }, secret, at),
      });
    }
    case 5:
      return posing("another message id", { "svix-id": `x${signed["svix-id"]?.slice(1)}` });
    case 6:
      return posing("another timestamp", {
        "svix-timestamp": oneOf(pick, [
          String(Number(timestamp) + 1),
          "0",
          "-1",
          "NaN",
          "Infinity",
          "9".repeat(300),
          "1e9",
          "0x66",
          `'${timestamp}'`,
        ]),
      });
    case 7:
      return posing("another signature", {
        "svix-signature": oneOf(pick, [
          signature.slice(0, -1),
          `${signature}=`,
          signature.replace("v1,", "v1a,"),
          signature.replace("v1,", "v1, "),
          signature.replace("v1,", ""),
          signature.toUpperCase(),
          signature.slice(0, 20) + letters(pick, 27),
          "v1,",
          "v1",
          ",",
          "v1,__proto__",
          "%s",
        ]),
      });
    case 8:
      return posing("hundreds of signatures", {
        "svix-signature": Array.from({ length: 400 }, () => `v1,${letters(pick, 43)}=`).join(" "),
      });
    case 9:
      return post("a changed body", "bad_signature", {
        body: oneOf<string>(pick, [
          `\u{FEFF}${body}`,
          `${body} `,
          `${body}\0`,
          body.slice(0, -1),
          body.replace("{", "{ "),
          body.replace("user", "usér"),
          "",
          "[".repeat(50_000),
        ]),
      });
    case 10: {
      // Bytes that a lenient decoder would read as the signed text.
      const at = pick(body.length - 1);
      const lenient = `${body.slice(0, at)}\u{FFFD}${body.slice(at)}`;
      const bytes = encoder.encode(lenient).filter((byte) => byte !== 0xbf && byte !== 0xbd);
      return post("not UTF-8", "bad_signature", {
        headers: signedHeadersFor({ id: "msg_lenient", body: lenient }, secret),
        body: bytes,
      });
    }
    case 11:
      return post("bytes", "bad_signature", {
        body: Uint8Array.from({ length: pick(5_000) }, () => pick(256)),
      });
    case 12:
      return post("too large", "too_large", {
        body: UNSIGNED + "x".repeat(1024 * 1024 + pick(3) * 1024 * 1024),
      });
    case 13:
      return post("as large as can be", "bad_signature", { body: "[".repeat(1024 * 1024) });
    case 14: {
      const method = oneOf(pick, ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "post_"]);
      return post("another method", "method_not_allowed", {
        method,
        body: method === "GET" ? null : body,
      });
    }
    case 15:
      return post("both sets, neither whole", "missing_headers", {
        headers: {
          "svix-id": signed["svix-id"] ?? "",
          "webhook-timestamp": timestamp,
          "webhook-signature": signature,
        },
      });
    case 16:
      return post("an id that is too long", "missing_headers", {
        headers: signedHeadersFor({ id: "m".repeat(256 + pick(3_000)), body }, secret),
      });
    default:
      return posing("hostile headers besides", {
        ...hostileHeaders(pick),
        "svix-signature": `v1,${letters(pick, 43)}=`,
      });
  }
}

/** Headers that an HTTP client may send and the webhook ignores. */
function hostileHeaders(pick: Pick): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let count = pick(6); count > 0; count--) {
    const [name, value] = oneOf<[string, string]>(pick, [
      ["authorization", "Bearer eyJhbGciOiJub25lIn0.e30."],
      ["authorization", "\xff\xfe"],
      ["apikey", "service_role"],
      ["content-type", "application/x-www-form-urlencoded; charset=utf-7"],
      ["content-type", "multipart/form-data"],
      ["x-forwarded-for", "127.0.0.1, ' or 1=1"],
      ["x-http-method-override", "DELETE"],
      ["content-profile", "clerk_sync"],
      ["prefer", "tx=commit"],
      ["cookie", "x=".repeat(2_000)],
      ["__proto__", "x"],
      ["constructor", "x"],
      [`x-${letters(pick, 300)}`, letters(pick, 3_000)],
      ["accept-encoding", "gzip;q=-1"],
      ["range", "bytes=0-,-1"],
    ]);
    headers[name] = value;
  }
  return headers;
}

/** A few kB that gunzip to 50 MB, dangerous to a server that unpacks before it verifies. */
export async function aGzipBomb(secret: string): Promise<UnauthenticRequest> {
  const plain = new Blob(Array.from({ length: 50 }, () => "[".repeat(1024 * 1024)));
  const packed = await new Response(plain.stream().pipeThrough(new CompressionStream("gzip")))
    .arrayBuffer();
  return {
    what: "a gzip bomb",
    method: "POST",
    path: "",
    headers: {
      ...signedHeadersFor({ id: "msg_bomb", body: "[".repeat(1024) }, secret),
      "content-encoding": "gzip",
    },
    body: new Uint8Array(packed),
    outcome: "bad_signature",
  };
}
